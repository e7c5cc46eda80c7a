"""Kernels against NumPy, their Python twins, and exact sums."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import models

from mdplab.exact import operator
from mdplab.exact.operator import Bellman
from mdplab.kernels import batch, bellman, gauss_seidel
from mdplab.models import MDP


def _backup(mdp, v):
    """max_a r + gamma P v by NumPy."""
    q = mdp.r + mdp.gamma * mdp.dense().P @ v
    return np.where(mdp.actions, q, -np.inf)


@settings(max_examples=60)
@given(models())
def test_backup_is_the_maximum(mdp):
    v = np.linspace(-1.0, 2.0, mdp.S)
    out, pi = np.empty(mdp.S), np.empty(mdp.S, dtype=np.int64)
    low, high = Bellman.of(mdp).backup(v, out, pi)
    q = _backup(mdp, v)
    # Sums of at most four products of numbers up to 2.
    np.testing.assert_allclose(out, q.max(axis=1), atol=1e-14)
    np.testing.assert_allclose(q[np.arange(mdp.S), pi], q.max(axis=1), atol=1e-14)
    assert mdp.actions[np.arange(mdp.S), pi].all()
    assert (low, high) == ((out - v).min(), (out - v).max())


@settings(max_examples=30)
@given(models(sparse=True))
def test_compiled_and_python_sweeps_agree(mdp):
    v = np.linspace(-1.0, 2.0, mdp.S)
    P = mdp.P
    results = []
    for backup in (bellman.backup_csr, bellman.backup_csr.py_func):
        out, pi = np.empty(mdp.S), np.empty(mdp.S, dtype=np.int64)
        low, high = backup(P.data, P.indices, P.indptr, mdp.r, mdp.actions, mdp.gamma, v, 0, mdp.S, out, pi)
        results.append([out, pi, low, high])
    for compiled, python in zip(*results, strict=True):
        # A compiler may fuse a product and a sum.
        np.testing.assert_allclose(compiled, python, atol=1e-15)


@settings(max_examples=30)
@given(models(sparse=True))
def test_careful_sweep_agrees_with_its_python_twin_and_with_the_dense_one(mdp):
    v = 100 + np.linspace(-1.0, 2.0, mdp.S)
    found, dense = Bellman.of(mdp).measure(v), Bellman.of(mdp.dense()).measure(v)
    centre = 0.5 * (v.min() + v.max())
    P, pi = mdp.P, np.empty(mdp.S, dtype=np.int64)
    twin = bellman.measure_csr.py_func(
        P.data, P.indices, P.indptr, mdp.r, mdp.actions, mdp.gamma, v - centre, centre, 1e-6, 0, mdp.S, pi
    )
    assert abs(found.low - twin[0]) <= 2 * found.error
    assert abs(found.high - twin[1]) <= 2 * found.error
    assert abs(found.low - dense.low) <= found.error + dense.error
    assert abs(found.high - dense.high) <= found.error + dense.error


@settings(max_examples=60)
@given(models())
def test_careful_sweep_encloses_the_exact_residual(mdp):
    v = 1000 + np.linspace(-1.0, 2.0, mdp.S)
    found = Bellman.of(mdp).measure(v)
    P, g = mdp.dense().P, Fraction(mdp.gamma)
    exact = []
    for s in range(mdp.S):
        best = max(
            Fraction(mdp.r[s, a]) + g * sum(Fraction(P[s, a, t]) * Fraction(v[t]) for t in range(mdp.S))
            for a in np.flatnonzero(mdp.actions[s])
        )
        exact.append(best - Fraction(v[s]))
    low, high, error = Fraction(found.low), Fraction(found.high), Fraction(found.error)
    assert low - error <= min(exact) <= low + error
    assert high - error <= max(exact) <= high + error


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_row_defect_is_as_good_as_twice_the_precision(n):
    row = np.random.default_rng([21, n]).dirichlet(np.ones(n))
    exact = sum(map(Fraction, row.tolist()), Fraction(-1))
    for function in (bellman.row_defect, bellman.row_defect.py_func):
        error = abs(Fraction(float(function(row))) - exact)
        assert error <= Fraction(2) ** -53 * abs(exact) + Fraction((n * 2.0**-53) ** 2 * 2)


def test_defects_of_all_rows():
    rng = np.random.default_rng([22])
    P = rng.dirichlet(np.ones(4), (4, 3)) * (1 + rng.uniform(-9e-9, 9e-9, (4, 3, 1)))
    mdp = MDP(P, np.zeros((4, 3)), 0.5)
    sparse, S, A = mdp.sparse().P, mdp.S, mdp.A
    a, b, c = np.empty((S, A)), np.empty((S, A)), np.empty((S, A))
    bellman.defects_dense(mdp.P.reshape(-1, S), mdp.actions, a)
    bellman.defects_csr(sparse.data, sparse.indptr, mdp.actions, b)
    bellman.defects_csr.py_func(sparse.data, sparse.indptr, mdp.actions, c)
    exact = np.array([[float(sum(map(Fraction, row.tolist()), Fraction(-1))) for row in rows] for rows in mdp.P])
    for found in (a, b, c):
        # One rounding of a number of size 1e-8.
        np.testing.assert_allclose(found, exact, atol=1e-23)


@settings(max_examples=30)
@given(models())
def test_rows_of_a_policy(mdp):
    pi = np.array([np.flatnonzero(row)[-1] for row in mdp.actions])
    one = Bellman.of(mdp).on_policy(pi)
    P = one.P.toarray() if one.is_sparse else one.P
    np.testing.assert_array_equal(P, mdp.dense().P[np.arange(mdp.S), pi])
    np.testing.assert_array_equal(one.r[:, 0], mdp.r[np.arange(mdp.S), pi])


@pytest.mark.parametrize("backward", [False, True])
@settings(max_examples=30)
@given(mdp=models())
def test_gauss_seidel_uses_each_value_at_once(backward, mdp):
    v = np.linspace(-1.0, 2.0, mdp.S)
    expected = v.copy()
    for s in range(mdp.S)[:: -1 if backward else 1]:
        expected[s] = _backup(mdp, expected)[s].max()
    dense, P = mdp.dense().P.reshape(-1, mdp.S), mdp.sparse().P
    rest = mdp.r, mdp.actions, mdp.gamma, backward
    for sweep in (gauss_seidel.gauss_seidel_csr, gauss_seidel.gauss_seidel_csr.py_func):
        new = v.copy()
        low, high = sweep(P.data, P.indices, P.indptr, *rest, new)
        # Sums of at most four products of numbers up to 6.
        np.testing.assert_allclose(new, expected, atol=1e-13)
        assert (low, high) == ((new - v).min(), (new - v).max())
    for sweep in (gauss_seidel.gauss_seidel_dense, gauss_seidel.gauss_seidel_dense.py_func):
        new = v.copy()
        low, high = sweep(dense, *rest, new)
        # As above.
        np.testing.assert_allclose(new, expected, atol=1e-13)
        assert (low, high) == ((new - v).min(), (new - v).max())


def test_small_models_agree_with_their_python_twin():
    rng = np.random.default_rng([23])
    P, r = rng.dirichlet(np.ones(5), (3, 5, 2)), rng.random((3, 5, 2))
    gamma, goal = np.array([0.0, 0.5, 0.9]), np.full(3, 1e-6)
    found = []
    for solve in (batch.solve_small, batch.solve_small.py_func):
        out = np.empty((3, 5)), np.empty((3, 5), dtype=np.int64), np.empty((3, 2)), np.empty(3, dtype=np.int64)
        solve(P, r, gamma, goal, 0, 3, *out)
        found.append(out)
    for compiled, python in zip(*found, strict=True):
        # Tens of sweeps of values up to 10, each rounded a few times.
        np.testing.assert_allclose(compiled, python, atol=1e-12)


def test_threads_change_nothing(monkeypatch):
    """The pieces of a sweep write disjoint parts, and its range does not depend on how they are cut."""
    rng = np.random.default_rng([24])
    mdp = MDP(rng.dirichlet(np.ones(40), (40, 2)), rng.random((40, 2)), 0.9).sparse()
    v = rng.random(40)
    results = []
    for threads, entries in ((1, 1), (3, 1), (3, 10**9)):
        monkeypatch.setattr(operator, "_num_threads", lambda n=threads: n)
        monkeypatch.setattr(operator, "_THREAD_ENTRIES", entries)
        operator._pool.cache_clear()
        op = Bellman.of(mdp)
        out, pi = np.empty(40), np.empty(40, dtype=np.int64)
        results.append((op.backup(v, out, pi), out.tolist(), pi.tolist(), op.measure(v)[:3]))
    operator._pool.cache_clear()
    assert results[0] == results[1] == results[2]
