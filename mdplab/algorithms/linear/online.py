r"""Optimistic value iteration by least squares: LSVI-UCB, its robust form DR-LSVI-UCB, and DR-RPO.

Before each episode the stages are passed backwards with the data so far,

    Q_h = min(r_h + phi . w_h + beta width(phi), H - h)_+,     V_h = max_a Q_h  or  tau log sum_a ref exp(Q_h / tau),

with w_h the ridge estimate of E V_{h+1} (LSVI-UCB), or of its least value over a ball of total variation around each
factor, max over alpha of E min(V, alpha) - rho (alpha - min V)_+ (DR-LSVI-UCB, DR-RPO). Then one episode is played in
the nominal process.

DR-RPO is reconstructed from the paper's abstract and from the public code of the same group for DR-LSVI-UCB: the text
of Gu, He, Liu, Xu (2025; arXiv:2510.14246) was not at hand, and none of its constants is claimed. `eta` gives a variant
by mirror steps from the last episode's policy,

    pi_k ~ (pi_{k-1})^(1 / (1 + eta tau)) ref^(eta tau / (1 + eta tau)) exp(eta Q / (1 + eta tau)),

which has the closed form as its limit for large eta.

Source: Jin, Yang, Wang, Jordan (2020), algorithm 1 (LSVI-UCB, with known rewards); Liu, Xu (2024b), DR-LSVI-UCB, from
its public code; our specification, B.2. Cost of an episode: O(H d^2 S + H S A d).
"""

from typing import Any

import numpy as np

from mdplab.kernels.linear import L1, L2, MAHALANOBIS, NOMINAL, TV, online_run
from mdplab.models import LinearMDP, RobustLinearMDP, Trace, TVBall

NORMS = {"l1": L1, "l2": L2, "mahalanobis": MAHALANOBIS}


def lsvi_ucb(
    linear: LinearMDP,
    *,
    episodes: int,
    beta: float,
    rng: np.random.Generator,
    ridge: float = 1.0,
    norm: str = "mahalanobis",
    checkpoints: Any = None,
    seeds: int = 1,
) -> Trace:
    """LSVI-UCB with known rewards: `dr_lsvi_ucb` without robustness.

    Parameters
    ----------
    linear, episodes, beta, rng, ridge, norm, checkpoints, seeds
        As for `dr_lsvi_ucb`.

    Returns
    -------
    Trace
        As `dr_lsvi_ucb` returns it.

    Raises
    ------
    ValueError
        As `dr_lsvi_ucb`.

    Examples
    --------
    >>> from mdplab.instances.linear import simulated_linear_mdp
    >>> run = lsvi_ucb(simulated_linear_mdp(), episodes=200, beta=2.0, rng=np.random.default_rng(0))
    >>> bool(run["estimate"][0].min() >= 1.62425012)  # the optimum
    True
    """
    return _run(linear, NOMINAL, 0.0, episodes, beta, rng, ridge, norm, None, 0.0, None, np.inf, checkpoints, seeds)


