"""Functionals: their values, the constants that theory needs, what it allows, and how objectives are spelled."""

import pickle

import numpy as np
import pytest

from mdplab.models import (
    CVaR,
    EntropicRisk,
    EVaR,
    FiniteLaw,
    NestedCVaR,
    OCVaR,
    can_optimise,
    cvar,
    functional,
    parse_objective,
)
from mdplab.models.functionals import FUNCTIONALS

UTILITIES = [name for name in FUNCTIONALS if functional(name).utility is not None]


def test_values():
    x, p = np.array([2.0, -1.0, 0.0]), np.array([0.5, 0.25, 0.25])
    expected = {
        **{"mean": 0.75, "target": -1.25, "negative_part": -0.25, "positive_part": 1.0, "quadratic": -2.25},
        **{"step": 0.5, "step_at": 0.5, "ess_inf": -1.0, "ess_sup": 2.0, "all_nonnegative": 0.0, "median": 0.0},
        "mean_std": 0.75 - np.sqrt(2.25 - 0.75**2),
        "cvar_direct": -0.5,
        "exponential": 0.5 * np.exp(2) + 0.25 * np.exp(-1) + 0.25,
        "tanh": 0.5 * np.tanh(2) - 0.25 * np.tanh(1),
    }
    assert set(expected) == set(FUNCTIONALS)
    for name, value in expected.items():
        np.testing.assert_allclose(functional(name).evaluate(x, p), value, rtol=1e-14)  # rounding of three terms
    assert functional("all_nonnegative").evaluate(np.array([0.0, 1.0]), np.array([0.5, 0.5])) == 1.0
    assert functional("exponential", b=-1).evaluate(np.array([0.0]), np.ones(1)) == -1.0
    law = FiniteLaw.of(x, p)
    assert functional("cvar_direct", tau=0.3).evaluate(x, p) == cvar(law, 0.3)
    # A stock that is zero but for rounding is not above zero.
    assert functional("step").evaluate(np.array([1e-15]), np.ones(1)) == 0.0
    assert functional("all_nonnegative").evaluate(np.array([-1e-15]), np.ones(1)) == 1.0


@pytest.mark.parametrize("name", UTILITIES)
def test_slopes_hold_and_are_reached(name):
    f, rng = functional(name), np.random.default_rng([4, 3])
    c, e = rng.uniform(-4, 4, 4000), rng.uniform(0, 4, 4000) ** 3
    rise = f.utility(c + e) - f.utility(c)
    if f.slopes is None:
        # Not Lipschitz: some small step rises by ever more than any fixed multiple of itself, or far away does.
        steep = [np.abs(f.utility(np.array([c + d])) - f.utility(np.array([c]))) / d for c, d in _steep(name)]
        assert max(steep) > 1e5
        return
    up, down = f.slopes
    assert np.all(rise <= up * e + 1e-12)
    assert np.all(-rise <= down * e + 1e-12)
    near = np.linspace(-4, 4, 8001)
    slopes = np.diff(f.utility(near)) / np.diff(near)
    # tanh reaches slope 1 only in the limit of a step of 1e-3 at 0, and slope 0 far away.
    np.testing.assert_allclose([slopes.max(), -slopes.min()], [up, down], atol=2e-3)


def _steep(name):
    return {
        "quadratic": [(1e6, 1.0)],
        "step": [(0.0, 1e-8)],
        "step_at": [(1.0, 1e-8)],
        "exponential": [(30.0, 1.0)],
    }[name]


@pytest.mark.parametrize("name", UTILITIES)
@pytest.mark.parametrize("gamma", [0.5, 0.9, 1.0])
def test_the_scaling_identity_holds_where_it_is_claimed(name, gamma):
    f, c = functional(name), np.linspace(-3, 3, 601)
    alpha, zero = f.scaling(gamma), f.utility(np.zeros(1))
    inner, outer = f.utility(gamma * c), f.utility(c)
    if alpha is not None:
        assert 0 < alpha <= 1
        np.testing.assert_allclose(inner, alpha * outer + (1 - alpha) * zero, atol=1e-13)  # rounding of numbers to 9
        return
    least = min(np.abs(inner - a * outer - (1 - a) * zero).max() for a in np.linspace(0, 1, 1001))
    assert least > 1e-2  # bounded away from 0 for every alpha, on a grid of 1001
    assert not f.gamma_indifferent(gamma)


def test_weights_scale_values_and_slopes():
    f = functional("negative_part", weight=50)
    assert (f.name, f.kind, f.slopes, f.scaling(0.5)) == ("negative_part(weight=50)", "negative_part", (50, 0), 0.5)
    assert f.utility(np.array([-2.0, 2.0])).tolist() == [-100.0, 0.0]
    again = pickle.loads(pickle.dumps(f))
    assert (again.name, again.slopes) == (f.name, f.slopes)
    assert functional("step_at", c=0).scaling(0.5) == 1.0


