r"""N-VR-PG: normalised variance-reduced policy gradient for a general utility, one trajectory an iteration.

    w = w(tau_t | theta_{t-1}, theta_t)                                                  tau_t drawn at theta_t
    lambda_t = eta_t lambda(tau_t) + (1 - eta_t)(lambda_{t-1} + u_t),       u_t = lambda(tau_t) (1 - w)
    d_t = eta_t g(tau_t, theta_t, r_{t-1}) + (1 - eta_t)(d_{t-1} + v_t),    r_t = grad F(lambda_t)
    v_t = g(tau_t, theta_t, r_{t-1}) - w g(tau_t, theta_{t-1}, r_{t-2})
    theta_{t+1} = theta_t + alpha_t d_t / |d_t|

with lambda_0 = lambda(tau_0), r_{-1} = r_0 and d_0 = g(tau_0, theta_0, r_0). Each correction has the mean of a
difference, E u_t = lambda_H(theta_t) - lambda_H(theta_{t-1}) and E v_t = grad <lambda_H, r_{t-1}>(theta_t) - grad
<lambda_H, r_{t-2}>(theta_{t-1}), because r_{t-1} and r_{t-2} do not depend on tau_t. The steps have length alpha_t, so
w <= exp(2 H alpha_{t-1}) for tabular policies: importance weights are bounded without an assumption.

Source: Barakat, Fatkhullin, He (ICML 2023, arXiv 2306.01854), algorithm N-VR-PG. The recursion is recalled, not read;
each of its identities is checked by enumeration, see `mdplab.papers.barakat2023`.
"""

import numpy as np

from mdplab.algorithms.policy_gradient import general_utility as parts
from mdplab.algorithms.policy_gradient.arguments import (
    check_array,
    check_checkpoints,
    check_count,
    check_indices,
    check_number,
)
from mdplab.kernels import general_utility as kernels
from mdplab.models import MDP, Trace
from mdplab.models.utility import Utility


def global_schedule(num_iters: int, alpha0: float) -> tuple[np.ndarray, np.ndarray]:
    """(eta, step), each (num_iters,), for the last iterate: eta_t = 2 / (t + 1), alpha_t = 2 alpha0 / (t + 2).

    eta_0 = 1: the first estimate stands alone. eta_1 = 1 too, so that the second forgets the first.

    Examples
    --------
    >>> eta, step = global_schedule(4, 1.0)
    >>> eta.round(3).tolist(), step.round(3).tolist()
    ([1.0, 1.0, 0.667, 0.5], [1.0, 0.667, 0.5, 0.4])
    """
    t = np.arange(check_count("num_iters", num_iters))
    check_number("alpha0", alpha0, above=True)
    return np.minimum(1.0, 2.0 / (t + 1)), 2.0 * alpha0 / (t + 2)


def stationary_schedule(num_iters: int, alpha0: float) -> tuple[np.ndarray, np.ndarray]:
    """(eta, step), each (num_iters,), for a random iterate: eta_t = (2 / (t + 1))^(2/3), alpha = alpha0 T^(-2/3).

    Examples
    --------
    >>> eta, step = stationary_schedule(8, 1.0)
    >>> round(float(eta[7]), 12), step.round(12).tolist()[:2]
    (0.396850262992, [0.25, 0.25])
    """
    t = np.arange(check_count("num_iters", num_iters))
    check_number("alpha0", alpha0, above=True)
    return np.minimum(1.0, 2.0 / (t + 1)) ** (2 / 3), np.full(num_iters, alpha0 * num_iters ** (-2 / 3))


