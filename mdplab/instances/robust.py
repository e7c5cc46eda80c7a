"""Robust problems from papers: cycles of naive policy iteration, finite sets of models, balls around nominal rows.

All maximise rewards; a paper's costs are negated. Radii are of L1 norms unless a set says otherwise.
"""

import numpy as np

from mdplab.instances.chains import riverswim
from mdplab.instances.grids import CLOCKWISE
from mdplab.instances.textbook import machine_replacement
from mdplab.models import MDP, L1Ball, ModelSet, RobustMDP


def pai_cycle() -> RobustMDP:
    """Three states on which policy iteration that fixes both players cycles: for each pair, two certain successors.

    Notes
    -----
    Exact: V* = (-1.1, 1, -2). From V = 0 the unsafeguarded method (both players greedy, then one linear solve)
    alternates between (7, 1, -2) and (-6, 1, -2).

    Source
    ------
    Derived here, for the failure that Badger, Huang, Petrik (AAAI 2026) show on an instance of their own.

    Examples
    --------
    >>> pai_cycle().uncertainty.kernels[:, 0, 1].tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    successors = np.array([[[0, 0], [0, 2]], [[1, 1], [0, 1]], [[2, 1], [1, 2]]])
    kernels = np.eye(3)[np.moveaxis(successors, 2, 0)]
    r = np.array([[-0.6, 0.7], [0.1, -0.4], [-0.2, -0.9]])
    return RobustMDP(MDP(kernels.mean(axis=0), r, 0.9), ModelSet(kernels))


def van_der_wal(*, rectangularity: str = "s") -> RobustMDP:
    """Van der Wal's stochastic game with one live state, on which naive policy iteration alternates 12 and 4.

    The agent names a row, nature a column: payoffs [[3, 6], [2, 1]], probabilities to stay alive [[1, 1/3], [1, 1]],
    discount 3/4. Here as a robust problem: the live state has a copy for each column (states 0 and 1, alike in all
    else), a column leads to its copy, and the payoff is a reward that depends on the next state. State 2 is the end.

    Parameters
    ----------
    rectangularity : {"s", "sa"}
        "s" is the game; with "sa" nature sees the row first. The value is the same: every game that comes up has a
        saddle point in pure actions.

    Notes
    -----
    Exact: V* = (8, 8, 0). From V = 0 the game is [[3, 6], [2, 1]] with saddle point (0, 0), whose pair is worth
    3 / (1 - 3/4) = 12; there the game is [[12, 9], [11, 10]] with saddle point (1, 1), worth 1 / (1 - 3/4) = 4; there
    it is [[6, 7], [5, 4]], with saddle point (0, 0) again.

    Source
    ------
    Van der Wal (1978), "Discounted Markov games: generalized policy iteration method", J. Optim. Theory Appl. 25.
    The encoding as a robust problem is ours.

    Examples
    --------
    >>> van_der_wal().uncertainty.kernels[1, 0, 0].round(3).tolist()
    [0.0, 0.333, 0.667]
    """
    kernels = np.zeros((2, 3, 2, 3))
    kernels[0, :2, :, 0] = 1.0
    kernels[1, :2, 0, 1], kernels[1, :2, 0, 2] = 1 / 3, 2 / 3
    kernels[1, :2, 1, 1] = 1.0
    kernels[:, 2, :, 2] = 1.0
    r = np.zeros((3, 2, 3))
    r[:2, 0] = 3.0, 6.0, 6.0
    r[:2, 1, :2] = 2.0, 1.0
    return RobustMDP(MDP(kernels.mean(axis=0), r, 0.75), ModelSet(kernels, rectangularity=rectangularity))


def filar_tolwinski(*, worse_first: bool = True) -> RobustMDP:
    """Three states, one action: a line search along the Newton direction never ends, if a tie is broken badly.

    In state 0 nature leads to state 2 or to state 1, both absorbing; gamma = 0.6, rewards -sqrt(2)/2, -1/2, 1/2. At
    V = 0 the two tie.

    Parameters
    ----------
    worse_first : bool
        The order of the two models, which breaks the tie where the first minimiser is taken: with True that to
        state 2, which is wrong, and no step along the Newton direction lowers the squared norm of the residual,
        although its directional derivative by the formula is -2; with False one full step solves the problem.

    Notes
    -----
    Exact: V* = (-(sqrt(2)/2 + 3/4), -5/4, 5/4), in state 0: -sqrt(2)/2 + 0.6 (-5/4).

    Source
    ------
    Badger, Huang, Petrik (AAAI 2026), on the method of Filar, Tolwinski (1991).

    Examples
    --------
    >>> filar_tolwinski(worse_first=False).uncertainty.kernels[:, 0, 0].tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    kernels = np.tile(np.eye(3)[:, None, :], (2, 1, 1, 1))
    kernels[:, 0, 0] = np.eye(3)[[2, 1] if worse_first else [1, 2]]
    r = np.array([[-np.sqrt(0.5)], [-0.5], [0.5]])
    return RobustMDP(MDP(kernels.mean(axis=0), r, 0.6), ModelSet(kernels))


