"""The two-atom operator against rationals, its extremes, and its refusals."""

from fractions import Fraction

import numpy as np
import pytest

from mdplab.algorithms.robust.worst_substate import substate_control, substate_evaluation, substate_step
from mdplab.instances import garnet, toy_ring
from mdplab.instances.reward_trees import nested_tails, reward_tree
from mdplab.models import MDP


def mdp_of(tree, gamma):
    """The tree as a model: a state for each node, the last one absorbing; rewards by next state."""
    nodes, edges = [tree], []
    for node in nodes:
        at = len(edges)
        edges.append([])
        for probability, reward, below in node:
            edges[at].append((float(probability), float(reward), len(nodes)))
            nodes.append(below)
    S = len(nodes)
    P, r = np.zeros((S, 1, S)), np.zeros((S, 1, S))
    for s, out in enumerate(edges):
        for probability, reward, t in out:
            P[s, 0, t], r[s, 0, t] = probability, reward
        if not out:
            P[s, 0, s] = 1.0
    return MDP(P, r, gamma)


@pytest.mark.parametrize("alpha", [Fraction(1, 4), Fraction(1, 2), Fraction(4, 5)])
def test_trees_in_rationals(alpha):
    for i in range(4):
        tree = reward_tree(3, rng=np.random.default_rng([45, i]))
        run = substate_evaluation(mdp_of(tree, 0.9), np.ones((40, 1)), float(alpha), num_iters=4)
        low, high = nested_tails(tree, alpha, Fraction(9, 10))
        # A few dozen roundings of numbers up to 12, over a mass of a fifth.
        np.testing.assert_allclose([run.low[-1][0], run.high[-1][0]], [float(low), float(high)], rtol=0, atol=1e-12)


def test_rows_of_the_augmented_chain_are_distributions_that_average_to_the_nominal_one():
    rng = np.random.default_rng([46])
    mdp = garnet(7, 3, 3, gamma=0.9, rng=rng)
    pi = rng.dirichlet(np.ones(3), size=7)
    low, high = np.sort(rng.normal(size=(2, 7)), axis=0)
    step = substate_step(mdp, pi, 0.3, low, high)
    assert step.kernel.min() >= 0
    np.testing.assert_allclose(step.kernel.sum(axis=1), 1, rtol=1e-14)  # sums of at most 42 terms
    average = 0.3 * step.kernel[:7] + 0.7 * step.kernel[7:]
    nominal = np.einsum("sa,sat->st", pi, mdp.P)
    np.testing.assert_allclose(average, np.hstack([0.3 * nominal, 0.7 * nominal]), rtol=0, atol=1e-15)  # as above


def test_ordinary_evaluation_between_low_and_high():
    mdp, pi = toy_ring(0.15), np.tile([0.2, 0.5, 0.3], (14, 1))
    value = np.linalg.solve(np.eye(14) - 0.95 * np.einsum("sa,sat->st", pi, mdp.P), mdp.r[:, 0])
    gaps = []
    for alpha in (0.001, 0.3, 0.999):
        run = substate_evaluation(mdp, pi, alpha, num_iters=700)
        assert np.all(run.low[-1] <= value + 1e-9) and np.all(value <= run.high[-1] + 1e-9)
        gaps.append((np.abs(run.low[-1] - value).max(), np.abs(run.high[-1] - value).max()))
    # (1 - alpha), and alpha, times 15 / (1 - gamma).
    assert gaps[2][0] < 0.3 and gaps[0][1] < 0.3 and min(gaps[1]) > 1


def test_control_has_the_optimal_mean():
    mdp = garnet(8, 3, 3, gamma=0.8, rng=np.random.default_rng([47]), weights="dyadic")
    v = np.zeros(8)
    for _ in range(300):
        v = (mdp.r + 0.8 * mdp.P @ v).max(axis=1)
    for attitude in ("safe", "risky"):
        run = substate_control(mdp, 0.25, attitude=attitude, num_iters=300)
        mean = 0.25 * run.low[-1] + 0.75 * run.high[-1]
        np.testing.assert_allclose(mean, v, rtol=0, atol=1e-12)  # 0.8^300 < 1e-28; roundings of five


def test_what_makes_no_sense_is_refused():
    mdp = toy_ring()
    with pytest.raises(ValueError, match=r"alpha is 1.0; expected strictly between 0 and 1"):
        substate_step(mdp, np.full((14, 3), 1 / 3), 1.0, np.zeros(14), np.zeros(14))
    with pytest.raises(ValueError, match=r"pi has shape \(14,\), expected \(14, 3\)"):
        substate_evaluation(mdp, np.zeros(14), 0.5, num_iters=1)
    with pytest.raises(ValueError, match="attitude is 'bold'; expected 'safe' or 'risky'"):
        substate_control(mdp, 0.5, attitude="bold", num_iters=1)
    with pytest.raises(ValueError, match="num_iters is 0"):
        substate_control(mdp, 0.5, attitude="safe", num_iters=0)
