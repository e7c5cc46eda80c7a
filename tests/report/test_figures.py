"""Figures: the same table gives the same bytes, and a table that fits no figure is refused by name."""

import numpy as np
import pytest

from mdplab.report.figures import check_table, differences, draw, from_csv, to_csv, write_atomically

T = np.array([1.0, 10.0, 100.0])
TABLE = {"t": T, "error": 1 / T, "error_lo": 0.5 / T, "error_hi": 2 / T, "bound": 5 / T}


@pytest.mark.parametrize("kind", ["rate", "band", "cdf"])
def test_lines_are_byte_stable(kind):
    first, second = (draw(TABLE, name="x", kind=kind, title="t", footer="id, Theorem 1") for _ in range(2))
    assert first == second and first.startswith("<?xml")
    assert draw({**TABLE, "error": 1.1 / T}, name="x", kind=kind) != first


def test_phase_fills_its_grid():
    x, y = np.meshgrid([1.0, 2.0, 3.0], [1.0, 2.0])
    table = {"x": x.ravel(), "y": y.ravel(), "value": (x * y).ravel()}
    assert "<svg" in draw(table, name="p", kind="phase")
    with pytest.raises(ValueError, match="5 rows do not fill the 3 by 2 grid"):
        draw({key: column[:5] for key, column in table.items()}, name="p", kind="phase")


def test_custom_needs_a_function():
    assert "<svg" in draw(TABLE, name="x", kind="custom", custom=lambda ax, table: ax.plot(table["t"]))
    with pytest.raises(ValueError, match=r"needs draw_x\(ax, table\)"):
        draw(TABLE, name="x", kind="custom")
    with pytest.raises(ValueError, match="kind is 'pie'"):
        draw(TABLE, name="x", kind="pie")


def test_csv_gives_back_the_same_numbers():
    table = {"t": T, "error": np.array([1 / 3, np.nan, 1e-300])}
    back = from_csv(to_csv(check_table(table, "x")))
    assert differences(check_table(table, "x"), back, rtol=0) == []


def test_differences_are_named():
    columns = check_table(TABLE, "x")
    changed = {**columns, "error": columns["error"] * np.array([1, 1, 1.01])}
    assert differences(columns, changed, rtol=1e-9) == ["column error, row 2: 0.0101, was 0.01"]  # a planted per cent
    assert differences(columns, {"t": T}, rtol=1e-9)[0].startswith("columns are ['t']")  # any tolerance refuses this


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"t": T}, "has 1 columns"),
        ({"t": T, "error": T[:2]}, "column 'error' has 2 rows, expected 3"),
        ({"t": np.zeros(500), "error": np.zeros(500)}, "has 500 rows"),
    ],
)
def test_bad_tables(table, message):
    with pytest.raises(ValueError, match=message):
        check_table(table, "x")


def test_a_torn_file_is_named_by_line():
    with pytest.raises(ValueError, match=r"data\.csv:3: 1 fields, expected 2"):
        from_csv("a,b\n1,2\n3\n", "data.csv")


def test_writing_leaves_the_old_file_on_failure(tmp_path):
    target = tmp_path / "folder" / "x.svg"
    write_atomically(target, "old")
    assert target.read_text() == "old"
    with pytest.raises(ValueError, match="cannot be written"):
        write_atomically(target / "below-a-file.svg", "new")
    assert target.read_text() == "old" and [p.name for p in target.parent.iterdir()] == ["x.svg"]
