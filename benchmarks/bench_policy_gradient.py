"""Environment steps a second of single-trajectory N-PG-IGT, 40 replicates: compiled, vectorised NumPy, and JAX.

The target is three times JAX (`scan` and `vmap`, where it can be imported) and less than 10 s of compilation. All three
are measured in steps a second of processor time, which a busy machine disturbs least (each uses about one core), and on
the clock too. All three compute in float64, and JAX draws by its default, Threefry: of what was tried (float32, other
generators, unrolled loops) it is the fastest on QChain but for float32, which takes about 0.6 to 0.9 of its time; on
FrozenLake the generator "rbg" takes about 0.75 of it. Run as a script, with `--jax-python` for another interpreter that
has JAX.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mdplab.algorithms.policy_gradient import SingleTrajectory, SoftmaxTrajectory, igt_schedule, look_ahead, n_pg_igt
from mdplab.instances.policy_gradient import qchain
from mdplab.instances.toytext import frozen_lake

TARGET_RATIO, TARGET_COMPILE, SEEDS = 3.0, 10.0, 40
# Compiles the loop afresh in a process of its own, with an empty cache.
COMPILE = """
import sys, time
import numpy as np
sys.path.insert(0, {here!r})
from bench_policy_gradient import case
oracle, _ = case({name!r}, 1)
from mdplab.algorithms.policy_gradient import igt_schedule, n_pg_igt
eta, step = igt_schedule(1, 1.0)
start = time.process_time()
n_pg_igt(oracle, eta=eta, step=step, checkpoints=np.array([0]), rng=np.random.default_rng(0))
print(time.process_time() - start)
"""


def case(name: str, num_iters: int) -> tuple:
    """The oracle, and what the other two need to know of it."""
    if name == "QChain":
        chain = qchain()
        oracle = SingleTrajectory(chain, 30)
        names = ("still", "rho", "centre", "amplitude", "scale", "gamma")
        model = {"policy": "location", **{name: getattr(chain, name) for name in names}}
    else:
        oracle = SoftmaxTrajectory(frozen_lake("8x8"), 100)
        _, rho_cdf, after, after_cdf, reward, gamma = oracle.arguments()
        model = {"policy": "softmax", "rho_cdf": rho_cdf, "after": after, "after_cdf": after_cdf, "reward": reward}
        model["gamma"] = gamma
    eta, step = igt_schedule(num_iters, 1.0)
    return oracle, model | {"horizon": oracle.horizon, "theta0": oracle.start, "eta": eta, "step": step, "seeds": SEEDS}


def _location_estimate(model: dict, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n, H = len(theta), int(model["horizon"])
    z, u = rng.standard_normal((H, n)), rng.random((H + 1, n))
    still, runs = np.cumsum(model["still"], axis=1), np.arange(n)
    s = (u[H] >= np.cumsum(model["rho"])[:-1, None]).sum(axis=0)
    states, rewards = np.empty((H, n), dtype=np.int64), np.empty((H, n))
    for t in range(H):
        states[t] = s
        rewards[t] = -0.5 * model["amplitude"][s] * (theta[runs, s] + model["scale"] * z[t] - model["centre"][s]) ** 2
        s = (u[t][:, None] >= still[s, :-1]).sum(axis=1)
    weights = np.cumsum((rewards * (model["gamma"] ** np.arange(H))[:, None])[::-1], axis=0)[::-1]
    return np.bincount((runs * 2 + states).ravel(), (weights * z / model["scale"]).ravel(), 2 * n).reshape(n, 2)


def _softmax_estimate(model: dict, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    (n, S, A), H = theta.shape, int(model["horizon"])
    pi = np.exp(theta - theta.max(axis=2, keepdims=True))
    pi /= pi.sum(axis=2, keepdims=True)
    cdf, runs, u = np.cumsum(pi, axis=2)[:, :, :-1], np.arange(n), rng.random((2, H + 1, n))
    s = (u[0, H] >= model["rho_cdf"][:-1, None]).sum(axis=0)
    pairs, rewards = np.empty((H, n), dtype=np.int64), np.empty((H, n))
    for t in range(H):
        pair = s * A + (u[0, t][:, None] >= cdf[runs, s]).sum(axis=1)
        k = (u[1, t][:, None] >= model["after_cdf"][pair, :-1]).sum(axis=1)
        pairs[t], rewards[t], s = pair, model["reward"][pair, k], model["after"][pair, k]
    weights = np.cumsum((rewards * (model["gamma"] ** np.arange(H))[:, None])[::-1], axis=0)[::-1]
    counts = np.bincount((runs * S * A + pairs).ravel(), weights.ravel(), n * S * A).reshape(n, S, A)
    return counts - counts.sum(axis=2, keepdims=True) * pi


def in_numpy(model: dict, rng: np.random.Generator) -> np.ndarray:
    """Final parameters of N-PG-IGT, all replicates at once: (seeds, ...)."""
    estimate = _location_estimate if model["policy"] == "location" else _softmax_estimate
    theta = np.tile(model["theta0"], (SEEDS, *[1] * model["theta0"].ndim))
    previous, d = theta, np.zeros_like(theta)
    axes = tuple(range(1, theta.ndim))
    for eta, step, look in zip(model["eta"], model["step"], look_ahead(model["eta"]), strict=True):
        d = (1 - eta) * d + eta * estimate(model, theta + look * (theta - previous), rng)
        norm = np.sqrt((d * d).sum(axis=axes, keepdims=True))
        previous, theta = theta, theta + step * d / np.where(norm > 0, norm, 1.0)
    return theta


def _in_jax(model: dict, python: str) -> dict | str:
    """Seconds in JAX, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        np.savez(path, **model)
        script = Path(__file__).with_name("policy_gradient_jax.py")
        done = subprocess.run([python, str(script), str(path)], capture_output=True, text=True, timeout=900)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        return (done.stderr.strip().splitlines() or ["no output"])[-1]
    return json.loads(lines[-1].removeprefix("RESULT "))


