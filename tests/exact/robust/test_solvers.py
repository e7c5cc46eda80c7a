"""Robust solvers: published values, closed forms, agreement with each other, and the referee's word."""

import math

import numpy as np
import pytest

from mdplab import instances
from mdplab.certify import check
from mdplab.exact import (
    partial_policy_iteration,
    policy_evaluation,
    residual_conditioned_policy_iteration,
    robust_modified_policy_iteration,
    robust_policy_evaluation,
    robust_policy_iteration,
    robust_value_iteration,
    solve,
)
from mdplab.models import (
    MDP,
    BurgBall,
    Chi2Ball,
    KLBall,
    L1Ball,
    L2Ball,
    RobustMDP,
    SolverFailure,
    TVBall,
    WassersteinBall,
    WeightedL1Ball,
)
from tests.exact.robust.sets import every_set, small_model


def _newton_or_sweep(problem, **options):
    return residual_conditioned_policy_iteration(problem, m=0, **options)


SOLVERS = (
    robust_value_iteration,
    robust_modified_policy_iteration,
    robust_policy_iteration,
    partial_policy_iteration,
    residual_conditioned_policy_iteration,
    _newton_or_sweep,
)
EXACT = SOLVERS[2:]


@pytest.mark.parametrize("solver", SOLVERS)
def test_known_values(solver):
    # Machine replacement and RiverSwim on the nominal support: robust specification, section 0, printed to 4 and 3
    # digits; RiverSwim's values are of size 1e4.
    assert solver(instances.machine_l1(0.2)).value[[0, 7, 9]] == pytest.approx([-3.0662, -17.9149, -3.0488], abs=6e-5)
    answer = solver(instances.machine_l1(0.6, gamma=0.95))
    assert answer.value[[0, 7, 9]] == pytest.approx([-44.2058, -70.6699, -40], abs=6e-5)  # the same table
    river = solver(instances.riverswim_l1(0.1), tol=1e-4)
    assert river.value[[0, 5]] == pytest.approx([25843.442, 36216.805], abs=6e-4)  # printed to 3 digits
    free = solver(instances.riverswim_l1(0.1, support="all"), tol=1e-4)
    assert free.value[[0, 5]] == pytest.approx([16009.541, 23904.464], abs=6e-4)  # printed to 3 digits


@pytest.mark.parametrize("solver", SOLVERS)
def test_instances_on_which_naive_policy_iteration_fails(solver):
    for problem, value in (
        (instances.pai_cycle(), [-1.1, 1, -2]),
        (instances.filar_tolwinski(), [-math.sqrt(2) / 2 + 0.6 * -1.25, -1.25, 1.25]),
    ):
        answer = solver(problem)
        assert np.abs(answer.value - value).max() <= answer.certificate.gap
    answer = solver(instances.van_der_wal())
    assert abs(answer.value[0] - 8) <= answer.certificate.gap


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_shared_set_needs_a_mixture_and_a_product_set_does_not_reward_it(solver):
    # One of two models holds, and swaps what the actions lead to: half of 0.9 * 10, and 0 if nature picks for each
    # action by itself.
    answer = solver(instances.opposite_models())
    assert abs(answer.value[0] - 4.5) <= answer.certificate.gap
    assert answer.policy[0] == pytest.approx([0.5, 0.5], abs=1e-6)  # the default tolerance of the value
    product = solver(instances.opposite_models(rectangularity="sa"))
    assert abs(product.value[0]) <= product.certificate.gap


@pytest.mark.parametrize("by_next", [False, True])
def test_solvers_agree_and_the_referee_accepts_on_every_set(by_next):
    mdp = small_model(1, by_next=by_next)
    for label, problem in every_set(mdp, rng=np.random.default_rng([3])):
        answers = [solver(problem, tol=4e-9) for solver in SOLVERS]
        for answer in answers[1:]:
            assert np.abs(answer.value - answers[0].value).max() <= 8e-9, (label, answer.method)  # two certified gaps
            assert np.all(
                (answer.certificate.data["lo"] <= answer.value) & (answer.value <= answer.certificate.data["hi"])
            )
        report = check(problem, answers[-1])
        assert report.ok, (label, report.reason)
        paid = robust_policy_evaluation(problem, answers[-1].policy, tol=4e-9)
        assert np.abs(paid.value - answers[0].value).max() <= 8e-9, label  # two certified gaps
        report = check(problem, paid)
        assert report.ok, (label, report.reason)


