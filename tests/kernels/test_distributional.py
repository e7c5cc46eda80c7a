"""Sweeps of laws against NumPy's own splitting and sorting, and what they contract in."""

import numpy as np
import pytest

from mdplab.kernels import distributional as kernels
from mdplab.models import FiniteLaw, cramer, project_categorical, project_quantile, wasserstein

S, K, M = 4, 12, 9
Z = np.linspace(-5.0, 5.0, K)
# Z with one node moved: any increasing grid.
UNEVEN = Z + np.where(np.arange(K) == 4, 0.3, 0.0)


def chain(seed, gamma, *, rewards=3):
    """A random chain of the kernels' arrays, rewards in [-1, 1] (`rewards` values a state) and (1 - gamma) times 5."""
    rng = np.random.default_rng([90, seed])
    ptr = np.append(0, np.cumsum(rng.integers(1, 6, S)))
    n = ptr[-1]
    reward = np.empty(n)
    prob = np.empty(n)
    for s in range(S):
        row = slice(ptr[s], ptr[s + 1])
        reward[row] = np.sort(rng.choice(rng.uniform(-1, 1, rewards), ptr[s + 1] - ptr[s]))
        prob[row] = rng.dirichlet(np.ones(ptr[s + 1] - ptr[s]))
    arrays = ptr, rng.integers(0, S, n), 5 * (1 - gamma) * reward, prob
    for array in arrays:
        array.flags.writeable = False
    return *arrays, gamma


def pushed(arrays, s, law_of):
    """Atoms and masses of r + gamma G(next state), unsorted, by NumPy."""
    ptr, to, reward, prob, gamma = arrays
    parts = [law_of(to[k]) for k in range(ptr[s], ptr[s + 1])]
    x = [reward[ptr[s] + i] + gamma * x for i, (x, _) in enumerate(parts)]
    p = [prob[ptr[s] + i] * p for i, (_, p) in enumerate(parts)]
    return np.concatenate(x), np.concatenate(p)


def grid_sweep(arrays, z, eta):
    out = np.empty_like(eta)
    if z is Z:
        lost = kernels.categorical_sweep(*arrays, z[0], z[1] - z[0], eta, out)
    else:
        lost = kernels.categorical_sweep_uneven(*arrays, z, eta, out)
    return out, lost


def laws(x, p):
    return [FiniteLaw.of(x if x.ndim == 1 else x[s], p if np.ndim(p) == 1 else p[s], merge=0.0) for s in range(S)]


def sup(distance, a, b):
    return max(map(distance, a, b))


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.7, 0.85, 0.9, 0.97, 1.0])
@pytest.mark.parametrize("z", [Z, UNEVEN], ids=["even", "uneven"])
def test_a_sweep_on_a_grid_is_push_forward_and_splitting(gamma, z):
    for seed in range(8):
        arrays = chain(seed, gamma)
        eta = np.random.default_rng([91, seed]).dirichlet(np.full(K, 0.3), S)
        out, lost = grid_sweep(arrays, z, eta)
        expected = [project_categorical(*pushed(arrays, s, lambda t, e=eta: (z, e[t])), z) for s in range(S)]
        # Rounding of positions up to 11 cells, times masses of 1.
        np.testing.assert_allclose(out, expected, atol=1e-14)
        assert lost == 0


@pytest.mark.parametrize("gamma", [0.5, 0.95])
@pytest.mark.parametrize("z", [Z, UNEVEN], ids=["even", "uneven"])
def test_mass_off_the_grid_is_clipped_and_counted(gamma, z):
    ptr, to, reward, prob, _ = chain(3, gamma)
    arrays = ptr, to, reward + np.where(np.arange(len(reward)) % 2, 9.0, -9.0), prob, gamma
    eta = np.random.default_rng([92]).dirichlet(np.ones(K), S)
    out, lost = grid_sweep(arrays, z, eta)
    outside = []
    for s in range(S):
        x, p = pushed(arrays, s, lambda t: (z, eta[t]))
        outside.append(p[(x < z[0]) | (x > z[-1])].sum())
        # As above.
        np.testing.assert_allclose(out[s], project_categorical(x, p, z, clip=True), atol=1e-14)
    # Sums of tens of masses.
    assert lost == pytest.approx(max(outside), abs=1e-14) and lost > 0.1


