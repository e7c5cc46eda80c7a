"""What is taken out of a notebook before it is committed, so that running it again changes nothing."""

import pytest

from mdplab.report.notebooks import strip


def test_what_changes_from_run_to_run_is_taken_out():
    nbformat = pytest.importorskip("nbformat")
    v4 = nbformat.v4
    data = {"text/plain": "Solution(seconds=0.123)", "image/svg+xml": "<svg><dc:date>2026-11-21</dc:date></svg>"}
    shown = v4.new_output("execute_result", data=data, execution_count=7)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[shown], execution_count=7)])
    (cell,) = strip(notebook).cells
    assert cell.execution_count is None
    assert cell.outputs[0].data == {"text/plain": "Solution(seconds=...)", "image/svg+xml": "<svg><dc:date/></svg>"}
    nbformat.validate(notebook)
