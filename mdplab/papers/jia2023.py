r"""Jia, Li, Rakhlin, Sekhari, Srebro (NeurIPS 2023): spanning capacity, and learning with a generative model, in brief.

Source: arXiv:2310.06113; abstract read, definition from memory. C(Pi) is the largest number of state-action pairs that
a policy class reaches at one step of one deterministic model; it depends on the class only. With a generative model,
coupled trees estimate every policy of the class at once, at the cost of at most C calls a step. Lower bounds, online
learning and the sunflower property are not touched here.

Derived here: capacities of four classes in closed form, and the second moment of importance sampling with uniform
actions, which is larger by A^H exactly.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from mdplab.algorithms.online.trajectory_trees import importance_returns, trajectory_trees
from mdplab.claims import Bound, BoundHP, Evidence, Identity, Rate, claim, variant
from mdplab.instances import garnet
from mdplab.instances.policy_classes import (
    all_policies,
    constant_policies,
    random_class,
    single_deviations,
    spanning_capacity,
)
from mdplab.models import MDP

DELTA = 0.1


@dataclass(frozen=True)
class Params:
    """Sizes: `trees` for counting calls, `classes` drawn a replicate, `seeds` and `doublings` of a rate, `runs`."""

    trees: int
    classes: int
    seeds: int
    doublings: int
    runs: int


def _closed_form(kind: str, A: int, H: int, n: int) -> np.ndarray:
    """Capacity of each step."""
    steps = np.arange(1, H + 1)
    if kind == "constant":
        return np.full(H, A)
    if kind == "all":
        # A^(h - 1) paths into at most n states, all actions in each.
        return A * np.minimum(float(A) ** (steps - 1), n).astype(np.int64)
    return steps + 1


def _capacities(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    cases = [
        ("constant", constant_policies(3, 3, 3), 3),
        ("all", all_policies(2, 3, 2), 2),
        ("all", all_policies(2, 3, 3), 2),
        ("all", all_policies(3, 2, 2), 3),
        ("singletons", single_deviations(3, 3), 2),
        ("singletons", single_deviations(3, 4), 2),
    ]
    for kind, policies, A in cases:
        # A renaming of states other than the first one changes no capacity.
        order = np.append(0, 1 + rng.permutation(policies.shape[2] - 1))
        capacity = spanning_capacity(policies[:, :, order], A, count="states" if flaw == "states" else "pairs")
        left.append(np.cumsum(capacity) if flaw == "cumulative" else capacity)
        right.append(_closed_form(kind, A, *policies.shape[1:]))
    left, right = np.concatenate(left), np.concatenate(right)
    return Evidence(left=left, right=right, tolerance=np.zeros(left.size))


@claim(
    "Spanning capacity of named classes (derived)",
    r"C_h = A\ \text{(constant)},\quad A \min(A^{h-1}, n)\ \text{(all)},\quad h + 1\ \text{(singletons)}",
    relation=Identity(),
    falsifiers={
        "states": variant(_capacities, "States counted in place of pairs.", "states"),
        "cumulative": variant(_capacities, "Pairs of all steps so far.", "cumulative"),
    },
    words="Enumeration over all deterministic models agrees with closed forms.",
    title="Capacities in closed form",
)
def capacities(p: Params, rng: np.random.Generator) -> Evidence:
    """Integers, compared without tolerance."""
    return _capacities(p, rng)


def _at_most(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound = [], []
    for _ in range(p.classes):
        m, A = int(rng.integers(1, 8)), int(rng.integers(2, 4))
        policies = random_class(m, A, 3, 3, rng=rng)
        capacity = spanning_capacity(policies, A)
        least = np.minimum(m, _closed_form("all", A, 3, 3))
        measured += [float(capacity.sum() if flaw == "sum" else capacity.max())]
        bound += [float(least.max() - (flaw == "one_less"))]
    return Evidence(measured=measured, bound=bound)


@claim(
    "Size of the class",
    r"C(\Pi) \le \min( |\Pi|, A^H, A n )",
    relation=Bound(),
    falsifiers={
        "sum": variant(_at_most, "The sum over steps in place of the largest.", "sum"),
        "one_less": variant(_at_most, "One less than the bound.", "one_less"),
    },
    words="The capacity never exceeds the number of policies, of action sequences, or of pairs.",
    title="Capacity and size",
)
def at_most_the_size(p: Params, rng: np.random.Generator) -> Evidence:
    """Random classes of up to seven policies."""
    return _at_most(p, rng)


def _model(A: int, H: int, n: int, rng: np.random.Generator) -> MDP:
    """Random rewards in [0, 1/H], so that returns are in [0, 1]."""
    mdp = garnet(n, A, min(2, n), gamma=0.9, rng=rng)
    return mdp.replace(r=mdp.r / H, gamma=1.0, horizon=H, mu=np.eye(n)[0])


def _class_values(mdp: MDP, policies: np.ndarray) -> np.ndarray:
    """Exact values (m,) from state 0."""
    states, out = np.arange(mdp.S), []
    for policy in policies:
        v = np.zeros(mdp.S)
        for action in policy[::-1]:
            v = mdp.r[states, action] + mdp.P[states, action] @ v
        out.append(v[0])
    return np.array(out)


def _calls(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound = [], []
    for policies, A in (
        (all_policies(2, 3, 2), 2),
        (single_deviations(3, 3), 2),
        (random_class(5, 3, 3, 3, rng=rng), 3),
    ):
        capacity = spanning_capacity(policies, A, count="states" if flaw == "states" else "pairs")
        _, calls = trajectory_trees(_model(A, 3, policies.shape[2], rng), policies, p.trees, rng=rng)
        most = np.full(3, len(policies)) if flaw == "fresh" else calls.max(axis=0)
        measured += most.astype(float).tolist()
        bound += capacity.astype(float).tolist()
    return Evidence(measured=measured, bound=bound)


@claim(
    "Upper bound with a generative model, cost",
    r"\text{a coupled tree calls the model at most } C_h(\Pi) \text{ times at step } h",
    relation=Bound(),
    falsifiers={
        "fresh": variant(_calls, "A path of its own for every policy.", "fresh"),
        "states": variant(_calls, "The number of states in place of pairs.", "states"),
    },
    words="Each tree is one deterministic model, and the class reaches no more pairs in it than its capacity.",
    title="Calls of a tree",
)
def calls_of_a_tree(p: Params, rng: np.random.Generator) -> Evidence:
    """The most calls over many trees of random models."""
    return _calls(p, rng)


def _deviation(p: Params, rng: np.random.Generator, estimator: str = "trees") -> Evidence:
    n = 8.0 * 2.0 ** np.arange(p.doublings + 1)
    mdp, policies = _model(2, 4, 3, rng), random_class(8, 2, 4, 3, rng=rng)
    truth = _class_values(mdp, policies)
    error = np.empty((p.seeds, n.size))
    for seed, k in np.ndindex(error.shape):
        size = int(n[k])
        # Trees that are used again and again are as many as differ.
        drawn = max(1, int(np.sqrt(8 * size))) if estimator == "reused" else size
        returns, _ = trajectory_trees(mdp, policies, drawn, rng=rng)
        mean = returns.mean(axis=1)
        if estimator == "cut":
            mean = mean + 0.05
        error[seed, k] = np.abs(mean - truth).max()
    return Evidence(n=n, error=error)


@claim(
    "Upper bound with a generative model, rate",
    r"\sup_{\pi \in \Pi} |\hat V_N(\pi) - V(\pi)| = O(N^{-1/2})",
    relation=Rate(exponent=0.5, margin=0.1, functional="log_mean"),
    assumptions=("finite class", "returns in [0, 1]"),
    falsifiers={
        "reused": variant(_deviation, "Only about the square root of N different trees.", "reused"),
        "cut": variant(_deviation, "Estimates too large by a twentieth.", "cut"),
    },
    words="All policies at once, from the same trees, at the rate of one.",
    title="Rate of coupled trees",
)
def uniform_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Eight random policies, four steps; fresh trees for every size."""
    return _deviation(p, rng)


