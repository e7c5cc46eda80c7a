import numpy as np
import pytest
from kernels.robust import cones, duals
from scipy.optimize import linprog

from mdplab.kernels.robust import l1, soft
from mdplab.kernels.robust.tilt import CHI2, KL

ROWS = {
    "tv": soft.soft_tv_row,
    "kl": lambda z, p, *rest: soft.soft_row(z, p, KL, *rest),
    "chi2": lambda z, p, *rest: soft.soft_row(z, p, CHI2, *rest),
}
MANY = {
    "tv": soft.soft_tv_rows,
    "kl": lambda z, p, indptr, *rest: soft.soft_rows(z, p, indptr, KL, *rest),
    "chi2": lambda z, p, indptr, *rest: soft.soft_rows(z, p, indptr, CHI2, *rest),
}
TEMPERATURES = [1e-6, 1e-3, 0.03, 0.3, 1.0, 10.0, 1e4]
# Fifty terms of a sum; a row that varies by less than 1e-13 (1 + |z|) counts as constant.
SHARP = 3e-13


def rows(key, count=245):
    for t in range(count):
        yield *duals.random_row(t, np.random.default_rng([key, t])), TEMPERATURES[t % 7]


def ball(kind, z, p, radius):
    row = l1.l1_row if kind == "tv" else duals.ball_row(kind)
    return row(z, p, 2 * radius if kind == "tv" else radius, np.empty_like(p))


def distance(kind, q, p):
    return np.abs(q - p).sum() / 2 if kind == "tv" else duals.divergence(kind, q, p)


def closed_form(kind, z, p, temperature, slip=1.0):
    """The conjugate of each penalty, from A.1.11; for chi-square a maximum over the clipping level."""
    if kind == "tv":
        return p @ np.minimum(z, z.min() + slip * temperature)
    z, p = z[p > 0], p[p > 0]
    y = z - z.min()
    if kind == "kl":
        tau, mean = slip * temperature, p @ y
        x = -(y - mean) / tau
        return z.min() + (
            mean - tau * np.log1p(p @ (np.expm1(x) - x)) if x.max() < 1 else -tau * np.log(p @ np.exp(-y / tau))
        )
    candidates = np.concatenate([y, _levels(y, p, slip * temperature)])
    cut = np.minimum(y, candidates[:, None])
    mean = cut @ p
    return z.min() + np.max(mean - ((cut - mean[:, None]) ** 2 @ p) / (4 * slip * temperature))


def _levels(y, p, temperature):
    """The stationary level of each prefix of the sorted objective: E (c - y)_+ = 2 temperature."""
    order = np.argsort(y)
    return (2 * temperature + np.cumsum((p * y)[order])) / np.cumsum(p[order])


@pytest.mark.parametrize("kind", ROWS)
def test_rows_attain_their_closed_form(kind):
    wrong = 0
    for z, p, temperature in rows(350):
        q = np.full_like(p, np.nan)
        value, near = ROWS[kind](z, p, temperature, q), SHARP * (1 + np.abs(z).max())
        assert abs(value - closed_form(kind, z, p, temperature)) <= near
        assert q.min() >= 0 and abs(q.sum() - 1) <= SHARP
        # The distance taken anew cancels: its rounding is absolute, and is multiplied by the temperature.
        assert abs(q @ z + temperature * distance(kind, q, p) - value) <= near + 1e-15 * temperature
        wrong += abs(value - closed_form(kind, z, p, temperature, slip=1 + 1e-5)) > near
    # A temperature wrong by 1e-5 is seen wherever the penalty matters.
    assert wrong > 50


def test_total_variation_solves_its_linear_program():
    for z, p, temperature in rows(351, count=210):
        n, eye = z.size, np.eye(z.size)
        # Variables q and d >= |q - p|, in units of the spread.
        spread = max(np.ptp(z), 1e-300)
        cost = np.concatenate([(z - z.min()) / spread, np.full(n, temperature / spread / 2)])
        bounds = np.vstack([np.hstack([eye, -eye]), np.hstack([-eye, -eye])])
        total = np.concatenate([np.ones(n), np.zeros(n)])[None]
        # Past a few spreads a dearer penalty forbids every move just the same, and scales badly.
        cost[n:] = np.minimum(cost[n:], 10.0)
        program = linprog(cost, bounds, np.concatenate([p, -p]), total, [1.0], method="highs")
        value = soft.soft_tv_row(z, p, temperature, np.empty(n))
        # HiGHS meets its constraints to 1e-7 in units of the spread.
        assert abs(value - z.min() - spread * program.fun) <= cones.NEAR * spread + SHARP * (1 + np.abs(z).max())


@pytest.mark.parametrize("kind", ["kl", "chi2"])
def test_rows_solve_the_cone_program(kind):
    for t in range(200):
        z, p = duals.random_row(t, np.random.default_rng([352, t]))
        spread = np.ptp(z) or 1.0
        temperature = spread * (0.01, 0.1, 0.5, 3.0)[(t // 5) % 4]
        value = ROWS[kind](z, p, temperature, np.empty_like(p))
        # A ball that holds every row of the support leaves the penalty alone.
        program = cones.program(kind, z, p, np.array([0, z.size]), 1e3, temperature=temperature)
        assert abs(value - program) <= cones.NEAR * spread + SHARP * (1 + np.abs(z).max())


@pytest.mark.parametrize("kind", ROWS)
def test_penalties_are_conjugate_to_balls(kind):
    """A.6.3: ball(radius) = max over the temperature of soft(temperature) - temperature radius."""
    for t in range(150):
        rng = np.random.default_rng([353, t])
        z, p = duals.random_row(t, rng)
        radius, near, out = rng.exponential() * 0.3, SHARP * (1 + np.abs(z).max()), np.empty_like(p)
        value, y = ball(kind, z, p, radius), z - (z if kind == "tv" else z[p > 0]).min()

        def conjugate(temperature, kind=kind, z=z, p=p, radius=radius, out=out):
            return ROWS[kind](z, p, temperature, out) - temperature * radius

        if kind == "tv":
            # Piecewise linear with kinks at the differences of z; at temperature 0 nothing is paid.
            best = max([z.min()] + [conjugate(x) for x in y if x > 0])
        else:
            best, low, high = z[p > 0].min(), np.log(np.ptp(z) or 1.0) - 30, np.log(np.ptp(z) or 1.0) + 8
            for _ in range(8):
                grid = np.linspace(low, high, 41)
                values = [conjugate(np.exp(x)) for x in grid]
                k = int(np.argmax(values))
                best, low, high = max(best, values[k]), grid[max(k - 1, 0)], grid[min(k + 1, 40)]
        assert abs(best - value) <= near


@pytest.mark.parametrize("kind", ROWS)
def test_many_rows_are_each_row(kind):
    (z, p, tau), (y, r, rho) = list(rows(354, count=12))[4:6]
    value, q, one = np.full(2, np.nan), np.full(z.size + y.size, np.nan), np.empty_like(r)
    indptr = np.array([0, z.size, z.size + y.size])
    MANY[kind](np.append(z, y), np.append(p, r), indptr, np.array([tau, rho]), 1, 2, value, q)
    assert np.isnan(value[0]) and value[1] == ROWS[kind](y, r, rho, one)
    assert np.array_equal(q[z.size :], one) and np.isnan(q[: z.size]).all()
