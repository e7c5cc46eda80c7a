"""Quantile TD: the mean of an update is the quantile loss's gradient, and what it learns are the quantiles."""

import numpy as np
import pytest

from mdplab.algorithms.distributional import quantile_td, robbins_monro
from mdplab.algorithms.distributional.transitions import Transitions
from mdplab.exact.distributional import quantile_evaluation
from mdplab.kernels.distributional_td import quantile_td_run
from mdplab.models import MDP, Outcomes


def model(seed, S=3, A=2, gamma=0.5, **more):
    rng = np.random.default_rng([902, seed])
    mdp = MDP(rng.dirichlet(np.ones(S), (S, A)), rng.uniform(-1, 1, (S, A, S)), gamma, **more)
    return mdp, rng.dirichlet(np.ones(A), S)


def atoms(answer, m):
    return np.array([np.repeat(law.x, np.rint(law.p * m).astype(int)) for law in answer.extras["laws"]])


@pytest.mark.parametrize("one_atom", [False, True])
def test_the_mean_of_an_update_is_the_gradient_of_the_quantile_loss(one_atom):
    mdp, policy = model(1)
    m, start = 4, np.sort(np.random.default_rng(2).uniform(-1, 1, (3, 4)), axis=1)
    run = quantile_td(
        mdp, policy, m, steps=[0.5], rng=np.random.default_rng(3), seeds=4000, start=start, one_atom=one_atom
    )
    move = (run["theta"][:, 0] - start).mean(axis=0) / 0.5
    levels = (2 * np.arange(m) + 1) / (2 * m)
    for s in range(3):
        below = np.zeros(m)
        for a in range(2):
            for to, r, p in zip(*Outcomes.of(mdp).row(s, a), strict=True):
                below += policy[s, a] * p * (r + 0.5 * start[to] < start[s][:, None]).mean(axis=1)
        # 24 means of 4000 numbers in [-1, 1] in both cases: Hoeffding at 1e-9 in all.
        assert np.abs(move[s] - (levels - below)).max() < np.sqrt(2 * np.log(2 * 24 / 1e-9) / 4000)


def test_a_sure_reward_is_approached_from_below_by_the_levels():
    """No transition but one: below the target an atom moves by its level, above it by its level minus 1."""
    mdp = MDP([[[1.0]]], [[10.0]], 0.5)
    run = quantile_td(mdp, [0], 2, steps=np.full(3, 0.5), rng=np.random.default_rng(0), checkpoints=[1, 3])
    assert run["theta"][0, :, 0].tolist() == [[0.125, 0.375], [0.375, 1.125]]
    run = quantile_td(mdp, [0], 2, steps=[0.5], rng=np.random.default_rng(0), start=[[50.0, 60.0]])
    assert run["theta"][0, 0, 0].tolist() == [50 - 0.5 * 0.75, 60 - 0.5 * 0.25]


@pytest.mark.parametrize(("trajectory", "one_atom"), [(False, False), (True, False), (False, True)])
def test_it_learns_the_fixed_point(trajectory, one_atom):
    mdp, policy = model(4, mu=[1.0, 0, 0])
    m, steps = 4, robbins_monro(2**16, scale=4.0, power=0.8)
    run = quantile_td(
        mdp,
        policy,
        m,
        steps=steps,
        rng=np.random.default_rng(5),
        seeds=4,
        trajectory=trajectory,
        one_atom=one_atom,
    )
    error = np.abs(np.sort(run["theta"][:, -1], axis=-1) - atoms(quantile_evaluation(mdp, policy, m), m)).max()
    # Steps end at 6e-4, and at 1.4e-3 for a third of the updates: fluctuations of sqrt(step) are four times that.
    assert error < 0.1
    assert error > 1e-9, "an estimate is not exact"


def test_targets_are_those_before_the_iteration():
    """Each of two states leads to the other, reward 1: with one atom at 0 both targets are 1 and move it by a half."""
    mdp = MDP([[[0, 1.0]], [[1.0, 0]]], [[1.0], [1.0]], 0.5)
    run = quantile_td(mdp, [0, 0], 1, steps=[8.0, 8.0], rng=np.random.default_rng(0), checkpoints=[1, 2])
    # From 4 the target of both is 3, which lies below.
    assert run["theta"][0, :, :, 0].tolist() == [[4, 4], [0, 0]]
    lone = quantile_td(mdp, [0, 0], 1, steps=[8.0], rng=np.random.default_rng(0), start=[[0.0], [2.5]])
    # State 1 looks at the 0 that state 0 had, target 1 below 2.5; the 4 that it gets would give 3, above.
    assert lone["theta"][0, 0, :, 0].tolist() == [4, -1.5]


