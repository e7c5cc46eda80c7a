"""N-PG-IGT in JAX, `scan` over iterations and steps, `vmap` over replicates: `policy_gradient_jax.py MODEL.npz`.

Run by `bench_policy_gradient.py`, with any interpreter that has JAX; nothing of mdplab is imported. Prints one line of
JSON: seconds of the first call (compilation and run) and of later ones, their processor time, and the mean parameters.
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


def location(model):
    """Estimate (S,) of a Gaussian location policy: all noise of a trajectory is drawn at once."""
    still, rho = jnp.cumsum(model["still"], axis=1), jnp.cumsum(model["rho"])
    centre, amplitude = jnp.asarray(model["centre"]), jnp.asarray(model["amplitude"])
    scale, gamma, H = float(model["scale"]), float(model["gamma"]), int(model["horizon"])

    def estimate(theta, key):
        first, second = jax.random.split(key)
        z, u = jax.random.normal(first, (H,)), jax.random.uniform(second, (H,))
        start = jnp.sum(u[0] >= rho[:-1])

        def step(s, noise):
            a = theta[s] + scale * noise[0]
            reward = -0.5 * amplitude[s] * (a - centre[s]) ** 2
            return jnp.sum(noise[1] >= still[s, :-1]), (s, reward)

        _, (states, rewards) = jax.lax.scan(step, start, (z, jnp.roll(u, -1)))
        discounted = rewards * gamma ** jnp.arange(H)
        weights = jnp.cumsum(discounted[::-1])[::-1]
        return jnp.zeros_like(theta).at[states].add(weights * z / scale)

    return estimate


def softmax(model):
    """Estimate (S, A) of a tabular softmax policy: probabilities once a trajectory, all noise at once."""
    after, after_cdf = jnp.asarray(model["after"]), jnp.asarray(model["after_cdf"])
    reward, rho = jnp.asarray(model["reward"]), jnp.asarray(model["rho_cdf"])
    gamma, H = float(model["gamma"]), int(model["horizon"])

    def estimate(theta, key):
        A = theta.shape[1]
        pi = jax.nn.softmax(theta, axis=1)
        cdf = jnp.cumsum(pi, axis=1)[:, :-1]
        u = jax.random.uniform(key, (H + 1, 2))
        start = jnp.sum(u[H, 0] >= rho[:-1])

        def step(s, noise):
            pair = s * A + jnp.sum(noise[0] >= cdf[s])
            k = jnp.sum(noise[1] >= after_cdf[pair, :-1])
            return after[pair, k], (pair, reward[pair, k])

        _, (pairs, rewards) = jax.lax.scan(step, start, u[:H])
        weights = jnp.cumsum((rewards * gamma ** jnp.arange(H))[::-1])[::-1]
        counts = jnp.zeros(theta.size).at[pairs].add(weights).reshape(theta.shape)
        return counts - counts.sum(axis=1, keepdims=True) * pi

    return estimate


def main(path):
    """Time the run that the file describes."""
    with np.load(path) as file:
        model = {name: file[name] for name in file.files}
    estimate = {"location": location, "softmax": softmax}[str(model["policy"])](model)
    eta, step = jnp.asarray(model["eta"]), jnp.asarray(model["step"])
    theta0, seeds = jnp.asarray(model["theta0"]), int(model["seeds"])

    def one(key):
        def iterate(state, now):
            theta, previous, d, key = state
            eta, step = now
            key, sub = jax.random.split(key)
            d = (1 - eta) * d + eta * estimate(theta + (1 - eta) / eta * (theta - previous), sub)
            norm = jnp.sqrt(jnp.sum(d * d))
            moved = theta + jnp.where(norm > 0, step / jnp.where(norm > 0, norm, 1.0), 0.0) * d
            return (moved, theta, d, key), None

        return jax.lax.scan(iterate, (theta0, theta0, jnp.zeros_like(theta0), key), (eta, step))[0][0]

    run = jax.jit(jax.vmap(one))
    seconds, cpu = [], []
    for repeat in range(3):
        keys = jax.random.split(jax.random.key(repeat), seeds)
        start, used = time.perf_counter(), time.process_time()
        theta = jax.block_until_ready(run(keys))
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    mean = np.asarray(theta).mean(axis=0).ravel().tolist()
    result = {
        "first": seconds[0],
        "later": min(seconds[1:]),
        "cpu": min(cpu[1:]),
        "version": jax.__version__,
        "mean": mean,
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
