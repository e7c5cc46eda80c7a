r"""Ho, Petrik, Wiesemann (JMLR 2021): partial policy iteration (PPI) and fast Bellman operators for L1-robust MDPs.

From memory and from the authors' public code; the paper's text was not read. PPI evaluates each greedy policy to a
tolerance that falls faster than gamma^k. Claims about running times are for the benchmarks; what is judged here is the
error bound, and what the fast operators rest on: how many pieces the value of a row has as a function of its budget,
and that the mixture in proportion to the slopes is a saddle point.

Derived here: the error bound with the exact solution of its recursion (the paper is remembered with another factor
1 / (1 - gamma)); a row's value under a weighted ball has at most 2 (S - 1) pieces, where pairs of entries would allow
about S^2, and at most S - 1 with equal weights, which is attained; with one budget for A equal actions mixing divides
what nature takes by A.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import linprog

from mdplab.claims import Bound, Evidence, Identity, claim, variant
from mdplab.exact.robust import RobustBellman, robust_policy_iteration
from mdplab.exact.robust.iterates import partial_iterates
from mdplab.instances import garnet
from mdplab.kernels.robust.l1 import l1_row
from mdplab.kernels.robust.weighted_l1 import weighted_l1_row
from mdplab.models import MDP, L1Ball, RobustMDP


@dataclass(frozen=True)
class Params:
    """Sizes: problems of `states` and `actions`, `steps` of PPI, `rows` random rows or states a replicate."""

    states: int
    actions: int
    steps: int
    rows: int


def _problem(p, rng, gamma=0.7):
    mdp = garnet(p.states, p.actions, min(4, p.states), gamma=gamma, rng=rng)
    return RobustMDP(mdp, L1Ball(0.8, rectangularity="s", support="nominal"))


def _gaps(problem, steps, v0, eps, factor):
    """|v* - v_k| (steps,), k = 1, 2, ..., of PPI with tolerances eps factor^(k-1), and the error of v*."""
    best = robust_policy_iteration(problem, tol=1e-9)
    iterates = partial_iterates(RobustBellman.of(problem), v0, eps, factor, adaptive=False)
    next(iterates)
    return np.array([np.abs(next(iterates).v - best.value).max() for _ in range(steps)]), best.certificate.gap


def _ppi(p, rng, constant=False, errors=lambda g, k: (1 + g) * (1 - g**k)):
    measured, bound, radius = [], [], []
    eps, c = 1.0, 2.0
    for _ in range(2):
        problem = _problem(p, rng)
        gamma = problem.gamma
        # From below, far enough that the evaluations are inexact.
        v0 = rng.uniform(-3, 0, p.states)
        gaps, error = _gaps(problem, p.steps, v0, eps, 1.0 if constant else gamma**c)
        # The first error is the bound's own.
        k, g = np.arange(1, p.steps), gamma ** (c - 1)
        measured += gaps[1:].tolist()
        bound += (gamma**k * (gaps[0] + eps * errors(g, k) / (1 - g)) + 2 * error + 1e-12).tolist()
        radius += [error] * k.size
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Convergence of PPI, constants derived",
    r"\|v^* - v_{k+1}\|_\infty \le \gamma^k \Big( \|v^* - v_1\|_\infty + \epsilon_1 \frac{(1+g)(1-g^k)}{1-g} \Big),"
    r"\quad g = \gamma^{c-1}",
    relation=Bound(),
    assumptions=(
        r"$\|L_{\pi_k} v_k - v_k\|_\infty \le (1-\gamma)\epsilon_k$",
        r"$\epsilon_{k+1} = \gamma^c \epsilon_k$",
    ),
    falsifiers={"constant_tolerance": variant(_ppi, "The same tolerance in every step.", constant=True)},
    controls={"two": variant(_ppi, "2 above 1 - g, simpler and a little more.", errors=lambda g, k: 2.0)},
    lemmas=("ho2021:recursion",),
    words="With tolerances that fall faster than the discount, the error falls at the discount's rate.",
    title="Partial policy iteration converges",
)
def ppi_converges(p: Params, rng: np.random.Generator) -> Evidence:
    """Errors of every iterate against the certified value, on s-rectangular L1 balls."""
    return _ppi(p, rng)


def _program(z, P, radius):
    """max over mixtures of the least value of a state, by the dual linear program; z, P (A, n).

    max sum_a (x_a + p_a . y_a) - radius lambda over x_a + y_ai <= pi_a z_ai, |y_ai| <= lambda, pi a distribution.
    """
    A, n = z.shape
    N = A * n
    # Variables: x (A), y (N), pi (A), lambda.
    cost = -np.concatenate([np.ones(A), P.ravel(), np.zeros(A), [-radius]])
    of_row, eye, none = np.kron(np.eye(A), np.ones((n, 1))), np.eye(N), np.zeros((N, A))
    rows = np.vstack(
        [
            np.hstack([of_row, eye, -of_row * z.reshape(-1, 1), np.zeros((N, 1))]),
            np.hstack([none, eye, none, -np.ones((N, 1))]),
            np.hstack([none, -eye, none, -np.ones((N, 1))]),
        ]
    )
    equal = np.concatenate([np.zeros(A + N), np.ones(A), [0.0]])[None]
    bounds = [(None, None)] * (A + N) + [(0, None)] * (A + 1)
    answer = linprog(cost, A_ub=rows, b_ub=np.zeros(3 * N), A_eq=equal, b_eq=[1.0], bounds=bounds)
    return -answer.fun


def _saddle(p, rng, rectangularity="s", policy="mixture"):
    left, right = [], []
    for _ in range(p.rows):
        S, A, radius = p.states, p.actions, float(rng.uniform(0.1, 1.5))
        P = rng.dirichlet(np.ones(S), (S, A))
        mdp = MDP(P, rng.random((S, A)), 0.9)
        op = RobustBellman.of(RobustMDP(mdp, L1Ball(radius, rectangularity=rectangularity)))
        v = rng.normal(0, 1, S)
        step = op.backup(v)
        value = step.Tv
        if policy != "mixture":
            # Nature answers another policy: uniform over all actions.
            value = op.under(np.full(S * A, 1 / A)).respond(v)[0]
        s = int(rng.integers(S))
        z = mdp.r[s][:, None] + 0.9 * v
        left += [value[s], op.under(step.weights).respond(v)[0][s]]
        right += [_program(z, P[s], radius)] * 2
    # The linear program's own tolerance.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-7))


@claim(
    "Bellman operator of s-rectangular L1 balls",
    r"(L v)(s) = \max_\pi \min_{\sum_a \|q_a - p_a\|_1 \le \kappa} \sum_a \pi_a q_a^\top z_a"
    r"= \min_q \sum_a \pi^*_a q_a^\top z_a,\quad \pi^*_a \propto \Big| \frac{d D_a^{-1}}{du} \Big|",
    relation=Identity(),
    falsifiers={
        "budget_for_each": variant(_saddle, "The whole budget for each action.", "sa"),
        "uniform": variant(_saddle, "Nature's answer to the uniform mixture.", policy="uniform"),
    },
    words="The fast operator finds value and mixture of the linear program, and the mixture is optimal against nature.",
    title="Fast operator against linear program",
)
def saddle(p: Params, rng: np.random.Generator) -> Evidence:
    """Value and nature's answer to the mixture, both against the linear program, at random states."""
    return _saddle(p, rng)


