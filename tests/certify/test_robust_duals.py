"""The referee's lower bounds of nature's problem against linear and conic programs, closed forms and feasible rows."""

import numpy as np
import pytest
from certify import robust_by_hand as by_hand
from numpy.testing import assert_allclose

from mdplab.certify import robust
from mdplab.certify.enclosure import Arbs, FloatBalls, Rationals
from mdplab.models import BurgBall, Chi2Ball, KLBall, L2Ball, NoiseSet, RobustMDP, SoftKL

pytest.importorskip("flint")
NOISE = [("noise", rect, order) for rect in ("sa", "s") for order in (1, 2, np.inf)]
CONIC = {"l2", "kl", "burg", "chi2", "soft_kl", "soft_chi2"}


def bounds(problem, v, weights, ar=None, level="float", multipliers=None):
    """Lower ends of the bounds of `min sum_a w_a q_a . z_a`, (S,); perhaps with multipliers from a generator."""
    ar = FloatBalls() if ar is None else ar
    mdp, one = problem.nominal, problem.uncertainty
    family = robust.family_of(problem)
    if multipliers is not None:
        family.multipliers = lambda rows, p, y: _multipliers(multipliers, len(rows.groups))
        family.centre = lambda found, lam: multipliers.standard_normal(lam.shape) * 10.0 ** multipliers.uniform(-2, 1)
    out = np.zeros(mdp.S)
    with np.errstate(all="ignore"):
        for rows in robust.blocks(mdp, one, level):
            rows = rows.take(weights[rows.s, rows.a] > 0)
            z, w = by_hand.objectives(problem, v)[rows.s, rows.a], weights[rows.s, rows.a]
            found = family.least(ar, rows, ar.of(z), ar.of(w), z, w)
            lower = found.mid - found.rad if level == "float" else ar.floats(found)
            out[rows.s[rows.starts]] = lower
    return out


def _multipliers(rng, n):
    """Of every size, and now and then none at all."""
    usual = 10.0 ** rng.uniform(-3, 3, n)
    return np.where(rng.random(n) < 0.8, usual, rng.choice([0.0, -1.0, -1e-300, np.inf, np.nan], n))


def drawn(name, rect, support, rng, size, next_rewards=False):
    if name == "noise":
        mdp = by_hand.nominal(rng, zeros=False)
        return RobustMDP(mdp, NoiseSet(0.9 * mdp.P.min(), order=support, rectangularity=rect))
    return by_hand.problem(name, rect, support, rng, size=size, next_rewards=next_rewards)


def situations(name, rect, support, sizes):
    for k, size in enumerate(sizes):
        rng = np.random.default_rng([8100, sum(map(ord, f"{name}{rect}{support}")), k])
        sized = size if name not in ("cvar", "contamination") and not name.startswith("soft") else None
        problem = drawn(name, rect, support, rng, sized, next_rewards=k % 2 == 1)
        v = 3 * rng.standard_normal(problem.S)
        # Ties among the objectives, and policies with and without chance.
        v = np.round(v) if k % 3 == 2 else v
        weights = rng.dirichlet([1, 1], problem.S) if k % 2 else np.eye(2)[rng.integers(2, size=problem.S)]
        yield problem, v, weights


@pytest.mark.parametrize(("name", "rect", "support"), by_hand.CASES + NOISE)
def test_bounds_meet_the_program(name, rect, support):
    for problem, v, weights in situations(name, rect, support, [None, 0.3, 2.5]):
        z, found = by_hand.objectives(problem, v), bounds(problem, v, weights)
        truth = [by_hand.Program(problem, s, weights[s]).solve(z[s]) for s in range(problem.S)]
        conic = name in CONIC or (name == "noise" and support == 2)
        # HiGHS ends at a vertex, Clarabel within 1e-10 of its own residuals, a few 1e-9 in the value.
        assert_allclose(found, truth, rtol=0, atol=3e-8 if conic else 1e-12)
        if not conic:
            # The proved lower ends are below the optima by some rounding.
            assert (found <= np.array(truth) + 1e-14 * (1 + np.abs(z).max())).all()


