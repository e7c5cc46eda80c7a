"""Finite laws: what is refused, distances and risk measures against closed forms and independent formulas."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from mdplab.models import (
    FiniteLaw,
    cramer,
    cvar,
    entropic_risk,
    evar,
    kolmogorov,
    mean_variance,
    ocvar,
    project_categorical,
    project_quantile,
    wasserstein,
)


def _law(key, n=6, span=3.0):
    rng = np.random.default_rng([4, 1, key])
    return FiniteLaw.of(rng.uniform(-span, span, n), rng.dirichlet(np.ones(n)))


@pytest.mark.parametrize(
    ("x", "p", "message"),
    [
        ([1.0, 0.0], [0.5, 0.5], r"x\[1\] is 0 after x\[0\] = 1"),
        ([0.0, 1.0, 1.0], [0.5, 0.25, 0.25], r"x\[2\] is 1 after x\[1\] = 1"),
        ([0.0, np.nan], [0.5, 0.5], r"x\[1\] is nan"),
        ([0.0, 1.0], [0.5, 0.4], "p sums to 0.9"),
        ([0.0, 1.0], [1.5, -0.5], r"p\[1\] is -0.5"),
        ([0.0, 1.0], [1.0, 0.0], r"p\[1\] is 0; masses are positive"),
        ([0.0, 1.0], [1.0], r"p has shape \(1,\)"),
        ([], [], r"x has shape \(0,\)"),
    ],
)
def test_bad_atoms_and_masses_are_named(x, p, message):
    with pytest.raises(ValueError, match=message):
        FiniteLaw(x, p)


def test_levels_grids_and_sizes_are_named():
    law = _law(0)
    for level in (0, -0.1, 1.5, np.nan, "much"):
        for measure in (cvar, ocvar, evar, FiniteLaw.quantile):
            with pytest.raises(ValueError, match=r"(tau|level) is .*\(0, 1\]"):
                measure(law, level)
    with pytest.raises(ValueError, match=r"z\[1\] is 0 after z\[0\] = 0"):
        project_categorical([0.0], [1.0], [0.0, 0.0])
    with pytest.raises(ValueError, match="m is 0"):
        project_quantile([0.0], [1.0], 0)
    with pytest.raises(ValueError, match=r"p is 0\.5"):
        wasserstein(law, law, 0.5)
    with pytest.raises(ValueError, match="g is 0"):
        law.scale(0)
    with pytest.raises(ValueError, match="beta is inf"):
        entropic_risk(law, np.inf)


def test_of_sorts_merges_and_drops():
    law = FiniteLaw.of([3.0, 1.0, 1.0 + 1e-10, 7.0], [0.25, 0.25, 0.5, 0.0])
    assert law.x.size == 2
    assert law.p.tolist() == [0.75, 0.25]
    # A merged atom sits at the mean of its parts, here 2/3 of 1e-10 above 1.
    np.testing.assert_allclose(law.x[0] - 1, 2e-10 / 3, rtol=1e-5)
    assert FiniteLaw.of([1.0, 1.0 + 1e-10], [0.5, 0.5], merge=0).x.size == 2
    assert FiniteLaw.of([0.1, 0.1, 0.1], [0.2, 0.3, 0.5]).x.tolist() == [0.1]


def test_a_chain_of_near_atoms_does_not_drift():
    # 40 atoms 0.4 tolerances apart: pairwise near, 16 tolerances wide in all.
    step, merge = 0.4e-3, 1e-3 / 2
    x = 1.0 - step * np.arange(40)
    law = FiniteLaw.of(x, np.full(40, 1 / 40), merge=merge)
    before = FiniteLaw.of(x, np.full(40, 1 / 40), merge=0)
    assert wasserstein(law, before, np.inf) <= merge * 2
    assert 10 <= law.x.size <= 20
    np.testing.assert_allclose(law.mean, before.mean, rtol=1e-14)  # merging keeps the mean, but for rounding


def test_shift_scale_and_mixture():
    a, b = _law(1), _law(2)
    both = FiniteLaw.mixture([a, b, a], [0.2, 0.5, 0.3])
    np.testing.assert_allclose(both.mean, 0.5 * (a.mean + b.mean), rtol=1e-13)  # rounding of sums of 18 terms
    t = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(both.cdf(t), 0.5 * (a.cdf(t) + b.cdf(t)), atol=1e-14)  # likewise
    moved = a.scale(2.0).shift(1.0)
    np.testing.assert_array_equal(moved.x, 2 * a.x + 1)
    np.testing.assert_allclose(moved.variance, 4 * a.variance, rtol=1e-13)  # likewise
    np.testing.assert_allclose(a.expect(np.square) - a.mean**2, a.variance, rtol=1e-12)  # cancellation, one digit
    # Far away atoms coincide in floating point: still a law.
    assert FiniteLaw([0.0, 1e-3], [0.5, 0.5]).shift(1e15).x.tolist() == [1e15]


def test_quantiles_invert_the_distribution_function():
    law = _law(3)
    for tau in (1e-9, 0.2, 0.5, 0.9, 1.0):
        x = law.quantile(tau)
        assert law.cdf(x) >= tau * (1 - 1e-12)
        assert law.cdf(np.nextafter(x, -np.inf)) < tau
    # Ten tenths sum to a little less than one, eight of them to a little less than 0.8.
    tenths = FiniteLaw(np.arange(10.0), np.full(10, 0.1))
    assert [tenths.quantile(k / 10) for k in range(1, 11)] == list(range(10))


def _transport(a, b, p):
    """w_p from the linear program of couplings."""
    cost = np.abs(a.x[:, None] - b.x) ** p
    rows = [np.kron(np.eye(a.x.size), np.ones(b.x.size)), np.kron(np.ones(a.x.size), np.eye(b.x.size))]
    found = linprog(cost.ravel(), A_eq=np.vstack(rows), b_eq=np.concatenate([a.p, b.p]), bounds=(0, None))
    return found.fun ** (1 / p)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_wasserstein_is_the_cost_of_optimal_transport(p):
    for key in range(5):
        a, b = _law(2 * key, 4), _law(2 * key + 1, 5)
        # HiGHS solves the program to 1e-7 of feasibility on costs up to 6**p.
        np.testing.assert_allclose(wasserstein(a, b, p), _transport(a, b, p), rtol=1e-5)


def test_distances_of_simple_laws():
    a, b = FiniteLaw([0.0, 1.0], [0.75, 0.25]), FiniteLaw([0.0, 3.0], [0.75, 0.25])
    assert [wasserstein(a, b, p) for p in (1, 2, np.inf)] == [0.5, 1.0, 2.0]
    assert kolmogorov(a, b) == 0.25
    assert cramer(a, b) == 0.25 * np.sqrt(2)
    for distance in (wasserstein, cramer, kolmogorov):
        assert distance(a, a) == 0.0
    # Masses that differ by rounding do not make a long transport.
    tenths, half = FiniteLaw(np.arange(10.0), np.full(10, 0.1)), FiniteLaw(np.arange(0.0, 10, 2), np.full(5, 0.2))
    assert wasserstein(tenths, half, np.inf) == 1.0


def test_distances_are_ordered_and_obey_the_triangle():
    laws = [_law(key) for key in range(10)]
    for a, b, c in itertools.permutations(laws, 3):
        for p in (1, 2.5, np.inf):
            # Triangle inequality up to rounding of distances below 6.
            assert wasserstein(a, b, p) <= wasserstein(a, c, p) + wasserstein(c, b, p) + 1e-13
        ordered = [wasserstein(a, b, p) for p in (1, 1.5, 2, 8, np.inf)]
        assert np.all(np.diff(ordered) >= -1e-13)
        # |F - G| <= 1, so its square integrates to at most w_1.
        assert cramer(a, b) ** 2 <= ordered[0] + 1e-13


@pytest.mark.parametrize("tau", [0.01, 0.1, 0.25, 0.5, 0.9, 1.0])
def test_cvar_is_the_maximum_of_rockafellar_and_uryasev(tau):
    for key in range(10):
        law = _law(key)
        best = max(c + law.expect(lambda x, c=c: np.minimum(x - c, 0)) / tau for c in law.x)
        worst = min(c + law.expect(lambda x, c=c: np.maximum(x - c, 0)) / tau for c in law.x)
        # Rounding of sums of six terms below 3, divided by tau.
        np.testing.assert_allclose([cvar(law, tau), ocvar(law, tau)], [best, worst], rtol=1e-12, atol=1e-13)


def test_cvar_at_its_ends():
    law = FiniteLaw([-2.0, 0.0, 1.0], [0.125, 0.5, 0.375])
    assert (cvar(law, 1), ocvar(law, 1)) == (law.mean, law.mean)
    assert (cvar(law, 0.125), cvar(law, 1e-9)) == (-2.0, -2.0)
    assert (ocvar(law, 0.375), ocvar(law, 1e-9)) == (1.0, 1.0)
    assert cvar(law, 0.25) == -1.0  # half of the mass at 0 is used


def test_entropic_risk_and_evar():
    law = _law(4)
    for beta in (-5.0, -1e-9, 1e-9, 0.3, 7.0):
        direct = -np.log(law.expect(lambda x, beta=beta: np.exp(-beta * x))) / beta
        # For |beta| = 1e-9 the direct formula cancels eight digits and more.
        np.testing.assert_allclose(entropic_risk(law, beta), direct, rtol=1e-12 if abs(beta) > 1e-3 else 1e-5)
    np.testing.assert_allclose(entropic_risk(law, 1e-9), law.mean, atol=1e-8)  # differs by beta/2 times the variance
    assert entropic_risk(law, 0) == law.mean
    # Where exp overflows the smallest atom decides: x_0 - log(p_0) / beta.
    np.testing.assert_allclose(entropic_risk(law, 1e6), law.x[0] - np.log(law.p[0]) / 1e6, rtol=1e-14)
    for level in (0.02, 0.1, 0.3, 0.7, 0.99, 1 - 1e-12):
        t = np.geomspace(1e-3, 1e3, 4001)
        grid = max(entropic_risk(law, 1 / one) + one * np.log(level) for one in t)
        value = evar(law, level)
        assert law.x[0] - 1e-12 <= value <= cvar(law, level) + 1e-12
        assert value >= grid - 1e-12
        # The grid's ratio is 1.0035: a concave maximum is missed by its square.
        if level < 0.999:
            np.testing.assert_allclose(value, max(grid, law.x[0]), atol=1e-4)
    assert evar(law, 1) == law.mean
    np.testing.assert_allclose(evar(law, 1 - 1e-12), law.mean, atol=1e-5)  # of order the root of 1e-12
    assert evar(law, law.p[0]) == law.x[0]
    np.testing.assert_allclose(evar(law, law.p[0] * (1 + 1e-9)), law.x[0], atol=1e-8)  # it leaves x_0 continuously


def test_mean_variance():
    assert mean_variance(FiniteLaw([0.0, 2.0], [0.5, 0.5]), 0.25) == 0.75


def test_categorical_projection():
    rng = np.random.default_rng([4, 2])
    z = np.sort(rng.uniform(-3, 3, 8))
    x, p = rng.uniform(z[0], z[-1], 20), rng.dirichlet(np.ones(20))
    q = project_categorical(x, p, z)
    law, image = FiniteLaw.of(x, p), FiniteLaw.of(z, q)
    np.testing.assert_allclose([q.sum(), q @ z], [1.0, p @ x], rtol=1e-13)  # rounding of 20 terms
    # Orthogonality: no other law on z is nearer in the Cramer distance.
    for weight in (1e-3, 0.1):
        for k in range(8):
            other = FiniteLaw.of(z, (1 - weight) * q + weight * np.eye(8)[k])
            assert cramer(other, law) >= cramer(image, law)
    np.testing.assert_array_equal(project_categorical(z, np.full(8, 1 / 8), z), np.full(8, 1 / 8))
    assert project_categorical([2.0], [1.0], [2.0]).tolist() == [1.0]


def test_a_grid_too_small_says_what_it_loses():
    x, p, z = [-2.0, 0.5, 3.0], [0.125, 0.625, 0.25], [0.0, 1.0]
    with pytest.raises(ValueError, match=r"mass 0\.375 lies outside \(0\.125 below, 0\.25 above\)"):
        project_categorical(x, p, z)
    for outside, said in (([-2.0, 0.5], r"0\.25 below, 0 above"), ([0.5, 2.0], r"0 below, 0\.75 above")):
        with pytest.raises(ValueError, match=said):
            project_categorical(outside, [0.25, 0.75], z)
    assert project_categorical(x, p, z, clip=True).tolist() == [0.4375, 0.5625]
    # What only rounding puts outside is held.
    assert project_categorical([1 + 1e-15], [1.0], z).tolist() == [0.0, 1.0]


def test_quantile_projection():
    for key in range(5):
        law = _law(key, 30)
        for m in (1, 3, 10, 100):
            atoms = project_quantile(law.x[::-1], law.p[::-1], m)
            image = FiniteLaw.of(atoms, np.full(m, 1 / m))
            assert atoms.tolist() == [law.quantile((2 * i + 1) / (2 * m)) for i in range(m)]
            assert wasserstein(image, law) <= (law.x[-1] - law.x[0]) / (2 * m)
