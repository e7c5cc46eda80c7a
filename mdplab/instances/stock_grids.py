"""Stock problems: published 4x4 gridworlds, random tiny ones, and counterexamples to printed statements.

In the published grids cells are numbered from (0, 0), the start, row by row. A cell's reward is paid on entering it and
again at every step that stays on it; terminal cells pay once and end the episode. `B` is a fair coin, tossed anew
each time. `problem.replace(objective=CVaR(0.1))` asks another question of the same grid.

Source: Pires et al. (2025), Optimizing return distributions with distributional dynamic programming, JMLR 26, sections
5 and 7 (layouts read off the figures).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mdplab.models import MDP, CVaR, Functional, OCVaR, Outcomes, StockMDP, functional

Cell = tuple[int, int]
Law = Sequence[tuple[float, float]]
Row = Sequence[tuple[int, float, float]]

# Up, down, left, right, and staying; as (row, column).
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))
DOWN_RIGHT = (MOVES[1], MOVES[3])


def generate_returns_grid(*, gamma: float = 0.997, horizon: int | None = None) -> StockMDP:
    """G3, reach a given return: 2 per step in the upper right corner, -1 in the lower left, the end in the lower right.

    Objective `target`: with stock c the agent wants the return -c.

    Parameters
    ----------
    gamma : float in (0, 1]
        Discount factor.
    horizon : int, optional
        Number of decisions; published runs stop after 16.

    Returns
    -------
    StockMDP
        16 states, 5 actions: up, down, left, right, stay.

    Notes
    -----
    Published agent, return reached for targets 7, 5, 3, 1, -2, -4, -6, -8: 6.95, 4.98, 3.00, 1.01, -1.85, -3.96,
    -5.92, -7.87. Least possible errors within 16 steps: .0013, .0016, .0003, .0003, .0010, .0011, .0428, .1309.

    Source
    ------
    Pires et al. (2025), section 7 (generating returns).

    Examples
    --------
    >>> generate_returns_grid(horizon=16)
    StockMDP(target, S=16, A=5, outcomes=80, gamma=0.997, horizon=16)
    """
    cells = {(0, 3): [(2.0, 1.0)], (3, 0): [(-1.0, 1.0)]}
    return _grid(cells, [(3, 3)], functional("target"), gamma, horizon)


def halving_grid(*, gamma: float = 0.5, horizon: int | None = None) -> StockMDP:
    """G4, reach a return under a steep discount: 2 per step in the upper right corner, the end in the lower right.

    Objective `target`. Returns 1, 1/2, 1/4, ... can be reached, 1 only in the limit: staying in the corner until step
    16 gives `1 - 2**-14`. Parameters and states as in `generate_returns_grid`.

    Source
    ------
    Pires et al. (2025), section 7 (generating returns, gamma = 1/2).

    Examples
    --------
    >>> halving_grid().objective
    Functional('target')
    """
    return _grid({(0, 3): [(2.0, 1.0)]}, [(3, 3)], functional("target"), gamma, horizon)


def risk_averse_grid(*, gamma: float = 0.997, horizon: int | None = None) -> StockMDP:
    """G5, a safe 1 or a risky 3: cells around the upper right corner (3, the end) cost 2B; the lower left pays 1.

    Objective `negative_part`; the paper varies `CVaR(tau)`. Parameters and states as in `generate_returns_grid`.

    Notes
    -----
    Safe return `gamma**2`; risky return `3 gamma**2 - 2 gamma B`. Optimal CVaR at gamma = 0.997: .99401 for
    tau <= .501, .99597 at .502, 1.65269 at .75, 1.87425 at .9, 1.97496 at .99.

    Source
    ------
    Pires et al. (2025), section 7 (risk-averse behaviour).

    Examples
    --------
    >>> risk_averse_grid()
    StockMDP(negative_part, S=16, A=5, outcomes=88, gamma=0.997)
    """
    coin = [(0.0, 0.5), (-2.0, 0.5)]
    cells = {(0, 2): coin, (1, 3): coin, (0, 3): [(3.0, 1.0)], (3, 0): [(1.0, 1.0)]}
    return _grid(cells, [(0, 3), (3, 0)], functional("negative_part"), gamma, horizon)


def risk_seeking_grid(*, gamma: float = 0.997, horizon: int | None = None) -> StockMDP:
    """G7, three steps down or right, each into a sure 1 or a coin of 1.5: the end is the antidiagonal.

    Objective `positive_part`; the paper varies `OCVaR(tau)`. Two actions: down, right. Cells below the antidiagonal
    are never reached, and terminal here. Parameters as in `generate_returns_grid`.

    Notes
    -----
    Optimal OCVaR over randomised policies at gamma = 0.997: 4.4865 for tau <= .125, 3.9895 at .25, 3.4895 at .5, 3.1572
    at .75, 3.0464 at .9, 2.9960 at .99 (by linear programs over return laws). Best return
    `1.5 (1 + gamma + gamma**2)`, best mean `1 + gamma + gamma**2`.

    Source
    ------
    Pires et al. (2025), section 7 (risk-seeking behaviour).

    Examples
    --------
    >>> risk_seeking_grid().A
    2
    """
    one, coin = [(1.0, 1.0)], [(0.0, 0.5), (1.5, 0.5)]
    cells: dict[Cell, Law] = dict.fromkeys([(0, 1), (0, 2), (0, 3), (1, 2), (2, 1)], one)
    cells |= dict.fromkeys([(1, 0), (1, 1), (2, 0), (3, 0)], coin)
    ends = [(i, j) for i in range(4) for j in range(4) if i + j >= 3]
    return _grid(cells, ends, functional("positive_part"), gamma, horizon, moves=DOWN_RIGHT)


def constraint_grid(alpha: float = 50.0, *, gamma: float = 0.997, horizon: int | None = None) -> StockMDP:
    """G9, reach the end in few steps subject to a second return that should not fall short of a target.

    Maximises `E [sum gamma^t running_t + alpha min(c + G, 0)]` with running reward -1 per step: the printed objective
    has the sign of its first term wrong, with which long episodes would be best. Stock -x asks for a second return of
    at least x.

    Parameters
    ----------
    alpha : float > 0
        Weight of what the second return falls short by; 50 and 500 in the paper.
    gamma, horizon
        As in `generate_returns_grid`.

    Returns
    -------
    StockMDP
        16 states, 5 actions; second reward -2 on (0, 1), (0, 2), (0, 3, terminal), (1, 2), (1, 3); 1 on (3, 0); the
        other end is (2, 3).

    Notes
    -----
    Optimal steps and second return by target, alpha = 50: 3: 10, 3.958; 2: 8, 1.985; 1: 7, .994; 0, -1, -2: 5, 0;
    -6, -7: 3, -5.982. With alpha = 500 2: 9, 2.973 and 1: 8, 1.985.

    Source
    ------
    Pires et al. (2025), sections 5.5 and 7.4.

    Examples
    --------
    >>> constraint_grid(500).objective
    Functional('negative_part(weight=500)')
    """
    cells = dict.fromkeys([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)], ((-2.0, 1.0),)) | {(3, 0): [(1.0, 1.0)]}
    f = functional("negative_part", weight=alpha)
    problem = _grid(cells, [(0, 3), (2, 3)], f, gamma, horizon)
    running = np.where(problem.mdp.terminal[:, None], 0.0, np.full((problem.S, problem.A), -1.0))
    return problem.replace(running=running)


def random_stock(
    seed: int, gamma: float = 1.0, *, objective: Functional | CVaR | OCVaR | None = None, horizon: int = 3
) -> StockMDP:
    """RM(seed): two states, two actions, random transitions and rewards in {-1, 0, 1, 2} that depend on the next state.

    Parameters
    ----------
    seed : int, at least 0
        The member of the family, not a source of randomness: `numpy.random.default_rng(seed)` defines it.
    gamma : float in (0, 1]
        Discount factor.
    objective : Functional, CVaR or OCVaR, optional
        The mean by default.
    horizon : int
        Number of decisions.

    Returns
    -------
    StockMDP
        Start in state 0.

    Source
    ------
    Family of the library's own, for comparison with brute force over all policies with memory.

    Examples
    --------
    >>> random_stock(0, objective=CVaR(0.25))
    StockMDP(cvar:0.25, S=2, A=2, outcomes=8, gamma=1, horizon=3)
    """
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(2), size=(2, 2))
    R = rng.choice([-1, 0, 1, 2], size=(2, 2, 2))
    mdp = MDP(P, R.astype(np.float64), gamma, horizon=horizon)
    return StockMDP(mdp, functional("mean") if objective is None else objective, start=0)


def risky_gridworld(n: int = 20, *, gamma: float = 0.95, tau: float = 0.1) -> StockMDP:
    """An n x n slippery grid with a dangerous band between start and goal, which the cautious walk around.

    Start and goal (1 on entering, terminal) are the ends of the middle row. Every other cell at most two rows from the
    middle one costs 0.5 with probability 0.01, independently at each step that ends there. A step slips to either
    perpendicular side with probability 0.05.

    Parameters
    ----------
    n : int >= 3
        Size of the grid.
    gamma : float in (0, 1]
        Discount factor.
    tau : float in (0, 1]
        Level of the objective `CVaR(tau)`.

    Returns
    -------
    StockMDP
        n^2 states, 4 actions: up, down, left, right.

    Source
    ------
    The library's own, for timing.

    Examples
    --------
    >>> risky_gridworld(5)
    StockMDP(cvar:0.1, S=25, A=4, outcomes=543, gamma=0.95)
    """
    if isinstance(n, bool) or int(n) != n or n < 3:
        raise ValueError(f"n is {n!r}; expected an integer of at least 3")
    middle = n // 2
    goal = (middle, n - 1)
    danger = [(i, j) for i in range(max(0, middle - 2), min(n, middle + 3)) for j in range(n)]
    cells: dict[Cell, Law] = dict.fromkeys(danger, ((0.0, 0.99), (-0.5, 0.01)))
    del cells[middle, 0]
    cells[goal] = [(1.0, 1.0)]
    return _grid(cells, [goal], CVaR(tau), gamma, None, size=n, moves=MOVES[:4], slip=0.1, start=middle * n)


def cvar_suboptimal_pair(p: float = 0.1, tau: float = 0.1) -> StockMDP:
    """One decision where a loss of p in expected utility is a loss of p / tau in CVaR.

    Action 0 gives 0; action 1 gives -1 with probability p, else 0. Always action 1 loses p in `E min(c + G, 0)` at
    every stock c <= 0, and p / tau in CVaR: the printed bound of four times the loss fails for tau < 1/4. A correct
    one is the grid's error plus the policy's loss divided by tau.

    Parameters
    ----------
    p : float in (0, tau]
        Probability of the loss.
    tau : float in (0, 1]
        Level.

    Source
    ------
    The library's own counterexample to Pires et al. (2025), Proposition 37 and Theorem 17.

    Examples
    --------
    >>> cvar_suboptimal_pair(0.05, 0.05).outcomes.row(0, 1)[1].tolist()
    [0.0, -1.0]
    """
    objective = CVaR(tau)
    if not 0 < p <= objective.tau or p >= 1:
        raise ValueError(f"p is {p!r}; expected a number in (0, tau], below 1, with tau = {objective.tau:g}")
    return _tree([[[(1, 0.0, 1.0)], [(1, 0.0, 1 - p), (1, -1.0, p)]]], objective)


def ocvar_randomisation(tau: float = 0.5, *, win: float = 0.3) -> StockMDP:
    """One decision where only a randomised policy attains the optimal OCVaR.

    Action 0 gives 1; action 1 gives 2 with probability `win`, else 0. At the defaults their OCVaR is 1 and 1.2, that
    of playing action 1 with probability `(1 - tau) / (1 - win)`, 5/7, is 10/7. Whatever near-optimal deterministic
    policy for stocks is followed, it loses a constant, contrary to the printed bound.

    Parameters
    ----------
    tau : float in (0, 1]
        Level.
    win : float in (0, 1)
        Probability of winning 2.

    Source
    ------
    The library's own counterexample to Pires et al. (2025), Theorem 19.

    Examples
    --------
    >>> ocvar_randomisation()
    StockMDP(ocvar:0.5, S=2, A=2, outcomes=5, gamma=1, horizon=1)
    """
    if not 0 < win < 1:
        raise ValueError(f"win is {win!r}; expected a number in (0, 1)")
    return _tree([[[(1, 1.0, 1.0)], [(1, 0.0, 1 - win), (1, 2.0, win)]]], OCVaR(tau))


def chow_gap() -> StockMDP:
    """Two decisions where the decomposition of CVaR over successors overestimates the optimum: -2/3 instead of -1.

    From state 0 to states 1 or 2 with probability 1/2. State 1: action 0 gives -1, action 1 gives -2 or 2; state 2:
    action 0 gives 0, action 1 gives -2 or 1. Level 1/2. The decomposition is right for each fixed policy; with the
    maximum over actions inside, the action may depend on how the adversary splits the level, and no policy can.

    Source
    ------
    The library's own counterexample to the value iteration of Chow et al. (2015), Risk-sensitive and robust
    decision-making: a CVaR optimization approach.

    Examples
    --------
    >>> chow_gap()
    StockMDP(cvar:0.5, S=4, A=2, outcomes=12, gamma=1, horizon=2)
    """
    first = [(1, 0.0, 0.5), (2, 0.0, 0.5)]
    rows = [
        [first, first],
        [[(3, -1.0, 1.0)], [(3, -2.0, 0.5), (3, 2.0, 0.5)]],
        [[(3, 0.0, 1.0)], [(3, -2.0, 0.5), (3, 1.0, 0.5)]],
    ]
    return _tree(rows, CVaR(0.5), horizon=2)


def _grid(
    cells: Mapping[Cell, Law],
    ends: Sequence[Cell],
    objective: Functional | CVaR | OCVaR,
    gamma: float,
    horizon: int | None,
    *,
    size: int = 4,
    moves: Sequence[Cell] = MOVES,
    slip: float = 0.0,
    start: int = 0,
) -> StockMDP:
    """The square grid where entering a cell pays by its law, 0 where `cells` says nothing."""
    rows: list[list[Row]] = []
    for state in range(size * size):
        i, j = divmod(state, size)
        if (i, j) in ends:
            rows.append([[(state, 0.0, 1.0)]] * len(moves))
            continue
        rows.append([])
        for di, dj in moves:
            # The perpendicular moves of (di, dj) are (dj, di) and its opposite.
            targets = {(di, dj): 1 - slip, (dj, di): slip / 2, (-dj, -di): slip / 2} if slip else {(di, dj): 1.0}
            law: dict[tuple[int, float], float] = {}
            for (ei, ej), chance in targets.items():
                to = (i + ei, j + ej) if 0 <= i + ei < size and 0 <= j + ej < size else (i, j)
                for reward, prob in cells.get(to, [(0.0, 1.0)]):
                    key = (to[0] * size + to[1], reward)
                    law[key] = law.get(key, 0.0) + chance * prob
            rows[-1].append([(to, reward, prob) for (to, reward), prob in law.items()])
    return _problem(rows, objective, gamma, horizon, start)


def _tree(rows: Sequence[Sequence[Row]], objective: CVaR | OCVaR, horizon: int = 1) -> StockMDP:
    """The undiscounted problem with these rows and one more state, which is terminal."""
    end = len(rows)
    return _problem([*rows, [[(end, 0.0, 1.0)]] * len(rows[0])], objective, 1.0, horizon, 0)


def _problem(
    rows: Sequence[Sequence[Row]],
    objective: Functional | CVaR | OCVaR,
    gamma: float,
    horizon: int | None,
    start: int,
) -> StockMDP:
    """The problem with outcomes `(next state, reward, probability)` listed by state and action."""
    S, A = len(rows), len(rows[0])
    flat = [row for of_state in rows for row in of_state]
    to, reward, prob = (np.array(column) for column in zip(*(one for row in flat for one in row), strict=True))
    outcomes = Outcomes(np.cumsum([0, *(len(row) for row in flat)]), to, reward, prob, S, A)
    P = outcomes.kernel()
    P = P if S > 64 else P.toarray().reshape(S, A, S)
    return StockMDP(MDP(P, outcomes.mean_reward(), gamma, horizon=horizon), objective, outcomes=outcomes, start=start)
