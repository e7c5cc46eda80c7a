"""Sweeps over states times stocks, for values that are piecewise linear in the stock.

A function h (S, K) has the values h[s, k] at the stocks grid[k], is linear between them, and has slope `left` below
grid[0] and `right` above grid[K - 1]. Outcomes of row s * A + a are the entries indptr[row] to indptr[row + 1] - 1 of
`following` (next states), `prob` and `kind`, the number of the reward in `rewards`. The stock c becomes (c + reward) /
gamma; for grid stocks, `cell`, `weight` and `beyond` (rewards, K) hold where that lies: h at it is
(1 - weight) h[cell] + weight h[cell + 1] + beyond.
"""

import numpy as np

from mdplab.kernels._jit import kernel


@kernel
def stock_tables(grid, rewards, gamma, left, right, out_cell, out_weight, out_beyond):
    """Where each grid stock goes with each reward: out_cell int32, out_weight, out_beyond (rewards, K)."""
    K = grid.shape[0]
    for i in range(rewards.shape[0]):
        j = 0
        for k in range(K):
            c = (grid[k] + rewards[i]) / gamma
            while j < K - 2 and c >= grid[j + 1]:
                j += 1
            out_cell[i, k] = j
            out_beyond[i, k] = 0.0
            if c <= grid[0]:
                out_weight[i, k] = 0.0
                out_beyond[i, k] = left * (c - grid[0])
            elif c >= grid[K - 1]:
                out_weight[i, k] = 1.0
                out_beyond[i, k] = right * (c - grid[K - 1])
            else:
                out_weight[i, k] = (c - grid[j]) / (grid[j + 1] - grid[j])


@kernel
def _add_row(row, indptr, following, prob, kind, cell, weight, beyond, gamma, v, first, last, out_q):
    """out_q[k] += gamma E h(next state, next stock) of a row, for first <= k < last."""
    for o in range(indptr[row], indptr[row + 1]):
        p, i, t = gamma * prob[o], kind[o], following[o]
        for k in range(first, last):
            j = np.uint64(cell[i, k])
            low = v[t, j]
            out_q[k] += p * (low + weight[i, k] * (v[t, j + np.uint64(1)] - low) + beyond[i, k])


@kernel
def greedy_sweep(
    indptr, following, prob, kind, running, actions, order, cell, weight, beyond, gamma, constant, lift, v, out_pi
):
    """v = max_a (running + gamma E v) + constant + lift at the grid stocks, state after state in `order`, in place.

    running, actions (S, A), order (n,) states to visit, lift, v (S, K), out_pi (S, K) first maximiser. Returns the
    least and the largest change.
    """
    K, A = v.shape[1], running.shape[1]
    q, best = np.empty(K), np.empty(K)
    low, high = np.inf, -np.inf
    for n in range(order.shape[0]):
        s = order[n]
        best[:] = -np.inf
        for a in range(A):
            if actions[s, a]:
                q[:] = running[s, a] + constant
                _add_row(s * A + a, indptr, following, prob, kind, cell, weight, beyond, gamma, v, 0, K, q)
                for k in range(K):
                    if q[k] > best[k]:
                        best[k] = q[k]
                        out_pi[s, k] = a
        for k in range(K):
            new = best[k] + lift[s, k]
            change = new - v[s, k]
            low = min(low, change)
            high = max(high, change)
            v[s, k] = new
    return low, high


@kernel
def policy_sweep(indptr, following, prob, kind, running, order, cell, weight, beyond, gamma, constant, lift, pi, v):
    """v = running + gamma E v + constant + lift for the actions pi (S, K), in place; least and largest change."""
    K, A = v.shape[1], running.shape[1]
    q = np.empty(K)
    low, high = np.inf, -np.inf
    for n in range(order.shape[0]):
        s = order[n]
        first = 0
        # Neighbouring stocks mostly share their action: runs of them share the walk over its outcomes.
        while first < K:
            a = pi[s, first]
            last = first + 1
            while last < K and pi[s, last] == a:
                last += 1
            for k in range(first, last):
                q[k] = running[s, a] + constant
            _add_row(s * A + a, indptr, following, prob, kind, cell, weight, beyond, gamma, v, first, last, q)
            first = last
        for k in range(K):
            new = q[k] + lift[s, k]
            change = new - v[s, k]
            low = min(low, change)
            high = max(high, change)
            v[s, k] = new
    return low, high


