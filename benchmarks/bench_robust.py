"""Robust solvers beside a linear-programming route: whole solves, one sweep, and how a row grows with S.

    python benchmarks/bench_robust.py [--full] [--cases NAME ...]

The route by linear programs builds one program of SciPy's HiGHS for each row or state and iterates the robust Bellman
operator; its programs are timed on a sample, and the time of a solve is extrapolated, which is said: sampled seconds
per row or state, times rows or states, times the sweeps that our own value iteration takes to the same accuracy from
the same start. No package with robust solvers could be installed from PyPI when this was written.
Times are process time of one thread, the median of several calls, warm.
"""

import argparse
import os

if __name__ == "__main__":
    # Before NumPy loads its BLAS: a benchmark on a shared machine uses one thread.
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_name] = "1"

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from mdplab.exact import robust_value_iteration, solve
from mdplab.exact.operator import Bellman
from mdplab.exact.robust.operator import RobustBellman
from mdplab.kernels.robust.l1 import l1_row
from mdplab.models import MDP, L1Ball, RobustMDP

RADIUS, GAMMA, TOL = 0.2, 0.95, 1e-6
CASES = {
    "sa-L1 S=200 A=10": (200, 10, "sa", True),
    "sa-L1 S=1000 A=10": (1000, 10, "sa", True),
    "s-L1 S=200 A=10": (200, 10, "s", True),
    "s-L1 S=1000 A=10": (1000, 10, "s", False),
}


