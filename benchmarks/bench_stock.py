"""CVaR-optimal policies of gridworlds on stock grids: time and certified gap, the referee's time beside them.

The target is the 20 x 20 grid on 401 stocks in under 10 s on two cores, certificate included. Run as a script.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from mdplab.certify import check
from mdplab.exact.stock import static_cvar
from mdplab.instances.stock_grids import risk_averse_grid, risky_gridworld
from mdplab.models import CVaR

TARGET_SECONDS = 10.0


def _case(name: str, problem, options: dict, out: Callable[[str], None], target: float | None) -> dict:
    """Solve once, after smaller problems have compiled everything, and let the referee read the answer."""
    start, cpu = time.perf_counter(), time.process_time()
    answer = static_cvar(problem, **options)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    start = time.perf_counter()
    report = check(problem, answer)
    referee = time.perf_counter() - start
    low, stocks = float(answer.value[0]), len(answer.extras["grid"])
    row = {"case": name, "stocks": stocks, "seconds": seconds, "cpu": cpu, "referee": referee, "ok": report.ok}
    row |= {"cvar_low": low, "gap": answer.certificate.gap, "realised": answer.extras["cvar"], "target": target}
    aim = "" if target is None else f" (target: {target:g} s)"
    out(
        f"{name:28s} {stocks:5d} stocks {seconds:7.2f} s, cpu {cpu:6.2f} s{aim}; CVaR in [{low:.6f}, "
        f"{low + answer.certificate.gap:.6f}], gap {answer.certificate.gap:.1e}; its law {row['realised']:.6f}; "
        f"referee {referee:.2f} s, {'accepts' if report.ok else 'REFUSES: ' + report.reason}"
    )
    return row


def run(quick: bool, out: Callable[[str], None] = print) -> list[dict]:
    """Measure; a line a measurement goes to `out`, and all come back as rows."""
    static_cvar(risky_gridworld(4), num_stocks=11)
    rows = [
        _case("published 4x4 grid, tau 0.75", risk_averse_grid().replace(objective=CVaR(0.75)), {}, out, None),
        _case("risky 20x20 grid, tau 0.1", risky_gridworld(20), {"num_stocks": 401}, out, TARGET_SECONDS),
    ]
    if not quick:
        sizes = (101, 201, 801, 1601)
        rows += [_case("risky 20x20 grid, tau 0.1", risky_gridworld(20), {"num_stocks": k}, out, None) for k in sizes]
        even = {"stock_step": 11.0 / 400}
        rows.append(_case("the same, even stocks", risky_gridworld(20), even, out, None))
        taus = (0.01, 0.5)
        problems = {tau: risky_gridworld(20).replace(objective=CVaR(tau)) for tau in taus}
        rows += [_case(f"risky 20x20 grid, tau {tau:g}", problems[tau], {}, out, None) for tau in taus]
        gaps = {row["stocks"]: row["gap"] for row in rows[1:6]}
        slope = float(np.polyfit(np.log(list(gaps)), np.log(list(gaps.values())), 1)[0])
        out(f"gap against stocks: slope {slope:.2f}")
        rows.append({"case": "slope of the gap", "slope": slope})
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="more stocks, even stocks, other levels")
    run(not parser.parse_args().full)
