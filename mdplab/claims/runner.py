"""Runs claims: what the store has is reused, what is missing is computed and stored task by task, then verdicts."""

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np

from mdplab.claims.adjudicate import ArmData, Judged, conclude, judge, stack
from mdplab.claims.card import PROFILES, Profile
from mdplab.claims.claim import MAIN
from mdplab.claims.discovery import Entry, entries
from mdplab.claims.local import Done, run_inline, run_local
from mdplab.claims.power import PILOT, predict
from mdplab.claims.provenance import manifest
from mdplab.claims.registration import amendments, data_key, design, digest
from mdplab.claims.result import ClaimResult, RunResult, Verdict
from mdplab.claims.scheduler import run_distributed
from mdplab.claims.store import Outcome, Store
from mdplab.claims.worker import Failure, Task


@dataclass(frozen=True)
class Event:
    """Something that a window may show.

    Kinds, in order of appearance: `plan` (totals are known, per claim `total` and `done` from the store), `started`,
    `finished` and `failed` (a task; `text` is the message of a failure, `detail` its traceback), `claim` (all tasks of
    a claim are in; `result` is provisional, since others still have a share of the error budget), `verdict` (final).
    """

    kind: str
    claim: str = ""
    arm: str = ""
    replicate: int = -1
    done: int = 0
    total: int = 0
    text: str = ""
    detail: str = ""
    result: ClaimResult | None = None