def dense_problem(S: int, A: int, rectangularity: str) -> RobustMDP:
    """A dense random model with an L1 ball around each row, or each state's rows."""
    rng = np.random.default_rng([60, S, A])
    W = rng.exponential(size=(S, A, S))
    mdp = MDP(W / W.sum(axis=2, keepdims=True), rng.random((S, A)), GAMMA)
    return RobustMDP(mdp, L1Ball(RADIUS, rectangularity=rectangularity))


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """Median process time of a call, after one that warms it up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return float(np.median(times))


def l1_program(z: np.ndarray, p: np.ndarray, radius: float) -> float:
    """max over the policy of min over the budget, as nature's program: min u, q_a . z_a <= u, sum |q - p| <= radius.

    z, p are (A, S); with one action it is the inner problem of a row.
    """
    A, S = z.shape
    size = A * S
    eye, column = sp.eye_array(size), sp.csr_array((size, 1))
    ceilings = sp.hstack([sp.block_diag([row[None] for row in z]), sp.csr_array((A, size)), np.full((A, 1), -1.0)])
    budget = sp.hstack([sp.csr_array((1, size)), np.ones((1, size)), sp.csr_array((1, 1))])
    above, below = sp.hstack([eye, -eye, column]), sp.hstack([-eye, -eye, column])
    sums = sp.hstack([sp.kron(sp.eye_array(A), np.ones((1, S))), sp.csr_array((A, size + 1))])
    cost = np.zeros(2 * size + 1)
    cost[-1] = 1.0
    found = linprog(
        cost,
        A_ub=sp.vstack([ceilings, above, below, budget]).tocsr(),
        b_ub=np.concatenate([np.zeros(A), p.ravel(), -p.ravel(), [radius]]),
        A_eq=sums.tocsr(),
        b_eq=np.ones(A),
        bounds=[(0, None)] * (2 * size) + [(None, None)],
        method="highs",
    )
    return float(found.fun)


def _program_seconds(op: RobustBellman, v: np.ndarray, sample: int) -> tuple[float, float]:
    """Process time of the programs of one sweep, extrapolated from a sample, and their largest error against ours."""
    z, p = op.rows.objective(v, op.gamma).reshape(-1, op.S), op.rows.p.reshape(-1, op.S)
    ours = op.backup(v).Tv if not op.deterministic else op.row_values(v)
    groups = op.rows.size if op.deterministic else op.S
    each = 1 if op.deterministic else op.A
    start, off = time.process_time(), 0.0
    for g in range(sample):
        rows = slice(g * each, (g + 1) * each)
        off = max(off, abs(l1_program(z[rows], p[rows], RADIUS) - ours[g]))
    return (time.process_time() - start) / sample * groups, off


def _case(name: str, quick: bool, out: Callable[[str], None]) -> dict:
    S, A, rectangularity, _ = CASES[name]
    problem = dense_problem(S, A, rectangularity)
    op = RobustBellman.of(problem)
    answer = solve(problem, tol=TOL)
    own = seconds(lambda: solve(problem, tol=TOL), 3 if quick else 7)
    sweeps = robust_value_iteration(problem, tol=TOL).num_iters
    sample = {1: 10, 10: 2 if S > 500 else 3}[1 if op.deterministic else A]
    program, off = _program_seconds(op, answer.value, sample)
    sweep = seconds(lambda: op.backup(answer.value, with_rows=False), 3 if quick else 7)
    row = {"case": name, "method": answer.method, "seconds": own, "gap": answer.certificate.gap, "sweep": sweep}
    row |= {"sweeps": sweeps, "lp_sweep": program, "lp_seconds_extrapolated": program * sweeps, "lp_off": off}
    row |= {"sweep_ratio": program / sweep, "solve_ratio": program * sweeps / own}
    out(
        f"{name:20s} {answer.method:38s} {own:8.4f} s, certified {answer.certificate.gap:.1e}; "
        f"one sweep {sweep:.5f} s; "
        f"by programs one sweep {program:8.1f} s (extrapolated from {sample}; values differ by {off:.0e}), "
        f"{row['sweep_ratio']:.0f} times ours, a solve {sweeps} times that: {row['solve_ratio']:.0f} times ours"
    )
    return row


def _sweeps(quick: bool, out: Callable[[str], None]) -> list[dict]:
    """The robust sweep of a dense model beside the nominal one, in turns."""
    rows = []
    for S in (200, 1000):
        problem = dense_problem(S, 10, "sa")
        op, nominal = RobustBellman.of(problem), Bellman.of(problem.nominal)
        v = np.random.default_rng([61]).random(S)
        new, pi = np.empty(S), np.empty(S, dtype=np.int64)
        repeats, rounds = (20, 5) if S == 200 else (3, 5 if quick else 9)

        def plain(nominal=nominal, v=v, new=new, pi=pi, repeats=repeats) -> None:
            for _ in range(repeats):
                nominal.backup(v, new, pi)

        def robust(op=op, v=v, repeats=repeats) -> None:
            for _ in range(repeats):
                op.backup(v, with_rows=False)

        pairs = [(seconds(robust, 1) / repeats, seconds(plain, 1) / repeats) for _ in range(rounds)]
        ours, theirs = (float(np.median([pair[i] for pair in pairs])) for i in (0, 1))
        ratio = float(np.median([a / b for a, b in pairs]))
        rows.append({"case": f"sweep S={S}", "robust": ours, "nominal": theirs, "ratio": ratio, "target": 4.0})
        out(f"sweep S={S} A=10: robust {ours:.5f} s, nominal {theirs:.5f} s, ratio {ratio:.2f} (target: at most 4)")
    return rows


def _slope(quick: bool, out: Callable[[str], None]) -> dict:
    """Log-log slope in S of one (s, a)-L1 row by itself, sorting included."""
    sizes = 2 ** np.arange(8, 15)
    times = []
    for S in sizes:
        rng = np.random.default_rng([62, S])
        p, z, q = rng.dirichlet(np.ones(S)), rng.random(S), np.empty(S)
        repeats = int(2**22 // S) // (4 if quick else 1)

        def call(p=p, z=z, q=q, repeats=repeats) -> None:
            for _ in range(repeats):
                l1_row(z, p, RADIUS, q)

        times.append(seconds(call, 3 if quick else 5) / repeats)
    slope = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    out(f"row S=2^8..2^14: {times[0] * 1e6:.1f} to {times[-1] * 1e6:.0f} us, slope {slope:.2f} (target: 0.9 to 1.3)")
    return {"case": "row slope", "slope": slope, "sizes": sizes.tolist(), "seconds": times}


def run(quick: bool, out: Callable[[str], None] = print, *, cases: list[str] | None = None) -> list[dict]:
    """Measure; a line a measurement goes to `out`, and all come back as rows."""
    names = cases or [name for name, (*_, in_quick) in CASES.items() if in_quick or not quick]
    return [*(_case(name, quick, out) for name in names), *_sweeps(quick, out), _slope(quick, out)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the large models too, more rounds")
    parser.add_argument("--cases", nargs="*", choices=list(CASES), help="some of them")
    options = parser.parse_args()
    run(not options.full, cases=options.cases)
