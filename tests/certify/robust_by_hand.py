"""Robust problems with every set, and answers from one convex program a state: nothing shared with the referee.

The program minimises over nature's rows of a state the largest backup of an action (or the policy's mean), so that it
gives the value, nature's rows and, as the dual of the epigraph, the agent's policy. HiGHS solves the linear ones,
Clarabel the others.
"""

import warnings

import cvxpy as cp
import numpy as np
from certify import by_hand

from mdplab import models
from mdplab.models import MDP, RobustMDP

S, A = 4, 2
LINEAR = {"l1", "tv", "weighted_l1", "linf", "interval", "wasserstein", "contamination", "cvar", "models", "soft_tv"}


def nominal(rng, *, gamma=0.2, next_rewards=False, masked=False, sparse=False, zeros=True, S=S, A=A):
    """A model with zeros in its rows, and with ties among them."""
    P = rng.dirichlet(np.ones(S), size=(S, A))
    if zeros:
        P[rng.random(P.shape) < 0.3] = 0
    P[..., 0] += P.sum(axis=2) == 0
    P /= P.sum(axis=2, keepdims=True)
    r = rng.standard_normal((S, A, S) if next_rewards else (S, A))
    mdp = MDP(P, r, gamma, actions=by_hand.mask(rng, S, A) if masked else None)
    return mdp.sparse() if sparse else mdp


def uncertainty(name, rng, mdp, *, rect="sa", support=None, size=None):
    """A set of the name around the model, of moderate size."""
    S, A = mdp.S, mdp.A
    shape = (S, A) if rect == "sa" else (S,)
    size = rng.uniform(0.05, 0.5, shape) if size is None else size
    options = {"rectangularity": rect} | ({} if support is None else {"support": support})
    P = mdp.dense().P
    one = {cls.name: cls for cls in models.uncertainty.SETS.values()}[name]
    if name == "weighted_l1":
        return one(size, rng.uniform(0.5, 3, (S, A, S)), **options)
    if name == "interval":
        return one(np.maximum(P - 0.2, 0), np.minimum(P + rng.uniform(0, 0.3, P.shape), 1), **options)
    if name == "wasserstein":
        cost = rng.uniform(0.1, 1, (S, S))
        np.fill_diagonal(cost, 0)
        return one(size, cost, **options)
    if name == "models":
        return one(rng.dirichlet(np.ones(S), size=(4, S, A)), **options)
    if name == "cvar":
        return one(level=1 - size, **options)
    if name.startswith("soft_"):
        return one(temperature=size, **options)
    return one(size, **options)


# Every set with every rectangularity and support that it has.
CASES = [
    (name, rect, support)
    for name, one in sorted(models.uncertainty.SETS.items())
    if name != "noise"
    for rect in one.rectangularities
    for support in one.supports
]


def problem(name, rect, support, rng, **options):
    """A random problem with that set."""
    size = options.pop("size", None)
    mdp = nominal(rng, **options)
    return RobustMDP(mdp, uncertainty(name, rng, mdp, rect=rect, support=support, size=size))


