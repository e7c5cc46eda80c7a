r"""Mirror steps with the Tsallis KL divergence, and value iteration regularised by it.

    ln_q x = (x^(1-q) - 1) / (1 - q),   exp_q x = [1 + (1 - q) x]_+^(1 / (1-q)),   D_q(pi || mu) = E_pi[-ln_q(mu / pi)]
    argmax_pi <pi, Q> - tau D_q(pi || mu)  =  mu [ (1/q) (1 + (q - 1) (Q - psi) / tau) ]_+^(1 / (q-1)),

psi normalises; q = 1 is KL and gives mu exp(Q / tau) / Z. For q above 1 an action that is worse than the best by enough
loses all its mass, and once it has none no later step gives it back; while the spread of Q is below tau q / (q - 1)
that does not happen.

Source: Zhu, Chen, Schlegel, White 2023, "General Munchausen reinforcement learning with Tsallis KL divergence",
arXiv:2301.11476, with the convention of the authors' code; the greedy step derived. Cost of a step: a bisection over
psi, about 60 evaluations of A powers a state.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.games.iteration import check_checkpoints, check_positive
from mdplab.algorithms.policy_gradient.md_vi import check_regular
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP, Trace

# A bisection halves the bracket until it is two neighbouring floats; no float is reached later than this.
_HALVINGS = 120


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
    ratio = np.where(used, mu, 1.0) / np.where(used, pi, 1.0)
    return -np.sum(np.where(used, pi * log_q(ratio, q), 0.0), axis=-1)


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

    Examples
    --------
    >>> pi, psi = tsallis_greedy(np.array([[1.0, 0.0, -5.0]]), np.full((1, 3), 1 / 3), tau=1.0, q=2.0)
    >>> pi.round(12).tolist(), psi.round(12).tolist()
    ([[0.583333333333, 0.416666666667, 0.0]], [-1.5])
    """
    check_positive("tau", tau)
    check_positive("q", q)
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
    # In units of tau and from the best: y <= 0, and psi = best + tau (x - 1) with x = 0 where the best keeps mu.
    y = np.where(used, (Q - best) / tau, 0.0)
    log_mu = np.log(np.where(used, mu, 1.0))
    if q == 1:
        pi = softmax(np.where(used, y + log_mu, -np.inf))
        log_z = np.log(np.sum(mu * np.exp(y), axis=1))
        return pi, best[:, 0] + tau * (log_z - 1)

    def weights(x: np.ndarray) -> np.ndarray:
        """mu [1 + (q - 1) (y - x) / q]_+^(1 / (q-1))."""
        with np.errstate(divide="ignore", over="ignore"):
            grown = np.log1p(np.maximum((q - 1) * (y - x) / q, -1.0)) / (q - 1)
            return np.where(used, np.exp(log_mu + grown), 0.0)

    # At lo the best action alone outweighs 1, or every action keeps its share of a sum of 1; at hi none has more.
    top = np.where(used & (y == 0), log_mu, -np.inf).max(axis=1, keepdims=True)
    total = np.log(mu.sum(axis=1, keepdims=True))
    hi = -q * np.expm1((1 - q) * total) / (q - 1)
    with np.errstate(over="ignore"):
        alone = -q * np.expm1((1 - q) * top) / (q - 1)
    lo = np.maximum(alone, y.min(axis=1, keepdims=True) + hi)
    for _ in range(_HALVINGS):
        middle = 0.5 * (lo + hi)
        if np.all((middle == lo) | (middle == hi)):
            break
        heavy = weights(middle).sum(axis=1, keepdims=True) >= 1
        lo, hi = np.where(heavy, middle, lo), np.where(heavy, hi, middle)
    pi = weights(lo)
    return pi / pi.sum(axis=1, keepdims=True), (best + tau * (lo - 1))[:, 0]


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
    check_positive("tau", tau)
    check_positive("q", q)
    check_regular(mdp)
    kept, shape = check_checkpoints(num_iters, checkpoints), (mdp.S, mdp.A)
    if errors is not None and np.shape(errors) != (num_iters, *shape):
        raise ValueError(f"errors has shape {np.shape(errors)}, expected {(num_iters, *shape)}")
    Q = np.zeros(shape) if q0 is None else np.array(q0, dtype=np.float64)
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