def test_levels_are_those_asked_for():
    """Rewards 0, 1, 2 evenly, gamma = 0: any level's quantile is known."""
    P = np.zeros((4, 1, 4))
    P[0, 0, 1:] = 1 / 3
    P[1:, 0, :] = np.eye(4)[1:]
    r = np.zeros((4, 1, 4))
    r[0, 0, 1:] = [0, 1, 2]
    mdp = MDP(P, r, 0.0)
    steps = robbins_monro(20000, scale=1.0, power=0.7)
    options = {"steps": steps, "rng": np.random.default_rng(7), "seeds": 4}
    # Jumps of the field pin an atom to within a few of the last steps, 1e-3.
    run = quantile_td(mdp, [0] * 4, 3, levels=[0.1, 0.2, 0.9], **options)
    assert np.abs(run["theta"][:, 0, 0] - [0, 0, 2]).max() < 0.02
    run = quantile_td(mdp, [0] * 4, 3, **options)
    assert np.abs(run["theta"][:, 0, 0] - [0, 1, 2]).max() < 0.02


def test_an_episode_ends_and_starts_anew():
    mdp = MDP([[[0, 0.2, 0.8]], [[0, 0, 1.0]], [[0, 0, 1.0]]], [[0.0], [1.0], [0.0]], 0.5, mu=[1.0, 0, 0])
    steps = robbins_monro(40000, scale=1.0, power=0.7)
    run = quantile_td(mdp, [0, 0, 0], 2, steps=steps, rng=np.random.default_rng(6), trajectory=True, seeds=2)
    theta = run["theta"][:, -1]
    assert (theta[:, 2] == 0).all()
    # Jumps of the field pin the atoms to within a few of the last steps, 2e-3 where one update in six is at state 1.
    assert np.abs(theta[:, 1] - [1, 1]).max() < 0.02
    assert np.abs(theta[:, 0] - [0, 0]).max() < 0.02


def test_episodes_start_from_mu():
    mdp = MDP([[[0, 0.5, 0.5]], [[0, 0, 1.0]], [[0, 0, 1.0]]], [[1.0], [1.0], [0.0]], 0.5, mu=[0, 1.0, 0])
    run = quantile_td(mdp, [0, 0, 0], 1, steps=np.full(9, 0.1), rng=np.random.default_rng(0), trajectory=True)
    # One step a unit of the level 1/2, nine times: rounding of nine sums.
    assert run["theta"][0, 0, :, 0].tolist() == pytest.approx([0, 0.45, 0], abs=1e-15)


def test_a_kernel_is_its_python_self():
    if not hasattr(quantile_td_run, "py_func"):
        pytest.skip("kernels are not compiled")
    mdp, policy = model(8, mu=[0.5, 0.5, 0])
    moves = Transitions.of(mdp, policy, None, True)
    levels = np.array([0.25, 0.75])
    for one_atom in (False, True):
        arrays = (moves.ptr, moves.next_state, moves.reward, moves.cdf, 0.5, levels, one_atom, np.full(50, 0.3))
        outs = []
        for form in (quantile_td_run, quantile_td_run.py_func):
            out = np.empty((2, 3, 2))
            place = (moves.restart, moves.terminal, np.random.default_rng(8), np.array([20, 50]))
            form(*arrays, *place, np.zeros((3, 2)), out)
            outs.append(out)
        assert (outs[0] == outs[1]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"m": 0}, "m is 0"),
        ({"m": True}, "m is True"),
        ({"steps": [0.5, -1.0]}, r"steps\[1\] is -1"),
        ({"levels": [0.5, 0.2]}, "levels is"),
        ({"levels": [0.5]}, "expected 2 numbers"),
        ({"start": np.full((3, 2), np.nan)}, "start has shape"),
        ({"checkpoints": [0.5]}, "expected a list of integers"),
        ({"mdp": MDP([[[1.0]]], [[1.0]], 0.5)}, "policy has shape"),
    ],
)
def test_what_is_refused(change, message):
    mdp, policy = model(13)
    options = {"mdp": mdp, "policy": policy, "m": 2, "steps": np.full(4, 0.5), "rng": np.random.default_rng(0)} | change
    with pytest.raises(ValueError, match=message):
        quantile_td(**options)
