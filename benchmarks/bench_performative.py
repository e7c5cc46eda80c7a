"""Performative learning: the projection beside Clarabel, and the published gridworld, 1000 rounds (100 if quick).

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_performative.py [--full]

The first part solves the regularised occupancy problem of the gridworld, in the environments of the first rounds, by
our Newton method and by Clarabel through cvxpy, certificates included, in turn in one process; medians. The second
runs repeated optimisation and gradient ascent in all settings of the published figures (lam = 0, a linear program, is
left out), shared among processes; compile time is stated apart.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter

import numpy as np

from mdplab.algorithms.performative import repeated_gradient_ascent, repeated_optimization
from mdplab.exact.performative import regularized_occupancy
from mdplab.instances.performative import first_policy, two_agent_gridworld
from mdplab.kernels.occupancy import project_flow

SETTINGS = [("RPO", 10.0, lam, None) for lam in (0.2, 0.5, 1.0, 5.0)]
SETTINGS += [("RPO", beta, 1.0, None) for beta in (0.1, 1.0, 5.0, 200.0)]
SETTINGS += [("RGA", 5.0, 1.0, eta) for eta in (0.05, 0.1, 0.2, 1.0, 2.0)]


def against_clarabel(environments: int) -> list[tuple[float, float, float, float]]:
    """Per environment: seconds of the bare projection, of both certified solves, and their distance."""
    problem = two_agent_gridworld(10.0)
    policy, rows = first_policy(problem), []
    for _ in range(environments):
        mdp = problem.at(policy)
        times, answers = [], []
        start = perf_counter()
        found = project_flow(mdp.P, mdp.mu, mdp.gamma, mdp.r, available=problem.available)
        times.append(perf_counter() - start)
        for method in ("newton", "clarabel"):
            start = perf_counter()
            answers.append(regularized_occupancy(mdp, 1.0, method=method, tol=1e-6).extras["occupancy"])
            times.append(perf_counter() - start)
        rows.append((*times, float(np.linalg.norm(answers[0] - answers[1]))))
        policy = problem.policy_of(found.d)
    return rows


def one_setting(setting: tuple[str, float, float, float | None, int]) -> tuple[float, float]:
    """Seconds, and the last relative step."""
    method, beta, lam, eta, rounds = setting
    problem = two_agent_gridworld(beta)
    first = problem.occupancy(first_policy(problem))
    start = perf_counter()
    if method == "RPO":
        trace = repeated_optimization(problem, lam, num_rounds=rounds, start=first)
    else:
        trace = repeated_gradient_ascent(problem, lam, eta=eta, num_rounds=rounds, start=first)
    d = trace["d"]
    return perf_counter() - start, float(np.linalg.norm(d[-1] - d[-2]) / np.linalg.norm(d[-2]))


def run(quick: bool, out: Callable[[str], None] = print) -> list[dict]:
    """Measure; a line a measurement goes to `out`, and all come back as rows."""
    rounds = 100 if quick else 1000
    start = perf_counter()
    one_setting(("RPO", 10.0, 1.0, None, 2))
    out(f"compiling or loading   {perf_counter() - start:6.2f} s")
    against_clarabel(1)
    bare, newton, clarabel, apart = (np.array(column) for column in zip(*against_clarabel(5 if quick else 11)))
    times = {"projection": bare, "newton, certified": newton, "clarabel, certified": clarabel}
    rows = []
    for name, seconds in times.items():
        rows.append({"case": name, "milliseconds": 1e3 * float(np.median(seconds)), "apart": float(apart.max())})
        out(f"{name:22s} {1e3 * np.median(seconds):6.2f} ms   Clarabel {np.median(clarabel / seconds):.0f} x")
    start = perf_counter()
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(one_setting, [(*setting, rounds) for setting in SETTINGS]))
    total = perf_counter() - start
    for (method, beta, lam, eta), (seconds, last) in zip(SETTINGS, results):
        name = f"{method} beta {beta:g} lam {lam:g}" + ("" if eta is None else f" eta {eta:g}")
        rows.append({"case": name, "seconds": seconds, "rounds": rounds, "last_relative_step": last})
        out(f"{name:28s} {seconds:6.2f} s   last relative step {last:.1e}")
    rows.append({"case": "all settings, two processes", "seconds": total, "rounds": rounds})
    out(f"all settings, {rounds} rounds, two processes: {total:.1f} s")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="1000 rounds")
    run(not parser.parse_args().full)
