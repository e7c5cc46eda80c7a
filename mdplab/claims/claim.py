"""A claim: one statement of one paper, bound to code that measures it and to near-misses that must fail it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from mdplab.claims.relation import Relation

MAIN, TWO_START, SEARCH, ZERO_ERROR = "main", "two-start", "search", "zero-error"


class NotApplicable(Exception):
    """Raised by a claim's function when the instance it drew does not satisfy the theorem's hypotheses.

    The message names the hypothesis. The replicate is left out; a claim with no replicate left is NOT-APPLICABLE.
    """


class Evidence:
    """Raw arrays that one replicate (one MDP or game instance) measured, by the names that the relation asks for.

    Parameters
    ----------
    **arrays
        Numbers, booleans or text; stored as read-only C-order float64, int64, bool or str arrays. Names beyond those of
        the relation are kept for figures.

    Raises
    ------
    ValueError
        An array of another kind (complex, objects), by name.

    Examples
    --------
    >>> e = Evidence(measured=[0.5, 0.25], bound=[1.0, 0.5])
    >>> float((e["measured"] / e["bound"]).max())
    0.5
    """

    __slots__ = ("arrays",)

    def __init__(self, **arrays: Any) -> None:
        self.arrays: Mapping[str, np.ndarray] = MappingProxyType(
            {name: _plain(name, arrays[name]) for name in sorted(arrays)}
        )

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.arrays:
            raise KeyError(f"no array {name!r}; there are {', '.join(self.arrays)}")
        return self.arrays[name]

    def __reduce__(self) -> tuple:
        return _evidence, (dict(self.arrays),)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.arrays.items())
        return f"Evidence({shapes})"


def _evidence(arrays: dict[str, np.ndarray]) -> Evidence:
    return Evidence(**arrays)


def _plain(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    kinds = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}
    if array.dtype.kind in kinds:
        array = np.array(array, dtype=kinds[array.dtype.kind], order="C", copy=True)
    elif array.dtype.kind != "U":
        raise ValueError(f"{name} has dtype {array.dtype}; evidence is real numbers, booleans or text")
    array.flags.writeable = False
    return array


EvidenceFunction = Callable[[Any, np.random.Generator], Evidence]


@dataclass(frozen=True)
class Arm:
    """One thing that a claim runs: `role` is main, falsifier, control or zero-error."""

    name: str
    role: str
    function: EvidenceFunction


@dataclass(frozen=True, eq=False)
class Claim:
    """What `claim` makes of a function; calling it runs the function.

    `falsifiers` must be refuted and `controls` accepted by the claim's own rule. `zero_error` is the exact answer
    pushed through the same measuring pipeline. `two_start` is the main measurement from the oracle's start and `search`
    one on instances found by adversarial search; where declared, the claim's verdict is the worst over main and these.
    """

    function: EvidenceFunction
    theorem: str
    statement: str
    relation: Relation
    assumptions: tuple[str, ...]
    falsifiers: Mapping[str, EvidenceFunction]
    controls: Mapping[str, EvidenceFunction]
    lemmas: tuple[str, ...]
    words: str
    title: str
    zero_error: EvidenceFunction | None = None
    two_start: EvidenceFunction | None = None
    search: EvidenceFunction | None = None

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__name__

    @property
    def module(self) -> str:
        """Dotted name of the paper's module."""
        return self.function.__module__

    @property
    def key(self) -> str:
        """Key of the paper, the stem of its module and card."""
        return self.module.rsplit(".", 1)[-1]

    @property
    def id(self) -> str:
        """`<paper key>:<function name>`."""
        return f"{self.key}:{self.name}"

    @property
    def arms(self) -> dict[str, Arm]:
        """Everything that is run, by name: `main`, `falsifier:<name>`, `control:<name>`, ..."""
        extra = {TWO_START: self.two_start, SEARCH: self.search}
        arms = [Arm(MAIN, "main", self.function)]
        arms += [Arm(name, "main", function) for name, function in extra.items() if function is not None]
        arms += [Arm(f"falsifier:{name}", "falsifier", function) for name, function in self.falsifiers.items()]
        arms += [Arm(f"control:{name}", "control", function) for name, function in self.controls.items()]
        if self.zero_error is not None:
            arms.append(Arm(ZERO_ERROR, "zero-error", self.zero_error))
        return {arm.name: arm for arm in arms}

    def __call__(self, p: Any, rng: np.random.Generator) -> Evidence:
        return self.function(p, rng)


