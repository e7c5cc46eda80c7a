"""The linear program of discounted occupancies with cost limits, and bounds of what its solution is worth.

`mdplab.exact.constrained` states the inequalities.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from mdplab.models import ConstrainedMDP, SolverFailure

_U = 2.0**-53
# Tighter than HiGHS's default; what it leaves open is repaired and bounded here.
_OPTIONS = {"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}


@dataclass(frozen=True, eq=False, slots=True)
class Flow:
    """A policy, its occupancy and value, and bounds of its objective and costs."""

    policy: np.ndarray
    x: np.ndarray
    value: np.ndarray
    costs: np.ndarray
    defect: float
    primal_lo: float
    primal_hi: float
    costs_hi: np.ndarray


def conditioned(x: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """The policy (S, A) proportional to `x` in each state, uniform where `x` vanishes."""
    x = np.where(actions, np.maximum(x, 0.0), 0.0)
    # A state that HiGHS leaves at its rounding level is not visited: its proportions are noise.
    x = np.where(x.sum(axis=1, keepdims=True) > 1e-300, x, actions.astype(np.float64))
    return x / x.sum(axis=1, keepdims=True)


def _highs(objective: np.ndarray, **program: Any) -> Any:
    # Loaded here: it takes longer to import than all other solvers together.
    from scipy.optimize import linprog

    return linprog(objective, method="highs", options=_OPTIONS, **program)


def _power_of_two(values: np.ndarray) -> float:
    """A power of two of at least max |values|, within what a float inverts; 1 if all are 0."""
    top = float(np.abs(values).max(initial=0.0))
    return 2.0 ** min(1000, max(-1000, int(np.frexp(top)[1]))) if top > 0 else 1.0


class OccupancyProgram:
    """The program of one problem, over its available pairs."""

    def __init__(self, problem: ConstrainedMDP) -> None:
        mdp = problem.mdp
        self.problem, self.mdp = problem, mdp
        rows = mdp.P if mdp.is_sparse else sp.csr_array(mdp.P.reshape(mdp.S * mdp.A, mdp.S))
        self.pairs = np.flatnonzero(mdp.actions.ravel())
        self.P = rows[self.pairs]
        self.owner = self.pairs // mdp.A
        self.r = mdp.r.ravel()[self.pairs]
        self.costs = problem.costs.reshape(problem.num_constraints, mdp.S * mdp.A)[:, self.pairs]
        count = np.diff(self.P.indptr)
        n = (count + problem.num_constraints + 16) * _U
        self.rounding = 4 * n / (1 - n)
        total = (mdp.S * mdp.A + problem.num_constraints + 32) * _U
        # A sum over all pairs; pairwise summation does better, the referee need not.
        self.sum_rounding = 4 * total / (1 - total)
        sigma = float((self.P @ np.ones(mdp.S)).max() * (1 + 4 * (count.max() + 4) * _U))
        if not mdp.gamma * sigma < 1:
            raise SolverFailure(f"gamma {mdp.gamma!r} times the largest row sum {sigma!r} is not below 1")
        # Rounded up: it enlarges every allowance that it enters.
        self.weight = (1 + 32 * _U) / (1 - mdp.gamma * sigma * (1 + 4 * _U))
        chooser = sp.csr_array((np.ones(len(self.pairs)), (self.owner, np.arange(len(self.pairs)))))
        self.balance = sp.csr_array(chooser - mdp.gamma * self.P.T)
        entering = np.bincount(self.P.indices, minlength=mdp.S)
        terms = (entering + 16 * mdp.A + 16) * _U
        self.flow_rounding = 4 * terms / (1 - terms)

    def solve(self, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int] | None:
        """`x` (S, A), value vector (S,), multipliers (m,) and pivots; None if infeasible."""
        m = len(limits)
        # HiGHS's tolerances are absolute: rewards and costs of any size become at most 1, by exact powers of two.
        unit = _power_of_two(self.r)
        units = np.array([_power_of_two(c) for c in self.costs])
        out = _highs(
            -self.r / unit,
            A_ub=self.costs / units[:, None] if m else None,
            b_ub=limits / units if m else None,
            A_eq=self.balance,
            b_eq=self.mdp.mu,
        )
        if out.status == 2:
            return None
        if out.status != 0:
            raise SolverFailure(f"HiGHS stopped without an optimum: {out.message}")
        x = np.zeros(self.mdp.S * self.mdp.A)
        x[self.pairs] = out.x
        lam = np.maximum(0.0, -out.ineqlin.marginals) * (unit / units) if m else np.zeros(0)
        return x.reshape(self.mdp.S, self.mdp.A), -out.eqlin.marginals * unit, lam, int(out.nit)

    def least_violation(self) -> float:
        """The least t such that limits raised by t can be met."""
        m = len(self.costs)
        extra = np.zeros((self.mdp.S, 1))
        out = _highs(
            np.append(np.zeros(len(self.pairs)), 1.0),
            A_ub=np.hstack([self.costs, -np.ones((m, 1))]),
            b_ub=self.problem.limits,
            A_eq=sp.hstack([self.balance, sp.csr_array(extra)]),
            b_eq=self.mdp.mu,
        )
        if out.status != 0:
            raise SolverFailure(f"HiGHS stopped without an optimum: {out.message}")
        return float(out.fun)

    def evaluate(self, policy: np.ndarray) -> Flow:
        """Occupancy, value and bounds of a policy (S, A)."""
        S, A = self.mdp.S, self.mdp.A
        p = policy.ravel()[self.pairs]
        mix = sp.csr_array((p, (self.owner, np.arange(len(p)))), shape=(S, len(p)))
        system = sp.csc_array(sp.eye_array(S) - self.mdp.gamma * (mix @ self.P))
        lu = splu(system)
        r_pi = mix @ self.r
        value = lu.solve(r_pi)
        value += lu.solve(r_pi - system @ value)
        visits = lu.solve(self.mdp.mu, trans="T")
        visits += lu.solve(self.mdp.mu - system.T @ visits, trans="T")
        visits = np.maximum(visits, 0.0)
        x = visits[self.owner] * p
        # Not by `balance`: where a state returns to itself its entry 1 - gamma p has lost digits.
        out, back = np.bincount(self.owner, x, S), self.mdp.gamma * (self.P.T @ x)
        xi = (out - back) - self.mdp.mu
        size = out + back + self.mdp.mu
        # Rounding of each balance, of the products visits * policy, and of the sum.
        defect = float((np.abs(xi) + self.flow_rounding * size).sum() * (1 + self.sum_rounding))
        primal_lo, primal_hi = self._enclosed(x, self.r, defect)
        costs_hi = np.array([self._enclosed(x, c, defect)[1] for c in self.costs], dtype=np.float64)
        full = np.zeros(S * A)
        full[self.pairs] = x
        costs = self.costs @ x
        return Flow(policy, full.reshape(S, A), value, costs, defect, primal_lo, primal_hi, costs_hi)

    def _enclosed(self, x: np.ndarray, f: np.ndarray, defect: float) -> tuple[float, float]:
        """Bounds of the discounted sum of `f` under the policy of `x`."""
        middle = float(x @ f)
        radius = defect * float(np.abs(f).max(initial=0.0)) * self.weight * (1 + 32 * _U)
        # The last term covers products that underflow.
        radius += self.sum_rounding * float(x @ np.abs(f)) + 2.0**-900
        return float(np.nextafter(middle - radius, -np.inf)), float(np.nextafter(middle + radius, np.inf))

    def dual_bound(self, v: np.ndarray, lam: np.ndarray) -> tuple[np.ndarray, float]:
        """`hi` (S,) from an approximate dual value, and the bound `mu . hi + lam . limits`, rounded up."""
        penalised = self.r - lam @ self.costs if len(lam) else self.r
        magnitude = np.abs(self.r) + (lam @ np.abs(self.costs) if len(lam) else 0.0)
        v = self._polished(v, penalised)
        hi = v
        for _ in range(60):
            backup = penalised + self.mdp.gamma * (self.P @ hi)
            room = self.rounding * (magnitude + self.mdp.gamma * (self.P @ np.abs(hi)) + np.abs(hi[self.owner]))
            lack = float((backup + room - hi[self.owner]).max())
            if lack <= 0:
                break
            hi = hi + 1.5 * lack * self.weight
        else:
            raise SolverFailure("rounding keeps the dual inequalities from holding")
        limits = self.problem.limits
        size = float(self.mdp.mu @ np.abs(hi) + lam @ np.abs(limits))
        return hi, float(self.mdp.mu @ hi + lam @ limits + self.sum_rounding * size + 2.0**-900)

    def _polished(self, v: np.ndarray, penalised: Any) -> np.ndarray:
        """A few policy iterations for the penalised rewards, from HiGHS's dual vector."""
        S = self.mdp.S
        for _ in range(20):
            q = penalised + self.mdp.gamma * (self.P @ v)
            best = np.full(S, -np.inf)
            np.maximum.at(best, self.owner, q)
            hits = np.flatnonzero(q == best[self.owner])
            row = np.zeros(S, dtype=int)
            row[self.owner[hits]] = hits
            system = sp.csc_array(sp.eye_array(S) - self.mdp.gamma * self.P[row])
            new = splu(system).solve(penalised[row])
            if np.abs(new - v).max() <= 1e-12 * max(1.0, np.abs(new).max()):
                return new
            v = new
        return v
