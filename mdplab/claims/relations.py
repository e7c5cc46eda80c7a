"""What a claim states about its numbers; each relation selects one decision rule (rule R7: no author writes an assert).

| relation | rule | one replicate's arrays |
|---|---|---|
| `Bound()` | BOUND-D | `measured` (k,), `bound` (k,), optional `radius` (k,): certified error of `measured` |
| `BoundHP(delta)` | BOUND-HP | `violated` (m,) |
| `BoundMean(cap)` | BOUND-E | `error` (m,) in [0, cap], `bound` () |
| `Rate(exponent)` | RATE-G1 | `n` (K,), `error` (seeds, K), optional `floor` () |
| `WorstRate(exponent)` | RATE-H1 | as `Rate` |
| `SequentialRate(exponent)` | RATE-E1 | `error_lo` (m,), `error_hi` (m,), `ratio` (); optional `sizes` (2,) |
| `LinearRate()` | LIN-1 | `error` (T,), `floor` () |
| `Ordering()` | ORD-1 | `left` (m,), `right` (m,); the claim is left < right |
| `Regret()` | REG-1 | `horizons` (K,), `select` (G, K, m), `estimate` (G, K, m) |
| `Identity()` | IDENTITY | `left` (k,), `right` (k,), `tolerance` (k,); optional, for a table: see there |
| `CertificateSound()` | CERTIFICATE | `accepted` (m,) bool, `true` (m,) bool |
| `Witness()` | WITNESS | `holds` (k,) bool, each re-verified in exact arithmetic; optional `text` |

The runner stacks replicates along a new leading axis before `decide`.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mdplab.claims.decision import Decision
from mdplab.claims.relation import Relation, Stacked, shared

_INSTANCES = "Says nothing about instances that are not listed, nor about the proof."


@dataclass(frozen=True)
class Bound(Relation):
    """measured <= bound at every point of every instance."""

    rule: ClassVar[str] = "BOUND-D"
    arrays: ClassVar[tuple[str, ...]] = ("measured", "bound")
    optional: ClassVar[tuple[str, ...]] = ("radius",)
    not_established: ClassVar[str] = _INSTANCES

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import bounds

        return bounds.bound_d(**self._named(stacked))

    def describe(self) -> str:
        return "the measured quantity is at most the bound at every point of every listed instance"

    def synthetic(self) -> dict[str, np.ndarray]:
        return {"measured": np.linspace(0.1, 0.9, 9)[None], "bound": np.ones((1, 9))}


@dataclass(frozen=True)
class BoundHP(Relation):
    """A bound that fails with probability at most `delta`, over runs."""

    delta: float

    rule: ClassVar[str] = "BOUND-HP"
    arrays: ClassVar[tuple[str, ...]] = ("violated",)
    deterministic: ClassVar[bool] = False
    not_established: ClassVar[str] = (
        "Says nothing about failure probabilities below twice the tested delta, smaller values of delta, other "
        "instance families, or the dependence of the bound on its parameters beyond the sizes run."
    )

    def __post_init__(self) -> None:
        _inside("delta", self.delta, 0.0, 0.5)

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import bounds

        return bounds.bound_hp(**self._named(stacked), delta=self.delta)

    def describe(self) -> str:
        return f"the bound is violated in at most a fraction {self.delta:g} of runs (accepted below {2 * self.delta:g})"

    def synthetic(self) -> dict[str, np.ndarray]:
        return {"violated": np.zeros((1, int(np.ceil(20 / self.delta))), dtype=bool)}


@dataclass(frozen=True)
class BoundMean(Relation):
    """E error <= bound, for errors in [0, cap]."""

    cap: float

    rule: ClassVar[str] = "BOUND-E"
    arrays: ClassVar[tuple[str, ...]] = ("error", "bound")
    deterministic: ClassVar[bool] = False
    not_established: ClassVar[str] = (
        "Says nothing about errors beyond the almost-sure cap, other instance families, or any functional of the error "
        "other than its mean."
    )

    def __post_init__(self) -> None:
        if not self.cap > 0:
            raise ValueError(f"cap is {self.cap}; it must be above 0 (infinity if none is known)")

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import bounds

        return bounds.bound_e(**self._named(stacked), cap=self.cap)

    def describe(self) -> str:
        return f"the mean error is at most the bound, for errors in [0, {self.cap:g}]"

    def synthetic(self) -> dict[str, np.ndarray] | None:
        if np.isinf(self.cap):
            return None
        return {"error": np.zeros((12, 40)), "bound": np.full(12, 0.5 * self.cap)}


@dataclass(frozen=True)
class Rate(Relation):
    """error = O(n^-exponent log^log_power n) over the registered window; tested at `exponent - margin`."""

    exponent: float
    margin: float = 0.05
    log_power: float | None = 0
    functional: str = "mean_log"

    rule: ClassVar[str] = "RATE-G1"
    arrays: ClassVar[tuple[str, ...]] = ("n", "error")
    optional: ClassVar[tuple[str, ...]] = ("floor",)
    deterministic: ClassVar[bool] = False
    not_established: ClassVar[str] = (
        "Says nothing about n beyond the largest one run, other instance families, the constant, functionals of the "
        "error other than the one tested, nor log factors below the registered power."
    )

    def __post_init__(self) -> None:
        _inside("margin", self.margin, 0.0, np.inf)

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import rates

        return rates.rate_g1(**self._on_grid(stacked), **self.parameters)

    def _on_grid(self, stacked: Stacked) -> dict[str, np.ndarray]:
        return self._named(stacked) | {"n": shared(stacked, "n")}

    def describe(self) -> str:
        log = f" (log n)^{self.log_power:g}" if self.log_power else ""
        return (
            f"error ({self.functional.replace('_', ' of ')}) decays at least like n^-{self.exponent:g}{log} over the "
            f"last four doublings, tested at exponent {self.exponent - self.margin:g} from both sides"
        )

    def synthetic(self) -> dict[str, np.ndarray]:
        # Eight seeds of noise 0.4 margin on 24 instances resolve the margin many times over.
        n = 64.0 * 2.0 ** np.arange(9)
        noise = np.random.default_rng([64, 9]).standard_normal((24, 8, 9))
        error = n**-self.exponent * np.log(n) ** (self.log_power or 0) * np.exp(0.4 * self.margin * noise)
        return {"n": np.tile(n, (24, 1)), "error": error}


@dataclass(frozen=True)
class WorstRate(Rate):
    """As `Rate`, for every instance rather than on average over them."""

    rule: ClassVar[str] = "RATE-H1"

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import rates

        return rates.rate_h1(**self._on_grid(stacked), **self.parameters)

    def describe(self) -> str:
        return f"on every instance, {super().describe()}"


@dataclass(frozen=True)
class SequentialRate(Relation):
    """error(ratio n) <= ratio^-(exponent - margin) error(n), tested one fresh pair at a time, valid at any stopping."""

    exponent: float
    margin: float = 0.05

    rule: ClassVar[str] = "RATE-E1"
    arrays: ClassVar[tuple[str, ...]] = ("error_lo", "error_hi", "ratio")
    optional: ClassVar[tuple[str, ...]] = ("sizes",)
    deterministic: ClassVar[bool] = False
    not_established: ClassVar[str] = (
        "Says nothing about n outside the pair of sizes compared, other instance families, or the constant; assumes "
        "scale noise that is exchangeable between the two sizes."
    )

    def __post_init__(self) -> None:
        _inside("margin", self.margin, 0.0, np.inf)

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import rates

        named = self._named(stacked)
        if "sizes" in named:
            named["sizes"] = shared(stacked, "sizes")
        return rates.rate_e1(**named, **self.parameters)

    def describe(self) -> str:
        return f"the error falls at least like n^-{self.exponent - self.margin:g} between two sizes, by e-process"


@dataclass(frozen=True)
class LinearRate(Relation):
    """Geometric decrease with an unspecified factor: the log error does not flatten out."""

    threshold: float = 0.85

    rule: ClassVar[str] = "LIN-1"
    arrays: ClassVar[tuple[str, ...]] = ("error", "floor")
    deterministic: ClassVar[bool] = False
    not_established: ClassVar[str] = (
        "Says nothing about iterations beyond the last one run, the factor, other instance families, or slowing down "
        "below the measured floor."
    )

    def __post_init__(self) -> None:
        _inside("threshold", self.threshold, 0.0, 1.0)

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import linear

        return linear.lin_1(**self._named(stacked), threshold=self.threshold)

    def describe(self) -> str:
        return f"log error keeps falling: late slope over early slope above {self.threshold:g}, above the floor"

    def synthetic(self) -> dict[str, np.ndarray]:
        noise = np.random.default_rng([85, 600]).standard_normal((12, 600))
        return {"error": 0.95 ** np.arange(600.0) * np.exp(0.05 * noise), "floor": np.full(12, 1e-18)}


@dataclass(frozen=True)
class Ordering(Relation):
    """left < right, on average over the family or on every instance."""

    every_instance: bool = False

    rule: ClassVar[str] = "ORD-1"
    arrays: ClassVar[tuple[str, ...]] = ("left", "right")
    deterministic: ClassVar[bool] = False
    not_established: ClassVar[str] = (
        "Says nothing about the size of the difference, other instance families or other horizons, nor, where the mean "
        "over the family was tested, about any single instance."
    )

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import ordering

        return ordering.ord_1(**self._named(stacked), every_instance=self.every_instance)

    def describe(self) -> str:
        return f"left is below right {'on every instance' if self.every_instance else 'on average over the instances'}"

    def synthetic(self) -> dict[str, np.ndarray]:
        right = np.random.default_rng([24, 16]).standard_normal((24, 16))
        return {"left": right - 1.0, "right": right}


@dataclass(frozen=True)
class Regret(Relation):
    """Worst-case regret grows at most like T^exponent log^log_power T, over an instance grid that hardens with T."""

    exponent: float = 0.5
    margin: float = 0.05
    log_power: float = 0

    rule: ClassVar[str] = "REG-1"
    arrays: ClassVar[tuple[str, ...]] = ("horizons", "select", "estimate")
    deterministic: ClassVar[bool] = False
    not_established: ClassVar[str] = (
        "Says nothing about horizons beyond the largest one run, instances outside the grid, the constant, nor log "
        "factors below the registered power."
    )

    def __post_init__(self) -> None:
        _inside("margin", self.margin, 0.0, np.inf)

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import regret

        return regret.reg_1(**self._named(stacked) | {"horizons": shared(stacked, "horizons")}, **self.parameters)

    def describe(self) -> str:
        log = f" (log T)^{self.log_power:g}" if self.log_power else ""
        return (
            f"regret of the worst instance for each horizon grows at most like T^{self.exponent:g}{log}, "
            f"tested at exponent {self.exponent + self.margin:g} from both sides"
        )

    def synthetic(self) -> dict[str, np.ndarray]:
        T = 64.0 * 2.0 ** np.arange(7)
        noise = np.random.default_rng([5, 7]).uniform(0.9, 1.1, (2, 1, 3, 7, 200))
        regret = (T**self.exponent * np.log(T) ** self.log_power)[:, None] * noise
        return {"horizons": T[None], "select": regret[0], "estimate": regret[1]}


@dataclass(frozen=True)
class Identity(Relation):
    """left = right to the stated tolerance, the two sides computed by independent routes.

    With `labels` reports show every entry, with the half-width of `left`'s own `interval` at `INTERVAL_LEVEL` and the
    window that it is fitted on.
    """

    rule: ClassVar[str] = "IDENTITY"
    arrays: ClassVar[tuple[str, ...]] = ("left", "right", "tolerance")
    optional: ClassVar[tuple[str, ...]] = ("labels", "interval", "windows")
    not_established: ClassVar[str] = _INSTANCES

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import exact

        return exact.identity(**self._named(stacked))

    def describe(self) -> str:
        return "the two sides agree to the stated tolerance on every listed instance"

    def synthetic(self) -> dict[str, np.ndarray]:
        left = np.linspace(-1, 1, 5)[None]
        return {"left": left, "right": left.copy(), "tolerance": np.full((1, 5), 1e-12)}


@dataclass(frozen=True)
class CertificateSound(Relation):
    """No false statement is accepted, and every true one is."""

    rule: ClassVar[str] = "CERTIFICATE"
    arrays: ClassVar[tuple[str, ...]] = ("accepted", "true")
    not_established: ClassVar[str] = (
        "Says nothing about perturbations other than those tried; soundness is argued by the checker's own proof."
    )

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import exact

        return exact.certificate(**self._named(stacked))

    def describe(self) -> str:
        return "the checker accepts the true certificates and none of the false ones"

    def synthetic(self) -> dict[str, np.ndarray]:
        truth = np.arange(8)[None] % 2 == 0
        return {"accepted": truth, "true": truth.copy()}


@dataclass(frozen=True)
class Witness(Relation):
    """Exact facts: a counter-example, a construction, an impossibility for two-point families.

    `scope` names the set for every member of which the facts are a proof; with it, the verdict is PROVED(scope).
    """

    scope: str = ""

    rule: ClassVar[str] = "WITNESS"
    arrays: ClassVar[tuple[str, ...]] = ("holds",)
    optional: ClassVar[tuple[str, ...]] = ("text",)
    not_established: ClassVar[str] = "Says nothing beyond the facts listed: not the paper's theorem outside this scope."

    def decide(self, stacked: Stacked) -> Decision:
        from mdplab.claims.rules import exact

        return exact.witness(stacked["holds"], "; ".join(dict.fromkeys(np.ravel(stacked.get("text", [])).tolist())))

    def describe(self) -> str:
        return "every listed fact holds in exact arithmetic" + (f", for {self.scope}" if self.scope else "")

    def synthetic(self) -> dict[str, np.ndarray]:
        return {"holds": np.ones((1, 3), dtype=bool)}


def _inside(name: str, value: float, lo: float, hi: float) -> None:
    if not lo < value < hi:
        raise ValueError(f"{name} is {value}; it must lie strictly between {lo:g} and {hi:g}")