def n_vr_pg(
    mdp: MDP,
    utility: Utility,
    *,
    horizon: int,
    eta: np.ndarray,
    step: np.ndarray,
    checkpoints: np.ndarray,
    rng: np.random.Generator,
    seeds: int = 1,
    theta0: np.ndarray | None = None,
    correction: float = 1.0,
    turn: float = 1.0,
    lagged: bool = True,
    normalised: bool = True,
) -> Trace:
    """Run N-VR-PG with a tabular softmax policy.

    Parameters
    ----------
    mdp
        Discounted, with a start distribution `mu` and every action available. Its rewards are not read: the utility
        has its own.
    utility
        What is maximised.
    horizon
        Steps H of a trajectory.
    eta, step
        `(T,)`: eta in (0, 1] with eta[0] = 1, steps above 0; see `global_schedule` and `stationary_schedule`.
    checkpoints
        `(K,)` iterations in [0, T), increasing.
    rng
        One generator is spawned from it for each run.
    seeds
        Independent runs.
    theta0
        Start logits `(S, A)`; the uniform policy by default.
    correction, turn, lagged, normalised
        The method as printed has the defaults. For ablations: u_t and v_t times `correction`; importance weights to the
        power `turn`; pseudo-rewards r_t and r_{t-1} in place of r_{t-1} and r_{t-2}; steps along d_t, not scaled.

    Returns
    -------
    Trace
        `theta`, `d`, `occupancy` (seeds, K, S, A): theta_t, d_t and lambda_t; `log_weight` (seeds, K), the largest log
        importance weight so far; `clipped` (seeds, K), arguments of the utility below its floor so far.

    Raises
    ------
    ValueError
        An argument out of range; or, with the state, the action and the value, a utility whose gradient is not finite
        where the run came.

    Examples
    --------
    >>> from mdplab.models.utility import linear_utility
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> eta, step = global_schedule(500, 1.0)
    >>> run = n_vr_pg(mdp, linear_utility(mdp.r), horizon=8, eta=eta, step=step, checkpoints=np.array([499]),
    ...               rng=np.random.default_rng(0))
    >>> bool(run["theta"][0, 0, 0, 0] - run["theta"][0, 0, 0, 1] > 4)
    True
    """
    step, eta = parts.check_schedule(step, eta)
    if eta[0] != 1:
        raise ValueError(f"eta[0] is {eta[0]}; the first estimate stands alone, with eta[0] = 1")
    checkpoints, seeds = check_checkpoints(checkpoints, eta.size - 1), check_count("seeds", seeds)
    check_number("correction", correction, -np.inf)
    check_number("turn", turn, -np.inf)
    model, objective = parts.sampling_arguments(mdp, horizon), parts.utility_arguments(utility, mdp)
    theta0, carry = parts.check_logits("theta0", theta0, mdp), correction * (1 - eta)
    out = {name: np.empty((seeds, checkpoints.size, mdp.S * mdp.A)) for name in ("theta", "d", "occupancy")}
    counts = {name: np.empty((seeds, checkpoints.size)) for name in ("log_weight", "clipped")}
    for i, stream in enumerate(rng.spawn(seeds)):
        fault, rows = np.zeros(3), [table[i] for table in (*out.values(), *counts.values())]
        iteration = kernels.n_vr_pg(*model, *objective, theta0, eta, carry, step, float(turn), lagged, normalised,
                                    checkpoints, stream, *rows, fault)  # fmt: skip
        if iteration >= 0:
            parts.raise_fault(utility, iteration, fault)
    shaped = {name: table.reshape(seeds, checkpoints.size, mdp.S, mdp.A) for name, table in out.items()}
    return Trace(checkpoints, shaped | counts)


def corrected_estimates(
    model: tuple, theta: np.ndarray, previous: np.ndarray, pairs: np.ndarray, eta: float, lam: np.ndarray,
    d: np.ndarray, r: np.ndarray, r_old: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """(w, lambda_t, d_t) of one iteration as the compiled run computes them, for each of N given trajectories.

    Parameters
    ----------
    model
        From `sampling_arguments`.
    theta, previous
        Logits `(S, A)` at t and t - 1.
    pairs
        `(N, H)` int64, s * A + a.
    eta
        Momentum of the iteration.
    lam, d
        lambda_{t-1} and d_{t-1}, `(S, A)`.
    r, r_old
        Pseudo-rewards r_{t-1} and r_{t-2}, `(S, A)`.

    Returns
    -------
    w (N,), lambda_t (N, S, A), d_t (N, S, A).
    """
    if np.ndim(pairs) != 2:
        raise ValueError(f"pairs has shape {np.shape(pairs)}; expected (N, H)")
    theta = check_array("theta", theta, np.shape(theta))
    pairs = check_indices("pairs", pairs, theta.size)
    named = (("previous", previous), ("lam", lam), ("d", d), ("r", r), ("r_old", r_old))
    previous, lam, d, r, r_old = (check_array(name, x, theta.shape) for name, x in named)
    check_number("eta", eta, most=1, above=True)
    shape, A, powers, N = theta.shape, theta.shape[1], model[-1], len(pairs)
    (log_pi, pi), (log_old, pi_old) = (np.empty((2, theta.size)) for _ in range(2))
    kernels.softmax_rows(np.array(theta).reshape(-1), A, log_pi, pi)
    kernels.softmax_rows(np.array(previous).reshape(-1), A, log_old, pi_old)
    w, lams, ds = np.empty(N), np.empty((N, theta.size)), np.empty((N, theta.size))
    r, r_old = np.array(r).reshape(-1), np.array(r_old).reshape(-1)
    for i, row in enumerate(np.array(pairs, dtype=np.int64)):
        w[i] = np.exp(kernels.log_ratio(row, log_old, log_pi))
        lams[i], ds[i] = np.reshape(lam, -1), np.reshape(d, -1)
        kernels.track_occupancy(row, powers, eta, 1 - eta, w[i], lams[i])
        kernels.track_direction(row, powers, eta, 1 - eta, w[i], A, pi, pi_old, r, r_old, ds[i])
    return w, lams.reshape(N, *shape), ds.reshape(N, *shape)