def opposite_models(*, rectangularity: str = "s") -> RobustMDP:
    """Two actions, one of which leads to reward 1 for ever, the other to 0; the two models differ in which.

    State 0 decides, state 1 (reward 1) and state 2 (reward 0) absorb; gamma = 0.9.

    Parameters
    ----------
    rectangularity : {"s", "sa"}
        "s": the convex hull of the two models; V*(0) = 4.5, and (1/2, 1/2) is the only optimal policy. "sa": nature
        chooses for each action by itself; V*(0) = 0.

    Notes
    -----
    Exact. For the two models themselves, one of which holds for ever (`models_of`), max over policies of the min over
    models is 4.5, but the min over models of the max over policies is 9: without convexity the order matters.

    Source
    ------
    Derived here, after Wiesemann, Kuhn, Rustem (2013), "Robust Markov decision processes", section 3: randomisation is
    needed with s-rectangular sets.

    Examples
    --------
    >>> [model.P[0].tolist() for model in models_of(opposite_models())]
    [[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]
    """
    kernels = np.tile(np.eye(3)[:, None, :], (2, 1, 2, 1))
    kernels[0, 0], kernels[1, 0] = np.eye(3)[[1, 2]], np.eye(3)[[2, 1]]
    r = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    mdp = MDP(kernels.mean(axis=0), r, 0.9, mu=[1.0, 0.0, 0.0])
    return RobustMDP(mdp, ModelSet(kernels, rectangularity=rectangularity))


def models_of(problem: RobustMDP) -> tuple[MDP, ...]:
    """The models of a finite set one by one: the static, non-rectangular set, in which one of them holds for ever.

    Raises
    ------
    ValueError
        If the uncertainty set is no `ModelSet`.

    Examples
    --------
    >>> len(models_of(windy_walk(winds=3)))
    3
    """
    if not isinstance(problem.uncertainty, ModelSet):
        raise ValueError(f"uncertainty is {problem.uncertainty.name!r}; expected a finite set of models, 'models'")
    return tuple(problem.nominal.replace(P=kernel) for kernel in problem.uncertainty.kernels)


def iwocs_stall() -> RobustMDP:
    """Three states, two actions, two rows for each pair: incremental worst-case search stalls with a positive gap.

    From the model of all first rows, at state 0, one worst case is added; that of the next policy, (0, 1, 0), is then
    the same one, and the bracket stays [11.8797, 22.9098], V*(0) = 22.1628. It stalls whatever is done with the rows
    that the worst case leaves free: kept, chosen against the same value, or run through all combinations.

    Source
    ------
    Found here by random search among rows of tenths; that the method of Zouitine, Geist, Rachelson (2024) can stall is
    their remark.

    Examples
    --------
    >>> iwocs_stall().nominal.P[0, 0].tolist()
    [0.1, 0.0, 0.9]
    """
    first = [[[1, 0, 9], [1, 9, 0]], [[2, 2, 6], [0, 9, 1]], [[4, 2, 4], [0, 8, 2]]]
    second = [[[8, 2, 0], [3, 6, 1]], [[5, 4, 1], [1, 4, 5]], [[2, 5, 3], [1, 9, 0]]]
    kernels = np.array([first, second]) / 10
    mdp = MDP(kernels[0], [[0.0, 1.0], [0.0, 1.0], [2.0, 1.0]], 0.95, mu=[1.0, 0.0, 0.0])
    return RobustMDP(mdp, ModelSet(kernels))