ZOO = {
    "machine": lambda: instances.machine_l1(gamma=0.9).nominal,
    "riverswim": lambda: instances.riverswim_l1(gamma=0.9).nominal,
    "garnet": lambda: instances.drpg_garnet(rng=np.random.default_rng([8]), gamma=0.9).nominal,
    "ring": lambda: instances.toy_ring(gamma=0.9),
    "chain": lambda: instances.chain10(gamma=0.9),
    "walk": lambda: instances.windy_walk(gamma=0.9).nominal,
    "replacement": lambda: instances.machine20(gamma=0.9),
    "grid": lambda: instances.gridworld25(gamma=0.9),
    "frozen": lambda: instances.frozen_lake(gamma=0.9),
    "capacity": lambda: instances.capacity50(gamma=0.9),
    "forest": lambda: instances.forest50(gamma=0.9),
    "inventory": lambda: instances.inventory50(gamma=0.9),
    "perishable": lambda: instances.perishable50(gamma=0.9),
    "cliff": lambda: instances.cliff_walking(gamma=0.9),
    "swim": lambda: instances.riverswim(gamma=0.9),
    "backlog": lambda: instances.backlog_inventory(gamma=0.9),
    "blackjack": lambda: instances.blackjack(gamma=0.9),
    "taxi": lambda: instances.taxi(gamma=0.9),
}


# Taxi's 500 states, each with a program over all of them, take three minutes.
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.full] * (name == "taxi")) for name in ZOO])
def test_solvers_agree_on_the_zoo(name):
    mdp = ZOO[name]()
    # Half of 1e-8 each; RiverSwim's values, of size 1e5, are rounded at 1e-11, and ten times that after a solve.
    tol = 5e-9 * max(1.0, np.abs(mdp.r).max() / (1 - mdp.gamma) / 1e3)
    for label, problem in every_set(mdp, size=0.1, rng=np.random.default_rng([4])):
        one, other = robust_policy_iteration(problem, tol=tol), residual_conditioned_policy_iteration(problem, tol=tol)
        assert np.abs(one.value - other.value).max() <= 2 * tol, label


@pytest.mark.parametrize("rect", ["sa", "s"])
def test_without_a_radius_it_is_the_nominal_problem(rect):
    mdp = small_model(2)
    nominal = solve(mdp, tol=1e-9)
    cost = 1 - np.eye(mdp.S)
    options = {"rectangularity": rect}
    sets = [L1Ball(0, **options), TVBall(0, **options), WeightedL1Ball(0, np.ones(7), **options), L2Ball(0, **options)]
    sets += [KLBall(0, **options), BurgBall(0, **options), Chi2Ball(0, **options), WassersteinBall(0, cost, **options)]
    for one in sets:
        answer = solve(RobustMDP(mdp, one), tol=1e-8)
        assert np.abs(answer.value - nominal.value).max() <= 1.1e-8, one.name  # both gaps


def test_a_saturating_radius_leaves_the_worst_state():
    mdp = small_model(3, gaps=False)
    best = mdp.r.max(axis=1)
    value = best + mdp.gamma * best.min() / (1 - mdp.gamma)
    for one in (
        L1Ball(2),
        TVBall(1),
        L2Ball(2),
        WassersteinBall(1, 1 - np.eye(mdp.S)),
        L1Ball(2 * 3, rectangularity="s"),
    ):
        answer = solve(RobustMDP(mdp, one), tol=1e-9)
        assert np.abs(answer.value - value).max() <= 1e-9, one.name  # the gap


