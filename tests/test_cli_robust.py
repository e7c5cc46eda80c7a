"""`mdplab solve --robust` as a shell sees it."""

import json

import numpy as np
import pytest

from mdplab.cli.solve import ROBUST_SETS
from mdplab.models.uncertainty import SETS


@pytest.fixture
def model(tmp_path):
    """Stay in 0 for 1 with probability 1/2, or be lost in 1."""
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"P": [[[0.5, 0.5]], [[0.0, 1.0]]], "r": [[1.0], [0.0]], "gamma": 0.9}))
    return path


def test_value_policy_certificate_and_worst_case_are_printed(shell):
    pytest.importorskip("gymnasium")
    arguments = ("--gamma", "0.99", "--robust", "l1", "--radius", "0.1", "--rectangularity", "s")
    code, out, _ = shell("solve", "gym:FrozenLake-v1", *arguments, "--certify", "float")
    assert code == 0
    assert "0:0.333 1:0.333 2:0.333" in out  # three directions are equally good, or bad, in the first state
    assert "certificate robust: value and policy within" in out
    assert "worst case in the s-rectangular set l1, mass on any state" in out
    assert "re-derived" in out


def test_json_holds_the_worst_case(shell, model):
    code, out, err = shell("solve", model, "--robust", "l1", "--radius", "0.2", "--json", "-", "--certify", "float")
    answer = json.loads(out)
    assert code == 0
    assert answer["certificate"]["kind"] == "robust" and answer["referee"]["ok"]
    # Nature moves 0.1 to the state without rewards: 1 / (1 - 0.9 * 0.4).
    assert abs(answer["value"][0] - 1 / 0.64) <= answer["certificate"]["gap"]
    first = answer["worst_case"][0]
    assert (first["state"], first["action"], first["next"]) == (0, 0, [0, 1])
    assert first["probability"] == pytest.approx([0.4, 0.6], abs=1e-12)  # half of the radius, rounded
    assert "re-derived" in err


def test_sets_with_more_than_a_radius(shell, model, tmp_path):
    np.save(tmp_path / "w.npy", np.array([1.0, 2.0]))
    np.save(tmp_path / "radius.npy", np.array([0.3, 0.0]))
    np.save(tmp_path / "k.npy", np.array([[[[0.5, 0.5]], [[0.0, 1.0]]], [[[0.2, 0.8]], [[0.0, 1.0]]]]))
    np.save(tmp_path / "lo.npy", np.array([[[0.2, 0.0]], [[0.0, 0.0]]]))
    np.save(tmp_path / "hi.npy", np.ones((2, 1, 2)))
    # What nature leaves of the half in state 0, whose value is then 1 / (1 - 0.9 times it).
    for arguments, left in (
        (("weighted_l1", "--radius", "0.3", "--weights", "w.npy"), 0.4),
        (("l1", "--radius", "radius.npy"), 0.35),
        (("wasserstein", "--radius", "0.2", "--cost", "line"), 0.3),
        (("wasserstein", "--radius", "0.2", "--cost", "discrete", "--rectangularity", "s"), 0.3),
        (("models", "--kernels", "k.npy"), 0.2),
        (("interval", "--lo", "lo.npy", "--hi", "hi.npy"), 0.2),
        (("contamination", "--radius", "0.2"), 0.4),
        (("cvar", "--level", "0.625"), 0.2),
        (("cvar", "--radius", "0.625"), 0.2),  # the level goes by either name
        (("soft_tv", "--temperature", "100"), 0.5),
        (("noise", "--radius", "0.2", "--order", "1", "--support", "nominal"), 0.4),
        (("linf", "--radius", "0.1", "--support", "nominal"), 0.4),
    ):
        code, out, err = shell("solve", model, "--json", "-", "--robust", *arguments)
        assert code == 0, err
        answer = json.loads(out)
        assert abs(answer["value"][0] - 1 / (1 - 0.9 * left)) <= answer["certificate"]["gap"], arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--robust", "l3", "--radius", "1"], "robust is 'l3'; expected one of l1, tv"),
        (["--robust", "l1"], "radius is missing: a set 'l1' needs it"),
        (["--robust", "l1", "--radius", "-0.1"], "radius is -0.1; expected finite and at least 0"),
        (["--robust", "l1", "--radius", "much"], "radius is 'much'; expected a number or a .npy file"),
        (["--robust", "l1", "--radius", "missing.npy"], "radius: missing.npy cannot be read"),
        (["--robust", "l1", "--radius", "m.npy"], "radius has shape (3,)"),
        (["--robust", "l1", "--radius", "0.1", "--rectangularity", "sas"], "rectangularity is 'sas'"),
        (
            ["--robust", "cvar", "--level", "0.5", "--rectangularity", "s"],
            "rectangularity is 's'; for CVaRSet it is 'sa'",
        ),
        (["--robust", "kl", "--radius", "0.1", "--support", "all"], "support is 'all'"),
        (["--robust", "kl", "--radius", "0.1", "--cost", "line"], "cost is 'line', but a set 'kl' takes"),
        (["--robust", "wasserstein", "--radius", "0.1"], "cost is missing"),
        (["--robust", "wasserstein", "--radius", "0.1", "--cost", "far"], "expected a number or a .npy file, line or"),
        (["--robust", "l1", "--radius", "0.1", "--gamma", "1"], "gamma 1"),
        (["--robust", "l1", "--radius", "0.1", "--method", "value_iteration"], "a RobustMDP is solved by"),
        (["--robust", "l1", "--radius", "0.1", "--tol", "1e-17"], "least that can be certified"),
        (["--radius", "0.1"], "--radius is for a robust model"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(shell, model, tmp_path, arguments, said):
    np.save(tmp_path / "m.npy", np.ones(3))
    code, out, err = shell("solve", model, *arguments)
    assert code == 2
    assert out == ""
    assert said in err and err.startswith("mdplab: ") and err.count("\n") == 1


def test_help_names_every_set():
    assert set(ROBUST_SETS.replace(" or ", ", ").split(", ")) == {*SETS}
