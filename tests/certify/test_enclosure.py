"""The arithmetic of enclosures against fractions and flint: what a ball says contains the truth."""

from fractions import Fraction

import numpy as np
import pytest

from mdplab.certify.enclosure import Arbs, Balls, FloatBalls, Rationals

flint = pytest.importorskip("flint")


@pytest.fixture(autouse=True)
def many_digits():
    """The truth to 200 bits."""
    before, flint.ctx.prec = flint.ctx.prec, 200
    yield
    flint.ctx.prec = before


FLOATS, EXACT, ENCLOSED = FloatBalls(), Rationals(), Arbs()


def numbers(rng, shape):
    """Floats of many sizes, some equal, some zero, some near the ends of the range."""
    x = rng.standard_normal(shape) * 10.0 ** rng.integers(-8, 8, shape)
    x[rng.random(shape) < 0.1] = 0
    x[rng.random(shape) < 0.1] = 1
    x[rng.random(shape) < 0.05] = 5e-324
    return x


def inside(ball, truth):
    """Every exact number lies in its ball."""
    for mid, rad, one in zip(ball.mid.ravel(), ball.rad.ravel(), np.ravel(truth)):
        if np.isinf(rad) or np.isnan(rad):
            continue
        exact = Fraction(int(one.p), int(one.q))
        if abs(Fraction(float(mid)) - exact) > Fraction(float(rad)):
            return False
    return True


def expression(ar, x, y, mask, starts):
    """Every rational operation of the vocabulary."""
    one = ar.of(np.ones(x.shape))
    x, y = ar.of(x), ar.of(y)
    a = x * y + x - 3 * y
    b = 1 - a * a / (y * y + one)
    c = ar.maximum(a, b) - ar.minimum(x, b * y)
    d = ar.absolute(c) + ar.masked(mask, b) + ar.pick(mask, a, c)
    sums = ar.total(d) + ar.least(d, mask)
    grouped = ar.grouped(sums, starts)
    spread = ar.scattered(grouped, np.arange(len(starts)) + 1, len(starts) + 2)
    share = ar.share(ar.absolute(a), ar.absolute(a) + ar.absolute(c))
    return [a, b, c, d, sums, grouped, spread, share, ar.total(ar.transposed(d)), ar.stacked([sums, sums])]


@pytest.mark.parametrize("seed", range(60))
def test_balls_contain_the_rational_truth(seed):
    rng = np.random.default_rng([8000, seed])
    shape = (int(rng.integers(2, 6)), int(rng.integers(1, 9)))
    x, y = numbers(rng, shape), numbers(rng, shape)
    mask = rng.random(shape) < 0.5
    mask[:, 0] = True
    starts = np.unique(np.append(0, rng.integers(0, shape[0], 2)))
    with np.errstate(all="ignore"):
        floats, truth = (expression(ar, x, y, mask, starts) for ar in (FLOATS, EXACT))
    assert all(inside(ball, exact) for ball, exact in zip(floats, truth))
    finite = np.concatenate([np.isfinite(ball.rad).ravel() for ball in floats])
    assert finite.mean() > 0.9


def exact(x):
    return np.vectorize(lambda one: Fraction(float(one)), otypes=[object])(x)


OPERATIONS = {
    "add": lambda ar, x, y: x + y,
    "subtract": lambda ar, x, y: x - y,
    "multiply": lambda ar, x, y: x * y,
    "divide": lambda ar, x, y: x / y,
    "larger": lambda ar, x, y: ar.maximum(x, y),
    "smaller": lambda ar, x, y: ar.minimum(x, y),
    "size": lambda ar, x, y: ar.absolute(x),
    "sum": lambda ar, x, y: ar.total(x),
    "runs": lambda ar, x, y: ar.grouped(ar.total(x), np.array([0, 1, 3])),
    "least": lambda ar, x, y: ar.least(x, np.ones(x.mid.shape if ar is FLOATS else x.shape, dtype=bool)),
}


