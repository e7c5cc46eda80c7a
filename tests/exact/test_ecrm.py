"""The judges of ECRM: sorted tails, nested values by enumeration, and the calibrated cliff walk."""

from itertools import product

import numpy as np
import pytest

from mdplab.exact.ecrm import (
    ecrm_optimum,
    expected_cost,
    nested_ecrm,
    quantile_levels,
    upper_tail_mean,
    visit_probability,
    with_levels,
)
from mdplab.exact.evaluation import policy_evaluation
from mdplab.instances.ecrm import EcrmProblem, cliff_walk, random_ecrm
from mdplab.models import FiniteLaw, ocvar


def random(key, **changes):
    rng = np.random.default_rng([611, key])
    return random_ecrm(3, 2, weight=0.6, tail=0.3, rng=rng).replace(**changes), rng.dirichlet(np.ones(2), size=3)


def test_tail_means_are_those_of_the_library():
    rng = np.random.default_rng([611])
    for _ in range(20):
        x, p, tail = np.sort(rng.random(6)), rng.dirichlet(np.ones(6)), rng.uniform(0.05, 1)
        # Six products divided by the tail.
        assert upper_tail_mean(x, p, tail) == pytest.approx(ocvar(FiniteLaw(x, p), tail), abs=1e-13)
    assert upper_tail_mean(np.array([3.0, 1.0]), np.array([0.25, 0.75]), 1.0) == 1.5


def test_nested_value_sums_the_risks_of_each_step():
    problem, policy = random(1)
    # Forty steps leave 0.8^40 / 0.2 < 1e-3 of costs up to 1: compare at a short discount instead.
    problem = problem.replace(gamma=0.1)
    total, law = float(problem.rho @ (policy * problem.cost).sum(axis=1)), problem.rho
    for t in range(1, 17):
        for s, a in product(range(3), range(2)):
            after = {}
            for nxt, b in product(range(3), range(2)):
                x = problem.cost[nxt, b]
                after[x] = after.get(x, 0.0) + problem.P[s, a, nxt] * policy[nxt, b]
            known = FiniteLaw.of(np.array(list(after)), np.array(list(after.values())))
            risk = 0.4 * known.mean + 0.6 * ocvar(known, 0.3)
            total += 0.1**t * law[s] * policy[s, a] * risk
        law = np.einsum("s,sa,sat->t", law, policy, problem.P)
    # What is left out is below 1e-16; sums of about a hundred numbers of at most 1.
    assert nested_ecrm(problem, policy) == pytest.approx(total, abs=1e-13)


def test_the_best_levels_reach_the_nested_value_and_others_do_not():
    problem, policy = random(2)
    mdp = problem.augmented()

    def value(levels):
        judged = policy_evaluation(mdp, with_levels(problem, policy, levels), tol=1e-10)
        return -float(mdp.mu @ judged.value)

    best, nested = quantile_levels(problem, policy), nested_ecrm(problem, policy)
    assert value(best) == pytest.approx(nested, abs=2e-10)  # the certificate
    for s, a in product(range(3), range(2)):
        other = best.copy()
        other[s, a] = (best[s, a] + 1) % 3
        assert value(other) > nested - 2e-10  # likewise


def test_the_optimum_is_below_every_policy_of_the_state():
    problem, _ = random(3)
    best = ecrm_optimum(problem)
    assert best.gap <= 1e-9
    for choice in product(range(2), repeat=3):
        assert best.objective <= nested_ecrm(problem, np.eye(2)[list(choice)]) + 2e-9
    mdp = problem.augmented()
    judged = policy_evaluation(mdp, best.probabilities(problem), tol=1e-10)
    # Both certificates.
    assert -float(mdp.mu @ judged.value) == pytest.approx(best.objective, abs=1.2e-9)


def test_memory_of_the_level_is_worth_a_tenth():
    P = [[[0.5, 0.5], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]
    problem = EcrmProblem(P, [[3.0, 3.0], [3.0, 0.0]], 0.5, [1.0, 0.0], 1.0, 0.5)
    assert ecrm_optimum(problem).objective == pytest.approx(5.4, abs=1e-9)  # the certificate
    for choice in product(range(2), repeat=2):
        # Dyadic numbers, a 2 x 2 solve.
        assert nested_ecrm(problem, np.eye(2)[list(choice)]) == pytest.approx(6.0, abs=1e-13)


# Mean cost and probability of the cliff at weights 0, 1/4, ..., 1, of an implementation that shares no code with ours.
CALIBRATED = [
    ({}, [(5.88, 0.0757), (5.88, 0.0757), (7.39, 0.0308), (7.39, 0.0308), (7.48, 0.0296)]),
    ({"slip": 0.2, "cliff_cost": 10.0}, [(8.04, 0.153), *[(8.95, 0.0697)] * 4]),
    ({"tail": 0.2}, [(5.88, 0.0757)] * 5),
]


@pytest.mark.parametrize(("sizes", "rows"), CALIBRATED)
def test_the_cliff_walk_is_the_calibrated_one(sizes, rows):
    for weight, (mean, fall) in zip((0, 0.25, 0.5, 0.75, 1), rows):
        problem = cliff_walk(weight, **sizes)
        policy = ecrm_optimum(problem).probabilities(problem)
        assert expected_cost(problem, policy) == pytest.approx(mean, abs=0.005)  # half of the last digit noted
        assert visit_probability(problem, policy, [13, 14], [15]) == pytest.approx(fall, rel=0.005)  # likewise
