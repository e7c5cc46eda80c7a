"""Static risk of long play on stock grids, no horizon: time, certified gap, the referee's time. Run as a script.

Random models (two actions, two successors) whose play never ends. The same file runs against an older checkout that is
first on the path, so that both are measured in one run.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from mdplab.certify import check
from mdplab.exact.stock import static_cvar, static_ocvar
from mdplab.models import MDP, CVaR, OCVaR, StockMDP


def _problem(S: int, gamma: float, objective: CVaR | OCVaR, *, wide: bool = False) -> StockMDP:
    rng = np.random.default_rng([46, S])
    P = np.zeros((S, 2, S))
    for s in range(S):
        for a in range(2):
            P[s, a, rng.choice(S, 2, replace=False)] = rng.dirichlet(np.ones(2))
    rewards = rng.choice([-1.0, 0, 1, 2], (S, 2))
    if wide:
        rewards[0] = [-50.0, 100.0]
    return StockMDP(MDP(P, rewards, gamma), objective, start=0)


def _case(name: str, problem: StockMDP, stocks: int, out: Callable[[str], None]) -> dict:
    solve = static_ocvar if isinstance(problem.objective, OCVaR) else static_cvar
    options = {} if solve is static_ocvar else {"roll_out": False}
    start, cpu = time.perf_counter(), time.process_time()
    answer = solve(problem, num_stocks=stocks, **options)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    start = time.perf_counter()
    report = check(problem, answer)
    referee, gap = time.perf_counter() - start, answer.certificate.gap
    out(
        f"{name:38s} {stocks:5d} stocks {seconds:7.2f} s, cpu {cpu:6.2f} s; {answer.value[0]:.5g}, gap {gap:.2e}; "
        f"referee {referee:.2f} s, {'accepts' if report.ok else 'REFUSES: ' + report.reason}"
    )
    return {"case": name, "stocks": stocks, "seconds": seconds, "cpu": cpu, "gap": gap, "referee": referee}


def run(quick: bool, out: Callable[[str], None] = print) -> list[dict]:
    """Measure; a line a measurement goes to `out`, and all come back as rows."""
    for objective in (CVaR(0.5), OCVaR(0.5)):
        _case("compiling", _problem(3, 0.5, objective), 11, lambda line: None)
    rows = []
    for gamma in (0.9, 0.97) if quick else (0.9, 0.97, 0.99, 0.997):
        rows.append(_case(f"OCVaR 0.3, 5 states, gamma {gamma:g}", _problem(5, gamma, OCVaR(0.3)), 101, out))
    for wide in (False, True):
        for stocks in (101, 401):
            name = f"CVaR 0.1, 8 states, gamma 0.997{', wide' if wide else ''}"
            rows.append(_case(name, _problem(8, 0.997, CVaR(0.1), wide=wide), stocks, out))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="longer play")
    run(not parser.parse_args().full)