@kernel
def add_linear(grid, values, left, right, points, factor, out_sum):
    """out_sum += factor h(points) for the piecewise linear h with `values` (K,) on grid; points (n,) ascending."""
    K, j = grid.shape[0], 0
    for i in range(points.shape[0]):
        c = points[i]
        while j < K - 2 and c >= grid[j + 1]:
            j += 1
        if c <= grid[0]:
            h = values[0] + left * (c - grid[0])
        elif c >= grid[K - 1]:
            h = values[K - 1] + right * (c - grid[K - 1])
        else:
            h = values[j] + (c - grid[j]) / (grid[j + 1] - grid[j]) * (values[j + 1] - values[j])
        out_sum[i] += factor * h


@kernel
def _row_at(row, indptr, following, prob, kind, rewards, grid, gamma, left, right, v, points, scratch, out_q):
    """out_q += gamma E h(next state, (points + reward) / gamma) of a row; points, scratch, out_q (n,)."""
    for o in range(indptr[row], indptr[row + 1]):
        r = rewards[kind[o]]
        for i in range(points.shape[0]):
            scratch[i] = (points[i] + r) / gamma
        add_linear(grid, v[following[o]], left, right, scratch, gamma * prob[o], out_q)


@kernel
def _first_with(row, o, indptr, kind):
    """True unless an earlier outcome of the row has the reward of outcome o."""
    for other in range(indptr[row], o):
        if kind[other] == kind[o]:
            return False
    return True


@kernel
def _cover(grid, points, need, m, out_cover):
    """Raise out_cover (K,) where it, linear between stocks and constant outside, is below need at a point.

    Only stocks with less than what a point needs are raised, and no further than to that: need's largest value near a
    stock bounds its cover. points (m,) ascending.
    """
    K, j = grid.shape[0], 0
    for i in range(m):
        c, x = points[i], need[i]
        while j < K - 2 and c >= grid[j + 1]:
            j += 1
        if c <= grid[0]:
            out_cover[0] = max(out_cover[0], x)
        elif c >= grid[K - 1]:
            out_cover[K - 1] = max(out_cover[K - 1], x)
        else:
            u = (c - grid[j]) / (grid[j + 1] - grid[j])
            low, high = out_cover[j], out_cover[j + 1]
            lack = x - ((1 - u) * low + u * high)
            if lack > 0:
                low, high = (low if low >= x else min(x, low + lack)), (high if high >= x else min(x, high + lack))
                lack = x - ((1 - u) * low + u * high)
                if lack > 0:
                    # One of them stopped at x, or had more all along: the other makes up for it, and needs no more.
                    if low < x:
                        low = x if u == 1 else min(x, low + lack / (1 - u))
                    else:
                        high = x if u == 0 else min(x, high + lack / u)
                out_cover[j], out_cover[j + 1] = low, high


@kernel
def cover_above(
    indptr, following, prob, kind, rewards, running, actions, order, grid, gamma, constant, left, right, fill, base,
    out_v,
):  # fmt: skip
    """By how much max_a (running + gamma E v) + constant exceeds v, the largest over states in `order` and all stocks.

    Both sides are piecewise linear in the stock, so that their corners are all that need be looked at. If fill is 1,
    each state's row of out_v is replaced by base plus a cover of what this exceeds base by; if 2, only raised to that.
    base, out_v (S, K). Returns that largest excess, over base if fill.
    """
    K, A = grid.shape[0], running.shape[1]
    points, scratch, q, here, cover = np.empty(K), np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    most = -np.inf
    for n in range(order.shape[0]):
        s = order[n]
        row_of = out_v[s] if fill == 0 else base[s]
        cover[:] = -np.inf
        if fill == 2:
            for k in range(K):
                cover[k] = out_v[s, k] - base[s, k]
        # The corners of v itself come first: a cover starts from them.
        for turn in range(2):
            for a in range(A):
                if not actions[s, a]:
                    continue
                row = s * A + a
                first = indptr[row] - 1 if turn == 0 else indptr[row]
                for o in range(first, indptr[row] if turn == 0 else indptr[row + 1]):
                    if turn == 1 and not _first_with(row, o, indptr, kind):
                        continue
                    for k in range(K):
                        points[k] = grid[k] if turn == 0 else gamma * grid[k] - rewards[kind[o]]
                        q[k] = running[s, a] + constant
                        here[k] = 0.0
                    _row_at(
                        row, indptr, following, prob, kind, rewards, grid, gamma, left, right, out_v, points, scratch, q
                    )
                    add_linear(grid, row_of, left, right, points, 1.0, here)
                    for k in range(K):
                        q[k] -= here[k]
                        most = max(most, q[k])
                    if fill and turn == 0:
                        for k in range(K):
                            cover[k] = max(cover[k], q[k])
                    elif fill:
                        _cover(grid, points, q, K, cover)
        if fill:
            for k in range(K):
                out_v[s, k] = base[s, k] + cover[k]
    return most