class Program:
    """`min over nature's rows of one state` of `max_a` (`optimal`) or of the policy's mean."""

    def __init__(self, problem, s, weights=None):
        mdp, one = problem.nominal.dense(), problem.uncertainty
        self.actions = np.flatnonzero(mdp.actions[s])
        n, S = len(self.actions), mdp.S
        self.z = cp.Parameter((n, S))
        self.q = cp.Variable((n, S), nonneg=True)
        P = mdp.P[s, self.actions] / mdp.P[s, self.actions].sum(axis=1, keepdims=True)
        limits, prices = [cp.sum(self.q, axis=1) == 1], [0.0] * n
        if one.support == "nominal":
            limits += [self.q[k, j] == 0 for k, j in np.argwhere(P == 0)]
        more, prices = _set(one, self.q, P, s, self.actions, problem, prices)
        backups = [self.z[k] @ self.q[k] + prices[k] for k in range(n)]
        if weights is None:
            u = cp.Variable()
            self.epigraph = [backup <= u for backup in backups]
            self.program = cp.Problem(cp.Minimize(u), limits + more + self.epigraph)
        else:
            mean = sum(weights[a] * backup for a, backup in zip(self.actions, backups))
            self.epigraph = None
            self.program = cp.Problem(cp.Minimize(mean), limits + more)
        linear = one.name in LINEAR or (one.name == "noise" and one.order != 2)
        accuracy = {f"tol_{what}": 1e-10 for what in ("gap_abs", "gap_rel", "feas")}
        self.options = {"solver": cp.HIGHS} if linear else {"solver": cp.CLARABEL, **accuracy}

    def solve(self, z):
        """The value; then `self.q.value` holds nature's rows."""
        self.z.value = z[self.actions]
        with warnings.catch_warnings():
            # What the last digits are worth is the caller's business, by its tolerance.
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            return self.program.solve(**self.options)

    def policy(self):
        """Probabilities of the state's actions, the multipliers of the epigraph."""
        weights = np.maximum([float(one.dual_value) for one in self.epigraph], 0)
        weights[weights < 1e-6] = 0
        return weights / weights.sum()


def _set(one, q, P, s, actions, problem, prices):
    """(constraints, price of each row) of a set."""
    name = f"noise_{one.order:g}" if one.name == "noise" else one.name
    if name == "interval":
        return [q >= one.lo[s, actions], q <= one.hi[s, actions]], prices
    if name == "models":
        kernels = one.kernels[:, s, actions]
        if one.rectangularity == "s":
            w = cp.Variable(len(kernels), nonneg=True)
            return [cp.sum(w) == 1, q == sum(w[k] * p for k, p in enumerate(kernels))], prices
        w = cp.Variable((len(actions), len(kernels)), nonneg=True)
        rows = [q[a] == sum(w[a, k] * kernels[k, a] for k in range(len(kernels))) for a in range(len(actions))]
        return [cp.sum(w, axis=1) == 1, *rows], prices
    radii = one.radii(problem.S, problem.A)
    shared = one.rectangularity == "s"
    size = radii[s] if shared else radii[s, actions]
    if name == "linf" or name == "noise_inf":
        return [cp.abs(q[a] - P[a]) <= (size if shared else size[a]) for a in range(len(actions))], prices
    if name == "contamination":
        return [q[a] >= (1 - size[a]) * P[a] for a in range(len(actions))], prices
    if name == "cvar":
        return [q[a] * size[a] <= P[a] for a in range(len(actions))], prices
    more, distances = [], []
    for a in range(len(actions)):
        on = np.flatnonzero(P[a])
        if name.removeprefix("soft_") in ("l1", "tv", "weighted_l1", "noise_1"):
            w = one.weights[s, actions[a]] if name == "weighted_l1" else 0.5 if name.endswith("tv") else 1.0
            distances.append(cp.sum(cp.multiply(w, cp.abs(q[a] - P[a]))))
        elif name in ("l2", "noise_2"):
            distances.append(cp.norm(q[a] - P[a]))
        elif name.endswith("kl"):
            distances.append(cp.sum(cp.kl_div(q[a][on], P[a][on])))
        elif name == "burg":
            # kl_div(p, q) is p log(p / q) - p + q.
            distances.append(cp.sum(cp.kl_div(P[a][on], q[a][on])) + 1 - cp.sum(q[a][on]))
        elif name.endswith("chi2"):
            distances.append(cp.sum(cp.multiply(1 / P[a][on], cp.square(q[a][on] - P[a][on]))))
        elif name == "wasserstein":
            plan = cp.Variable((P.shape[1], P.shape[1]), nonneg=True)
            more += [cp.sum(plan, axis=1) == P[a], cp.sum(plan, axis=0) == q[a]]
            distances.append(cp.sum(cp.multiply(one.cost, plan)))
    if name.startswith("soft_"):
        return more, [size[a] * distances[a] for a in range(len(actions))]
    if shared:
        total = cp.norm(q - P, "fro") if name in ("l2", "noise_2") else sum(distances)
        return [*more, total <= size], prices
    return more + [distances[a] <= size[a] for a in range(len(actions))], prices


