"""Least-squares value iteration with features: factor estimates, their worst cases, passes over stages, online runs.

With A = ridge I + sum phi phi^T and B = sum phi 1{next state}, both over the data of a stage, the rows of M = A^{-1} B
estimate the factors: M f(v) is the ridge estimate of E f(v(s')) in each factor, for any f. Entries of M may be
negative, so that dual objectives are piecewise smooth but not concave: every piece is searched.

Source: our specification of the robust linear papers, B.2, C.2 and K.13.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.ordering import sort_ascending
from mdplab.kernels.sampling import draw

# How a factor's value is estimated: plain mean, ball of total variation, and the three penalties. NumPy's type, so that
# Numba compiles once.
NOMINAL, TV, SOFT_TV, SOFT_KL, SOFT_CHI2 = np.int64(0), np.int64(1), np.int64(2), np.int64(3), np.int64(4)
# Norm of the uncertainty of phi: sum phi_i sqrt(Ainv_ii), root of the sum of their squares, sqrt(phi^T Ainv phi).
L1, L2, MAHALANOBIS = np.int64(0), np.int64(1), np.int64(2)


@kernel
def factor_values(kind, M, v, order, size, least, top, out_w):
    """Estimated least value of v (S,) in each factor out_w (d,): M (d, S), order (S,) sorts v, size (d,).

    least is what nature is taken to reach at worst (the smallest value), top a bound on values.
    """
    d, S = M.shape
    for i in range(d):
        if kind == NOMINAL or kind == SOFT_TV:
            total = 0.0
            for j in range(S):
                total += M[i, j] * (v[j] if kind == NOMINAL else min(v[j], least + size[i]))
            out_w[i] = total
        elif kind == SOFT_KL:
            # From the least value that the row sees, so that small temperatures do not underflow.
            total, low = 0.0, np.inf
            for j in range(S):
                if M[i, j] != 0.0:
                    low = min(low, v[j])
            for j in range(S):
                if M[i, j] != 0.0:
                    total += M[i, j] * np.exp((low - v[j]) / size[i])
            out_w[i] = min(low - size[i] * np.log(total), top) if total > 0.0 else top
        elif kind == TV:
            out_w[i] = _tv_value(M[i], v, order, size[i], least)
        else:
            out_w[i] = _chi2_value(M[i], v, order, size[i])


@kernel
def _tv_value(m, v, order, radius, least):
    """max over alpha >= 0 of m . min(v, alpha) - radius (alpha - least)_+, over all knots (0, least, values)."""
    rest, at_zero, at_least = 0.0, 0.0, 0.0
    for j in range(m.shape[0]):
        rest += m[j]
        at_zero += m[j] * min(v[j], 0.0)
        at_least += m[j] * min(v[j], least)
    best, below = at_zero - radius * max(0.0 - least, 0.0), 0.0
    if least > 0.0:
        best = max(best, at_least)
    for k in range(m.shape[0]):
        j = order[k]
        below += m[j] * v[j]
        rest -= m[j]
        if v[j] >= 0.0:
            best = max(best, below + v[j] * rest - radius * max(v[j] - least, 0.0))
    return best


@kernel
def _chi2_value(m, v, order, temperature):
    """max over alpha between the values of a - (b - a^2) / (4 temperature), a = m . min(v, alpha), b = m . its square.

    Between neighbouring values a is linear and b quadratic in alpha; the stationary point is alpha = a + 2 temperature.
    """
    S = m.shape[0]
    rest = 0.0
    for j in range(S):
        rest += m[j]
    first, second, best = 0.0, 0.0, -np.inf
    for k in range(S):
        j = order[k]
        first += m[j] * v[j]
        second += m[j] * v[j] * v[j]
        rest -= m[j]
        lo = v[j]
        hi = v[order[k + 1]] if k + 1 < S else lo
        for trial in range(3):
            alpha = lo if trial == 0 else hi
            if trial == 2:
                if rest == 1.0:
                    continue
                alpha = (2.0 * temperature + first) / (1.0 - rest)
                if not (lo < alpha and alpha < hi):
                    continue
            a, b = first + alpha * rest, second + alpha * alpha * rest
            best = max(best, a - (b - a * a) / (4.0 * temperature))
    return best


@kernel
def width(phi, inverse, norm):
    """Uncertainty of the feature phi (d,) under inverse (d, d) = A^{-1}."""
    d = phi.shape[0]
    total = 0.0
    if norm == MAHALANOBIS:
        for i in range(d):
            for j in range(d):
                total += phi[i] * inverse[i, j] * phi[j]
        return np.sqrt(max(total, 0.0))
    for i in range(d):
        if phi[i] != 0.0:
            if norm == L1:
                total += abs(phi[i]) * np.sqrt(inverse[i, i])
            else:
                total += phi[i] * phi[i] * inverse[i, i]
    return total if norm == L1 else np.sqrt(total)


@kernel
def stage_pass(kind, phi, reward, M, inverse, v, size, least, top, last, beta, norm, floor, cap, fail, out_w, out_q):
    """Estimated values of actions out_q (S, A) from next values v (S,): reward + phi . w + beta width, clipped.

    phi (S, A, d), reward (S, A), M (d, S), inverse (d, d). Rows of phi that are all zero are known: their value is
    their reward. The value after the last stage is known to be 0. fail is a state of value 0, or -1.
    """
    S, A, d = phi.shape
    if last:
        out_w[:] = 0.0
    else:
        order = np.arange(S)
        if kind == TV or kind == SOFT_CHI2:
            sort_ascending(v, order)
        factor_values(kind, M, v, order, size, least, top, out_w)
    for s in range(S):
        for a in range(A):
            total, known = reward[s, a], True
            for i in range(d):
                if phi[s, a, i] != 0.0:
                    total += phi[s, a, i] * out_w[i]
                    known = False
            if not known:
                if beta != 0.0:
                    total += beta * width(phi[s, a], inverse, norm)
                total = min(max(total, floor), cap)
            out_q[s, a] = 0.0 if s == fail else total


@kernel
def regularised(q, ref, tau, out_pi):
    """Best value of q . pi - tau KL(pi || ref) and its pi (A,); tau 0: the first best action."""
    A = q.shape[0]
    best = -np.inf
    for a in range(A):
        if tau == 0.0 or ref[a] > 0.0:
            best = max(best, q[a])
    total = 0.0
    if tau == 0.0:
        for a in range(A):
            out_pi[a] = 1.0 if total == 0.0 and q[a] == best else 0.0
            total += out_pi[a]
        return best
    for a in range(A):
        out_pi[a] = ref[a] * np.exp((q[a] - best) / tau)
        total += out_pi[a]
    for a in range(A):
        out_pi[a] /= total
    return best + tau * np.log(total)


@kernel
def mirror_step(q, ref, tau, eta, log_pi, out_pi):
    """The maximiser of q . pi - tau KL(pi || ref) - KL(pi || old) / eta, in place in log_pi (A,); ref (A,) is positive.

    Returns its q . pi - tau KL(pi || ref).
    """
    A, most, share = q.shape[0], -np.inf, 1.0 / (1.0 + eta * tau)
    for a in range(A):
        log_pi[a] = share * (log_pi[a] + eta * tau * np.log(ref[a]) + eta * q[a])
        most = max(most, log_pi[a])
    total, value = 0.0, 0.0
    for a in range(A):
        total += np.exp(log_pi[a] - most)
    norm = most + np.log(total)
    for a in range(A):
        log_pi[a] -= norm
        out_pi[a] = np.exp(log_pi[a])
        value += out_pi[a] * (q[a] - tau * (log_pi[a] - np.log(ref[a])))
    return value


@kernel
def add_feature(inverse, phi, scratch):
    """inverse (d, d) becomes that of A + phi phi^T (Sherman and Morrison); scratch (d,)."""
    d = phi.shape[0]
    total = 1.0
    for i in range(d):
        scratch[i] = 0.0
        for j in range(d):
            scratch[i] += inverse[i, j] * phi[j]
        total += phi[i] * scratch[i]
    for i in range(d):
        for j in range(d):
            inverse[i, j] -= scratch[i] * scratch[j] / total


@kernel
def online_run(
    kind,
    phi,
    rewards,
    cdf,
    start_cdf,
    size,
    beta,
    norm,
    ridge,
    fail,
    tau,
    ref,
    eta,
    checkpoints,
    rng,
    out_policy,
    out_value,
    out_start,
):
    """One run of optimistic least-squares value iteration, plain or robust, greedy, softmax or by mirror steps.

    phi (S, A, d), rewards (H, S, A), cdf (H, S, A, S) cumulative nominal kernels, start_cdf (S,), size (H, d), ref
    (H, S, A); eta is inf for the closed form. Before episode checkpoints[k] the policy (H, S, A) goes to out_policy[k],
    the estimate of its value at each state, (S,), to out_value[k]; out_start (episodes,) gets the estimate at the
    episode's first state.
    """
    S, A, d = phi.shape
    H, episodes = rewards.shape[0], out_start.shape[0]
    inverse, counts = np.zeros((H, d, d)), np.zeros((H, d, S))
    for h in range(H):
        for i in range(d):
            inverse[h, i, i] = 1.0 / ridge
    log_pi = np.log(ref) if eta < np.inf else np.zeros((1, 1, 1))
    pi, v, q = np.empty((H, S, A)), np.zeros((H + 1, S)), np.empty((S, A))
    w, scratch, M = np.empty(d), np.empty(d), np.empty((d, S))
    place = 0
    for k in range(episodes):
        for h in range(H - 1, -1, -1):
            for i in range(d):
                for j in range(S):
                    M[i, j] = 0.0
                    for l in range(d):
                        M[i, j] += inverse[h, i, l] * counts[h, l, j]
            least, last, cap = v[h + 1].min(), h == H - 1, float(H - h)
            stage_pass(
                kind,
                phi,
                rewards[h],
                M,
                inverse[h],
                v[h + 1],
                size[h],
                least,
                float(H),
                last,
                beta,
                norm,
                0.0,
                cap,
                fail,
                w,
                q,
            )
            for s in range(S):
                if eta < np.inf:
                    v[h, s] = mirror_step(q[s], ref[h, s], tau, eta, log_pi[h, s], pi[h, s])
                else:
                    v[h, s] = regularised(q[s], ref[h, s], tau, pi[h, s])
                if s == fail:
                    v[h, s] = 0.0
        if place < checkpoints.shape[0] and checkpoints[place] == k:
            out_policy[place] = pi
            out_value[place] = v[0]
            place += 1
        s = draw(start_cdf, rng.random())
        out_start[k] = v[0, s]
        for h in range(H):
            total, u, a = 0.0, rng.random(), A - 1
            for b in range(A):
                total += pi[h, s, b]
                if u < total:
                    a = b
                    break
            to = draw(cdf[h, s, a], rng.random())
            for i in range(d):
                counts[h, i, to] += phi[s, a, i]
            add_feature(inverse[h], phi[s, a], scratch)
            s = to