def _width(m: int, n: int) -> float:
    return float(np.sqrt(np.log(2 * m / DELTA) / (2 * n)))


def _violations(p: Params, rng: np.random.Generator, estimator: str = "trees", width: float = 1.0) -> Evidence:
    n, m = 64, 8
    mdp, policies = _model(2, 4, 3, rng), random_class(m, 2, 4, 3, rng=rng)
    truth, violated = _class_values(mdp, policies), []
    for _ in range(p.runs):
        if estimator == "trees":
            returns, _ = trajectory_trees(mdp, policies, n, rng=rng)
        else:
            returns = importance_returns(mdp, policies, n, rng=rng)
        violated.append(bool(np.abs(returns.mean(axis=1) - truth).max() > width * _width(m, n)))
    return Evidence(violated=violated)


@claim(
    "Uniform deviation",
    r"P\Big( \sup_{\pi} |\hat V_N(\pi) - V(\pi)| > \sqrt{ \tfrac{\log(2 |\Pi| / \delta)}{2 N} } \Big) \le \delta",
    relation=BoundHP(delta=DELTA),
    assumptions=("returns in [0, 1]",),
    falsifiers={
        "importance": variant(_violations, "Importance sampling with uniform actions.", "importance"),
        "tenth": variant(_violations, "A tenth of the width.", "trees", 0.1),
    },
    words="Hoeffding's inequality and a union over the class; the trees may be shared.",
    title="Uniform deviation of coupled trees",
)
def uniform_deviation(p: Params, rng: np.random.Generator) -> Evidence:
    """64 trees; what importance sampling needs A^H times as many episodes for."""
    return _violations(p, rng)


