"""Preference games: an EGPO update beside the two products it cannot avoid, and the simulations of the EGPO paper.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_games.py [--full]

Both parts of a ratio are timed in turn, in one process on one thread, by CPU time, which what else the machine does
disturbs least; the median over rounds is printed. The simulations are ten games of ten actions for
10000 (full: 100000) updates of five methods, one after the other on one core; compile time is stated apart.
"""

import argparse
from collections.abc import Callable
from time import perf_counter, process_time

import numpy as np

from mdplab.algorithms.games.egpo import egpo
from mdplab.algorithms.games.preference_losses import LOSSES, descend
from mdplab.instances.games import random_preferences

UPDATES = 100
SIMULATION = {"tau": 0.001, "lr": 2e-4}


def update_ratio(n: int, rounds: int) -> tuple[float, float]:
    """Median time of an update in milliseconds, and median ratio to two products with K, (n, n)."""
    game = random_preferences(n, rng=np.random.default_rng([53, n]))
    K, pi = np.array(game.K), np.array(game.mu)
    times, ratios = [], []
    for _ in range(rounds):
        start = process_time()
        egpo(game, tau=0.1, eta=1.0, num_iters=UPDATES, checkpoints=[UPDATES])
        middle = process_time()
        for _ in range(2 * UPDATES):
            K @ pi
        end = process_time()
        times.append((middle - start) / UPDATES * 1e3)
        ratios.append((middle - start) / (end - middle))
    return float(np.median(times)), float(np.median(ratios))


def simulations(num_iters: int) -> dict[str, float]:
    """Seconds for each method on ten games, and for compiling."""
    game = random_preferences(10, rng=np.random.default_rng([53, 10]), contexts=10)
    start = perf_counter()
    descend(game, loss="egpo", num_iters=1, compiled=True, **SIMULATION)
    seconds = {"compiling or loading": perf_counter() - start}
    for loss in LOSSES:
        start = perf_counter()
        descend(game, loss=loss, num_iters=num_iters, checkpoints=[num_iters], compiled=True, **SIMULATION)
        seconds[loss] = perf_counter() - start
    return seconds


def run(quick: bool, out: Callable[[str], None] = print) -> list[dict]:
    """Measure; a line a measurement goes to `out`, and all come back as rows."""
    rows = []
    for n in (100, 300, 1000):
        time, ratio = update_ratio(n, 3 if quick else 7)
        rows.append({"case": f"update n={n}", "milliseconds": time, "ratio": ratio})
        out(f"EGPO n={n:<5d} {time:8.3f} ms an update   {ratio:.2f} x two products")
    updates = 10_000 if quick else 100_000
    seconds = simulations(updates)
    for name, value in seconds.items():
        rows.append({"case": name, "seconds": value, "updates": updates})
        out(f"{name:22s} {value:6.2f} s")
    out(f"{'five methods':22s} {sum(seconds[loss] for loss in LOSSES):6.2f} s for 10 games x {updates} updates")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="more rounds, and the updates of the paper")
    run(not parser.parse_args().full)
