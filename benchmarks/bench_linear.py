"""Linear learners: R2PVI beside PEVI and DRPVI on the put option, and a whole experiment of DR-RPO.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/bench_linear.py [--full]

Learners are timed in turn, in one process on one thread, by CPU time, compiled before; medians over rounds. Targets:
R2PVI with total variation at d = 120, N = 1000, H = 20 takes at most 1.4 times what PEVI takes and less than DRPVI;
DR-RPO on the simulated process, 1500 episodes for each of 10 seeds, under 60 s.
"""

import argparse
from collections.abc import Callable
from time import perf_counter, process_time

import numpy as np

from mdplab.algorithms.linear import dr_rpo, drpvi, pevi, r2pvi
from mdplab.instances.american_put import hat_features, put_data
from mdplab.instances.linear import simulated_linear_mdp

LEARNERS = {
    "PEVI": lambda *given: pevi(*given, beta=0.1, clip="above"),
    "R2PVI-TV": lambda *given: r2pvi(*given, divergence="tv", temperature=3, beta=0.1, norm="l2", clip="above"),
    "R2PVI-KL": lambda *given: r2pvi(*given, divergence="kl", temperature=3, beta=0.1, norm="l2", clip="above"),
    "R2PVI-chi2": lambda *given: r2pvi(*given, divergence="chi2", temperature=3, beta=0.1, norm="l2", clip="above"),
    "DRPVI": lambda *given: drpvi(*given, rho=0.1, beta=0.1, norm="l2", clip="above"),
}


def learners(d: int, n: int, rounds: int) -> dict[str, float]:
    """Median seconds of CPU for each learner on the put option with d features and n trajectories."""
    put, data = put_data(0, n=n)
    phi = np.zeros((*put.phi.shape[:2], d))
    phi[:-1, 0] = hat_features(put.prices[:-1], d)
    given, times = (phi, put.rewards, data), {name: [] for name in LEARNERS}
    for learn in LEARNERS.values():
        learn(*given)
    for _ in range(rounds):
        for name, learn in LEARNERS.items():
            start = process_time()
            learn(*given)
            times[name].append(process_time() - start)
    return {name: float(np.median(each)) for name, each in times.items()}


def run(quick: bool, out: Callable[[str], None] = print) -> list[dict]:
    """Measure; a line a measurement goes to `out`, and all come back as rows."""
    rows = []
    for d, n in ((30, 1000), (120, 1000)) + (((30, 10_000),) if not quick else ()):
        times = learners(d, n, 7 if quick else 31)
        for name, seconds in times.items():
            rows.append({"case": f"d={d} N={n} {name}", "seconds": seconds, "to_pevi": seconds / times["PEVI"]})
            out(f"d={d:<4d} N={n:<6d} {name:11s} {seconds * 1e3:8.2f} ms   {seconds / times['PEVI']:.2f} x PEVI")
    linear, radius = simulated_linear_mdp(xi=0.1), np.zeros((3, 4))
    radius[0, 3] = 0.3
    for what, episodes, seeds in (("compiling or loading", 1, 1), ("1500 episodes x 10 seeds", 1500, 10)):
        start = perf_counter()
        dr_rpo(
            linear,
            rho=radius,
            tau=0.1,
            episodes=episodes,
            beta=0.5,
            seeds=seeds,
            rng=np.random.default_rng([1]),
            fail=3,
        )
        rows.append({"case": f"DR-RPO {what}", "seconds": perf_counter() - start})
        out(f"DR-RPO on the simulated process, {what}: {rows[-1]['seconds']:.2f} s")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="more rounds, and ten times the data")
    run(not parser.parse_args().full)
