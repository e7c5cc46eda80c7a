"""The error radii of single rows, against rational arithmetic: never too small, and not much too large."""

from fractions import Fraction

import numpy as np
import pytest
from certify import by_hand

from mdplab.certify.rational import ExactRows
from mdplab.certify.report import Refused
from mdplab.certify.rows import FloatRows
from mdplab.models import MDP

FEW = 6


def excess(mdp, x, terms, gamma):
    """Exact e(s, a) of the first states."""
    P, v = mdp.dense().P, [Fraction(y) for y in x.tolist()]
    out = []
    for s in range(FEW):
        for a in range(mdp.A):
            c = sum(Fraction(f) * Fraction(float(np.broadcast_to(z, mdp.r.shape)[s, a])) for f, z in terms)
            row = [(Fraction(float(p)), j) for j, p in enumerate(P[s, a]) if p]
            if gamma is None:
                mean = sum(p * (v[j] - v[s]) for p, j in row) / sum(p for p, _ in row)
            else:
                mean = Fraction(gamma) * sum(p * v[j] for p, j in row) - v[s]
            out.append(c + mean)
    return out


def vectors(rng, S):
    """Values that cancel, that spread over many magnitudes, of one sign, and nearly constant."""
    yield 1e8 * rng.choice([-1.0, 1.0], S) + rng.random(S)
    yield rng.standard_normal(S) * 10.0 ** rng.integers(-12, 12, S)
    yield -rng.random(S)
    yield 1e6 + 1e-6 * rng.random(S)


@pytest.mark.parametrize("gamma", [None, 0.0, 0.7, 0.9999])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("S, b", [(40, 40), (40, 3), (129, 100), (8, 1)])
def test_radii_contain_the_error(S, b, sparse, gamma):
    rng = np.random.default_rng([950, S, b])
    worst = 0.0
    mdp = by_hand.discounted_model(rng, S=S, A=2, b=b, sparse=sparse, defect=5e-9)
    rows = FloatRows(mdp)
    for x in vectors(rng, S):
        for terms in ([(1.0, mdp.r)], [(1.0, mdp.r), (-1.0, x[:, None])], [(1 / 3, mdp.r), (-0.7, x[:, None])]):
            e, radius = rows._excess(x, x, terms, (slice(0, FEW),), slice(0, 2 * FEW), gamma)
            exact = excess(mdp, x, terms, gamma)
            error = np.array([float(abs(Fraction(y) - z)) for y, z in zip(e.tolist(), exact)])
            # One rounding of the quotient itself.
            assert (error <= radius * (1 + 4 * by_hand.U)).all()
            worst = max(worst, (error / np.where(radius > 0, radius, 1.0)).max())
    # Random roundings partly cancel; a radius a hundred times too large would fail.
    assert worst > 0.02


def test_zero_rows_are_exact():
    mdp = MDP([[[0.5, 0.5]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.5)
    rows = FloatRows(mdp)
    for gamma in (None, 0.5):
        e, radius = rows._excess(np.zeros(2), np.zeros(2), [(1.0, mdp.r)], (slice(0, 2),), slice(0, 2), gamma)
        assert not e.any() and not radius.any()
    # A constant is kept by rows read as probabilities, whatever they sum to.
    third = MDP([[[1 / 3, 2 / 3]], [[0.1, 0.9]]], [[0.0], [0.0]], 0.5)
    seven = np.full(2, 0.7)
    e, radius = FloatRows(third)._excess(seven, seven, [(0.0, third.r)], (slice(0, 2),), slice(0, 2), None)
    assert not e.any() and not radius.any()


def test_sums_over_pairs_are_enclosed():
    rng = np.random.default_rng([951])
    mdp = by_hand.discounted_model(rng, S=30, b=30)
    for sparse in (False, True):
        rows = FloatRows(mdp.sparse() if sparse else mdp)
        x, f = rng.random((30, 2)), 1e6 * rng.standard_normal((30, 2))
        low, high = rows.pairing(x, f)
        exact = sum(Fraction(p) * Fraction(q) for p, q in zip(x.ravel().tolist(), f.ravel().tolist()))
        size = Fraction(float(np.abs(x * f).sum()))
        assert low <= exact <= high and high - low <= 10 * Fraction(by_hand.U) * size
        xi = [sum(map(Fraction, out)) - Fraction(m) for out, m in zip(x.tolist(), mdp.mu.tolist())]
        for s in range(30):
            for a in range(2):
                for j in range(30):
                    xi[j] -= Fraction(0.99) * Fraction(x[s, a]) * Fraction(mdp.P[s, a, j])
        defect, exact = rows.flow_defect(x, mdp.mu, 0.99), sum(map(abs, xi))
        assert exact <= defect <= exact + 200 * Fraction(by_hand.U) * Fraction(2 * x.sum())


def test_products_that_underflow_decide_nothing():
    # 2^-600 times 2^-600 is no float: the row looks like 0 >= 0, and is false.
    tiny = 2.0**-600
    mdp = MDP([[[tiny, 1 - 2**-53]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.5)
    x = np.array([0.0, 0.0])
    rows, pi = FloatRows(mdp), np.zeros(2, dtype=int)
    rows.require("0 >= 0", 1, x, [(1.0, mdp.r)], pi, gamma=0.5)
    swapped = MDP([[[0.0, 1.0]], [[tiny, 1.0]]], [[0.0], [0.0]], 0.5)
    x = np.array([-tiny, 0.0])
    for gamma in (None, 0.5):
        with pytest.raises(Refused, match="at state 1"):
            FloatRows(swapped).require("e >= 0", 1, x, [(1.0, mdp.r)], np.array([-1, 0]), gamma=gamma)


def test_a_sum_of_denormals_decides_nothing():
    # -0.4 - 0.4 + 0.6 units of 2^-1074 are negative; the products round to 0, 0 and 1.
    unit = 2.0**-1074
    mdp = MDP([[[0.4, 0.4, 0.2]]] * 3, np.zeros((3, 1)), 0.5)
    x = np.array([-unit, -unit, 3 * unit])
    with pytest.raises(Refused, match="at state 0"):
        FloatRows(mdp).require("e >= 0", 1, x, [(1.0, mdp.r)], np.zeros(3, dtype=int), gamma=1.0, target=np.zeros(3))


def test_the_defect_of_a_good_flow_is_not_underestimated():
    for seed in range(30):
        mdp = by_hand.discounted_model(np.random.default_rng([953, seed]), sparse=seed % 2 == 1)
        P, _ = by_hand.of_policy(mdp, np.zeros(mdp.S, dtype=int))
        x = np.zeros((mdp.S, mdp.A))
        # Only rounding is left of the flow equations.
        x[:, 0] = np.abs(np.linalg.solve(np.eye(mdp.S) - 0.99 * P.T, mdp.mu))
        assert ExactRows(mdp).flow_defect(x, mdp.mu, 0.99) <= FloatRows(mdp).flow_defect(x, mdp.mu, 0.99)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_effective_discount_is_bounded_from_above(sparse):
    rng = np.random.default_rng([952])
    mdp = by_hand.discounted_model(rng, S=40, b=30, sparse=sparse, gamma=0.9, defect=5e-9)
    P = mdp.dense().P
    largest = Fraction(0.9) * max(sum(map(Fraction, row)) for row in P.reshape(-1, 40).tolist())
    found = FloatRows(mdp).require_contraction(0.9)
    assert largest <= found <= largest * (1 + 200 * Fraction(by_hand.U))
    assert ExactRows(mdp).require_contraction(0.9) == largest
