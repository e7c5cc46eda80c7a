"""Wrong answers made by hand: each is refused at both levels, for the right reason."""

import numpy as np
import pytest
from certify import by_hand
from certify.by_hand import edit

from mdplab.certify import check
from mdplab.models import MDP


def model(**changes):
    options = {"gamma": 0.9, "masked": True, "A": 3} | changes
    return by_hand.discounted_model(np.random.default_rng([920]), **options)


def wrong_discount(mdp, answer):
    return by_hand.discounted(mdp.replace(gamma=0.91))


def transposed_kernel(mdp, answer):
    return by_hand.discounted(mdp.replace(P=np.swapaxes(doubly_stochastic(), 0, 2)))


def doubly_stochastic():
    """(S, A, S) whose transpose in the state axes is a kernel too: mixtures of cyclic shifts, not symmetric."""
    shift = np.roll(np.eye(6), 1, axis=1)
    rows = [0.7 * shift + 0.3 * np.eye(6), 0.6 * shift @ shift + 0.4 * shift, 0.5 * shift + 0.5 * shift @ shift @ shift]
    return np.stack(rows, axis=1)


def dropped_max(mdp, answer):
    pi = np.where(mdp.actions, -mdp.r, -np.inf).argmax(axis=1)
    v = by_hand.value_of(mdp, pi)
    return by_hand.bracketed("discounted", v, pi, 1e-9, 1e-9)


def stale_policy(mdp, answer):
    return edit(answer, policy=np.where(mdp.actions, -by_hand.q_of(mdp, answer.value), -np.inf).argmax(axis=1))


def swapped(mdp, answer):
    return edit(answer, lo=answer.certificate.data["hi"], hi=answer.certificate.data["lo"])


def unavailable(mdp, answer):
    policy = answer.policy.copy()
    s, a = np.argwhere(~mdp.actions)[0]
    policy[s] = a
    return edit(answer, policy=policy)


def weighted(mdp, answer, change):
    pi = np.eye(mdp.A)[answer.policy]
    change(pi)
    return edit(answer, policy=pi)


def set_at(index, x):
    def change(pi):
        pi[index] = x

    return change


def with_entry(name, index, x):
    def make(mdp, answer):
        array = answer.certificate.data[name].copy()
        array[index] = x
        return edit(answer, **{name: array})

    return make


def raised_value(mdp, answer):
    return edit(answer, value=answer.value + 1)


def raised_lo(mdp, answer):
    lo, hi = answer.certificate.data["lo"].copy(), answer.certificate.data["hi"]
    lo[0] = hi[0]
    return edit(answer, lo=lo, value=hi)


def unavailable_weight(mdp, answer):
    s, a = np.argwhere(~mdp.actions)[0]
    return weighted(mdp, answer, set_at((s, a), 1e-9))


WRONG = {
    "wrong discount": (wrong_discount, "fails at state"),
    "transposed kernel": (transposed_kernel, "fails at state"),
    "dropped max": (dropped_max, "T hi <= hi fails at state"),
    "stale policy": (stale_policy, "lo <= T_pi lo fails at state"),
    "hi and lo swapped": (swapped, "value < lo at (0,)"),
    "NaN in lo": (with_entry("lo", 2, np.nan), "lo[2] is nan"),
    "infinite hi": (with_entry("hi", 1, np.inf), "hi[1] is inf"),
    "lo of another shape": (lambda m, a: edit(a, lo=np.zeros(5)), "lo has shape (5,), expected (6,)"),
    "hi of another shape": (lambda m, a: edit(a, hi=np.zeros((6, 1))), "hi has shape (6, 1), expected (6,)"),
    "value of another shape": (lambda m, a: edit(a, value=np.zeros(7)), "value has shape (7,), expected (6,)"),
    "NaN in value": (lambda m, a: edit(a, value=np.full(6, np.nan)), "value[0] is nan"),
    "value outside": (raised_value, "value > hi at (0,)"),
    "lo raised at one state": (raised_lo, "lo <= T_pi lo fails at state 0"),
    "hi lowered at one state": (lambda m, a: with_entry("hi", 3, a.certificate.data["lo"][3] - 1e-6)(m, a), "at (3,)"),
    "unavailable action": (unavailable, "policy chooses an unavailable action in state"),
    "weight on an unavailable action": (unavailable_weight, "chooses an unavailable action"),
    "no such action": (lambda m, a: edit(a, policy=np.full(6, 3)), "is 3, no action"),
    "negative action": (lambda m, a: edit(a, policy=np.full(6, -1)), "is -1, no action"),
    "policy of another shape": (lambda m, a: edit(a, policy=np.zeros(5, dtype=int)), "policy has shape (5,)"),
    "policy row sums to 2": (lambda m, a: weighted(m, a, lambda pi: pi.__imul__(2)), "policy[0] sums to 2"),
    "negative probability": (lambda m, a: weighted(m, a, set_at((4, 0), -1.0)), "policy[4, 0] is negative"),
    "NaN in the policy": (lambda m, a: weighted(m, a, set_at((4, 0), np.nan)), "policy[4, 0] is nan"),
    "claimed gap too small": (lambda m, a: edit(a, gap=a.certificate.gap / 2), "is smaller than the derived"),
    "NaN as gap": (lambda m, a: edit(a, gap=np.nan), "claimed gap nan"),
    "missing hi": (lambda m, a: edit(a, drop=["hi"]), "the certificate has no 'hi'"),
    "words as lo": (lambda m, a: edit(a, lo="low"), "lo is not an array of numbers"),
    "unknown kind": (lambda m, a: edit(a, kind="trust me"), "unknown kind 'trust me'"),
    "another problem's kind": (lambda m, a: edit(a, kind="total"), "kind 'total' is for gamma 1"),
}