@kernel
def cover_below(
    indptr, following, prob, kind, rewards, running, order, grid, gamma, constant, left, right, pi, fill, base, out_v,
):  # fmt: skip
    """By how much v exceeds running + gamma E v + constant under pi (S, K), the action of the nearest grid stock.

    As `cover_above`; midway between stocks both neighbours' actions are tried, and a cover is subtracted from base.
    """
    K, A = grid.shape[0], running.shape[1]
    work, cover = np.empty((4, K + 2)), np.empty(K)
    points, scratch, q, here = work[0], work[1], work[2], work[3]
    most = -np.inf
    for n in range(order.shape[0]):
        s = order[n]
        row_of = out_v[s] if fill == 0 else base[s]
        cover[:] = -np.inf
        if fill == 2:
            for k in range(K):
                cover[k] = base[s, k] - out_v[s, k]
        for turn in range(2):
            first = 0
            while first < K:
                a = pi[s, first]
                last = first + 1
                while last < K and pi[s, last] == a:
                    last += 1
                row = s * A + a
                low = -np.inf if first == 0 else 0.5 * (grid[first - 1] + grid[first])
                high = np.inf if last == K else 0.5 * (grid[last - 1] + grid[last])
                begin = indptr[row]
                for o in range(begin - 1 if turn == 0 else begin, begin if turn == 0 else indptr[row + 1]):
                    m = 0
                    if turn == 0:
                        for k in range(first, last):
                            points[m] = grid[k]
                            m += 1
                    elif _first_with(row, o, indptr, kind):
                        if o == begin and first > 0:
                            points[m] = low
                            m += 1
                        for k in range(K):
                            c = gamma * grid[k] - rewards[kind[o]]
                            if low < c and c < high:
                                points[m] = c
                                m += 1
                        if o == begin and last < K:
                            points[m] = high
                            m += 1
                    for k in range(m):
                        q[k] = running[s, a] + constant
                        here[k] = 0.0
                    at = points[:m]
                    _row_at(
                        row, indptr, following, prob, kind, rewards, grid, gamma, left, right, out_v, at, scratch[:m], q
                    )
                    add_linear(grid, row_of, left, right, at, 1.0, here)
                    for k in range(m):
                        here[k] -= q[k]
                        most = max(most, here[k])
                    if turn == 0:
                        for k in range(m):
                            cover[first + k] = max(cover[first + k], here[k])
                    elif fill:
                        _cover(grid, points, here, m, cover)
                first = last
        if fill:
            for k in range(K):
                out_v[s, k] = base[s, k] - cover[k]
    return most


@kernel
def extreme_returns(indptr, following, reward, actions, terminal, gamma, sweeps, out_best, out_safe, out_worst):
    """Best, safest and worst sure bounds of the discounted return of each state, from zero, by `sweeps` sweeps.

    out_best = max_a max, out_safe = max_a min, out_worst = min_a min over outcomes of reward + gamma out[next], (S,).
    Returns the largest last change.
    """
    S, A = actions.shape
    change = 0.0
    for sweep in range(sweeps):
        change = 0.0
        for i in range(S):
            s = i if sweep % 2 else S - 1 - i
            if terminal[s]:
                continue
            best, safe, worst = -np.inf, -np.inf, np.inf
            for a in range(A):
                if actions[s, a]:
                    least = np.inf
                    for o in range(indptr[s * A + a], indptr[s * A + a + 1]):
                        t = following[o]
                        best = max(best, reward[o] + gamma * out_best[t])
                        least = min(least, reward[o] + gamma * out_safe[t])
                        worst = min(worst, reward[o] + gamma * out_worst[t])
                    safe = max(safe, least)
            change = max(change, abs(best - out_best[s]), abs(safe - out_safe[s]), abs(worst - out_worst[s]))
            out_best[s], out_safe[s], out_worst[s] = best, safe, worst
        if change == 0.0:
            break
    return change
