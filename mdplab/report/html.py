"""The report of a run: one static folder that reads well in a browser, in light and dark."""

import math
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mdplab.report.figures import write_atomically

_TONES = {"PROVED": "good", "VERIFIED": "good", "CONSISTENT": "good", "REFUTED": "bad", "INVALID-CHECK": "bad"}


def tone(verdict: str) -> str:
    """The colour class of a verdict; what was withheld is neither good nor bad."""
    return _TONES.get(verdict, "wait")


def short(value: Any) -> str:
    """A number in at most three digits, or a dash where there is none."""
    if isinstance(value, str):  # JSON has no word for them, so a run's record spells them
        value = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[value]
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.3g}"


def mathml(latex: str, display: str = "block") -> str:
    """LaTeX as MathML; what the converter cannot read is shown as it was written.

    Examples
    --------
    >>> mathml("x^2").startswith("<math")
    True
    """
    from html import escape

    from latex2mathml.converter import convert

    try:
        return convert(latex, display=display)
    except Exception:  # the converter raises many types on input it does not know
        return f"<code>{escape(latex)}</code>"


def prose(text: str) -> str:
    """Text as HTML, with what stands between dollar signs as mathematics.

    Examples
    --------
    >>> prose("a < b")
    'a &lt; b'
    """
    from html import escape

    parts = re.split(r"\$([^$]+)\$", text)
    return "".join(mathml(part, "inline") if i % 2 else escape(part) for i, part in enumerate(parts))


def killed(result: Mapping[str, Any]) -> str:
    """How many falsifiers were refuted, of how many."""
    falsifiers = [arm for arm in result["arms"] if arm["role"] == "falsifier"]
    return f"{sum(arm['outcome'] == 'refuted' for arm in falsifiers)}/{len(falsifiers)}"


def arm_tone(arm: Mapping[str, Any]) -> str:
    """Green where an arm did what its role asks: falsifiers are refuted, everything else is accepted."""
    if arm["outcome"] == (arm["wanted"] or "accepted"):
        return "good"
    return "bad" if arm["outcome"] in {"refuted", "accepted", "error"} else "wait"


def _details(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Statistics of the main arm and the provenance, flattened to text."""
    main = next((arm for arm in result["arms"] if arm["role"] == "main"), None)
    pairs = dict(main["decision"].get("statistics", {})) if main else {}
    pairs.update({key: value for key, value in result.get("provenance", {}).items() if key != "power"})
    return [(key.replace("_", " "), _text(value)) for key, value in pairs.items()]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return short(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        head = ", ".join(_text(part) for part in value[:16])
        return head + (f", ... ({len(value)} in all)" if len(value) > 16 else "")
    return str(value)


def render(run: Mapping[str, Any], papers: Sequence[Mapping[str, Any]]) -> str:
    """The page as HTML text.

    Parameters
    ----------
    run
        `RunResult.to_json()`.
    papers
        For each paper, in order: `key`, `title`, `authors`, `year`, `venue`, `arxiv` and `claims`, the results of that
        paper extended by `words`, `assumptions`, `lemmas`, `rule` and `figures` (each with `file`, `alt`, `caption`).
    """
    from jinja2 import Environment, PackageLoader, select_autoescape
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("mdplab.report"), autoescape=select_autoescape(default=True, default_for_string=True)
    )
    environment.filters.update(
        tone=tone,
        short=short,
        killed=killed,
        arm_tone=arm_tone,
        mathml=lambda latex: Markup(mathml(latex)),
        prose=lambda text: Markup(prose(text)),
    )
    for paper in papers:
        for claim in paper["claims"]:
            claim["details"] = _details(claim)
    return environment.get_template("report.html.j2").render(
        run=run,
        papers=papers,
        surprises=sum(not result["as_expected"] for result in run["results"]),
        manifest=[(key.replace("_", " "), _text(value)) for key, value in run.get("manifest", {}).items()],
    )


def write_report(folder: Path, run: Mapping[str, Any], papers: Sequence[Mapping[str, Any]], figures: Path) -> Path:
    """Write `index.html` and copies of the figures it shows; returns the page's path.

    Raises
    ------
    ValueError
        The folder cannot be written.
    """
    folder = Path(folder)
    for paper in papers:
        for claim in paper["claims"]:
            for figure in claim["figures"]:
                source, target = figures / figure["source"], folder / figure["file"]
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
                except OSError as error:
                    raise ValueError(f"{target}: cannot be written ({error.strerror or error})") from None
    page = folder / "index.html"
    write_atomically(page, render(run, papers))
    return page
