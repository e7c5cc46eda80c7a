"""The report of a run: one static folder that reads well in a browser, in light and dark."""

import math
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mdplab.claims.decision import INTERVAL_LEVEL
from mdplab.report.figures import write_atomically

INTERVAL = f"{INTERVAL_LEVEL:.0%} interval"
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
        text = convert(latex, display=display)
    except Exception:  # the converter raises many types on input it does not know
        return f"<code>{escape(latex)}</code>"
    # The converter leaves a delimiter behind \Big as it is written.
    for written, sign in ((r"\|", "&#x02016;"), (r"\{", "{"), (r"\}", "}")):
        text = text.replace(f">{written}<", f">{sign}<")
    return text


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


def readings(result: Mapping[str, Any], roles: Collection[str] = ("main", "falsifier", "control")) -> list[dict]:
    """Every number that the rule estimated, as text: run, what, value, interval, what it is tested against, window.

    The interval is the estimate's own; where the claim is an equality the tolerance stands beside the right-hand side.
    """
    rows = []
    for arm in result["arms"]:
        if arm["role"] not in roles or arm["name"] == "control:synthetic":
            continue
        for one in arm["decision"].get("statistics", {}).get("readings", ()):
            against = short(one["against"])
            # A number taken at one n has that for its window.
            ends = [f"{end:,.0f}" for end in dict.fromkeys(one["window"] or ())]
            rows.append(
                {
                    "run": arm["name"],
                    "what": one["what"],
                    "found": short(one["found"]),
                    INTERVAL: f"[{short(one['limits'][0])}, {short(one['limits'][1])}]",
                    "tested against": against if one["tolerance"] is None else f"{against} ± {short(one['tolerance'])}",
                    "window": " – ".join(ends) or "–",
                }
            )
    return rows


def _details(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Statistics of the main arm and the provenance, flattened to text."""
    main = next((arm for arm in result["arms"] if arm["role"] == "main"), None)
    pairs = dict(main["decision"].get("statistics", {})) if main else {}
    pairs.pop("readings", None)
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


def lemma_word(lemma: Mapping[str, Any]) -> str:
    """What is said of a lemma: it holds, fails, or has not been checked since its code changed."""
    return {True: "holds", False: "FAILS", None: "not checked"}[lemma["ok"]]


def lemma_tone(lemma: Mapping[str, Any]) -> str:
    """The colour class of a lemma."""
    return {True: "good", False: "bad", None: "wait"}[lemma["ok"]]


def breakable(identifier: str) -> str:
    """An id as HTML that a narrow column may break after its colon and its underscores.

    Examples
    --------
    >>> breakable("smith2027:a_b")
    'smith2027:<wbr>a_<wbr>b'
    """
    from html import escape

    return re.sub(r"([:_])", r"\1<wbr>", escape(identifier))


def _environment() -> Any:
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
        breakable=lambda identifier: Markup(breakable(identifier)),
        lemma_tone=lemma_tone,
        lemma_word=lemma_word,
        mathml=lambda latex: Markup(mathml(latex)),
        prose=lambda text: Markup(prose(text)),
    )
    return environment


def render(
    run: Mapping[str, Any], papers: Sequence[Mapping[str, Any]], lemmas: Mapping[str, Mapping[str, Any]] | None = None
) -> str:
    """The page of the claims as HTML text.

    Parameters
    ----------
    run
        `RunResult.to_json()`.
    papers
        For each paper, in order: `key`, `title`, `authors`, `year`, `venue`, `arxiv` and `claims`, the results of that
        paper extended by `words`, `assumptions`, `lemmas`, `rule` and `figures` (each with `file`, `alt`, `caption`).
    lemmas
        `lemma_records()`: those that a claim cites are shown with it, and link to their page.
    """
    for paper in papers:
        for claim in paper["claims"]:
            claim["details"] = _details(claim)
            claim["readings"] = readings(claim)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            papers=papers,
            lemmas=lemmas or {},
            surprises=sum(not result["as_expected"] for result in run["results"]),
            manifest=[(key.replace("_", " "), _text(value)) for key, value in run.get("manifest", {}).items()],
        )
    )


def render_lemmas(lemmas: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, str], claims: Collection[str]) -> str:
    """The page of the lemmas as HTML text.

    Parameters
    ----------
    lemmas
        `lemma_records()`.
    kinds
        Kinds in the order they are shown in, each with what decides it.
    claims
        Ids of the claims on the other page, which are linked to.
    """
    decides = {**kinds, "": "not checked since the code last changed, or the check raised an error"}
    groups = [
        {"name": name or "UNDECIDED", "decides": text, "lemmas": [x for x in lemmas.values() if x["kind"] == name]}
        for name, text in decides.items()
    ]
    return (
        _environment()
        .get_template("lemmas.html.j2")
        .render(
            lemmas=lemmas,
            papers=len({lemma.partition(":")[0] for lemma in lemmas}),
            unchecked=sum(lemma["ok"] is None for lemma in lemmas.values()),
            seconds=sum(lemma["seconds"] for lemma in lemmas.values()),
            kinds=[group for group in groups if group["lemmas"]],
            claims=claims,
        )
    )


def write_report(
    folder: Path,
    run: Mapping[str, Any],
    papers: Sequence[Mapping[str, Any]],
    figures: Path,
    lemmas: Mapping[str, Mapping[str, Any]] | None = None,
    kinds: Mapping[str, str] | None = None,
) -> Path:
    """Write `index.html`, copies of the figures it shows, and `lemmas.html` if there are any; returns the page's path.

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
    write_atomically(page, render(run, papers, lemmas))
    if lemmas:
        claims = {claim["id"] for paper in papers for claim in paper["claims"]}
        write_atomically(folder / "lemmas.html", render_lemmas(lemmas, kinds or {}, claims))
    return page
