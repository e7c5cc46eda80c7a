"""Categorical TD: the mean of an update, sure models to the last bit, and the fixed point that it learns."""

import numpy as np
import pytest

from mdplab.algorithms.distributional import categorical_td, robbins_monro
from mdplab.algorithms.distributional.transitions import Transitions
from mdplab.exact.distributional import categorical_evaluation
from mdplab.kernels.distributional_td import categorical_td_run
from mdplab.models import MDP, Outcomes, project_categorical

Z = np.linspace(-2, 2, 9)


def model(seed, S=3, A=2, gamma=0.5, **more):
    rng = np.random.default_rng([901, seed])
    mdp = MDP(rng.dirichlet(np.ones(S), (S, A)), rng.uniform(-1, 1, (S, A, S)), gamma, **more)
    return mdp, rng.dirichlet(np.ones(A), S)


def masses(answer, z):
    out = np.zeros((len(answer.extras["laws"]), len(z)))
    for s, law in enumerate(answer.extras["laws"]):
        out[s, np.searchsorted(z, law.x)] = law.p
    return out


def backup(mdp, policy, eta, z):
    """Pi T eta, from the definition."""
    out = np.zeros_like(eta)
    for s in range(mdp.S):
        for a in range(mdp.A):
            for to, r, p in zip(*Outcomes.of(mdp).row(s, a), strict=True):
                out[s] += policy[s, a] * p * project_categorical(r + mdp.gamma * z, eta[to], z)
    return out


def test_with_step_one_a_sure_model_is_dynamic_programming():
    mdp = MDP([[[0, 1.0, 0]], [[0, 0, 1.0]], [[1.0, 0, 0]]], [[0.3], [-0.7], [1.0]], 0.5)
    run = categorical_td(mdp, [0, 0, 0], Z, steps=np.ones(6), rng=np.random.default_rng(0), checkpoints=range(7))
    eta = run["eta"][0]
    for n in range(6):
        # Two products and sums an atom.
        np.testing.assert_allclose(eta[n + 1], backup(mdp, np.ones((3, 1)), eta[n], Z), atol=1e-15)


def test_the_mean_of_an_update_is_the_projected_operator():
    mdp, policy = model(1)
    start = np.random.default_rng(2).dirichlet(np.ones(9), 3)
    run = categorical_td(mdp, policy, Z, steps=[0.25], rng=np.random.default_rng(3), seeds=4000, start=start)
    target = (run["eta"][:, 0] - 0.75 * start) / 0.25
    off = target.mean(axis=0) - backup(mdp, policy, start, Z)
    # 27 sums of 4000 masses in [0, 1]: Hoeffding at 1e-9 in all.
    assert np.abs(off).max() < np.sqrt(np.log(2 * 27 / 1e-9) / (2 * 4000))
    assert np.abs(off).max() > 0, "a sample is no mean"


@pytest.mark.parametrize("trajectory", [False, True])
def test_it_learns_the_fixed_point(trajectory):
    mdp, policy = model(4, mu=[1.0, 0, 0])
    steps = robbins_monro(2**15, scale=4.0, power=1.0, delay=4.0)
    run = categorical_td(
        mdp, policy, Z, steps=np.minimum(steps, 1), rng=np.random.default_rng(5), seeds=4, trajectory=trajectory
    )
    exact = masses(categorical_evaluation(mdp, policy, Z), Z)
    # Masses have standard errors below sqrt(4 / 2^15) = 0.011 (three times fewer updates on a path): five of them.
    assert np.abs(run["eta"][:, -1] - exact).max() < 0.055 * (3 if trajectory else 1) ** 0.5
    np.testing.assert_allclose(run["eta"].sum(axis=-1), 1, atol=1e-12)  # rounding of 2^15 mixtures
    assert (run["clipped"] == 0).all()


def test_an_episode_ends_and_starts_anew():
    """From 0 to 1 or the end; from 1 to the end with reward 1: three returns, two states with closed laws."""
    mdp = MDP([[[0, 0.25, 0.75]], [[0, 0, 1.0]], [[0, 0, 1.0]]], [[0.0], [1.0], [0.0]], 0.5, mu=[1.0, 0, 0])
    z = np.array([0.0, 0.5, 1.0])
    for trajectory in (False, True):
        steps = 1 / np.arange(1.0, 4001)
        run = categorical_td(
            mdp, [0, 0, 0], z, steps=steps, rng=np.random.default_rng(6), trajectory=trajectory, seeds=2
        )
        eta = run["eta"][:, -1]
        assert (eta[:, 2] == [1, 0, 0]).all()
        # The first step is 1, and from state 1 every target is the same.
        assert (eta[:, 1] == [0, 0, 1]).all()
        # A share of at least 1600 coins of bias 1/4: Hoeffding at 1e-9.
        assert np.abs(eta[:, 0] - [0.75, 0.25, 0]).max() < np.sqrt(np.log(4e9) / 3200)


