"""Agreement with Storm on the same files: expected rewards and reachability probabilities to 1e-10 relative."""

import numpy as np
import pytest
from instances.exactly import optimum
from numpy.testing import assert_allclose

from mdplab.exact import solve
from mdplab.instances import frozen_lake, garnet
from mdplab.io import load, save
from mdplab.models import MDP

stormpy = pytest.importorskip("stormpy", reason="stormpy is not installed")
if not hasattr(stormpy, "build_model_from_explicit"):
    pytest.skip("these tests speak to stormpy 2", allow_module_level=True)

# Storm is asked for rational arithmetic, or for a sound 1e-12; the rest is our rounding.
RTOL = 1e-10


def storm_values(model, formula):
    """Storm's answers, one a state."""
    environment = stormpy.environments.default(model)
    for part in (environment.solver().min_max(), environment.solver().native()):
        part.precision = stormpy.Rational(1e-12)
    result = stormpy.model_checking(model, stormpy.parse_properties(formula)[0], environment=environment)
    return np.array([float(result.get_value(s)) for s in range(model.nr_states)])


def assert_certified(mdp, theirs, sense=1):
    """Our certified answer agrees with Storm's where both have one: within our certificate and Storm's 1e-12."""
    answer = solve(mdp)
    error = np.abs(sense * answer.value - theirs)[: len(theirs)]
    assert (error[~mdp.terminal] <= answer.certificate.gap + RTOL * np.abs(theirs)[~mdp.terminal]).all()
    assert answer.certificate.gap <= 1e-6  # the default tolerance


def exact_model(path):
    """The model of a DRN file in rational numbers."""
    return stormpy.build_model_from_drn[stormpy.Rational](str(path))


def stopping_model(seed):
    """A random model in which every decision ends with probability 1/4; rewards in [0, 1]."""
    base = garnet(12, 3, 3, gamma=0.9, rng=np.random.default_rng([71, seed]), weights="dyadic")
    P = np.zeros((14, 3, 14))
    P[:12, :, :12] = base.P * 0.75
    P[:12, :, 12], P[:12, :, 13] = 0.125, 0.125
    P[12, :, 12] = P[13, :, 13] = 1.0
    return MDP(P, np.vstack([base.r, np.zeros((2, 3))]), 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_expected_rewards_of_a_drn_file(tmp_path, seed):
    path = tmp_path / "m.drn"
    save(stopping_model(seed), path)
    most, least = (storm_values(exact_model(path), f'R{{"reward"}}{end}=? [F "terminal"]') for end in ("max", "min"))
    assert_allclose(optimum(load(path, goal="terminal"))[0], most, rtol=RTOL)
    assert_allclose(-optimum(load(path, goal="terminal", minimise=True))[0], least, rtol=RTOL)
    assert_certified(load(path, goal="terminal"), most)
    assert_certified(load(path, goal="terminal", minimise=True), least, sense=-1)
    assert (most[:12] > least[:12]).all()


def test_reachability_of_prism_files(tmp_path):
    """Storm reads PRISM's transitions with the word mdp for a header, and labels in a form of its own; so do we."""
    path, storm = tmp_path / "m.tra", tmp_path / "storm.tra"
    mdp = stopping_model(5)
    # One way to the goal and many to the other end, so that policies differ.
    P = mdp.P.copy()
    P[:, 1, 12] += P[:, 1, 13] / 2
    P[:, 1, 13] /= 2
    P[13, 1] = mdp.P[13, 1]
    save(mdp.replace(P=P), path)
    (tmp_path / "m.trew").unlink()
    (tmp_path / "m.lab").write_text('0="init" 1="goal"\n0: 0\n12: 1\n')
    storm.write_text("mdp\n" + path.read_text().split("\n", 1)[1])
    (tmp_path / "storm.lab").write_text("#DECLARATION\ninit goal\n#END\n0 init\n12 goal\n")
    model = stormpy.build_model_from_explicit(str(storm), str(tmp_path / "storm.lab"))
    for sense, end in ((1, "max"), (-1, "min")):
        theirs = storm_values(model, f'P{end}=? [F "goal"]')
        for name in (path, storm):
            ours = sense * optimum(load(name, goal="goal", minimise=sense < 0))[0]
            assert_allclose(ours[:12], theirs[:12], rtol=RTOL)
            assert (theirs[12], ours[12]) == (1.0, 0.0)
            assert_certified(load(name, goal="goal", minimise=sense < 0), theirs, sense)


def test_rewards_of_prism_files(tmp_path):
    """State and transition rewards, for a chain."""
    chain = "0 0 0.25\n0 1 0.5\n0 2 0.25\n1 0 0.5\n1 2 0.5\n2 2 1\n"
    for name, header in (("m", "3 6\n"), ("storm", "dtmc\n")):
        (tmp_path / f"{name}.tra").write_text(header + chain)
        (tmp_path / f"{name}.srew").write_text(("3 2\n" if name == "m" else "") + "0 0.5\n1 3\n")
        (tmp_path / f"{name}.trew").write_text(("3 1\n" if name == "m" else "") + "0 1 8\n")
    (tmp_path / "m.lab").write_text('0="init" 1="end"\n0: 0\n2: 1\n')
    (tmp_path / "storm.lab").write_text("#DECLARATION\ninit end\n#END\n0 init\n2 end\n")
    files = {key: str(tmp_path / f"storm.{suffix}") for key, suffix in (("state", "srew"), ("transition", "trew"))}
    model = stormpy.build_model_from_explicit(
        str(tmp_path / "storm.tra"),
        str(tmp_path / "storm.lab"),
        state_rewards=files["state"],
        transition_rewards=files["transition"],
    )
    theirs = storm_values(model, 'R=? [F "end"]')
    for name in ("m", "storm"):
        assert_allclose(optimum(load(tmp_path / f"{name}.tra", goal="end"))[0], theirs, rtol=RTOL)
        assert_certified(load(tmp_path / f"{name}.tra", goal="end"), theirs)


def test_frozen_lake_without_discount(tmp_path):
    path = tmp_path / "lake.drn"
    save(frozen_lake("4x4"), path)
    path.write_text(path.read_text().replace("state 15 [0] terminal", "state 15 [0] terminal goal"))
    theirs = storm_values(exact_model(path), 'Pmax=? [F "goal"]')
    mdp = load(path, goal="goal", rewards="reach")
    value = np.zeros(16)
    # Under the optimal policy a move ends the episode with probability above 1/100 on average: 20 000 are plenty.
    for _ in range(20_000):
        value = (mdp.r + mdp.P @ value).max(axis=1)
    assert_allclose(value[:15], theirs[:15], rtol=RTOL)
    assert_certified(mdp, theirs)


def test_a_file_that_storm_wrote(tmp_path):
    path, again = tmp_path / "m.drn", tmp_path / "again.drn"
    mdp = stopping_model(7)
    save(mdp, path)
    stormpy.io.export_to_drn(exact_model(path), str(again))
    back = load(again)
    # Storm writes exact fractions here; those of 1/1024 and of our decimals come back to the bit.
    assert np.array_equal(back.P, mdp.P)
    assert np.array_equal(back.r, mdp.r)
    assert np.array_equal(back.terminal, mdp.terminal)
