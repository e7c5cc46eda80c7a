"""What is fixed before the first number is drawn, and its hash.

Two hashes are kept apart. The *data hash* of a task covers what computes its arrays: sources, parameters, seeds,
versions; stored arrays are scored only under the data hash of today's sources. The *registration* adds what is read out
of the data: statement, relation with its margins, expected verdict, replicates, arms. A registration that changes
between two runs is printed as an amendment, key by key, because choosing a window or a margin after the data is not
harmless.
"""

import ast
import hashlib
import importlib.metadata
import inspect
import json
import platform
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from mdplab.claims import seeds
from mdplab.claims.card import Profile, plain_params
from mdplab.claims.discovery import Entry

_PACKAGE = Path(__file__).resolve().parent.parent
# The machinery decides over data and computes none; whoever changes how data are drawn changes `seeds.SUITE`.
_NO_DATA = {"claims", "report", "cli"}
_LIBRARIES = ("numpy", "scipy", "numba", "cvxpy", "clarabel", "python-flint", "sympy")


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that compute."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def source_closure(path: Path) -> dict[str, Path]:
    """The files of the package that a module's numbers can come from, by dotted name, the module itself as "".

    Follows imports, at any depth of the source, through the layers below `claims` and other papers. A folder that is
    named as such stands for all of its modules, since what it re-exports may come from any of them.
    """
    out = {"": path}
    queue = [path]
    while queue:
        file = queue.pop()
        for name in _imports(file, file.stat().st_mtime_ns):
            for module, found in _files(name).items():
                if module not in out:
                    out[module] = found
                    queue.append(found)
    return out


@cache
def _imports(path: Path, _stamp: int) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level and path.is_relative_to(_PACKAGE):
                parent = ("mdplab", *path.relative_to(_PACKAGE).parts[: -node.level])
                base = ".".join([*parent, *([base] if base else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == "mdplab"]


def _files(name: str) -> dict[str, Path]:
    import mdplab

    parts = name.split(".")[1:]
    if len(parts) == 1 and parts[0] in mdplab._HOME:
        parts = mdplab._HOME[parts[0]].split(".")[1:]
    if not parts or parts[0] in _NO_DATA:
        return {}
    path = _PACKAGE.joinpath(*parts)
    if path.is_dir():
        files = sorted(path.glob("*.py"))
    else:
        files = [file for file in [path.with_suffix(".py")] if file.is_file()]
    return {".".join(file.relative_to(_PACKAGE).with_suffix("").parts): file for file in files}


@cache
def _closure_digest(path: Path, _stamp: int) -> str:
    files = source_closure(path)
    return digest({name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()})


def sources_digest(entry: Entry) -> str:
    """Hash of the paper's module and of everything of ours that it imports."""
    path = Path(inspect.getfile(entry.paper.module))
    return _closure_digest(path, path.stat().st_mtime_ns)


@cache
def function_digest(function: Callable) -> str:
    """Hash of a function: its name, its source, and the plain values that it closes over."""
    return digest(_describe(function))


def _describe(function: Any) -> Any:
    if isinstance(function, partial):
        return {
            "partial": _describe(function.func),
            "args": _describe(function.args),
            "kw": _describe(function.keywords),
        }
    if isinstance(function, Mapping):
        return {str(key): _describe(value) for key, value in function.items()}
    if isinstance(function, list | tuple):
        return [_describe(value) for value in function]
    if not callable(function):
        return function if isinstance(function, str | int | float | bool | None) else type(function).__qualname__
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = ""
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    inner = [_describe(value) for value in cells if not callable(value)]
    inner += [getattr(value, "__qualname__", "") for value in cells if callable(value)]
    return {
        "name": getattr(function, "__qualname__", type(function).__qualname__),
        "source": source,
        "cells": inner,
        "defaults": _describe(getattr(function, "__defaults__", None) or ()),
    }


def data_key(entry: Entry, arm: str, replicate: int, profile: Profile) -> str:
    """Where the arrays of one task are stored: the hash of everything that determines them."""
    return digest(
        {
            "claim": entry.id,
            "arm": arm,
            "replicate": replicate,
            "function": function_digest(entry.claim.arms[arm].function),
            "sources": sources_digest(entry),
            "params": plain_params(entry.paper.card.params[profile]),
            "suite": seeds.SUITE,
            "versions": versions(),
        }
    )


def design(entry: Entry, profile: Profile) -> dict[str, Any]:
    """The registered design as JSON values."""
    claim = entry.claim
    return {
        "theorem": claim.theorem,
        "statement": claim.statement,
        "assumptions": list(claim.assumptions),
        "relation": {"rule": claim.relation.rule, **claim.relation.parameters},
        "card": entry.card.model_dump(mode="json", exclude={"note"}),
        "params": plain_params(entry.paper.card.params[profile]),
        "replicates": getattr(entry.card.replicates, profile),
        "arms": {name: function_digest(arm.function) for name, arm in claim.arms.items()},
        "sources": sources_digest(entry),
    }


def amendments(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What changed from one design to the next, a line for each key: "relation.margin: 0.05 -> 0.1".

    Examples
    --------
    >>> amendments({"relation": {"margin": 0.05}}, {"relation": {"margin": 0.1}})
    ['relation.margin: 0.05 -> 0.1']
    """
    out = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            out += amendments(old, new, f"{prefix}{key}.")
        elif old != new:
            hashed = prefix == "arms." or key == "sources"
            out.append(
                f"{prefix}{key}: " + (_short(old) + " -> " + _short(new) if hashed else f"{_text(old)} -> {_text(new)}")
            )
    return out


def _short(value: Any) -> str:
    return "absent" if value is None else str(value)[:8]


def _text(value: Any) -> str:
    return "absent" if value is None else value if isinstance(value, str) else canonical(value)
