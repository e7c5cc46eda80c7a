"""Categorical policy evaluation, a sweep beside the memory traffic it must move, measured in the same run.

    python benchmarks/bench_distributional.py [--full]

The model of the target: S=1000, A=4, branching 5, 201 atoms, a fixed policy. Whatever the method, a sweep reads the K
atoms of every successor and writes K: (5 + 1) K doubles a state. The roofline is the time of a loop that does just
that, from the same arrays, in the same order and with the sum as its only arithmetic; where the laws fit into a cache
it runs at the cache's speed, not at that of main memory, which makes it the stricter bound of the two. The bandwidth of
a read from main memory is measured beside it. Times are of one thread; a quantile sweep and a whole evaluation follow.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from bench_roofline import stream

from mdplab.exact.distributional import categorical_evaluation, quantile_evaluation
from mdplab.exact.distributional.chain import Chain
from mdplab.exact.distributional.representations import Categorical, Quantile
from mdplab.exact.operator import freeze
from mdplab.instances.random import garnet
from mdplab.kernels._jit import kernel

A, BRANCHING, TARGET = 4, 5, 3.0


@kernel
def traffic(next_state, eta, out_eta):
    """out_eta (S, K) = sums over five successors, next_state (5 S,): a sweep's reads and writes, and nothing else."""
    S, K = out_eta.shape
    for s in range(S):
        out = out_eta[s]
        a, b, c = eta[next_state[5 * s]], eta[next_state[5 * s + 1]], eta[next_state[5 * s + 2]]
        d, e = eta[next_state[5 * s + 3]], eta[next_state[5 * s + 4]]
        for j in range(K):
            out[j] = (a[j] + b[j]) + (c[j] + d[j]) + e[j]


def _median_ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _in_turns(calls: dict[str, Callable[[], object]], rounds: int) -> list[dict[str, float]]:
    """Milliseconds of each call, warm, in rounds: another process slows neighbours in time alike."""
    for call in calls.values():
        call()
    return [{name: _median_ms(call) for name, call in calls.items()} for _ in range(rounds)]


def _chain(S: int, gamma: float, by_next: bool) -> Chain:
    """A chain as a policy makes of a Garnet: five random successors, a reward for each state or each transition."""
    rng = np.random.default_rng([71, S])
    ptr, to = np.arange(0, 5 * S + 1, 5), rng.integers(0, S, 5 * S)
    reward = np.sort(rng.random((S, 5)), axis=1).ravel() if by_next else np.repeat(rng.random(S), 5)
    prob = rng.dirichlet(np.ones(5), S).ravel()
    freeze(ptr, to, reward, prob)
    return Chain(ptr, to, reward, prob, gamma, A)


def _sweeps(S: int, K: int, gamma: float, by_next: bool, rounds: int, out: Callable[[str], None]) -> dict:
    """One line: the sweep, the roofline of the same run, and their ratio."""
    chain = _chain(S, gamma, by_next)
    z = np.linspace(0, 1 / (1 - gamma), K)
    grid, quantile = Categorical(z, False), Quantile(K)
    # Laws near the fixed point, as in all but the first sweeps.
    eta, new, theta = grid.start(chain.mean), np.empty((S, K)), quantile.start(chain.mean)
    for _ in range(100):
        grid.sweep(chain, eta, new)
        eta, new = new, eta
    calls = {
        "sweep": lambda: grid.sweep(chain, eta, new),
        "traffic": lambda: traffic(chain.next_state, eta, new),
    }
    moved = 8 * (chain.prob.size + S) * K
    times = _in_turns(calls, rounds)
    ratio = float(np.median([one["sweep"] / one["traffic"] for one in times]))
    row = {name: float(np.median([one[name] for one in times])) for name in calls}
    big = np.ones(2**25)
    row["memory"] = float(np.median([one["read"] for one in _in_turns({"read": lambda: stream(big, 0, big.size)}, 5)]))
    row["memory"] *= moved / big.nbytes
    row["quantile"] = _in_turns({"q": lambda: quantile.sweep(chain, theta, np.empty((S, K)))}, 3)[-1]["q"]
    kind = "rewards by next state" if by_next else "rewards by action"
    out(
        f"S={S} K={K} gamma={gamma:g}, {kind}: sweep {row['sweep']:.2f} ms, its traffic {row['traffic']:.2f} ms "
        f"({moved / row['traffic'] / 1e6:.0f} GB/s), ratio {ratio:.2f} (target: at most {TARGET:g}); the same bytes "
        f"from main memory {row['memory']:.2f} ms, ratio {row['sweep'] / row['memory']:.2f}; "
        f"a quantile sweep {row['quantile']:.1f} ms"
    )
    return {"S": S, "K": K, "gamma": gamma, "by_next": by_next, "ratio": ratio, "target": TARGET} | row


def _solves(gamma: float, out: Callable[[str], None]) -> list[dict]:
    """Whole evaluations, certificate included."""
    S, K = 1000, 201
    mdp = garnet(S, A, BRANCHING, gamma=gamma, rng=np.random.default_rng([70, S]), sparse=True)
    policy, z = np.zeros(S, dtype=np.int64), np.linspace(0, 1 / (1 - gamma), K)
    rows = []
    for name, call in (
        ("categorical", lambda: categorical_evaluation(mdp, policy, z, tol=1e-6)),
        ("quantile", lambda: quantile_evaluation(mdp, policy, K, tol=1e-6)),
    ):
        answer = call()
        rows.append({"case": name, "seconds": answer.seconds, "sweeps": answer.num_iters})
        rows[-1]["gap"] = answer.certificate.gap
        out(
            f"{name} evaluation S={S} K={K} gamma={gamma:g} to 1e-6 of its fixed point: {answer.seconds:.2f} s, "
            f"{answer.num_iters} sweeps, certified w_1 {answer.certificate.gap:.2g} of returns up to {z[-1]:g}"
        )
    return rows


def run(quick: bool, out: Callable[[str], None] = print) -> list[dict]:
    """Measure; a line a measurement goes to `out`, and all come back as rows."""
    rounds = 51 if quick else 301
    cases = [(1000, 201, gamma, False) for gamma in (0.7, 0.9, 0.95, 0.99)] + [(1000, 201, 0.95, True)]
    if not quick:
        cases.append((100_000, 201, 0.95, False))
    return [*(_sweeps(*case, rounds if case[0] == 1000 else 11, out) for case in cases), *_solves(0.95, out)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="more rounds, and laws that fit into no cache")
    run(not parser.parse_args().full)
