"""Nature's problem in fractions, and rows of sets in 30 digits: the truth that the referee's verdicts are held to.

Polyhedral sets are solved exactly: greedily (boxes, uniform L1, models), or by the largest value of a concave
piecewise linear dual over all its kinks (weighted L1, Wasserstein). For the others a row inside the set, found by
bisection on the path of optimal rows, bounds the minimum from above to twenty digits.
"""

from fractions import Fraction

import mpmath

mp = mpmath.mp.clone()
mp.dps = 30


def fractions(xs):
    return [Fraction(float(x)) for x in xs]


def probabilities(xs):
    """Exact fractions of floats, divided by their sum."""
    row = fractions(xs)
    return [x / sum(row) for x in row]


def dot(p, z):
    return sum(x * y for x, y in zip(p, z))


def box(lo, hi, z):
    """The least of q . z with lo <= q <= hi."""
    left, value = 1 - sum(lo), dot(lo, z)
    for i in sorted(range(len(z)), key=lambda i: z[i]):
        step = min(left, hi[i] - lo[i])
        value, left = value + step * z[i], left - step
    return value


def l1(p, z, radius, open_to, w):
    """The least of `sum_k q_k . z_k` with `sum_k sum_i w_ki |q_ki - p_ki| <= radius`, rows k: best of all kinks."""
    candidates = {Fraction(0)}
    for zk, wk in zip(z, w):
        for i in range(len(zk)):
            for j in range(len(zk)):
                for slope in (wk[i] + wk[j], wk[j] - wk[i]):
                    if slope and (zk[i] - zk[j]) / slope > 0:
                        candidates.add((zk[i] - zk[j]) / slope)

    def bound(lam):
        total = -lam * radius
        for pk, zk, wk, ok in zip(p, z, w, open_to):
            price = min(zk[j] + lam * wk[j] for j in range(len(zk)) if ok[j])
            total += sum(pk[i] * min(zk[i], lam * wk[i] + price) for i in range(len(zk)))
        return total

    return max(bound(lam) for lam in candidates)


def wasserstein(p, z, radius, open_to, cost):
    """The same with the cost of transport: kinks where two targets of a source are equally good."""
    candidates = {Fraction(0)}
    for zk in z:
        for i in range(len(zk)):
            for j in range(len(zk)):
                for k in range(len(zk)):
                    if cost[i][j] != cost[i][k] and (zk[j] - zk[k]) / (cost[i][k] - cost[i][j]) > 0:
                        candidates.add((zk[j] - zk[k]) / (cost[i][k] - cost[i][j]))

    def bound(lam):
        total = -lam * radius
        for pk, zk, ok in zip(p, z, open_to):
            for i, mass in enumerate(pk):
                total += mass * min(zk[j] + lam * cost[i][j] for j in range(len(zk)) if ok[j])
        return total

    return max(bound(lam) for lam in candidates)


def _halve(far, near, inside):
    """A point where `inside` holds, at the edge, by bisection between one where it fails and one where it holds."""
    for _ in range(80):
        middle = (far + near) / 2
        far, near = (far, middle) if inside(middle) else (middle, near)
    return near


def _mpf(x):
    return mp.mpf(x.numerator) / x.denominator


def divergence(name, p, q):
    """`D(q, p)` in 30 digits."""
    if name == "kl":
        return sum(y * mp.log(y / x) for x, y in zip(p, q) if y)
    if name == "burg":
        return sum(x * mp.log(x / y) for x, y in zip(p, q) if x)
    return sum((y - x) ** 2 / (x if name == "chi2" else 1) for x, y in zip(p, q) if x)


def member_below(name, p, z, radius, scale):
    """`sum_k q_k . z_k`, nearly as small as it can be, and the rows, which are inside the ball, on their own support.

    The path is q ~ p exp(-t z) for KL, p / (t (z + level)) for Burg, and the Euclidean projections of p - t z, in
    weights 1 / p for chi-square; t is common to the rows, levels are such that each sums to one.
    """
    p, z = [[_mpf(x) for x in row] for row in p], [[_mpf(x) for x in row] for row in z]
    budget = _mpf(radius) ** (2 if name == "l2" else 1)

    def rows(t):
        return [_path(name, pk, zk, t / scale) for pk, zk in zip(p, z)]

    def inside(log):
        return sum(divergence(name, pk, qk) for pk, qk in zip(p, rows(mp.exp(log)))) <= budget

    best = rows(mp.exp(_halve(mp.mpf(50), mp.mpf(-20), inside)))
    assert sum(divergence(name, pk, qk) for pk, qk in zip(p, best)) <= budget
    return sum(dot(qk, zk) for qk, zk in zip(best, z)), best


def priced(name, p, z, temperature, open_to):
    """The least of `q . z + temperature D(q, p)` and its row: exact for total variation and chi-square."""
    if name == "soft_tv":
        # Mass moves where that gains more than the price.
        least = min(x for x, ok in zip(z, open_to) if ok)
        return dot(p, [min(x, least + temperature) for x in z]), None
    if name == "soft_chi2":
        used = sorted((i for i, x in enumerate(p) if x), key=lambda i: z[i])
        for n in range(len(used), 0, -1):
            level = (2 * temperature + sum(p[i] * z[i] for i in used[:n])) / sum(p[i] for i in used[:n])
            if level >= z[used[n - 1]]:
                break
        q = [p[i] * max(level - z[i], Fraction(0)) / (2 * temperature) for i in range(len(z))]
        return dot(q, z) + temperature * divergence("chi2", p, q), q
    p, z, temperature = [_mpf(x) for x in p], [_mpf(x) for x in z], _mpf(temperature)
    q = _path("kl", p, z, 1 / temperature)
    return dot(q, z) + temperature * divergence("kl", p, q), q


def _path(name, p, z, t):
    used = [i for i, x in enumerate(p) if x]
    least = min(z[i] for i in used)
    if name == "kl":
        weights = {i: p[i] * mp.exp(-t * (z[i] - least)) for i in used}
    elif name == "burg":
        # Newton's method from the left on the harmonic mean of z + level, which is concave.
        away = {i: z[i] - least for i in used}
        level = sum(p[i] for i in used if not away[i]) / t
        for _ in range(200):
            one = sum(p[i] / (away[i] + level) for i in used)
            step = (1 / t - 1 / one) * one**2 / sum(p[i] / (away[i] + level) ** 2 for i in used)
            level += step
            if abs(step) < mp.mpf(10) ** -27 * level:
                break
        weights = {i: p[i] / (away[i] + level) for i in used}
    else:
        w = {i: p[i] if name == "chi2" else mp.mpf(1) for i in used}
        order = sorted(used, key=lambda i: t * z[i] - p[i] / w[i])
        # q_i = w_i (level - (t z_i - p_i / w_i))_+ , the level so that they sum to one.
        for n in range(len(order), 0, -1):
            head = order[:n]
            level = (1 + sum(w[i] * t * z[i] - p[i] for i in head)) / sum(w[i] for i in head)
            if level >= t * z[head[-1]] - p[head[-1]] / w[head[-1]]:
                break
        weights = {i: w[i] * (level - t * z[i]) + p[i] for i in head}
    total = sum(weights.values())
    return [weights.get(i, mp.mpf(0)) / total for i in range(len(p))]
