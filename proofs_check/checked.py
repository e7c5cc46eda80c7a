"""What a lemma returns: a fact that exact arithmetic has checked, with the number that decides it.

A module `proofs_check/<key>.py` holds the lemmas of one paper, functions `lemma_<name>() -> Checked` that need no
argument; claims cite them as `<key>:<name>`. `FALSIFIED` there maps each name to arguments that make the statement
false: with them the lemma must fail, that is, not be ok, or raise `Refused`.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy

# kind: what decides it.
KINDS = {
    "IDENTITY": "sympy reduces the difference to 0",
    "EXACT_CASES": "rational arithmetic over an enumerated finite set; the residual counts failures",
    "SOS": "rational multipliers, verified by exact expansion; the residual is the defect",
    "INTERVAL": "an enclosure (lo, hi) of the slack, with rational ends; lo is at least 0",
    "COUNTEREXAMPLE": "an exact rational witness; the residual is the violation, above 0",
}
_RATIONAL = ("EXACT_CASES", "INTERVAL", "COUNTEREXAMPLE")
_KEY = re.compile(r"[a-z]+\d{4}[a-z]?")


class Refused(ValueError):
    """A certificate that proves nothing: a negative weight, an enclosure that does not decide, a singular step."""


@dataclass(frozen=True)
class Checked:
    """A statement, how it was checked, and the exact number that decides.

    Parameters
    ----------
    kind
        One of `KINDS`.
    statement
        The statement, with its scope (for all n, for n <= 4, ...).
    source
        Paper and place, or "derived".
    evidence
        What was computed: substitutions, cases, multipliers, witness.
    residual
        Exact number (int, Fraction or sympy), or a pair of them for "INTERVAL". Floats are refused: a comparison of
        floats is never a proof.

    Raises
    ------
    ValueError
        Unknown kind.
    TypeError
        A residual that is not exact.

    Examples
    --------
    >>> x = sympy.Symbol("x")
    >>> difference = sympy.expand((x + 1) ** 2 - x**2 - 2 * x - 1)
    >>> Checked("IDENTITY", "(x + 1)^2 = x^2 + 2 x + 1", "school", "expand", difference).ok
    True
    >>> Checked("COUNTEREXAMPLE", "x^2 < x for some x", "school", "x = 1/2", Fraction(1, 4)).ok
    True
    """

    kind: str
    statement: str
    source: str
    evidence: str
    residual: Any

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; expected one of {', '.join(KINDS)}")
        pair = isinstance(self.residual, tuple)
        if pair != (self.kind == "INTERVAL") or (pair and len(self.residual) != 2):
            raise TypeError(
                f"residual is {self.residual!r}; a pair (lo, hi) goes with INTERVAL, one number with others"
            )
        for part in self.residual if pair else (self.residual,):
            exact = isinstance(part, int | Fraction) or (isinstance(part, sympy.Expr) and not part.has(sympy.Float))
            if isinstance(part, bool) or not exact:
                raise TypeError(f"residual has {part!r} of type {type(part).__name__}; expected an exact number")
            # What is compared with 0 must be a number: a symbol would be above 0 by what is assumed of it.
            if self.kind in _RATIONAL and not isinstance(part, int | Fraction | sympy.Rational):
                raise TypeError(f"residual of {self.kind} is {part!r}; expected a rational number")

    @property
    def ok(self) -> bool:
        """Whether the fact holds."""
        if self.kind == "INTERVAL":
            lo, hi = self.residual
            return bool(0 <= lo <= hi)
        if self.kind == "COUNTEREXAMPLE":
            return bool(self.residual > 0)
        return bool(self.residual == 0)


def failed_cases(slacks: Iterable, least: int | Fraction | str = 0) -> int:
    """How many of the slacks of an inequality are negative, plus one if the least is not as stated.

    The least slack pins the statement: a wrong sign that made an inequality trivially true would move it.

    Examples
    --------
    >>> failed_cases([Fraction(1, 2), 0, 3])
    0
    >>> failed_cases([Fraction(1, 2), Fraction(-1), 3])
    2
    >>> failed_cases([Fraction(1, 2), 3])
    1
    """
    values = list(slacks)
    return sum(slack < 0 for slack in values) + (min(values) != Fraction(least))


def witness(violation: Any, stated: int | Fraction | str) -> Any:
    """The violation of a statement by a counterexample if it is the stated one; -1, which proves nothing, otherwise.

    Examples
    --------
    >>> witness(Fraction(1, 2) - Fraction(1, 4), "1/4")
    Fraction(1, 4)
    >>> witness(Fraction(1, 2) + Fraction(1, 4), "1/4")
    -1
    """
    return violation if violation == Fraction(stated) else -1


def lemmas(keys: Iterable[str] | None = None) -> dict[str, Callable[..., Checked]]:
    """Lemma functions by id `<key>:<name>`, of all papers or of those named.

    Raises
    ------
    ValueError
        A key without a lemma file.

    Examples
    --------
    >>> "munos2023:energy" in lemmas(["munos2023"])
    True
    """
    package = importlib.import_module("proofs_check")
    known = [info.name for info in pkgutil.iter_modules(package.__path__) if _KEY.fullmatch(info.name)]
    out = {}
    for key in sorted(known) if keys is None else keys:
        if key not in known:
            raise ValueError(f"no lemma file {key!r}; there are {', '.join(sorted(known))}")
        module = importlib.import_module(f"proofs_check.{key}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("lemma_") and function.__module__ == module.__name__:
                out[f"{key}:{name.removeprefix('lemma_')}"] = function
    return out


def falsified(lemma_id: str) -> dict[str, Any]:
    """Arguments with which a lemma must fail, from `FALSIFIED` of its module; ValueError if it has none.

    Examples
    --------
    >>> falsified("munos2023:three_point")
    {'sign': -1}
    """
    key, name = lemma_id.split(":")
    variants = getattr(importlib.import_module(f"proofs_check.{key}"), "FALSIFIED", {})
    if not variants.get(name):
        raise ValueError(f"proofs_check/{key}.py: FALSIFIED has no arguments that make {name!r} false")
    return dict(variants[name])
