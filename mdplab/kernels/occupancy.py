"""Euclidean projection on the flow polytope: the inner problem of performative reinforcement learning.

The flow polytope of a discounted problem is `C = {d >= 0 : sum_a d(s, a) = mu(s) + gamma sum_{s', a'} d(s', a')
P(s | s', a')}`, that is `A d = mu` with `A[s, (s', a')] = 1{s = s'} - gamma P(s | s', a')`. The projection of a target
t has the dual

    minimise over h (S,):  f(h) = |(t - A^T h)_+|^2 / 2 + mu . h,        d = (t - A^T h)_+,   gradient mu - A d.

Maximising `<d, r> - lam |d|^2 / 2` over C is the case `t = r / lam`; then `lam h` is a value function of `r - lam d`.

The method is Newton's on this piecewise quadratic, with Armijo's rule. The matrix is `A_J A_J^T`, J the active pairs
(`t - A^T h > 0`) and the best pair of every state: then each state has a pair in J, `A_J` has full rank, and no ridge
is needed. It is still the exact Newton step where a state is never reached, because the extra column of that state is
annihilated by the right choice of its own entry of the step. Before each step h is lowered at states without flow to
where flow could begin. Where targets are large (lam small) the pieces are short
and Newton's method zigzags; after a few dozen steps a primal-dual interior-point method takes over, and Newton
finishes.
"""

from typing import NamedTuple

import numpy as np

from mdplab.kernels._jit import kernel

# Newton steps after which the interior-point method is tried.
_PATIENCE = 40


class Projection(NamedTuple):
    """Occupancy `d` (S, A), dual vector `h` (S,), `residual` max |mu - A d| and Newton steps."""

    d: np.ndarray
    h: np.ndarray
    residual: float
    num_iters: int


def project_flow(
    P: np.ndarray,
    mu: np.ndarray,
    gamma: float,
    target: np.ndarray,
    *,
    available: np.ndarray | None = None,
    start: np.ndarray | None = None,
    tol: float = 1e-12,
    max_iters: int = 200,
) -> Projection:
    """The point of the flow polytope nearest to a target.

    Parameters
    ----------
    P : array (S, A, S)
        Transition probabilities.
    mu : array (S,)
        Start distribution; zeros are allowed.
    gamma : float in [0, 1)
        Discount factor.
    target : array (S, A)
        Any finite numbers.
    available : bool array (S, A), optional
        Pairs that may carry flow. A state without any (a terminal state that is left out of the occupancy) has no
        flow constraint, and h is 0 there.
    start : array (S,), optional
        Dual vector to start from, as returned for a similar problem.
    tol : float > 0
        Stops at this residual; the best that rounding allows is taken if that is larger.
    max_iters : int >= 1
        Limit on Newton steps; the residual tells whether it was enough.

    Examples
    --------
    >>> out = project_flow(np.ones((1, 2, 1)), np.ones(1), 0.5, np.array([[3.0, 0.0]]))
    >>> out.d.round(12).tolist(), out.residual < 1e-12
    ([[2.0, 0.0]], True)
    """
    S, A = target.shape
    P = np.ascontiguousarray(P, dtype=np.float64).view()
    P.flags.writeable = False
    mu = np.array(mu, dtype=np.float64)
    allowed = np.ones((S, A), dtype=np.bool_) if available is None else np.array(available, dtype=np.bool_)
    t = np.array(target, dtype=np.float64)
    if start is None:
        # Low enough for every pair to be active: the first step is then the projection on the affine hull.
        h = np.full(S, min(0.0, float(t.min(initial=0.0))) - 1.0) / (1 - gamma)
    else:
        h = np.array(start, dtype=np.float64)
    d = np.zeros((S, A))
    residual, steps = _newton(P, mu, float(gamma), t, allowed, float(tol), min(_PATIENCE, max_iters), h, d)
    # What rounding leaves of targets far larger than the flow.
    floor = max(tol, 1e-13 * float(np.abs(t).max(initial=0.0)))
    if not residual <= floor and max_iters > _PATIENCE:
        h2, inner = _interior(P, mu, gamma, t, allowed)
        d2 = np.zeros((S, A))
        residual2, more = _newton(P, mu, float(gamma), t, allowed, float(tol), max_iters - _PATIENCE, h2, d2)
        steps += inner + more
        if residual2 < residual:
            d, h, residual = d2, h2, residual2
    return Projection(d, h, float(residual), int(steps))