def claim(
    theorem: str,
    statement: str,
    *,
    relation: Relation,
    assumptions: Iterable[str] = (),
    falsifiers: Mapping[str, EvidenceFunction],
    controls: Mapping[str, EvidenceFunction] = MappingProxyType({}),
    lemmas: Iterable[str] = (),
    words: str = "",
    title: str = "",
    zero_error: EvidenceFunction | None = None,
    two_start: EvidenceFunction | None = None,
    search: EvidenceFunction | None = None,
) -> Callable[[EvidenceFunction], Claim]:
    r"""Register `f(p, rng) -> Evidence` as the measurement of a statement; it is called once per replicate.

    Parameters
    ----------
    theorem
        Where the paper states it, such as "Theorem 1".
    statement
        LaTeX of the statement, without dollar signs.
    relation
        Selects the decision rule; see `mdplab.claims.relations`.
    assumptions
        The theorem's hypotheses, in words or LaTeX between dollar signs. A function raises `NotApplicable` where an
        instance does not satisfy them.
    falsifiers
        Near-misses by name: functions of the same signature, run on the same random streams, each of which the claim's
        rule must refute. At least one.
    controls
        Positive controls by name, each of which the rule must accept.
    lemmas
        Ids of lemmas in `proofs_check`, such as "munos2023:three_point".
    words, title
        The statement in words, and a short title (default: from the function's name).
    zero_error
        The exact answer through the same measuring pipeline; what is left is the floor of rate claims.
    two_start
        The measurement started at the oracle's fixed point; decided like the main one.
    search
        The measurement on instances found by adversarial search; deterministic relations only, because the data are
        selected. It calls `mdplab.claims.search.search_worst` with a function from a point of the unit cube, which
        encodes an instance, to measured / bound there, then measures afresh at the point found, and returns that as
        `Evidence` with the certified radius that a bound's main arm has:

            def searched(p, rng):
                found = search_worst(lambda z: ratio(instance(z)), 20, evaluations=p.evaluations, rng=rng)
                return measure(instance(found.point))

        Points that encode no proper instance have the ratio 0. `mdplab.papers.schulman2015` does so for a bound on
        pairs of policies.

    Returns
    -------
    Callable
        Decorator that turns the function into a `Claim`.

    Raises
    ------
    ValueError
        No falsifier, a name that repeats or is not an identifier, or `search` with a statistical relation.

    Examples
    --------
    >>> from mdplab.claims.claim import Evidence, claim
    >>> from mdplab.claims.relations import Bound
    >>> def tenfold(p, rng):
    ...     return Evidence(measured=[10 * p], bound=[2.0])
    >>> @claim("Lemma 1", r"x \le 2", relation=Bound(), falsifiers={"tenfold": tenfold})
    ... def small(p, rng):
    ...     return Evidence(measured=[p], bound=[2.0])
    >>> sorted(small.arms)
    ['falsifier:tenfold', 'main']
    """

    def register(function: EvidenceFunction) -> Claim:
        name = function.__name__
        if not falsifiers:
            raise ValueError(f"claim {name} has no falsifier; a check that cannot fail says nothing")
        for kind, group in (("falsifiers", falsifiers), ("controls", controls)):
            for label, arm in group.items():
                if not label.replace("-", "_").isidentifier():
                    raise ValueError(f"claim {name}: {kind} has the name {label!r}; letters, digits, - and _ only")
                if label == "synthetic":
                    raise ValueError(f"claim {name}: {kind} has the name 'synthetic', which the relation's control has")
                if not callable(arm):
                    raise ValueError(f"claim {name}: {kind}[{label!r}] is {arm!r}, not a function (p, rng) -> Evidence")
        if search is not None and not relation.deterministic:
            raise ValueError(f"claim {name}: search selects its data, so {type(relation).__name__} has no valid level")
        return Claim(
            function=function,
            theorem=theorem,
            statement=statement,
            relation=relation,
            assumptions=tuple(assumptions),
            falsifiers=MappingProxyType({k: _function(f) for k, f in falsifiers.items()}),
            controls=MappingProxyType({k: _function(f) for k, f in controls.items()}),
            lemmas=tuple(lemmas),
            words=words,
            title=title or name.replace("_", " "),
            zero_error=zero_error,
            two_start=two_start,
            search=search,
        )

    return register


def _function(arm: EvidenceFunction) -> EvidenceFunction:
    """A claim may serve as another's falsifier or control: what runs is its function."""
    return arm.function if isinstance(arm, Claim) else arm


def variant(measure: Callable[..., Evidence], why: str, *args: Any, **options: Any) -> EvidenceFunction:
    """A falsifier or control: the same measurement with something changed.

    Parameters
    ----------
    measure
        `measure(p, rng, *args, **options) -> Evidence`.
    why
        What was changed, in a line; shown by `mdplab show`.

    Examples
    --------
    >>> def scaled(p, rng, factor=1.0):
    ...     return Evidence(measured=[factor * p], bound=[2.0])
    >>> float(variant(scaled, "Ten times too large.", factor=10.0)(1.0, None)["measured"][0])
    10.0
    """

    def run(p: Any, rng: np.random.Generator) -> Evidence:
        return measure(p, rng, *args, **options)

    run.__doc__ = why
    return run
