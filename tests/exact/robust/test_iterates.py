"""What theory says of every single iterate: contraction, sandwich, bounds, and what breaks without a condition."""

from itertools import islice

import numpy as np

from mdplab import instances
from mdplab.exact.robust.iterates import (
    below_everything,
    modified_iterates,
    partial_iterates,
    policy_iterates,
    residual_conditioned_iterates,
    value_iterates,
)
from mdplab.exact.robust.operator import RobustBellman
from mdplab.models import L1Ball, RobustMDP
from tests.exact.robust.sets import every_set, small_model


def _garnet_problem(seed, *, S=6, A=3, b=4, gamma=0.9, radius=0.8, rectangularity="s"):
    mdp = instances.garnet(S, A, b, gamma=gamma, rng=np.random.default_rng([21, seed]))
    return RobustMDP(mdp, L1Ball(radius, rectangularity=rectangularity, support="nominal"))


def _value(op):
    """The fixed point, to the last digits."""
    steps = list(islice(policy_iterates(op, np.zeros(op.S)), 30))
    return steps[-1].v


def test_residuals_contract_by_gamma_for_every_set():
    mdp = small_model(11)
    for label, problem in every_set(mdp, rng=np.random.default_rng([12])):
        op = RobustBellman.of(problem)
        residuals = [step.residual for step in islice(value_iterates(op, np.zeros(op.S)), 40)]
        ratios = np.array(residuals[1:]) / residuals[:-1]
        # Rounding of values up to 30 against residuals that are still above 1e-2; near-ties of L1 sets add 1e-11.
        assert np.all(ratios <= op.gamma + 1e-8), label
        assert ratios[-1] > 0.5 * op.gamma, label  # else the bound would say nothing


def test_modified_iterates_rise_between_value_iteration_and_the_value():
    for seed in range(5):
        op = RobustBellman.of(_garnet_problem(seed, rectangularity="s" if seed % 2 else "sa"))
        start, best = below_everything(op), _value(op)
        pairs = zip(value_iterates(op, start), modified_iterates(op, start, 5), strict=False)
        last = start
        for plain, modified in islice(pairs, 25):
            room = 1e-12 * (1 + np.abs(best).max())  # rounding of a hundred backups
            assert np.all(plain.v <= modified.v + room)
            assert np.all(modified.v <= best + room)
            assert np.all(last <= modified.v + room)
            last = modified.v
        assert np.abs(last - best).max() < 1e-2 * np.abs(start - best).max()  # it did go somewhere


def test_the_sandwich_needs_a_start_below():
    op = RobustBellman.of(_garnet_problem(1))
    best = _value(op)
    steps = list(islice(modified_iterates(op, best + 1, 5), 3))
    assert np.all(steps[1].v > best)


def test_partial_iteration_keeps_its_bound_at_each_step():
    eps, c = 1.0, 2.0
    for seed in range(5):
        op = RobustBellman.of(_garnet_problem(seed))
        best = _value(op)
        steps = islice(partial_iterates(op, np.zeros(op.S), eps, op.gamma**c, adaptive=False), 2, 40)
        first = None
        for k, step in enumerate(steps):
            off = np.abs(step.v - best).max()
            first = off if first is None else first
            bound = op.gamma**k * (first + 2 * eps / (1 - op.gamma ** (c - 1)))
            assert off <= bound
        assert off < 0.05 * (first + 1)  # gamma^37 is 0.02


def test_partial_iteration_with_a_constant_accuracy_stalls():
    stalled = []
    for seed in range(20):
        op = RobustBellman.of(_garnet_problem(seed))
        step = next(islice(partial_iterates(op, np.zeros(op.S), 1.0, 1.0, adaptive=False), 300, None))
        stalled.append(np.abs(step.v - _value(op)).max())
        exact = next(islice(partial_iterates(op, np.zeros(op.S), 1.0, op.gamma**2, adaptive=False), 300, None))
        assert np.abs(exact.v - _value(op)).max() < 1e-9  # 0.9^300 is 2e-14, and rounding
    assert max(stalled) > 1e-3  # three hundred steps of a convergent iteration leave 1e-13


def test_conditioned_newton_steps_contract_the_residual_where_naive_ones_cycle():
    for seed in range(100):
        rectangularity = "s" if seed % 2 else "sa"
        op = RobustBellman.of(_garnet_problem(seed, S=4, b=3, radius=0.5, rectangularity=rectangularity))
        for unlimited in (False, True):
            steps = list(islice(residual_conditioned_iterates(op, np.zeros(op.S), unlimited), 8))
            residuals = np.array([step.residual for step in steps])
            noise = 1e-13 * (1 + np.abs(steps[-1].v).max())  # where rounding is all there is
            assert np.all(residuals[1:] <= op.gamma * residuals[:-1] + noise)
            assert residuals[-1] < 1e-6  # Newton's steps, not only sweeps: 0.9^7 is 0.5
    op = RobustBellman.of(instances.pai_cycle())
    naive = [np.zeros(3)]
    for _ in range(6):
        naive.append(op.both_fixed(op.backup(naive[-1])))
    assert np.array_equal(naive[3].round(9), naive[5].round(9)) and np.array_equal(naive[4].round(9), naive[6].round(9))
    assert np.abs(naive[5] - naive[6]).max() > 10  # 7 and -6 in state 0
