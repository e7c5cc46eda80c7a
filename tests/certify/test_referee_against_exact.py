"""The referee meets the solvers: their answers pass, and answers to wrong models are caught.

A deliberate bug is a wrong model handed to the solver, while the referee has the true one.
"""

import numpy as np
import pytest
from certify import by_hand

from mdplab import exact
from mdplab.certify import check, prove_optimal
from mdplab.models import MDP

DISCOUNTED = [
    exact.value_iteration,
    exact.gauss_seidel,
    exact.modified_policy_iteration,
    exact.policy_iteration,
    exact.inexact_policy_iteration,
    exact.linear_programming,
    exact.solve,
]
SHAPES = [{}, {"sparse": True, "defect": 5e-9}, {"masked": True, "A": 4, "defect": -5e-9}, {"S": 60, "b": 60, "A": 3}]


def passes(problem, answer, **options):
    for level in ("float", "exact"):
        report = check(problem, answer, level=level, **options)
        assert report.ok, (answer.method, report)
        assert 0 <= report.gap <= answer.certificate.gap


@pytest.mark.parametrize("solver", DISCOUNTED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_discounted_answers_pass(solver, shape):
    rng = np.random.default_rng([940, shape])
    for gamma in (0.0, 0.9, 0.999):
        mdp = by_hand.discounted_model(rng, gamma=gamma, **SHAPES[shape])
        passes(mdp, solver(mdp, tol=1e-6))


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_other_criteria_pass(shape):
    rng = np.random.default_rng([941, shape])
    mdp = by_hand.discounted_model(rng, gamma=0.9, **SHAPES[shape])
    weights = np.where(mdp.actions, rng.random((mdp.S, mdp.A)), 0.0)
    for policy in (mdp.actions.argmax(axis=1), weights / weights.sum(axis=1, keepdims=True)):
        passes(mdp, exact.policy_evaluation(mdp, policy))
    passes(mdp, exact.average_reward(mdp))
    passes(mdp, exact.soft_policy_iteration(mdp, tau=0.2), tau=0.2, reference=mdp.actions.astype(float))
    passes(mdp, exact.soft_value_iteration(mdp, tau=0.2))
    passes(mdp.replace(horizon=7), exact.backward_induction(mdp.replace(horizon=7)))
    problem = by_hand.constrained_model(rng, **SHAPES[shape])
    passes(problem, exact.constrained_mdp(problem))
    tight = type(problem)(problem.mdp, problem.costs, exact.constrained_mdp(problem).extras["costs"] * 0.95)
    passes(tight, exact.constrained_mdp(tight))


@pytest.mark.parametrize("rewards", [-1.0, 1.0])
@pytest.mark.parametrize("sparse", [False, True])
def test_total_reward_passes(rewards, sparse):
    for seed in range(5):
        mdp = by_hand.ssp_model(np.random.default_rng([942, seed]), rewards=rewards, sparse=sparse)
        answer = exact.stochastic_shortest_path(mdp)
        passes(mdp, answer)
        assert prove_optimal(mdp, answer.policy)


def test_several_gains_pass():
    # Two absorbing states with gains 1 and 2, reached by choice, by chance, or in a cycle of two.
    P = np.zeros((4, 2, 4))
    P[0, 0, 1], P[0, 1, 2] = 1, 1
    P[3, 0, [1, 2]], P[3, 1, 0] = 0.5, 1
    P[1, :, 1] = P[2, :, 2] = 1
    mdp = MDP(P, [[0, 0], [1, 1], [2, 2], [5, 0]], 0.9)
    passes(mdp, exact.average_reward(mdp))


def test_optimal_policies_are_proved():
    for seed in range(5):
        mdp = by_hand.discounted_model(np.random.default_rng([943, seed]), masked=True, A=4)
        proof = prove_optimal(mdp, exact.policy_iteration(mdp).policy)
        assert proof.optimal and proof.unique and proof.action_gap > 0


def shifted(P):
    """P read as (A, S, S) in place of (S, A, S)."""
    return np.ascontiguousarray(np.swapaxes(P, 0, 1))


def square(rng):
    """As many actions as states, so that exchanged axes still make a model."""
    P = by_hand.transitions(rng, 6, 6, 3)
    return MDP(P, rng.standard_normal((6, 6)), 0.9)


def minimised(mdp):
    """Minimised instead of maximised: the answer of the negated rewards, negated."""
    answer = exact.policy_iteration(mdp.replace(r=-mdp.r))
    lo, hi = answer.certificate.data["lo"], answer.certificate.data["hi"]
    data = {"lo": -hi, "hi": -lo}
    return by_hand.answer("discounted", -answer.value, answer.policy, answer.certificate.gap, **data)


def next_reward(mdp):
    """The reward of the state that is entered: r(s') in place of r(s)."""
    return mdp.replace(r=np.einsum("saj,ja->sa", mdp.P, mdp.r))


def late_discount(mdp):
    """Off by one: the first reward is discounted too, which is the value of gamma r."""
    return mdp.replace(r=mdp.gamma * mdp.r)


BUGS = {
    "discount too large": lambda m: exact.policy_iteration(m.replace(gamma=0.91)),
    "discount too small by 1e-6": lambda m: exact.policy_iteration(m.replace(gamma=0.9 - 1e-6)),
    "state and action axes exchanged": lambda m: exact.policy_iteration(m.replace(P=shifted(m.P))),
    "dropped max": minimised,
    "first action only": lambda m: exact.policy_iteration(
        m.replace(actions=np.eye(1, 6, dtype=bool).repeat(6, axis=0))
    ),
    "off by one discount": lambda m: exact.policy_iteration(late_discount(m)),
    "reward of the next state": lambda m: exact.policy_iteration(next_reward(m)),
    "no discount of the last step": lambda m: exact.value_iteration(m.replace(r=m.r / m.gamma)),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_caught_in_every_case(bug):
    for seed in range(50):
        mdp = square(np.random.default_rng([944, seed]))
        answer = BUGS[bug](mdp)
        for level in ("float", "exact"):
            report = check(mdp, answer, level=level)
            assert not report.ok and "fails at state" in report.reason, (seed, report)


def circulant(rng):
    """Doubly stochastic kernels, whose transpose is a kernel: random mixtures of cyclic shifts."""
    shift = np.roll(np.eye(6), 1, axis=1)
    powers = np.stack([np.linalg.matrix_power(shift, k) for k in range(6)])
    P = np.stack([np.tensordot(rng.dirichlet(np.ones(6)), powers, 1) for _ in range(3)], axis=1)
    return MDP(P, rng.standard_normal((6, 3)), 0.9)


def test_a_transposed_kernel_is_caught_in_every_case():
    for seed in range(50):
        mdp = circulant(np.random.default_rng([945, seed]))
        wrong = exact.policy_iteration(mdp.replace(P=np.swapaxes(mdp.P, 0, 2)))
        for level in ("float", "exact"):
            assert "fails at state" in check(mdp, wrong, level=level).reason


def test_bugs_of_other_criteria_are_caught():
    for seed in range(50):
        rng = np.random.default_rng([946, seed])
        mdp = square(rng)
        wrong = mdp.replace(P=shifted(mdp.P))
        late = late_discount(mdp)
        staged, staged_wrong = mdp.replace(horizon=4), wrong.replace(horizon=4)
        assert "fails at state" in check(staged, exact.backward_induction(staged_wrong)).reason
        assert "fails at state" in check(staged, exact.backward_induction(late.replace(horizon=4))).reason
        assert "fails at state" in check(mdp, exact.average_reward(wrong)).reason
        assert "fails at state" in check(mdp, exact.soft_policy_iteration(wrong, tau=0.5)).reason
        assert "fails at state" in check(mdp, exact.soft_policy_iteration(late, tau=0.5)).reason
        policy = rng.integers(6, size=6)
        assert "fails at state" in check(mdp, exact.policy_evaluation(late, policy)).reason
        path = by_hand.ssp_model(rng, A=2)
        assert "fails at state" in check(path, exact.stochastic_shortest_path(path.replace(r=0.99 * path.r))).reason
        swapped = path.replace(P=path.P[:, ::-1])
        assert "fails at state" in check(path, exact.stochastic_shortest_path(swapped)).reason
