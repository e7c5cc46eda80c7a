"""A CSR Bellman sweep against what the machine can do: streaming bandwidth and gather rate, measured in the same run.

    python benchmarks/bench_roofline.py [--full]

The roofline of a sweep is the larger of two times: all its bytes (P, r, mask, vectors) at the bandwidth of a read that
does nothing else, and all its gathers at the rate of gathers alone from a vector of that size.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import mdplab.exact.operator as operator
from mdplab.exact.operator import Bellman
from mdplab.instances.random import garnet
from mdplab.kernels._jit import kernel


@kernel
def stream(x, start, stop):
    """Sum of x[start:stop] in eight independent chains."""
    a0, a1, a2, a3, a4, a5, a6, a7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    # Unsigned: a test for negative indices would cost as much as the read.
    for k in range(np.uint64(start), np.uint64(stop) - np.uint64(7), np.uint64(8)):
        a0 += x[k]
        a1 += x[k + np.uint64(1)]
        a2 += x[k + np.uint64(2)]
        a3 += x[k + np.uint64(3)]
        a4 += x[k + np.uint64(4)]
        a5 += x[k + np.uint64(5)]
        a6 += x[k + np.uint64(6)]
        a7 += x[k + np.uint64(7)]
    return a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7


@kernel
def gather(indices, v, start, stop):
    """Sum of v[indices[start:stop]] in eight independent chains."""
    a0, a1, a2, a3, a4, a5, a6, a7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    k = np.uint64(start)
    one = np.uint64(1)
    while k + np.uint64(8) <= np.uint64(stop):
        a0 += v[np.uint64(indices[k])]
        a1 += v[np.uint64(indices[k + one])]
        a2 += v[np.uint64(indices[k + np.uint64(2)])]
        a3 += v[np.uint64(indices[k + np.uint64(3)])]
        a4 += v[np.uint64(indices[k + np.uint64(4)])]
        a5 += v[np.uint64(indices[k + np.uint64(5)])]
        a6 += v[np.uint64(indices[k + np.uint64(6)])]
        a7 += v[np.uint64(indices[k + np.uint64(7)])]
        k += np.uint64(8)
    return a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _sizes(quick: bool) -> list[tuple[int, int, int]]:
    return [(20_000, 10, 8)] if quick else [(100_000, 10, 8), (1_000_000, 4, 5)]


def run(quick: bool, out=print) -> list[dict]:
    """Measure on one thread and on all; a line a model goes to `out`, and all come back as rows."""
    return [_row(*size, n, out) for size in _sizes(quick) for n in sorted({1, operator._num_threads()})]


def _row(S: int, A: int, b: int, threads: int, out) -> dict:
    mdp = garnet(S, A, b, gamma=0.99, rng=np.random.default_rng([60, S]), sparse=True)
    op, P = Bellman.of(mdp), mdp.P
    v, result, pi = np.random.default_rng([61]).random(S), np.empty(S), np.empty(S, dtype=np.int64)
    cuts = np.linspace(0, P.nnz, threads + 1).astype(np.int64).tolist()
    gathered = P.data.nbytes + P.indices.nbytes + P.indptr.nbytes + mdp.r.nbytes + mdp.actions.nbytes + 3 * v.nbytes
    with ThreadPoolExecutor(threads) as pool:

        def spread(work: Callable[[int, int], float]) -> None:
            list(pool.map(work, cuts[:-1], cuts[1:]))

        before = operator._num_threads, operator._THREAD_ENTRIES
        operator._num_threads, operator._THREAD_ENTRIES = (lambda: threads), 1_000_000
        operator._pool.cache_clear()
        try:
            calls = {
                "sweep": lambda: op.backup(v, result, pi),
                "stream": lambda: spread(lambda i, j: stream(P.data, i, j)),
                "gather": lambda: spread(lambda i, j: gather(P.indices, v, i, j)),
            }
            for call in calls.values():
                call()
            rounds = [{name: _seconds(call) for name, call in calls.items()} for _ in range(15)]
        finally:
            operator._num_threads, operator._THREAD_ENTRIES = before
            operator._pool.cache_clear()
    # Ratios of neighbours in time: another process slows all three alike.
    limits = [max(one["stream"] * gathered / P.data.nbytes, one["gather"]) for one in rounds]
    ratio = float(np.median([one["sweep"] / limit for one, limit in zip(rounds, limits, strict=True)]))
    sweep, read, pick = (float(np.median([one[name] for one in rounds])) for name in ("sweep", "stream", "gather"))
    row = {"S": S, "A": A, "b": b, "threads": threads, "sweep_ms": 1e3 * sweep, "ratio": ratio}
    row |= {"bandwidth_gb_s": P.data.nbytes / read / 1e9, "gathers_per_s": P.nnz / pick}
    row["roofline_ms"] = 1e3 * float(np.median(limits))
    out(
        f"sweep S={S} A={A} b={b} threads={threads}: {row['sweep_ms']:.1f} ms, roofline {row['roofline_ms']:.1f} ms, "
        f"ratio {ratio:.2f} (read {row['bandwidth_gb_s']:.1f} GB/s, {row['gathers_per_s'] / 1e9:.2f} G gathers/s)"
    )
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the models of 8 and 20 million transitions")
    run(not parser.parse_args().full)
