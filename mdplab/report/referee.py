"""What the referee says of an answer, for the command line."""

from typing import Any

import numpy as np


def referee(problem: Any, solution: Any, level: str) -> tuple[bool, dict[str, Any], list[str]]:
    """Check a certificate and, at level `exact`, try to prove the policy optimal.

    Parameters
    ----------
    problem, solution
        A model and an exact solver's answer.
    level : {"float", "exact"}
        Rounding-aware arithmetic, or rationals without any tolerance.

    Returns
    -------
    ok
        True if the certificate holds and the policy was not refuted.
    record
        For `--json`.
    lines
        For the terminal.
    """
    from mdplab.certify import check, prove_optimal
    from mdplab.models import MDP

    verdict = check(problem, solution, level=level)
    record: dict[str, Any] = {"level": level, "ok": verdict.ok, "gap": float(verdict.gap), "reason": verdict.reason}
    said = f"gap {float(verdict.gap):.3g} re-derived" if verdict.ok else f"REFUSED: {verdict.reason}"
    lines = [f"referee ({level}): {said}"]
    deterministic = np.issubdtype(solution.policy.dtype, np.integer)
    provable = isinstance(problem, MDP) and solution.certificate.kind in ("discounted", "finite-horizon", "total")
    if level == "exact" and deterministic and provable:
        proof = prove_optimal(problem, solution.policy)
        record["proof"] = {"optimal": proof.optimal, "arithmetic": proof.arithmetic, "speaks_about": proof.speaks_about}
        lines.append(f"{_said(proof)} ({proof.arithmetic}, about {proof.speaks_about})")
        if proof.optimal is False:
            return False, record, lines
    return verdict.ok, record, lines


def _said(proof: Any) -> str:
    if proof.optimal is None:
        return f"optimality: cannot decide. {proof.reason}"
    if proof.optimal:
        loss = "" if proof.action_gap is None else f"any other action loses at least {float(proof.action_gap):.6g}"
        return (
            f"optimality: PROVED, {loss}"
            if proof.unique
            else "optimality: PROVED, another action is as good in some state"
        )
    s, a = proof.improving
    return f"optimality: REFUTED, in state {s} action {a} is better"
