"""Commands that run claims, as a person or a pipe meets them: plans, full profile, interrupts, JSON alone on stdout."""

import json
import os
import signal
import subprocess
import sys

import pytest
from claims.toy import write_paper

# Run from the background of a shell, the tests themselves ignore interrupts, and so would what they start.
COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from mdplab.cli import main; sys.argv[0] = 'mdplab'; main()"
)


@pytest.fixture
def shell(shell, monkeypatch, tmp_path):
    """Run a command line beside the toy paper; returns (exit code, stdout, stderr)."""
    papers = tmp_path / "papers"
    papers.mkdir()
    write_paper(papers)
    monkeypatch.setenv("MDPLAB_PAPERS", str(papers))
    return shell


def test_plan_shows_what_can_be_decided_and_what_cannot(shell):
    code, out, err = shell("plan", "toy2000:rate", "toy2000:unclear", "toy2000:small", "--workers", "1")
    assert code == 0 and err == ""
    table = {line.split()[0]: line for line in out.splitlines() if line.startswith("toy2000")}
    assert "RATE-G1" in table["toy2000:rate"] and "95%" in table["toy2000:rate"] and "12 x 8" in table["toy2000:rate"]
    assert "exact" in table["toy2000:small"]
    assert "toy2000:unclear: INCONCLUSIVE(budget): cannot reach 80% power" in out
    assert "2 of 3 claims can be decided" in out


def test_plan_as_json_is_alone_on_standard_output(shell):
    code, out, _ = shell("plan", "toy2000:rate", "toy2000:broken", "--workers", "1", "--json", "-")
    rate, broken = json.loads(out)
    assert code == 0
    assert rate["feasible"] and rate["power"]["needed"][1] == 8 and rate["minutes"] > 0
    assert broken["minutes"] is None and "no such number" in broken["statement"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "toy2000:rat"], "nearest: toy2000:rate"),
        (["plan", "toy2000", "--minutes", "0"], "minutes is 0"),
        (["plan", "toy2000", "--profile", "huge"], "profile is 'huge'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(shell, tmp_path, arguments, said):
    code, out, err = shell(*arguments)
    assert (code, out) == (2, "")
    assert said in err and err.startswith("mdplab: ") and err.count("\n") == 1
    assert not (tmp_path / ".mdplab").exists(), "nothing is written on bad input"


def test_a_full_run_says_beforehand_what_is_out_of_reach(shell):
    claims = ["toy2000:unclear", "toy2000:rate"]
    code, out, _ = shell("verify", *claims, "--profile", "full", "--workers", "1", "--report", "report")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("toy2000:unclear: INCONCLUSIVE(budget): cannot reach 80% power")
    assert not any("toy2000:rate: INCONCLUSIVE" in line for line in lines)
    assert lines.index("toy2000:unclear: INCONCLUSIVE") > 0
    with open("report/index.html") as page:
        text = page.read()
    assert "<b>Power.</b> 95% power for margin 0.05 with 12 instances x 8 runs" in text
    quick = shell("verify", *claims, "--workers", "1")[1]
    assert "INCONCLUSIVE(budget)" not in quick


def test_json_of_a_run_is_alone_on_standard_output(shell):
    code, out, err = shell("verify", "toy2000:rate", "--profile", "full", "--workers", "1", "--json", "-")
    assert code == 0
    assert json.loads(out)["results"][0]["verdict"] == "CONSISTENT"
    assert "all 1 verdicts as expected" in err


@pytest.mark.skipif(os.name != "posix", reason="interrupts by signal")
def test_an_interrupt_is_one_line_and_loses_nothing(shell, tmp_path):
    write_paper(tmp_path / "papers", pause=0.2)
    arguments = ["verify", "toy2000:rate", "--profile", "full", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments, "toy2000:unclear"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    # The statement on the other claim comes when the pilots are stored; what follows takes seconds.
    assert process.stdout.readline().startswith("toy2000:unclear: INCONCLUSIVE(budget)")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err) == ("", "mdplab: interrupted; what had finished is in the store\n")
    code, out, _ = shell(*arguments, "--json", "-")
    assert code == 0
    assert json.loads(out)["manifest"]["tasks_reused"] >= 4