def run_claims(
    ids: Iterable[str] | None = None,
    *,
    profile: Profile = "quick",
    workers: int = 1,
    scheduler: str | None = None,
    store: str | Path | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> RunResult:
    """Run claims and give each its verdict.

    Parameters
    ----------
    ids
        Claims ("munos2023:last_iterate") or papers ("munos2023"); None for all.
    profile
        "quick" or "full".
    workers
        Local processes, at least 1: results are the same bits for any number. 0 runs in the calling process with the
        threads that it has, for debugging.
    scheduler
        "tcp://host:port" of a Dask scheduler, instead of local processes.
    store
        The store's file; None for `mdplab.claims.store.default_path()`.
    on_event
        Called with each `Event` in this process.

    Returns
    -------
    RunResult, also written to the store.

    Raises
    ------
    ValueError
        An unknown id or profile, a faulty card, no scheduler at that address, a store from a newer version.
    StoreFull
        The disk is full; what had finished is stored.
    KeyboardInterrupt
        Passed on once the workers have ended; what had finished is stored, and the next run takes up there.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; expected one of {', '.join(PROFILES)}")
    if workers < 0:
        raise ValueError(f"workers is {workers}; expected at least 0")
    clock = time.perf_counter()
    chosen = entries(ids)
    with Store(store) as opened:
        run = _Run(chosen, profile, opened, on_event)
        with closing(compute(run.missing, run.started, workers, scheduler)) as computed:
            for task, outcome in computed:
                run.take(task, outcome)
        results = run.verdicts()
        done = RunResult(
            profile=profile,
            results=tuple(results),
            seconds=time.perf_counter() - clock,
            manifest=manifest(
                profile=profile,
                workers=workers,
                scheduler=scheduler,
                cpu_seconds=run.cpu_seconds,
                reused=run.reused,
            ),
        )
        opened.put_run(done)
    return done


def compute(
    tasks: list[Task], started: Callable[[Task], None], workers: int, scheduler: str | None
) -> Generator[Done, None, None]:
    """What tasks leave, as they finish, on a cluster or on this machine; closing it ends the processes."""
    if scheduler is not None:
        return run_distributed(tasks, scheduler, started)
    if workers == 0 or not tasks:
        return run_inline(tasks, started)
    return run_local(tasks, min(workers, len(tasks)), started)


class _Run:
    """The state of one run: which tasks are in, and which claims are judged."""

    def __init__(
        self, chosen: dict[str, Entry], profile: Profile, store: Store, on_event: Callable[[Event], None]
    ) -> None:
        self.chosen, self.profile, self.store, self.emit = chosen, profile, store, on_event
        self.tasks = {claim: tasks_of(entry, profile) for claim, entry in chosen.items()}
        self.open = {claim: {task.key for task in tasks} for claim, tasks in self.tasks.items()}
        self.failures: dict[str, str] = {}
        self.judged: dict[str, Judged] = {}
        self.cpu_seconds, self.reused = 0.0, 0
        self.amendments = {claim: self._register(entry) for claim, entry in chosen.items()}
        for claim, tasks in self.tasks.items():
            known = {task.key for task in tasks if store.get(task.key) is not None}
            self.open[claim] -= known
            self.reused += len(known)
            self.emit(Event("plan", claim, done=len(known), total=len(tasks)))
        self.missing = [task for task in _ordered(self.tasks) if task.key in self.open[task.claim]]
        for claim in chosen:
            self._judge_if_complete(claim)

    def _register(self, entry: Entry) -> tuple[str, ...]:
        now = design(entry, self.profile)
        first = self.store.register(entry.id, self.profile, now, digest(now))
        ignored = {"sources"}
        return tuple(
            amendments(
                {key: value for key, value in first.items() if key not in ignored},
                {key: value for key, value in now.items() if key not in ignored},
            )
        )

    def _counts(self, claim: str) -> dict[str, int]:
        total = len(self.tasks[claim])
        return {"done": total - len(self.open[claim]), "total": total}

    def started(self, task: Task) -> None:
        self.emit(Event("started", task.claim, task.arm, task.replicate, **self._counts(task.claim)))

    def take(self, task: Task, outcome: Outcome | Failure) -> None:
        """Store what a task left before anything is said about it; failures are not stored."""
        text = detail = ""
        if isinstance(outcome, Failure):
            self.failures[task.key] = text = outcome.message
            detail = outcome.traceback
        else:
            self.store.put(task.key, task.claim, task.arm, task.replicate, task.profile, outcome)
        self.open[task.claim].discard(task.key)
        kind = "failed" if text else "finished"
        self.emit(
            Event(kind, task.claim, task.arm, task.replicate, **self._counts(task.claim), text=text, detail=detail)
        )
        self._judge_if_complete(task.claim)

    def _judge_if_complete(self, claim: str) -> None:
        if self.open[claim]:
            return
        data = {}
        for arm in self.chosen[claim].claim.arms:
            tasks = [task for task in self.tasks[claim] if task.arm == arm]
            failures = [self.failures[task.key] for task in tasks if task.key in self.failures]
            found = [self.store.get(task.key) for task in tasks if task.key not in self.failures]
            outcomes = [outcome for outcome in found if outcome is not None]
            if len(outcomes) < len(found):
                failures.append("the store lost arrays while the run went on")
            data[arm] = ArmData(outcomes, failures)
            self.cpu_seconds += sum(outcome.cpu_seconds for outcome in outcomes)
        self.judged[claim] = judge(self.chosen[claim], self.profile, data, self.amendments[claim])
        waiting = [entry for name, entry in self.chosen.items() if name not in self.judged]
        pending = sum(statistical_arms(entry) for entry in waiting)
        result = conclude(list(self.judged.values()), pending=pending)[-1]
        self.emit(Event("claim", claim, **self._counts(claim), result=result))

    def verdicts(self) -> list[ClaimResult]:
        """Spend the budget once all claims are in."""
        results = [self._with_power(result) for result in conclude([self.judged[claim] for claim in self.chosen])]
        for result in results:
            self.emit(Event("verdict", result.id, **self._counts(result.id), result=result))
        return results

    def _with_power(self, result: ClaimResult) -> ClaimResult:
        """The planner's statement, from what the pilot left, where the rule has power to speak of."""
        entry = self.chosen[result.id]
        pilot = [task for task in self.tasks[result.id] if task.arm == MAIN][:PILOT]
        found = [self.store.get(task.key) for task in pilot if task.key not in self.failures]
        arrays = [outcome.arrays for outcome in found if outcome is not None and outcome.arrays is not None]
        if entry.claim.relation.deterministic or not arrays:
            return result
        replicates = getattr(entry.card.replicates, self.profile)
        claims = sum(statistical_arms(other) for other in self.chosen.values())
        try:
            power = predict(entry.claim.relation, stack(entry.claim, arrays), replicates, claims=claims)
        except ValueError:
            # The rule refused the same arrays, and the verdict says why.
            return result
        return replace(result, provenance={**result.provenance, "power": str(power)})


def tasks_of(entry: Entry, profile: Profile) -> list[Task]:
    """All tasks of a claim: its arms in order, each replicate by replicate."""
    replicates = getattr(entry.card.replicates, profile)
    return [
        Task(entry.id, arm, replicate, profile, data_key(entry, arm, replicate, profile))
        for arm in entry.claim.arms
        for replicate in range(replicates)
    ]


def statistical_arms(entry: Entry) -> int:
    """Decisions of a claim that take a share of the error budget."""
    if entry.claim.relation.deterministic:
        return 0
    return sum(arm.role == "main" for arm in entry.claim.arms.values())


def _ordered(tasks: dict[str, list[Task]]) -> list[Task]:
    """First one task of each claim, paper by paper in turn, then claim by claim.

    Kernels compile at their first call: in turn, two workers compile those of two papers and not the same one twice.
    """
    by_paper: dict[str, list[Task]] = {}
    for claim, of_claim in tasks.items():
        by_paper.setdefault(claim.split(":")[0], []).extend(of_claim[:1])
    first = [task for turn in zip_longest(*by_paper.values()) for task in turn if task is not None]
    return [*first, *(task for of_claim in tasks.values() for task in of_claim[1:])]


def load_evidence(
    claim_id: str, *, profile: Profile = "quick", arm: str = MAIN, store: str | Path | None = None
) -> dict[str, np.ndarray]:
    """The stored arrays of one arm, all replicates along a new leading axis.

    Raises
    ------
    ValueError
        An unknown id or arm, or arrays that are not in the store for today's sources.
    """
    entry = entries([claim_id])[claim_id]
    if arm not in entry.claim.arms:
        raise ValueError(f"{claim_id} has no arm {arm!r}; there are {', '.join(entry.claim.arms)}")
    with Store(store) as opened:
        data = _stored(entry, profile, arm, opened)
    if not data.arrays:
        raise ValueError(f"no replicate of {claim_id} satisfies the hypotheses")
    return stack(entry.claim, data.arrays)


def _stored(entry: Entry, profile: Profile, arm: str, store: Store) -> ArmData:
    outcomes = []
    for task in tasks_of(entry, profile):
        if task.arm == arm:
            outcome = store.get(task.key)
            if outcome is None:
                raise ValueError(f"{task} is not in the store; run the claim with profile {profile} first")
            outcomes.append(outcome)
    return ArmData(outcomes)


def with_true_algorithm(
    claim_id: str, *, profile: Profile = "quick", store: str | Path | None = None
) -> dict[str, ClaimResult]:
    """The verdict that each falsifier would leave if it were the true algorithm, from stored arrays.

    Arms share their random streams, so that such a falsifier measures exactly what the main arm did; a sound check then
    says INVALID-CHECK. Where the card expects the statement itself to be refuted, what is true is not the main arm but
    the first positive control, the corrected statement.

    Raises
    ------
    ValueError
        As `load_evidence`; or the card expects a refutation, and the claim has no control to stand for the truth.
    """
    entry = entries([claim_id])[claim_id]
    arms = list(entry.claim.arms.values())
    controls = [arm.name for arm in arms if arm.role == "control"]
    if entry.card.expect.under(profile) != Verdict.REFUTED:
        truth = MAIN
    elif controls:
        truth = controls[0]
    else:
        raise ValueError(f"{claim_id} is expected to be refuted and has no control that shows what is true instead")
    with Store(store) as opened:
        data = {arm.name: _stored(entry, profile, arm.name, opened) for arm in arms}
    return {
        arm.name.removeprefix("falsifier:"): conclude([judge(entry, profile, data | {arm.name: data[truth]})])[0]
        for arm in arms
        if arm.role == "falsifier"
    }
