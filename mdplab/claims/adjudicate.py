"""From evidence to verdicts: stacking, the rules, falsifiers and controls, and one error budget over the run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mdplab.claims import seeds
from mdplab.claims.card import Profile
from mdplab.claims.claim import MAIN, ZERO_ERROR, Claim
from mdplab.claims.decision import ACCEPT_LEVEL, REFUTE_LEVEL, Decision
from mdplab.claims.discovery import Entry
from mdplab.claims.error_budget import Ruling, rule_on
from mdplab.claims.registration import design, digest
from mdplab.claims.relations import Identity, Rate, Regret, SequentialRate, Witness
from mdplab.claims.result import ArmResult, ClaimResult, Verdict, worst
from mdplab.claims.store import Outcome

SYNTHETIC = "control:synthetic"
# A claim that could be this much stronger and still pass says little (VERIFICATION 2.1).
VACUOUS = 10.0
_WANTED = {"main": "", "falsifier": "refuted", "control": "accepted", "zero-error": "accepted"}
_VERDICTS = {"refuted": Verdict.REFUTED, "undecided": Verdict.INCONCLUSIVE, "accepted": Verdict.CONSISTENT}
# A claim that has not finished yet takes its share of the budget.
_UNKNOWN = Decision("none", False, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class ArmData:
    """What the replicates of one arm left: outcomes in the order of the replicates, and the failures' messages."""

    outcomes: Sequence[Outcome]
    failures: Sequence[str] = ()

    @property
    def arrays(self) -> list[Mapping[str, np.ndarray]]:
        """The evidence of the replicates that satisfied the hypotheses."""
        return [outcome.arrays for outcome in self.outcomes if outcome.arrays is not None]


@dataclass(frozen=True, eq=False)
class Judged:
    """A claim's arms, each decided at its own level; the run's budget is not spent yet."""

    entry: Entry
    profile: Profile
    arms: tuple[ArmResult, ...]
    decisions: Mapping[str, Decision]
    invalid: tuple[str, ...]
    seconds: float
    instances: tuple[str, ...] = ()
    amendments: tuple[str, ...] = field(default=())


