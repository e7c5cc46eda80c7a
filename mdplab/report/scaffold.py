"""`mdplab new`: a paper from the template, in new files only."""

import json
import re
from pathlib import Path
from typing import Any

from mdplab.report.figures import write_atomically

_KEY = re.compile(r"([a-z]+)(\d{4})([a-z]?)")


def new_paper(key: str, folder: Path) -> list[Path]:
    """Write a working paper of the name `key`, to be edited.

    Parameters
    ----------
    key
        `<firstauthor><year>`.
    folder
        A checkout of mdplab, which gets a module, a card, a lemma file and a notebook in their places; or any other
        folder, which gets module and card side by side, found through the environment variable `MDPLAB_PAPERS`.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ValueError
        Not a key, no such folder, or a file of that name exists; nothing is written then.
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise ValueError(f"key is {key!r}; expected <firstauthor><year> in lower case, such as munos2023")
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"folder {str(folder)!r} does not exist")
    checkout = (folder / "mdplab" / "papers").is_dir() and (folder / "paper_configs").is_dir()
    words = {"key": key, "name": match[1].capitalize(), "year": int(match[2]), "lemmas": checkout}
    if checkout:
        files = {
            folder / "mdplab" / "papers" / f"{key}.py": _render("module.py.j2", words),
            folder / "paper_configs" / f"{key}.toml": _render("card.toml.j2", words),
            folder / "proofs_check" / f"{key}.py": _render("lemma.py.j2", words),
            folder / "notebooks" / f"{key}.ipynb": _notebook(words),
        }
    else:
        files = {
            folder / f"{key}.py": _render("module.py.j2", words),
            folder / f"{key}.toml": _render("card.toml.j2", words),
        }
    for path in files:
        if path.exists():
            raise ValueError(f"{path} exists already; mdplab new touches no existing file")
    for path, text in files.items():
        write_atomically(path, text)
    return list(files)


def _render(template: str, words: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mdplab.report"), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    return environment.get_template(f"paper/{template}").render(**words)


def _notebook(words: dict[str, Any]) -> str:
    key = words["key"]
    cells = [
        ("markdown", f"# {words['name']} {words['year']}\n\nWhat the paper proves, and what is seen of it here."),
        ("code", f'from mdplab.claims.runner import run_claims\n\nrun = run_claims(["{key}"])\nrun'),
        ("markdown", "The figure, drawn from the claim's own numbers."),
        ("code", f'from mdplab.report.produce import show_figure\n\nshow_figure("{key}", "contraction")'),
    ]
    return notebook_text(cells)


def notebook_text(cells: list[tuple[str, str]]) -> str:
    """A notebook without outputs as JSON text; `cells` are (kind, source)."""
    body = []
    for number, (kind, source) in enumerate(cells):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source.splitlines(keepends=True)}
        body.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return json.dumps({"cells": body, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"
