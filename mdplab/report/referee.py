"""What the referee says of an answer, for the command line."""

from typing import Any

import numpy as np


def referee(problem: Any, solution: Any, level: str) -> tuple[bool, dict[str, Any], list[str]]:
    """Check a certificate and, at level `exact`, try to prove the policy optimal.

    The proof speaks about the stored floats; where they decide nothing, or against the policy by a rounding error, also
    about the simple fractions that they stand for.

    Parameters
    ----------
    problem, solution
        A model and an exact solver's answer.
    level : {"float", "exact"}
        Rounding-aware arithmetic, or rationals without any tolerance.

    Returns
    -------
    ok
        True if the certificate holds.
    record
        For `--json`.
    lines
        For the terminal.
    """
    from mdplab.certify import check
    from mdplab.models import MDP

    verdict = check(problem, solution, level=level)
    record: dict[str, Any] = {"level": level, "ok": verdict.ok, "gap": float(verdict.gap), "reason": verdict.reason}
    said = f"gap {float(verdict.gap):.3g} re-derived" if verdict.ok else f"REFUSED: {verdict.reason}"
    lines = [f"referee ({level}): {said}"]
    deterministic = np.issubdtype(solution.policy.dtype, np.integer)
    provable = isinstance(problem, MDP) and solution.certificate.kind in ("discounted", "finite-horizon", "total")
    if level == "exact" and deterministic and provable:
        for rational in (False, True):
            # What rounding made better or worse by its last digit may be a tie between the numbers that were meant.
            proof = _proof(problem, solution.policy, rational)
            if proof is None:
                break
            said = {"optimal": proof.optimal, "arithmetic": proof.arithmetic, "speaks_about": proof.speaks_about}
            record["proof_of_rational_model" if rational else "proof"] = said
            lines.append(f"{_said(proof, float(verdict.gap))} ({proof.arithmetic}, about {proof.speaks_about})")
            if proof.optimal:
                break
    return verdict.ok, record, lines


def _proof(problem: Any, policy: np.ndarray, rational: bool) -> Any:
    from mdplab.certify import prove_optimal

    try:
        return prove_optimal(problem, policy, rational=rational)
    except ValueError:
        if not rational:
            raise
        return None  # the rows, read as simple fractions, do not sum to one


def _said(proof: Any, gap: float) -> str:
    if proof.optimal is None:
        return f"optimality: {proof.reason}"
    if proof.optimal:
        loss = "" if proof.action_gap is None else f", any other action loses at least {float(proof.action_gap):.6g}"
        return (
            f"optimality: PROVED{loss}"
            if proof.unique
            else "optimality: PROVED, another action is as good in some state"
        )
    s, a = proof.improving
    when = "" if proof.stage is None else f", decision {proof.stage},"
    return f"optimality: REFUTED, in state {s}{when} action {a} is better, within the gap of {gap:.3g}"
