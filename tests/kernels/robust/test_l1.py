import numpy as np
import pytest
from kernels.robust import programs, saddles

from mdplab.kernels.robust import l1


def part(z, p):
    return programs.weighted_l1(z, p, np.ones(len(z)))


def dual(z, p, radius, sign=-1.0):
    """max over alpha in z of E min(z, alpha) + sign (alpha - least) radius / 2."""
    return max(p @ np.minimum(z, alpha) + sign * (alpha - z.min()) * radius / 2 for alpha in z)


def test_rows_solve_the_program_and_its_dual():
    for z, p, fraction, _ in programs.random_rows(301):
        radius, q = 2 * fraction, np.empty_like(p)
        value = l1.l1_row(z, p, radius, q)
        scale = saddles.NEAR * (1 + np.abs(z).max())
        assert abs(value - programs.row(part(z, p), radius)) <= scale
        assert abs(value - dual(z, p, radius)) <= scale
        assert value == pytest.approx(q @ z, rel=1e-13)  # the same sum in another order
        # Feasible: what is taken is given, up to rounding.
        assert q.min() >= 0 and abs(q.sum() - 1) <= 1e-13 and np.abs(q - p).sum() <= radius + 1e-13


def test_the_wrong_side_of_the_dual_would_be_seen():
    misses = 0
    for z, p, fraction, _ in programs.random_rows(301):
        value = l1.l1_row(z, p, 2 * fraction, np.empty_like(p))
        misses += abs(value - dual(z, p, 2 * fraction, sign=1.0)) > 1e-6
    assert misses > 80


def test_limits():
    rng = np.random.default_rng([302])
    z, p = programs.random_row("generic", 20, rng)
    q = np.empty(20)
    assert l1.l1_row(z, p, 0.0, q) == pytest.approx(z @ p, rel=1e-14)  # one dot product
    assert np.array_equal(q, p)
    assert l1.l1_row(z, p, 2.0, q) == pytest.approx(z.min(), rel=1e-14)  # one dot product
    values = [l1.l1_row(z, p, radius, q) for radius in np.linspace(0, 2, 50)]
    assert (np.diff(values) <= 1e-15).all() and (np.diff(values, 2) >= -1e-14).all()  # decreasing and convex


def many(key):
    rng = np.random.default_rng([key])
    rows = [programs.random_row(kind, n, rng) for n in (2, 7, 30) for kind in programs.KINDS]
    return rows, np.linspace(0, 2.2, len(rows))


def test_ragged_rows_are_the_rows():
    rows, radius = many(303)
    z, p, indptr = programs.ragged(rows)
    value, q = np.full(len(rows), np.nan), np.full(len(z), np.nan)
    l1.l1_rows(z, p, indptr, radius, 1, len(rows) - 1, value, q)
    assert np.isnan(value[[0, -1]]).all() and np.isnan(q[:2]).all() and np.isnan(q[indptr[-2] :]).all()
    for k in range(1, len(rows) - 1):
        alone = np.empty(len(rows[k][0]))
        assert value[k] == l1.l1_row(*rows[k], radius[k], alone)
        assert np.array_equal(q[indptr[k] : indptr[k + 1]], alone)


@pytest.mark.parametrize("kind", programs.KINDS)
def test_rows_that_share_an_objective(kind):
    rng = np.random.default_rng([304])
    z = programs.random_row(kind, 37, rng)[0]
    p = np.array([programs.random_row("zeros", 37, rng)[1] for _ in range(40)])
    radius, value = np.linspace(0, 2.2, 40), np.empty(40)
    l1.l1_rows_shared(z, p, radius, 0, 40, value)
    alone = [l1.l1_row(z, row, eps, np.empty(37)) for row, eps in zip(p, radius)]
    np.testing.assert_allclose(value, alone, rtol=1e-13, atol=1e-14)  # 37 terms summed in another order


def price(a, p, q):
    return np.abs(q - p).sum()


def test_states_are_saddle_points():
    mixed = 0
    for rows, fraction, rng in programs.random_states(305, count=200):
        parts, radius = [part(*row) for row in rows], 2 * fraction
        pi = saddles.check_saddle(l1.l1_states, l1.l1_responses, rows, (), radius, parts, price)
        mixed += pi.max() < 0.99
        weights = rng.dirichlet(np.ones(len(rows))) * (rng.random(len(rows)) < 0.8)
        saddles.check_response(l1.l1_responses, weights, rows, (), radius, parts)
    # The test would be idle if few policies were mixed.
    assert mixed > 30


def test_one_action_is_a_row():
    for z, p, fraction, _ in programs.random_rows(307, count=60):
        q = np.empty_like(p)
        value, pi, _ = saddles.state(l1.l1_states, [(z, p)], (), 2 * fraction)
        assert pi.tolist() == [1.0]
        assert abs(value - l1.l1_row(z, p, 2 * fraction, q)) <= 1e-13 * (1 + np.abs(z).max())


def test_no_deterministic_policy_attains_the_saddle():
    rows = [(np.array([1.0, 0.0]), np.array([1.0, 0.0]))] * 2
    value, pi, _ = saddles.state(l1.l1_states, rows, (), 1.0)
    # Nature can spoil either action by a half, or both by a quarter.
    assert value == pytest.approx(0.75, abs=1e-15)  # dyadic numbers
    assert pi.tolist() == [0.5, 0.5]
    deterministic = max(l1.l1_row(z, p, 1.0, np.empty(2)) for z, p in rows)
    assert deterministic == 0.5


def test_near_ties_do_not_eat_the_budget():
    # Moving mass between entries that differ by rounding would cost all of the first action's knots.
    flat = (np.array([1.0, 1.0 + 2e-16, 1.0 - 1e-16]), np.array([0.2, 0.5, 0.3]))
    steep = (np.array([3.0, 1.0 - 1e-16]), np.array([1.0, 0.0]))
    value, pi, kernel = saddles.state(l1.l1_states, [flat, steep], (), 0.5)
    assert value == pytest.approx(2.5, abs=1e-15)  # dyadic numbers
    assert pi.tolist() == [0.0, 1.0]
    assert np.array_equal(kernel[0], flat[1])


def test_near_ties_of_every_size():
    """A steep slope turns the rounding of a value into budget: what is spent must still be what there is."""
    for t in range(300):
        rng = np.random.default_rng([308, t])
        level, noise = 10.0 ** rng.integers(0, 5), 10.0 ** rng.uniform(-15, -5)
        rows = []
        for _ in range(rng.integers(2, 6)):
            n = int(rng.integers(2, 9))
            rows.append((level * (1 + noise * rng.normal(size=n)), rng.dirichlet(np.full(n, 0.5))))
        radius = rng.random() * (1e-6, 0.1, 1.0, 1.5)[t % 4]
        value, pi, kernel = saddles.state(l1.l1_states, rows, (), radius)
        given, worst = saddles.answer(l1.l1_responses, pi, rows, (), radius)
        scale = 1e-13 * level  # ties within 1e-14 and some ten roundings
        assert abs(given - value) <= scale
        assert abs(max(z @ q for (z, _), q in zip(rows, kernel)) - value) <= scale
        for found in (kernel, worst):
            saddles.check_member(found, rows, radius, price)