def coupled_chain(theta: float = 0.75, *, gamma: float = 0.9) -> RobustMDP:
    """One action, three steps to the goal; the second fails with probability theta, the third with 1 - theta.

    The two models have theta and 1 - theta. In either the goal is reached with probability theta (1 - theta); a nature
    that chooses row by row fails both times with the larger of the two. States: 0, 1, 2, goal, failure; entering the
    goal pays 1.

    Parameters
    ----------
    theta : float in [0, 1]
        At 0, 1/2 and 1 the two values agree.

    Notes
    -----
    Exact, in state 0: gamma^2 theta (1 - theta) in either model (`models_of`), gamma^2 min(theta, 1 - theta)^2 over
    the rectangular set.

    Source
    ------
    Derived here: the smallest problem with a parameter that rows share.

    Examples
    --------
    >>> coupled_chain().uncertainty.kernels[:, 1, 0, 4].tolist()
    [0.75, 0.25]
    """
    if not 0 <= theta <= 1:
        raise ValueError(f"theta is {theta}; expected a probability")
    kernels = np.zeros((2, 5, 1, 5))
    kernels[:, 0, 0, 1] = kernels[:, 3, 0, 3] = kernels[:, 4, 0, 4] = 1.0
    for k, fail in enumerate((theta, 1 - theta)):
        kernels[k, 1, 0, [2, 4]] = 1 - fail, fail
        kernels[k, 2, 0, [3, 4]] = fail, 1 - fail
    r = np.zeros((5, 1, 5))
    r[2, 0, 3] = 1.0
    return RobustMDP(MDP(kernels.mean(axis=0), r, gamma, mu=np.eye(5)[0]), ModelSet(kernels))


def windy_walk(*, winds: int = 25, strongest: float = 0.5, gamma: float = 0.95) -> RobustMDP:
    """WindyWalk: three corridors to the goal in the East, with a West wind of unknown strength against the walker.

    Six by six cells, state 6 row + column, actions North, East, South, West; walls at rows 1 and 3, columns 1 to 3;
    from (0, 0) to (0, 5). In columns 1 to 3 the wind has probability alpha in row 0, alpha^3 in row 2 and alpha^6 in
    rows 4 and 5, and then replaces North, East or South by a step West. Each step pays -1; the goal absorbs.

    Parameters
    ----------
    winds : int >= 2
        Models; their alpha are equidistant in [0, strongest], the first is calm.
    strongest : float in [0, 1]
        Largest alpha.
    gamma : float in [0, 1)
        Discount factor.

    Notes
    -----
    Exact, at the start: -(1 - gamma^5) / (1 - gamma) = -4.52438125 without wind, -7.95214749 over the set, which is
    the value of its strongest wind, whether alpha is one number for ever or chosen row by row.

    Source
    ------
    Zouitine, Geist, Rachelson (2024), "Solving robust MDPs as a sequence of static RL problems": text of the
    experiment. The layout is a reconstruction; the figure was not seen.

    Examples
    --------
    >>> windy_walk().nominal.P[2, 1].nonzero()[0].tolist()
    [3]
    """
    if winds < 2:
        raise ValueError(f"winds is {winds}; expected at least 2")
    if not 0 <= strongest <= 1:
        raise ValueError(f"strongest is {strongest}; expected a probability")
    size, goal = 6, 5
    wall = {(row, col) for row in (1, 3) for col in (1, 2, 3)}
    power = {0: 1, 2: 3, 4: 6, 5: 6}
    kernels = np.zeros((winds, 36, 4, 36))
    r = np.full((36, 4), -1.0)
    for row, col in np.ndindex(size, size):
        s = size * row + col
        if s == goal or (row, col) in wall:
            kernels[:, s, :, s] = 1.0
            r[s] = 0.0
            continue
        to = np.full(4, s)
        for a, (down, right) in enumerate(CLOCKWISE):
            cell = (row + down, col + right)
            if 0 <= cell[0] < size and 0 <= cell[1] < size and cell not in wall:
                to[a] = size * cell[0] + cell[1]
        for k, alpha in enumerate(np.linspace(0, strongest, winds)):
            wind = alpha ** power[row] if col in (1, 2, 3) else 0.0
            for a in range(4):
                kernels[k, s, a, to[a]] += 1 - wind
                kernels[k, s, a, to[3]] += wind
    return RobustMDP(MDP(kernels[0], r, gamma, mu=np.eye(36)[0]), ModelSet(kernels))