def _moments(p: Params, rng: np.random.Generator, power: int = 0) -> Evidence:
    left, right = [], []
    for A, H, n in ((2, 3, 3), (3, 3, 2), (2, 4, 2)):
        mdp, policy = _model(A, H, n, rng), random_class(1, A, H, n, rng=rng)[0]
        uniform = target = 0.0
        for path in product(range(n), repeat=H - 1):
            states = (0, *path)
            for actions in product(range(A), repeat=H):
                chance = np.prod([mdp.P[s, a, t] for s, a, t in zip(states, actions, states[1:])])
                total = sum(mdp.r[s, a] for s, a in zip(states, actions))
                agrees = all(policy[h, s] == a for h, (s, a) in enumerate(zip(states, actions)))
                uniform += chance * A**-H * (A**H * agrees * total) ** 2
                target += chance * agrees * total**2
        left.append(uniform)
        right.append(float(A) ** (H + power) * target)
    # Sums of at most a few hundred products.
    return Evidence(left=left, right=right, tolerance=1e-12 * np.abs(left))


@claim(
    "Importance sampling (derived)",
    r"E_{unif}[ (w R)^2 ] = A^H E_\pi[ R^2 ]",
    relation=Identity(),
    falsifiers={
        "one_step_less": variant(_moments, "A^(H-1).", -1),
        "one_step_more": variant(_moments, "A^(H+1).", 1),
    },
    words="Uniform exploration pays a factor exponential in the horizon, whatever the class.",
    title="Variance of importance sampling",
)
def importance_moment(p: Params, rng: np.random.Generator) -> Evidence:
    """Enumeration of all paths."""
    return _moments(p, rng)


def figure_deviation(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Largest error over eight policies of four steps, over trees or episodes: median of 60 runs, and band."""
    mdp, policies = _model(2, 4, 3, rng), random_class(8, 2, 4, 3, rng=rng)
    truth, n = _class_values(mdp, policies), 8 * 2 ** np.arange(9)
    columns = {}
    for name in ("trees", "importance"):
        table = np.empty((60, n.size))
        for i, k in np.ndindex(table.shape):
            size = int(n[k])
            if name == "trees":
                returns, _ = trajectory_trees(mdp, policies, size, rng=rng)
            else:
                returns = importance_returns(mdp, policies, size, rng=rng)
            table[i, k] = np.abs(returns.mean(axis=1) - truth).max()
        lo, mid, hi = np.quantile(table, [0.1, 0.5, 0.9], axis=0)
        columns |= {name: mid, f"{name}_lo": lo, f"{name}_hi": hi}
    return {"N": n} | columns | {"bound": np.array([_width(8, size) for size in n])}