def _interior(
    P: np.ndarray, mu: np.ndarray, gamma: float, t: np.ndarray, allowed: np.ndarray
) -> tuple[np.ndarray, int]:
    """An approximate dual vector (S,) and steps, by Mehrotra's predictor and corrector on the reachable states."""
    seen = (mu > 0) & allowed.any(axis=1)
    ahead = np.any((P > 0) & allowed[:, :, None], axis=1)
    grown = seen | (ahead[seen].any(axis=0) & allowed.any(axis=1))
    while grown.sum() > seen.sum():
        seen, grown = grown, grown | (ahead[grown].any(axis=0) & allowed.any(axis=1))
    rows = np.flatnonzero(seen)
    pairs = allowed & seen[:, None]
    s_of = np.flatnonzero(pairs.ravel()) // t.shape[1]
    A = (rows[:, None] == s_of).astype(np.float64) - gamma * P[pairs][:, rows].T
    target, b, n = t[pairs], mu[rows], len(s_of)
    h = np.zeros(len(rows))
    d = np.full(n, 1 / (1 - gamma) / n)
    s = np.full(n, max(1.0, float(np.abs(target).max())))
    steps = 0
    while steps < 60:
        steps += 1
        dual, primal, mean = d - target + A.T @ h - s, A @ d - b, float(d @ s) / n
        if mean <= 1e-15 * (1 + np.abs(target).max()) and np.abs(primal).max() <= 1e-13:
            break
        weight = d / (d + s)
        matrix = (A * weight) @ A.T
        centre = 0.0
        extra = np.zeros(n)
        for _ in range(2):
            slack = (d * s - centre * mean + extra) / d
            dh = np.linalg.lstsq(matrix, primal - A @ (weight * (dual + slack)), rcond=None)[0]
            dd = -weight * (dual + slack + A.T @ dh)
            ds = -slack - s * dd / d
            shrink = [-np.min(dx / x, initial=0.0) for x, dx in ((d, dd), (s, ds))]
            length = 1.0 if max(shrink) <= 0.995 else 0.995 / float(max(shrink))
            if centre == 0.0:
                affine = float((d + length * dd) @ (s + length * ds)) / n
                centre, extra = max(1e-8, (affine / mean) ** 3), dd * ds
        d, h, s = d + length * dd, h + length * dh, s + length * ds
    full = np.full(len(mu), max(float(h.max()), float(target.max()) / (1 - gamma)))
    full[rows] = h
    full[~allowed.any(axis=1)] = 0.0
    return full, steps