@pytest.mark.parametrize("level", ["float", "exact"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_are_refused_with_the_right_reason(name, level):
    mdp = model()
    if name == "transposed kernel":
        mdp = mdp.replace(P=doubly_stochastic(), actions=np.ones((6, 3), dtype=bool))
    answer = by_hand.discounted(mdp)
    assert check(mdp, answer, level=level)
    make, reason = WRONG[name]
    report = check(mdp, make(mdp, answer), level=level)
    assert not report.ok and report.gap == np.inf
    assert reason in report.reason, report.reason


@pytest.mark.parametrize("level", ["float", "exact"])
def test_a_problem_that_a_kind_does_not_cover(level):
    mdp = model(horizon=3)
    assert "horizon 3" in check(mdp, by_hand.discounted(model()), level=level).reason
    undiscounted = by_hand.ssp_model(np.random.default_rng([921]))
    answer = by_hand.answer("discounted", np.zeros(6), np.zeros(6, int), 1.0, lo=np.zeros(6), hi=np.zeros(6))
    assert "gamma below 1" in check(undiscounted, answer, level=level).reason
    problem = by_hand.constrained_model(np.random.default_rng([922]))
    assert "says nothing about limits" in check(problem, by_hand.discounted(problem.mdp), level=level).reason
    with pytest.raises(ValueError, match="level is 'sloppy'"):
        check(mdp, answer, level="sloppy")
    with pytest.raises(ValueError, match="problem is a list"):
        check([1], answer)


@pytest.mark.parametrize("level", ["float", "exact"])
def test_finite_horizon_refusals(level):
    mdp = by_hand.discounted_model(np.random.default_rng([923]), gamma=1.0, horizon=3)
    answer = by_hand.finite_horizon(mdp)
    lo, hi = answer.certificate.data["lo"], answer.certificate.data["hi"]
    assert check(mdp, answer, level=level)

    def reason(**changes):
        return check(mdp, edit(answer, gap=10.0, **changes), level=level).reason

    assert "lo[H] <= 0" in reason(lo=lo + 1e-3, value=hi + 0.5, hi=hi + 1)
    assert "hi[H] >= 0" in reason(hi=hi - 1e-3, value=lo - 0.5, lo=lo - 1)
    later = lo.copy()
    later[1, 2] += 1e-6
    assert "lo[1] <= T_pi lo[2] fails at state 2" in reason(lo=later, value=hi + 0.5, hi=hi + 1)
    sooner = hi.copy()
    sooner[0, 4] -= 1e-6
    assert "T hi[1] <= hi[0] fails at state 4" in reason(hi=sooner, value=lo - 0.5, lo=lo - 1)
    assert "policy has shape (2, 6)" in reason(policy=answer.policy[:2])
    assert "expected (4, 6)" in reason(lo=lo[:3])


def off(data):
    """1 off the terminal state."""
    return (data["steps"] > 0).astype(float)


TOTAL = {
    "bound off by one step": (lambda d: {"lo": d["lo"] + 1, "hi": d["hi"] + 2}, "lo = 0 at terminal states"),
    "lo too high": (lambda d: {"lo": d["lo"] + 1e-3 * off(d), "hi": d["hi"] + off(d)}, "lo <= r_pi + P_pi lo fails"),
    "hi too low": (lambda d: {"hi": d["hi"] - 1e-3 * off(d), "lo": d["lo"] - off(d)}, "hi >= r + P hi fails"),
    "no steps": (lambda d: {"steps": 0 * d["steps"]}, "steps >= 1 + P_pi steps fails"),
    "too few steps": (lambda d: {"steps": d["steps"] / 1.01}, "steps >= 1 + P_pi steps fails"),
    "negative steps": (lambda d: {"steps": -d["steps"]}, "steps >= 0 fails"),
    "too few steps for all": (lambda d: {"steps_all": d["steps"] / 1.1}, "steps_all >= 1 + P steps_all fails"),
    "negative steps for all": (lambda d: {"steps_all": -d["steps_all"]}, "steps_all >= 0 fails"),
    "no reason": (lambda d: {"upper": "because"}, "upper is 'because'"),
    "another reason": (lambda d: {"upper": "nonnegative"}, "hi >= 0 fails"),
    "visits without evidence": (lambda d: {"upper": "transient", "visits": 0 * d["lo"], "scale": 0.0}, "visits >= 1"),
    "negative scale": (lambda d: {"upper": "transient", "visits": 0 * d["lo"], "scale": -1.0}, "scale is -1"),
    "unknown lower": (lambda d: {"lower": "surely"}, "lower is 'surely'"),
    "transient lower without steps": (lambda d: {"lower": "transient", "steps": 0 * d["steps"]}, ""),
}


@pytest.mark.parametrize("level", ["float", "exact"])
@pytest.mark.parametrize("name", TOTAL)
def test_total_reward_refusals(name, level):
    mdp = by_hand.ssp_model(np.random.default_rng([924]))
    answer = by_hand.total(mdp, "all-proper")
    assert check(mdp, answer, level=level)
    change, reason = TOTAL[name]
    data = dict(answer.certificate.data) | change(answer.certificate.data)
    value = np.clip(answer.value, data["lo"], np.maximum(data["lo"], data["hi"]))
    report = check(mdp, edit(answer, gap=1e3, value=value, **data), level=level)
    if reason:
        assert not report.ok and reason in report.reason, report.reason
    else:
        # Costs only: lo < 0 everywhere, and no visit needs to be counted.
        assert report.ok


@pytest.mark.parametrize("level", ["float", "exact"])
def test_a_loop_is_no_upper_bound(level):
    # Waiting in state 0 is free and leaving costs 1: V* = 0, yet hi = -1 satisfies hi >= r + P hi.
    mdp = MDP([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[0.0, -1.0], [0.0, 0.0]], 1.0)
    v, steps = np.array([-1.0, 0.0]), np.array([1.0, 0.0])
    base = {"lo": v, "hi": v, "steps": steps, "visits": steps, "steps_all": 9 * steps, "scale": 1.0}
    for upper in ("nonnegative", "all-proper", "negative-rewards", "transient"):
        report = check(mdp, by_hand.answer("total", v, [1, 0], 0.0, upper=upper, **base), level=level)
        assert not report.ok, upper
    # Nor is it a lower one: lo = 1 satisfies lo <= 0 + lo for ever.
    one = np.array([1.0, 0.0])
    evidence = {"lo": one, "hi": one, "steps": np.zeros(2), "lower": "transient", "upper": "nonnegative"}
    report = check(mdp, by_hand.answer("total", one, [0, 0], 0.0, **evidence), level=level)
    assert "steps >= 1[lo > 0] + P_pi steps fails at state 0" in report.reason
    # Waiting at a gain in state 0 is unbounded; no lo is needed to see that hi fails.
    gain = MDP(mdp.P, [[1.0, -1.0], [0.0, 0.0]], 1.0)
    assert not check(gain, by_hand.answer("total", v, [1, 0], 0.0, upper="nonnegative", **base), level=level)


@pytest.mark.parametrize("level", ["float", "exact"])
def test_average_refusals(level):
    mdp = by_hand.discounted_model(np.random.default_rng([925]))
    answer = by_hand.average(mdp)
    data = answer.certificate.data

    def reason(**changes):
        lo, hi = changes.get("gain_lo", data["gain_lo"]), changes.get("gain_hi", data["gain_hi"])
        value = np.clip(answer.value, lo, np.maximum(lo, hi))
        return check(mdp, edit(answer, gap=10.0, value=value, **changes), level=level).reason

    assert reason() == ""
    assert "gain_lo + bias_lo <= r_pi + P_pi bias_lo" in reason(
        gain_lo=data["gain_lo"] + 1e-6, gain_hi=data["gain_hi"] + 1
    )
    assert "r + P bias_hi <= gain_hi + bias_hi" in reason(gain_hi=data["gain_hi"] - 1e-6, gain_lo=data["gain_lo"] - 1)
    tilted = np.linspace(0, 1e-3, 6)
    assert "P gain_hi <= gain_hi" in reason(gain_hi=data["gain_hi"] + tilted)
    assert "gain_lo <= P_pi gain_lo" in reason(gain_lo=data["gain_lo"] - tilted)
    assert "the certificate has no 'bias_lo'" in reason(drop=["bias"])
    assert "fails" in reason(bias=np.zeros(6))


@pytest.mark.parametrize("level", ["float", "exact"])
def test_soft_refusals(level):
    mdp = model(gamma=0.8)
    reference = mdp.actions / mdp.actions.sum(axis=1, keepdims=True)
    answer = by_hand.soft(mdp, 0.5, reference)
    data = answer.certificate.data

    def reason(tau=None, given=None, **changes):
        return check(mdp, edit(answer, gap=10.0, **changes), level=level, tau=tau, reference=given).reason

    assert reason(tau=0.5, given=reference) == ""
    assert "about another tau" in reason(tau=0.6)
    assert "about another mu_ref" in reason(given=mdp.actions.astype(float))
    assert "tau is 0" in check(mdp, edit(answer, tau=0.0), level=level).reason
    assert "fails" in check(mdp, edit(answer, tau=0.51), level=level).reason
    assert "lo <= T_pi lo fails" in reason(lo=data["lo"] + 1e-6, hi=data["hi"] + 1, value=answer.value + 1e-3)
    assert "T hi <= hi" in reason(hi=data["hi"] - 1e-6, lo=data["lo"] - 1, value=answer.value - 1e-3)
    hard = by_hand.best(mdp)[0]
    assert "lo <= T_pi lo fails" in reason(policy=hard)
    s, a = np.argwhere(mdp.actions)[0]
    excluded = reference.copy()
    excluded[s, a] = 0
    assert "where mu_ref is 0" in reason(mu_ref=excluded)
    outside = reference.copy()
    s, a = np.argwhere(~mdp.actions)[0]
    outside[s, a] = 0.1
    assert "unavailable action" in reason(mu_ref=outside)
    assert "is negative" in reason(mu_ref=-reference)


@pytest.mark.parametrize("level", ["float", "exact"])
def test_evaluation_refusals(level):
    rng = np.random.default_rng([928])
    mdp = model()
    answer = by_hand.evaluation(mdp, rng)
    lo, hi = answer.certificate.data["lo"], answer.certificate.data["hi"]
    assert check(mdp, answer, level=level)
    low, high = lo.copy(), hi.copy()
    low[2] += 1e-6
    high[4] -= 1e-6
    raised = check(mdp, edit(answer, gap=10.0, lo=low, value=hi + 0.5, hi=hi + 1), level=level)
    assert "lo <= T_pi lo fails at state 2" in raised.reason
    lowered = check(mdp, edit(answer, gap=10.0, hi=high, value=lo - 0.5, lo=lo - 1), level=level)
    assert "T_pi hi <= hi fails at state 4" in lowered.reason
    other = by_hand.evaluation(mdp, rng)
    assert "fails at state" in check(mdp, edit(answer, policy=other.policy), level=level).reason


@pytest.mark.parametrize("level", ["float", "exact"])
def test_a_policy_is_read_as_normalised(level):
    # Row sums of 1 + 1e-9: read as stored, V = 2 (1 + 1e-9) / (1 - 0.5 (1 + 1e-9)) would miss [4 - 1e-10, 4 + 1e-10].
    mdp = MDP([[[1.0], [1.0]]], [[2.0, 2.0]], 0.5)
    weights = np.array([[0.5, 0.5 + 1e-9]])
    answer = by_hand.answer(
        "evaluation", np.array([4.0]), weights, 1e-9, lo=np.array([4 - 1e-10]), hi=np.array([4 + 1e-10])
    )
    assert check(mdp, answer, level=level)
    for kind in ("discounted", "evaluation"):
        wrong = by_hand.answer(kind, np.array([4.001]), weights, 1.0, lo=np.array([4.001]), hi=np.array([4.002]))
        assert not check(mdp, wrong, level=level)
    # The entropy of the normalised row (1/2, 1/2) is log 2.
    v = 2 * (2 + np.log(2))
    ones = np.ones((1, 2))
    soft = by_hand.bracketed("soft", np.array([v]), weights, 1e-7, 1e-7, tau=1.0, mu_ref=ones)
    assert check(mdp, soft, level=level)
    doubled = by_hand.bracketed("soft", np.array([v]), np.array([[0.5, 0.5 + 9e-9]]), 1e-12, 1e-7, tau=1.0, mu_ref=ones)
    assert check(mdp, doubled, level=level)
