"""Cone programs for the divergence balls, solved by Clarabel: a row, a state, or nature against a policy."""

import clarabel
import numpy as np
import scipy.sparse as sp

# Interior points end near 1e-8 of the objective's spread; the programs below are scaled to a spread of 1.
NEAR = 1e-7


def solve(cost, blocks, square=None):
    """min cost.x + x.diag(square).x with b - A x in the cones of blocks [(A, b, cone)]."""
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-11
    A = sp.csc_matrix(np.vstack([block[0] for block in blocks]))
    b = np.concatenate([block[1] for block in blocks])
    n = cost.size
    P = sp.csc_matrix(np.diag(2 * (np.zeros(n) if square is None else square)))
    solver = clarabel.DefaultSolver(P, cost, A, b, [block[2] for block in blocks], settings)
    solution = solver.solve()
    assert str(solution.status) in {"Solved", "AlmostSolved"}, solution.status
    return solution.obj_val


def program(kind, z, p, indptr, radius, pi=None, temperature=0.0):
    """Least u + temperature sum_a D_a with sum_a D_a <= radius, u above every q_a.z_a, or above sum_a pi_a q_a.z_a."""
    keep = p > 0 if kind in ("kl", "chi2") else np.ones(p.size, dtype=bool)
    action = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))[keep]
    z, p = z[keep], p[keep]
    low, spread = z.min(), np.ptp(z)
    if spread == 0:
        return low
    y, n, num = (z - low) / spread, z.size, indptr.size - 1
    # x = (q, t, u, total), with t the terms of the divergence (or of its root) and total their sum.
    width = 2 * n + 2
    unit = np.eye(width)
    q, t, u, total = unit[:n], unit[n : 2 * n], unit[2 * n], unit[2 * n + 1]
    member = (action[None] == np.arange(num)[:, None]).astype(float)
    blocks = [(member @ q, np.ones(num), clarabel.ZeroConeT(num)), (-q, np.zeros(n), clarabel.NonnegativeConeT(n))]
    if kind in ("kl", "burg"):
        for i in range(n):
            if kind == "kl":  # q exp(-t / q) <= p
                blocks.append((np.array([t[i], -q[i], 0 * u]), np.array([0, 0, p[i]]), clarabel.ExponentialConeT()))
            elif p[i] > 0:  # exp(-t / p) <= q / p
                rows = np.array([t[i] / p[i], 0 * u, -q[i] / p[i]])
                blocks.append((rows, np.array([0, 1.0, 0]), clarabel.ExponentialConeT()))
        on = (p > 0).astype(float)
        blocks.append(((on @ t - total)[None], np.zeros(1), clarabel.ZeroConeT(1)))
        bound = radius
    else:
        weight = 1 / np.sqrt(p) if kind == "chi2" else np.ones(n)
        rows = np.vstack([-total[None], -weight[:, None] * q])
        blocks.append((rows, np.concatenate([[0.0], -weight * p]), clarabel.SecondOrderConeT(n + 1)))
        bound = np.sqrt(radius) if kind == "chi2" else radius
    blocks.append((total[None], np.array([bound]), clarabel.NonnegativeConeT(1)))
    rows = (member * y) @ q if pi is None else (pi[action] * y)[None] @ q
    blocks.append((rows - u, np.zeros(len(rows)), clarabel.NonnegativeConeT(len(rows))))
    price = temperature / spread * total
    return low + spread * (solve(u + price, blocks) if kind in ("kl", "burg") else solve(u, blocks, price))
