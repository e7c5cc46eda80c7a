"""Entropy- and KL-regularised discounted problems, by soft value iteration and soft policy iteration.

With temperature `tau > 0` and a reference `mu_ref` `(S, A)`, zero exactly where an action is unavailable or excluded,

    (T v)(s)    = tau log sum_a mu_ref(a | s) exp(q(s, a) / tau),    q = r + gamma P v, rows as stored,
    (T_pi v)(s) = sum_a pi(a | s) (q(s, a) - tau log(pi(a | s) / mu_ref(a | s))),    0 log 0 = 0.

A KL penalty has `mu_ref` a distribution; the entropy bonus is the case `mu_ref = 1` on available actions (then `T_pi`
subtracts `tau log pi`). The variational formula gives `T v = max_pi T_pi v`.

Certificate, kind `"soft"`: `lo`, `hi` `(S,)`, `tau`, `mu_ref` `(S, A)`, with pi the solution's policy `(S, A)`,
whose support lies in that of `mu_ref` and whose rows sum to 1 within `4 A u` (`u = 2^-53`) and are read as
normalised:

    lo <= T_pi lo,    T hi <= hi,    gamma max row sum < 1,

hence `lo <= V_tau^pi <= V_tau* <= hi`, as `T` and `T_pi` are monotone and contract. Margins are at least
`2 gamma_n (|r| + gamma P |v|)` with n the non-zeros of the row plus A plus 16, plus `16 gamma_n tau (1 + |log pi| +
|log mu_ref|)`.

Source: Ziebart 2010; Neu, Jonsson and Gomez 2017; Geist, Scherrer and Pietquin 2019.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu
from scipy.special import logsumexp

from mdplab.exact.arguments import checked_count, checked_positive, checked_tol, require_discounted
from mdplab.models import MDP, Certificate, Solution, SolverFailure

_U = 2.0**-53
# States up to which a soft policy is evaluated by a dense factorisation.
_DENSE = 500


@dataclass(frozen=True, eq=False, slots=True)
class _Soft:
    """The soft operator of a model: rows `s * A + a`, their allowances, and the largest discounted row sum."""

    mdp: MDP
    P: Any
    tau: float
    log_ref: np.ndarray
    n: np.ndarray
    shrink: float

    @classmethod
    def of(cls, mdp: MDP, tau: float, mu_ref: np.ndarray) -> "_Soft":
        P = mdp.P if mdp.is_sparse else mdp.P.reshape(mdp.S * mdp.A, mdp.S)
        count = np.diff(P.indptr) if mdp.is_sparse else np.count_nonzero(P, axis=1)
        with np.errstate(divide="ignore"):
            log_ref = np.log(mu_ref)
        n = (count.reshape(mdp.S, mdp.A) + mdp.A + 16) * _U
        rows = (P @ np.ones(mdp.S)).max() * (1 + 2 * n.max())
        # A policy's rows may sum to 1 + 4 A u.
        return cls(mdp, P, tau, log_ref, n / (1 - n), float(mdp.gamma * rows * (1 + 8 * mdp.A * _U)))

    def q(self, v: np.ndarray) -> np.ndarray:
        """`r + gamma P v` (S, A)."""
        return self.mdp.r + self.mdp.gamma * (self.P @ v).reshape(self.mdp.r.shape)

    def backup(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`T v` (S,) from q, and the log-probabilities (S, A) that attain it."""
        # Advantages, not values, are divided by tau: their digits are not lost in the values'.
        best = np.where(np.isfinite(self.log_ref), q, -np.inf).max(axis=1)
        scaled = self.log_ref + (q - best[:, None]) / self.tau
        top = logsumexp(scaled, axis=1)
        return best + self.tau * top, scaled - top[:, None]

    def allowance(self, v: np.ndarray, log_pi: np.ndarray) -> np.ndarray:
        """Margin (S,) that makes an inequality between floats hold exactly."""
        size = np.abs(self.mdp.r) + self.mdp.gamma * (self.P @ np.abs(v)).reshape(self.mdp.r.shape)
        seen = np.isfinite(self.log_ref)
        # Probabilities far below rounding weigh less than it does, whatever their logarithm.
        logs = np.minimum(np.abs(log_pi), 800.0) + np.where(seen, np.abs(self.log_ref), 0.0)
        each = 4 * self.n * size + 32 * self.n * self.tau * (1 + logs)
        return np.where(seen, each, 0.0).max(axis=1) + 4 * _U * np.abs(v)

    def policy_backup(self, v: np.ndarray, pi: np.ndarray) -> np.ndarray:
        """`T_pi v` (S,)."""
        used = pi > 0
        ratio = np.log(np.where(used, pi, 1.0)) - np.where(used, self.log_ref, 0.0)
        return np.sum(pi * (self.q(v) - self.tau * ratio), axis=1) / pi.sum(axis=1)


