r"""Mirror steps with the Tsallis KL divergence, and value iteration regularised by it.

    ln_q x = (x^(1-q) - 1) / (1 - q),   exp_q x = [1 + (1 - q) x]_+^(1 / (1-q)),   D_q(pi || mu) = E_pi[-ln_q(mu / pi)]
    argmax_pi <pi, Q> - tau D_q(pi || mu)  =  mu [ (1/q) (1 + (q - 1) (Q - psi) / tau) ]_+^(1 / (q-1)),

psi normalises; q = 1 is KL and gives mu exp(Q / tau) / Z. For q above 1 an action that is worse than the best by enough
loses all its mass, and once it has none no later step gives it back; while the spread of Q is below tau q / (q - 1)
that does not happen.

Source: Zhu, Chen, Schlegel, White 2023, "General Munchausen reinforcement learning with Tsallis KL divergence",
arXiv:2301.11476, with the convention of the authors' code; the greedy step derived. Cost of a step: a bisection for
psi with Newton steps between, about 10 evaluations of A powers a state.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import (
    check_array,
    check_checkpoints,
    check_count,
    check_errors,
    check_number,
    check_regular,
)
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP, Trace

_U = 2.0**-53
# A quarter of them halve the bracket, which makes its ends two neighbouring floats.
_SWEEPS = 400


def log_q(x: np.ndarray, q: float) -> np.ndarray:
    """ln_q x for x >= 0, any shape; the logarithm for q = 1.

    Examples
    --------
    >>> log_q(np.array([1.0, 3.0]), 0.0).round(12).tolist()
    [0.0, 2.0]
    """
    with np.errstate(divide="ignore"):
        log = np.log(x)
    # expm1 keeps the digits near q = 1.
    return log if q == 1 else np.expm1((1 - q) * log) / (1 - q)


def exp_q(x: np.ndarray, q: float) -> np.ndarray:
    """exp_q x, the inverse of ln_q where that is defined; any shape.

    Examples
    --------
    >>> exp_q(np.array([-2.0, 0.0, 2.0]), 0.0).round(12).tolist()
    [0.0, 1.0, 3.0]
    """
    if q == 1:
        return np.exp(x)
    with np.errstate(divide="ignore", over="ignore"):
        return np.exp(np.log1p(np.maximum((1 - q) * np.asarray(x, dtype=np.float64), -1.0)) / (1 - q))


def tsallis_kl(pi: np.ndarray, mu: np.ndarray, q: float) -> np.ndarray:
    """D_q(pi || mu) along the last axis, for pi supported within mu: (..., A), (..., A) -> (...).

    Examples
    --------
    >>> float(tsallis_kl(np.array([1.0, 0.0]), np.array([0.5, 0.5]), 2.0))
    1.0
    """
    used = pi > 0
    # A ratio can overflow where its logarithm does not.
    log = np.log(np.where(used, mu, 1.0)) - np.log(np.where(used, pi, 1.0))
    log = log if q == 1 else np.expm1((1 - q) * log) / (1 - q)
    return -np.sum(np.where(used, pi * log, 0.0), axis=-1)


def tsallis_greedy(Q: np.ndarray, mu: np.ndarray, *, tau: float, q: float) -> tuple[np.ndarray, np.ndarray]:
    """The regularised greedy step.

    Parameters
    ----------
    Q : array (S, A)
        Finite.
    mu : array (S, A)
        Reference weights, at least 0, not all 0 in a row; actions without weight stay without mass.
    tau : float > 0
    q : float > 0

    Returns
    -------
    (array (S, A), array (S,))
        The policy, rows divided by sums that rounding alone keeps from 1, and the normaliser psi (for q = 1 that with
        which the formula's limit mu exp((Q - psi) / tau - 1) sums to one).

    Raises
    ------
    ValueError
        Names the argument and the value.

    Notes
    -----
    The unknown is log(pi / mu) of the best action, so that a reference that all but lacks it costs no digits. For q > 1
    an action just short of losing its mass has the power 1 / (q - 1) of a difference: for q far above 3, and spreads
    many times tau, that magnifies rounding, and the sum that the rows are divided by can differ from 1 by more.

    Examples
    --------
    >>> pi, psi = tsallis_greedy(np.array([[1.0, 0.0, -5.0]]), np.full((1, 3), 1 / 3), tau=1.0, q=2.0)
    >>> pi.round(12).tolist(), psi.round(12).tolist()
    ([[0.583333333333, 0.416666666667, 0.0]], [-1.5])
    """
    check_number("tau", tau, above=True)
    check_number("q", q, above=True)
    Q, mu = np.asarray(Q, dtype=np.float64), np.asarray(mu, dtype=np.float64)
    if Q.shape != mu.shape or Q.ndim != 2:
        raise ValueError(f"Q and mu have shapes {Q.shape} and {mu.shape}; expected one shape (S, A)")
    for name, array, wrong in (("Q", Q, ~np.isfinite(Q)), ("mu", mu, ~(np.isfinite(mu) & (mu >= 0)))):
        if wrong.any():
            s, a = np.argwhere(wrong)[0]
            raise ValueError(f"{name}[{s}, {a}] is {array[s, a]}; expected a finite number{' >= 0' * (name == 'mu')}")
    if not (mu.max(axis=1) > 0).all():
        raise ValueError(f"mu[{int(np.argmin(mu.max(axis=1)))}] has no positive entry")
    used = mu > 0
    best = np.where(used, Q, -np.inf).max(axis=1, keepdims=True)
    y = np.where(used, (Q - best) / tau, 0.0)
    log_mu = np.log(np.where(used, mu, 1.0))
    if q == 1:
        pi = softmax(np.where(used, y + log_mu, -np.inf))
        log_z = np.log(np.sum(mu * np.exp(y), axis=1))
        return pi, best[:, 0] + tau * (log_z - 1)

    def weights(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The formula when the best action has e^z times its reference weight, and the slope of its sum in z."""
        top, shift = np.exp((q - 1) * z), (q - 1) * y / q
        inner, power = np.expm1((q - 1) * z) + shift, np.maximum(top + shift, 0.0)
        with np.errstate(divide="ignore"):
            # Near 1 the logarithm is that of 1 + inner, near 0 that of the power itself.
            log = np.where(inner > -0.5, np.log1p(np.maximum(inner, -0.5)), np.log(power))
            out = np.where(used, np.exp(log_mu + log / (q - 1)), 0.0)
        # Terms without mass have no slope, whatever their power.
        return out, (out * top / np.where(out > 0, power, np.inf)).sum(axis=1, keepdims=True)

    # At lo no action has more than its share of a sum of 1; at hi the best alone has 1, or every action its share.
    lo = -np.log(mu.sum(axis=1, keepdims=True))
    hi = -np.where(used & (y == 0), log_mu, -np.inf).max(axis=1, keepdims=True)
    if q > 1:
        room = np.expm1((q - 1) * lo) - (q - 1) * y.min(axis=1, keepdims=True) / q
        hi = np.minimum(hi, np.log1p(room) / (q - 1))
    z = lo
    for count in range(_SWEEPS):
        pi, slope = weights(z)
        excess = pi.sum(axis=1, keepdims=True) - 1
        lo, hi = np.where(excess <= 0, z, lo), np.where(excess <= 0, hi, z)
        middle = 0.5 * (lo + hi)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = z - excess / slope
        done = (np.abs(excess) <= 4 * Q.shape[1] * _U) | (np.abs(newton - z) <= 2 * _U * np.abs(z))
        if np.all(done | (middle == lo) | (middle == hi)):
            break
        # Newton's step where it stays in the bracket; every fourth time the bracket is halved whatever happens.
        z = np.where(done, z, np.where((newton > lo) & (newton < hi) & (count % 4 != 3), newton, middle))
    psi = best - tau * (1 + q * np.expm1((q - 1) * z) / (q - 1))
    return pi / pi.sum(axis=1, keepdims=True), psi[:, 0]


def tsallis_vi(
    mdp: MDP,
    *,
    tau: float,
    q: float,
    num_iters: int,
    errors: np.ndarray | None = None,
    q0: np.ndarray | None = None,
    fixed_reference: bool = False,
    checkpoints: Any = None,
) -> Trace:
    """Value iteration regularised by Tsallis KL to the previous policy; at q = 1, MD-VI(tau, 0).

    Parameters
    ----------
    mdp
        Discounted, with every action available.
    tau : float > 0
    q : float > 0
    num_iters : int >= 0
    errors : array (num_iters, S, A), optional
        errors[k - 1] is added to Q_k.
    q0 : array (S, A), optional
        0 by default.
    fixed_reference : bool
        True keeps the uniform policy as reference: regularised value iteration, with another limit.
    checkpoints : ints (K,), optional
        Iterations in [0, num_iters], increasing; all by default.

    Returns
    -------
    Trace
        `policy` and `q`, (K, S, A).

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    >>> tsallis_vi(mdp, tau=0.5, q=2.0, num_iters=20)["policy"][-1].tolist()
    [[1.0, 0.0]]
    """
    check_number("tau", tau, above=True)
    check_number("q", q, above=True)
    check_regular(mdp)
    num_iters, shape = check_count("num_iters", num_iters, 0), (mdp.S, mdp.A)
    kept, errors = check_checkpoints(checkpoints, num_iters), check_errors(errors, num_iters, shape)
    Q = np.zeros(shape) if q0 is None else check_array("q0", q0, shape)
    P = mdp.dense().P.reshape(mdp.S * mdp.A, mdp.S)
    uniform = pi = np.full(shape, 1 / mdp.A)
    out = np.empty((2, kept.size, *shape))
    place = 0
    for k in range(num_iters + 1):
        if place < kept.size and kept[place] == k:
            out[:, place] = pi, Q
            place += 1
        if k == num_iters:
            break
        reference = uniform if fixed_reference else pi
        pi = tsallis_greedy(Q, reference, tau=tau, q=q)[0]
        v = np.sum(pi * Q, axis=1) - tau * tsallis_kl(pi, reference, q)
        Q = mdp.r + mdp.gamma * (P @ v).reshape(shape)
        if errors is not None:
            Q = Q + errors[k]
    return Trace(kept, {"policy": out[0], "q": out[1]})
