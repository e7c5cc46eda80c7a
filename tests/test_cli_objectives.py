"""`mdplab solve --objective` as a shell sees it."""

import json

import pytest

from mdplab.cli.solve import OBJECTIVES
from mdplab.models import parse_objective

STATES = ["play", "won", "lost", "over"]


@pytest.fixture
def model(tmp_path):
    """From 0: toss a coin, which leads to 1 (then 1) or 2 (then 0), or take 0.375 at once; then it is over."""
    P = [
        [[0, 0.5, 0.5, 0], [0, 0, 0, 1]],
        [[0, 0, 0, 1], [0, 0, 0, 1]],
        [[0, 0, 0, 1], [0, 0, 0, 1]],
        [[0, 0, 0, 1], [0, 0, 0, 1]],
    ]
    r = [[0, 0.375], [1, 1], [0, 0], [0, 0]]
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"P": P, "r": r, "gamma": 1.0, "states": STATES}))
    return path


@pytest.mark.parametrize(
    ("objective", "value", "action"),
    [
        ("cvar:0.5", 0.375, 1),
        ("cvar:1", 0.5, 0),
        ("ocvar:0.5", 1.0, 0),
        ("evar:0.4", 0.375, 1),
        ("utility:tanh", 0.5 * 0.7615941559557649, 0),  # tanh 1
        ("utility:step_at:0.25", 1.0, 1),
        ("utility:ess_inf", 0.375, 1),
        ("mean", 0.5, 0),
    ],
)
def test_value_policy_law_and_certificate(shell, model, objective, value, action):
    arguments = ("solve", model, "--horizon", 3, "--start", "play", "--objective", objective)
    code, out, err = shell(*arguments)
    assert code == 0, err
    assert f"objective {objective.removeprefix('utility:').split(':')[0]}" in out
    assert "law of the return: 1 atom" in out if action else "law of the return: 2 atoms" in out
    assert "within" in out and "of the optimum" in out
    code, out, err = shell(*arguments, "--json", "-")
    answer = json.loads(out)
    # What is printed of a value of state and stage, of a stock, or of the start alone.
    found = answer["value"]
    while isinstance(found, list):
        found = found[0]
    assert abs(found - value) <= answer["certificate"]["gap"] + 1e-15
    assert answer["law"]["x"] == pytest.approx([0.375] if action else [0.0, 1.0], abs=1e-12)  # rounding
    assert answer["law"]["p"] == pytest.approx([1.0] if action else [0.5, 0.5], abs=1e-12)  # rounding
    if "decisions" in answer:
        first = answer["decisions"][0]
        assert (first["stage"], first["state"], first["action"]) == (0, 0, action)


def test_a_target_is_a_stock(shell, model):
    arguments = ("solve", model, "--horizon", 3, "--start", 0, "--objective", "utility:target")
    code, out, _ = shell(*arguments, "--stock", -0.375)
    assert code == 0
    assert "value 0 from the start, with initial stock -0.375" in out
    code, out, _ = shell(*arguments, "--stock", -2)
    assert "value -1.5 from the start, with initial stock -2" in out


def test_states_without_a_start_are_listed(shell, model):
    code, out, _ = shell("solve", model, "--horizon", 3, "--objective", "utility:target", "--stock", -1)
    assert code == 0
    assert "won" in out and "there is no start; give --start" in out
    code, out, _ = shell("solve", model, "--gamma", 0.9, "--objective", "nested-cvar:0.5")
    assert code == 0
    assert "objective nested-cvar:0.5" in out and "there is no start" in out


