"""Independent linear programs for the polyhedral sets, solved by HiGHS, and the random rows they are tried on."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

# HiGHS meets its constraints to 1e-7 unless told; the least it accepts is 1e-10.
EXACT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
KINDS = ["generic", "ties", "zeros", "constant", "large"]
FRACTIONS = [0.0, 1e-7, 0.05, 0.4, 1.3]


def random_row(kind, n, rng):
    """(z, p): objective and nominal row of one of `KINDS`."""
    z, p = rng.normal(size=n), rng.dirichlet(np.ones(n))
    if kind == "ties":
        z = rng.integers(0, 3, size=n).astype(float)
        p = rng.integers(1, 4, size=n).astype(float)
    if kind == "zeros":
        p = p * (rng.random(n) < 0.5)
        p[rng.integers(n)] += 0.1
    if kind == "constant":
        # What a linear solve leaves of a constant value vector.
        z = 7.0 + 1e-15 * rng.integers(-4, 5, size=n)
    if kind == "large":
        z = 300.0 + 20.0 * z
    return z, p / p.sum()


def random_rows(key, count=220):
    """(z, p, radius as a fraction of a saturating one, rng): `count` rows, all kinds and fractions, n from 2 to 50."""
    for t in range(count):
        rng = np.random.default_rng([key, t])
        n = (2, 3, 5, 9, 17, 50)[t % 6]
        z, p = random_row(KINDS[t % len(KINDS)], n, rng)
        yield z, p, FRACTIONS[(t // len(KINDS)) % len(FRACTIONS)], rng


def random_states(key, count=100, width=9):
    """([(z, p) of each action], fraction, rng): `count` states of 1 to 5 actions with rows of unequal length."""
    for t in range(count):
        rng = np.random.default_rng([key, t])
        kinds = [KINDS[t % len(KINDS)]] * int(rng.integers(1, 6))
        if t % 3 == 0:
            kinds[0] = "constant"
        rows = [random_row(kind, int(rng.integers(2, width + 1)), rng) for kind in kinds]
        if t % 3 < 2:
            # Actions that compete: nominally all worth the same, up to rounding.
            rows = [(z - z @ p, p) for z, p in rows]
        yield rows, FRACTIONS[(t // len(KINDS)) % len(FRACTIONS)], rng


def ragged(rows):
    """(z, p, indptr) flat arrays of a list of (z, p)."""
    indptr = np.r_[0, np.cumsum([len(z) for z, _ in rows])]
    return np.concatenate([z for z, _ in rows]), np.concatenate([p for _, p in rows]), indptr


class Part(NamedTuple):
    """One action: values constant + objective.x over x >= 0, x <= upper, A x = b, at a price of cost.x."""

    constant: float
    objective: np.ndarray
    A: sp.spmatrix
    b: np.ndarray
    upper: np.ndarray
    cost: np.ndarray


def weighted_l1(z, p, w):
    """Part of a weighted L1 ball: q = p + give - take."""
    n = len(z)
    A = sp.csr_matrix(np.r_[np.ones(n), -np.ones(n)][None])
    return Part(z @ p, np.r_[z, -z], A, np.zeros(1), np.r_[np.full(n, np.inf), p], np.r_[w, w])


def wasserstein(z, p, cost):
    """Part of a Wasserstein ball: x is the transport plan."""
    n = len(z)
    A = sp.kron(sp.eye(n), np.ones((1, n)), format="csr")
    return Part(0.0, np.tile(z, n), A, p, np.full(n * n, np.inf), np.asarray(cost).ravel())


def solve(c, A_ub, b_ub, A_eq, b_eq, bounds):
    """min c.x, the objective scaled to size one."""
    scale = max(1.0, np.abs(c).max())
    answer = linprog(c / scale, A_ub, b_ub, A_eq, b_eq, bounds, method="highs", options=EXACT)
    assert answer.status == 0, answer.message
    return answer.fun * scale


def response(parts, pi, radius):
    """min sum_a pi_a value_a with prices summing to at most the radius."""
    c = np.concatenate([weight * part.objective for weight, part in zip(pi, parts)])
    cost = np.concatenate([part.cost for part in parts])
    upper = np.concatenate([part.upper for part in parts])
    A, b = sp.block_diag([part.A for part in parts], "csr"), np.concatenate([part.b for part in parts])
    bounds = np.c_[np.zeros(len(c)), upper]
    return solve(c, cost[None], [radius], A, b, bounds) + sum(w * part.constant for w, part in zip(pi, parts))


def row(part, radius):
    """min value with a price of at most the radius."""
    return response([part], [1.0], radius)


def saddle(parts, radius):
    """min u with every value_a <= u: by duality max over policies of `response`."""
    cost = np.r_[np.concatenate([part.cost for part in parts]), 0.0]
    upper = np.r_[np.concatenate([part.upper for part in parts]), np.inf]
    n = len(cost) - 1
    # u is measured from the nominal value, so that it is small where the radius is.
    level = max(part.constant for part in parts)
    heights = sp.hstack([sp.block_diag([part.objective[None] for part in parts]), -np.ones((len(parts), 1))])
    A_ub = sp.vstack([heights, sp.csr_matrix(cost[None])], "csr")
    b_ub = np.r_[[level - part.constant for part in parts], radius]
    A = sp.hstack([sp.block_diag([part.A for part in parts]), sp.csr_matrix((sum(len(q.b) for q in parts), 1))], "csr")
    b = np.concatenate([part.b for part in parts])
    bounds = np.c_[np.r_[np.zeros(n), -np.inf], upper]
    return level + solve(np.r_[np.zeros(n), 1.0], A_ub, b_ub, A, b, bounds)


def box(z, lo, hi):
    """min q.z over lo <= q <= hi, sum q = 1."""
    return solve(z, None, None, np.ones((1, len(z))), [1.0], np.c_[lo, hi])


def distance(p, q, cost):
    """Least cost of a plan that turns p into q."""
    n = len(p)
    sums = sp.vstack([sp.kron(sp.eye(n), np.ones((1, n))), sp.kron(np.ones((1, n)), sp.eye(n))], "csr")
    return solve(np.asarray(cost).ravel(), None, None, sums, np.r_[p, q], (0, None))
