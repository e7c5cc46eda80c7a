"""What a terminal shows: a run's progress on a screen and on a pipe, tables, and numbers that JSON can hold."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from mdplab.claims.decision import reading
from mdplab.claims.result import ArmResult, ClaimResult
from mdplab.claims.runner import Event
from mdplab.models import MDP, Certificate, Solution
from mdplab.report.lemmas import check_lemmas
from mdplab.report.terminal import RunDisplay, finite, print_solution, print_verdicts, verdict_picture, verdict_table

RESULT = ClaimResult(
    "smith2027:x", "smith2027", "x", "Theorem 1", "x", "Bound", "REFUTED", "why", "VERIFIED", False,
    slack=1.5, refutable_factor=0.5,
    arms=(ArmResult("falsifier:a", "falsifier", "refuted", "refuted"),),
)  # fmt: skip


def _run(terminal):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=120, highlight=False)
    with RunDisplay(console) as display:
        display.event(Event("plan", "smith2027:x", done=0, total=2))
        display.event(Event("started", "smith2027:x", "main", 0, done=0, total=2))
        display.event(Event("failed", "smith2027:x", "main", 0, done=1, total=2, text="boom", detail="line 7"))
        display.event(Event("claim", "smith2027:x", done=2, total=2, result=RESULT))
    return screen.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_is_shown(terminal):
    shown = _run(terminal)
    for word in ("smith2027:x", "boom", "line 7", "REFUTED", "VERIFIED"):
        assert word in shown


def test_on_a_pipe_what_later_claims_may_decide_is_not_called_a_surprise():
    screen = io.StringIO()
    waits = replace(RESULT, verdict="INCONCLUSIVE", expected="CONSISTENT")
    with RunDisplay(Console(file=screen, force_terminal=False, width=120, highlight=False, emoji=False)) as display:
        display.event(Event("claim", "smith2027:x", done=2, total=2, result=waits))
    assert screen.getvalue() == "smith2027:x: undecided so far\n"


def test_the_bar_leaves_room_for_the_echo_of_an_interrupt():
    screen = io.StringIO()
    display = RunDisplay(Console(file=screen, force_terminal=True, width=80, color_system=None))
    display.event(Event("claim", "smith2027:" + "x" * 90, done=1, total=3, result=RESULT))
    display.console.print(display._picture())
    assert len(screen.getvalue().rstrip("\n").splitlines()[-1].rstrip()) <= 77


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_narrow_tables_lose_columns_and_never_ids_verdicts_or_digits(width):
    long = "fatkhullin2023:estimator_rate_everywhere"
    record = {
        **RESULT.to_json(),
        "id": long,
        "theorem": "N-PG-IGT theorem, error of the direction",
        "verdict": "REFUTED",
    }
    as_expected = {**record, "as_expected": True}
    screen = io.StringIO()
    Console(file=screen, width=width).print(verdict_table([as_expected, as_expected], width=width))
    head, first, second = screen.getvalue().splitlines()
    assert first == second and len(first.rstrip()) <= width
    assert long in first and "REFUTED" in first
    assert ("slack" in head) == ("1.5" in first) and "…" not in first.replace("N-PG-IGT", "").split("REFUTED")[1]
    assert ("theorem" in head and "refutable at" in head) or width < 140


@pytest.mark.parametrize("width", [60, 80, 140])
def test_slopes_follow_the_verdicts_and_keep_their_interval_and_window(width):
    slope = reading("exponent, average of 24 instances", 0.4021, (0.3917, 0.4125), 0.36, window=(512, 8192))
    arms = tuple(ArmResult(name, "main", "accepted", decision={"statistics": {"readings": [slope]}})
                 for name in ("main", "two-start"))  # fmt: skip
    other = {**RESULT.to_json(), "id": "smith2027:no_slope"}
    screen = io.StringIO()
    console = Console(file=screen, width=width, highlight=False)
    print_verdicts(console, [replace(RESULT, arms=(*arms, *RESULT.arms)).to_json(), other])
    verdicts, slopes = screen.getvalue().split("\n\n")
    assert "smith2027:no_slope" in verdicts and "smith2027:no_slope" not in slopes
    assert max(map(len, slopes.splitlines())) <= width and "…" not in slopes
    for text in ("0.402", "[0.392, 0.412]", "512 – 8,192"):
        assert slopes.count(text) == 2
    assert "two-start" in slopes and "smith2027:x" in slopes
    assert slopes.count("0.36") == (2 if width > 60 else 0)


def test_without_slopes_there_is_the_table_and_why_a_claim_surprised():
    screen = io.StringIO()
    print_verdicts(Console(file=screen, width=100, emoji=False), [RESULT.to_json()])
    assert screen.getvalue().splitlines()[2:] == ["smith2027:x: why"]
    screen = io.StringIO()
    print_verdicts(Console(file=screen, width=100, emoji=False), [RESULT.to_json() | {"as_expected": True}])
    assert len(screen.getvalue().splitlines()) == 2


def test_what_a_claim_was_not_applicable_for_is_printed_even_if_expected():
    screen = io.StringIO()
    changes = {"verdict": "NOT-APPLICABLE", "as_expected": True, "reason": "the smallest eigenvalue of [F] is 1.0e-17"}
    print_verdicts(Console(file=screen, width=60, emoji=False), [RESULT.to_json() | changes])
    assert screen.getvalue().splitlines()[-1] == "smith2027:x: the smallest eigenvalue of [F] is 1.0e-17"


@pytest.mark.parametrize("terminal", [True, False])
def test_of_many_failures_one_is_shown_and_the_others_are_counted(terminal):
    screen = io.StringIO()
    with RunDisplay(Console(file=screen, force_terminal=terminal, width=120, highlight=False)) as display:
        for i in range(40):
            display.event(
                Event("failed", "smith2027:x", "main", i, done=i + 1, total=40, text=f"boom {i}", detail="line 7")
            )
        display.event(Event("claim", "smith2027:x", done=40, total=40, result=RESULT))
    shown = screen.getvalue()
    assert shown.count("boom") == 1 and shown.count("line 7") == 1
    assert "39 more tasks of it failed" in shown


def test_the_picture_is_stable_and_loads_nothing():
    picture = verdict_picture([RESULT.to_json()])
    assert picture == verdict_picture([RESULT.to_json()])
    assert "font-face" not in picture and "REFUTED" in picture


def test_solutions_are_shown_with_names_and_grounds():
    mdp = MDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.9, states=["here", "there"])
    mixed = Solution(
        np.array([1.0, 0.0]), np.ones((2, 1)), Certificate("discounted", 0.5), "m", 3, 0.1, reason="why [x]"
    )
    screen = io.StringIO()
    print_solution(Console(file=screen, width=120), mdp, mixed)
    for word in ("here", "there", "0:1", "within 0.5", "why [x]"):
        assert word in screen.getvalue()
    staged = Solution(np.zeros((3, 40)), np.zeros((2, 40), int), Certificate("finite-horizon", 0.0), "b", 2, 0.1)
    print_solution(Console(file=screen, width=120), mdp.replace(states=None), staged)
    assert "first decision of 2" in screen.getvalue() and "16 more states" in screen.getvalue()


def test_json_has_no_word_for_infinity():
    record = {"a": np.array([1.0, np.inf]), "b": float("nan"), "c": (np.int64(3), True, None), "d": {1: "x"}}
    assert json.loads(json.dumps(finite(record), allow_nan=False)) == {
        "a": [1.0, None],
        "b": None,
        "c": [3, True, None],
        "d": {"1": "x"},
    }


def test_a_lemma_that_raises_is_reported(monkeypatch):
    import proofs_check.checked

    def broken():
        raise ZeroDivisionError("no")

    monkeypatch.setattr(proofs_check.checked, "lemmas", lambda keys: {"x:broken": broken})
    (record,) = check_lemmas()
    assert record["ok"] is False and "ZeroDivisionError: no" in record["statement"]
