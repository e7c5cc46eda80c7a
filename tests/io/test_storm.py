"""Agreement with Storm on the same files: expected rewards and reachability probabilities to 1e-10 relative."""

import numpy as np
import pytest
from instances.exactly import optimum
from numpy.testing import assert_allclose

from mdplab.instances import frozen_lake, garnet
from mdplab.io import load, save
from mdplab.models import MDP

stormpy = pytest.importorskip("stormpy", reason="stormpy is not installed")

# Storm runs policy iteration with linear solves; the rest is rounding.
RTOL = 1e-10


def storm_values(model, formula):
    """Storm's answer in every state, by policy iteration with exact linear solves."""
    environment = stormpy.Environment()
    environment.solver_environment.minmax_solver_environment.method = stormpy.MinMaxMethod.policy_iteration
    environment.solver_environment.minmax_solver_environment.precision = stormpy.Rational(1e-13)
    properties = stormpy.parse_properties(formula)
    result = stormpy.model_checking(model, properties[0], environment=environment)
    return np.array([result.at(s) for s in range(model.nr_states)])


def stopping_model(seed):
    """A random model in which every decision ends with probability 1/8 or more; rewards in [0, 1]."""
    rng = np.random.default_rng([71, seed])
    base = garnet(12, 3, 3, gamma=0.9, rng=rng, weights="dyadic")
    P = np.zeros((14, 3, 14))
    P[:12, :, :12] = base.P * 0.75
    P[:12, :, 12], P[:12, :, 13] = 0.125, 0.125
    P[12, :, 12] = P[13, :, 13] = 1.0
    return MDP(P, np.vstack([base.r, np.zeros((2, 3))]), 0.9)


@pytest.mark.parametrize("seed", range(3))
def test_expected_rewards_of_a_drn_file(tmp_path, seed):
    path = tmp_path / "m.drn"
    save(stopping_model(seed), path)
    theirs = storm_values(stormpy.build_model_from_drn(str(path)), 'R{"reward"}max=? [F "terminal"]')
    assert_allclose(optimum(load(path, goal="terminal"))[0], theirs, rtol=RTOL)
    least = storm_values(stormpy.build_model_from_drn(str(path)), 'R{"reward"}min=? [F "terminal"]')
    assert_allclose(-optimum(load(path, goal="terminal", minimise=True))[0], least, rtol=RTOL)


def test_reachability_of_a_prism_file(tmp_path):
    """Storm reads PRISM's transitions with the word mdp for a header, and labels in its own form."""
    path = tmp_path / "m.tra"
    save(stopping_model(5).replace(gamma=0.5), path)
    (tmp_path / "m.trew").unlink()
    (tmp_path / "m.lab").write_text('0="init" 1="goal"\n0: 0\n12: 1\n')
    body = path.read_text().split("\n", 1)[1]
    (tmp_path / "storm.tra").write_text("mdp\n" + body)
    (tmp_path / "storm.lab").write_text("#DECLARATION\ninit goal\n#END\n0 init\n12 goal\n")
    model = stormpy.build_sparse_model_from_explicit(str(tmp_path / "storm.tra"), str(tmp_path / "storm.lab"))
    for sense, formula in ((False, 'Pmax=? [F "goal"]'), (True, 'Pmin=? [F "goal"]')):
        theirs = storm_values(model, formula)
        for name in ("m.tra", "storm.tra"):
            mdp = load(tmp_path / name, goal="goal", minimise=sense)
            ours = optimum(mdp)[0] * (-1 if sense else 1)
            assert_allclose(ours[:12], theirs[:12], rtol=RTOL)
            assert (theirs[12], ours[12]) == (1.0, 0.0)


def test_frozen_lake_by_storm(tmp_path):
    """The chance to reach the goal of FrozenLake, without discount."""
    path = tmp_path / "lake.drn"
    save(frozen_lake("4x4"), path)
    text = path.read_text().replace("state 15 [0] terminal", "state 15 [0] terminal goal")
    path.write_text(text)
    theirs = storm_values(stormpy.build_model_from_drn(str(path)), 'Pmax=? [F "goal"]')
    mdp = load(path, goal="goal", reward="reach")
    value = np.zeros(16)
    # The optimal policy reaches an end within a few hundred moves but for a probability below 1e-12.
    for _ in range(20_000):
        value = (mdp.r + mdp.P @ value).max(axis=1)
    assert_allclose(value[:15], theirs[:15], rtol=RTOL, atol=1e-13)


def test_a_file_that_storm_wrote(tmp_path):
    path, again = tmp_path / "m.drn", tmp_path / "again.drn"
    mdp = stopping_model(7)
    save(mdp, path)
    stormpy.export_to_drn(stormpy.build_model_from_drn(str(path)), str(again))
    back = load(again, gamma=mdp.gamma)
    # Storm prints as many digits as it was told to; by default not all.
    assert_allclose(back.P, mdp.P, rtol=1e-5)
    assert_allclose(back.r, mdp.r, rtol=1e-5)
