"""The bound of large risk aversions in certificates of EVaR: what is true is accepted, what is lowered is not."""

import dataclasses

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.certify.case import Case
from mdplab.certify.risk import _far
from mdplab.certify.risk_stages import StagedRisk
from mdplab.models import MDP, Certificate, Solution

LEVELS = ("float", "exact")


def lottery(p, horizon=1):
    """-1 with probability p, else 1, once; or 0.5 for sure less than that: an action that is worth -2."""
    P = np.zeros((3, 2, 3))
    P[0, 0], P[0, 1], P[1, :, 1], P[2, :, 2] = [0, p, 1 - p], [0, 0, 1], 1, 1
    r = np.zeros((3, 2, 3))
    r[0, 0], r[0, 1] = [0, -1, 1], -2
    return MDP(P, r, 1.0, horizon=horizon)


def claim(p, level, b=40.0, **edits):
    """EVaR of the lottery at or below the mass p: -1, by hand; `edits` are added to the arrays of that name."""
    tiny = 1e-10
    erm = 1 - np.log(p * np.exp(2 * b) + 1 - p) / b
    hi = np.array([[erm + tiny, tiny, tiny], [0, 0, 0]])
    lo = np.array([[erm - tiny, -tiny, -tiny], [0, 0, 0]])
    worst = np.array([[-1 + tiny, tiny, tiny], [0, 0, 0]])
    far = np.array([[-1 - np.log(p) / b + tiny, tiny, tiny], [0, 0, 0]])
    mean = np.array([[1 - 2 * p + tiny, tiny, tiny], [0, 0, 0]])
    data = {"level": level, "start": np.array([1.0, 0, 0]), "betas": np.array([b]), "stage_ptr": np.array([0, 2])}
    data |= {"hi": hi, "lo": lo, "best": 0, "mean_hi": mean, "far_at": 0, "floor": -1 + tiny}
    data |= {"worst": worst, "far": far}
    data = {name: value + edits.get(name, 0) for name, value in data.items()}
    # Below b the mean bounds: claimed is what holds for large b and at b.
    return Solution(
        np.array([-1.0]), np.zeros((1, 3), dtype=np.int64), Certificate("evar", 10.0, {}, data), "x", 1, 0.0
    )


def bound(p, level, exactness="float", **edits):
    """What the referee makes of it."""
    mdp, solution = lottery(p), claim(p, level, **edits)
    risk = StagedRisk(Case(mdp, solution, exactness), mdp)
    risk.check_tail(1, with_mean=True)
    data = solution.certificate.data
    return _far(risk, level, data["start"], data["betas"].tolist())


@pytest.mark.parametrize("exactness", LEVELS)
def test_the_bound_is_the_worst_case(exactness):
    assert check(lottery(0.25), claim(0.25, 0.25), level=exactness)
    at, upper = bound(0.25, 0.25, exactness)
    assert at == 0
    assert upper == pytest.approx(-1, abs=1e-8)  # What is added by hand above.
    # Above the mass it is what all of it at the worst is worth.
    assert bound(0.25, 0.5, exactness)[1] == pytest.approx(-1 + np.log(2) / 40, abs=1e-8)  # As above.


def test_it_holds_for_all_larger_risk_aversions():
    rng = np.random.default_rng([444])
    for p in rng.uniform(0.05, 0.9, 20):
        for level in rng.uniform(0.01, 1, 5):
            b = np.geomspace(40, 4e4, 50)
            h = -1 - np.log(p + (1 - p) * np.exp(-2 * b)) / b + np.log(level) / b
            assert h.max() <= bound(p, level)[1]


@pytest.mark.parametrize("exactness", LEVELS)
@pytest.mark.parametrize(
    "edits",
    [
        # Bounds a little below what is true, at each stage; a worst case above the bound; no such risk aversion.
        {"far": np.array([[-1e-6, 0, 0], [0, 0, 0]])},
        {"worst": np.array([[-1e-6, 0, 0], [0, 0, 0]])},
        {"worst": np.array([[0, 0, 0], [-1e-6, 0, 0]])},
        {"worst": np.array([[0, 0, 0], [1e-6, 0, 0]])},
        {"far": np.array([[0, 0, 0], [0, -1e-6, 0]])},
        {"floor": -1e-6},
        {"far_at": 1},
        {"far_at": -1},
        {"far_at": 0.5},
    ],
)
def test_mutants_are_refused(edits, exactness):
    good, bad = claim(0.25, 0.25), claim(0.25, 0.25, **edits)
    assert check(lottery(0.25), good, level=exactness)
    assert not check(lottery(0.25), bad, level=exactness)


@pytest.mark.parametrize("exactness", LEVELS)
def test_what_lies_above_the_worst_case_does_not_count(exactness):
    b, p = 1.0, 0.25
    less = -np.log(p + (1 - p) * np.exp(-2 * b)) / b + np.log(p) / b
    assert check(lottery(p), claim(p, p, b=b), level=exactness)
    assert not check(lottery(p), claim(p, p, b=b, far=np.array([[less, 0, 0], [0, 0, 0]])), level=exactness)


def test_stages_and_endings_are_demanded():
    mdp = lottery(0.25, horizon=2)
    assert not check(mdp, claim(0.25, 0.25))
    bad = claim(0.25, 0.25)
    data = {**bad.certificate.data, "far": bad.certificate.data["far"][[0, 0, 1]]}
    certificate = dataclasses.replace(bad.certificate, data=data)
    assert not check(lottery(0.25), dataclasses.replace(bad, certificate=certificate))
