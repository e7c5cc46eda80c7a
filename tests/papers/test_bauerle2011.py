"""What the claims about the stock rest on: the closed set of whole stocks, the blind policies, the drawn objective."""

import numpy as np
import pytest

from mdplab.exact.stock.finite_static import static_cvar_finite
from mdplab.models import CVaR
from mdplab.papers import bauerle2011

PARAMS = bauerle2011.Params(problems=2, stocks=4, steps=8, points=6, rounds=3)


def test_whole_stocks_agree_with_the_tree():
    """v_n on the closed set against the plain recursion, which knows nothing of bounds."""
    whole = bauerle2011._whole(np.random.default_rng([461]))

    def tree(n, s, c):
        if n == 0:
            return min(c, 0.0)
        ahead = [sum(whole.P[s, a, t] * tree(n - 1, t, 2 * (c + whole.R[s, a, t])) for t in range(3)) for a in range(2)]
        return 0.5 * max(ahead)

    for n in range(1, 4):
        v = whole.step()
        for k, c in enumerate(whole.c):
            # A handful of sums of three products.
            assert v[0, k] == pytest.approx(tree(n, 0, float(c)), abs=1e-13)


def test_a_constant_reward_attains_the_bound():
    whole = bauerle2011._whole(np.random.default_rng(0), constant=True)
    for n in range(1, 10):
        v = whole.step()
        # At stock -2 the limit is -2 + 2, and every number is dyadic.
        assert 0.0 - v[0, 0] == 2.0 * 0.5**n


def test_the_blind_policies_are_a_subset():
    problem = bauerle2011.random_stock(3)
    blind = bauerle2011._without_stock(problem, 0.4)
    best = static_cvar_finite(problem.replace(objective=CVaR(0.4))).value[0]
    assert blind <= best + 1e-9  # atoms merge within 1e-12 of their size


def test_the_bet_needs_its_stock():
    """Three rounds: between timid and bold levels one stops after a win."""
    table = bauerle2011.figure_frontier(PARAMS, np.random.default_rng(0))
    assert np.all(table["stock"] >= table["time"] - 1e-9)  # atoms merge within 1e-11 of their size
    assert np.all(table["time"] >= table["mean"] - 1e-9)
    assert (table["stock"] - table["time"]).max() > 0.1
    assert table["stock"][-1] == pytest.approx(3 * 2 * 0.2, abs=1e-9)  # as above


def test_the_drawn_objective_peaks_at_the_best_cvar():
    params = bauerle2011.Params(problems=1, stocks=1, steps=1, points=141, rounds=3)
    table = bauerle2011.figure_outer(params, np.random.default_rng(0))
    spacing = np.diff(table["c0"]).max()
    for name, tau in (("low", 0.3), ("middle", 0.5), ("high", 0.8)):
        best = static_cvar_finite(bauerle2011._bets(3).replace(objective=CVaR(tau))).value[0]
        # It moves by at most max(1, 1/tau - 1) times half a step between the drawn stocks.
        assert best - spacing * max(1, 1 / tau - 1) <= table[name].max() <= best + 1e-12