def test_episodes_start_from_mu():
    mdp = MDP([[[0, 0.5, 0.5]], [[0, 0, 1.0]], [[0, 0, 1.0]]], [[1.0], [1.0], [0.0]], 0.5, mu=[0, 1.0, 0])
    run = categorical_td(
        mdp, [0, 0, 0], [0.0, 1.0, 2.0], steps=np.full(9, 0.5), rng=np.random.default_rng(0), trajectory=True
    )
    # Every episode is state 1 and the end.
    assert run["eta"][0, 0].tolist() == [[1, 0, 0], [2**-9, 1 - 2**-9, 0], [1, 0, 0]]


def test_a_kernel_is_its_python_self():
    if not hasattr(categorical_td_run, "py_func"):
        pytest.skip("kernels are not compiled")
    mdp, policy = model(7, mu=[0.5, 0.5, 0])
    moves = Transitions.of(mdp, policy, None, True)
    arrays = (moves.ptr, moves.next_state, moves.reward, moves.cdf, 0.5, Z, np.full(50, 0.3), moves.restart)
    outs = []
    for form in (categorical_td_run, categorical_td_run.py_func):
        eta, out = np.full((3, 9), 1 / 9), np.empty((2, 3, 9))
        form(*arrays, moves.terminal, np.random.default_rng(8), np.array([20, 50]), eta, out)
        outs.append(out)
    assert (outs[0] == outs[1]).all()


def test_replicates_differ_and_repeat():
    mdp, policy = model(9)
    runs = [
        categorical_td(mdp, policy, Z, steps=np.full(30, 0.2), rng=np.random.default_rng(10), seeds=n)["eta"]
        for n in (2, 2)
    ]
    assert (runs[0] == runs[1]).all()
    assert not (runs[0][0] == runs[0][1]).all()


def test_a_grid_that_is_too_short_is_refused_or_clips():
    mdp, policy = model(11)
    short = np.linspace(-0.5, 0.5, 5)
    options = {"steps": np.full(200, 0.1), "rng": np.random.default_rng(12)}
    with pytest.raises(ValueError, match=r"z from -0\.5 to 0\.5 cannot hold the returns: an update put mass"):
        categorical_td(mdp, policy, short, **options)
    assert categorical_td(mdp, policy, short, clip=True, **options)["clipped"].max() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": [0.5, 1.5]}, r"steps\[1\] is 1.5; expected a finite number in \(0, 1\]"),
        ({"steps": []}, r"steps has shape \(0,\)"),
        ({"seeds": 0}, "seeds is 0"),
        ({"trajectory": True}, "mdp has no mu"),
        ({"checkpoints": [3, 2]}, r"checkpoints is \[3, 2\]; expected strictly increasing in \[0, 4\]"),
        ({"start": np.zeros((3, 9))}, r"start\[0\] is not a law"),
        ({"start": np.ones((2, 2))}, r"start has shape \(2, 2\); expected \(3, 9\)"),
        ({"policy": [0, 5, 0]}, r"policy\[1\] is 5"),
        ({"policy": np.full((3, 2), 0.4)}, r"policy\[0\] sums to 0.8"),
        ({"z": [0.0]}, "a grid needs at least 2"),
        ({"z": [0.0, 0.0]}, r"z\[1\] is 0 after"),
        ({"mdp": model(0, gamma=0.5, horizon=3)[0]}, "it must be discounted"),
    ],
)
def test_what_is_refused(change, message):
    mdp, policy = model(13)
    options = {"mdp": mdp, "policy": policy, "z": Z, "steps": np.full(4, 0.5), "rng": np.random.default_rng(0)} | change
    with pytest.raises(ValueError, match=message):
        categorical_td(**options)


def test_steps():
    assert robbins_monro(2, scale=1.0, power=0.5, delay=3.0).tolist() == [0.5, 1 / 5**0.5]
    with pytest.raises(ValueError, match="scale is 0"):
        robbins_monro(2, scale=0.0, power=1.0)
