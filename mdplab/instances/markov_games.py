"""Zero-sum Markov games: a random family, Littman's soccer, and van der Wal's game, on which Newton cycles.

Rewards are the first player's.
"""

import itertools

import numpy as np

from mdplab.models import MarkovGame

_MOVES = ((-1, 0), (1, 0), (0, 1), (0, -1), (0, 0))


def random_markov_game(
    S: int, A: int, B: int, gamma: float, *, rng: np.random.Generator, branching: int | None = None
) -> MarkovGame:
    """Rewards uniform on [-1, 1]; next states drawn without replacement, with uniform Dirichlet probabilities.

    Parameters
    ----------
    S, A, B : int >= 1
        States, and actions of the two players.
    gamma : float in [0, 1)
        Discount factor.
    rng
        Source of every draw.
    branching : int in 1..S, optional
        Next states of each row; all by default.

    Examples
    --------
    >>> random_markov_game(4, 2, 3, 0.9, rng=np.random.default_rng(0), branching=2)
    MarkovGame(S=4, A=2, B=3, gamma=0.9)
    """
    width = S if branching is None else branching
    if not 1 <= width <= S:
        raise ValueError(f"branching is {branching}; expected in 1..{S}")
    T = np.zeros((S, A, B, S))
    for index in np.ndindex(S, A, B):
        T[index][rng.choice(S, size=width, replace=False)] = rng.dirichlet(np.ones(width))
    return MarkovGame(rng.uniform(-1, 1, (S, A, B)), T, gamma)


def soccer(rows: int = 4, cols: int = 5, gamma: float = 0.9) -> MarkovGame:
    """Two players and a ball on a small field; both move at once, in random order, and score by leaving with the ball.

    Parameters
    ----------
    rows : int >= 2
        Even: the goals are the two middle rows at either end.
    cols : int >= 3
        Columns.
    gamma : float in [0, 1)
        Discount factor.

    Returns
    -------
    MarkovGame
        State `2 * (p * (n - 1) + q) + ball`: cell p of the first player, the second's rank q among the other n - 1
        cells, and who has the ball (0 or 1). Actions north, south, east, west, stand. The first player attacks the
        right end. A goal pays 1 to the scorer, and play starts again with the ball given at random.

    Notes
    -----
    A move into the other's cell does not happen, and gives the ball to the other. Each player starts in the second
    column from the own goal. A half-turn of the field that swaps the players (`half_turn`) maps the game to itself with
    its rewards negated; so the value of a state is minus that of its image.

    Source
    ------
    Littman (1994), "Markov games as a framework for multi-agent reinforcement learning", section 5: 4 x 5, gamma 0.9.

    Examples
    --------
    >>> soccer(2, 3)
    MarkovGame(S=60, A=5, B=5, gamma=0.9)
    """
    if rows < 2 or rows % 2:
        raise ValueError(f"rows is {rows}; expected an even number of at least 2")
    if cols < 3:
        raise ValueError(f"cols is {cols}; expected at least 3")
    cells = list(itertools.product(range(rows), range(cols)))
    states = [(p, q, ball) for p in cells for q in cells if q != p for ball in (0, 1)]
    number = {state: i for i, state in enumerate(states)}
    # A half-turn maps one to the other.
    home = (rows // 2, 1), (rows // 2 - 1, cols - 2)
    kickoff = [number[(*home, ball)] for ball in (0, 1)]
    S = len(states)
    R, T = np.zeros((S, 5, 5)), np.zeros((S, 5, 5, S))
    for i, (p, q, ball) in enumerate(states):
        for a, b in itertools.product(range(5), range(5)):
            for order in ((0, 1), (1, 0)):
                outcome, goal = _play((p, q), ball, (_MOVES[a], _MOVES[b]), order, rows, cols)
                R[i, a, b] += 0.5 * goal
                if goal:
                    T[i, a, b, kickoff] += 0.25
                else:
                    T[i, a, b, number[outcome]] += 0.5
    mu = np.zeros(S)
    mu[kickoff] = 0.5
    return MarkovGame(R, T, gamma, mu=mu)


def _play(
    places: tuple, ball: int, moves: tuple, order: tuple[int, int], rows: int, cols: int
) -> tuple[tuple[tuple[int, int], tuple[int, int], int], int]:
    """The state after both moves in the given order, and 1, -1 or 0: who scored."""
    at = list(places)
    for player in order:
        row, col = at[player][0] + moves[player][0], at[player][1] + moves[player][1]
        in_goal = rows // 2 - 1 <= row <= rows // 2 and col == (cols if player == 0 else -1)
        if in_goal and ball == player:
            return (at[0], at[1], ball), 1 if player == 0 else -1
        if (row, col) == at[1 - player]:
            ball = 1 - player
        elif 0 <= row < rows and 0 <= col < cols:
            at[player] = (row, col)
    return (at[0], at[1], ball), 0


def half_turn(rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """The symmetry of `soccer`: the image of each state under a half-turn that swaps the players, and of each move.

    Returns
    -------
    (int array (S,), int array (5,))

    Examples
    --------
    >>> states, moves = half_turn(2, 3)
    >>> bool((states[states] == range(60)).all()), moves.tolist()
    (True, [1, 0, 3, 2, 4])
    """
    n = rows * cols
    p, q, ball = (array.ravel() for array in np.meshgrid(range(n), range(n - 1), range(2), indexing="ij"))
    other = q + (q >= p)
    # Cell c turns to n - 1 - c.
    p_new, other_new = n - 1 - other, n - 1 - p
    q_new = other_new - (other_new > p_new)
    return 2 * (p_new * (n - 1) + q_new) + 1 - ball, np.array([1, 0, 3, 2, 4])


def van_der_wal_game() -> MarkovGame:
    """Van der Wal's game, on which strategy iteration without a safeguard alternates between the values 12 and 4.

    Payoffs [[3, 6], [2, 1]], probabilities to go on [[1, 1/3], [1, 1]], discount 3/4; state 1 is the end.

    Notes
    -----
    The value of state 0 is 8: there the game is [[9, 8], [8, 7]] with saddle point (0, 1), 6 + 3/4 * 8 / 3 = 8. From 0
    the pair (0, 0) is worth 3 / (1 - 3/4) = 12; at 12 the game is [[12, 9], [11, 10]] with saddle point (1, 1), worth
    1 / (1 - 3/4) = 4; at 4 it is [[6, 7], [5, 4]], with saddle point (0, 0) again.

    Source
    ------
    Van der Wal (1978), "Discounted Markov games: generalized policy iteration method", J. Optim. Theory Appl. 25.

    Examples
    --------
    >>> van_der_wal_game()
    MarkovGame(S=2, A=2, B=2, gamma=0.75)
    """
    R = np.array([[[3.0, 6.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    T = np.zeros((2, 2, 2, 2))
    T[0, :, :, 0] = 1.0
    T[0, 0, 1] = 1 / 3, 2 / 3
    T[1, :, :, 1] = 1.0
    return MarkovGame(R, T, 0.75)
