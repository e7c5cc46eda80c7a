"""One measurement in its own process: `python measure.py LIBRARY METHOD MODEL.npz` prints one line of JSON.

Run by `bench_exact.py`, with this interpreter or with another one that has the peers; for a peer nothing of mdplab is
imported. Times are of the solve alone, warm: the same call on a small model of the same kind comes first.
"""

import json
import os
import resource
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np


def load(path: Path) -> dict:
    """The arrays of a model file, sparse or dense."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def small(model: dict) -> dict:
    """A model of the same layout with few states."""
    S, A = 7, model["r"].shape[-1]
    rng = np.random.default_rng([0])
    P, r = rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A))
    if "P_indptr" in model:
        indptr = np.arange(0, S * A * S + 1, S, dtype=np.int32)
        indices = np.tile(np.arange(S, dtype=np.int32), S * A)
        return {"P_data": P.ravel(), "P_indices": indices, "P_indptr": indptr, "r": r, "gamma": model["gamma"]}
    if model["r"].ndim == 3:
        return {"P": np.stack([P, P]), "r": np.stack([r, r]), "gamma": model["gamma"]}
    return {"P": P, "r": r, "gamma": model["gamma"]}


def csr(model: dict):
    """P as a CSR matrix (S * A, S)."""
    import scipy.sparse as sp

    S, A = model["r"].shape
    if "P" in model:
        return sp.csr_matrix(model["P"].reshape(S * A, S))
    return sp.csr_matrix((model["P_data"], model["P_indices"], model["P_indptr"]), shape=(S * A, S))


def mdplab(model: dict, method: str):
    """A call that returns (value, certified gap, method)."""
    import scipy.sparse as sp

    import mdplab.exact as exact
    from mdplab.models import MDP

    if model["r"].ndim == 3:
        P, r, gamma = model["P"], model["r"], float(model["gamma"])

        def batch():
            answer = exact.solve_batch(P, r, gamma)
            return answer.value, float(answer.gap.max()), "solve_batch"

        return batch
    for array in model.values():
        array.flags.writeable = False
    P = model["P"] if "P" in model else sp.csr_array(csr(model), copy=False)
    if "P" not in model:
        for part in (P.data, P.indices, P.indptr):
            part.flags.writeable = False
    mdp = MDP(P, model["r"], float(model["gamma"]))

    def call():
        answer = getattr(exact, method)(mdp)
        return answer.value, answer.certificate.gap, answer.method

    return call


def quantecon(model: dict, method: str):
    """QuantEcon's DiscreteDP, state-action pairs where the model is sparse."""
    from quantecon.markov import DiscreteDP

    r, gamma = model["r"], float(model["gamma"])
    if r.ndim == 3:

        def loop():
            v = [DiscreteDP(r[i], model["P"][i], gamma).solve(method, epsilon=1e-6).v for i in range(len(r))]
            return np.array(v), None, method

        return loop
    S, A = r.shape
    if "P" in model:
        problem = DiscreteDP(r, model["P"], gamma)
    else:
        problem = DiscreteDP(r.ravel(), csr(model), gamma, np.repeat(np.arange(S), A), np.tile(np.arange(A), S))

    def call():
        answer = problem.solve(method=method, epsilon=1e-6, max_iter=10**6)
        return answer.v, None, method

    return call


def mdptoolbox(model: dict, method: str):
    """pymdptoolbox, dense models only."""
    import mdptoolbox.mdp as toolbox

    P, r, gamma = np.ascontiguousarray(model["P"].swapaxes(0, 1)), model["r"], float(model["gamma"])

    def call():
        more = {} if method == "PolicyIteration" else {"epsilon": 1e-6}
        solver = getattr(toolbox, method)(P, r, gamma, **more)
        solver.run()
        return np.array(solver.V), None, method

    return call


def mdpsolver(model: dict, method: str):
    """mdpsolver, from Python lists; the time is of its solve, without building them."""
    import mdpsolver as peer

    P, (S, A) = csr(model), model["r"].shape
    rows = [[P.indptr[s * A + a : s * A + a + 2] for a in range(A)] for s in range(S)]
    problem = peer.model()
    problem.mdp(
        discount=float(model["gamma"]),
        rewards=model["r"].tolist(),
        tranMatProbs=[[P.data[i:j].tolist() for i, j in row] for row in rows],
        tranMatColumns=[[P.indices[i:j].tolist() for i, j in row] for row in rows],
    )

    def call():
        problem.solve(algorithm=method, tolerance=1e-6, parallel=False)
        return np.array(problem.getValueVector()), None, method

    return call


LIBRARIES = {"mdplab": mdplab, "quantecon": quantecon, "mdptoolbox": mdptoolbox, "mdpsolver": mdpsolver}


def peak_memory() -> float:
    """The most MiB that this process has had resident."""
    try:
        # getrusage would also remember what the parent had before this process replaced it.
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
        return int(fields["VmHWM"].split()[0]) / 1024
    except (OSError, KeyError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def traced(call) -> float:
    """The most MiB that Python and NumPy allocate during a call; a library's own allocator is not seen."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def main(library: str, method: str, path: str) -> None:
    """Measure one call and print it; the value goes to a file beside the model."""
    np.set_printoptions(threshold=10)
    model = load(Path(path))
    build = LIBRARIES[library]
    build(small(model), method)()
    call = build(model, method)
    # mdpsolver's second solve would start from the answer of the first.
    repeats = 1 if library == "mdpsolver" else int(os.environ.get("BENCH_REPEATS", "3"))
    wall, cpu = [], []
    while True:
        t, c = time.perf_counter(), time.process_time()
        value, gap, name = call()
        wall.append(time.perf_counter() - t)
        cpu.append(time.process_time() - c)
        if len(wall) >= repeats or sum(wall) > 60:
            break
    peak = peak_memory()
    np.save(f"{path}.{library}.{method}.npy", value)
    arrays = sum(array.nbytes for array in model.values()) / 2**20
    result = {"wall": float(np.median(wall)), "cpu": float(np.median(cpu)), "gap": gap, "method": name}
    result |= {"peak_mib": peak, "model_mib": arrays, "memory": 1 + traced(call) / arrays}
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