@pytest.mark.parametrize("gamma", [0.0, 0.6, 1.0])
def test_a_sweep_of_quantiles_is_push_forward_and_projection(gamma):
    for seed in range(8):
        arrays = chain(seed, gamma)
        theta = np.sort(np.random.default_rng([93, seed]).normal(size=(S, M)), axis=1)
        out = np.empty((S, M))
        kernels.quantile_sweep(*arrays, theta, out)
        for s in range(S):
            x, p = pushed(arrays, s, lambda t, th=theta: (th[t], np.full(M, 1 / M)))
            np.testing.assert_array_equal(out[s], project_quantile(x, p, M))


def test_push_forward_sorts_and_keeps_the_law():
    for seed in range(8):
        ptr, to, reward, prob, gamma = arrays = chain(seed, 0.8)
        rng = np.random.default_rng([94, seed])
        sizes = rng.integers(1, 5, S)
        law_ptr = np.append(0, np.cumsum(sizes))
        x = np.concatenate([np.sort(rng.normal(size=n)) for n in sizes])
        p = np.concatenate([rng.dirichlet(np.ones(n)) for n in sizes])
        each = list(zip(np.split(x, law_ptr[1:-1]), np.split(p, law_ptr[1:-1]), strict=True))
        for s in range(S):
            row = slice(ptr[s], ptr[s + 1])
            z, q = pushed(arrays, s, dict(enumerate(each)).get)
            out_x, out_p = np.empty(len(z)), np.empty(len(z))
            n = kernels.push_forward(
                to[row], reward[row], prob[row], gamma, law_ptr, x, p, out_x, out_p, np.empty((2, len(z)))
            )
            order = np.argsort(z, kind="stable")
            assert n == len(z)
            np.testing.assert_array_equal(out_x, z[order])
            np.testing.assert_array_equal(out_p, q[order])


def test_merging_reports_what_it_moves():
    x, p = np.array([0.0, 0.5, 1.0, 1.2, 5.0]), np.array([0.25, 0.25, 0.25, 0.25, 0.0])
    y, q = np.empty(5), np.empty(5)
    count, moved = kernels.merge_atoms(x, p, 0.5, y, q)
    assert (count, y[:2].tolist(), q[:2].tolist()) == (2, [0.25, 1.1], [0.5, 0.5])
    # By hand: 0.25 (0.25 + 0.25 + 0.1 + 0.1).
    assert moved == pytest.approx(0.175, abs=1e-15)
    assert kernels.wasserstein_1(x, p, y[:2], q[:2]) == pytest.approx(moved, abs=1e-15)  # one rounding a term


def test_the_kernels_distance_is_the_models():
    rng = np.random.default_rng([95])
    for _ in range(50):
        a, b = (FiniteLaw.of(rng.normal(size=n), rng.dirichlet(np.ones(n))) for n in rng.integers(1, 9, 2))
        # Sums of fewer than twenty products of numbers below ten.
        assert kernels.wasserstein_1(a.x, a.p, b.x, b.p) == pytest.approx(wasserstein(a, b), abs=1e-14)


def test_contraction_factors():
    """T by gamma in w_p and sqrt(gamma) in Cramer; on the grid the same; Pi_m T by gamma in w_inf, not in w_1."""
    gamma, worst = 0.8, dict.fromkeys(["w1", "w2", "winf", "cramer", "grid w1", "grid cramer", "quantile winf"], 0.0)

    def note(name, distance, a, b, ta, tb):
        worst[name] = max(worst[name], sup(distance, ta, tb) / sup(distance, a, b))

    for seed in range(100):
        arrays = chain(seed, gamma)
        rng = np.random.default_rng([96, seed])
        eta = rng.dirichlet(np.full(K, 0.3), (2, S))
        a, b = (laws(Z, one) for one in eta)
        ta, tb = (
            [FiniteLaw.of(*pushed(arrays, s, lambda t, e=one: (Z, e[t])), merge=0.0) for s in range(S)] for one in eta
        )
        pa, pb = (laws(Z, grid_sweep(arrays, Z, one)[0]) for one in eta)
        for name, distance in (("w1", wasserstein), ("w2", _w2), ("winf", _winf), ("cramer", cramer)):
            note(name, distance, a, b, ta, tb)
        note("grid w1", wasserstein, a, b, pa, pb)
        note("grid cramer", cramer, a, b, pa, pb)
        theta, out = np.sort(rng.normal(size=(2, S, M)), axis=2), np.empty((2, S, M))
        for i in range(2):
            kernels.quantile_sweep(*arrays, theta[i], out[i])
        worst["quantile winf"] = max(worst["quantile winf"], np.abs(out[0] - out[1]).max() / _apart(theta))
    for name, ratio in worst.items():
        factor = np.sqrt(gamma) if "cramer" in name else gamma
        # Rounding of distances of size 1 and more.
        assert ratio <= factor * (1 + 1e-12), name


