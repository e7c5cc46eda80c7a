"""Our own model files: `.npz` and `.json`, exact to the last bit.

Keys: `version` (1), `gamma`, `r` (S, A) or (S, A, S), and either `P` (S, A, S) or the CSR triple `P_data`, `P_indices`,
`P_indptr` of shape (S * A, S) with row `s * A + a`. Optional: `r_next` (rewards by next state: (S, A, S), or (nnz,) in
the order of `P_data`), `mu` (S,), `actions` (S, A) of booleans, `states` (S names), `horizon`.

A file with the key `T` holds a zero-sum Markov game: `gamma`, `R` (S, A, B), `T` (S, A, B, S), optionally `mu` (S,).
"""

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse as sp

from mdplab.io.files import build, fail, read_start, read_text, write_whole
from mdplab.models import MDP, MarkovGame

VERSION = 1
_CSR = ("P_data", "P_indices", "P_indptr")
_KNOWN = {"version", "gamma", "r", "r_next", "P", *_CSR, "mu", "actions", "states", "horizon"}
_GAME = {"version", "gamma", "R", "T", "mu"}
# A stored mean reward may differ from one recomputed in another order of summation, not by more than this.
_MEAN_TOLERANCE = 1e-8


def contents(mdp: MDP | MarkovGame) -> dict[str, Any]:
    """The keys and arrays of a model file."""
    if isinstance(mdp, MarkovGame):
        start = {} if mdp.mu is None else {"mu": mdp.mu}
        return {"version": VERSION, "gamma": mdp.gamma, "R": mdp.R, "T": mdp.T, **start}
    out: dict[str, Any] = {"version": VERSION, "gamma": mdp.gamma, "r": mdp.r}
    if mdp.is_sparse:
        out.update(P_data=mdp.P.data, P_indices=mdp.P.indices, P_indptr=mdp.P.indptr)
    else:
        out["P"] = mdp.P
    if mdp.r_next is not None:
        out["r_next"] = mdp.r_next
    if mdp.mu is not None:
        out["mu"] = mdp.mu
    if not mdp.actions.all():
        out["actions"] = mdp.actions
    if mdp.states is not None:
        out["states"] = list(mdp.states)
    if mdp.horizon is not None:
        out["horizon"] = mdp.horizon
    return out


def save_npz(mdp: MDP | MarkovGame, path: Path) -> None:
    """Write an `.npz`, not compressed: random probabilities do not shrink, and large models should not wait."""

    def write(file: BinaryIO) -> None:
        np.savez(file, allow_pickle=False, **contents(mdp))

    write_whole({path: write})


def save_json(mdp: MDP | MarkovGame, path: Path) -> None:
    """Write a `.json`, one key a line; floats as the shortest decimals that read back to the same bits."""
    lines = []
    for key, value in contents(mdp).items():
        lines.append(f"  {json.dumps(key)}: {json.dumps(value.tolist() if isinstance(value, np.ndarray) else value)}")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_whole({path: lambda file: file.write(text.encode())})


def load_npz(path: Path, **changes: Any) -> MDP | MarkovGame:
    """Read an `.npz`; see `mdplab.io.load`."""
    if not read_start(path, 2) == b"PK":
        fail(path, None, "not an npz file (a zip archive of arrays)")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            found = {key: archive[key] for key in archive.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, KeyError, NotImplementedError) as error:
        fail(path, None, f"truncated or damaged npz file: {error}")
    return _model(path, found, lambda key: None, changes)


def load_json(path: Path, **changes: Any) -> MDP:
    """Read a `.json`; see `mdplab.io.load`."""
    text = read_text(path)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        fail(path, error.lineno, f"not JSON at column {error.colno}: {error.msg}")
    except RecursionError:
        fail(path, None, "lists nested too deep; P is nested three times")
    if not isinstance(found, dict):
        fail(path, 1, f"holds a {type(found).__name__}, expected an object with the keys P, r, gamma")

    def line_of(key: str) -> int | None:
        match = re.search(rf'"{re.escape(key)}"\s*:', text)
        return text.count("\n", 0, match.start()) + 1 if match else None

    return _model(path, found, line_of, changes)