def _compile_seconds(name: str) -> float:
    code = COMPILE.format(here=str(Path(__file__).parent), name=name)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


def measure(name: str, num_iters: int, num_numpy: int, python: str, out: Callable[[str], None]) -> dict:
    """One case: `num_iters` iterations compiled and in JAX, `num_numpy` in NumPy."""
    oracle, model = case(name, num_iters)
    last, H = np.array([num_iters - 1]), oracle.horizon
    how = {"eta": model["eta"], "step": model["step"], "checkpoints": last}
    n_pg_igt(oracle, **how, rng=np.random.default_rng(0))
    start, cpu = time.perf_counter(), time.process_time()
    n_pg_igt(oracle, **how, seeds=SEEDS, rng=np.random.default_rng(1))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    steps = SEEDS * num_iters * H
    row = {"case": name, "steps_per_second": steps / seconds, "steps_per_cpu_second": steps / cpu}
    row["compile"] = _compile_seconds(name)
    short = case(name, num_numpy)[1]
    cpu = time.process_time()
    in_numpy(short, np.random.default_rng(2))
    row["numpy_steps_per_cpu_second"] = SEEDS * num_numpy * H / (time.process_time() - cpu)
    found = _in_jax(model, python)
    text = f"JAX left out: {found}"
    if isinstance(found, dict):
        row["jax_steps_per_second"] = steps / found["later"]
        row["jax_steps_per_cpu_second"] = steps / found["cpu"]
        row["jax_compile"], row["jax"] = found["first"] - found["later"], found["version"]
        row["ratio_to_jax"] = row["steps_per_cpu_second"] / row["jax_steps_per_cpu_second"]
        row["ratio_on_the_clock"] = row["steps_per_second"] / row["jax_steps_per_second"]
        text = (
            f"JAX {found['version']} {row['jax_steps_per_cpu_second'] / 1e6:.2f} (compiled in {row['jax_compile']:.1f}"
            f" s): {row['ratio_to_jax']:.1f} times, on the clock {row['ratio_on_the_clock']:.1f}"
            f" (target: {TARGET_RATIO:g})"
        )
    out(
        f"{name:12s} H={H:3d}: {row['steps_per_cpu_second'] / 1e6:6.1f} million steps a processor second (compiled in "
        f"{row['compile']:.1f} s, target {TARGET_COMPILE:g}); NumPy {row['numpy_steps_per_cpu_second'] / 1e6:.2f}; "
        f"{text}"
    )
    return row


def run(quick: bool, out: Callable[[str], None] = print, *, jax_python: str = sys.executable) -> list[dict]:
    """Measure; a line a case goes to `out`, and all come back as rows."""
    scale = 1 if quick else 5
    return [
        measure("QChain", 2000 * scale, 50 * scale, jax_python, out),
        measure("FrozenLake", 500 * scale, 20 * scale, jax_python, out),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="five times as many iterations")
    parser.add_argument("--jax-python", default=sys.executable, help="interpreter that has JAX")
    args = parser.parse_args()
    run(not args.full, jax_python=args.jax_python)
