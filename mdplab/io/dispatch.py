"""`load` and `save`: one door for all formats."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from mdplab.io.files import fail
from mdplab.models import MDP, MarkovGame

_READABLE = (".npz", ".json", ".tra", ".drn", ".csv", ".parquet")
_EXPLICIT_OPTIONS = ("goal", "rewards", "minimise")
_LOG_OPTIONS = ("num_states", "num_actions", "unseen")


def load(
    source: str | Path, *, gamma: float | None = None, horizon: int | None = None, **options: Any
) -> MDP | MarkovGame:
    """Read a model.

    Parameters
    ----------
    source : str or Path
        A file by its suffix, or "gym:ID". Options may follow as "?key=value&key=value".

        - `.npz`, `.json`: our own files (`mdplab.io.own`); no options.
        - `.tra` (PRISM, with `.sta .lab .srew .trew` beside it), `.drn` (Storm): options goal=LABEL, rewards=NAME,
          minimise=true (`mdplab.io.explicit.explicit_mdp`); gamma is 1 unless given.
        - `.csv`, `.parquet`: logged transitions (`mdplab.io.estimate`, which also returns the counts); options
          num_states, num_actions, unseen=absorbing; gamma is required.
        - "gym:FrozenLake-v1?map_name=8x8&is_slippery=false": the table of a gymnasium environment, options being its
          arguments; gamma is required.
    gamma : float in [0, 1], optional
        Discount factor; overrides the file's own.
    horizon : int >= 1, optional
        Number of decisions; overrides the file's own.
    **options
        The same options by keyword; they override those in `source`.

    Returns
    -------
    MDP or MarkovGame
        A game if one of our own files holds `T`.

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

        name, found = _split(text.removeprefix("gym:"))
        return load_gym(name, found | options, gamma=gamma, horizon=horizon)
    name, found = (text, {}) if Path(text).exists() else _split(text)
    path, found = Path(name), found | options
    suffix = path.suffix.lower()
    if suffix not in _READABLE:
        fail(path, None, f"unknown suffix {suffix!r}; expected one of {', '.join(_READABLE)}, or a source gym:ID")
    if suffix in (".npz", ".json"):
        from mdplab.io import own

        _known(path, found, ())
        changes = {key: value for key, value in (("gamma", gamma), ("horizon", horizon)) if value is not None}
        return {".npz": own.load_npz, ".json": own.load_json}[suffix](path, **changes)
    if suffix in (".tra", ".drn"):
        from mdplab.io import drn, prism

        _known(path, found, _EXPLICIT_OPTIONS)
        if "minimise" in found:
            found["minimise"] = _flag(path, "minimise", found["minimise"])
        reader = {".tra": prism.load_prism, ".drn": drn.load_drn}[suffix]
        return reader(path, gamma=gamma, horizon=horizon, **found)
    from mdplab.io import logs

    _known(path, found, _LOG_OPTIONS)
    if gamma is None:
        fail(path, None, "gamma is needed; logged transitions do not define a discount")
    for key in ("num_states", "num_actions"):
        if key in found:
            found[key] = _count(path, key, found[key])
    return logs.estimate(path, gamma=gamma, horizon=horizon, **found).mdp


def save(mdp: MDP | MarkovGame, path: str | Path) -> None:
    """Write a model; the suffix says in which format. All files of it are written whole, or none.

    `.npz` and `.json` hold everything to the last bit. `.tra` (with `.lab`, `.trew`, and `.sta` if states are named)
    and `.drn` hold probabilities and rewards to the last bit, but neither gamma nor horizon; actions are numbered
    without gaps; the labels are init (the support of `mu`, which must be uniform on it; state 0 without `mu`) and
    terminal; `.drn` holds mean rewards only, and no names of states.

    Raises
    ------
    ValueError
        If the suffix is unknown or the format cannot hold the model.
    OSError
        If the file cannot be written, for example because the disk is full; nothing is left behind.
    """
    from mdplab.io import drn, own, prism

    path = Path(path)
    writers = {".npz": own.save_npz, ".json": own.save_json, ".tra": prism.save_prism, ".drn": drn.save_drn}
    if path.suffix.lower() not in writers:
        fail(path, None, f"unknown suffix {path.suffix!r}; expected one of {', '.join(writers)}")
    if isinstance(mdp, MarkovGame) and path.suffix.lower() not in (".npz", ".json"):
        fail(path, None, f"{path.suffix} files hold no games; expected .npz or .json")
    writers[path.suffix.lower()](mdp, path)


def _split(text: str) -> tuple[str, dict[str, Any]]:
    """A source and its options: "name?key=value&key=value"."""
    name, _, query = text.partition("?")
    try:
        return name, dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        fail(text, None, f"options {query!r} are not of the form key=value&key=value")


def _known(path: Path, found: dict[str, Any], allowed: tuple[str, ...]) -> None:
    for key in found:
        if key not in allowed:
            fail(path, None, f"unknown option {key!r}; {path.suffix} files take {', '.join(allowed) or 'none'}")


def _flag(path: Path, key: str, value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false", "1", "0"):
        fail(path, None, f"option {key} is {value!r}, expected true or false")
    return text in ("true", "1")


def _count(path: Path, key: str, value: Any) -> int:
    if not str(value).isdigit():
        fail(path, None, f"option {key} is {value!r}, expected an integer")
    return int(value)