def _model(
    path: Path, found: Mapping[str, Any], line_of: Callable[[str], int | None], changes: dict[str, Any]
) -> MDP | MarkovGame:
    """The model of a file's keys; `changes` (gamma, horizon) override the file's."""

    def bad(key: str, message: str) -> None:
        fail(path, line_of(key), message)

    version = _scalar(path, found, "version", line_of, int) if "version" in found else VERSION
    if version > VERSION:
        bad("version", f"version {version} is newer than this program reads ({VERSION}); update mdplab")
    known = _GAME if "T" in found else _KNOWN
    unknown = sorted(set(found) - known)
    if unknown:
        bad(unknown[0], f"unknown key {unknown[0]!r}; expected keys among {', '.join(sorted(known))}")

    def locate(message: str) -> int | None:
        word = re.match(r"\w+", message)
        return line_of(word.group()) if word and word.group() in found else None

    if "T" in found:
        return _markov_game(path, found, line_of, locate, changes)
    given = [key for key in _CSR if key in found]
    if "P" in found and given:
        bad(given[0], f"both P and {given[0]}; give the dense array or the CSR triple")
    needed = [*(_CSR if given else ("P",)), "r", *([] if "gamma" in changes else ["gamma"])]
    for key in needed:
        if key not in found:
            fail(path, None, f"missing key {key!r}; a model has P (or {', '.join(_CSR)}), r and gamma")
    r = _array(path, found, "r", line_of)
    if r.ndim not in (2, 3):
        bad("r", f"r has shape {r.shape}, expected (S, A) or (S, A, S)")
    P = _csr(path, found, r.shape[0], r.shape[1], line_of) if given else _array(path, found, "P", line_of)
    reward = r
    if "r_next" in found:
        reward = _array(path, found, "r_next", line_of)
        if given:
            if reward.shape != (P.nnz,):
                bad("r_next", f"r_next has shape {reward.shape}, expected ({P.nnz},): one a transition")
            reward = sp.csr_array((reward, P.indices, P.indptr), shape=P.shape)
        elif reward.shape != P.shape or r.shape[:2] != P.shape[:2]:
            bad("r_next", f"P, r, r_next have shapes {P.shape}, {r.shape}, {reward.shape}; expected P and r_next alike")
    arguments: dict[str, Any] = {"P": P, "r": reward}
    arguments["gamma"] = changes["gamma"] if "gamma" in changes else _scalar(path, found, "gamma", line_of, float)
    if "mu" in found:
        arguments["mu"] = _array(path, found, "mu", line_of)
    if "actions" in found:
        arguments["actions"] = _array(path, found, "actions", line_of, bool)
    if "states" in found:
        states = found["states"]
        names = states.tolist() if isinstance(states, np.ndarray) else states
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            bad("states", "states is no list of names")
        arguments["states"] = names
    if "horizon" in changes or "horizon" in found:
        arguments["horizon"] = (
            changes["horizon"] if "horizon" in changes else _scalar(path, found, "horizon", line_of, int)
        )
    mdp = build(path, locate, **arguments)
    if "r_next" in found and r.ndim == 2:
        off = np.abs(np.where(mdp.actions, mdp.r - r, 0.0))
        if not (off <= _MEAN_TOLERANCE * np.maximum(1, np.abs(mdp.r))).all():
            s, a = (int(i) for i in np.unravel_index(np.argmax(off), off.shape))
            bad("r", f"r[{s}, {a}] is {r[s, a]:g}, but the mean of r_next is {mdp.r[s, a]:g}")
    return mdp