@pytest.fixture
def endless(tmp_path):
    """Stay in 0 for 1 with probability 1/2, or be lost in 1; or leave at once."""
    P = [[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]
    path = tmp_path / "endless.json"
    path.write_text(json.dumps({"P": P, "r": [[1.0, 0.5], [0.0, 0.0]], "gamma": 0.5}))
    return path


def test_without_a_horizon_stocks_lie_on_a_grid(shell, endless):
    arguments = ("solve", endless, "--start", 0, "--certify", "float", "--objective")
    code, out, _ = shell(*arguments, "cvar:0.2")
    assert code == 0
    assert "action by stock" in out and "law of the return" in out and "stocks lie on a grid" in out
    code, out, _ = shell(*arguments, "cvar:0.75", "--stock-step", 0.125, "--json", "-")
    answer = json.loads(out)
    assert (code, answer["certificate"]["kind"], answer["referee"]["ok"]) == (0, "static-cvar", True)
    # Always staying gives 1, 1.5, 1.75, ... with probabilities 1/2, 1/4, 1/8, ...: the worst 3/4 are the first two.
    assert abs(answer["value"][0] - (0.5 * 1 + 0.25 * 1.5) / 0.75) <= answer["certificate"]["gap"] <= 0.1
    assert answer["law"]["x"][0] == 1.0 and answer["grid"][1] - answer["grid"][0] == 0.125
    code, out, _ = shell(*arguments, "utility:target", "--stock", -1.5, "--json", "-")
    answer = json.loads(out)
    # Lost after 1, lost after 1.5, or else leaving with 0.125 more.
    assert code == 0 and answer["law"]["x"] == [1.0, 1.5, 1.625]
    assert answer["law"]["p"] == [0.5, 0.25, 0.25]


def test_what_a_grid_cannot_optimise_is_refused_even_as_a_heuristic(shell, endless):
    for more in ((), ("--heuristic",)):
        code, out, err = shell("solve", endless, "--start", 0, "--objective", "utility:tanh", *more)
        assert (code, out) == (2, "")
        assert "tanh has no alpha" in err and "; a horizon makes it exact" in err


def test_a_model_that_always_ends_needs_no_horizon(shell, model):
    code, out, _ = shell("solve", model, "--start", "play", "--objective", "cvar:0.5")
    assert code == 0
    assert "every policy ends within a bounded time" in out and "value 0.375 from the start" in out


def test_what_theory_does_not_cover_is_refused_or_labelled(shell, model):
    arguments = ("solve", model, "--horizon", 3, "--start", 0, "--objective", "utility:median")
    code, out, err = shell(*arguments)
    assert (code, out) == (2, "")
    assert "median is not indifferent to mixtures" in err and "--heuristic" in err
    code, out, _ = shell(*arguments, "--heuristic")
    assert code == 0
    assert "heuristic, not known to be optimal: median is not indifferent to mixtures" in out
    assert "no certificate" in out
    code, out, _ = shell(*arguments, "--heuristic", "--certify", "float", "--json", "-")
    answer = json.loads(out)
    assert (code, answer["status"], answer["referee"]["ok"]) == (1, "heuristic", False)
    assert answer["certificate"]["gap"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--objective", "cvar:0", "--start", "0"], "tau is 0; expected a number in (0, 1]"),
        (["--objective", "cvar:1.5", "--start", "0"], "tau is 1.5; expected a number in (0, 1]"),
        (["--objective", "evar:2", "--start", "0"], "level is 2; expected a number in (0, 1]"),
        (["--objective", "entropic:0"], "beta is 0"),
        (["--objective", "utility:targt"], "unknown functional 'targt'; nearest: target"),
        (["--objective", "worst"], "objective is 'worst'; expected mean, cvar:TAU"),
        (["--objective", "cvar:0.5"], "start is missing: cvar:0.5 is of the return from one start"),
        (
            ["--objective", "cvar:0.5", "--start", "4"],
            "--start is '4'; expected a state's number, below 4",
        ),
        (["--objective", "cvar:0.5", "--start", "here"], "--start is 'here'"),
        (["--objective", "cvar:0.5", "--start", "0", "--stock", "1"], "--stock is 1; cvar:0.5 chooses its own"),
        (
            ["--objective", "cvar:0.5", "--start", "0", "--stock-step", "0.1"],
            "stock_step is 0.1, but static_cvar",
        ),
        (["--objective", "evar:0.5", "--start", "0", "--stock-step", "0.1"], "stock_step is 0.1, but evar:0.5"),
        (["--objective", "cvar:0.5", "--start", "0", "--method", "policy_iteration"], "a StockMDP is solved by"),
        (["--objective", "cvar:0.5", "--robust", "l1", "--radius", "1"], "goes with neither --robust nor"),
        (["--objective", "cvar:0.5", "--criterion", "average"], "goes with neither --robust nor --criterion"),
        (["--start", "0"], "--start is for an objective beyond the mean"),
        (["--stock-step", "0.1"], "--stock-step is for an objective"),
        (["--heuristic"], "--heuristic is for an objective"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(shell, model, arguments, said):
    code, out, err = shell("solve", model, "--horizon", 3, *arguments)
    assert (code, out) == (2, "")
    assert said in err and err.startswith("mdplab: ") and err.count("\n") == 1


def test_gamma_one_needs_an_end(shell, tmp_path):
    path = tmp_path / "loop.json"
    path.write_text(
        json.dumps({"P": [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0]] * 2], "r": [[1, 0], [0, 0]], "gamma": 1.0})
    )
    code, out, err = shell("solve", path, "--start", 0, "--objective", "cvar:0.5")
    assert (code, out) == (2, "")
    assert "gamma is 1 and some policy may never end; give a horizon" in err


def test_help_names_what_is_parsed():
    examples = {"TAU": "0.5", "LEVEL": "0.5", "BETA": "1", "NAME[:PARAMETER]": "tanh"}
    for one in OBJECTIVES.replace(" or ", ", ").split(", "):
        kind, _, parameter = one.partition(":")
        assert parse_objective(f"{kind}:{examples[parameter]}" if parameter else kind) is not None
