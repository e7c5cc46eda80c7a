"""A paper's card: what we chose (sizes, expected verdicts, figures), in TOML, validated key by key.

[paper]                       # key, title, authors, year; venue, arxiv, doi, url
[profiles.quick]              # the fields of the module's `Params`
[profiles.full]
[claims.<function name>]
expect.verdict = "consistent" # expect.quick / expect.full where one profile differs
replicates = { quick = 12, full = 24 }
tightness = [0.5, 1.0]        # band of `slack`; or { quick = [...], full = [...] }
note = "..."                  # why we expect this
[figures.<name>]
claim = "<function name>"
kind = "rate"                 # rate, band, phase, cdf or custom
caption = "..."
labels = { error = "$\\|V - V^*\\|$" }
"""

import dataclasses
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from mdplab.claims.result import Verdict

Profile = Literal["quick", "full"]
PROFILES: tuple[Profile, ...] = ("quick", "full")


def _verdict(text: Any) -> Any:
    if isinstance(text, str):
        try:
            return Verdict.parse(text)
        except ValueError:
            raise ValueError(f"expected one of {', '.join(v.value.lower() for v in Verdict)}") from None
    return text


CardVerdict = Annotated[Verdict, BeforeValidator(_verdict)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PaperSection(_Section):
    """Bibliography."""

    key: str
    title: str
    authors: tuple[str, ...] = Field(min_length=1)
    year: int = Field(ge=1900, le=2100)
    venue: str = ""
    arxiv: str = ""
    doi: str = ""
    url: str = ""


class Expect(_Section):
    """The verdict that reality must match for the suite to be green, where a profile differs also by profile."""

    verdict: CardVerdict
    quick: CardVerdict | None = None
    full: CardVerdict | None = None

    def under(self, profile: Profile) -> Verdict:
        """The verdict expected under a profile."""
        return getattr(self, profile) or self.verdict


class Replicates(_Section):
    """Instances per profile."""

    quick: int = Field(ge=1)
    full: int = Field(ge=1)


class Band(_Section):
    """Bands of `slack` per profile."""

    quick: tuple[float, float] | None = None
    full: tuple[float, float] | None = None


class ClaimCard(_Section):
    """What we chose for one claim, and what we expect of it."""

    expect: Expect
    replicates: Replicates
    tightness: tuple[float, float] | Band | None = None
    note: str = ""
    formal_ref: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> "ClaimCard":
        for profile in PROFILES:
            band = self.band(profile)
            if band is not None and not band[0] <= band[1]:
                raise ValueError(f"tightness is {list(band)}; expected [lo, hi] with lo <= hi")
        return self

    def band(self, profile: Profile) -> tuple[float, float] | None:
        """The band that `slack` must lie in under a profile."""
        return getattr(self.tightness, profile) if isinstance(self.tightness, Band) else self.tightness


class FigureCard(_Section):
    """A theory figure: the module's `figure_<name>(p, rng)` computes it, the report draws it."""

    claim: str
    kind: Literal["rate", "band", "phase", "cdf", "custom"]
    caption: str
    title: str = ""
    xlabel: str = ""
    ylabel: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    profile: Profile = "quick"


class _File(_Section):
    paper: PaperSection
    profiles: dict[Profile, dict[str, Any]]
    claims: dict[str, ClaimCard] = Field(min_length=1)
    figures: dict[str, FigureCard] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> "_File":
        for profile in PROFILES:
            if profile not in self.profiles:
                raise ValueError(f"has no [profiles.{profile}]")
        for name, figure in self.figures.items():
            if figure.claim not in self.claims:
                raise ValueError(f"figures.{name}.claim is {figure.claim!r}; expected one of {', '.join(self.claims)}")
        return self


@dataclasses.dataclass(frozen=True)
class Card:
    """A validated card; `params[profile]` are instances of the paper's `Params`."""

    path: Path
    paper: PaperSection
    claims: dict[str, ClaimCard]
    figures: dict[str, FigureCard]
    params: dict[Profile, Any]


def load_card(path: Path, params: type) -> Card:
    """Read and validate a card against the paper's `Params` (a pydantic model or a dataclass).

    Raises
    ------
    ValueError
        "FILE:LINE: key: what is wrong", one line for each fault.
    """
    text = path.read_text(encoding="utf-8")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name}: not TOML: {error}") from None
    try:
        file = _File.model_validate(values)
    except ValidationError as error:
        raise ValueError(_faults(path, text, error, ())) from None
    if file.paper.key != path.stem:
        raise ValueError(
            f"{path.name}:{_line(text, ('paper', 'key'))}: paper.key is {file.paper.key!r}; expected {path.stem!r}"
        )
    profiles = {profile: _params(path, text, params, profile, file.profiles[profile]) for profile in PROFILES}
    return Card(path, file.paper, dict(file.claims), dict(file.figures), profiles)


def _params(path: Path, text: str, params: type, profile: Profile, values: dict[str, Any]) -> Any:
    known = [field.name for field in dataclasses.fields(params)] if dataclasses.is_dataclass(params) else None
    if known is None:
        if not (isinstance(params, type) and issubclass(params, BaseModel)):
            raise ValueError(f"{path.stem}: Params is {params!r}; expected a pydantic model or a dataclass")
        known = list(params.model_fields)
    for name in values:
        if name not in known:
            where = _line(text, ("profiles", profile, name))
            raise ValueError(
                f"{path.name}:{where}: profiles.{profile}.{name} is unknown; expected one of {', '.join(known)}"
            )
    try:
        return TypeAdapter(params).validate_python(values)
    except ValidationError as error:
        raise ValueError(_faults(path, text, error, ("profiles", profile))) from None


def plain_params(params: Any) -> dict[str, Any]:
    """The parameters as JSON values, for hashing and for the record."""
    return _adapter(type(params)).dump_python(params, mode="json")


@cache
def _adapter(params: type) -> TypeAdapter:
    """Building one takes a millisecond, and every task of a run asks."""
    return TypeAdapter(params)


def _faults(path: Path, text: str, error: ValidationError, prefix: tuple[str, ...]) -> str:
    lines = []
    for fault in error.errors():
        key = (*prefix, *(part for part in fault["loc"] if isinstance(part, str | int)))
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "unknown key"
        elif fault["type"] not in {"missing", "value_error"}:
            message = f"is {fault['input']!r}; {message[0].lower()}{message[1:]}"
        elif fault["type"] == "value_error" and not isinstance(fault["input"], dict):
            message = f"is {fault['input']!r}; {message}"
        dotted = ".".join(map(str, key))
        lines.append(f"{path.name}:{_line(text, key)}: {dotted}{': ' if dotted else ''}{message}")
    return "\n".join(dict.fromkeys(lines))


def _line(text: str, key: tuple[Any, ...]) -> int:
    """The line of the card that comes nearest to naming `key`: its own, else its table's, else the first."""
    best, found = 0, 1
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if line.startswith("["):
            table = tuple(part.strip(' "') for part in line.split("]")[0].strip("[").split("."))
            here = table
        elif "=" in line and not line.startswith("#"):
            here = (*table, *(part.strip(' "') for part in line.split("=")[0].split(".")))
        else:
            continue
        common = len(here) if here == tuple(map(str, key[: len(here)])) else 0
        if common > best:
            best, found = common, number
    return found