def soft_value_iteration(
    mdp: MDP, *, tau: float, reference: Any = None, tol: float = 1e-6, max_iters: int = 1_000_000
) -> Solution:
    """Optimal value with an entropy bonus, or a KL penalty to a reference policy, by iteration of the soft operator.

    Parameters
    ----------
    mdp : MDP
        Discounted.
    tau : float > 0
        Temperature: weight of the entropy, or of `KL(pi || reference)`.
    reference : array (S, A), optional
        Rows sum to 1; the policy's support lies in that of the reference. Entropy is used if it is absent.
    tol : float > 0
        Largest certified error of the value and of the policy's value.
    max_iters : int
        Limit on sweeps.

    Returns
    -------
    Solution
        Value `(S,)`, policy `(S, A)`, certificate of kind `"soft"`; extras `Q` `(S, A)` (minus infinity where
        unavailable) and `log_policy` `(S, A)`.

    Raises
    ------
    ValueError
        `tau`, `tol` or `reference` out of range.
    SolverFailure
        The certificate misses `tol`, or row sums undo the discount.

    Notes
    -----
    The soft operator is monotone and shifts constants by gamma, so MacQueen's bounds hold for it as for the hard one;
    when they meet, the value is moved to their middle, and a last sweep confirms it. The entropy value exceeds the
    hard one by at most
    `tau log A / (1 - gamma)`, a KL value falls short of it by at most `tau max(-log reference) / (1 - gamma)`.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
    >>> float(soft_value_iteration(mdp, tau=1.0).value[0].round(6))  # 2 log 2
    1.386294
    """
    started = time.perf_counter()
    op, mu_ref = _checked(mdp, tau, reference, "soft_value_iteration")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    v = np.zeros(mdp.S)
    factor = op.shrink / (1 - op.shrink)
    sweep, error = 0, np.inf
    while sweep < max_iters and error > tol / 4:
        sweep += 1
        new, _ = op.backup(op.q(v))
        low, high = factor * (new - v).min(), factor * (new - v).max()
        v, error = new, max(-low, high)
        if high - low <= tol / 4:
            # Once is enough if all rows sum to the same; each repetition removes all but their differences.
            v = v + (low + high) / 2
    return _certified(op, v, mu_ref, tol, "soft_value_iteration", sweep, started)


def soft_policy_iteration(
    mdp: MDP, *, tau: float, reference: Any = None, tol: float = 1e-6, max_iters: int = 1000
) -> Solution:
    """Optimal regularised value by Newton steps: each policy is evaluated exactly, so errors square.

    Parameters, result and errors are those of `soft_value_iteration`; `num_iters` counts evaluations.

    Notes
    -----
    `pi = softmax(log mu_ref + q / tau)` is the gradient of the soft operator, whose Newton step is the evaluation of pi
    (Geist, Scherrer and Pietquin 2019). Once the policy is nearly right convergence is quadratic, before that it is
    monotone and at least as fast as value iteration.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
    >>> float(soft_policy_iteration(mdp, tau=1.0).value[0].round(6))
    1.386294
    """
    started = time.perf_counter()
    op, mu_ref = _checked(mdp, tau, reference, "soft_policy_iteration")
    tol, max_iters = checked_tol(tol), checked_count("max_iters", max_iters)
    v, _ = op.backup(op.q(np.zeros(mdp.S)))
    last = np.inf
    iteration = 0
    while iteration < max_iters:
        iteration += 1
        _, log_pi = op.backup(op.q(v))
        v = _evaluated(op, log_pi)
        new, log_pi = op.backup(op.q(v))
        residual = np.abs(new - v).max()
        # At the rounding of a backup a further step only reshuffles the last digits.
        if residual <= op.allowance(v, log_pi).max() or (residual >= last and residual <= tol * (1 - op.shrink) / 4):
            break
        last = residual
    return _certified(op, v, mu_ref, tol, "soft_policy_iteration", iteration, started)


