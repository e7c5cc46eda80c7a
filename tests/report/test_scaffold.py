"""`mdplab new` in a checkout: four new files, none edited, and lint, lemma and notebook are sound as they come."""

import importlib.util
import json
import subprocess
import sys

import pytest

from mdplab.report.scaffold import new_paper


@pytest.fixture
def checkout(tmp_path):
    for folder in ("mdplab/papers", "paper_configs", "proofs_check", "notebooks"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_four_new_files(checkout):
    written = [str(path.relative_to(checkout)) for path in new_paper("smith2027", checkout)]
    assert written == [
        "mdplab/papers/smith2027.py",
        "paper_configs/smith2027.toml",
        "proofs_check/smith2027.py",
        "notebooks/smith2027.ipynb",
    ]
    assert json.loads((checkout / written[3]).read_text())["nbformat"] == 4
    lint = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--select",
            "E,F,W",
            "--line-length",
            "120",
            str(checkout),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout


def test_the_lemma_holds_and_can_fail(checkout):
    path = new_paper("smith2027", checkout)[2]
    spec = importlib.util.spec_from_file_location("lemmas_of_smith2027", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.lemma_max_is_nonexpansive().ok
    assert not module.lemma_max_is_nonexpansive(**module.FALSIFIED["max_is_nonexpansive"]).ok


def test_nothing_is_overwritten(checkout):
    card = checkout / "paper_configs" / "smith2027.toml"
    card.write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        new_paper("smith2027", checkout)
    assert card.read_text() == "mine"
    assert not (checkout / "mdplab/papers/smith2027.py").exists()


@pytest.mark.parametrize("key", ["Smith2027", "smith", "smith20271x", "../smith2027", ""])
def test_bad_keys(checkout, key):
    with pytest.raises(ValueError, match="key is"):
        new_paper(key, checkout)
