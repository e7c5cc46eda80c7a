"""The referee of concave utilities: true answers of every kind accepted, bounds never too tight, each lie refused.

Certificates are made by hand or taken from the solver; the truth is a convex program of the tests' own, or that of all
deterministic policies.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from certify import by_hand
from certify.by_hand import edit
from certify.utility_by_hand import KINDS, A, S, by_hand_certificate, model, program, worth

from mdplab.certify import check, rational
from mdplab.certify import general_utility as referee
from mdplab.certify.enclosure import Arbs, Balls, FloatBalls, Rationals
from mdplab.certify.report import Refused
from mdplab.exact import solve
from mdplab.models import MDP, UtilityMDP, occupancy
from mdplab.models.utility import Utility, entropy_utility, linear_utility, log_utility, quadratic_utility

LEVELS = ("float", "exact")


@pytest.mark.parametrize("kind", KINDS)
def test_true_answers_are_accepted_and_bound_the_program(kind):
    for seed in range(4):
        mdp, rng = model(seed, gamma=(0.3, 0.7, 0.9, 0.99)[seed])
        problem = UtilityMDP(mdp, KINDS[kind](mdp, rng))
        answer = solve(problem, tol=1e-5)
        gaps = []
        for level in LEVELS:
            report = check(problem, answer, level=level)
            assert report, report.reason
            gaps.append(report.gap)
        assert gaps[1] <= gaps[0] <= answer.certificate.gap
        # Clarabel stops at 1e-8 of the magnitudes, some 1 / (1 - gamma).
        assert abs(program(problem) - answer.value[0]) <= gaps[0] + 1e-7 / (1 - mdp.gamma)


def test_a_linear_utility_is_decided_by_its_deterministic_policies():
    mdp, _ = model(9)
    problem = UtilityMDP(mdp, linear_utility(mdp.r))
    every = [np.eye(A)[list(actions)] for actions in itertools.product(range(A), repeat=S)]
    worths = [worth(problem.utility, occupancy(mdp.P, mdp.mu, mdp.gamma, pi)) for pi in every]
    for pi, own in zip(every, worths):
        for level in LEVELS:
            report = check(problem, by_hand_certificate(problem, pi), level=level)
            # Linear: U is the optimum itself, up to the slack of h, 100 roundings of 1 / (1 - gamma)^2.
            assert max(worths) - own - 1e-14 <= report.gap <= max(worths) - own + 1e-11
    answer = solve(problem)
    assert answer.method == "maximal_utility" and "concave program" in answer.reason
    integers = edit(answer, gap=1e-9, policy=answer.policy.argmax(axis=1))
    # Rows of a policy are read divided by their sums.
    scaled = edit(integers, policy=answer.policy * (1 + 5e-9))
    assert all(check(problem, same, level=level) for same in (integers, scaled) for level in LEVELS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_derived_gap_is_never_too_small(kind):
    """Any policy, wrong flows, slopes and values: what is derived is at least what is lost."""
    for seed in range(12):
        mdp, rng = model(20 + seed)
        problem = UtilityMDP(mdp, KINDS[kind](mdp, rng))
        best = max(program(problem), solve(problem, tol=1e-5).value[0]) - 1e-6
        pi = rng.dirichlet(np.ones(A), S)
        own = worth(problem.utility, occupancy(mdp.P, mdp.mu, mdp.gamma, pi))
        answer, noise = by_hand_certificate(problem, pi), 10.0 ** rng.uniform(-6, -2)
        data = answer.certificate.data
        up = problem.utility.gradient(data["occupancy"])
        flattered = np.maximum(data["occupancy"] + noise * np.sign(up), 0)
        other = by_hand.edit(answer, policy=rng.dirichlet(np.ones(A), S))
        lies = {
            "as it is": (answer, own),
            "flows that flatter": (edit(answer, occupancy=flattered, value=[own + noise]), own),
            "another policy": (other, worth(problem.utility, occupancy(mdp.P, mdp.mu, mdp.gamma, other.policy))),
            "a value too high": (edit(answer, value=[best + 1.0]), own),
            "a value too low": (edit(answer, value=[own - 1.0]), own),
        }
        if data["slopes"].size:
            off = by_hand_certificate(problem, pi, slopes=data["slopes"] - 0.1 * rng.random(data["slopes"].size))
            if problem.utility.kind != "log" or (off.certificate.data["slopes"] > 0).all():
                lies["slopes that are off"] = (off, own)
        for name, (lie, truth) in lies.items():
            for level in LEVELS:
                report = check(problem, lie, level=level)
                if name == "another policy" and "not shown to be above 0" in report.reason:
                    # So far from the flow that the logarithm's argument might be 0.
                    continue
                assert report, (name, report.reason)
                # Sums below 10, to 1e-12.
                assert report.gap >= max(best - truth, abs(lie.value[0] - truth)) - 1e-12, name


def test_flows_that_flatter_cost_their_defect():
    """The tight case of the lower bound: a flow that is 1 % too large is 1 % of mu off, over the room gamma leaves."""
    mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    problem = UtilityMDP(mdp, linear_utility(mdp.r))
    honest = by_hand_certificate(problem, np.array([[1.0, 0.0]]), x=np.array([[2.0, 0.0]]))
    larger = edit(honest, occupancy=np.array([[2.02, 0.0]]), value=[2.02])
    for level in LEVELS:
        # The slack of h: 2 * 1700 roundings of numbers below 6, over 1 - gamma.
        assert check(problem, honest, level=level).gap < 1e-11
        # L is 2.02 - 0.01 / 0.5, below U, which is 2 up to that slack and below the value.
        assert check(problem, larger, level=level).gap == pytest.approx(0.02, abs=1e-11)
    swapped = edit(honest, policy=np.array([[0.0, 1.0]]))
    # All of the flow is elsewhere, D = 4, over 1 - gamma; and the same slack.
    assert check(problem, swapped).gap == pytest.approx(8.0, abs=1e-11)


def changed(utility, **parts):
    names = ("reward", "kind", "matrix", "shift", "weight", "floor")
    return Utility(**{name: parts.get(name, getattr(utility, name)) for name in names})


def mutations(problem, answer, rng):
    """(name, problem, answer) of one lie each; every one must be refused at the gap claimed."""
    mdp, utility, data = problem.mdp, problem.utility, answer.certificate.data
    gap = check(problem, answer).gap
    s, a = int(rng.integers(S)), int(rng.integers(A))
    size = 10.0 ** rng.uniform(-2, 0)
    at = np.zeros((S, A))
    at[s, a] = 1.0
    yield "gap", problem, edit(answer, gap=0.9 * gap)
    for sign in (-1, 1):
        yield "value", problem, edit(answer, value=answer.value + sign * (2 * answer.certificate.gap + size))
        yield "h", problem, edit(answer, h=data["h"] + sign * size)
        yield "one h", problem, edit(answer, h=data["h"] + sign * size * (np.arange(S) == s))
        if data["occupancy"][s, a] > 0.1 * size:
            x = data["occupancy"] + sign * 0.1 * size * at
            yield "occupancy", problem, edit(answer, occupancy=x)
        if data["slopes"].size and utility.kind != "linear":
            k = int(rng.integers(data["slopes"].size))
            slope = np.where(np.arange(data["slopes"].size) == k, sign * size, 0.0)
            yield "slopes", problem, edit(answer, slopes=data["slopes"] + slope)
        yield "rewards", UtilityMDP(mdp, changed(utility, reward=utility.reward + sign * size)), answer
    mixed = 0.5 * answer.policy + 0.5 * np.roll(answer.policy, 1, axis=1)
    if np.abs(mixed - answer.policy).max() > 1e-2:
        yield "policy", problem, edit(answer, policy=mixed)
    yield "gamma", UtilityMDP(mdp.replace(gamma=mdp.gamma - 0.05), utility), answer
    yield "mu", UtilityMDP(mdp.replace(mu=mdp.mu[[1, 2, 0]]), utility), answer
    if utility.kind != "linear":
        yield "weight", UtilityMDP(mdp, changed(utility, weight=1.5 * utility.weight)), answer
        yield "shift", UtilityMDP(mdp, changed(utility, shift=utility.shift + 0.3)), answer


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_certificates_are_refused(kind):
    count = 0
    for seed in range(4):
        mdp, rng = model(50 + seed)
        problem = UtilityMDP(mdp, KINDS[kind](mdp, rng))
        answer = solve(problem, tol=1e-5)
        for name, asked, lie in mutations(problem, answer, rng):
            for level in LEVELS:
                assert not check(asked, lie, level=level), (name, seed)
                count += 1
    assert count > 80


REFUSALS = {
    "no slopes": ({"drop": ("slopes",)}, "the certificate has no 'slopes'"),
    "slopes of another size": ({"slopes": np.ones(2)}, "slopes has shape (2,), expected (3,)"),
    "slopes not finite": ({"slopes": np.array([0.0, np.inf, 0.0])}, "slopes[1] is inf"),
    "flow below 0": ({"occupancy": -np.ones((S, A))}, "occupancy >= 0 fails at (0, 0): -1"),
    "flow of NaN": ({"occupancy": np.full((S, A), np.nan)}, "occupancy[0, 0] is nan"),
    "h too low": ({"h": np.zeros(S)}, "h >= r + gamma P h fails at state"),
    "value of another shape": ({"value": np.zeros(S)}, "value has shape (3,), expected (1,)"),
    "another kind": ({"kind": "occupancy"}, "kind is 'occupancy'; a UtilityMDP needs 'general-utility'"),
    "policy below 0": ({"policy": np.array([[1.5, -0.5]] * S)}, "policy[0, 1] is negative"),
    "gap of NaN": ({"gap": np.nan}, "claimed gap nan is smaller"),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name, level):
    mdp, _ = model(80)
    problem = UtilityMDP(mdp, entropy_utility(S, A, mdp.gamma))
    answer = by_hand_certificate(problem, np.full((S, A), 1 / A))
    assert check(problem, answer, level=level)
    changes, reason = REFUSALS[name]
    lie = edit(answer, **changes)
    report = check(problem, lie, level=level)
    assert not report.ok and reason in report.reason and report.gap == np.inf, report.reason


@pytest.mark.parametrize("level", LEVELS)
def test_what_makes_the_utility_concave_is_checked(level):
    mdp, rng = model(81)
    for field, wrong, reason in (
        ("weight", -1.0, "the utility's weight is -1.0"),
        ("floor", -0.5, "the utility's floor is -0.5"),
        ("kind", "cubic", "does not know that a utility of kind 'cubic' is concave"),
    ):
        problem = UtilityMDP(mdp, quadratic_utility(rng.standard_normal((2, S * A)), np.zeros(2), (S, A)))
        answer = by_hand_certificate(problem, np.full((S, A), 1 / A))
        assert check(problem, answer, level=level)
        object.__setattr__(problem.utility, field, wrong)
        assert reason in check(problem, answer, level=level).reason


@pytest.mark.parametrize("level", LEVELS)
def test_slopes_above_those_of_the_floor_bound_nothing(level):
    """Where the slope is steeper than the tangent the conjugate is infinite, though its formula is not."""
    mdp, _ = model(82)
    pi = np.full((S, A), 1 / A)
    for utility, top in (
        (log_utility(mdp.r, shift=0.1, floor=3.0), 1 / 3.0),
        (entropy_utility(S, A, mdp.gamma, floor=0.5), -np.log(0.5) - 1),
    ):
        problem, K = UtilityMDP(mdp, utility), utility.shift.size
        steep = by_hand_certificate(problem, pi, slopes=np.full(K, top + 1e-6))
        assert "slopes[0] is" in check(problem, steep, level=level).reason
        assert check(problem, by_hand_certificate(problem, pi, slopes=np.full(K, top - 1e-6)), level=level)
    flat = by_hand_certificate(UtilityMDP(mdp, log_utility(mdp.r, shift=0.1)), pi, slopes=np.zeros(1))
    assert "slopes > 0 fails at 0" in check(UtilityMDP(mdp, log_utility(mdp.r, shift=0.1)), flat, level=level).reason


def unreachable():
    """State 1 is never visited."""
    return MDP([[[1.0, 0.0]] * 2, [[0.5, 0.5]] * 2], np.zeros((2, 2)), 0.5, mu=[1.0, 0.0])


@pytest.mark.parametrize("level", LEVELS)
def test_arguments_that_are_zero(level):
    mdp, pi = unreachable(), np.full((2, 2), 0.5)
    entropy = UtilityMDP(mdp, entropy_utility(2, 2, 0.5))
    # Any finite slope will do: its conjugate exp(-1 - 60) is nothing, its state is never reached.
    answer = by_hand_certificate(entropy, pi, slopes=np.array([-1.0, 60.0]))
    report = check(entropy, answer, level=level)
    # One state has all of the mass: entropy 0 for every policy. Slack of rewards of 60 / 2 in h: 1e-12.
    assert report.ok and report.gap < 1e-10, report.reason
    log = UtilityMDP(mdp, log_utility([[0.0, 0.0], [1.0, 0.0]], shift=0.0))
    answer = by_hand_certificate(log, pi, slopes=np.ones(1), value=0.0)
    assert "argument 0 of the log utility is not shown to be above 0" in check(log, answer, level=level).reason
    # A row or a shift below 0 makes negative arguments possible.
    for row, shift in (([0.0, 0.0, 1.0, -1.0], 0.0), ([1.0, 1.0, 0.0, 0.0], -2.0)):
        signed = UtilityMDP(mdp, Utility(np.zeros((2, 2)), "entropy", [row], [shift]))
        answer = by_hand_certificate(signed, pi, slopes=np.ones(1), value=0.0)
        assert "argument 0 of the entropy utility" in check(signed, answer, level=level).reason
    with pytest.raises(Refused, match="argument 0"):
        # It might be 3, where f is negative.
        referee._f(FloatBalls(), entropy.utility, Balls([1.0], [2.0]), np.array([True]))


@pytest.mark.parametrize("level", LEVELS)
def test_negative_rows_move_arguments_too(level):
    mdp = MDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5, mu=[1.0])
    problem = UtilityMDP(mdp, Utility(np.zeros((1, 2)), "quadratic", [[-3.0, 0.0]], [0.0]))
    shorter = by_hand_certificate(problem, np.array([[1.0, 0.0]]), x=np.array([[1.9, 0.0]]), slopes=np.zeros(1))
    # F is -18. The argument, -5.7, is up to 3 * 0.05 / 0.5 off: L is -18, and U at slope 0 the largest value of f, 0.
    assert check(problem, edit(shorter, value=[-17.0]), level=level).gap == pytest.approx(18, abs=1e-11)


@pytest.mark.parametrize("level", LEVELS)
def test_sparse_and_masked_models(level):
    mdp, _ = model(83)
    actions = np.array([[True, True], [True, False], [False, True]])
    masked = mdp.replace(actions=actions)
    pi = np.array([[0.3, 0.7], [1.0, 0.0], [0.0, 1.0]])
    for utility in (log_utility(mdp.r, shift=0.1), entropy_utility(S, A, mdp.gamma, floor=0.01)):
        dense = UtilityMDP(masked, utility)
        answer = by_hand_certificate(dense, pi)
        found = [check(UtilityMDP(m, utility), answer, level=level) for m in (masked, masked.sparse())]
        # The same sums in another order.
        assert found[0] and found[1].gap == pytest.approx(found[0].gap, rel=1e-9)
        x = answer.certificate.data["occupancy"].copy()
        x[1, 1] = 1e-12
        reason = check(dense, edit(answer, occupancy=x), level=level).reason
        assert "occupancy = 0 at unavailable actions fails at (1, 1)" in reason


@pytest.mark.parametrize("kind", KINDS)
def test_floats_enclose_what_is_exact(kind, monkeypatch):
    monkeypatch.setattr(rational.flint.ctx, "prec", 256)
    mdp, rng = model(85)
    utility, balls = KINDS[kind](mdp, rng), FloatBalls()
    fine = Arbs() if utility.kind in ("log", "entropy") else Rationals()
    for _ in range(10):
        answer = by_hand_certificate(UtilityMDP(mdp, utility), rng.dirichlet(np.ones(A), S))
        slopes = answer.certificate.data["slopes"]
        up, exact = (referee._above(ar, referee._rewards(ar, utility, slopes)) for ar in (balls, Rationals()))
        assert all(Fraction(float(y)) >= r for y, r in zip(up, exact))
        for ends in zip(*(_bounds(ar, mdp, utility, answer) for ar in (balls, fine))):
            (low, high), (least, most) = map(referee._ends, ends)
            assert low <= least <= most <= high


def _bounds(ar, mdp, utility, answer):
    x, s, h = (answer.certificate.data[name] for name in ("occupancy", "slopes", "h"))
    yield referee._upper(ar, utility, s, mdp.mu, h)
    yield referee._lower(ar, utility, x, 1e-3, mdp.actions)
    yield referee._apart(ar, x, answer.policy)


def test_room_is_that_of_the_rows():
    mdp = MDP(np.full((1, 1, 1), 1 + 5e-9), np.ones((1, 1)), 1 - 1e-9, mu=[1.0])
    data = {"occupancy": np.ones((1, 1)), "slopes": np.zeros(0), "h": np.full(1, 1e10)}
    answer = by_hand.answer("general-utility", np.ones(1), np.zeros(1, dtype=int), 1e9, **data)
    for level in LEVELS:
        assert "gamma * rowsum < 1" in check(UtilityMDP(mdp, linear_utility(mdp.r)), answer, level=level).reason


def test_answers_of_other_problems_and_levels():
    mdp, _ = model(84)
    problem = UtilityMDP(mdp, linear_utility(mdp.r))
    answer = solve(problem)
    assert "unknown kind 'general-utility'" in check(mdp, answer).reason
    assert "kind is 'discounted'" in check(problem, solve(mdp)).reason
    with pytest.raises(ValueError, match="level is 'tight'"):
        referee.check_utility(problem, answer, level="tight")
    huge = edit(answer, occupancy=np.full((S, A), 1e308))
    for level in LEVELS:
        assert not check(problem, huge, level=level)