# Table 1.D-1 of the specification: brute force agrees with dynamic programming, or need not.
FINITE_ANY = {
    *("mean", "target", "negative_part", "positive_part", "quadratic", "step", "ess_inf", "ess_sup", "all_nonnegative")
}
FINITE_UNDISCOUNTED = {"step_at", "exponential", "tanh"}
DISCOUNTED = {"mean", "target", "negative_part", "positive_part"}


@pytest.mark.parametrize("name", FUNCTIONALS)
def test_what_theory_allows(name):
    f = functional(name)
    assert bool(can_optimise(f, 1.0, 3)) == (name in FINITE_ANY | FINITE_UNDISCOUNTED)
    assert bool(can_optimise(f, 0.7, 3)) == (name in FINITE_ANY)
    assert bool(can_optimise(f, 0.7)) == (name in DISCOUNTED)
    assert not can_optimise(f, 1.0)
    # Without a horizon, but known to end.
    assert bool(can_optimise(f, 1.0, None, False)) == bool(can_optimise(f, 1.0, 3))
    for gamma, horizon in ((1.0, 3), (0.7, 3), (0.7, None), (1.0, None)):
        said = can_optimise(f, gamma, horizon).reason
        assert name in said or "gamma is 1" in said


@pytest.mark.parametrize("name", FUNCTIONALS)
def test_mixtures_keep_the_order_of_what_is_indifferent_and_only_of_that(name):
    f = functional(name)

    def of(law):
        return f.evaluate(law.x, law.p)

    rng = np.random.default_rng([4, 5])
    tried = 0
    # Few atoms with many ties, so that laws are often equal in value.
    laws = [FiniteLaw.of(rng.integers(-2, 3, 3) / 2, rng.dirichlet(np.ones(3))) for _ in range(80)]
    safe, risky, good = FiniteLaw([0.0], [1.0]), FiniteLaw([-0.1, 1.9], [0.5, 0.5]), FiniteLaw([2.0], [1.0])
    cases = [(safe, risky, good, good), *zip(*(laws[k::4] for k in range(4)), strict=True)]
    reversed_ = []
    for a, b, c, d in cases:
        a, b = sorted((a, b), key=of, reverse=True)
        c, d = sorted((c, d), key=of, reverse=True)
        better, worse = FiniteLaw.mixture([a, c], [0.5, 0.5]), FiniteLaw.mixture([b, d], [0.5, 0.5])
        tried += 1
        reversed_.append(of(better) < of(worse) - 1e-12)
    assert tried == 21
    assert any(reversed_) == (not f.mixture_indifferent)
    if not f.mixture_indifferent:
        assert reversed_[0], "a sure 0 is preferred to the lottery, but not when either is mixed with a sure 2"


def test_bad_functionals_are_named():
    for call, message in (
        (lambda: functional("targett"), "unknown functional 'targett'; nearest: target"),
        (lambda: functional("tanh", c=1), "functional 'tanh' has no parameter 'c'; it has none"),
        (lambda: functional("exponential", b=0), "b is 0"),
        (lambda: functional("mean", weight=-1), "weight is -1"),
        (lambda: functional("step_at", c=np.inf), "c is inf"),
        (lambda: functional("cvar_direct", tau=1.5), r"tau is 1.5; expected a number in \(0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_objectives_are_parsed_and_spell_themselves():
    for text, expected in (
        ("cvar:0.1", CVaR(0.1)),
        ("ocvar:.25", OCVaR(0.25)),
        ("entropic:-2", EntropicRisk(-2)),
        ("evar:0.05", EVaR(0.05)),
        ("nested-cvar:1", NestedCVaR(1)),
    ):
        assert parse_objective(text) == expected
        assert parse_objective(expected.name) == expected
    assert parse_objective("mean").name == "mean"
    assert parse_objective("utility:target").name == "target"
    assert parse_objective("utility:exponential:0.5").name == "exponential(b=0.5)"
    assert CVaR(0.1) != OCVaR(0.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cvar:0", "tau is 0; "),
        ("cvar:1.5", r"tau is 1.5; expected a number in \(0, 1\]"),
        ("ocvar:-1", "tau is -1"),
        ("evar:nan", "level is nan"),
        ("nested-cvar:x", "tau is 'x'"),
        ("entropic:0", "beta is 0"),
        ("entropic:inf", "beta is 'inf'"),
        ("cvar", "objective is 'cvar'; expected mean, cvar:TAU"),
        ("median", "objective is 'median'"),
        ("utility:", "objective is 'utility:'"),
        ("utility:tanh:1", "'tanh' has no parameter"),
        ("utility:nothing", "unknown functional 'nothing'"),
        ("mean:2", "objective is 'mean:2'"),
    ],
)
def test_bad_objectives_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse_objective(text)
