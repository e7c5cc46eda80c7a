"""`mdplab bench` runs every script of its folder and keeps its rows."""

import io

import pytest
from rich.console import Console

from mdplab.report import benchmarks


def test_every_script_is_run(tmp_path, monkeypatch):
    for name in ("bench_b", "bench_a", "other"):
        (tmp_path / f"{name}.py").write_text(
            f'"""What {name} measures."""\ndef run(quick, out):\n    out("[{name}]")\n    return [dict(quick=quick)]\n'
        )
    monkeypatch.setattr(benchmarks, "FOLDER", tmp_path)
    screen = io.StringIO()
    rows = benchmarks.run_benchmarks(Console(file=screen), quick=True)
    assert rows == [{"benchmark": "bench_a", "quick": True}, {"benchmark": "bench_b", "quick": True}]
    assert "What bench_a measures." in screen.getvalue() and "[bench_b]" in screen.getvalue()


def test_an_installed_package_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmarks, "FOLDER", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no benchmarks; run this in a checkout"):
        benchmarks.run_benchmarks(Console(), quick=True)