def dr_lsvi_ucb(
    linear: LinearMDP,
    *,
    rho: Any,
    episodes: int,
    beta: float,
    rng: np.random.Generator,
    ridge: float = 1.0,
    norm: str = "l1",
    fail: int | None = None,
    checkpoints: Any = None,
    seeds: int = 1,
) -> Trace:
    """DR-LSVI-UCB: optimistic value iteration against balls of total variation around the factors.

    Parameters
    ----------
    linear
        Simplex features, rewards in [0, 1], with `start`. Only features, rewards and draws of episodes are used.
    rho : float, array (H,) or (H, d)
        Radius of each factor's ball, in [0, 1].
    episodes : int >= 1
    beta : float >= 0
        Weight of the bonus.
    rng
        Source of every draw.
    ridge : float > 0
    norm : {"l1", "l2", "mahalanobis"}
        Of the bonus: `sum phi_i sqrt(Ainv_ii)` (the theorem's), the root of the sum of their squares (the public
        code's), `sqrt(phi' Ainv phi)`.
    fail : int, optional
        A state known to be worth 0, which the analysis needs.
    checkpoints : array of ints, optional
        Episodes (K,), increasing, before which the policy is recorded; all by default.
    seeds : int >= 1
        Independent runs, one after the other on the one generator.

    Returns
    -------
    Trace
        At the checkpoints: `policy` (seeds, K, H, S, A), `value` (seeds, K, S) the estimate at stage 0 (optimistic if
        beta is large enough), `estimate` (seeds, K) the same at the first state of that episode.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> from mdplab.instances.linear import simulated_linear_mdp
    >>> run = dr_lsvi_ucb(simulated_linear_mdp(), rho=0.1, episodes=50, beta=0.5, rng=np.random.default_rng(0))
    >>> run["policy"].shape
    (1, 50, 3, 5, 16)
    """
    return _run(linear, TV, rho, episodes, beta, rng, ridge, norm, fail, 0.0, None, np.inf, checkpoints, seeds)


def dr_rpo(
    linear: LinearMDP,
    *,
    rho: Any,
    tau: float,
    episodes: int,
    beta: float,
    rng: np.random.Generator,
    reference: Any = None,
    eta: float = np.inf,
    ridge: float = 1.0,
    norm: str = "l1",
    fail: int | None = None,
    checkpoints: Any = None,
    seeds: int = 1,
) -> Trace:
    """DR-RPO, reconstructed: DR-LSVI-UCB with a policy regularised towards a reference.

    Parameters
    ----------
    linear, rho, episodes, beta, rng, ridge, norm, fail, checkpoints, seeds
        As for `dr_lsvi_ucb`.
    tau : float > 0
        Price of KL(pi || reference).
    reference : array (A,), (S, A) or (H, S, A), optional
        Positive; uniform by default.
    eta : float > 0
        Step of the mirror variant; the closed form by default.

    Returns
    -------
    Trace
        As `dr_lsvi_ucb`; estimates are of the regularised value.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> from mdplab.instances.linear import simulated_linear_mdp
    >>> run = dr_rpo(simulated_linear_mdp(), rho=0.1, tau=0.1, episodes=400, beta=0.5, rng=np.random.default_rng(0))
    >>> bool((run["policy"] > 0).all())
    True
    """
    if not (np.isfinite(tau) and tau > 0):
        raise ValueError(f"tau is {tau:g}; expected a finite number above 0")
    if not eta > 0:
        raise ValueError(f"eta is {eta:g}; expected above 0")
    return _run(linear, TV, rho, episodes, beta, rng, ridge, norm, fail, tau, reference, eta, checkpoints, seeds)


