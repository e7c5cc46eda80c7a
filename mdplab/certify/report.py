"""What the referee answers, and how a refusal travels inside it."""

from dataclasses import dataclass


class Refused(Exception):
    """The first condition that does not hold, with indices and values; `check` turns it into a report."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The referee's verdict on a solution.

    Parameters
    ----------
    ok
        True if every condition of the certificate was established; the report is truthy exactly then.
    kind
        Kind of the certificate.
    level
        `"float"` or `"exact"`.
    gap
        Error bound derived by the referee, in the units of the value; infinite if `ok` is false.
    reason
        The first condition that failed, with state, action and values; empty if `ok`.
    speaks_about
        The problem that the verdict is about.
    seconds
        Wall-clock time of the check.
    """

    ok: bool
    kind: str
    level: str
    gap: float
    reason: str
    speaks_about: str
    seconds: float

    def __bool__(self) -> bool:
        return self.ok
