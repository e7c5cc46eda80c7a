"""Wrong occupancies and multipliers, made by hand: each is refused at both levels, for the right reason."""

import numpy as np
import pytest
from certify import by_hand
from certify.by_hand import edit

from mdplab.certify import check

OCCUPANCY = {
    "negative flow": (lambda d: {"x": -d["x"]}, "x >= 0 fails"),
    "negative multiplier": (lambda d: {"lam": np.array([0.0, -1.0])}, "lam >= 0 fails"),
    "another policy's flow": (lambda d: {"x": d["x"][:, ::-1]}, "not the flow's own proportion"),
    "flow of another discount": (lambda d: {"x": 0.99 * d["x"]}, "primal_lo <= <x, r> - defect norm(r) fails"),
    "objective too high": (lambda d: {"primal_lo": d["primal_lo"] + 1e-6}, "primal_lo <= <x, r>"),
    "objective too low": (lambda d: {"primal_hi": d["primal_hi"] - 1e-6}, "<= primal_hi fails"),
    "dual value too low": (lambda d: {"dual_hi": d["dual_hi"] - 1e-6}, "mu . hi + lam . limits <= dual_hi fails"),
    "hi too low": (lambda d: {"hi": d["hi"] - 1e-6}, "hi >= r - lam costs + gamma P hi fails"),
    "negative violation": (lambda d: {"violation": -1.0}, "violation >= 0 fails"),
    "NaN bound": (lambda d: {"primal_lo": np.nan}, "primal_lo[] is nan"),
    "one multiplier": (lambda d: {"lam": np.zeros(1)}, "lam has shape (1,), expected (2,)"),
}


@pytest.mark.parametrize("level", ["float", "exact"])
@pytest.mark.parametrize("name", OCCUPANCY)
def test_occupancy_refusals(name, level):
    problem = by_hand.constrained_model(np.random.default_rng([926]))
    answer = by_hand.occupancy(problem)
    assert check(problem, answer, level=level)
    change, reason = OCCUPANCY[name]
    report = check(problem, edit(answer, gap=1e3, **change(answer.certificate.data)), level=level)
    assert not report.ok and reason in report.reason, report.reason


@pytest.mark.parametrize("level", ["float", "exact"])
def test_limits_are_part_of_the_problem(level):
    problem = by_hand.constrained_model(np.random.default_rng([927]))
    answer = by_hand.occupancy(problem)
    spent = (answer.certificate.data["x"] * problem.costs[0]).sum()
    tight = type(problem)(problem.mdp, problem.costs, [spent - 1e-3, 11.0])
    assert "cost 0 of the policy <= limit + violation" in check(tight, answer, level=level).reason
    admitted = edit(answer, violation=1.1e-3)
    report = check(tight, admitted, level=level)
    assert report.ok and "limits are met up to 0.0011" in report.speaks_about
    wide = edit(answer, dual_hi=answer.certificate.data["dual_hi"] + 1e-3)
    assert "is smaller than the derived" in check(problem, wide, level=level).reason
    # A flow that is 1 % short misses its start by 1 %; that costs max|r| / (1 - gamma) times as much, not max|r|.
    x, r = 0.99 * answer.certificate.data["x"], np.abs(problem.mdp.r).max()
    short = edit(answer, gap=100.0, x=x, primal_lo=(x * problem.mdp.r).sum() - 0.02 * r)
    assert "primal_lo <= <x, r> - defect norm(r)" in check(problem, short, level=level).reason
    assert check(problem, edit(short, primal_lo=-50.0, primal_hi=50.0, gap=200.0), level=level)
    moved = edit(answer, value=answer.value + 1)
    assert "mu . value <= primal_lo + gap" in check(problem, moved, level=level).reason


@pytest.mark.parametrize("level", ["float", "exact"])
def test_multipliers_price_the_limits(level):
    problem = by_hand.constrained_model(np.random.default_rng([929]), masked=True, A=3)
    mdp, lam = problem.mdp, np.array([0.3, 0.2])
    answer = by_hand.occupancy(problem)
    priced = mdp.replace(r=mdp.r - np.tensordot(lam, problem.costs, 1))
    hi = by_hand.best(priced)[1] + 1e-9
    dual = float(mdp.mu @ hi + lam @ problem.limits)
    bound = edit(answer, lam=lam, hi=hi, dual_hi=dual + 1e-9, gap=10.0)
    assert check(problem, bound, level=level)
    for changes, reason in (
        ({"dual_hi": dual - 1e-6}, "mu . hi + lam . limits <= dual_hi fails"),
        ({"lam": 0.9 * lam}, "hi >= r - lam costs + gamma P hi fails"),
        ({"lam": 2 * lam}, "mu . hi + lam . limits <= dual_hi fails"),
    ):
        assert reason in check(problem, edit(bound, **changes), level=level).reason
    x = answer.certificate.data["x"].copy()
    x[tuple(np.argwhere(~mdp.actions)[0])] = 1e-18
    assert "x = 0 at unavailable actions fails" in check(problem, edit(answer, x=x), level=level).reason