# Sets whose bounds have multipliers.
MULTIPLIED = {"l1", "tv", "weighted_l1", "l2", "kl", "burg", "chi2", "wasserstein", "soft_chi2"}
DISTANCES = {"l1", "tv", "weighted_l1", "l2", "kl", "burg", "chi2"}


def distance(one, p, q, s, a):
    """`D(q, p)` in the units of the radius, for the sets in `DISTANCES`; squared for L2 with `"s"`."""
    on = p > 0
    if one.name in ("l1", "tv", "weighted_l1"):
        w = {"l1": 1.0, "tv": 0.5}.get(one.name)
        w = one.weights[s, a] if w is None else w
        return (w * np.abs(q - p)).sum()
    if one.name == "l2":
        return np.square(q - p).sum() if one.rectangularity == "s" else np.linalg.norm(q - p)
    if one.name == "chi2":
        return (np.square(q - p)[on] / p[on]).sum()
    first, second = (q, p) if one.name == "kl" else (p, q)
    on = first > 0
    return (first[on] * np.log(first[on] / second[on])).sum()


def objectives(problem, v):
    """z `(S, A, S)`."""
    mdp = problem.nominal.dense()
    r = mdp.r[:, :, None] if mdp.r_next is None else mdp.r_next
    return r + mdp.gamma * v + np.zeros((mdp.S, mdp.A, mdp.S))


def solved(problem, weights=None, *, tol=1e-7):
    """(value, policy (S, A), kernel) by value iteration with the programs."""
    mdp = problem.nominal
    programs = [Program(problem, s, None if weights is None else weights[s]) for s in range(mdp.S)]
    v = np.zeros(mdp.S)
    for _ in range(200):
        z = objectives(problem, v)
        new = np.array([one.solve(z[s]) for s, one in enumerate(programs)])
        step, v = np.abs(new - v).max(), new
        if step < tol:
            break
    kernel, policy = np.zeros((mdp.S, mdp.A, mdp.S)), np.zeros((mdp.S, mdp.A))
    for s, one in enumerate(programs):
        q = np.maximum(one.q.value, 0)
        # A solver leaves dust of 1e-9 where a row may have nothing.
        q[q < 1e-9] = 0
        if problem.uncertainty.name == "burg":
            q = np.maximum(q, 1e-9 * (mdp.dense().P[s, one.actions] > 0))
        kernel[s, one.actions] = q / q.sum(axis=1, keepdims=True)
        policy[s, one.actions] = one.policy() if weights is None else weights[s, one.actions]
    return v, policy, _inside(problem, kernel)


def _inside(problem, kernel, share=1e-5):
    """The kernel drawn a little towards the middle of its set, since programs keep their limits only to some digits."""
    mdp, one = problem.nominal.dense(), problem.uncertainty
    rows = mdp.actions
    if one.name.startswith("soft_"):
        return kernel
    if one.name == "models":
        # Vertices are rows of the models themselves; combinations are recovered by the referee.
        if one.rectangularity == "s":
            return kernel
        out = kernel.copy()
        for s, a in np.argwhere(rows):
            out[s, a] = one.kernels[np.abs(one.kernels[:, s, a] - kernel[s, a]).max(axis=1).argmin(), s, a]
        return out
    middle = mdp.P
    if one.name == "interval":
        room, lo = one.hi - one.lo, one.lo
        middle = lo + room * ((1 - lo.sum(axis=2)) / room.sum(axis=2))[:, :, None]
    mixed = (1 - share) * kernel + share * middle
    return np.where(rows[:, :, None], mixed, 0)


def certified(problem, *, half=1e-4, weights=None):
    """An honest answer of gap `2 half`."""
    v, policy, kernel = solved(problem, weights)
    kind = "robust" if weights is None else "robust-evaluation"
    return by_hand.bracketed(kind, v, policy, half, half, kernel=kernel)