class Fractions:
    """The vocabulary for arrays of `Fraction`, written anew."""

    maximum = staticmethod(np.vectorize(max, otypes=[object]))
    minimum = staticmethod(np.vectorize(min, otypes=[object]))
    absolute = staticmethod(np.vectorize(abs, otypes=[object]))

    @staticmethod
    def total(x):
        return np.array([sum(row) for row in x], dtype=object)

    @staticmethod
    def grouped(x, starts):
        return np.array([sum(part) for part in np.split(x, starts[1:])], dtype=object)

    @staticmethod
    def least(x, mask):
        return np.array([min(row) for row in x], dtype=object)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_encloses_every_point_of_its_arguments(name):
    """Balls from narrower than rounding to wider than their middles; the ends are the worst points."""
    rng = np.random.default_rng([8003, len(name)])
    for _ in range(40):
        x, y = (
            Balls(
                rng.choice([-1, 1], (5, 7)) * rng.uniform(0.5, 2, (5, 7)),
                rng.choice([0.0, 1e-17, 1e-9, 0.3, 3.0], (5, 7), p=[0.3, 0.1, 0.2, 0.2, 0.2]),
            )
            for _ in range(2)
        )
        with np.errstate(all="ignore"):
            found = OPERATIONS[name](FLOATS, x, y)
        for ends in ((-1, -1), (-1, 1), (1, -1), (1, 1), (0, 0)):
            points = [exact(one.mid) + end * exact(one.rad) for one, end in zip((x, y), ends)]
            safe = np.where(points[1] == 0, Fraction(1), points[1]) if name == "divide" else points[1]
            truth = OPERATIONS[name](Fractions, points[0], safe)
            known = np.isfinite(found.rad)
            if name == "divide":
                # A divisor that may be 0 says nothing.
                assert (known == (np.abs(y.mid) > y.rad)).all()
            else:
                assert known.all()
            for mid, rad, one in zip(found.mid[known], found.rad[known], truth[known]):
                assert abs(Fraction(float(mid)) - one) <= Fraction(float(rad))


def test_the_balls_are_no_wider_than_rounding():
    rng = np.random.default_rng([8001])
    x = rng.random((50, 200)) + 0.5
    p = FLOATS.of(x) / FLOATS.total(FLOATS.of(x))[:, None]
    mean = FLOATS.total(p * FLOATS.of(x))
    # Division, product and a sum by halving of 200 terms: fewer than 30 roundings of 1.1e-16 each.
    assert (mean.rad <= 30 * 2.0**-53 * mean.mid).all()


def test_a_ball_missing_a_unit_of_rounding_would_be_caught():
    third = Balls(1.0) / Balls(3.0)
    assert inside(third, [flint.fmpq(1, 3)])
    assert not inside(Balls(third.mid, 0.0), [flint.fmpq(1, 3)])


@pytest.mark.parametrize("seed", range(10))
def test_exp_and_log_contain_flints(seed):
    rng = np.random.default_rng([8002, seed])
    x = np.append(rng.uniform(-50, 50, 200), [0.0, -745.0, -800.0, 1e-300, 1.0 + 2.0**-52])
    wide = Balls(x, 10.0 ** rng.uniform(-17, -1, x.shape))
    for shift in (-1.0, 0.0, 1.0):
        # A point of each ball, exactly.
        points = ENCLOSED.of(wide.mid) + ENCLOSED.of(shift * wide.rad)
        found = FLOATS.exp(wide)
        truth = ENCLOSED.exp(points)
        gaps = ENCLOSED.absolute(truth - ENCLOSED.of(found.mid))
        assert ENCLOSED.shown(ENCLOSED.of(found.rad) - gaps).all()
        positive = wide.mid - wide.rad > 0
        found, truth = FLOATS.log(wide), ENCLOSED.log(points)
        assert np.isinf(found.rad[~positive]).all()
        gaps = ENCLOSED.absolute(truth[positive] - ENCLOSED.of(found.mid[positive]))
        assert ENCLOSED.shown(ENCLOSED.of(found.rad[positive]) - gaps).all()


def test_nothing_is_shown_of_what_overflows():
    with np.errstate(all="ignore"):
        big = Balls(np.array([1e308, -1e308, 1e308]))
        for ball in (big * 10, big + big, big / Balls(0.0), FLOATS.exp(big), FLOATS.log(-big), Balls(np.nan) + big):
            found = FLOATS.total(ball[:, None])
            assert not FLOATS.shown(found)[~np.isfinite(found.mid)].any()
        assert not FLOATS.shown(Balls(np.array([np.nan]))).any()


def test_shares_of_nothing():
    zero = np.zeros(1)
    with np.errstate(all="ignore"):
        assert FLOATS.share(Balls(zero), Balls(zero)).mid == 0
    assert EXACT.share(EXACT.of(zero), EXACT.of(zero))[0] == 0
    assert ENCLOSED.share(ENCLOSED.of(zero), ENCLOSED.of(zero))[0] == 0
    with np.errstate(all="ignore"):
        unknown = FLOATS.share(Balls(zero, 1e-20), Balls(zero, 1e-20))
    assert unknown.mid - unknown.rad <= 0 and unknown.mid + unknown.rad >= 1
    unknown = ENCLOSED.share(flint.arb(0, 1e-20) + ENCLOSED.of(zero), flint.arb(0, 1e-20) + ENCLOSED.of(zero))[0]
    assert unknown.lower() <= 0 and unknown.upper() >= 1


def test_the_better_of_two_bounds_is_a_bound():
    x, y = Balls(np.array([1.0, 2.0, np.nan, 1.0]), np.array([0.1, 3.0, 0.0, np.inf])), Balls(np.zeros(4), 0.5)
    assert FLOATS.floats(FLOATS.better(x, y))[[0, 1, 3]].tolist() == [1.0, 0.0, 0.0]