def _w2(a, b):
    return wasserstein(a, b, 2)


def _winf(a, b):
    return wasserstein(a, b, np.inf)


def _apart(theta):
    return np.abs(theta[0] - theta[1]).max()


def test_the_factors_are_attained():
    """Shifts for w_p; point masses under a deterministic transition for Cramer, on nodes for the grid's."""
    gamma = 0.64
    one = np.array([0, 1]), np.array([0]), np.array([0.0]), np.array([1.0]), gamma
    theta, out = np.sort(np.random.default_rng([97]).normal(size=(1, M))), np.empty((2, 1, M))
    kernels.quantile_sweep(*one, theta, out[0])
    kernels.quantile_sweep(*one, theta + 2.0, out[1])
    for p in (1, 2, np.inf):
        a, b = (FiniteLaw.of(row[0], np.full(M, 1 / M), merge=0.0) for row in out)
        # A few roundings of numbers of size 3.
        assert wasserstein(a, b, p) == pytest.approx(gamma * 2.0, rel=1e-14)
    # Both point masses and their images lie on nodes: the grid loses nothing, and the Cramer factor is attained.
    z = np.array([0.0, 0.64, 1.0])
    out = np.empty((2, 1, 3))
    kernels.categorical_sweep_uneven(*one, z, np.array([[0.0, 0.0, 1.0]]), out[0])
    kernels.categorical_sweep_uneven(*one, z, np.array([[1.0, 0.0, 0.0]]), out[1])
    images = [FiniteLaw.of(z, row[0], merge=0.0) for row in out]
    # Square roots of numbers with one rounding.
    assert cramer(*images) == pytest.approx(np.sqrt(gamma) * 1.0, rel=1e-14)


def test_quantiles_do_not_contract_in_w1():
    """By hand: one atom of each of two laws moves by 1, which is 1/2 in w_1; both become quantiles of the mixture."""
    gamma = 0.9
    mixed = np.array([0, 2, 3, 4]), np.array([1, 2, 1, 2]), np.zeros(4), np.array([0.52, 0.48, 1.0, 1.0]), gamma
    # Masses 0.26, 0.26, 0.24, 0.24 in this order: the levels 1/4 and 3/4 are reached at the first and the third.
    theta = np.array([[[0.0, 0.0], [0.0, 1.0], [2.0, 3.0]], [[0.0, 0.0], [-1.0, 1.0], [3.0, 3.0]]])
    out = np.empty((2, 3, 2))
    for i in range(2):
        kernels.quantile_sweep(*mixed, theta[i], out[i])
    before, after = (np.abs(pair[0] - pair[1]).mean(axis=1).max() for pair in (theta, out))
    # The atoms moved by gamma, up to a rounding.
    assert before == 0.5 and after == pytest.approx(gamma, rel=1e-15)


def test_compiled_and_python_sweeps_agree():
    arrays = chain(0, 0.9)
    eta = np.random.default_rng([98]).dirichlet(np.ones(K), S)
    theta = np.sort(np.random.default_rng([99]).normal(size=(S, M)), axis=1)
    for sweep, more, start in (
        (kernels.categorical_sweep, (Z[0], Z[1] - Z[0]), eta),
        (kernels.categorical_sweep_uneven, (UNEVEN,), eta),
        (kernels.quantile_sweep, (), theta),
    ):
        compiled, python = np.empty_like(start), np.empty_like(start)
        sweep(*arrays, *more, start, compiled)
        sweep.py_func(*arrays, *more, start, python)
        # A compiler may fuse a product and a sum.
        np.testing.assert_allclose(compiled, python, atol=1e-14)
