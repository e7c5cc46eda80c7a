"""Linear decision processes: the published simulation and its data, random families, one-hot copies of tabular ones."""

import itertools

import numpy as np

from mdplab.models import MDP, LinearMDP, OfflineData

# States of the simulated linear process: x1, x2, x3 lead on, x4 is the fail state, x5 the goal.
FAIL, GOAL = 3, 4


def simulated_linear_mdp(delta: float = 0.3, xi: float = 0.2) -> LinearMDP:
    """The simulated linear process of the robust linear papers: five states, sixteen actions, three decisions.

    Actions are the sign vectors a in {-1, 1}^4, in lexicographic order; with x(a) = delta + (xi / 4) sum a, the goal x5
    is reached from x1, x2 and x3 with probability x(a), and pays 1 for each decision at stages 1 and 2 that starts (in
    expectation) there. The rest leads on, but for 0.001 of it, which fails.

    Parameters
    ----------
    delta, xi : float
        Base probability, and the norm ||xi||_1: `0 <= delta - xi` and `delta + xi <= 1`.

    Raises
    ------
    ValueError
        Numbers outside this range.

    Source
    ------
    Liu, Xu (2024), section 6, and the public code of Tang, Liu, Xu (2025); our specification, C.5.

    Examples
    --------
    >>> simulated_linear_mdp()
    LinearMDP(S=5, A=16, d=4, horizon=3)
    """
    if not (xi >= 0 and delta - xi >= 0 and delta + xi <= 1):
        raise ValueError(f"delta is {delta:g} and xi {xi:g}; expected 0 <= delta - xi and delta + xi <= 1")
    actions = np.array(list(itertools.product((-1, 1), repeat=4)))
    x = delta + xi / 4 * actions.sum(axis=1)
    phi = np.zeros((5, 16, 4))
    for s in range(3):
        phi[s, :, s], phi[s, :, 3] = 1 - x, x
    phi[FAIL, :, 2] = 1.0
    phi[GOAL, :, 3] = 1.0
    mu = np.zeros((3, 4, 5))
    mu[:, 2, FAIL] = mu[:, 3, GOAL] = 1.0
    for h in range(3):
        # x1 is left at stage 0, x2 at stage 1; where they are not, their factors are those of the next state.
        mu[h, 0, [1, FAIL]] = 0.999, 0.001
        mu[h, 1, [2, FAIL]] = 0.999, 0.001
    theta = np.zeros((3, 4))
    theta[1:, 3] = 1.0
    return LinearMDP(phi, mu, theta, 3, start=0)


def simulated_test_kernels(q: float, delta: float = 0.3, xi: float = 0.2) -> np.ndarray:
    """Kernels (3, 5, 16, 5) on which the published figure tests: the first step fails with probability q x(a).

    Raises
    ------
    ValueError
        q outside [0, 1].

    Source
    ------
    Public code of Tang, Liu, Xu (2025); our specification, C.5.

    Examples
    --------
    >>> simulated_test_kernels(0.5)[0, 0, 0].round(3).tolist()
    [0.0, 0.9, 0.0, 0.05, 0.05]
    """
    if not 0 <= q <= 1:
        raise ValueError(f"q is {q:g}; expected a probability")
    linear = simulated_linear_mdp(delta, xi)
    kernels, x = linear.kernels(), linear.phi[0, :, 3]
    kernels[0, 0] = 0.0
    kernels[0, 0, :, 1], kernels[0, 0, :, FAIL], kernels[0, 0, :, GOAL] = 1 - x, q * x, (1 - q) * x
    return kernels


def random_linear_mdp(S: int, A: int, d: int, horizon: int, *, rng: np.random.Generator) -> LinearMDP:
    """Features from the simplex, factors from Dirichlet laws, rewards in [0, 1]; stage by stage.

    Parameters
    ----------
    S, A, d, horizon : int >= 1
    rng : numpy.random.Generator

    Source
    ------
    Simplex features, as in Jin, Yang, Wang, Jordan (2020), example 2.2.

    Examples
    --------
    >>> random_linear_mdp(6, 3, 4, 5, rng=np.random.default_rng(0))
    LinearMDP(S=6, A=3, d=4, horizon=5)
    """
    for name, value in (("S", S), ("A", A), ("d", d), ("horizon", horizon)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    phi = rng.dirichlet(np.full(d, 0.5), (S, A))
    mu = rng.dirichlet(np.full(S, 0.5), (horizon, d))
    return LinearMDP(phi, mu, rng.random((horizon, d)), horizon, start=0)


def one_hot(mdp: MDP, horizon: int | None = None) -> LinearMDP:
    """A tabular problem as a linear one with d = S A features, one for each state and action.

    Parameters
    ----------
    mdp : MDP
        All actions available; its discount is ignored, since linear problems are undiscounted.
    horizon : int, optional
        The model's own by default.

    Raises
    ------
    ValueError
        No horizon, or an unavailable action.

    Source
    ------
    Jin, Yang, Wang, Jordan (2020), example 2.1.

    Examples
    --------
    >>> one_hot(MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [0.0]], 1.0, horizon=3))
    LinearMDP(S=2, A=1, d=2, horizon=3)
    """
    horizon = mdp.horizon if horizon is None else horizon
    if horizon is None:
        raise ValueError("horizon is None, and the model has none")
    if not mdp.actions.all():
        s, a = np.argwhere(~mdp.actions)[0]
        raise ValueError(f"actions[{s}, {a}] is False; one-hot features are for models with all actions available")
    S, A = mdp.S, mdp.A
    phi = np.eye(S * A).reshape(S, A, S * A)
    return LinearMDP(phi, mdp.dense().P.reshape(-1, S), mdp.r.reshape(-1), horizon, start=mdp.mu)


def uniform_data(linear: LinearMDP, n: int, *, rng: np.random.Generator) -> OfflineData:
    """`n` trajectories of the nominal process with uniform actions: the data of the published simulation.

    Parameters
    ----------
    linear
        With a `start`.
    n : int >= 1
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        No `start`, or `n` below 1.

    Source
    ------
    Public code of Tang, Liu, Xu (2025); our specification, C.5.

    Examples
    --------
    >>> uniform_data(simulated_linear_mdp(), 7, rng=np.random.default_rng(0))
    OfflineData(N=7, H=3, S=5, A=16)
    """
    if n < 1:
        raise ValueError(f"n is {n}; expected at least 1")
    if linear.start is None:
        raise ValueError("linear has no start; trajectories need a first state or its distribution")
    H, S, A = linear.horizon, linear.S, linear.A
    cdf = np.cumsum(linear.kernels(), axis=3)
    states, actions = np.empty((n, H + 1), dtype=np.int64), rng.integers(0, A, (n, H))
    states[:, 0] = np.searchsorted(np.cumsum(linear.start), rng.random(n), side="right")
    for h in range(H):
        rows = cdf[h, states[:, h], actions[:, h]]
        states[:, h + 1] = (rng.random(n)[:, None] >= rows).sum(axis=1)
    # A last cumulative sum may round below 1.
    return OfflineData(np.minimum(states, S - 1), actions, S, A)