def _markov_game(path: Path, found, line_of, locate, changes: dict[str, Any]) -> MarkovGame:
    """The game of a file's keys; gamma may be overridden."""
    for key in ("R", *([] if "gamma" in changes else ["gamma"])):
        if key not in found:
            fail(path, None, f"missing key {key!r}; a Markov game has R, T and gamma")
    if "horizon" in changes:
        fail(path, None, f"horizon is {changes['horizon']}; a Markov game is discounted and has none")
    arguments = {key: _array(path, found, key, line_of) for key in ("R", "T", "mu") if key in found}
    gamma = changes["gamma"] if "gamma" in changes else _scalar(path, found, "gamma", line_of, float)
    return build(path, locate, MarkovGame, gamma=gamma, **arguments)


def _array(path, found, key: str, line_of, dtype: type = float) -> np.ndarray:
    """A numeric (or boolean) array of the file, fresh and read-only so that the model adopts it."""
    try:
        array = np.asarray(found[key])
    except ValueError:
        fail(path, line_of(key), f"{key} is ragged: its lists have different lengths")
    wanted = "b" if dtype is bool else "iuf"
    if array.dtype.kind not in wanted:
        what = "booleans" if dtype is bool else "numbers"
        fail(path, line_of(key), f"{key} holds {_example(found[key])}, expected {what}")
    array = np.ascontiguousarray(array, dtype=np.bool_ if dtype is bool else np.float64)
    array.flags.writeable = False
    return array


def _example(value: Any) -> str:
    """The first entry that is no number, shortly."""
    if isinstance(value, list):
        for item in value:
            inner = _example(item)
            if inner:
                return inner
        return ""
    if isinstance(value, np.ndarray):
        return f"entries of type {value.dtype}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ""
    return repr(value)[:40]


def _scalar(path, found, key: str, line_of, kind: type) -> Any:
    value = found[key]
    value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    allowed = (int, float) if kind is float else int
    if isinstance(value, bool) or not isinstance(value, allowed):
        fail(
            path,
            line_of(key),
            f"{key} is {str(value)[:40]!r}, expected {'a number' if kind is float else 'an integer'}",
        )
    return kind(value)


def _integers(path, found, key: str, line_of) -> np.ndarray:
    array = np.asarray(found[key])
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        fail(path, line_of(key), f"{key} is no list of integers")
    return array


def _csr(path, found, S: int, A: int, line_of) -> sp.csr_array:
    """The transition matrix of a CSR triple."""
    data = _array(path, found, "P_data", line_of)
    indices, indptr = (_integers(path, found, key, line_of) for key in ("P_indices", "P_indptr"))
    if indptr.shape != (S * A + 1,):
        message = (
            f"P_indptr has shape {indptr.shape}, expected ({S * A + 1},) = S * A + 1 for r of shape ({S}, {A}, ...)"
        )
        fail(path, line_of("P_indptr"), message)
    if data.ndim != 1 or data.shape != indices.shape:
        fail(
            path, line_of("P_data"), f"P_data has shape {data.shape}, P_indices {indices.shape}; expected equal lengths"
        )
    if indptr[0] != 0 or (np.diff(indptr) < 0).any() or indptr[-1] != data.size:
        fail(path, line_of("P_indptr"), f"P_indptr does not rise from 0 to the {data.size} entries of P_data")
    outside = (indices < 0) | (indices >= S)
    if outside.any():
        at = int(np.argmax(outside))
        fail(path, line_of("P_indices"), f"P_indices[{at}] is {indices[at]}; states are 0..{S - 1}")
    index_type = np.int32 if max(data.size, S * A) < 2**31 else np.int64
    P = sp.csr_array(
        (data, indices.astype(index_type, copy=False), indptr.astype(index_type, copy=False)), shape=(S * A, S)
    )
    if "r_next" in found and not P.has_canonical_format:
        fail(path, line_of("P_indices"), "P_indices is unsorted or has duplicates, which r_next cannot follow")
    for part in (P.data, P.indices, P.indptr):
        part.flags.writeable = False
    return P
