"""`load` and `save`: one door for all formats."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from mdplab.io.files import fail
from mdplab.models import MDP


def load(source: str | Path, *, gamma: float | None = None, horizon: int | None = None) -> MDP:
    """Read a model.

    Parameters
    ----------
    source : str or Path
        "gym:FrozenLake-v1?map_name=8x8&is_slippery=false" (the table of a gymnasium environment), or a file by its
        suffix: `.npz`, `.json` (our own).
    gamma : float in [0, 1], optional
        Discount factor: required for gymnasium, overrides the file's own elsewhere.
    horizon : int >= 1, optional
        Number of decisions; overrides the file's own.

    Returns
    -------
    MDP

    Raises
    ------
    ValueError
        "FILE:LINE: what is wrong, what was expected".

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from mdplab.models import MDP
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "one.json"
    >>> save(MDP([[[1.0]]], [[1.0]], 0.5), path)
    >>> load(path)
    MDP(S=1, A=1, transitions=1, gamma=0.5)
    """
    text = str(source)
    if text.startswith("gym:"):
        from mdplab.io.gym import load_gym

        name, options = _split(text.removeprefix("gym:"))
        return load_gym(name, options, gamma=gamma, horizon=horizon)
    changes: dict[str, Any] = {"gamma": gamma, "horizon": horizon}
    changes = {key: value for key, value in changes.items() if value is not None}
    name, options = (text, {}) if Path(text).exists() else _split(text)
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix in (".npz", ".json"):
        from mdplab.io import own

        if options:
            fail(path, None, f"unknown option {next(iter(options))!r}; {suffix} files take none")
        return {".npz": own.load_npz, ".json": own.load_json}[suffix](path, **changes)
    fail(path, None, f"unknown suffix {suffix!r}; expected .npz, .json, or a source gym:ID")


def save(mdp: MDP, path: str | Path) -> None:
    """Write a model; the suffix says in which format. The file is written whole or not at all.

    Raises
    ------
    ValueError
        If the suffix is unknown or the format cannot hold the model.
    OSError
        If the file cannot be written, for example because the disk is full.
    """
    from mdplab.io import own

    path = Path(path)
    writers = {".npz": own.save_npz, ".json": own.save_json}
    if path.suffix.lower() not in writers:
        fail(path, None, f"unknown suffix {path.suffix!r}; expected one of {', '.join(writers)}")
    writers[path.suffix.lower()](mdp, path)


def _split(text: str) -> tuple[str, dict[str, str]]:
    """A source and its options: "name?key=value&key=value"."""
    name, _, query = text.partition("?")
    try:
        return name, dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        fail(text, None, f"options {query!r} are not of the form key=value&key=value")
