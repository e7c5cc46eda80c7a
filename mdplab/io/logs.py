"""Logged transitions (CSV, Parquet, arrays) to an estimated model with its counts."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from mdplab.io.files import build, fail, read_bytes, read_text
from mdplab.models import MDP, frozen_array

_COLUMNS = ("s", "a", "r", "s_next")
_OPTIONAL = ("done", "episode")
# Larger models than this many dense entries are kept sparse.
_DENSE_ENTRIES = 1 << 20


@dataclass(frozen=True, eq=False, slots=True)
class EstimatedModel:
    """A maximum-likelihood model and what it rests on.

    Attributes
    ----------
    mdp : MDP
        Relative frequencies and mean rewards; pairs without data are unavailable.
    counts : int array (S, A)
        Visits of each pair.
    transitions : CSR (S * A, S)
        Visits of each transition, row `s * A + a`.
    unvisited : int array (k, 2)
        The pairs (s, a), among states that have data, that the log never tries.
    absorbed : int array (m,)
        States without data, made absorbing with reward 0: ends of episodes, and with unseen="absorbing" all others.
    """

    mdp: MDP
    counts: np.ndarray
    transitions: sp.csr_array
    unvisited: np.ndarray
    absorbed: np.ndarray


def estimate(
    source: str | Path | Mapping[str, Any],
    *,
    gamma: float,
    horizon: int | None = None,
    num_states: int | None = None,
    num_actions: int | None = None,
    unseen: str = "error",
) -> EstimatedModel:
    """Maximum-likelihood model of logged transitions.

    Parameters
    ----------
    source : path of a `.csv` or `.parquet`, or mapping of columns
        Columns s, a, s_next (integers of at least 0), r (finite numbers); optional: done (0/1 or true/false: the
        episode ends in s_next), episode (any label). A CSV has one header line with these names, in any order.
    gamma : float in [0, 1]
        Discount factor.
    horizon : int, optional
        Number of decisions.
    num_states, num_actions : int, optional
        Sizes; by default the largest index of the log plus one.
    unseen : {"error", "absorbing"}
        What to do about states without data that no episode ends in, such as the last state of a log that was cut:
        refuse, naming them, or make them absorbing with reward 0.

    Returns
    -------
    EstimatedModel
        A transition with `done` leads to s_next if the log never continues from there (it is then absorbing with
        reward 0), else to one added terminal state. With an episode column, `mdp.mu` is the frequency of the episodes'
        first states, in the order of the log.

    Raises
    ------
    ValueError
        With file and line for a bad entry; naming the states without data if `unseen` is "error".

    Examples
    --------
    >>> log = {"s": [0, 0, 0], "a": [0, 0, 0], "r": [1.0, 1.0, 4.0], "s_next": [0, 0, 1], "done": [0, 0, 1]}
    >>> model = estimate(log, gamma=0.9)
    >>> model.mdp.P[0, 0].round(3).tolist(), model.mdp.r[0, 0].item(), model.counts[0, 0].item()
    ([0.667, 0.333], 2.0, 3)
    """
    if unseen not in ("error", "absorbing"):
        raise ValueError(f"unseen is {unseen!r}; expected 'error' or 'absorbing'")
    name, columns = _columns(source)
    s, a, t = (columns[key] for key in ("s", "a", "s_next"))
    S = _size(name, "num_states", num_states, int(max(s.max(), t.max())) + 1)
    A = _size(name, "num_actions", num_actions, int(a.max()) + 1)
    done = columns.get("done", np.zeros(s.size, dtype=bool))
    has_data = np.bincount(s, minlength=S) > 0
    redirect = done & has_data[t]
    size = S + bool(redirect.any())
    t = np.where(redirect, S, t)
    ends = np.zeros(size, dtype=bool)
    ends[t[done]] = True
    silent = np.flatnonzero(~has_data & ~ends[:S])
    if silent.size and unseen == "error":
        some = ", ".join(map(str, silent[:10].tolist())) + (", ..." if silent.size > 10 else "")
        fail(name, None, f"no data from states {some}; log their transitions, mark ends as done, or unseen='absorbing'")
    rows = s * A + a
    transitions = sp.coo_array((np.ones(s.size, dtype=np.int64), (rows, t)), shape=(size * A, size)).tocsr()
    counts = np.bincount(rows, minlength=size * A)
    total = np.bincount(rows, columns["r"], minlength=size * A)
    r = (total / np.maximum(counts, 1)).reshape(size, A)
    counts = counts.reshape(size, A)
    absorbed = np.flatnonzero(np.append(~has_data, np.ones(size - S, dtype=bool)))
    loops = (absorbed[:, None] * A + np.arange(A)).ravel()
    weight = 1.0 / np.maximum(counts.ravel(), 1)
    P = sp.csr_array(sp.diags_array(weight) @ transitions.astype(np.float64))
    P = P + sp.csr_array((np.ones(loops.size), (loops, np.repeat(absorbed, A))), shape=P.shape)
    actions = counts > 0
    unvisited = np.argwhere(~actions & np.append(has_data, np.zeros(size - S, dtype=bool))[:, None])
    actions[absorbed] = True
    if size * A * size <= _DENSE_ENTRIES:
        P = P.toarray().reshape(size, A, size)
    mu = None
    if "episode" in columns:
        _, first = np.unique(columns["episode"], return_index=True)
        mu = np.bincount(s[first], minlength=size) / first.size
    mdp = build(name, lambda _: None, P=P, r=r, gamma=gamma, horizon=horizon, mu=mu, actions=actions)
    return EstimatedModel(
        mdp,
        frozen_array(counts, np.int64),
        transitions,
        frozen_array(unvisited, np.int64),
        frozen_array(absorbed, np.int64),
    )


def _size(name: str, argument: str, given: int | None, needed: int) -> int:
    if given is not None and given < needed:
        fail(name, None, f"{argument} is {given}, but the log needs at least {needed}")
    return needed if given is None else given


def _columns(source: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, np.ndarray]]:
    """Checked columns of equal length, and what to call the source in errors."""
    if isinstance(source, Mapping):
        return _checked("transitions", {key: np.asarray(value) for key, value in source.items()})
    path = Path(source)
    if path.suffix.lower() == ".parquet":
        return _checked(str(path), _read_parquet(path))
    return _checked(str(path), *_read_csv(path))


def _read_csv(path: Path) -> tuple[dict[str, np.ndarray], list[int]]:
    """The columns as text, and the line of each row; every row must have as many fields as the header."""
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    table, lines = [], []
    try:
        header = [name.strip() for name in next(reader)]
        _check_names(str(path), header, 1)
        for fields in reader:
            if fields and len(fields) != len(header):
                names = ", ".join(header)
                fail(path, reader.line_num, f"{len(fields)} fields, expected {len(header)}: {names}")
            if fields:
                table.append(fields)
                lines.append(reader.line_num)
    except csv.Error as error:
        fail(path, reader.line_num, f"no CSV: {error}")
    if not table:
        fail(path, 1, "a header and no transitions")
    return dict(zip(header, np.array(table).T)), lines


def _read_parquet(path: Path) -> dict[str, np.ndarray]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        fail(path, None, "pyarrow is not installed; pip install 'mdplab[parquet]'")
    raw = read_bytes(path)
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(raw))
    except (pyarrow.ArrowException, OSError) as error:
        fail(path, None, f"truncated or no Parquet file: {' '.join(str(error).split())[:160]}")
    _check_names(str(path), table.column_names, None)
    for name in table.column_names:
        if table[name].null_count:
            fail(path, None, f"column {name} has {table[name].null_count} missing values")
    return {name: table[name].to_numpy() for name in table.column_names}


def _check_names(name: str, header: list[str], line: int | None) -> None:
    missing = [column for column in _COLUMNS if column not in header]
    unknown = [column for column in header if column not in (*_COLUMNS, *_OPTIONAL)]
    if missing or unknown or len(set(header)) != len(header):
        wanted = f"{', '.join(_COLUMNS)}, and perhaps {', '.join(_OPTIONAL)}"
        fail(name, line, f"columns are {', '.join(map(str, header))[:120]!r}, expected {wanted}")


def _checked(
    name: str, columns: dict[str, np.ndarray], lines: list[int] | None = None
) -> tuple[str, dict[str, np.ndarray]]:
    """Columns as numbers; `lines` are where their entries stand in the file."""
    _check_names(name, list(columns), None)
    lengths = {key: value.shape for key, value in columns.items()}
    if len(set(lengths.values())) != 1 or columns["s"].ndim != 1 or columns["s"].size == 0:
        fail(name, None, f"columns have shapes {lengths}; expected equal lengths of at least 1")
    out: dict[str, np.ndarray] = {}
    for key, values in columns.items():
        if key == "episode":
            out[key] = values
            continue
        numbers = _numbers(name, key, values, lines)
        if key == "r":
            bad = ~np.isfinite(numbers)
            what = "a finite number"
        elif key == "done":
            bad = ~np.isin(numbers, (0, 1))
            what = "0, 1, true or false"
        else:
            bad = ~((numbers >= 0) & (numbers == np.floor(numbers)) & (numbers < 2**31))
            what = "an integer of at least 0"
        if bad.any():
            _refuse(name, key, int(np.argmax(bad)), values, lines, what)
        out[key] = numbers if key == "r" else numbers.astype(bool if key == "done" else np.int64)
    return name, out


def _numbers(name: str, key: str, values: np.ndarray, lines: list[int] | None) -> np.ndarray:
    """A column as floats; text is read entry by entry only to find the one that is wrong."""
    try:
        return values.astype(np.float64)
    except (ValueError, TypeError):
        flags = {"true": "1", "false": "0"} if key == "done" else {}
        out = np.empty(values.size)
        for i, value in enumerate(values):
            text = str(value).strip()
            try:
                out[i] = float(flags.get(text.lower(), text))
            except ValueError:
                _refuse(name, key, i, values, lines, "0, 1, true or false" if flags else "a number")
        return out


def _refuse(name: str, key: str, i: int, values: np.ndarray, lines: list[int] | None, expected: str) -> None:
    where = f"[{i}]" if lines is None else ""
    fail(name, None if lines is None else lines[i], f"{key}{where} is {str(values[i])[:40]!r}, expected {expected}")