def machine_l1(radius: float = 0.2, *, gamma: float = 0.8, support: str = "nominal") -> RobustMDP:
    """Machine replacement with ten states and an L1 ball around each row.

    Notes
    -----
    V* in states 0, 7, 9 on the nominal support: at gamma = .8, (-3.0662, -17.9149, -3.0488) for radius .2 and
    (-6.6779, -32.1486, -6.1186) for .6; at gamma = .95, (-21.4059, -36.6523, -20.7481) and (-44.2058, -70.6699, -40).

    Source
    ------
    Delage, Mannor (2010); see `machine_replacement`.

    Examples
    --------
    >>> machine_l1().uncertainty.support
    'nominal'
    """
    return RobustMDP(machine_replacement(gamma=gamma), L1Ball(radius, support=support))


def riverswim_l1(radius: float = 0.1, *, S: int = 6, gamma: float = 0.99, support: str = "nominal") -> RobustMDP:
    """RiverSwim, the version with rewards 5 and 10000, and an L1 ball around each row.

    Notes
    -----
    V* in states 0 and 5, S = 6, gamma = .99, on the nominal support: (25843.442, 36216.805) for radius .1,
    (1205.752, 4627.427) for .3, (500, 1064.105) for .5, where swimming left is best in states 0 to 3. If mass may go to
    any state: (16009.541, 23904.464), (561.011, 3156.407), (213.274, 778.199). What is allowed matters more than the
    radius.

    Source
    ------
    Strehl, Littman (2008), numbers of the CRAAM library's copy; see `riverswim`.

    Examples
    --------
    >>> riverswim_l1(0.3)
    RobustMDP(S=6, A=2, uncertainty='l1', rectangularity='sa', support='nominal', gamma=0.99)
    """
    return RobustMDP(riverswim(S, version="strehl-littman", gamma=gamma), L1Ball(radius, support=support))


def drpg_garnet(
    S: int = 5,
    A: int = 6,
    b: int = 3,
    *,
    rng: np.random.Generator,
    rectangularity: str = "sa",
    support: str = "nominal",
    gamma: float = 0.95,
) -> RobustMDP:
    """The random problems of the DRPG experiments: b successors, costs that depend on them, random L1 radii.

    Weights of successors, costs c(s, a, s') and weights of initial states are U[0, 5], radii U[0.1, 0.5]; the reward
    is -c. Costs are drawn for all next states, since with `support="all"` any may come up.

    Parameters
    ----------
    S, A, b : int >= 1
        States, actions, successors of a pair. Published: (5, 6, 3), (10, 6, 3), (15, 8, 3); s-rectangular (10, 5, 10),
        (15, 8, 15). A label of the paper says (5, 4, 3) where its driver runs (5, 6, 3).
    rng : numpy.random.Generator
        Source of every draw.
    rectangularity : {"sa", "s"}
        Radii (S, A), or one for each state, (S,).

    Source
    ------
    Wang, Ho, Petrik (ICML 2023), "Policy gradient in robust MDPs with global convergence guarantee", section 6; laws
    from the authors' code.

    Examples
    --------
    >>> drpg_garnet(rng=np.random.default_rng(0)).nominal
    MDP(S=5, A=6, transitions=90, gamma=0.95)
    """
    for name, value in (("S", S), ("A", A), ("b", b)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    if b > S:
        raise ValueError(f"b is {b}; a pair has at most S = {S} distinct successors")
    successors = np.argsort(rng.random((S, A, S)), axis=2)[:, :, :b]
    weights = rng.uniform(0, 5, (S, A, b))
    P = np.zeros((S, A, S))
    np.put_along_axis(P, successors, weights / weights.sum(axis=2, keepdims=True), axis=2)
    cost = rng.uniform(0, 5, (S, A, S))
    mu = rng.uniform(0, 5, S)
    radius = rng.uniform(0.1, 0.5, (S, A) if rectangularity == "sa" else S)
    mdp = MDP(P, -cost, gamma, mu=mu / mu.sum())
    return RobustMDP(mdp, L1Ball(radius, rectangularity=rectangularity, support=support))


def drpg_policy(S: int, A: int, *, rng: np.random.Generator) -> np.ndarray:
    """The initial policy (S, A) of the DRPG experiments: rows proportional to U[0.1, 0.5].

    Examples
    --------
    >>> drpg_policy(3, 2, rng=np.random.default_rng(0)).sum(axis=1).round(12).tolist()
    [1.0, 1.0, 1.0]
    """
    weights = rng.uniform(0.1, 0.5, (S, A))
    return weights / weights.sum(axis=1, keepdims=True)
