"""Verdicts, and what a run says: plain values that go to JSON and back without loss."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from html import escape
from typing import Any, Self


class Verdict(StrEnum):
    """What can be said of a claim; the order of definition is from worst to best, NOT-APPLICABLE apart."""

    INVALID_CHECK = "INVALID-CHECK"
    REFUTED = "REFUTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    CONSISTENT = "CONSISTENT"
    VERIFIED = "VERIFIED"
    PROVED = "PROVED"
    NOT_APPLICABLE = "NOT-APPLICABLE"

    @classmethod
    def parse(cls, text: str) -> "Verdict":
        """From a card's spelling: any case, `_` for `-`, "invalid" for short."""
        name = text.strip().upper().replace("_", "-")
        return cls("INVALID-CHECK" if name == "INVALID" else name)


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst of several, in the order INVALID > REFUTED > INCONCLUSIVE > CONSISTENT > VERIFIED > PROVED.

    NOT-APPLICABLE counts only where there is nothing else.

    Examples
    --------
    >>> worst([Verdict.VERIFIED, Verdict.REFUTED, Verdict.NOT_APPLICABLE]).value
    'REFUTED'
    """
    order = list(Verdict)
    return min(verdicts, key=order.index)


@dataclass(frozen=True)
class ArmResult:
    """One arm of a claim.

    `outcome` is "refuted", "accepted" or "undecided" at the arm's own level, "not-applicable" or "error"; `wanted`
    what a sound check needs it to be ("" for the main arms). `decision` has the rule's numbers (p-values, slack,
    statistics, guards). `digest` is the hash over the stored arrays of all replicates, `arrays` the hash of each.
    """

    name: str
    role: str
    outcome: str
    wanted: str = ""
    reason: str = ""
    decision: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    replicates: int = 0
    skipped: int = 0
    digest: str = ""
    arrays: tuple[str, ...] = ()

    @property
    def as_wanted(self) -> bool:
        """Whether a falsifier was refuted, a control accepted."""
        return self.wanted in {"", self.outcome}


@dataclass(frozen=True)
class ClaimResult:
    """A verdict with everything that a reader needs to judge it.

    `slack` is the largest measured/promised ratio, `refutable_factor` the smallest factor by which the claim would have
    to be strengthened to be refuted on the same data; None where the relation has none. `kill_matrix` says by falsifier
    whether it was refuted. `amendments` lists changes of the registered design since data were first taken.
    """

    id: str
    paper: str
    title: str
    theorem: str
    statement: str
    relation: str
    verdict: str
    reason: str
    expected: str
    as_expected: bool
    slack: float | None = None
    tightness: tuple[float, float] | None = None
    refutable_factor: float | None = None
    qualifiers: tuple[str, ...] = ()
    arms: tuple[ArmResult, ...] = ()
    kill_matrix: Mapping[str, bool] = field(default_factory=dict)
    seconds: float = 0.0
    registration: str = ""
    amendments: tuple[str, ...] = ()
    not_established: str = ""
    witness: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def arm(self, name: str) -> ArmResult:
        """The arm called `name`, such as "main" or "falsifier:no_anchor"."""
        return next(arm for arm in self.arms if arm.name == name)

    def to_json(self) -> dict[str, Any]:
        """Values that `json.dumps` accepts; infinities and NaN are written as the strings "inf", "-inf", "nan"."""
        return _plain(asdict(self) | {"arms": [asdict(arm) for arm in self.arms]})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        values = _revive(dict(data))
        arms = tuple(ArmResult(**{**arm, "arrays": tuple(arm["arrays"])}) for arm in values.pop("arms"))
        band = values.pop("tightness")
        tuples = {name: tuple(values.pop(name)) for name in ("qualifiers", "amendments")}
        return cls(**values, **tuples, arms=arms, tightness=None if band is None else (band[0], band[1]))


@dataclass(frozen=True, repr=False)
class RunResult:
    """All verdicts of one run; `ok` when every one is what its card expects."""

    profile: str
    results: tuple[ClaimResult, ...]
    seconds: float
    manifest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the suite is green: reality matches the cards."""
        return all(result.as_expected for result in self.results)

    def __getitem__(self, claim_id: str) -> ClaimResult:
        for result in self.results:
            if result.id == claim_id:
                return result
        raise KeyError(f"no result for {claim_id!r}")

    def __repr__(self) -> str:
        met = sum(result.as_expected for result in self.results)
        return f"RunResult({self.profile}: {len(self.results)} claims, {met} as expected, {self.seconds:.1f} s)"

    def _repr_html_(self) -> str:
        """A table for notebooks; verdicts that are not what the card expects are marked."""
        rows = [
            [r.id, r.verdict if r.as_expected else f"{r.verdict} (expected {r.expected})", r.reason]
            for r in self.results
        ]
        cells = ["".join(f"<td>{escape(text)}</td>" for text in row) for row in rows]
        head = "<tr><th>claim</th><th>verdict</th><th>reason</th></tr>"
        return f"<table>{head}{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"

    def to_json(self) -> dict[str, Any]:
        """Values that `json.dumps` accepts."""
        out = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "results"}
        return {"ok": self.ok, **_plain(out), "results": [result.to_json() for result in self.results]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        values = {key: _revive(value) for key, value in data.items() if key not in {"results", "ok"}}
        return cls(**values, results=tuple(ClaimResult.from_json(result) for result in data["results"]))

    def dumps(self) -> str:
        """JSON text."""
        return json.dumps(self.to_json(), allow_nan=False, ensure_ascii=False, indent=1)


_WORDS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def _plain(value: Any) -> Any:
    """Mappings, sequences, NumPy scalars and arrays as JSON values."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _revive(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _revive(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_revive(item) for item in value]
    return _WORDS.get(value, value) if isinstance(value, str) else value
