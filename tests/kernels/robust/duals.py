"""The inner problems over balls of a divergence once more, as concave maximisations in one variable, and random rows.

Any multiplier gives a lower bound, so that a worst row that attains the dual's value is optimal. `slip` multiplies the
radius in the dual: anything but 1 is a wrong formula.
"""

import numpy as np
from scipy.special import rel_entr

from mdplab.kernels.robust import divergence as balls
from mdplab.kernels.robust.tilt import BURG, CHI2, KL, L2

KINDS = {"kl": KL, "burg": BURG, "chi2": CHI2, "l2": L2}

RADII = [0.0, 1e-20, 1e-12, 1e-6, 1e-3, 0.05, 0.3, 1.0, 3.0, 30.0]


def ball_row(kind):
    """The kernel of one row, (z, p, radius, out_p)."""
    return lambda z, p, *rest: balls.divergence_row(z, p, KINDS[kind], *rest)


def random_row(t, rng, n=None):
    """(z, p) of one of five kinds: generic, ties, zero nominal entries, constant up to rounding or nearly so, large."""
    n = (2, 3, 5, 9, 17, 50)[t % 6] if n is None else n
    z, p = rng.normal(size=n), rng.exponential(size=n)
    kind = t % 5
    if kind == 1:
        z, p = np.round(2 * z) / 2, rng.integers(1, 4, size=n).astype(float)
    if kind == 2:
        p *= rng.random(n) < 0.5
        p[rng.integers(n)] += 0.1
    if kind == 3:
        z = 5.0 + z * 10.0 ** rng.integers(-16, -8)
    if kind == 4:
        z = 300.0 + 20.0 * z
    return z, p / p.sum()