def test_with_one_action_both_rectangularities_are_the_same():
    mdp = small_model(4, A=1)
    pairs = {}
    for label, problem in every_set(mdp, rng=np.random.default_rng([5])):
        name = label.replace("-sa-", "-").replace("-s-", "-")
        pairs.setdefault((name, getattr(problem.uncertainty, "order", 0)), []).append(solve(problem, tol=1e-9).value)
    twice = {name: values for name, values in pairs.items() if len(values) == 2}
    # The nearest row of a finite set is not a mixture: one action does not make the hull worse, for a minimum is at a
    # vertex.
    assert len(twice) == 18
    for name, (one, other) in twice.items():
        assert np.abs(one - other).max() <= 2e-9, name  # both gaps


def test_rows_are_read_as_probabilities():
    mdp = small_model(9)
    off = 1 + 8e-9 * np.random.default_rng([13]).uniform(-1, 1, (7, 3, 1))  # what a model's rows may be off by
    for rect in ("sa", "s"):
        for support in ("all", "nominal"):
            one = L1Ball(0.2, rectangularity=rect, support=support)
            exact, crooked = (solve(RobustMDP(x, one), tol=1e-10) for x in (mdp, mdp.replace(P=mdp.P * off)))
            assert np.abs(exact.value - crooked.value).max() <= 2e-10  # both gaps


def test_total_variation_is_half_the_l1_distance_and_more_of_it_is_worse():
    mdp = small_model(5)
    values = [solve(RobustMDP(mdp, L1Ball(radius, rectangularity="s")), tol=1e-9).value for radius in (0.1, 0.2, 0.4)]
    assert np.all(values[0] > values[1]) and np.all(values[1] > values[2])
    half = solve(RobustMDP(mdp, TVBall(0.1, rectangularity="s")), tol=1e-9).value
    assert np.abs(half - values[1]).max() <= 2e-9  # both gaps


def test_the_kernel_holds_the_policy_down_to_the_value():
    mdp = small_model(6)
    for label, problem in every_set(mdp, rng=np.random.default_rng([6])):
        if label.startswith("soft"):
            continue  # nature pays there
        answer = solve(problem, tol=1e-9)
        worst = MDP(answer.extras["kernel"], mdp.r, mdp.gamma, actions=mdp.actions)
        best = solve(worst, tol=1e-9)
        assert np.abs(best.value - answer.value).max() <= 2e-9, label  # both gaps
        # The policy is evaluated against the set, of which the kernel is one member.
        under = policy_evaluation(worst, answer.policy, tol=1e-9)
        assert np.all(under.value >= answer.certificate.data["lo"] - 1e-9), label  # its gap


def test_terminal_states_stay_worth_nothing_on_the_nominal_support_only():
    P = np.zeros((3, 1, 3))
    P[0, 0], P[1, 0, 1], P[2, 0, 2] = [0.4, 0.3, 0.3], 1, 1
    mdp = MDP(P, [[1.0], [0.0], [-1.0]], 0.9)
    answer = solve(RobustMDP(mdp, L1Ball(0.2, support="nominal")))
    assert answer.value[1] == 0
    free = solve(RobustMDP(mdp, L1Ball(0.2)))
    assert free.value[1] < -1  # a tenth of each step leads to the losing state


def test_sparse_and_dense_models_have_one_answer():
    for by_next in (False, True):
        # Rewards of transitions that the nominal model does not have are nothing in a sparse one.
        mdp = small_model(7, by_next=by_next).sparse().dense()
        for (label, dense), (_, sparse) in zip(
            every_set(mdp, rng=np.random.default_rng([7])),
            every_set(mdp.sparse(), rng=np.random.default_rng([7])),
            strict=True,
        ):
            a, b = solve(dense, tol=1e-9), solve(sparse, tol=1e-9)
            assert np.abs(a.value - b.value).max() <= 2e-9, label  # both gaps


def test_a_large_sparse_model_keeps_its_kernel_sparse():
    mdp = instances.garnet(1500, 3, 4, gamma=0.9, rng=np.random.default_rng([9]), sparse=True)
    problem = RobustMDP(mdp, KLBall(0.1, rectangularity="s"))
    answer = solve(problem)
    assert answer.extras["kernel"].nnz == mdp.P.nnz
    other = robust_value_iteration(problem)
    assert np.abs(answer.value - other.value).max() <= 2e-6  # both gaps


