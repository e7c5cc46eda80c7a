"""Balls of a divergence as roots on the path of `mdplab.kernels.robust.tilt`, for one row or one s-rectangular state.

- a row's ball: D(beta) = radius; nature's answer to a policy: sum_a D_a(pi_a mu) = radius, in one multiplier mu;
- an s-rectangular state: sum_a D_a(beta_a) = radius, where M_a(beta_a) = u for every action with p_a.z_a > u. The
  value is u, and the agent's optimal policy is proportional to the multipliers beta_a, in the units of z.

Rows are ragged: row a of the state is `indptr[a]:indptr[a + 1]` less `indptr[0]`. The multipliers are found by Newton's
method inside a bracket. Source: our specification of the inner problems, A.2.
"""

import numpy as np

from mdplab.kernels._jit import kernel
from mdplab.kernels.robust.tilt import CHI2, EPS, L2, MAX_STEPS, floor, prepare, tilt

# Past this multiplier of a unit spread the row is its floor to every digit.
_MAX_BETA = 1e40
# A Newton step of rounding size ends the search only this close to the budget; elsewhere the slope is merely steep.
_NEAR = 1e-12


@kernel
def respond(kind, pi, z, p, indptr, radius, out_q):
    """Nature's answer to pi (A,) in one state, rows z, p, out_q (nnz,): min sum_a pi_a q_a.z_a, sum_a D_a <= radius."""
    num = pi.size
    # Fresh copies, so that what is called below is compiled once, for read-only models and scratch alike.
    nominal, at = p.copy(), indptr - indptr[0]
    y = np.empty(z.size)
    weight = np.zeros(num)
    means = np.zeros(num)
    reach = 0.0
    for a in range(num):
        i, j = at[a], at[a + 1]
        _, spread, means[a] = prepare(kind, z[i:j], nominal[i:j], y[i:j])
        out_q[i:j] = p[i:j]
        if pi[a] > 0.0 and means[a] > 0.0:
            weight[a] = pi[a] * spread
            if radius > 0.0:
                reach += floor(kind, y[i:j], nominal[i:j], means[a], out_q[i:j])
    if radius > 0.0 and reach > radius:
        _split(kind, weight / np.max(weight), y, nominal, at, radius, out_q)
    value = 0.0
    for a in range(num):
        for i in range(at[a], at[a + 1]):
            value += pi[a] * out_q[i] * z[i]
    return value


@kernel
def _split(kind, weight, y, p, at, radius, out_q):
    """The multiplier mu at which the rows of weight (A,) > 0, tilted by mu weight_a, have divergences of sum radius."""
    second = 0.0
    for a in range(weight.size):
        if weight[a] > 0.0:
            i, j = at[a], at[a + 1]
            second += weight[a] ** 2 * tilt(kind, y[i:j], p[i:j], 0.0, out_q[i:j])[2]
    # Near the nominal row the divergence is mu^2 second / 2; Newton's method runs on its logarithm against log mu.
    mu = min(np.sqrt(2.0 * radius / second), _MAX_BETA)
    low, high = 0.0, np.inf
    for step in range(MAX_STEPS):
        total, slope = 0.0, 0.0
        for a in range(weight.size):
            if weight[a] > 0.0:
                i, j = at[a], at[a + 1]
                _, divergence, second = tilt(kind, y[i:j], p[i:j], mu * weight[a], out_q[i:j])
                total += divergence
                slope += second * (mu * weight[a]) ** 2
        if abs(total - radius) <= EPS * radius:
            break
        if total <= radius:
            low = mu
        else:
            high = mu
        nearby = np.inf
        if total > 0.0 and slope > 0.0:
            nearby = mu * np.exp(min(max(np.log1p((radius - total) / total) * total / slope, -9.0), 3.0))
            if abs(nearby - mu) <= EPS * mu and abs(total - radius) <= _NEAR * radius + EPS:
                break
        if not low < nearby < high or abs(nearby - mu) <= EPS * mu or step % 8 == 7:
            nearby = 10.0 * low if high == np.inf else (np.sqrt(low * high) if low > 0.0 else 0.1 * high)
        if abs(nearby - mu) <= EPS * mu or nearby > _MAX_BETA:
            break
        mu = nearby


@kernel
def _descend(kind, y, p, target, mean, beta, out_q):
    """The least divergence with q.y <= target, 0 < target < mean, from the guess beta: (D, multiplier)."""
    low, high = 0.0, np.inf
    value, divergence, second = tilt(kind, y, p, beta, out_q)
    for step in range(MAX_STEPS):
        # To the rounding of the mean, unless the multiplier makes of that more than a rounding of the divergence.
        if abs(value - target) <= EPS * (mean if beta * mean <= 1.0 + divergence else target):
            break
        if value > target:
            low = beta
        else:
            high = beta
        # The means of chi-square and L2 are piecewise linear and convex in beta; others fall as exponentials or powers.
        nearby = np.inf
        if second > 0.0 and value > 0.0:
            drop = value - target if kind == CHI2 or kind == L2 else value * np.log1p((value - target) / target)
            nearby = beta + drop / second
        if abs(nearby - beta) <= EPS * beta and abs(value - target) <= _NEAR * target:
            break
        if not low < nearby < high or abs(nearby - beta) <= EPS * beta or step % 8 == 7:
            nearby = 4.0 * low + 1.0 if high == np.inf else (np.sqrt(low * high) if low > 0.0 else 0.25 * high)
        if abs(nearby - beta) <= EPS * beta or nearby > _MAX_BETA:
            break
        beta = nearby
        value, divergence, second = tilt(kind, y, p, beta, out_q)
    # dD = -beta dM: what the last rounding of the mean leaves is put right to second order.
    return max(divergence + beta * (value - target), 0.0), beta


