"""Garnet: the support, the law of successors, exactness of the variants, and size."""

import time
from fractions import Fraction

import numpy as np
import pytest

from mdplab.instances import garnet


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weights", ["dirichlet", "dyadic", "integer"])
@pytest.mark.parametrize(("S", "A", "b"), [(1, 1, 1), (5, 2, 1), (6, 3, 2), (7, 2, 5), (4, 3, 4), (40, 2, 3)])
def test_every_pair_has_b_distinct_successors(S, A, b, weights, sparse):
    mdp = garnet(S, A, b, gamma=0.9, rng=np.random.default_rng([1, S, b]), weights=weights, sparse=sparse)
    assert mdp.is_sparse == sparse
    assert (mdp.S, mdp.A) == (S, A)
    assert (np.count_nonzero(mdp.dense().P, axis=2) == b).all()
    top = 9 if weights == "integer" else 1
    assert mdp.r.min() >= 0 and mdp.r.max() <= top


def test_dyadic_rows_are_exact_and_sum_to_one():
    mdp = garnet(30, 3, 7, gamma=0.9, rng=np.random.default_rng([2]), weights="dyadic")
    scaled = mdp.P * 1024
    assert np.array_equal(scaled, np.floor(scaled))
    assert all(sum(map(Fraction, row.tolist())) == 1 for row in mdp.P.reshape(-1, 30))
    assert np.array_equal(mdp.r * 1024, np.floor(mdp.r * 1024))


def test_integer_rows_are_ratios_of_small_integers():
    mdp = garnet(9, 2, 3, gamma=0.9, rng=np.random.default_rng([3]), weights="integer")
    for row in mdp.P.reshape(-1, 9):
        ratios = [Fraction(p).limit_denominator(27) for p in row[row > 0].tolist()]
        assert sum(ratios) == 1
        assert [float(q) for q in ratios] == row[row > 0].tolist()


@pytest.mark.parametrize(("S", "b"), [(5, 2), (12, 3)])
def test_every_subset_of_successors_is_equally_likely(S, b):
    """Both ways to draw (permutation and rejection); chi-square at its 1 - 1e-6 quantile: false alarms 1e-6 each."""
    from math import comb

    from scipy.stats import chi2

    rows = 60_000
    mdp = garnet(S, rows // S, b, gamma=0.9, rng=np.random.default_rng([4, S]), sparse=True)
    subsets = mdp.P.indices.reshape(-1, b) @ (S ** np.arange(b))
    counts = np.unique(subsets, return_counts=True)[1]
    expected = subsets.size / comb(S, b)
    assert counts.size == comb(S, b)
    assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(1 - 1e-6, comb(S, b) - 1)


def test_dirichlet_weights_have_the_moments_of_the_uniform_simplex():
    """Dirichlet(1, 1, 1): mean 1/3, variance 1/18; bands of 6 standard errors, so false alarms below 1e-8."""
    mdp = garnet(50, 200, 3, gamma=0.9, rng=np.random.default_rng([5]), sparse=True)
    first = mdp.P.data[::3]
    assert abs(first.mean() - 1 / 3) < 6 * np.sqrt(1 / 18 / first.size)
    assert abs(first.var() - 1 / 18) < 6 * first.var() * np.sqrt(2 / first.size)


def test_the_same_generator_gives_the_same_model():
    first, second = (garnet(50, 3, 4, gamma=0.9, rng=np.random.default_rng([6]), sparse=True) for _ in range(2))
    assert first.digest() == second.digest()
    dense = garnet(50, 3, 4, gamma=0.9, rng=np.random.default_rng([6]), sparse=False)
    assert dense.sparse().digest() == first.digest()


def test_a_million_transitions_are_drawn_quickly_and_held_once():
    start = time.perf_counter()
    mdp = garnet(50_000, 4, 5, gamma=0.9, rng=np.random.default_rng([7]))
    # Measured 0.04 s; a loop over pairs takes minutes.
    assert time.perf_counter() - start < 5
    assert mdp.is_sparse
    assert mdp.P.indices.dtype == np.int32
    assert mdp.nbytes < 12 * mdp.num_transitions + 64 * mdp.S * mdp.A


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"S": 0}, "S is 0"),
        ({"A": 0}, "A is 0"),
        ({"b": 0}, "b is 0"),
        ({"b": 6}, "b is 6; a pair has at most S = 5"),
        ({"weights": "gauss"}, "weights is 'gauss'"),
        ({"S": 2000, "b": 1025, "weights": "dyadic"}, "b is 1025"),
        ({"gamma": 1.5}, "gamma is 1.5"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        garnet(**{"S": 5, "A": 2, "b": 2, "gamma": 0.9, **arguments}, rng=np.random.default_rng([8]))