def test_unavailable_actions_are_never_taken():
    mdp = small_model(8)
    dear = mdp.replace(r=np.where(mdp.actions, mdp.r, -1e3), actions=np.ones((7, 3), dtype=bool), P=_filled(mdp))
    for rect in ("sa", "s"):
        one, other = (solve(RobustMDP(x, L1Ball(0.2, rectangularity=rect))) for x in (mdp, dear))
        assert np.abs(one.value - other.value).max() <= 2e-6  # both gaps
        chosen = np.eye(3)[one.policy] if one.policy.ndim == 1 else one.policy
        assert not np.any(chosen[~mdp.actions])
        assert not np.any(one.extras["kernel"][~mdp.actions])


def _filled(mdp):
    P = np.array(mdp.P)
    P[~mdp.actions] = 1 / mdp.S
    return P


def test_solve_says_what_it_chose_and_why():
    assert "Newton" in solve(instances.machine_l1()).reason
    rng = np.random.default_rng([10])
    mixing = MDP(rng.dirichlet(np.full(40, 5.0), (40, 3)), rng.random((40, 3)), 0.9)
    answer = solve(RobustMDP(mixing, L1Ball(0.1)))
    assert answer.method == "robust_value_iteration" and "mixes" in answer.reason
    asked = solve(RobustMDP(mixing, L1Ball(0.1)), method="partial_policy_iteration")
    assert asked.method == "partial_policy_iteration"
    assert np.abs(asked.value - answer.value).max() <= 2e-6  # both gaps


def test_what_cannot_be_certified_is_said():
    problem = instances.machine_l1()
    with pytest.raises(SolverFailure, match=r"certified nothing after 1 iterations with a residual of"):
        robust_value_iteration(problem, max_iters=1)
    for solver in SOLVERS:
        with pytest.raises(SolverFailure, match=r"least that can be certified at gamma=0.8, S=10 in double precision"):
            solver(problem, tol=1e-15)
    with pytest.raises(SolverFailure, match="robust_policy_evaluation"):
        robust_policy_evaluation(problem, np.zeros(10, dtype=int), tol=1e-15)
    sparse = instances.garnet(20_000, 2, 2, gamma=0.9, rng=np.random.default_rng([11]), sparse=True)
    with pytest.raises(SolverFailure, match=r"40000 rows of 20000 entries .* support='nominal'"):
        solve(RobustMDP(sparse, L1Ball(0.1)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda mdp, one: robust_value_iteration(mdp), "robust_value_iteration takes RobustMDP, not MDP"),
        (lambda mdp, one: robust_value_iteration(one, tol=0), "tol is 0"),
        (lambda mdp, one: robust_policy_iteration(one, max_iters=0), "max_iters is 0"),
        (lambda mdp, one: partial_policy_iteration(one, c=1), "c is 1; expected above 1"),
        (lambda mdp, one: partial_policy_iteration(one, eps=-1), "eps is -1"),
        (lambda mdp, one: residual_conditioned_policy_iteration(one, m=3), "m is 3; expected 0 or inf"),
        (lambda mdp, one: robust_modified_policy_iteration(one, sweeps=0), "sweeps is 0"),
        (lambda mdp, one: robust_policy_evaluation(one, [9] * 10), r"policy\[0\] is 9"),
        (lambda mdp, one: solve(one, method="value_iteration"), "method is 'value_iteration'; a RobustMDP"),
        (lambda mdp, one: solve(mdp, method="robust_value_iteration"), "method is 'robust_value_iteration'"),
        (lambda mdp, one: solve(one, criterion="average"), "criterion is 'average'"),
    ],
)
def test_bad_input(call, said):
    problem = instances.machine_l1()
    with pytest.raises(ValueError, match=said):
        call(problem.nominal, problem)


def test_a_discount_next_to_one_is_refused_without_a_warning():
    # The condition of I - gamma P is beyond double precision: no number is claimed, and nothing is printed.
    mdp = small_model(3, gamma=float(np.nextafter(1.0, 0.0)), gaps=False)
    for rect in ("sa", "s"):
        with pytest.raises(SolverFailure, match=r"gamma=0\.9999999999999999"):
            solve(RobustMDP(mdp, L2Ball(0.1, rectangularity=rect)))