@kernel
def _newton(P, mu, gamma, target, available, tol, max_iters, out_h, out_d):
    """Residual and steps; P (S, A, S), mu (S,), target, available, out_d (S, A), out_h (S,) start and result."""
    S, A = target.shape
    # Most models are sparse even where they are stored densely, and all that follows only looks at non-zeros.
    ptr = np.zeros(S * A + 1, np.int64)
    count = 0
    for s in range(S):
        for a in range(A):
            if available[s, a]:
                for j in range(S):
                    count += P[s, a, j] != 0.0
            ptr[s * A + a + 1] = count
    idx = np.zeros(count, np.int64)
    val = np.zeros(count)
    count = 0
    for s in range(S):
        for a in range(A):
            if available[s, a]:
                for j in range(S):
                    if P[s, a, j] != 0.0:
                        idx[count] = j
                        val[count] = gamma * P[s, a, j]
                        count += 1
    scratch = np.zeros((S, S))
    grad = np.zeros(S)
    p = np.zeros(S)
    z = np.zeros((S, A))
    q = np.zeros((S, A))
    open_ = np.zeros(S, np.bool_)
    for s in range(S):
        for a in range(A):
            open_[s] |= available[s, a]
        if not open_[s]:
            out_h[s] = 0.0
    _excess(ptr, idx, val, target, available, out_h, z)
    residual = _gradient(ptr, idx, val, mu, open_, z, grad)
    steps = 0
    stalled = 0
    while steps < max_iters and residual > tol and stalled < 3:
        steps += 1
        if _lower(ptr, idx, val, available, open_, z, out_h):
            _excess(ptr, idx, val, target, available, out_h, z)
            _gradient(ptr, idx, val, mu, open_, z, grad)
        _solve(ptr, idx, val, available, open_, z, grad, scratch, p)
        _slope(ptr, idx, val, available, p, q)
        t = _search(mu, z, q, p)
        for s in range(S):
            out_h[s] += t * p[s]
        _excess(ptr, idx, val, target, available, out_h, z)
        last = residual
        residual = _gradient(ptr, idx, val, mu, open_, z, grad)
        # Near the rounding floor a Newton step only reshuffles the last digits.
        floor = 1e-9 * (1 + last)
        stalled = stalled + 1 if residual >= 0.5 * last and residual <= floor else 0
    _solve(ptr, idx, val, available, open_, z, grad, scratch, p)
    _slope(ptr, idx, val, available, p, q)
    for s in range(S):
        for a in range(A):
            out_d[s, a] = max(0.0, z[s, a])
    # One correction along the active pairs alone takes out the rounding of t - A^T h where both are large.
    fixed = np.zeros((S, A))
    for s in range(S):
        for a in range(A):
            if z[s, a] > 0:
                fixed[s, a] = max(0.0, z[s, a] - q[s, a])
    better = _gradient(ptr, idx, val, mu, open_, fixed, grad)
    if better < residual:
        residual = better
        for s in range(S):
            for a in range(A):
                out_d[s, a] = fixed[s, a]
    return residual, steps


@kernel
def _excess(ptr, idx, val, target, available, h, out_z):
    """target - A^T h (S, A), -inf where unavailable; ptr, idx, val: the rows s A + a of gamma P, compressed."""
    S, A = target.shape
    for s in range(S):
        for a in range(A):
            if not available[s, a]:
                out_z[s, a] = -np.inf
                continue
            ahead = 0.0
            for e in range(ptr[s * A + a], ptr[s * A + a + 1]):
                ahead += val[e] * h[idx[e]]
            out_z[s, a] = (target[s, a] - h[s]) + ahead


@kernel
def _slope(ptr, idx, val, available, p, out_q):
    """A^T p (S, A); 0 where unavailable."""
    S, A = out_q.shape
    for s in range(S):
        for a in range(A):
            ahead = 0.0
            for e in range(ptr[s * A + a], ptr[s * A + a + 1]):
                ahead += val[e] * p[idx[e]]
            out_q[s, a] = p[s] - ahead if available[s, a] else 0.0


@kernel
def _lower(ptr, idx, val, available, open_, z, out_h):
    """Lower h at states without flow to where their best pair would become active; whether any was lowered.

    The dual does not grow: its derivative there is the inflow, which is not negative. Where the inflow is tiny the dual
    is so flat that Newton's step, whose matrix counts the best pair as active, would hardly move.
    """
    S, A = z.shape
    any_lowered = False
    for s in range(S):
        if not open_[s]:
            continue
        room = np.inf
        for a in range(A):
            if available[s, a]:
                back = 0.0
                for e in range(ptr[s * A + a], ptr[s * A + a + 1]):
                    if idx[e] == s:
                        back = val[e]
                room = min(room, max(0.0, -z[s, a]) / (1.0 - back))
        if room > 0.0:
            out_h[s] -= room
            any_lowered = True
    return any_lowered