@kernel
def balance(kind, z, p, indptr, radius, out_pi, out_q):
    """max over pi (A,), min over rows with sum_a D_a <= radius, of sum_a pi_a q_a.z_a; z, p (nnz,) of one state."""
    num = out_pi.size
    nominal, at = p.copy(), indptr - indptr[0]
    y = np.empty(z.size)
    low, spread, mean, beta = np.empty(num), np.empty(num), np.empty(num), np.zeros(num)
    for a in range(num):
        i, j = at[a], at[a + 1]
        low[a], spread[a], mean[a] = prepare(kind, z[i:j], nominal[i:j], y[i:j])
    bottom = np.max(low)
    top = np.argmax(low + spread * mean)
    height = low[top] - bottom + spread[top] * mean[top]
    out_q[:] = p
    out_pi[:] = 0.0
    if radius <= 0.0 or height <= 0.0:
        out_pi[top] = 1.0
        return bottom + height
    if _demand(kind, y, nominal, at, low - bottom, spread, mean, 0.0, beta, out_q) <= radius:
        out_pi[np.argmax(low)] = 1.0
        return bottom
    i, j = at[top], at[top + 1]
    second = tilt(kind, y[i:j], nominal[i:j], 0.0, out_q[i:j])[2]
    # The root of the demand is close to linear in u near the top, where the demand is a sum of squares.
    left, right = 0.0, height
    u = height - spread[top] * np.sqrt(2.0 * radius * second)
    if not left < u < right:
        u = 0.5 * height
    total = 0.0
    beta[:] = 0.0
    for step in range(MAX_STEPS):
        total = _demand(kind, y, nominal, at, low - bottom, spread, mean, u, beta, out_q)
        if abs(total - radius) <= EPS * radius:
            break
        if total > radius:
            left = u
        else:
            right = u
        slope = 0.0
        for a in range(num):
            if beta[a] > 0.0:
                slope += beta[a] / spread[a]
        nearby = -1.0
        if slope > 0.0 and total > 0.0:
            nearby = u + 2.0 * (total - radius) / (1.0 + np.sqrt(radius / total)) / slope
            if abs(nearby - u) <= EPS * u and abs(total - radius) <= _NEAR * radius + EPS:
                break
        if not left < nearby < right or abs(nearby - u) <= EPS * u or step % 8 == 7:
            nearby = 0.5 * (left + right)
        if abs(nearby - u) <= EPS * u:
            break
        u = nearby
    if total < radius * (1.0 - _NEAR) - EPS and right - left <= 4.0 * EPS * right:
        # The demand jumps within a rounding of u, as at a floor: the slopes on its left make the policy.
        _demand(kind, y, nominal, at, low - bottom, spread, mean, left, beta, out_q)
    _mix(beta, spread, top, out_pi)
    if total < radius * (1.0 - _NEAR) - EPS or total > radius * (1.0 + _NEAR) + EPS:
        # What a rounding less than u would cost, nature cannot pay.
        u = min(u * (1.0 + 4.0 * EPS), right) if total > radius else u
        _demand(kind, y, nominal, at, low - bottom, spread, mean, u, beta, out_q)
    return bottom + u


@kernel
def _mix(beta, spread, top, out_pi):
    """The policy out_pi (A,) proportional to the multipliers: all mass where one is infinite, `top` where all are 0."""
    total = 0.0
    for a in range(beta.size):
        out_pi[a] = beta[a] / spread[a] if beta[a] > 0.0 else 0.0
        total += out_pi[a]
    if total > 0.0 and total < np.inf:
        out_pi /= total
        return
    best = np.argmax(beta) if total > 0.0 else top
    out_pi[:] = 0.0
    out_pi[best] = 1.0


@kernel
def _demand(kind, y, p, at, low, spread, mean, u, beta, out_q):
    """sum_a of the least D_a with q_a.z_a <= u; the multipliers beta (A,) are guesses on entry, results on return."""
    total = 0.0
    for a in range(low.size):
        i, j = at[a], at[a + 1]
        target = (u - low[a]) / spread[a] if spread[a] > 0.0 else np.inf
        if target >= mean[a]:
            out_q[i:j] = p[i:j]
            beta[a] = 0.0
        elif target <= 0.0:
            total += floor(kind, y[i:j], p[i:j], mean[a], out_q[i:j])
            beta[a] = np.inf
        else:
            divergence, beta[a] = _descend(kind, y[i:j], p[i:j], target, mean[a], beta[a], out_q[i:j])
            total += divergence
    return total
