import clarabel
import numpy as np
import pytest
from kernels.robust import cones, duals

from mdplab.kernels.robust import noise

ORDERS = [1, 2, 0]
DUAL = {1: np.inf, 2: 2, 0: 1}
# Fifty terms of a sum; a row that varies by less than 1e-13 (1 + |z|) counts as constant.
SHARP = 3e-13


def norm(u, order):
    return np.linalg.norm(u, np.inf if order == 0 else order)


def saddle(z, p, indptr, order, radius):
    num = indptr.size - 1
    value, policy, q = np.full(1, np.nan), np.full(num, np.nan), np.full_like(p, np.nan)
    noise.noise_states(z, p, indptr, np.array([0, num]), order, np.array([radius]), 0, 1, value, policy, q)
    return value[0], policy, q


def answer(pi, z, p, indptr, order, radius):
    value, q = np.full(1, np.nan), np.full_like(p, np.nan)
    noise.noise_responses(pi, z, p, indptr, np.array([0, pi.size]), order, np.array([radius]), 0, 1, value, q)
    return value[0], q


def program(z, p, indptr, order, radius, pi=None):
    """Least u with q_a.z_a <= u for all a, or sum_a pi_a q_a.z_a <= u, over noises of joint norm at most radius."""
    n, num, low, spread = z.size, indptr.size - 1, z.min(), max(np.ptp(z), 1e-300)
    y = (z - low) / spread
    member = (np.repeat(np.arange(num), np.diff(indptr)) == np.arange(num)[:, None]).astype(float)
    unit = np.eye(2 * n + 1)
    noises, sizes, u = unit[:n], unit[n : 2 * n], unit[2 * n]
    blocks = [(member @ noises, np.zeros(num), clarabel.ZeroConeT(num))]
    if order == 2:
        blocks.append((np.vstack([0 * u, -noises]), np.append(radius, np.zeros(n)), clarabel.SecondOrderConeT(n + 1)))
        blocks.append((sizes, np.zeros(n), clarabel.ZeroConeT(n)))
    else:
        limits = sizes if order == 0 else sizes.sum(axis=0)[None]
        blocks.append((np.vstack([noises - sizes, -noises - sizes]), np.zeros(2 * n), clarabel.NonnegativeConeT(2 * n)))
        blocks.append((limits, np.full(len(limits), radius), clarabel.NonnegativeConeT(len(limits))))
    prices = member * y if pi is None else (pi @ member * y)[None]
    blocks.append((prices @ noises - u, -prices @ p, clarabel.NonnegativeConeT(len(prices))))
    return low + spread * cones.solve(u, blocks)


@pytest.mark.parametrize("order", ORDERS)
def test_rows_attain_their_closed_form(order):
    """Duality: the worst noise costs radius times the least dual norm of z - c over constants c."""
    for z, p, radius in duals.random_rows(360):
        q = np.full_like(p, np.nan)
        value, near = noise.noise_row(z, p, radius, order, q), SHARP * (1 + np.abs(z).max()) * max(1.0, radius)
        centre = {1: (z.max() + z.min()) / 2, 2: np.mean(z), 0: np.median(z)}[order]
        dual = np.linalg.norm(z - centre, DUAL[order])
        # The infinity norm sums n noises of size radius.
        near *= z.size if order == 0 else 1
        assert abs(value - (p @ z - radius * dual)) <= near
        assert abs(q @ z - value) <= near
        assert norm(q - p, order) <= radius * (1 + SHARP) + SHARP and abs((q - p).sum()) <= SHARP * max(1.0, radius)


