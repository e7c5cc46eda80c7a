"""The worst case of a robust answer, for the terminal and for JSON."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from rich.console import Console
from rich.markup import escape

from mdplab.models import RobustMDP, Solution

MAX_ROWS_SHOWN = 8
# Probabilities that moved by less are shown as unmoved.
_MOVED = 5e-4


def worst_case(problem: RobustMDP, solution: Solution) -> list[dict[str, Any]]:
    """The rows of nature's kernel, available actions only: state, action, successors and their probabilities."""
    kernel, A = _matrix(solution.extras["kernel"]), problem.A
    rows = []
    for s, a in zip(*np.nonzero(problem.nominal.actions), strict=True):
        at = slice(kernel.indptr[s * A + a], kernel.indptr[s * A + a + 1])
        rows.append({"state": s, "action": a, "next": kernel.indices[at], "probability": kernel.data[at]})
    return rows


def print_worst_case(console: Console, problem: RobustMDP, solution: Solution) -> None:
    """What nature does to the rows that the policy uses: which probabilities it raises and lowers, the first rows."""
    mdp, A = problem.nominal, problem.A
    nominal = mdp.P if mdp.is_sparse else sp.csr_array(mdp.P.reshape(-1, mdp.S))
    shift = (_matrix(solution.extras["kernel"]) - nominal).tocsr()
    policy = solution.policy
    used = np.arange(A) == policy[:, None] if policy.ndim == 1 else policy > 0
    moved = [(s, a) for s, a in zip(*np.nonzero(used), strict=True) if np.abs(_row(shift, s * A + a)[1]).max() > _MOVED]
    one = problem.uncertainty
    console.print(
        f"worst case in the {one.rectangularity}-rectangular set {one.name}, mass on {_support(one.support)}:"
    )
    for s, a in moved[:MAX_ROWS_SHOWN]:
        states, change = _row(shift, s * A + a)
        order = np.argsort(-np.abs(change), kind="stable")
        parts = [f"{_name(mdp, states[i])} {change[i]:+.3g}" for i in order[:6] if abs(change[i]) > _MOVED]
        console.print(f"  [dim]state[/] {_name(mdp, s)} [dim]action[/] {a}[dim]:[/] {', '.join(parts)}", soft_wrap=True)
    if len(moved) > MAX_ROWS_SHOWN:
        console.print(f"[dim]  ... {len(moved) - MAX_ROWS_SHOWN} more rows; --json writes all[/]")
    if not moved:
        console.print("[dim]  the nominal rows themselves[/]")


def _support(support: str) -> str:
    return "any state" if support == "all" else "nominal successors only"


def _name(mdp: Any, s: int) -> str:
    return escape(mdp.states[s]) if mdp.states else str(s)


def _matrix(kernel: Any) -> sp.csr_array:
    if sp.issparse(kernel):
        return kernel.tocsr()
    return sp.csr_array(kernel.reshape(-1, kernel.shape[-1]))


def _row(matrix: sp.csr_array, row: int) -> tuple[np.ndarray, np.ndarray]:
    """States and entries of a row; a single zero where it is empty."""
    at = slice(matrix.indptr[row], matrix.indptr[row + 1])
    if at.start == at.stop:
        return np.zeros(1, dtype=np.int64), np.zeros(1)
    return matrix.indices[at], matrix.data[at]