def stack(claim: Claim, arrays: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of all replicates along a new leading axis.

    Raises
    ------
    ValueError
        An array that the relation requires is missing, or shapes disagree between replicates.
    """
    names = set(arrays[0])
    for i, evidence in enumerate(arrays):
        missing = claim.relation.missing(set(evidence))
        if missing:
            raise ValueError(f"replicate {i} has no array {missing[0]!r}, which {claim.relation.rule} reads")
        if set(evidence) != names:
            raise ValueError(f"replicate {i} has arrays {sorted(evidence)}, replicate 0 {sorted(names)}")
        for name in evidence:
            if evidence[name].shape != arrays[0][name].shape:
                raise ValueError(
                    f"{name} has shape {evidence[name].shape} in replicate {i}, {arrays[0][name].shape} in replicate 0"
                )
    return {name: np.stack([evidence[name] for evidence in arrays]) for name in sorted(names)}


def judge(entry: Entry, profile: Profile, data: Mapping[str, ArmData], amendments: Iterable[str] = ()) -> Judged:
    """Decide every arm of a claim by the claim's rule.

    Parameters
    ----------
    entry, profile
        The claim, and the profile under which its data were taken.
    data
        By arm; main arms whose replicates were all skipped make the claim NOT-APPLICABLE.
    amendments
        Changes of the registered design, for the record.
    """
    claim = entry.claim
    stacked: dict[str, dict[str, np.ndarray]] = {}
    faults: dict[str, str] = {}
    for name, arm in data.items():
        try:
            if arm.failures:
                faults[name] = arm.failures[0]
            elif arm.arrays:
                stacked[name] = stack(claim, arm.arrays)
        except ValueError as error:
            faults[name] = str(error)
    decisions: dict[str, Decision] = {}
    results, invalid = [], []
    for name, arm in claim.arms.items():
        result, decision = _arm(claim, name, data[name], stacked, faults.get(name, ""))
        if decision is not None and arm.role == "main":
            decisions[name] = decision
        results.append(result)
    control, _ = _decided(claim, SYNTHETIC, "control", claim.relation.synthetic(), None)
    if control is not None:
        results.append(control)
    for result in results:
        if result.outcome == "error":
            invalid.append(f"{result.name} failed: {result.reason}")
        elif not result.as_wanted:
            why = f" ({result.reason})" if result.reason else ""
            invalid.append(f"{result.name} was not {result.wanted} but {result.outcome}{why}")
    main = stacked.get(MAIN, {})
    instances = tuple(dict.fromkeys(str(text) for text in np.ravel(main.get("instance", []))))
    return Judged(
        entry,
        profile,
        tuple(results),
        decisions,
        tuple(invalid),
        sum(arm.seconds for arm in results),
        instances,
        tuple(amendments),
    )


def _arm(
    claim: Claim, name: str, data: ArmData, stacked: Mapping[str, dict[str, np.ndarray]], fault: str
) -> tuple[ArmResult, Decision | None]:
    role = claim.arms[name].role
    if fault:
        result, decision = ArmResult(name, role, "error", _WANTED[role], fault), None
    elif name not in stacked:
        reason = next((outcome.skipped for outcome in data.outcomes), "")
        result, decision = ArmResult(name, role, "not-applicable", _WANTED[role], reason), None
    elif role == "zero-error":
        result, decision = _zero_error(claim, stacked), None
    else:
        result, decision = _decided(claim, name, role, stacked[name], stacked.get(ZERO_ERROR))
    digests = tuple(outcome.digest for outcome in data.outcomes)
    result = replace(
        result,
        seconds=sum(outcome.seconds for outcome in data.outcomes),
        replicates=len(data.arrays),
        skipped=len(data.outcomes) - len(data.arrays),
        digest=digest(digests),
        arrays=digests,
    )
    return result, decision


def _decided(
    claim: Claim, name: str, role: str, arrays: Mapping[str, np.ndarray] | None, zero: Mapping[str, np.ndarray] | None
) -> tuple[ArmResult | None, Decision | None]:
    if arrays is None:
        return None, None
    try:
        decision = claim.relation.decide(claim.relation.with_floor(arrays, zero))
    except ValueError as error:
        return ArmResult(name, role, "error", _WANTED[role], str(error)), None
    outcome = decision.outcome(REFUTE_LEVEL, ACCEPT_LEVEL)
    reason = decision.reason(REFUTE_LEVEL, ACCEPT_LEVEL) or (decision.witness if outcome == "refuted" else "")
    return ArmResult(name, role, outcome, _WANTED[role], reason, _record(decision)), decision


def _zero_error(claim: Claim, stacked: Mapping[str, dict[str, np.ndarray]]) -> ArmResult:
    try:
        fault = claim.relation.zero_error_fault(stacked.get(MAIN, {}), stacked[ZERO_ERROR])
    except ValueError as error:
        fault = str(error)
    return ArmResult(ZERO_ERROR, "zero-error", "undecided" if fault else "accepted", "accepted", fault)


def _record(decision: Decision) -> dict[str, Any]:
    names = ("rule", "deterministic", "p_refute", "p_accept", "withhold_refute", "withhold_accept")
    names += ("slack", "refutable_factor", "witness", "e_refute", "e_accept")
    statistics = {
        name: value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in decision.statistics.items()
    }
    return {name: getattr(decision, name) for name in names} | {"statistics": statistics}


def conclude(judged: Sequence[Judged], *, pending: int = 0) -> list[ClaimResult]:
    """Spend the run's error budget and give every claim its verdict.

    Parameters
    ----------
    judged
        All claims of the run.
    pending
        Statistical decisions still to come. Each takes its share of the budget, so that a verdict given early can only
        become more decided.
    """
    decisions = {(one.entry.id, name): d for one in judged for name, d in one.decisions.items()}
    rulings = rule_on(decisions | {("pending", str(i)): _UNKNOWN for i in range(pending)}) if decisions else {}
    return [_conclude(one, {name: rulings[one.entry.id, name] for name in one.decisions}) for one in judged]


def _verdict(claim: Claim, decision: Decision, ruling: Ruling) -> Verdict:
    verdict = _VERDICTS[ruling.outcome]
    if verdict is Verdict.CONSISTENT and decision.deterministic:
        proves = isinstance(claim.relation, Witness) and claim.relation.scope
        return Verdict.PROVED if proves else Verdict.VERIFIED
    return verdict


def _conclude(one: Judged, rulings: Mapping[str, Ruling]) -> ClaimResult:
    entry, claim, card = one.entry, one.entry.claim, one.entry.card
    main = [arm for arm in one.arms if arm.role == "main"]
    verdicts = {name: _verdict(claim, one.decisions[name], rulings[name]) for name in rulings}
    if one.arms[0].outcome == "not-applicable":
        verdict, reason = Verdict.NOT_APPLICABLE, one.arms[0].reason
    elif one.invalid:
        verdict, reason = Verdict.INVALID_CHECK, "; ".join(one.invalid)
    else:
        verdict = worst(list(verdicts.values()))
        reason = _reason(claim, verdict, verdicts, one, rulings)
    slack = _extreme(max, [d.slack for d in one.decisions.values()])
    factor = _extreme(min, [d.refutable_factor for d in one.decisions.values()])
    expected, band = card.expect.under(one.profile), card.band(one.profile)
    in_band = band is None or (slack is not None and band[0] <= slack <= band[1])
    if verdict is expected and not in_band:
        measured = "undefined" if slack is None else f"{slack:.4g}"
        reason = "; ".join(
            filter(None, [reason, f"slack is {measured}, outside the card's [{band[0]:g}, {band[1]:g}]"])
        )
    registered = design(entry, one.profile)
    return ClaimResult(
        id=entry.id,
        paper=entry.paper.key,
        title=claim.title,
        theorem=claim.theorem,
        statement=claim.statement,
        relation=claim.relation.describe(),
        verdict=verdict.value,
        reason=reason,
        expected=expected.value,
        as_expected=verdict is expected and in_band,
        slack=slack,
        tightness=band,
        refutable_factor=factor,
        qualifiers=_qualifiers(claim, verdict, factor, one.decisions.get(MAIN)),
        arms=one.arms,
        kill_matrix={
            arm.name.removeprefix("falsifier:"): arm.outcome == "refuted" for arm in one.arms if arm.role == "falsifier"
        },
        seconds=one.seconds,
        registration=digest(registered),
        amendments=one.amendments,
        not_established=claim.relation.not_established,
        witness="; ".join(filter(None, (decision.witness for decision in one.decisions.values()))),
        provenance={
            "config_sha256": digest({"params": registered["params"], "card": registered["card"]}),
            "sources_sha256": registered["sources"],
            "entropy": [str(word) for word in seeds.entropy(entry.id)],
            "spawn_keys": f"(replicate, 0) for replicate in 0..{registered['replicates'] - 1}",
            "instances": list(one.instances),
            "p_values": {
                name: {
                    "refute": one.decisions[name].p_refute,
                    "accept": one.decisions[name].p_accept,
                    "refute_adjusted": ruling.adjusted_refute,
                    "accept_adjusted": ruling.adjusted_accept,
                }
                for name, ruling in rulings.items()
            },
            "guards": {
                arm.name: [arm.decision[side] for side in ("withhold_refute", "withhold_accept") if arm.decision[side]]
                for arm in main
                if arm.decision
            },
        },
    )


def _reason(
    claim: Claim, verdict: Verdict, verdicts: Mapping[str, Verdict], one: Judged, rulings: Mapping[str, Ruling]
) -> str:
    """What stands in the brackets of a verdict."""
    names = [name for name in verdicts if verdicts[name] is verdict]
    if verdict is Verdict.REFUTED:
        found = [
            one.decisions[name].witness or f"p = {rulings[name].adjusted_refute:.2g} after correction" for name in names
        ]
        text = "; ".join(found)
    elif verdict is Verdict.INCONCLUSIVE:
        text = "; ".join(dict.fromkeys(rulings[name].reason for name in names))
    elif verdict is Verdict.PROVED:
        return claim.relation.scope
    else:
        main = next(arm for arm in one.arms if arm.name == MAIN)
        skipped = f", {main.skipped} outside the hypotheses left out" if main.skipped else ""
        text = f"{main.replicates} instances{skipped}"
        if verdict is Verdict.CONSISTENT and hasattr(claim.relation, "margin"):
            text += f", margin {claim.relation.margin:g}"
        return text
    return text if names == [MAIN] else f"{', '.join(names)}: {text}"


def _extreme(pick: Any, values: list[float]) -> float | None:
    known = [float(value) for value in values if not np.isnan(value)]
    return pick(known) if known else None


def _qualifiers(claim: Claim, verdict: Verdict, factor: float | None, main: Decision | None) -> tuple[str, ...]:
    out = []
    if verdict not in {Verdict.CONSISTENT, Verdict.VERIFIED, Verdict.PROVED}:
        return ()
    # The tolerance of an identity is an allowance for rounding, not part of the statement.
    if factor is not None and factor > VACUOUS and not isinstance(claim.relation, Identity):
        out.append("vacuous")
    limits = main.statistics.get("limits") if main is not None else None
    relation = claim.relation
    if limits is not None and isinstance(relation, Rate | SequentialRate | Regret):
        # In units of "faster than claimed": regret is better where its exponent is smaller.
        lo, hi = limits[0] - relation.exponent, limits[1] - relation.exponent
        lo, hi = (-hi, -lo) if isinstance(relation, Regret) else (lo, hi)
        if lo > relation.margin:
            out.append("faster")
        elif -relation.margin <= lo and hi <= relation.margin:
            out.append("tight")
    return tuple(out)
