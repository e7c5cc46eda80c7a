"""The referee of linear problems: what is true passes, and nothing that a mutation made false does."""

import dataclasses

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact import linear_backward_induction, linear_policy_evaluation
from mdplab.instances.linear import random_linear_mdp
from mdplab.models import Certificate, KLBall, RobustLinearMDP, SoftTV, TVBall


def problem(one=None):
    linear = random_linear_mdp(5, 3, 4, 3, rng=np.random.default_rng([21]))
    return linear if one is None else RobustLinearMDP(linear, one)


def changed(answer, *, gap=None, kind=None, policy=None, value=None, drop=None, **data):
    old = answer.certificate
    evidence = {name: array for name, array in {**old.data, **data}.items() if name != drop}
    certificate = Certificate(kind or old.kind, old.gap if gap is None else gap, {}, evidence)
    policy = answer.policy if policy is None else policy
    return dataclasses.replace(
        answer, certificate=certificate, policy=policy, value=answer.value if value is None else value
    )


def nudged(array, at, by):
    array = np.array(array)
    array[at] += by
    return array


CASES = [(None, 0.0), (TVBall(0.2), 0.0), (KLBall(0.1), 0.0), (SoftTV(0.3), 0.0), (TVBall(0.2), 0.3), (None, 0.3)]


@pytest.mark.parametrize(("one", "tau"), CASES)
@pytest.mark.parametrize("level", ["float", "exact"])
def test_each_condition_refuses(one, tau, level):
    this = problem(one)
    answer = linear_backward_induction(this, tau=tau)
    assert check(this, answer, level=level).ok
    lo, hi = answer.certificate.data["lo"], answer.certificate.data["hi"]
    bad = [
        (changed(answer, lo=lo + 1e-6, value=lo + 1e-6, hi=hi + 2e-6, gap=1.0), "lo"),
        (changed(answer, hi=nudged(hi, (1, 2), -1e-9), lo=nudged(lo, (1, 2), -1e-9), value=lo, gap=1.0), "value"),
        (
            changed(answer, lo=nudged(lo, (0, 1), 1e-8), hi=hi + 1e-7, value=hi + 1e-7, gap=1.0),
            "lo <= T_pi lo at stage 0",
        ),
        (
            changed(answer, hi=nudged(hi, (0, 1), -1e-8), lo=lo - 1e-7, value=lo - 1e-8, gap=1.0),
            "T hi <= hi at stage 0",
        ),
        (changed(answer, gap=answer.certificate.gap * 0.999), "claimed gap"),
        (changed(answer, gap=float("nan")), "claimed gap"),
        (changed(answer, value=hi + 1e-9), "value > hi"),
        (changed(answer, lo=lo[:-1]), "lo has shape"),
        (changed(answer, hi=nudged(hi, (0, 0), np.nan)), "hi"),
        (changed(answer, drop="lo"), "no 'lo'"),
        (changed(answer, kind="discounted"), "kind is 'discounted'"),
        (changed(answer, hi=nudged(hi, (3, 0), -1.0), lo=lo - 2, value=lo - 1.5, gap=9.0), "hi[H] >= 0 fails"),
        (changed(answer, lo=lo + 0.5, hi=hi + 1, value=hi + 0.7, gap=9.0), "lo[H] <= 0 fails"),
    ]
    if tau:
        reference = answer.certificate.data["reference"]
        bad += [
            (changed(answer, reference=nudged(reference, (0, 0, 0), 0.01)), "T hi <= hi at stage 0"),
            (changed(answer, reference=-reference), "is negative"),
            (changed(answer, tau=np.float64(0.29)), "lo <= T_pi lo|T hi <= hi"),
            (changed(answer, policy=nudged(answer.policy, (0, 0, 0), 0.01)), "sums to"),
        ]
        assert not check(this, answer, level=level, tau=0.2)
        assert not check(this, answer, level=level, tau=tau, reference=np.full(3, 0.3))
        assert check(this, answer, level=level, tau=tau, reference=np.full(3, 1 / 3))
    else:
        worse = (answer.policy + 1) % 3
        bad += [
            (changed(answer, policy=worse), "lo <= T_pi lo at stage 0"),
            (changed(answer, policy=answer.policy + 5), "no action"),
            (changed(answer, policy=answer.policy.astype(float)), "policy has shape"),
        ]
    if one is not None:
        factors = np.array(answer.certificate.data["factors"])
        swapped = factors.copy()
        swapped[0] = swapped[0][:, ::-1]
        bad += [
            (changed(answer, drop="factors"), "no 'factors'"),
            (changed(answer, factors=nudged(factors, (0, 0, 0), 0.01)), "sums to"),
            (changed(answer, factors=-factors), "is negative"),
        ]
        if not one.name.startswith("soft"):
            bad.append((changed(answer, factors=swapped), "lie outside the set"))
            nominal = changed(answer, factors=this.linear.mu)
            bad.append((nominal, "T hi <= hi"))
    for answer, reason in bad:
        report = check(this, answer, level=level)
        assert not report.ok
        assert any(part in report.reason for part in reason.split("|")), (reason, report.reason)


def test_the_value_of_another_policy_is_no_optimum():
    this = problem(TVBall(0.2))
    policy = np.zeros((3, 5), dtype=np.int64)
    answer = linear_policy_evaluation(this, policy)
    assert check(this, answer).ok
    assert "T hi <= hi" in check(this, changed(answer, kind="linear")).reason


def test_no_mutation_makes_it_accept_a_falsehood():
    """Random nudges: whatever is accepted still encloses the value computed anew."""
    rng, accepted = np.random.default_rng([22]), 0
    this = problem(TVBall(0.2))
    answer = linear_backward_induction(this)
    truth = answer.value
    for _ in range(300):
        arrays = {name: np.array(answer.certificate.data[name]) for name in ("lo", "hi", "factors")}
        name = ("lo", "hi", "factors")[rng.integers(3)]
        at = tuple(rng.integers(n) for n in arrays[name].shape)
        arrays[name][at] += rng.choice([-1, 1]) * 10.0 ** rng.integers(-13, 0)
        mutant = changed(answer, gap=10.0, value=np.clip(truth, arrays["lo"], arrays["hi"]), **arrays)
        if check(this, mutant).ok:
            accepted += 1
            # The value anew is right within its own gap.
            off = answer.certificate.gap
            assert np.all(arrays["lo"] <= truth + off) and np.all(truth <= arrays["hi"] + off)
    assert 30 < accepted < 270  # both happen, or the test says nothing