@pytest.mark.parametrize(("name", "rect", "support"), by_hand.CASES + NOISE)
def test_both_levels_bound_alike(name, rect, support):
    for problem, v, weights in situations(name, rect, support, [0.0, 1e-6, None, 4.0]):
        ar = Arbs() if robust.family_of(problem).transcendental else Rationals()
        import flint

        before, flint.ctx.prec = flint.ctx.prec, 128
        try:
            exact = bounds(problem, v, weights, ar, "exact")
        finally:
            flint.ctx.prec = before
        found = bounds(problem, v, weights)
        scale = 1 + np.abs(by_hand.objectives(problem, v)).max()
        # Multipliers of small balls are as large as 1 / sqrt(radius), and rounding with them.
        assert (found <= exact + 1e-15 * scale).all()
        assert_allclose(found, exact, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize(("name", "rect", "support"), [c for c in by_hand.CASES if c[0] in by_hand.MULTIPLIED])
def test_any_multiplier_is_valid(name, rect, support):
    rng, met = np.random.default_rng([8104]), 0
    for problem, v, weights in situations(name, rect, support, [0.2, None, 1e-3, 2.0]):
        best = bounds(problem, v, weights)
        for _ in range(20):
            found = bounds(problem, v, weights, multipliers=rng)
            # The best bound is that close to the optimum; the others may only be below.
            assert (found <= best + 1e-9 * (1 + np.abs(v).max())).all()
            met += np.isfinite(found).sum()
    assert met > 0


def feasible(problem, rng, s, weights):
    """Random rows of a state inside the set: towards random rows as far as the distance allows."""
    mdp, one = problem.nominal.dense(), problem.uncertainty
    P = mdp.P[s] / mdp.P[s].sum(axis=1, keepdims=True)
    target = np.where((P > 0) | (one.support == "all"), rng.dirichlet(np.full(mdp.S, 0.3), mdp.A) + 1e-9, 0)
    target /= target.sum(axis=1, keepdims=True)
    sizes = one.radii(mdp.S, mdp.A) ** (2 if one.name == "l2" and one.rectangularity == "s" else 1)
    share = np.ones(mdp.A)
    for _ in range(80):
        q = P + share[:, None] * (target - P)
        far = np.array([by_hand.distance(one, P[a], q[a], s, a) for a in range(mdp.A)])
        if one.rectangularity == "s":
            share = share if far.sum() <= sizes[s] else 0.6 * share
        else:
            share = np.where(far <= sizes[s], share, 0.6 * share)
    assert (far.sum() <= sizes[s]) if one.rectangularity == "s" else (far <= sizes[s]).all()
    return q


@pytest.mark.parametrize(("name", "rect", "support"), [c for c in by_hand.CASES if c[0] in by_hand.DISTANCES])
def test_no_row_of_the_set_goes_below(name, rect, support):
    for problem, v, weights in situations(name, rect, support, [0.2, 1e-6, 1e-3, 1.0]):
        rng, z, found = np.random.default_rng([8101]), by_hand.objectives(problem, v), bounds(problem, v, weights)
        for s in range(problem.S):
            for _ in range(3):
                q = feasible(problem, rng, s, weights[s])
                # Rounding of the mean on the right.
                assert found[s] <= (weights[s][:, None] * q * z[s]).sum() + 1e-14 * (1 + np.abs(z[s]).max())


def test_small_balls_in_closed_form():
    """While no entry turns to 0: chi-square p.z - sqrt(radius Var), L2 p.z - radius ||z - mean z||."""
    rng = np.random.default_rng([8102])
    mdp = by_hand.nominal(rng, zeros=False)
    v, weights = rng.standard_normal(4), np.eye(2)[[0, 1, 0, 1]]
    rows = mdp.P[np.arange(4), [0, 1, 0, 1]]
    for radius in (1e-2, 1e-5, 1e-8):
        z = by_hand.objectives(RobustMDP(mdp, Chi2Ball(0.0)), v)[np.arange(4), [0, 1, 0, 1]]
        mean = (rows * z).sum(axis=1)
        spread = np.sqrt((rows * (z - mean[:, None]) ** 2).sum(axis=1))
        small = radius * rows.min() ** 2
        found = bounds(RobustMDP(mdp, Chi2Ball(small)), v, weights)
        # Rounding with multipliers of about 1 / sqrt(radius).
        assert_allclose(found, mean - np.sqrt(small) * spread, rtol=0, atol=1e-10)
        length = np.linalg.norm(z - z.mean(axis=1, keepdims=True), axis=1)
        found = bounds(RobustMDP(mdp, L2Ball(radius * rows.min())), v, weights)
        # As above, with 1 / radius: 1e-16 / 1e-10 in the worst of these.
        assert_allclose(found, mean - radius * rows.min() * length, rtol=0, atol=1e-7 if radius < 1e-6 else 1e-10)
        if radius >= 1e-5:
            found = bounds(RobustMDP(mdp, KLBall(small)), v, weights)
            # KL is half of chi-square to leading order; the next order is the radius times the range.
            assert_allclose(found, mean - np.sqrt(2 * small) * spread, rtol=0, atol=20 * small / rows.min())
            found = bounds(RobustMDP(mdp, BurgBall(small)), v, weights)
            assert_allclose(found, mean - np.sqrt(2 * small) * spread, rtol=0, atol=20 * small / rows.min())


def test_soft_kl_is_the_entropic_risk():
    rng = np.random.default_rng([8103])
    mdp = by_hand.nominal(rng)
    v, weights = rng.standard_normal(4), np.eye(2)[[0, 1, 0, 1]]
    rows = mdp.P[np.arange(4), [0, 1, 0, 1]]
    z = by_hand.objectives(RobustMDP(mdp, KLBall(0.0)), v)[np.arange(4), [0, 1, 0, 1]]
    for temperature in (0.1, 1.0, 30.0):
        truth = -temperature * np.log((rows * np.exp(-z / temperature)).sum(axis=1))
        found = bounds(RobustMDP(mdp, SoftKL(temperature=temperature)), v, weights)
        # Rounding, enlarged by the temperature.
        assert_allclose(found, truth, rtol=0, atol=1e-13 * (1 + temperature))
