"""The notebooks run from top to bottom, and keep the house's rule that a window computes nothing of its own."""

import ast

import house
import pytest

from mdplab.report.notebooks import execute

PATHS = sorted((house.ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
# Jupyter's own packages warn about each other's deprecations; what the notebooks do runs in another process.
@pytest.mark.filterwarnings("ignore")
def test_it_runs(path):
    pytest.importorskip("nbclient")
    execute(path, write=False)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_long_functions_and_committed_executed(path):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        source = "\n".join(line for line in cell.source.splitlines() if not line.startswith(("%", "!")))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 6, f"{node.name} belongs in the package"
    assert any(cell.outputs for cell in code), "run python -m mdplab.report.notebooks"
    errors = [out for cell in code for out in cell.outputs if out.output_type == "error"]
    assert errors == []


def test_the_walk_through_shows_each_verdict_that_it_talks_of():
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(house.ROOT / "notebooks" / "01_add_a_paper.ipynb", as_version=4)
    said = [out.text for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs if "text" in out]
    assert [text.split()[0] for text in said if text.split()[0].isupper()] == ["REFUTED", "INVALID-CHECK"]


def test_a_failing_cell_is_named(tmp_path):
    from mdplab.report.scaffold import notebook_text

    bad = tmp_path / "bad.ipynb"
    bad.write_text(notebook_text([("code", "1 / 0")]))
    with pytest.raises(ValueError, match=r"(?s)bad\.ipynb.*ZeroDivisionError"):
        execute(bad, write=False)