@pytest.mark.parametrize("order", ORDERS)
def test_states_are_saddles(order):
    mixed = seen = 0
    for t, (z, p, indptr, radius) in enumerate(duals.random_states(361)):
        near = SHARP * (1 + np.abs(z).max()) * max(1.0, radius) * z.size
        value, policy, q = saddle(z, p, indptr, order, radius)
        assert norm(q - p, order) <= radius * (1 + SHARP) + SHARP
        assert np.abs(np.add.reduceat(q, indptr[:-1]) - 1).max() <= SHARP * max(1.0, radius)
        assert np.add.reduceat(q * z, indptr[:-1]).max() <= value + near
        assert policy.min() >= 0 and abs(policy.sum() - 1) <= SHARP
        least, r = answer(policy, z, p, indptr, order, radius)
        assert abs(least - value) <= near
        assert abs(policy @ np.add.reduceat(r * z, indptr[:-1]) - value) <= near
        assert norm(r - p, order) <= radius * (1 + SHARP) + SHARP
        other = np.random.default_rng([362, t]).dirichlet(np.ones(policy.size))
        for pi in [*np.eye(policy.size), other]:
            assert answer(pi, z, p, indptr, order, radius)[0] <= value + near
        mixed += policy.max() < 0.99
        off = answer(0.99 * policy + 0.01 / policy.size, z, p, indptr, order, radius)[0]
        seen += off < value - near
    # Order infinity needs no mixture; the others do, and a policy a hundredth off would be seen.
    assert mixed > 20 if order else mixed == 0
    assert seen > 50


@pytest.mark.parametrize("order", ORDERS)
def test_states_and_answers_solve_the_cone_program(order):
    wrong = 0
    for t in range(200):
        rng = np.random.default_rng([363, t])
        z, p, indptr = duals.random_state(t, rng)
        radius = (1e-4, 1e-2, 0.1, 0.5, 2.0)[(t // 5) % 5]
        near = cones.NEAR * np.ptp(z) * max(1.0, radius * z.size) + SHARP * (1 + np.abs(z).max()) * z.size
        value, policy, _ = saddle(z, p, indptr, order, radius)
        assert abs(value - program(z, p, indptr, order, radius)) <= near
        pi = rng.dirichlet(np.ones(policy.size))
        least = answer(pi, z, p, indptr, order, radius)[0]
        assert abs(least - program(z, p, indptr, order, radius, pi)) <= near
        wrong += abs(value - program(z, p, indptr, order, 1.01 * radius)) > near
    # A radius wrong by a hundredth would be seen.
    assert wrong > 60


@pytest.mark.parametrize("order", [1, 2])
def test_one_objective_for_all_actions_is_the_published_formula(order):
    """z_a = r_a + gamma v: the value solves ||(p_a.z_a - x)_+|| = gamma radius kappa(v); a threshold policy."""
    for t in range(100):
        rng = np.random.default_rng([364, t])
        num, n, gamma = int(rng.integers(2, 6)), int(rng.integers(2, 12)), 0.9
        r, v, p = rng.normal(size=num), rng.normal(size=n), rng.dirichlet(np.ones(n), num)
        z, radius = (r[:, None] + gamma * v), rng.exponential()
        value, policy, _ = saddle(z.ravel(), p.ravel(), np.arange(num + 1) * n, order, radius)
        above = np.maximum((p * z).sum(axis=1) - value, 0.0)
        centre = {1: (v.max() + v.min()) / 2, 2: np.mean(v)}[order]
        sigma = gamma * radius * np.linalg.norm(v - centre, DUAL[order])
        assert abs(np.linalg.norm(above, order) - sigma) <= SHARP * (1 + sigma)
        threshold = above ** (order - 1) * (above > 0)
        assert (
            np.abs(policy - threshold / threshold.sum()).max() <= 1e-9
        )  # conditioning of a policy next to a threshold


def test_many_rows_are_each_row():
    z, p, q, one = (
        np.array([0.0, 1.0, 3.0, 4.0, 9.0]),
        np.array([0.5, 0.5, 0.2, 0.3, 0.5]),
        np.full(5, np.nan),
        np.empty(3),
    )
    value = np.full(2, np.nan)
    noise.noise_rows(z, p, np.array([0, 2, 5]), np.array([0.1, 0.05]), 2, 1, 2, value, q)
    assert np.isnan(value[0]) and value[1] == noise.noise_row(z[2:], p[2:], 0.05, 2, one)
    assert np.array_equal(q[2:], one) and np.isnan(q[:2]).all()
