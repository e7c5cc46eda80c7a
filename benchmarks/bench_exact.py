"""Exact solvers beside their peers: time, true error, memory; one process a measurement.

    python benchmarks/bench_exact.py [--full] [--peers-python INTERPRETER] [--cases NAME ...]

Peers that are not installed (in the interpreter given, by default this one) are skipped, and it is said. The true error
is the distance to a value certified to 1e-9 or as near as double precision allows; each `ratio` is our time
over the peer's, the median over rounds in which the two run one after the other: CPU time on one thread, which another
process on the machine disturbs least, else wall clock.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import mdplab.exact as exact
from mdplab.instances.grids import gridworld
from mdplab.instances.random import garnet
from mdplab.models import MDP, SolverFailure

HERE = Path(__file__).parent


def _dense(S: int, A: int, gamma: float) -> Callable[[], MDP]:
    def build() -> MDP:
        rng = np.random.default_rng([50, S, A])
        W = rng.exponential(size=(S, A, S))
        # One peer refuses rows that are off one by more than ten units in the last place, as dirichlet's may be.
        return MDP(W / W.sum(axis=2, keepdims=True), rng.random((S, A)), gamma)

    return build


def _garnet(S: int, A: int, b: int, gamma: float) -> Callable[[], MDP]:
    return lambda: garnet(S, A, b, gamma=gamma, rng=np.random.default_rng([51, S, A, b]), sparse=True)


def _grid(n: int, gamma: float) -> Callable[[], MDP]:
    return lambda: gridworld(n, n, gamma=gamma, slip=0.2)


# name -> (model, in the quick run, our methods, (peer, method) pairs)
_SWEEPS = ("solve", "value_iteration", "modified_policy_iteration")
_QE = ("quantecon", "mpi")
CASES: dict[str, tuple[Callable[[], MDP], bool, tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "dense 1000x10 gamma .99": (_dense(1000, 10, 0.99), True, _SWEEPS, (_QE, ("mdptoolbox", "ValueIteration"))),
    "dense 1000x10 gamma .999": (_dense(1000, 10, 0.999), True, _SWEEPS, (_QE, ("mdptoolbox", "PolicyIteration"))),
    "garnet 10k A=10 b=8": (_garnet(10_000, 10, 8, 0.99), True, _SWEEPS, (_QE,)),
    "grid 100x100": (_grid(100, 0.99), True, ("solve", "policy_iteration"), (_QE,)),
    "garnet 100k A=10 b=8": (_garnet(100_000, 10, 8, 0.99), False, _SWEEPS, (_QE, ("mdpsolver", "mpi"))),
    "garnet 100k A=10 b=8 gamma .999": (_garnet(100_000, 10, 8, 0.999), False, _SWEEPS, (_QE,)),
    "garnet 1M A=4 b=5": (_garnet(1_000_000, 4, 5, 0.99), False, ("solve",), (_QE,)),
    "grid 1000x1000": (_grid(1000, 0.99), False, ("solve",), (_QE,)),
}


def _save(path: Path, mdp: MDP) -> None:
    P = {"P_data": mdp.P.data, "P_indices": mdp.P.indices, "P_indptr": mdp.P.indptr} if mdp.is_sparse else {"P": mdp.P}
    np.savez(path, r=mdp.r, gamma=mdp.gamma, **P)


def _measure(python: str, library: str, method: str, path: Path, threads: int) -> dict | str:
    """One process; its result, or why there is none."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "BENCH_REPEATS": "3"}
    command = [python, str(HERE / "measure.py"), library, method, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    except subprocess.TimeoutExpired:
        return "took more than 15 minutes"
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"not installed ({last})" if "ModuleNotFoundError" in last else last


def _reference(mdp: MDP) -> np.ndarray:
    """The value, certified more tightly than what is measured."""
    for tol in (1e-9, 1e-8):
        try:
            return exact.solve(mdp, tol=tol).value
        except SolverFailure:
            continue
    return exact.solve(mdp, tol=1e-7).value


def _case(name: str, folder: Path, python: str, rounds: int, threads: int, out) -> list[dict]:
    build, _, ours, peers = CASES[name]
    mdp, path = build(), folder / "model.npz"
    _save(path, mdp)
    truth = _reference(mdp)
    del mdp
    rows: dict[tuple[str, str], list[dict]] = {}
    for _ in range(rounds):
        # One after the other, so that what else the machine does hits all alike.
        for library, method in [*(("mdplab", m) for m in ours), *peers]:
            interpreter = sys.executable if library == "mdplab" else python
            found = _measure(interpreter, library, method, path, threads)
            if isinstance(found, str):
                if (library, method) not in rows:
                    out(f"{name}: {library} {method} skipped: {found}")
                    rows[library, method] = []
                continue
            found["error"] = float(np.abs(np.load(f"{path}.{library}.{method}.npy") - truth).max())
            rows.setdefault((library, method), []).append(found)
    best = rows.get(("mdplab", ours[0]), [])
    table = []
    for (library, method), found in rows.items():
        if not found:
            continue
        clock = "cpu" if threads == 1 else "wall"
        ratios = [a[clock] / b[clock] for a, b in zip(best, found, strict=False)]
        row = {
            key: float(np.median([one[key] for one in found])) for key in ("wall", "cpu", "error", "peak_mib", "memory")
        }
        row |= {"case": name, "library": library, "method": found[0]["method"], "asked": method, "threads": threads}
        row |= {"gap": found[0]["gap"], "model_mib": found[0]["model_mib"], "ratio": float(np.median(ratios or [0]))}
        table.append(row)
        certified = "-" if row["gap"] is None else format(row["gap"], ".1e")
        out(
            f"{name:32s} {library:10s} {method:26s} {row['wall']:8.3f} s wall {row['cpu']:8.3f} s cpu   error "
            f"{row['error']:.1e}   certified {certified:8s} ours/this {row['ratio']:.2f}   "
            f"memory {row['memory']:.2f} x the arrays, {row['peak_mib']:.0f} MiB in all"
        )
    return table


def _batch(folder: Path, python: str, N: int, rounds: int, threads: int, out) -> list[dict]:
    """N models of 20 states and 4 actions: one call against a loop over a peer on a tenth of them, times ten."""
    rng = np.random.default_rng([52])
    P, r = rng.dirichlet(np.ones(20), (N, 20, 4)), rng.random((N, 20, 4))
    np.savez(folder / "batch.npz", P=P, r=r, gamma=0.99)
    np.savez(folder / "tenth.npz", P=P[: N // 10], r=r[: N // 10], gamma=0.99)
    ours, peer = [], []
    for _ in range(rounds):
        ours.append(_measure(sys.executable, "mdplab", "solve_batch", folder / "batch.npz", threads))
        peer.append(_measure(python, *_QE, folder / "tenth.npz", threads))
    if isinstance(ours[0], str):
        out(f"batch: {ours[0]}")
        return []
    rows = [{"case": f"batch {N} x (20, 4)", "library": "mdplab", "wall": float(np.median([x["wall"] for x in ours]))}]
    if isinstance(peer[0], str):
        out(f"batch: quantecon skipped: {peer[0]}")
    else:
        rows[0]["ratio"] = float(np.median([a["wall"] / (10 * b["wall"]) for a, b in zip(ours, peer, strict=True)]))
        rows.append({"case": rows[0]["case"], "library": "quantecon (loop)", "wall": 10 * peer[0]["wall"]})
    for row in rows:
        out(f"{row['case']:32s} {row['library']:18s} {row['wall']:8.3f} s   {row.get('ratio', '')}")
    return rows


def run(
    quick: bool, out=print, *, peers_python: str = sys.executable, cases: list[str] | None = None, threads: int = 1
) -> list[dict]:
    """Measure; a line a measurement goes to `out`, and all come back as rows."""
    names = cases or [name for name, (_, in_quick, _, _) in CASES.items() if in_quick or not quick]
    rounds = 1 if quick else 3
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            if name in CASES:
                rows += _case(name, Path(folder), peers_python, rounds, threads, out)
        if cases is None or "batch" in cases:
            rows += _batch(Path(folder), peers_python, 2000 if quick else 10_000, rounds, threads, out)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the large models too, three rounds")
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter that has the peers")
    parser.add_argument("--cases", nargs="*", help=f"some of {[*CASES, 'batch']}")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    run(not options.full, peers_python=options.peers_python, cases=options.cases, threads=options.threads)
