"""Finds the papers: a module in `mdplab.papers` and a card of the same stem make a paper (rule R5).

Cards lie in `paper_configs/` beside the package (a checkout or an editable install) or inside it (a built wheel). The
environment variable `MDPLAB_PAPERS` may name one more folder, in which `<key>.py` and `<key>.toml` lie side by side.
"""

import difflib
import importlib
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from mdplab.claims.card import Card, ClaimCard, load_card
from mdplab.claims.claim import Claim

_PACKAGE = Path(__file__).resolve().parent.parent
# Modules of the user's own folder get a name that no package has.
_FOREIGN = "mdplab_papers."


@dataclass(frozen=True, eq=False)
class Paper:
    """A paper's module with its card; `claims` by the name of their function."""

    key: str
    module: ModuleType
    card: Card
    claims: dict[str, Claim]


@dataclass(frozen=True, eq=False)
class Entry:
    """One claim with what its card says of it."""

    id: str
    paper: Paper
    claim: Claim
    card: ClaimCard


def sources() -> dict[str, tuple[Path, Path | None]]:
    """By key: the module's file, and the card's or None; nothing is imported.

    Raises
    ------
    ValueError
        A key that is defined twice, a card without a module, a folder that does not exist.
    """
    home = _PACKAGE / "papers"
    # A folder among the papers is no paper: `papers/shared` has what several of them measure with.
    modules = {info.name: home / f"{info.name}.py" for info in pkgutil.iter_modules([str(home)]) if not info.ispkg}
    folders = [folder for folder in (_PACKAGE.parent / "paper_configs", _PACKAGE / "paper_configs") if folder.is_dir()]
    cards = {path.stem: path for folder in folders[:1] for path in sorted(folder.glob("*.toml"))}
    extra = os.environ.get("MDPLAB_PAPERS")
    if extra:
        folder = Path(extra)
        if not folder.is_dir():
            raise ValueError(f"MDPLAB_PAPERS is {extra!r}, which is no folder")
        for path in sorted(folder.glob("*.py")):
            if path.stem in modules:
                raise ValueError(f"{path} defines the paper {path.stem}, which {modules[path.stem]} does already")
            modules[path.stem] = path
        cards |= {path.stem: path for path in sorted(folder.glob("*.toml"))}
    for key, path in cards.items():
        if key not in modules:
            raise ValueError(f"{path} is a card without a module; expected mdplab/papers/{key}.py")
    return {key: (modules[key], cards.get(key)) for key in sorted(modules)}


def load_paper(key: str) -> Paper:
    """Import one paper and pair it with its card.

    Raises
    ------
    ValueError
        An unknown key (with the nearest ones), a missing card, a faulty card, a claim that only one of the two has, a
        module that cannot be imported (with its file and line).
    """
    found = sources()
    if key not in found:
        raise ValueError(_unknown("paper", key, found))
    source, card = found[key]
    if card is None:
        raise ValueError(f"{source} has no card; expected paper_configs/{key}.toml")
    return _load(key, source, card, source.stat().st_mtime_ns, card.stat().st_mtime_ns)


@cache
def _load(key: str, source: Path, card_path: Path, *_stamps: int) -> Paper:
    module = _module(key, source)
    if not hasattr(module, "Params"):
        raise ValueError(f"{source.name} has no class Params, whose fields the card's profiles set")
    card = load_card(card_path, module.Params)
    claims = {
        value.name: value
        for value in vars(module).values()
        if isinstance(value, Claim) and value.module == module.__name__
    }
    for name in claims:
        if name not in card.claims:
            raise ValueError(f"{card_path.name}: no [claims.{name}], which {source.name} defines")
    for name in card.claims:
        if name not in claims:
            raise ValueError(f"{card_path.name}: [claims.{name}], but {source.name} defines no such claim")
    return Paper(key, module, card, {name: claims[name] for name in card.claims})


def _module(key: str, source: Path) -> ModuleType:
    try:
        if source.parent == _PACKAGE / "papers":
            return importlib.import_module(f"mdplab.papers.{key}")
        name = _FOREIGN + key
        spec = importlib.util.spec_from_file_location(name, source)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    except Exception as error:
        sys.modules.pop(_FOREIGN + key, None)
        raise ValueError(_mishap(source, error)) from error


def _mishap(source: Path, error: Exception) -> str:
    """What a module's text did wrong as `file:line: ...`: where it cannot be read, or the last line of it that ran."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    ran = [(Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    lines = [f":{line}" for path, line in ran if path.resolve() == source.resolve()]
    return f"{source}{lines[-1] if lines else ''}: {type(error).__name__}: {error}"


def papers(keys: Iterable[str] | None = None) -> dict[str, Paper]:
    """All papers, or those named, by key."""
    return {key: load_paper(key) for key in (sources() if keys is None else keys)}


def entries(ids: Iterable[str] | None = None) -> dict[str, Entry]:
    """Claims by id: all, or those that `ids` names; a paper's key stands for all its claims.

    Raises
    ------
    ValueError
        An id that no paper or claim has, with the nearest ones.
    """
    out = {}
    for wanted in sources() if ids is None else ids:
        key, _, name = wanted.partition(":")
        known = sources()
        if key not in known:
            raise ValueError(_unknown("paper or claim", wanted, [*known, *_all_ids(known)]))
        paper = load_paper(key)
        if name and name not in paper.claims:
            raise ValueError(_unknown("claim", wanted, [f"{key}:{other}" for other in paper.claims]))
        for each in [name] if name else paper.claims:
            out[f"{key}:{each}"] = Entry(f"{key}:{each}", paper, paper.claims[each], paper.card.claims[each])
    return out


def _all_ids(keys: Iterable[str]) -> list[str]:
    return [f"{key}:{name}" for key in keys for name in load_paper(key).claims]


def _unknown(what: str, wanted: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4)
    if near:
        return f"no {what} {wanted!r}; nearest: {', '.join(near)}"
    return f"no {what} {wanted!r}; there are {', '.join(known) or 'none'}"