def _checked(mdp: MDP, tau: float, reference: Any, name: str) -> tuple[_Soft, np.ndarray]:
    require_discounted(mdp, name)
    tau = checked_positive("tau", tau)
    if reference is None:
        mu_ref = mdp.actions.astype(np.float64)
    else:
        mu_ref = np.array(reference, dtype=np.float64)
        if mu_ref.shape != (mdp.S, mdp.A):
            raise ValueError(f"reference has shape {mu_ref.shape}, expected ({mdp.S}, {mdp.A})")
        wrong = np.argwhere(~(np.isfinite(mu_ref) & (mu_ref >= 0)) | ((mu_ref > 0) & ~mdp.actions))
        if len(wrong):
            s, a = wrong[0]
            why = "expected at least 0" if mdp.actions[s, a] else "but the action is unavailable"
            raise ValueError(f"reference[{s}, {a}] is {mu_ref[s, a]:g}, {why}")
        sums = mu_ref.sum(axis=1)
        # The same tolerance as for the rows of a model.
        wrong = np.flatnonzero(np.abs(sums - 1) > 1e-8)
        if len(wrong):
            raise ValueError(f"reference[{wrong[0]}] sums to {sums[wrong[0]]:.12g}, not 1")
    op = _Soft.of(mdp, tau, mu_ref)
    if not op.shrink < 1:
        raise SolverFailure(
            f"gamma is {mdp.gamma!r}, and with the largest row sum the discount is {op.shrink!r}, not below 1"
        )
    return op, mu_ref


def _probabilities(log_pi: np.ndarray) -> np.ndarray:
    pi = np.exp(log_pi)
    return pi / pi.sum(axis=1, keepdims=True)


def _evaluated(op: _Soft, log_pi: np.ndarray) -> np.ndarray:
    """The regularised value (S,) of a policy."""
    mdp = op.mdp
    pi = _probabilities(log_pi)
    used = pi > 0
    ratio = np.where(used, log_pi, 0.0) - np.where(used, op.log_ref, 0.0)
    r_pi = np.sum(pi * (mdp.r - op.tau * ratio), axis=1)
    if mdp.is_sparse or mdp.S > _DENSE:
        index = np.repeat(np.arange(mdp.S), mdp.A)
        mix = sp.csr_array((pi.ravel(), (index, np.arange(mdp.S * mdp.A))), shape=(mdp.S, mdp.S * mdp.A))
        P_pi = mix @ op.P
        if sp.issparse(P_pi):
            return splu(sp.csc_array(sp.eye_array(mdp.S) - mdp.gamma * P_pi)).solve(r_pi)
    else:
        P_pi = np.einsum("sa,sat->st", pi, mdp.P)
    return np.linalg.solve(np.eye(mdp.S) - mdp.gamma * P_pi, r_pi)


def _certified(
    op: _Soft, v: np.ndarray, mu_ref: np.ndarray, tol: float, method: str, num_iters: int, started: float
) -> Solution:
    q = op.q(v)
    new, log_pi = op.backup(q)
    pi = _probabilities(log_pi)
    room = op.allowance(v, log_pi).max()
    # The allowance is taken at v, the bounds move by less than v does; twice covers both.
    up = (max(0.0, float((new - v).max())) + 2 * room) / (1 - op.shrink) * (1 + 1e-9)
    down = (max(0.0, float((v - op.policy_backup(v, pi)).max())) + 2 * room) / (1 - op.shrink) * (1 + 1e-9)
    lo, hi = v - down, v + up
    gap = float(np.nextafter((hi - lo).max(), np.inf))
    if not gap <= tol:
        raise SolverFailure(f"the bounds are {gap:.3g} apart after {num_iters} iterations, tol is {tol:.3g}")
    residuals = {"soft_bellman": float(np.abs(new - v).max()), "rounding": float(room)}
    data = {"lo": lo, "hi": hi, "tau": op.tau, "mu_ref": mu_ref}
    q = np.where(op.mdp.actions, q, -np.inf)
    seconds = time.perf_counter() - started
    certificate = Certificate("soft", gap, residuals, data)
    return Solution(v, pi, certificate, method, num_iters, seconds, extras={"Q": q, "log_policy": log_pi})
