"""Sweeps of return laws: on a grid (linear splitting), by quantiles, and as ragged lists of atoms.

A chain is what a policy makes of an MDP: the transitions of state s are `ptr[s] <= k < ptr[s + 1]`, with `next_state`,
`reward` and `prob`, sorted by reward; transitions of equal reward form a group, so that mixing (which streams) comes
before splitting (which scatters), once a group.
"""

import numpy as np

from mdplab.kernels._jit import kernel

# A position that rounding pushed off the grid by less than this part of a cell is on its edge.
_EDGE = 1e-9
# A cumulative mass that rounding left this far below a level has reached it.
_LEVEL = 1e-12


@kernel
def categorical_sweep(ptr, next_state, reward, prob, gamma, first, step, eta, out_eta):
    """out_eta (S, K) = Pi T eta on the grid `first + step i`; returns the most mass clipped at a state.

    ptr (S + 1,), next_state, reward, prob (n,), eta (S, K).
    """
    S, K = out_eta.shape
    q = np.empty(K)
    worst = 0.0
    for s in range(S):
        out = out_eta[s]
        out[:] = 0.0
        lost = 0.0
        k = ptr[s]
        while k < ptr[s + 1]:
            r = reward[k]
            _scale(prob[k], eta[next_state[k]], q)
            k += 1
            while k < ptr[s + 1] and reward[k] == r:
                _add(prob[k], eta[next_state[k]], q)
                k += 1
            lost += _split(q, (r + gamma * first - first) / step, gamma, out)
        worst = max(worst, lost)
    return worst


@kernel
def _scale(a, x, out):
    """out = a x."""
    for j in range(len(out)):
        out[j] = a * x[j]


@kernel
def _add(a, x, out):
    """out += a x."""
    for j in range(len(out)):
        out[j] += a * x[j]


@kernel
def _split(q, offset, gamma, out):
    """Add to out the masses q (K,), moved to positions offset + gamma j in cells and split; returns what was clipped.

    The inside goes by runs of sources over which the cell advances with the source: no index is computed in a run.
    """
    K = len(q)
    lost = 0.0
    begin, end = 0, K
    while begin < K and offset + gamma * begin < 0.0:
        out[0] += q[begin]
        lost += q[begin] if offset + gamma * begin < -_EDGE else 0.0
        begin += 1
    while end > begin and offset + gamma * (end - 1) >= K - 1:
        end -= 1
        out[K - 1] += q[end]
        lost += q[end] if offset + gamma * end > K - 1 + _EDGE else 0.0
    if gamma > 0.85:
        _split_runs(q, offset, gamma, begin, end, out)
    else:
        _split_each(q, offset, gamma, begin, end, out)
    return lost


@kernel
def _split_each(q, offset, gamma, begin, end, out):
    """The inside, source by source; the two open cells stay in registers."""
    if begin == end:
        return
    cell, here, above = np.uint64(offset + gamma * begin), 0.0, 0.0
    for j in range(np.uint64(begin), np.uint64(end)):
        position = offset + gamma * np.float64(np.int64(j))
        at = np.uint64(np.int64(position))
        if at != cell:
            out[cell] += here
            out[cell + np.uint64(1)] += above
            cell, here, above = at, 0.0, 0.0
        upper = q[j] * (position - np.float64(np.int64(at)))
        above += upper
        here += q[j] - upper
    out[cell] += here
    out[cell + np.uint64(1)] += above


@kernel
def _split_runs(q, offset, gamma, begin, end, out):
    """The inside, by runs j0 <= j < j1 with cell j - shift: the part of j above is offset + shift - (1 - gamma) j."""
    drop = 1.0 - gamma
    j = begin
    while j < end:
        shift = j - int(offset + gamma * j)
        ahead = offset + shift
        last = end - 1 if drop == 0.0 else int(min(end - 1.0, ahead / drop))
        last = max(last, j)
        out[np.uint64(j - shift)] += q[np.uint64(j)] * (1.0 - (ahead - drop * j))
        for i in range(np.uint64(j + 1), np.uint64(last + 1)):
            up = ahead - drop * np.float64(np.int64(i))
            out[i - np.uint64(shift)] += q[i] * (1.0 - up) + q[i - np.uint64(1)] * (up + drop)
        out[np.uint64(last - shift + 1)] += q[np.uint64(last)] * (ahead - drop * last)
        j = last + 1


@kernel
def categorical_sweep_uneven(ptr, next_state, reward, prob, gamma, z, eta, out_eta):
    """As `categorical_sweep`, on any increasing grid z (K,), K >= 2."""
    S, K = out_eta.shape
    edge = _EDGE * (z[1] - z[0])
    worst = 0.0
    for s in range(S):
        out = out_eta[s]
        out[:] = 0.0
        lost = 0.0
        for k in range(ptr[s], ptr[s + 1]):
            source = eta[next_state[k]]
            i = 0
            for j in range(K):
                x, mass = reward[k] + gamma * z[j], prob[k] * source[j]
                while i < K - 2 and z[i + 1] <= x:
                    i += 1
                up = min(1.0, max(0.0, (x - z[i]) / (z[i + 1] - z[i])))
                out[i] += mass * (1.0 - up)
                out[i + 1] += mass * up
                lost += mass if x < z[0] - edge or x > z[K - 1] + edge else 0.0
        worst = max(worst, lost)
    return worst