def _mixing(p, rng, share=lambda A: A, rectangularity="s"):
    left, right = [], []
    for A in range(1, p.actions + 2):
        radius, spread = float(rng.uniform(0.01, 0.9)), float(rng.uniform(0.5, 2))
        # States 0 and 1 pay 0 and `spread` for ever; state 2 leads to either, with any action.
        P = np.zeros((3, A, 3))
        P[0, :, 0] = P[1, :, 1] = 1.0
        P[2, :, :2] = 0.5
        r = np.zeros((3, A))
        r[1] = spread
        problem = RobustMDP(
            MDP(P, r, 0.5), L1Ball([0.0, 0.0, radius], rectangularity=rectangularity, support="nominal")
        )
        best = robust_policy_iteration(problem, tol=1e-10)
        left.append(best.value[2])
        right.append(spread * (0.5 - radius / 2 / share(A)))
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-9))


@claim(
    "Worth of mixing (derived)",
    r"A \text{ equal actions}: \quad \max_\pi \min_q = \tfrac12 - \frac{\kappa}{2A},\quad"
    r"\max_a \min_q = \tfrac12 - \frac{\kappa}{2}",
    relation=Identity(),
    assumptions=("two outcomes with probability 1/2, worth 0 and 1", "one budget for all actions of the state"),
    falsifiers={
        "one_action": variant(_mixing, "A deterministic policy's value.", lambda A: 1),
        "budget_for_each": variant(_mixing, "The budget for each action by itself.", rectangularity="sa"),
    },
    words="Against a shared budget equal actions are mixed, and nature gains only her share of one of them.",
    title="Why policies mix",
)
def mixing(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified values against the closed form, for up to `actions` + 1 actions."""
    return _mixing(p, rng)


def _slopes(f, lo, hi):
    """Slopes of the pieces of a convex piecewise linear function between two points, by crossing end tangents."""
    h = 1e-7 * (hi - lo)
    found = set()

    def explore(a, fa, right, b, fb, left):
        found.update((round(right, 5), round(left, 5)))
        if abs(right - left) < 1e-5 or b - a < 10 * h:
            return
        x = (fb - fa + right * a - left * b) / (right - left)
        if not a + 4 * h < x < b - 4 * h:
            return
        fx = f(x)
        # On the tangents, up to the rounding of differences: their crossing is the only corner.
        if fx - (fa + right * (x - a)) < 1e-8 * (1 + abs(fx)):
            return
        before, after = (fx - f(x - h)) / h, (f(x + h) - fx) / h
        explore(a, fa, right, x, fx, before)
        explore(x, fx, after, b, fb, left)

    fa, fb = f(lo), f(hi)
    explore(lo, fa, (f(lo + h) - fa) / h, hi, fb, (fb - f(hi - h)) / h)
    # Slopes that differ in the last digit kept are one.
    ordered = np.sort(list(found))
    return ordered[np.append(True, np.diff(ordered) > 3e-5)]


def _flat(z, prob, out, radius):
    return l1_row(z, prob, radius, out)


def _tilted(z, prob, w, out, radius):
    return weighted_l1_row(z, prob, w, radius, out)


def _pieces(p, rng, uniform=lambda n: n - 1, weighted=lambda n: 2 * (n - 1)):
    measured, bound = [], []
    for k in range(p.rows):
        n = int(rng.integers(3, 8))
        prob, out = rng.dirichlet(2 * np.ones(n)), np.empty(n)
        z = rng.permutation(n) + rng.uniform(0, 0.5, n)
        w = rng.uniform(0.3, 3, n)
        if k % 2:
            # Cheap receivers come late: the envelope turns often.
            w = np.sort(w)[::-1][np.argsort(np.argsort(z))].copy()
        flat = _slopes(partial(_flat, z, prob, out), 0.0, 2 * (1 - prob[z.argmin()]) * 0.9999)
        most = float((w * prob).sum() + w.max())
        tilted = _slopes(partial(_tilted, z, prob, w, out), 0.0, most)
        measured += [flat.size, (tilted < -1e-5).sum()]
        bound += [uniform(n), weighted(n)]
    return Evidence(measured=np.array(measured, dtype=float), bound=np.array(bound, dtype=float))


@claim(
    "Homotopy, number of pieces (derived)",
    r"\kappa \mapsto \min_{\sum_i w_i |q_i - p_i| \le \kappa} q^\top z \text{ has at most } 2(S-1) \text{ pieces, }"
    r"\text{ at most } S - 1 \text{ if } w \equiv 1",
    relation=Bound(),
    assumptions=("pieces of negative slope",),
    falsifiers={
        "one_less": variant(_pieces, "S - 2 with equal weights.", lambda n: n - 2),
        "as_uniform": variant(_pieces, "S - 1 with any weights.", weighted=lambda n: n - 1),
    },
    controls={"pairs": variant(_pieces, "S^2 with weights, which pairs of entries allow.", weighted=lambda n: n**2)},
    words="A row's worst value has few pieces as a function of the budget: a number linear in the states.",
    title="Pieces of the homotopy",
)
def homotopy_pieces(p: Params, rng: np.random.Generator) -> Evidence:
    """Slopes found from values of rows alone, by crossing tangents, for 3 to 7 states."""
    return _pieces(p, rng)


def figure_tolerance(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Error of PPI's iterates with tolerances that shrink, and with a constant one; the bound of the first."""
    problem = _problem(p, rng)
    v0, k = rng.uniform(-3, 0, p.states), np.arange(p.steps)
    table = {"k": k + 1}
    for name, factor in (("shrinking", problem.gamma**2), ("constant", 1.0)):
        table[name] = np.maximum(_gaps(problem, p.steps, v0, 1.0, factor)[0], 1e-9)
    g = problem.gamma
    table["bound"] = g**k * (table["shrinking"][0] + (1 + g) * (1 - g**k) / (1 - g))
    return table
