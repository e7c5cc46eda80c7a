"""Plans claims before their budget is spent: a pilot of a few replicates, then what the card's runs can decide.

A pilot is the first replicates of a claim's main arm, computed and stored as any other task, so that a later run reuses
them.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdplab.claims.adjudicate import stack
from mdplab.claims.card import PROFILES, Profile
from mdplab.claims.claim import MAIN
from mdplab.claims.discovery import Entry, entries
from mdplab.claims.planner import LEAST_POWER
from mdplab.claims.power import PILOT, Power, predict
from mdplab.claims.registration import design, digest
from mdplab.claims.runner import Event, compute, statistical_arms, tasks_of
from mdplab.claims.store import Outcome, Store
from mdplab.claims.worker import Failure, Task


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """What a claim will cost and can decide.

    Parameters
    ----------
    id, rule, deterministic
        The claim.
    power
        From the pilot; None for deterministic claims and where the pilot left nothing to plan with.
    minutes
        Predicted for all arms of the card's runs, on the workers asked for.
    minutes_needed
        The same for the runs that 80 % power asks for; None if no number does, or none is asked for.
    feasible
        False: the budget cannot decide it, and `statement` says INCONCLUSIVE(budget) or why there is no plan.
    statement
        One line.
    """

    id: str
    rule: str
    deterministic: bool
    power: Power | None
    minutes: float
    minutes_needed: float | None
    feasible: bool
    statement: str

    def to_json(self) -> dict[str, Any]:
        """Plain values; numbers that do not exist are NaN."""
        return asdict(self)


def plan_claims(
    ids: Iterable[str] | None = None,
    *,
    profile: Profile = "quick",
    minutes: float | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    store: str | Path | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> list[ClaimPlan]:
    """Run the pilots that the store lacks, and plan every claim.

    Parameters
    ----------
    ids, profile, workers, scheduler, store, on_event
        As for `mdplab.claims.runner.run_claims`; the claims chosen are those that will share the error budget.
    minutes
        Wall-clock budget of each claim, above 0. None: the card's runs are the budget.

    Raises
    ------
    ValueError
        As `run_claims`, and a budget that is not above 0.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; expected one of {', '.join(PROFILES)}")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes is {minutes:g}; expected above 0")
    if workers < 1:
        raise ValueError(f"workers is {workers}; expected at least 1")
    chosen = entries(ids)
    with Store(store) as opened:
        for entry in chosen.values():
            # What is planned is registered before its first number is drawn, as for a run.
            registered = design(entry, profile)
            opened.register(entry.id, profile, registered, digest(registered))
        failures = _run_pilots(chosen, profile, opened, workers, scheduler, on_event)
        shares = sum(statistical_arms(entry) for entry in chosen.values())
        return [
            _plan(entry, profile, opened, shares, minutes, workers, failures.get(entry.id, ""))
            for entry in chosen.values()
        ]


def _pilot(entry: Entry, profile: Profile) -> list[Task]:
    return [task for task in tasks_of(entry, profile) if task.arm == MAIN][:PILOT]


def _run_pilots(
    chosen: dict[str, Entry],
    profile: Profile,
    store: Store,
    workers: int,
    scheduler: str | None,
    on_event: Callable[[Event], None],
) -> dict[str, str]:
    """Compute and store what is missing; by claim, the message of the lowest replicate that failed."""
    pilots = {claim: _pilot(entry, profile) for claim, entry in chosen.items()}
    missing = [task for tasks in pilots.values() for task in tasks if store.get(task.key) is None]
    left = {claim: sum(task.claim == claim for task in missing) for claim in chosen}

    def event(kind: str, claim: str, **more: Any) -> Event:
        return Event(kind, claim, done=len(pilots[claim]) - left[claim], total=len(pilots[claim]), **more)

    for claim in chosen:
        on_event(event("plan", claim))
    failures: dict[str, tuple[int, str]] = {}

    def started(task: Task) -> None:
        on_event(event("started", task.claim, arm=task.arm, replicate=task.replicate))

    with closing(compute(missing, started, workers, scheduler)) as computed:
        for task, outcome in computed:
            left[task.claim] -= 1
            if isinstance(outcome, Failure):
                # Replicates end in any order, a plan reads the same every time.
                said = task.replicate, outcome.message
                failures[task.claim] = min(failures.get(task.claim, said), said)
            else:
                store.put(task.key, task.claim, task.arm, task.replicate, profile, outcome)
            on_event(event("finished", task.claim, arm=task.arm, replicate=task.replicate))
    return {claim: message for claim, (_, message) in failures.items()}


def _seconds(outcomes: Sequence[Outcome]) -> float:
    """Mean seconds of the faster half: the first task of a process compiles."""
    seconds = sorted(outcome.seconds for outcome in outcomes)
    faster = seconds[: (len(seconds) + 1) // 2]
    return sum(faster) / len(faster)


def _plan(
    entry: Entry, profile: Profile, store: Store, shares: int, minutes: float | None, workers: int, failure: str
) -> ClaimPlan:
    relation, replicates = entry.claim.relation, getattr(entry.card.replicates, profile)
    known = {arm: [] for arm in entry.claim.arms}
    for task in tasks_of(entry, profile):
        outcome = store.get(task.key)
        if outcome is not None:
            known[task.arm].append(outcome)
    pilot = [outcome for task in _pilot(entry, profile) if (outcome := store.get(task.key)) is not None]
    # An arm that was never run is taken to cost what the main one does.
    each = [_seconds(outcomes or pilot) for outcomes in known.values()] if pilot else []
    cost = sum(each) * replicates / workers / 60 if pilot else float("nan")

    def plan(power: Power | None, needed: float | None, feasible: bool, statement: str) -> ClaimPlan:
        return ClaimPlan(entry.id, relation.rule, relation.deterministic, power, cost, needed, feasible, statement)

    if failure:
        return plan(None, None, False, f"no plan: {failure}")
    arrays = [outcome.arrays for outcome in pilot if outcome.arrays is not None]
    if not pilot:
        return plan(None, None, False, "no plan: sources changed while the pilot ran, which left nothing")
    if not arrays:
        return plan(None, None, False, f"no plan: the pilot is outside the hypotheses ({pilot[0].skipped})")
    if relation.deterministic:
        if minutes is not None and cost > minutes:
            return plan(None, cost, False, f"INCONCLUSIVE(budget): takes {cost:.3g} min, the budget is {minutes:g}")
        return plan(None, None, True, "deterministic: decided by any number of runs")
    try:
        power = predict(relation, stack(entry.claim, arrays), replicates, claims=shares)
    except ValueError as error:
        return plan(None, None, False, f"no plan: {error}")
    if power.needed is None:
        return plan(power, None, False, f"INCONCLUSIVE(budget): {power}")
    needed = cost * (power.needed[0] * power.needed[1]) / (power.instances * power.seeds)
    if minutes is None:
        return plan(power, needed, power.enough, str(power) if power.enough else f"INCONCLUSIVE(budget): {power}")
    runs = f"{power.needed[0]} x {power.needed[1]} runs take {needed:.3g} min"
    if needed > minutes:
        what = f"cannot reach {LEAST_POWER:.0%} power for {power.at} in the budget of {minutes:g} min"
        return plan(power, needed, False, f"INCONCLUSIVE(budget): {what}: {runs}")
    return plan(power, needed, True, str(power) if power.enough else f"{runs}: more than the card has, within budget")
