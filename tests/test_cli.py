"""The command line as a shell sees it: exit codes, one-line errors, JSON on standard output and nothing else there."""

import json
import socket
import sqlite3

import numpy as np
import pytest


def _model(path, **changes):
    model = {"P": [[[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]], "r": [[1.0, 0.0], [0.0, 0.5]], "gamma": 0.9}
    path.write_text(json.dumps({**model, **changes}))
    return path


def test_solve_writes_what_design_promises(shell, tmp_path):
    code, out, err = shell("solve", _model(tmp_path / "m.json"), "--json", "-", "--certify", "exact")
    answer = json.loads(out)
    assert code == 0
    assert {"value", "policy", "certificate", "method", "num_iters", "seconds"} <= set(answer)
    assert {"kind", "gap"} <= set(answer["certificate"])
    assert answer["certificate"]["gap"] <= 1e-6  # the default tolerance
    assert answer["referee"]["ok"] and answer["referee"]["proof"]["optimal"]
    # staying in 0 for 1 and coming back from 1 at once: V0 = 1 + 0.9 (V0 + V1) / 2, V1 = 0.9 V0
    assert abs(answer["value"][0] - 1 / 0.145) <= answer["certificate"]["gap"]
    assert "PROVED" in err


def test_a_markov_game_in_a_file_is_solved(shell, tmp_path):
    """One state, [[2, -1], [-1, 1]], gamma 1/2: worth 0.2 / (1 - 1/2) at (2/5, 3/5) for both players."""
    path = tmp_path / "game.json"
    game = {"R": [[[2.0, -1.0], [-1.0, 1.0]]], "T": [[[[1.0], [1.0]], [[1.0], [1.0]]]], "gamma": 0.5}
    path.write_text(json.dumps(game))
    code, out, _ = shell("solve", path, "--json", "-", "--certify", "exact")
    answer = json.loads(out)
    assert code == 0 and answer["referee"]["ok"] and answer["certificate"]["kind"] == "markov-game"
    assert abs(answer["value"][0] - 0.4) <= answer["certificate"]["gap"]
    np.testing.assert_allclose([answer["policy"][0], answer["column"][0]], [[0.4, 0.6]] * 2, atol=1e-9)  # an LP vertex
    assert shell("solve", path, "--robust", "l1", "--radius", "0.1")[0] == 2


def test_frozen_lake_is_proved_optimal(shell):
    pytest.importorskip("gymnasium")
    code, out, _ = shell("solve", "gym:FrozenLake-v1", "--gamma", "0.99", "--certify", "exact")
    assert code == 0
    assert "optimality: PROVED" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["solve", "missing.json"], "missing.json"),
        (["solve", "m.json", "--gamma", "1.5"], "gamma is 1.5"),
        (["solve", "m.json", "--tol", "0"], "tol is 0"),
        (["solve", "m.json", "--tol", "nan"], "tol is nan"),
        (["solve", "m.json", "--method", "magic"], "magic"),
        (["solve", "m.json", "--certify", "maybe"], "--certify is 'maybe'"),
        (["solve", "m.json", "--gamma", "0.999999999", "--tol", "1e-12"], "gap"),
        (["verify", "nosuchpaper2020"], "nosuchpaper2020"),
        (["verify", "--profile", "huge"], "huge"),
        (["show", "munos2032"], "munos2023"),
        (["figures", "nosuchpaper2020"], "nosuchpaper2020"),
        (["figures", "--redraw", "--check"], "exclude each other"),
        (["prove", "nosuchpaper2020"], "nosuchpaper2020"),
        (["report"], "no run is recorded"),
        (["new", "Not A Key"], "key is 'Not A Key'"),
        (["new", "example2000", "--folder", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(shell, tmp_path, arguments, said):
    _model(tmp_path / "m.json")
    code, out, err = shell(*arguments)
    assert code == 2
    assert out == ""
    assert said in err and err.startswith("mdplab: ") and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"], "nothing is written on bad input"


def test_an_id_is_not_read_as_an_emoji(capsys):
    from mdplab.cli import open_console

    open_console().print("li2024:envelope: VERIFIED")
    assert capsys.readouterr().out == "li2024:envelope: VERIFIED\n"


def test_usage_errors_are_exit_code_two(shell):
    assert shell("solve")[0] == 2
    assert shell("nosuchcommand")[0] == 2


def test_a_wrong_answer_is_exit_code_one(shell, tmp_path, monkeypatch):
    from mdplab import exact

    honest = exact.solve

    def liar(problem, **options):
        solution = honest(problem, **options)
        return type(solution)(
            solution.value, 1 - np.asarray(solution.policy), solution.certificate, "liar", 1, 0.0
        )  # the opposite of the optimal policy, with the optimal one's certificate

    monkeypatch.setattr(exact, "solve", liar)
    code, out, _ = shell("solve", _model(tmp_path / "m.json"), "--certify", "exact")
    assert code == 1
    assert "REFUSED" in out and "REFUTED" in out


def test_json_to_a_file_that_cannot_be_written(shell, tmp_path):
    code, _, err = shell("solve", _model(tmp_path / "m.json"), "--json", tmp_path / "m.json" / "x.json")
    assert code == 2
    assert "cannot be written" in err


def test_new_paper_in_a_folder_of_ones_own(shell, tmp_path, monkeypatch):
    code, _, _ = shell("new", "example2000")
    assert code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["example2000.py", "example2000.toml"]
    again, _, err = shell("new", "example2000")
    assert again == 2 and "exists already" in err
    monkeypatch.setenv("MDPLAB_PAPERS", str(tmp_path))
    code, out, _ = shell("verify", "example2000", "--workers", "1", "--report", "report")
    assert code == 0, out
    assert "VERIFIED" in out
    assert "example2000:contraction" in (tmp_path / "report" / "index.html").read_text()
    code, out, _ = shell("show", "example2000:contraction")
    assert code == 0 and "VERIFIED" in out and "wrong_discount" in out


def test_an_unexpected_verdict_is_exit_code_one(shell, tmp_path, monkeypatch):
    shell("new", "example2000")
    card = tmp_path / "example2000.toml"
    card.write_text(card.read_text().replace('"verified"', '"refuted"'))
    monkeypatch.setenv("MDPLAB_PAPERS", str(tmp_path))
    code, out, _ = shell("verify", "example2000", "--workers", "1", "--json", "verdicts.json")
    assert code == 1 and "not as expected" in out
    record = json.loads((tmp_path / "verdicts.json").read_text())
    assert record["ok"] is False and record["results"][0]["expected"] == "REFUTED"


def test_a_malformed_card_is_named_by_file_and_line(shell, tmp_path, monkeypatch):
    shell("new", "example2000")
    card = tmp_path / "example2000.toml"
    lines = card.read_text().splitlines()
    number = next(i for i, line in enumerate(lines, start=1) if line.startswith("gamma"))
    card.write_text("\n".join(line.replace("gamma", "gama") for line in lines) + "\n")
    monkeypatch.setenv("MDPLAB_PAPERS", str(tmp_path))
    code, out, err = shell("verify", "example2000")
    assert (code, out) == (2, "")
    assert f"example2000.toml:{number}: profiles.quick.gama is unknown; expected one of" in err
    assert not (tmp_path / ".mdplab").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("from mdplab.exact import no_such_solver", "ImportError: cannot import name 'no_such_solver'"),
        ("import nosuchpackage", "ModuleNotFoundError: No module named 'nosuchpackage'"),
        ("claim('S', 'x', relation=None)", "TypeError: claim() missing 1 required keyword-only argument: 'falsifiers'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named_by_file_and_line(shell, tmp_path, monkeypatch, line, said):
    shell("new", "example2000")
    module = tmp_path / "example2000.py"
    lines = module.read_text().splitlines()
    number = next(i for i, text in enumerate(lines) if text.startswith("class Params")) - 1
    module.write_text("\n".join([*lines[:number], line, *lines[number:]]) + "\n")
    monkeypatch.setenv("MDPLAB_PAPERS", ".")
    code, out, err = shell("verify", "example2000")
    assert (code, out) == (2, "")
    assert f"example2000.py:{number + 1}: {said}" in err and err.startswith("mdplab: ") and err.count("\n") == 1
    # The mended module is read afresh.
    module.write_text("\n".join(lines) + "\n")
    assert shell("list", "example2000")[0] == 0


def test_a_store_from_a_newer_version_is_refused(shell, tmp_path, monkeypatch):
    shell("new", "example2000")
    monkeypatch.setenv("MDPLAB_PAPERS", str(tmp_path))
    newer = tmp_path / "newer.sqlite"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    before = newer.read_bytes()
    code, out, err = shell("verify", "example2000", "--workers", "1", "--store", newer)
    assert (code, out) == (2, "")
    assert "newer.sqlite has format 99, written by a newer mdplab" in err
    assert newer.read_bytes() == before


def test_no_scheduler_at_that_address(shell, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    shell("new", "example2000")
    monkeypatch.setenv("MDPLAB_PAPERS", str(tmp_path))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    code, out, err = shell("verify", "example2000", "--scheduler", f"tcp://127.0.0.1:{port}")
    assert (code, out) == (2, "")
    assert f"tcp://127.0.0.1:{port}" in err and err.count("\n") == 1
