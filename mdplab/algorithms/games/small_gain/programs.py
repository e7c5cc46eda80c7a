r"""The best weights by convex programs (cvxpy): slow, independent of the Perron formula, and open to other objectives.

- Geometric program: minimise the Perron root of X(w), X_ii = s - mu_i,
  X_ij = (sqrt(w_i / w_j) L_ij + sqrt(w_j / w_i) L_ji) / 2; the margin is s minus the optimum.
- LMI: bisection on alpha; C(w) - 2 alpha D_w >= t I with t maximal over w >= 0, sum w = 1.
- Steps: for fixed alpha the least beta^2 with both matrices positive semidefinite, again by bisection; the step
  2 alpha / beta^2 is then compared over alphas.

Source: derived; Sharma 2025 (arXiv:2512.06791) scans ratios instead.
"""

import warnings
from typing import Any

import numpy as np

from mdplab.algorithms.games.small_gain.weights import (
    checked_constants,
    lipschitz,
    margin,
    optimal_margin,
    perron_weights,
)

_ZERO = 1e-12


def geometric_program_weights(mu: np.ndarray, L: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights (N,), the smallest 1, and the margin that the program reports.

    Parameters
    ----------
    mu, L
        Constants of N players; zero entries of the matrix are replaced by 1e-12 of its size.

    Raises
    ------
    ValueError
        The solver stopped without an answer.
    """
    import cvxpy as cp

    mu, L = checked_constants(mu, L)
    N = mu.size
    # Diagonals away from 0: a positive shift moves the Perron root and nothing else.
    shift = float(mu.max()) + max(float(L.max()), 1.0)
    tiny = _ZERO * shift
    root = cp.Variable(N, pos=True)
    rows = []
    for i in range(N):
        row = []
        for j in range(N):
            if i == j:
                row.append(float(shift - mu[i]))
            else:
                up, down = max(L[i, j], tiny), max(L[j, i], tiny)
                row.append(0.5 * up * root[i] / root[j] + 0.5 * down * root[j] / root[i])
        rows.append(row)
    problem = cp.Problem(cp.Minimize(cp.pf_eigenvalue(cp.bmat(rows))), [root[0] == 1])
    precise = {"tol_gap_abs": 1e-13, "tol_gap_rel": 1e-13, "tol_feas": 1e-13}
    # The solver warns when it stops short of 1e-13; how far it came is seen from the margin of what it returns.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        problem.solve(gp=True, solver=cp.CLARABEL, **precise)
    if root.value is None:
        raise ValueError(f"the geometric program stopped: {problem.status}")
    w = np.asarray(root.value) ** 2
    return w / w.min(), shift - float(problem.value)


def lmi_weights(mu: np.ndarray, L: np.ndarray, *, tol: float = 1e-10) -> tuple[np.ndarray, float]:
    """Weights (N,), the smallest 1, and the margin reached by bisection.

    Parameters
    ----------
    mu, L
        Constants of N players.
    tol
        Width of the last bracket of alpha.
    """
    import cvxpy as cp

    mu, L = checked_constants(mu, L)
    N = mu.size
    coupled = L - np.diag(np.diag(L))
    # Bisection needs good scaling: what is searched are weights relative to a first guess.
    guess = np.ones(N)
    low = margin(mu, L, guess)
    high = float(mu.min())
    best = guess
    w, t, alpha = cp.Variable(N, nonneg=True), cp.Variable(), cp.Parameter()
    base = cp.Parameter((N, N), nonneg=True)
    scaled = cp.multiply(base, w[:, None] @ np.ones((1, N)))
    C = 2 * cp.diag(w) @ np.diag(mu) - scaled - scaled.T
    program = cp.Problem(
        cp.Maximize(t), [0.5 * (C + C.T) - 2 * alpha * cp.diag(w) >> t * np.eye(N), cp.sum(w) == N, w >= 1e-9]
    )
    while high - low > tol:
        alpha.value = 0.5 * (low + high)
        # In coordinates scaled by the square roots of the best weights so far, these are all near 1.
        root = np.sqrt(best)
        base.value = root[:, None] * coupled / root
        try:
            _solve(program)
        except cp.SolverError:
            break
        found = None if w.value is None else best * np.maximum(w.value, 1e-9)
        reached = -np.inf if found is None else margin(mu, L, found)
        if reached > low:
            low, best = reached, found
        if reached < alpha.value:
            high = alpha.value
    return best / best.min(), low


def _solve(program: Any) -> None:
    """Clarabel; its warnings of inaccuracy are not needed, since margins are recomputed from the weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        program.solve(solver="CLARABEL")


def step_weights(
    mu: np.ndarray, L: np.ndarray, *, objective: str = "euler_step", alphas: int = 9, tol: float = 1e-6
) -> tuple[np.ndarray, float]:
    """Weights for the longest Euler step 2 alpha / beta^2 or the best rate alpha / beta, by LMIs on a grid of alphas.

    Parameters
    ----------
    mu, L
        Constants of N players, L with its diagonal; some weights have a positive margin.
    objective : {"euler_step", "rate"}
        What is maximised.
    alphas
        Values of alpha tried, between 0 and the optimal margin.
    tol
        Relative width of the last bracket of beta^2.

    Returns
    -------
    (array (N,), float)
        Weights and the objective at their own margin and Lipschitz constant; at least that of the Perron weights.
    """
    import cvxpy as cp

    mu, L = checked_constants(mu, L)
    if objective not in ("euler_step", "rate"):
        raise ValueError(f"objective is {objective!r}; expected 'euler_step' or 'rate'")
    top = optimal_margin(mu, L)
    if not top > 0:
        raise ValueError(f"no weights have a positive margin; the largest is {top:.6g}")
    N = mu.size

    def value(w: np.ndarray) -> float:
        factor = 2.0 if objective == "euler_step" else 1.0
        return factor * margin(mu, L, w) / lipschitz(L, w) ** (2 if objective == "euler_step" else 1)

    start = perron_weights(mu, L)
    best, reached = start, value(start)
    root = np.sqrt(start)
    scaled = root[:, None] * L / root
    coupled = scaled - np.diag(np.diag(scaled))
    w, t, alpha, b2 = cp.Variable(N, nonneg=True), cp.Variable(), cp.Parameter(), cp.Parameter(nonneg=True)
    C = 2 * cp.diag(w) @ np.diag(mu) - cp.diag(w) @ coupled - coupled.T @ cp.diag(w)
    room = b2 * cp.diag(w) - scaled.T @ cp.diag(w) @ scaled
    program = cp.Problem(
        cp.Maximize(t),
        [0.5 * (C + C.T) - 2 * alpha * cp.diag(w) >> t * np.eye(N), 0.5 * (room + room.T) >> t * np.eye(N),
         cp.sum(w) == N, w >= 1e-9],
    )  # fmt: skip
    for target in np.linspace(0, top, alphas + 2)[1:-1]:
        low, high = float(np.linalg.norm(scaled, 2) ** 2) * 1e-3, float(np.linalg.norm(scaled, 2) ** 2) * 1.01
        alpha.value = float(target)
        while high / low - 1 > tol:
            b2.value = float(np.sqrt(low * high))
            try:
                _solve(program)
            except cp.SolverError:
                break
            if w.value is not None and t.value >= 0:
                high = b2.value
                found = start * np.maximum(w.value, 1e-9)
                if value(found) > reached:
                    best, reached = found, value(found)
            else:
                low = b2.value
    return best / best.min(), reached
