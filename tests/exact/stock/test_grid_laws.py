"""Laws on stock grids: fixed points of the projected operator, errors as bounded, policies that the referee accepts."""

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact.stock.grid import stock_value_iteration
from mdplab.exact.stock.grid_laws import categorical_stock_iteration
from mdplab.models import MDP, StockMDP, functional

Z = np.linspace(-2.5, 4.0, 131)


def gamble(kind: str) -> StockMDP:
    """Two states and an end; rewards by next state."""
    P = np.array(
        [[[0.2, 0.5, 0.3], [0.0, 0.4, 0.6]], [[0.5, 0.1, 0.4], [0.3, 0.0, 0.7]], [[0, 0, 1.0], [0, 0, 1.0]]],
    )
    r = np.array([[[0.0, 1.0, -1.0], [0.0, 0.5, 0.2]], [[1.0, 0.3, 0.0], [-1.0, 0.0, 1.0]], [[0.0] * 3, [0.0] * 3]])
    return StockMDP(MDP(P, r, 0.6), functional(kind), start=0)


@pytest.mark.parametrize("kind", ["negative_part", "positive_part", "target"])
@pytest.mark.parametrize("method", ["value", "policy"])
def test_values_by_laws_are_within_their_bounds(kind, method):
    problem = gamble(kind)
    answer = categorical_stock_iteration(problem, Z, method=method, num_stocks=101)
    assert check(problem, answer).ok
    laws, bounds, grid = answer.extras["laws"], answer.extras["error_bounds"], answer.extras["grid"]
    np.testing.assert_allclose(laws.sum(axis=2), 1.0, atol=1e-12)  # Rounding of sums of probabilities.
    fine = stock_value_iteration(problem, num_stocks=1001)
    best = fine.certificate.data
    for s in range(2):
        high, low = (np.interp(grid, fine.extras["grid"], best[name][s]) for name in ("hi", "lo"))
        inside = (grid >= fine.extras["grid"][0]) & (grid <= fine.extras["grid"][-1])
        off = np.maximum(answer.extras["law_values"][s] - high, low - answer.extras["law_values"][s])[inside]
        # What the stopping rule leaves.
        assert off.max() <= sum(bounds.values()) + 1e-6
    # The policy itself, whose bracket the referee checked, is far better than these bounds.
    assert answer.certificate.gap < sum(bounds.values())


def test_laws_are_those_of_the_projected_operator():
    problem = gamble("target")
    answer = categorical_stock_iteration(problem, Z, num_stocks=21, tol=1e-10)
    laws, grid, pi = answer.extras["laws"], answer.extras["grid"], answer.policy
    for s in range(2):
        for k in range(0, len(grid), 5):
            total = np.zeros(len(Z))
            for t, r, p in zip(*problem.outcomes.row(s, int(pi[s, k])), strict=True):
                near = np.abs(grid - (grid[k] + r) / 0.6).argmin()
                law = laws[t, near] if t < 2 else (Z == Z[np.abs(Z).argmin()]).astype(float)
                place = np.clip((r + 0.6 * Z - Z[0]) / (Z[1] - Z[0]), 0, len(Z) - 1)
                i = np.minimum(place.astype(int), len(Z) - 2)
                np.add.at(total, i, p * law * (i + 1 - place))
                np.add.at(total, i + 1, p * law * (place - i))
            # The stopping rule, in w_1; a mass differs by at most twice that over the step.
            np.testing.assert_allclose(laws[s, k], total, atol=1e-8)


def test_returns_that_do_not_fit_are_refused_unless_clipped():
    problem = gamble("target")
    with pytest.raises(ValueError, match=r"z ends at 0 and 1: mass .* lies outside"):
        categorical_stock_iteration(problem, [0.0, 0.5, 1.0], num_stocks=21)
    clipped = categorical_stock_iteration(problem, [0.0, 0.5, 1.0], num_stocks=21, clip=True)
    assert clipped.certificate.residuals["lost_mass"] > 0
    # However crude the laws, what is said of the policy holds.
    assert check(problem, clipped).ok
    with pytest.raises(ValueError, match=r"z\[1\] - z\[0\] is 1; returns are evenly"):
        categorical_stock_iteration(problem, [0.0, 1.0, 3.0])
    with pytest.raises(ValueError, match="method is 'both'"):
        categorical_stock_iteration(problem, Z, method="both")