def sized(name: str, values: Any, H: int, d: int, *, most: float = np.inf, positive: bool = False) -> np.ndarray:
    """Radii or temperatures (H, d), or ValueError."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape not in ((), (H,), (H, d)):
        raise ValueError(f"{name} has shape {array.shape}; expected a number, ({H},) or ({H}, {d})")
    bad = ~((array > 0 if positive else array >= 0) & (array <= most) & np.isfinite(array))
    if bad.any():
        at = [int(i) for i in np.argwhere(bad)[0]]
        where = f"{name}{at}" if at else name
        bounds = "a finite number above 0" if positive else f"a number in [0, {most:g}]"
        raise ValueError(f"{where} is {array[tuple(at)]:g}; expected {bounds}")
    return np.ascontiguousarray(np.broadcast_to(array[:, None] if array.ndim == 1 else array, (H, d)))


def check_simplex(phi: np.ndarray) -> None:
    """ValueError on features (S, A, d) that are negative or sum to more than 1: factors' worst cases do not add up.

    Less than 1 is left to features that fade out, as those of the put option do at the end of their grid.
    """
    bad = np.argwhere(phi < 0)
    if len(bad):
        at = [int(i) for i in bad[0]]
        raise ValueError(f"phi{at} is {phi[tuple(at)]:g}; robust learners need features of at least 0")
    sums = phi.sum(axis=2)
    bad = np.argwhere(sums > 1 + 1e-8)
    if len(bad):
        at = [int(i) for i in bad[0]]
        raise ValueError(f"phi{at} sums to {sums[tuple(at)]:.12g}; robust learners need at most 1")


def check_rewards(rewards: np.ndarray) -> None:
    """ValueError on rewards (H, S, A) outside [0, 1]: values are kept in [0, H - h], which would hide them."""
    bad = np.argwhere(~((rewards >= -1e-8) & (rewards <= 1 + 1e-8)))
    if len(bad):
        at = [int(i) for i in bad[0]]
        raise ValueError(f"rewards{at} is {rewards[tuple(at)]:g}; values kept in [0, H - h] need rewards in [0, 1]")


def check_learner(beta: float, ridge: float, norm: str, fail: int | None, S: int) -> None:
    """ValueError on a weight, a ridge, a norm or a state that a learner does not take."""
    if not (np.isfinite(beta) and beta >= 0):
        raise ValueError(f"beta is {beta:g}; expected a finite number of at least 0")
    if not (np.isfinite(ridge) and ridge > 0):
        raise ValueError(f"ridge is {ridge:g}; expected a finite number above 0")
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; expected one of {sorted(NORMS)}")
    if fail is not None and not (isinstance(fail, int | np.integer) and 0 <= fail < S):
        raise ValueError(f"fail is {fail!r}; expected a state in 0..{S - 1}")


def _run(
    linear: LinearMDP,
    kind: int,
    rho: Any,
    episodes: int,
    beta: float,
    rng: np.random.Generator,
    ridge: float,
    norm: str,
    fail: int | None,
    tau: float,
    reference: Any,
    eta: float,
    checkpoints: Any,
    seeds: int,
) -> Trace:
    H, S, A, d = linear.horizon, linear.S, linear.A, linear.d
    check_learner(beta, ridge, norm, fail, S)
    for name, value in (("episodes", episodes), ("seeds", seeds)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    if linear.start is None:
        raise ValueError("linear has no start; episodes need a first state or its distribution")
    check_rewards(linear.rewards())
    size = sized("rho", rho, H, d, most=1.0)
    if kind == TV:
        RobustLinearMDP(linear, TVBall(size))
    ref = np.full((H, S, A), 1 / A)
    if reference is not None:
        shape = np.shape(reference)
        if shape not in ((A,), (S, A), (H, S, A)):
            raise ValueError(f"reference has shape {shape}; expected {(A,)}, {(S, A)} or {(H, S, A)}")
        ref = np.ascontiguousarray(np.broadcast_to(np.asarray(reference, dtype=np.float64), (H, S, A)))
        if not (ref > 0).all() or np.abs(ref.sum(axis=2) - 1).max() > 1e-8:
            raise ValueError("reference is not a policy with positive probabilities")
    t = np.arange(episodes) if checkpoints is None else np.asarray(checkpoints, dtype=np.int64)
    if t.size == 0 or t[0] < 0 or t[-1] >= episodes or np.any(np.diff(t) <= 0):
        raise ValueError(f"checkpoints are {t.tolist()[:5]}...; expected increasing episodes in [0, {episodes})")
    cdf, start_cdf = np.cumsum(linear.kernels(), axis=3), np.cumsum(linear.start)
    policy, value = np.empty((seeds, t.size, H, S, A)), np.empty((seeds, t.size, S))
    every = np.empty((seeds, episodes))
    for i in range(seeds):
        online_run(
            kind,
            linear.phi,
            linear.rewards(),
            cdf,
            start_cdf,
            size,
            float(beta),
            NORMS[norm],
            float(ridge),
            -1 if fail is None else int(fail),
            float(tau),
            ref,
            float(eta),
            t,
            rng,
            policy[i],
            value[i],
            every[i],
        )
    return Trace(t, {"policy": policy, "value": value, "estimate": every[:, t]})
