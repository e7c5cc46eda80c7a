"""Theory figures in two stages: data (a CSV beside its provenance) and drawing (CSV to SVG, byte-stable).

A paper declares `[figures.<name>]` on its card and defines `figure_<name>(p, rng) -> table` in its module: a mapping of
equally long columns, at most about 200 rows. The first column is the abscissa. A column whose name starts with `bound`
is theory (dashed, black); `<series>_lo` and `<series>_hi` are the 10-90 % band of `<series>`; all others are measured.

| kind | axes | what the columns are |
|---|---|---|
| `rate` | log, log | abscissa, series, bands, bounds |
| `band` | linear, log | abscissa, series, bands, bounds |
| `cdf` | linear, linear | abscissa, and one cumulative distribution a column |
| `phase` | linear, linear | abscissa, ordinate, value on a full grid |
| `custom` | as drawn | the paper module's `draw_<name>(ax, table)` draws it |
"""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MAX_ROWS = 400

# Okabe and Ito's palette, which colour-blind readers can tell apart; black is kept for theory.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F")

_STYLE = {
    "svg.hashsalt": "mdplab",
    "svg.fonttype": "path",
    "figure.figsize": (6.0, 3.9),
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "mathtext.fontset": "dejavusans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def check_table(table: Mapping[str, Any], name: str) -> dict[str, np.ndarray]:
    """The columns as float arrays of one length; ValueError names the figure and the column."""
    columns = {key: np.asarray(value, dtype=np.float64).ravel() for key, value in table.items()}
    if len(columns) < 2:
        raise ValueError(f"figure {name}: has {len(columns)} columns, expected an abscissa and at least one series")
    lengths = {key: column.size for key, column in columns.items()}
    rows = next(iter(lengths.values()))
    for key, size in lengths.items():
        if size != rows:
            raise ValueError(f"figure {name}: column {key!r} has {size} rows, expected {rows}")
    if not 1 <= rows <= MAX_ROWS:
        raise ValueError(f"figure {name}: has {rows} rows, expected 1 to {MAX_ROWS}")
    return columns


def to_csv(columns: Mapping[str, np.ndarray]) -> str:
    """CSV with 17 significant digits, so that reading it back gives the same numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values()):
        writer.writerow(f"{value:.17g}" for value in row)
    return out.getvalue()


def from_csv(text: str, name: str = "table") -> dict[str, np.ndarray]:
    """The columns of a table written by `to_csv`.

    Examples
    --------
    >>> from_csv("t,error\\n1,0.5\\n2,0.25\\n")["error"].tolist()
    [0.5, 0.25]
    """
    rows = list(csv.reader(io.StringIO(text)))
    if len(rows) < 2:
        raise ValueError(f"{name}: holds no rows")
    header, body = rows[0], rows[1:]
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise ValueError(f"{name}:{number}: {len(row)} fields, expected {len(header)}")
    return {key: np.array([float(row[i]) for row in body]) for i, key in enumerate(header)}


def differences(old: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray], rtol: float) -> list[str]:
    """What differs between two tables, a line each; NaN equals NaN."""
    if list(old) != list(new):
        return [f"columns are {list(new)}, were {list(old)}"]
    out = []
    for key in old:
        if old[key].shape != new[key].shape:
            out.append(f"column {key}: {new[key].size} rows, were {old[key].size}")
            continue
        close = np.isclose(old[key], new[key], rtol=rtol, atol=0, equal_nan=True)
        if not close.all():
            row = int(np.argmin(close))
            out.append(f"column {key}, row {row}: {new[key][row]:.17g}, was {old[key][row]:.17g}")
    return out


def _series(columns: Mapping[str, np.ndarray]) -> tuple[str, list[str], list[str]]:
    """(abscissa, measured, bounds) in the order of the table."""
    names = list(columns)
    abscissa, rest = names[0], names[1:]
    bounds = [name for name in rest if name.startswith("bound")]
    bands = {f"{name}_{end}" for name in rest for end in ("lo", "hi")}
    return abscissa, [name for name in rest if name not in bounds and name not in bands], bounds


def _label(name: str, labels: Mapping[str, str]) -> str:
    return labels.get(name, name.replace("_", " "))


def draw_lines(ax: Any, columns: Mapping[str, np.ndarray], labels: Mapping[str, str]) -> None:
    """Measured series solid with their bands, bounds dashed black."""
    abscissa, measured, bounds = _series(columns)
    x = columns[abscissa]
    markers = "o" if x.size <= 16 else None
    for i, name in enumerate(measured):
        colour = PALETTE[i % len(PALETTE)]
        if f"{name}_lo" in columns:
            ax.fill_between(x, columns[f"{name}_lo"], columns[f"{name}_hi"], color=colour, alpha=0.18, linewidth=0)
        ax.plot(
            x, columns[name], color=colour, marker=markers, markersize=3.5, linewidth=1.6, label=_label(name, labels)
        )
    for i, name in enumerate(bounds):
        style = ("--", ":", "-.")[i % 3]
        ax.plot(x, columns[name], color="black", linestyle=style, linewidth=1.3, label=_label(name, labels))
    ax.set_xlabel(_label(abscissa, labels))


def draw_phase(ax: Any, columns: Mapping[str, np.ndarray], labels: Mapping[str, str]) -> None:
    """A value over a full grid of the first two columns."""
    x, y, value = list(columns)[:3]
    xs, ys = np.unique(columns[x]), np.unique(columns[y])
    if xs.size * ys.size != columns[x].size:
        raise ValueError(f"phase figure: {columns[x].size} rows do not fill the {xs.size} by {ys.size} grid")
    order = np.lexsort((columns[x], columns[y]))
    mesh = ax.pcolormesh(xs, ys, columns[value][order].reshape(ys.size, xs.size), cmap="cividis", shading="nearest")
    ax.figure.colorbar(mesh, ax=ax, label=_label(value, labels))
    ax.set_xlabel(_label(x, labels))
    ax.set_ylabel(_label(y, labels))
    ax.grid(visible=False)


def draw(table: Mapping[str, Any], *, name: str, kind: str, title: str = "", xlabel: str = "", ylabel: str = "",
         labels: Mapping[str, str] | None = None, footer: str = "", custom: Any = None) -> str:  # fmt: skip
    """The figure as SVG text, the same bytes for the same table on one machine.

    Parameters
    ----------
    table
        Columns as the module's docstring says.
    name, kind, title, xlabel, ylabel, labels
        From the card; `labels` maps a column to its legend text in the paper's notation.
    footer
        Line under the axes: claim id, theorem, verdict, tightness.
    custom
        `draw(ax, table)` for `kind="custom"`.

    Raises
    ------
    ValueError
        Unknown kind, or a table that does not fit it.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    columns, labels = check_table(table, name), dict(labels or {})
    with matplotlib.rc_context(_STYLE):
        figure = Figure()
        FigureCanvasSVG(figure)
        ax = figure.add_subplot()
        if kind == "custom":
            if custom is None:
                raise ValueError(f"figure {name}: kind 'custom' needs draw_{name}(ax, table) in the paper's module")
            custom(ax, columns)
        elif kind == "phase":
            draw_phase(ax, columns, labels)
        elif kind in ("rate", "band", "cdf"):
            draw_lines(ax, columns, labels)
            ax.set_xscale("log" if kind == "rate" else "linear")
            ax.set_yscale("linear" if kind == "cdf" else "log")
            ax.legend()
        else:
            raise ValueError(f"figure {name}: kind is {kind!r}; expected rate, band, cdf, phase or custom")
        if xlabel:
            ax.set_xlabel(xlabel)
        if ylabel:
            ax.set_ylabel(ylabel)
        if title:
            ax.set_title(title, loc="left", fontsize=11)
        if footer:
            figure.supxlabel(footer, fontsize=8, color="#555555", x=0.01, ha="left")
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def write_atomically(path: Path, text: str) -> None:
    """Write beside the target and rename, so that an interrupted run leaves the old file."""
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        if temporary.is_file():
            temporary.unlink()
        raise ValueError(f"{path}: cannot be written ({error.strerror or error})") from None


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """JSON with sorted keys and a final newline."""
    write_atomically(path, json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n")