@kernel
def _sort_runs(x, w, y, v, ends, runs):
    """Sort atoms x with masses w, made of sorted runs that end at ends[:runs], by merging pairs; y, v are scratch."""
    turned = False
    while runs > 1:
        start, kept, i = 0, 0, 0
        while i < runs:
            stop = ends[i]
            if i + 1 < runs:
                a, b, top = start, stop, ends[i + 1]
                for k in range(start, top):
                    if b >= top or (a < stop and x[a] <= x[b]):
                        y[k], v[k] = x[a], w[a]
                        a += 1
                    else:
                        y[k], v[k] = x[b], w[b]
                        b += 1
                stop = top
            else:
                for k in range(start, stop):
                    y[k], v[k] = x[k], w[k]
            ends[kept] = stop
            kept += 1
            start = stop
            i += 2
        x, w, y, v = y, v, x, w
        turned = not turned
        runs = kept
    if turned:
        y[: ends[0]] = x[: ends[0]]
        v[: ends[0]] = w[: ends[0]]


@kernel
def quantile_sweep(ptr, next_state, reward, prob, gamma, theta, out_theta):
    """out_theta (S, m) = quantiles at (2 i + 1) / (2 m) of the law of r + gamma theta(next state); rows are sorted."""
    S, m = out_theta.shape
    most = 0
    for s in range(S):
        most = max(most, ptr[s + 1] - ptr[s])
    x, w, y, v = np.empty(most * m), np.empty(most * m), np.empty(most * m), np.empty(most * m)
    ends = np.empty(most, dtype=np.int64)
    for s in range(S):
        n = 0
        for k in range(ptr[s], ptr[s + 1]):
            for i in range(m):
                x[n] = reward[k] + gamma * theta[next_state[k], i]
                w[n] = prob[k] / m
                n += 1
            ends[k - ptr[s]] = n
        _sort_runs(x, w, y, v, ends, ptr[s + 1] - ptr[s])
        k, reached = 0, w[0]
        for i in range(m):
            level = (2 * i + 1) / (2.0 * m) - _LEVEL
            while reached < level and k < n - 1:
                k += 1
                reached += w[k]
            out_theta[s, i] = x[k]


@kernel
def push_forward(next_state, reward, prob, gamma, law_ptr, law_x, law_p, out_x, out_p, scratch):
    """Sorted atoms of r + gamma G(next state), one state's transitions; returns how many.

    next_state, reward, prob (n,); law t has atoms law_ptr[t] <= i < law_ptr[t + 1], sorted; out_x, out_p (N,),
    scratch (2, N), N at least the number of atoms.
    """
    ends = np.empty(len(next_state), dtype=np.int64)
    n = 0
    for k in range(len(next_state)):
        for i in range(law_ptr[next_state[k]], law_ptr[next_state[k] + 1]):
            out_x[n] = reward[k] + gamma * law_x[i]
            out_p[n] = prob[k] * law_p[i]
            n += 1
        ends[k] = n
    _sort_runs(out_x, out_p, scratch[0], scratch[1], ends, len(next_state))
    return n


@kernel
def merge_atoms(x, p, width, out_x, out_p):
    """Merge sorted atoms no further than `width` from the first of their cluster, at their mean.

    x, p (n,), p >= 0. Returns (number of clusters with mass, sum of mass times distance moved): a bound on w_1.
    """
    count, moved, i = 0, 0.0, 0
    while i < len(x):
        stop, mass, moment = i, 0.0, 0.0
        while stop < len(x) and x[stop] - x[i] <= width:
            mass += p[stop]
            moment += p[stop] * (x[stop] - x[i])
            stop += 1
        if mass > 0.0:
            centre = min(x[i] + moment / mass, x[stop - 1])
            for k in range(i, stop):
                moved += p[k] * abs(x[k] - centre)
            out_x[count], out_p[count] = centre, mass
            count += 1
        i = stop
    return count, moved


@kernel
def wasserstein_1(x, p, y, q):
    """Integral of the distance of two distribution functions, from sorted atoms x with masses p, y with masses q."""
    i, j, gap, total = 0, 0, 0.0, 0.0
    last = min(x[0], y[0])
    while i < len(x) or j < len(y):
        if j >= len(y) or (i < len(x) and x[i] <= y[j]):
            total += abs(gap) * (x[i] - last)
            last = x[i]
            gap += p[i]
            i += 1
        else:
            total += abs(gap) * (y[j] - last)
            last = y[j]
            gap -= q[j]
            j += 1
    return total
