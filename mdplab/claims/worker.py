"""The unit of work, a (claim, arm, replicate), and what any process does with one.

A task names its claim; the process that runs it imports the paper itself and refuses when its own sources would compute
something else than what was asked for.
"""

import time
import traceback
from dataclasses import dataclass

from mdplab.claims import seeds
from mdplab.claims.card import Profile
from mdplab.claims.claim import Evidence, NotApplicable
from mdplab.claims.discovery import Entry, entries
from mdplab.claims.registration import data_key
from mdplab.claims.store import Outcome, arrays_digest


@dataclass(frozen=True)
class Task:
    """One replicate of one arm; `key` is where its arrays will be stored."""

    claim: str
    arm: str
    replicate: int
    profile: Profile
    key: str

    def __str__(self) -> str:
        return f"{self.claim} {self.arm}[{self.replicate}]"


@dataclass(frozen=True)
class Failure:
    """A task that raised: one line for the verdict, and the traceback."""

    message: str
    traceback: str = ""


def run_task(task: Task) -> Outcome | Failure:
    """Run one task in this process; whatever it raises comes back as a `Failure`."""
    try:
        entry = entries([task.claim])[task.claim]
        if data_key(entry, task.arm, task.replicate, task.profile) != task.key:
            return Failure(f"{task}: the sources or versions here differ from those of the process that asked")
        return run_arm(entry, task.arm, task.replicate, task.profile)
    except Exception as error:
        return Failure(f"replicate {task.replicate} raised {type(error).__name__}: {error}", traceback.format_exc())


def run_arm(entry: Entry, arm: str, replicate: int, profile: Profile) -> Outcome:
    """Run one replicate of one arm and time it.

    Raises
    ------
    ValueError
        What the arm returned is no `Evidence`, or lacks an array that the relation reads.
    """
    rng = seeds.stream(entry.id, replicate)
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        evidence = entry.claim.arms[arm].function(entry.paper.card.params[profile], rng)
    except NotApplicable as hypothesis:
        skipped = str(hypothesis) or "a hypothesis of the theorem"
        return Outcome(None, "", skipped, time.perf_counter() - wall, time.process_time() - cpu)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if not isinstance(evidence, Evidence):
        raise ValueError(f"{arm} returned {type(evidence).__name__}, expected Evidence")
    missing = entry.claim.relation.missing(set(evidence.arrays))
    if missing:
        raise ValueError(f"{arm} returned no array {missing[0]!r}, which {entry.claim.relation.rule} reads")
    return Outcome(dict(evidence.arrays), arrays_digest(evidence.arrays), "", wall, cpu)