def random_rows(key, count=240):
    """(z, p, radius): every kind of row with every one of `RADII`, n from 2 to 50."""
    for t in range(count):
        rng = np.random.default_rng([key, t])
        yield *random_row(t, rng), RADII[(t // 5) % len(RADII)]


def random_state(t, rng):
    """(z, p, indptr): one to five ragged rows; now and then one is constant, or two have the same least entry."""
    num = 1 if t % 4 == 0 else int(rng.integers(2, 6))
    rows = [random_row(t, rng, n=int(rng.integers(1, 30))) for _ in range(num)]
    if t % 11 == 0:
        rows[-1] = (np.full_like(rows[-1][0], rows[0][0][0]), rows[-1][1])
    if t % 7 == 0:
        rows[-1][0][0] = rows[0][0].min()
    z, p = (np.concatenate(part) for part in zip(*rows))
    return z, p, np.cumsum([0] + [len(row[0]) for row in rows])


def random_states(key, count=240):
    """(z, p, indptr, radius): every kind of row with every one of `RADII`."""
    for t in range(count):
        rng = np.random.default_rng([key, t])
        yield *random_state(t, rng), RADII[(t // 5) % len(RADII)]


def divergence(kind, q, p):
    """D(q, p), infinite off the support where the set forbids it."""
    if kind == "l2":
        return np.sum((q - p) ** 2)
    if kind == "burg":
        return np.sum(rel_entr(p, q))
    if kind == "kl":
        return np.sum(rel_entr(q, p))
    on = p > 0
    return np.sum((q[on] - p[on]) ** 2 / p[on]) if not q[~on].any() else np.inf


def _maximum(f, low, high):
    """Maximum of a concave (in log x) function of x in [exp low, exp high], f (G,) -> (G,), by refined grids."""
    best = -np.inf
    for _ in range(8):
        grid = np.linspace(low, high, 81)
        values = f(np.exp(grid)[:, None])
        k = int(np.nanargmax(values))
        best = max(best, values[k])
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, grid.size - 1)]
    return best


def kl(z, p, radius, slip=1.0):
    """max over b of -b log E exp(-z / b) - b radius."""
    z, p = z[p > 0], p[p > 0]
    y = z - z.min()
    mean = p @ y

    def value(b):
        # Centred where nothing overflows, so that a large b loses no digits.
        centre = np.where(mean < b, mean, 0.0)
        x = -(y - centre) / b
        log = np.where(centre[:, 0] > 0, np.log1p((np.expm1(x) - x) @ p), np.log(np.exp(np.minimum(x, 0.0)) @ p))
        return centre[:, 0] - b[:, 0] * (log + slip * radius)

    return z.min() + max(0.0, _maximum(value, np.log(y.max()) - 40, np.log(y.max()) + 30))


def burg(z, p, radius, slip=1.0):
    """max over nu <= min z of nu + exp(E log(z - nu) - radius): the multiplier of the ball is eliminated."""
    y = z - z.min()
    on, mean = p > 0, p @ y

    def value(d):
        x = (y[on] - mean) / (d + mean)
        return mean + (d[:, 0] + mean) * np.expm1((np.log1p(x) - x) @ p[on] - slip * radius)

    with np.errstate(divide="ignore", invalid="ignore"):
        edge = value(np.zeros((1, 1)))[0]
    best = _maximum(value, np.log(y.max()) - 34, np.log(y.max()) + 30)
    return z.min() + max(best, edge if np.isfinite(edge) else 0.0)


def chi2(z, p, radius, slip=1.0):
    """max over alpha of E min(z, alpha) - sqrt(radius Var min(z, alpha))."""
    z, p = z[p > 0], p[p > 0]
    y = z - z.min()

    def value(alpha):
        cut = np.minimum(y, alpha)
        mean = cut @ p
        return mean - np.sqrt(slip * radius * ((cut - mean[:, None]) ** 2 @ p))

    return z.min() + max(0.0, _maximum(value, np.log(y.max()) - 34, np.log(y.max())))


def project(x):
    """Euclidean projection of the rows of x (G, n) on the simplex, by sorting."""
    down = -np.sort(-x, axis=1)
    level = (np.cumsum(down, axis=1) - 1) / np.arange(1, x.shape[1] + 1)
    last = x.shape[1] - 1 - np.argmax((down > level)[:, ::-1], axis=1)
    return np.maximum(x - np.take_along_axis(level, last[:, None], 1), 0)


def l2(z, p, radius, slip=1.0):
    """max over t of min over q of q.z + (||q - p||^2 - radius^2) / (2 t), the minimiser being a projection."""
    y = z - z.min()

    def value(t):
        q = project(p - t * y)
        return q @ y + (np.sum((q - p) ** 2, axis=1) - slip * radius**2) / (2 * t[:, 0])

    return z.min() + max(0.0, _maximum(value, -np.log(y.max()) - 30, -np.log(y.max()) + 40))


DUALS = {"kl": kl, "burg": burg, "chi2": chi2, "l2": l2}


def row_faults(kind, row, slip=1.0, key=310):
    """Gaps to the dual (240,), worst infeasibility, worst distance of q.z from the value; relative to 1 + max |z|."""
    gaps, infeasible, missed = [], 0.0, 0.0
    for z, p, radius in random_rows(key):
        q = np.full_like(p, np.nan)
        value = row(z, p, radius, q)
        scale = 1 + np.abs(z).max()
        # No dual where all is constant or nothing may move: there the nominal value is the answer.
        fixed = radius == 0 or np.ptp(z[p > 0] if kind in ("kl", "chi2") else z) <= 1e-13 * scale
        gaps.append(abs(value - (p @ z if fixed else DUALS[kind](z, p, radius, slip))) / scale)
        excess = divergence(kind, q, p) - (radius**2 if kind == "l2" else radius)
        infeasible = max(infeasible, excess / max(radius, 1.0), abs(q.sum() - 1), -q.min())
        missed = max(missed, abs(value - q @ z) / scale)
    return np.array(gaps), infeasible, missed