@kernel
def _gradient(ptr, idx, val, mu, open_, z, out_grad):
    """mu - A z_+ (S,), 0 at states without a constraint, and the largest entry's magnitude."""
    S, A = z.shape
    for s in range(S):
        out_grad[s] = mu[s]
    for s in range(S):
        for a in range(A):
            if z[s, a] > 0:
                out_grad[s] -= z[s, a]
                for e in range(ptr[s * A + a], ptr[s * A + a + 1]):
                    out_grad[idx[e]] += z[s, a] * val[e]
    worst = 0.0
    for s in range(S):
        if not open_[s]:
            out_grad[s] = 0.0
        worst = max(worst, abs(out_grad[s]))
    return worst


@kernel
def _solve(ptr, idx, val, available, open_, z, grad, scratch, out_p):
    """out_p = -(A_J A_J^T)^{-1} grad by Cholesky factors; scratch (S, S) is overwritten."""
    S, A = z.shape
    column = np.zeros(S)
    index = np.zeros(S, np.int64)
    last = np.arange(S)
    scratch[:] = 0.0
    for s in range(S):
        if not open_[s]:
            scratch[s, s] = 1.0
            continue
        best = -1
        for a in range(A):
            if available[s, a] and (best < 0 or z[s, a] > z[s, best]):
                best = a
        for a in range(A):
            if not available[s, a] or not (z[s, a] > 0 or a == best):
                continue
            # Column (s, a) of A, its non-zeros in increasing order.
            count = 0
            own = False
            for e in range(ptr[s * A + a], ptr[s * A + a + 1]):
                j = idx[e]
                if j >= s and not own:
                    own = True
                    index[count] = s
                    column[count] = 1.0 - val[e] if j == s else 1.0
                    count += 1
                if j != s and open_[j]:
                    index[count] = j
                    column[count] = -val[e]
                    count += 1
            if not own:
                index[count] = s
                column[count] = 1.0
                count += 1
            for k in range(count):
                for m in range(k, count):
                    scratch[index[k], index[m]] += column[k] * column[m]
                last[index[k]] = max(last[index[k]], index[count - 1])
    # Upper factor by rows, so that the inner loop runs along memory, up to the last non-zero of the row.
    for k in range(S):
        root = np.sqrt(scratch[k, k])
        top = last[k] + 1
        for j in range(k, top):
            scratch[k, j] /= root
        for i in range(k + 1, top):
            factor = scratch[k, i]
            if factor != 0.0:
                last[i] = max(last[i], last[k])
                for j in range(i, top):
                    scratch[i, j] -= factor * scratch[k, j]
    for s in range(S):
        out_p[s] = -grad[s]
    for k in range(S):
        out_p[k] /= scratch[k, k]
        for j in range(k + 1, last[k] + 1):
            out_p[j] -= scratch[k, j] * out_p[k]
    for k in range(S - 1, -1, -1):
        total = out_p[k]
        for j in range(k + 1, last[k] + 1):
            total -= scratch[k, j] * out_p[j]
        out_p[k] = total / scratch[k, k]


@kernel
def _search(mu, z, q, p):
    """The first of the steps 1, 1/2, 1/4, ... along p that lowers the dual enough (Armijo)."""
    S, A = z.shape
    slope = 0.0
    for s in range(S):
        slope += mu[s] * p[s]
        for a in range(A):
            if z[s, a] > 0:
                slope -= z[s, a] * q[s, a]
    t = 1.0
    for _ in range(60):
        change = 0.0
        for s in range(S):
            change += t * mu[s] * p[s]
            for a in range(A):
                before = max(0.0, z[s, a])
                after = max(0.0, z[s, a] - t * q[s, a])
                change += 0.5 * (after - before) * (after + before)
        if change <= 1e-4 * t * slope:
            break
        t *= 0.5
    return t
