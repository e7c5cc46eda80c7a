r"""Li et al. (2024): policy gradient with Polyak's step size.

From the abstract and a restatement; there values and gradients are sampled (GPOMDP). Most claims here have exact ones,
which is where the rule's own behaviour shows; the last five have batches of trajectories. The statements are
predictions and results of ours; the twin rule is from memory, an option and not the paper's algorithm as read.

Derived. Near a deterministic optimum of a softmax policy the gap is a sum of y_i over the actions i not chosen, each
proportional to exp(-u_i) with u_i the lead of the chosen action's logit; a step moves the leads of one state by
(I + 1 1^T) y times its length. Gradient steps drive y to where all leads move alike. Polyak's step then adds just 1 / c
to each, so that the gap shrinks by exp(-1 / c) a step on every MDP, and a constant step eta leaves a gap of
S (A - 1) / (A eta k), on every MDP too. Three consequences for the rule as printed:

- its cap ends the geometric phase; what is left after k steps is S (A - 1) / (A cap k), that of the constant step;
- below V* the guess is where the method stops, approached at a factor of 1 - 1 / c a step;
- above V* steps explode. Where gradients are exact that is faster than geometric; but steps multiply errors too, and
  gradients rounded as usual often end in a wrong policy, unless the cap holds them, whose rate is then what is seen.

No bound from arbitrary starts is claimed: from wrong policies that are nearly deterministic steps are long at once, and
a wrong policy may be frozen in even with V* known (a test has one such start in sixteen). Noise does the same: sampled
steps are long where the estimated gradient is small, and what is left after them is a floor that larger batches or the
cap lower. Measured on twelve random MDPs, discount 0.9, 400 steps with batches of 64: gaps of 0 to 1.3 without a cap,
of 0.01 to 0.17 with a cap of 1, and of 0.005 to 0.13 with a constant step of 1.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.policy_gradient.estimators import gpomdp, softmax_score
from mdplab.algorithms.policy_gradient.polyak import (
    Oracle,
    constant_gradient,
    polyak_gradient,
    twin_gradient,
)
from mdplab.algorithms.policy_gradient.sampled_polyak import path_estimates, sampled_polyak, sampled_twins
from mdplab.claims import Bound, Evidence, Identity, Ordering, claim, variant
from mdplab.exact.policy_gradient import softmax_gradient
from mdplab.exact.solve import solve
from mdplab.exact.trajectories import enumerate_trajectories
from mdplab.instances.random import garnet
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP


@dataclass(frozen=True)
class Params:
    """Sizes: `states`, `actions`, `problems` a replicate, `steps` of Polyak's rule, `long_steps` of constant steps.

    Sampled runs take `sampled_steps` with batches of `batch` trajectories, `seeds` of them on each MDP.
    """

    states: int
    actions: int
    problems: int
    steps: int
    long_steps: int
    sampled_steps: int
    batch: int
    seeds: int


def gap_oracle(mdp: MDP) -> Oracle:
    """Minus the gap of a softmax policy, and its gradient in the logits, both to full relative accuracy.

    The gap is the occupancy-weighted loss V* - Q* of what is chosen, a sum of terms of one sign; so is every entry of
    the gradient but those of the best actions, which are minus the sum of the others.
    """
    choice = np.eye(mdp.A, dtype=bool)[solve(mdp, tol=1e-9).policy]
    P = mdp.dense().P
    value = np.linalg.solve(np.eye(mdp.S) - mdp.gamma * P[choice], mdp.r[choice])
    loss = np.where(choice, 0.0, value[:, None] - mdp.r - mdp.gamma * P @ value)

    def oracle(theta: np.ndarray) -> tuple[float, np.ndarray]:
        pi = softmax(theta)
        resolvent = np.eye(mdp.S) - mdp.gamma * np.einsum("sa,sat->st", pi, P)
        lost = np.linalg.solve(resolvent, (pi * loss).sum(axis=1))
        visits = np.linalg.solve(resolvent.T, mdp.mu)
        gradient = -visits[:, None] * pi * (loss + mdp.gamma * P @ lost - lost[:, None])
        gradient[choice] = -np.where(choice, 0.0, gradient).sum(axis=1)
        return -float(mdp.mu @ lost), gradient

    return oracle


# What every other action of the random MDPs loses, at least: limits are reached in a few hundred steps.
_SEPARATION = 0.05


def _problem(p: Params, rng: np.random.Generator, gamma: float = 0.9) -> MDP:
    """A random MDP with a uniform start, drawn anew until its optimal policy is well separated."""
    while True:
        mdp = garnet(p.states, p.actions, p.states, gamma=gamma, rng=rng).replace(mu=np.full(p.states, 1 / p.states))
        value = solve(mdp, tol=1e-9).value
        q = np.sort(mdp.r + mdp.gamma * mdp.P @ value, axis=1)
        if (q[:, -1] - q[:, -2]).min() > _SEPARATION:
            return mdp


def _oracles(p: Params, rng: np.random.Generator) -> list[Oracle]:
    return [gap_oracle(_problem(p, rng)) for _ in range(p.problems)]


def _start(p: Params) -> np.ndarray:
    return np.zeros((p.states, p.actions))


def _unsquared(c: float) -> Callable[[float, np.ndarray], float]:
    return lambda gap, gradient: gap / (c * float(np.linalg.norm(gradient)))


def _run(oracle: Oracle, theta: np.ndarray, num_iters: int, c: float = 1.0, flaw: str = "") -> np.ndarray:
    """Gaps (num_iters + 1,) of Polyak's rule, or of a near-miss of it."""
    marks = np.arange(num_iters + 1)
    if flaw == "unsquared":
        rule, gaps = _unsquared(c), []
        for _ in marks:
            value, gradient = oracle(theta)
            gaps.append(-value)
            theta = theta + rule(-value, gradient) * gradient
        return np.array(gaps)
    if flaw == "constant":
        return -constant_gradient(oracle, theta, step=1.0, num_iters=num_iters, checkpoints=marks)["value"]
    cap = 100.0 if flaw == "capped" else np.inf
    best = -1e-3 if flaw == "slightly_low" else 0.0
    run = polyak_gradient(oracle, theta, best=best, c=c, cap=cap, num_iters=num_iters, checkpoints=marks)
    return -run["value"]


def _factors(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for oracle in _oracles(p, rng):
        for c in (1.0, 2.0):
            gaps = _run(oracle, _start(p), p.steps, c, flaw)
            last = gaps[3 * p.steps // 4 :]
            left.append(last[1:] / last[:-1])
            right.append(np.full(last.size - 1, np.exp(-1 / c)))
    left = np.concatenate(left)
    # At 75 steps exp(-75 / c) is what is left of corrections, the leads' spread included.
    return Evidence(left=left, right=np.concatenate(right), tolerance=np.full(left.size, 1e-9))


@claim(
    "Geometric convergence (factor derived)",
    r"\frac{V^* - V(\theta_{k+1})}{V^* - V(\theta_k)} \to e^{-1/c}",
    relation=Identity(),
    assumptions=("exact values and gradients, known V*, no cap", "one optimal policy, which is deterministic"),
    falsifiers={
        "unsquared": variant(_factors, "The gap over the norm of the gradient, not its square.", "unsquared"),
        "capped": variant(_factors, "Steps of at most 100.", "capped"),
        "slightly_low": variant(_factors, "V* under-estimated by 1e-3.", "slightly_low"),
    },
    lemmas=("li2024:equal_leads",),
    words="In the end each step shrinks the gap by exp(-1/c), whatever the MDP.",
    title="The factor of Polyak's rule",
)
def factor(p: Params, rng: np.random.Generator) -> Evidence:
    """Last quarter of the steps on random MDPs from the uniform policy; gaps to full relative accuracy."""
    return _factors(p, rng)


def _bandit(reward_gap: float, tau: float = 0.0) -> Oracle:
    """Two actions: gap and gradient; with entropy of weight tau, the regularised ones."""

    def oracle(theta: np.ndarray) -> tuple[float, np.ndarray]:
        u = theta[0] - theta[1]
        p, q = 1 / (1 + np.exp(-u)), 1 / (1 + np.exp(u))
        if tau == 0:
            return -reward_gap * q, reward_gap * p * q * np.array([1.0, -1.0])
        best = reward_gap / tau
        # tau KL(pi || pi*), the regularised gap.
        log_p, log_q = -np.logaddexp(0, -u), -np.logaddexp(0, u)
        gap = tau * (p * (log_p + np.logaddexp(0, -best)) + q * (log_q + np.logaddexp(0, best)))
        return -gap, p * q * (reward_gap - tau * u) * np.array([1.0, -1.0])

    return oracle


def _leads(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for _ in range(p.problems):
        reward_gap, c, theta = float(rng.uniform(0.01, 100)), float(rng.uniform(0.5, 3)), rng.standard_normal(2)
        oracle = _bandit(reward_gap)
        for _ in range(12):
            value, gradient = oracle(theta)
            if flaw == "unsquared":
                step = _unsquared(c)(-value, gradient)
            elif flaw == "one_logit":
                step = -value / (c * gradient[0] ** 2)
            else:
                run = polyak_gradient(oracle, theta, best=0.0, c=c, num_iters=1, checkpoints=np.array([0]))
                step = float(run["step"][0])
            lead = theta[0] - theta[1]
            theta = theta + step * gradient
            left.append(theta[0] - theta[1])
            right.append(lead + (1 + np.exp(-lead)) / c)
    left = np.array(left)
    # A few roundings of leads of that size.
    return Evidence(left=left, right=right, tolerance=1e-13 * (1 + np.abs(left)))


@claim(
    "Two actions (derived)",
    r"u_{k+1} = u_k + (1 + e^{-u_k}) / c, \qquad u = \theta_1 - \theta_2",
    relation=Identity(),
    assumptions=("one state, exact values, known V*",),
    falsifiers={
        "unsquared": variant(_leads, "The gap over the norm of the gradient, not its square.", "unsquared"),
        "one_logit": variant(_leads, "The norm of one coordinate of the gradient.", "one_logit"),
    },
    lemmas=("li2024:two_actions",),
    words="With two actions the lead of the better one grows by a recursion in which the rewards do not occur.",
    title="Two actions",
)
def two_actions(p: Params, rng: np.random.Generator) -> Evidence:
    """Twelve steps each, random rewards, divisors and starts."""
    return _leads(p, rng)


def _envelope(p: Params, rng: np.random.Generator, flaw: str = "", power: float = 1.0) -> Evidence:
    measured, bound = [], []
    for _ in range(p.problems):
        oracle, theta = _bandit(float(rng.uniform(0.1, 10))), rng.standard_normal(2)
        for c in (1.0, 2.0):
            gaps = _run(oracle, theta, p.steps, c, flaw)
            measured.append(gaps)
            # Each step multiplies with a few roundings.
            bound.append(gaps[0] * np.exp(-power * np.arange(gaps.size) / c) * (1 + 1e-12))
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound))


@claim(
    "Geometric convergence, from the first step on (derived)",
    r"V^* - V(\theta_k) \le e^{-k/c} \big(V^* - V(\theta_0)\big)",
    relation=Bound(),
    assumptions=("two actions, any start", "known V*, no cap"),
    falsifiers={
        "constant": variant(_envelope, "A constant step of 1.", "constant"),
        "capped": variant(_envelope, "Steps of at most 100.", "capped"),
        "faster": variant(_envelope, "A factor of exp(-1.1 / c).", power=1.1),
    },
    lemmas=("li2024:two_actions",),
    words="With two actions the gap falls by at least a factor exp(-1/c) a step, from every start.",
    title="Geometric from the start",
)
def envelope(p: Params, rng: np.random.Generator) -> Evidence:
    """All steps; the bound is an equality at the start, and proved by exp(-x) >= 1 - x."""
    return _envelope(p, rng)


def _ascents(p: Params, rng: np.random.Generator, flaw: str = "", c: float = 1.0) -> Evidence:
    measured, bound = [], []
    for oracle in _oracles(p, rng):
        gaps = _run(oracle, _start(p), p.steps, c, flaw)
        measured.append(gaps[1:])
        bound.append(0.6 * gaps[:-1])
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound))


@claim(
    "Monotone and geometric ascent (predicted)",
    r"V^* - V(\theta_{k+1}) \le 0.6\, \big(V^* - V(\theta_k)\big), \qquad c = 1",
    relation=Bound(),
    assumptions=("exact values and gradients, known V*, no cap", "the uniform policy at the start"),
    falsifiers={
        "constant": variant(_ascents, "A constant step of 1.", "constant"),
        "capped": variant(_ascents, "Steps of at most 100.", "capped"),
        "divisor_two": variant(_ascents, "c = 2, whose factor is exp(-1/2).", c=2.0),
    },
    words="From the uniform policy every step with c = 1 takes two fifths of the gap or more: machine zero within 70.",
    title="Every step counts",
)
def ascent(p: Params, rng: np.random.Generator) -> Evidence:
    """Every step on random MDPs; exp(-1) is what the factor tends to."""
    return _ascents(p, rng)


# Of a limit that is approached like log(k) / k: some parts in a hundred after a thousand steps.
_SHARE = 0.05


def _plain(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, steps = [], np.array([p.long_steps])
    for oracle in _oracles(p, rng):
        if flaw == "polyak":
            run = polyak_gradient(oracle, _start(p), best=0.0, c=100.0, num_iters=p.long_steps, checkpoints=steps)
        else:
            run = constant_gradient(oracle, _start(p), step=1.0, num_iters=p.long_steps, checkpoints=steps)
        left.append(-p.long_steps * run["value"][0])
    actions = p.actions - 1 if flaw == "no_chosen" else (p.actions - 1) / p.actions
    right = np.full(len(left), p.states * actions)
    return Evidence(left=left, right=right, tolerance=_SHARE * right)


@claim(
    "Constant steps (constant derived)",
    r"\eta k \big(V^* - V(\theta_k)\big) \to S (A - 1) / A",
    relation=Identity(),
    assumptions=("exact gradients", "one optimal policy, which is deterministic"),
    falsifiers={
        "no_chosen": variant(_plain, "S (A - 1): the logits of the chosen actions stand still.", "no_chosen"),
        "polyak": variant(_plain, "Polyak's step with c = 100.", "polyak"),
    },
    lemmas=("li2024:equal_leads",),
    words="A constant step leaves a gap of one over step size and number, with a constant that no MDP changes.",
    title="What constant steps leave",
)
def constant_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Steps of 1 from the uniform policy; the product after `long_steps`, to two per cent."""
    return _plain(p, rng)


def _capped(p: Params, rng: np.random.Generator, over: float = 0.0, cap: float | None = None) -> Evidence:
    left, measured_at = [], np.array([p.long_steps // 2])
    for oracle in _oracles(p, rng):
        for limit in (30.0, 1000.0):
            run = polyak_gradient(
                oracle,
                _start(p),
                best=over,
                cap=limit if cap is None else cap,
                num_iters=int(measured_at[0]),
                checkpoints=measured_at,
            )
            left.append(-limit * measured_at[0] * run["value"][0])
    right = np.full(len(left), p.states * (p.actions - 1) / p.actions)
    return Evidence(left=left, right=right, tolerance=_SHARE * right)


@claim(
    "Step size with cap, as printed",
    r"\gamma_k = \min\{\cdot, \gamma_b\}: \quad \gamma_b k \big(V^* - V(\theta_k)\big) \to S (A - 1) / A",
    relation=Identity(),
    assumptions=("exact values and gradients, known V*",),
    falsifiers={
        "uncapped": variant(_capped, "No cap: geometric.", cap=np.inf),
        "half_the_cap": variant(_capped, "Half the cap.", cap=15.0),
    },
    lemmas=("li2024:equal_leads",),
    words="A finite cap turns the rule into its constant step: the rate is one over k, not geometric.",
    title="The cap decides the rate",
)
def capped(p: Params, rng: np.random.Generator) -> Evidence:
    """Caps of 30 and 1000, known V*."""
    return _capped(p, rng)


@claim(
    "Over-estimated V*",
    r"\hat V^* = V^* + 0.1: \quad \gamma_b k \big(V^* - V(\theta_k)\big) \to S (A - 1) / A",
    relation=Identity(),
    assumptions=("exact values and gradients, a finite cap",),
    falsifiers={"uncapped": variant(_capped, "No cap: faster than geometric.", over=0.1, cap=np.inf)},
    lemmas=("li2024:equal_leads",),
    words="Believing in too good an optimum costs nothing beyond what the cap costs: one over k.",
    title="Over-estimates under the cap",
)
def overestimate(p: Params, rng: np.random.Generator) -> Evidence:
    """V* plus 0.1, caps of 30 and 1000."""
    return _capped(p, rng, over=0.1)


def _rounded(mdp: MDP) -> Oracle:
    """Minus the gap and the gradient as differences of Q and V, with rounding errors of values, not of gaps."""
    best = gap_oracle(mdp)

    def oracle(theta: np.ndarray) -> tuple[float, np.ndarray]:
        return best(theta)[0], softmax_gradient(mdp, theta)

    return oracle


def _overshoots(p: Params, rng: np.random.Generator, rounded: bool = False, cap: float = np.inf) -> Evidence:
    measured, bound = [], []
    for _ in range(p.problems):
        mdp = _problem(p, rng)
        oracle, marks = gap_oracle(mdp), np.array([p.steps // 2])
        how = {"num_iters": p.steps // 2, "checkpoints": marks}
        run = polyak_gradient(_rounded(mdp) if rounded else oracle, _start(p), best=0.1, cap=cap, **how)
        measured.append(-run["value"][0])
        bound.append(-polyak_gradient(oracle, _start(p), best=0.0, **how)["value"][0])
    return Evidence(measured=measured, bound=bound)


@claim(
    "Over-estimated V*, no cap (derived)",
    r"\hat V^* = V^* + 0.1: \quad V^* - V(\theta_k) \text{ at most that under the true } V^*, \ k = 50",
    relation=Bound(),
    assumptions=("gradients to full relative accuracy", "the uniform policy at the start"),
    falsifiers={
        "rounded": variant(_overshoots, "Gradients as differences of Q and V, off by 1e-16.", rounded=True),
        "capped": variant(_overshoots, "Steps of at most 1000.", cap=1e3),
    },
    lemmas=("li2024:overshoot",),
    words="Exploding steps still point the right way: all leads grow, until rounding of the gradient grows with them.",
    title="Over-estimates without cap",
)
def overshoot(p: Params, rng: np.random.Generator) -> Evidence:
    """V* plus 0.1 against the true V*; with rounded gradients some runs end at wrong policies."""
    return _overshoots(p, rng)


def _stalls(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for oracle in _oracles(p, rng):
        for error in (0.01, 0.1, 0.5):
            for c in (1.0, 2.0):
                if flaw == "constant":
                    gaps = _run(oracle, _start(p), p.steps, flaw=flaw)
                else:
                    best = 0.0 if flaw == "known" else -error
                    marks = np.array([p.steps])
                    run = polyak_gradient(oracle, _start(p), best=best, c=c, num_iters=p.steps, checkpoints=marks)
                    gaps = -run["value"]
                left.append(gaps[-1])
                right.append(error)
    # 2^-100 times the first gap, and rounding of gaps of at most 5.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-14))


@claim(
    "Under-estimated V*, level",
    r"\hat V^* = V^* - e: \quad V^* - V(\theta_k) \to e",
    relation=Identity(),
    assumptions=("exact values and gradients",),
    falsifiers={
        "known": variant(_stalls, "The true V*.", "known"),
        "constant": variant(_stalls, "A constant step of 1.", "constant"),
    },
    lemmas=("li2024:stall_rate",),
    words="With too low a guess the method stops exactly at the guess.",
    title="Under-estimates stall",
)
def stall_level(p: Params, rng: np.random.Generator) -> Evidence:
    """Guesses 0.01, 0.1 and 0.5 below V*."""
    return _stalls(p, rng)


def _raised(oracle: Oracle, error: float) -> Oracle:
    """The oracle with its value raised: a guess at 0 is then too low by `error`."""

    def raised(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = oracle(theta)
        return value + error, gradient

    return raised


def _stall_rates(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for oracle in _oracles(p, rng):
        for error in (0.1, 0.5):
            for c in (2.0, 3.0):
                marks = np.arange(p.steps + 1)
                if flaw == "unsquared":
                    short = _run(_raised(oracle, error), _start(p), p.steps, c, flaw)
                else:
                    best = 0.0 if flaw == "known" else -error
                    run = polyak_gradient(oracle, _start(p), best=best, c=c, num_iters=p.steps, checkpoints=marks)
                    short = -run["value"] + best
                # Where the shortfall is near 1e-6 neither curvature nor rounding shows.
                k = int(np.argmin(np.abs(np.log(np.maximum(np.abs(short[:-1]), 1e-300)) - np.log(1e-6))))
                left.append(short[k + 1] / short[k])
                right.append(1 - 1 / c)
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-5))


@claim(
    "Under-estimated V*, rate (derived)",
    r"\frac{\hat V^* - V(\theta_{k+1})}{\hat V^* - V(\theta_k)} \to 1 - \frac1c",
    relation=Identity(),
    assumptions=("exact values and gradients, guess below V*",),
    falsifiers={
        "known": variant(_stall_rates, "The true V*, where the factor is exp(-1 / c).", "known"),
        "unsquared": variant(_stall_rates, "The gap over the norm of the gradient, not its square.", "unsquared"),
    },
    lemmas=("li2024:stall_rate",),
    words="A guess below V* is reached like the root of a linear function by damped Newton steps.",
    title="How fast an under-estimate is reached",
)
def stall_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """The step at which the shortfall is nearest to 1e-6."""
    return _stall_rates(p, rng)


def _twins(p: Params, rng: np.random.Generator, known: bool = False) -> Evidence:
    left, right = [], []
    for oracle in _oracles(p, rng):
        starts = (_start(p), rng.standard_normal((p.states, p.actions)))
        if known:
            reached = -_run(oracle, starts[0], p.steps, 2.0)[-1]
        else:
            marks = np.array([p.steps])
            reached = twin_gradient(oracle, starts, num_iters=p.steps, checkpoints=marks, c=2.0)["value"][0].max()
        left.append(reached)
        right.append(max(oracle(theta)[0] for theta in starts))
    # Values of at most 5, evaluated twice; halvings leave 2^-100 of the difference.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-13))


@claim(
    "Twin models (rule from memory)",
    r"\lim_k \max\{V(\theta^A_k), V(\theta^B_k)\} = \max\{V(\theta^A_0), V(\theta^B_0)\}",
    relation=Identity(),
    assumptions=("exact values and gradients, c = 2", "the worse model ascends towards the better one's value"),
    falsifiers={"known_optimum": variant(_twins, "The true V* in place of the twin's value.", known=True)},
    lemmas=("li2024:stall_rate",),
    words="With exact values the better twin is an under-estimate of V*, at which the worse one stops.",
    title="Twins with exact values stall",
)
def twins(p: Params, rng: np.random.Generator) -> Evidence:
    """The uniform policy and a random one; the better value after all steps against the better at the start."""
    return _twins(p, rng)


def _entropy_steps(p: Params, rng: np.random.Generator, tau: float | None = None, half: bool = False) -> Evidence:
    left, right = [], []
    for _ in range(p.problems):
        reward_gap, c = float(rng.uniform(0.5, 2)), float(rng.uniform(1, 2))
        weight = float(rng.uniform(0.3, 1)) * reward_gap
        marks = np.arange(80)
        oracle = _bandit(reward_gap, weight if tau is None else tau)
        run = polyak_gradient(oracle, np.zeros(2), best=0.0, c=c, num_iters=79, checkpoints=marks)
        # At a lead off by 1e-3 the value is known to 1e-16 / 1e-6, and curvature is constant to 1e-3.
        off = np.abs(run["theta"][:, 0] - run["theta"][:, 1] - reward_gap / weight)
        k = int(np.argmin(np.abs(np.log(np.maximum(off, 1e-300) / 1e-3))))
        chosen = 1 / (1 + np.exp(-reward_gap / weight))
        left.append(run["step"][k] * c * weight)
        right.append((0.5 if half else 0.25) / (chosen * (1 - chosen)))
    return Evidence(left=left, right=right, tolerance=2e-3 * np.array(right))


@claim(
    "Entropy against exploding steps (limit derived)",
    r"\gamma_k \to \frac{1}{4 c \tau\, p (1 - p)}, \qquad p = 1 / (1 + e^{-\Delta / \tau})",
    relation=Identity(),
    assumptions=(r"two actions with reward gap $\Delta$, entropy of weight $\tau$, known regularised optimum",),
    falsifiers={
        "no_entropy": variant(_entropy_steps, "Without entropy, where steps grow without limit.", tau=0.0),
        "one_coordinate": variant(_entropy_steps, "Twice the limit: the norm of one coordinate.", half=True),
    },
    lemmas=("li2024:entropy_step",),
    words="With an entropy bonus the optimum lies inside, and Polyak's step settles at the size of a Newton step.",
    title="Entropy bounds the steps",
)
def entropy_step(p: Params, rng: np.random.Generator) -> Evidence:
    """The step near the regularised optimum, random rewards, weights and divisors."""
    return _entropy_steps(p, rng)


# Steps of the trajectories that are enumerated, and of those that are drawn, whose gamma^20 is 0.0008.
_SHORT, _HORIZON, _GAMMA = 3, 20, 0.7


def _short_value(mdp: MDP, theta: np.ndarray, tau: float) -> complex:
    """J_H with entropy over _SHORT steps, by recursion backward; analytic in theta."""
    weights = np.exp(theta)
    pi = weights / weights.sum(axis=1, keepdims=True)
    v = np.zeros(mdp.S)
    for _ in range(_SHORT):
        v = (pi * (mdp.r - tau * np.log(pi) + mdp.gamma * mdp.dense().P @ v)).sum(axis=1)
    return mdp.mu @ v


def _estimated(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right, tolerance = [], [], []
    for tau in (0.0, 0.3):
        mdp = garnet(3, 2, 2, gamma=0.9, rng=rng).replace(mu=np.full(3, 1 / 3))
        theta = rng.standard_normal((3, 2))
        states, actions, probability = enumerate_trajectories(mdp, theta, _SHORT)
        if flaw in ("", "plain_value"):
            value, gradient = path_estimates(mdp, theta, states * mdp.A + actions, tau=tau)
            value = path_estimates(mdp, theta, states * mdp.A + actions)[0] if flaw else value
        else:
            log_pi = np.log(softmax(theta))
            scores = softmax_score(theta, states, actions).reshape(*states.shape, -1)
            rewards = mdp.r[states, actions] - tau * log_pi[states, actions]
            value = rewards @ mdp.gamma ** np.arange(_SHORT)
            if flaw == "own_time":
                scores = scores * mdp.gamma ** -np.arange(_SHORT)[:, None]
            gradient = gpomdp(scores, rewards, mdp.gamma)
            if flaw == "bonus_now":
                # The entropy of a step's own state alone, as codes add it to a loss.
                bonus = np.einsum("nt,ntd->nd", -tau * log_pi[states, actions] * mdp.gamma ** np.arange(_SHORT), scores)
                gradient = gpomdp(scores, mdp.r[states, actions], mdp.gamma) + bonus
        terms = probability[:, None] * np.column_stack([value, gradient.reshape(len(value), -1)])
        left.append(terms.sum(axis=0))
        tilted = theta + 1e-30j * np.eye(theta.size).reshape(-1, *theta.shape)
        slopes = [np.imag(_short_value(mdp, point, tau)) / 1e-30 for point in tilted]
        right.append(np.array([np.real(_short_value(mdp, theta, tau)), *slopes]))
        # A sum of N products of some twenty factors.
        tolerance.append((len(terms) + 40) * 2.0**-53 * np.abs(terms).sum(axis=0))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "GPOMDP estimates, with entropy",
    r"E \hat V = J_{\tau, H}(\theta), \qquad E \hat\nabla V = \nabla J_{\tau, H}(\theta), \qquad"
    r" J_{\tau, H} = E \sum_{t<H} \gamma^t (r_t - \tau \log \pi_\theta(a_t \mid s_t))",
    relation=Identity(),
    falsifiers={
        "own_time": variant(_estimated, "Rewards to go discounted from their own step.", "own_time"),
        "bonus_now": variant(_estimated, "The entropy bonus of the step alone, not of those it leads to.", "bonus_now"),
        "plain_value": variant(_estimated, "The value leaves out the entropy.", "plain_value"),
    },
    controls={"in_numpy": variant(_estimated, "The formulas in NumPy.", "none")},
    lemmas=("fatkhullin2023:gpomdp_unbiased",),
    words="What a step is made of, the estimated value and gradient, have the right means, with and without entropy.",
    title="Estimates of sampled steps",
)
def sampled_estimates(p: Params, rng: np.random.Generator) -> Evidence:
    """All 216 trajectories of three steps, through the compiled estimates, against recursion and complex steps."""
    return _estimated(p, rng)


def _after(p: Params, mdp: MDP, oracle: Oracle, rng: np.random.Generator, short: float = 0.0, **how) -> float:
    """Mean gap after sampled Polyak steps towards V* - short, of the runs on one MDP."""
    best = how.pop("best", float(mdp.mu @ solve(mdp, tol=1e-9).value) - short)
    T = how.pop("num_iters", p.sampled_steps)
    how = {"batch": p.batch, "seeds": p.seeds, **how}
    run = sampled_polyak(mdp, best=best, horizon=_HORIZON, num_iters=T, checkpoints=np.array([T]), rng=rng, **how)
    return float(np.mean([-oracle(theta)[0] for theta in run["theta"][:, 0]]))


def _floors(p: Params, rng: np.random.Generator, batch: int | None = None, longer: int = 1) -> Evidence:
    mdp = _problem(p, rng, _GAMMA)
    oracle, few = gap_oracle(mdp), p.batch // 16
    many = _after(
        p,
        mdp,
        oracle,
        rng,
        batch=p.batch if batch is None else max(1, int(few * batch)),
        num_iters=longer * p.sampled_steps,
    )
    return Evidence(left=[many], right=[0.5 * _after(p, mdp, oracle, rng, batch=few)])


@claim(
    "Sampled steps, noise floor (measured)",
    r"E\,[V^* - V(\theta_K)]_{64} < \tfrac12 E\,[V^* - V(\theta_K)]_{4}, \quad \text{batches of 64 and of 4}",
    relation=Ordering(),
    assumptions=("random MDPs, known $V^*$, no cap", "the uniform policy at the start"),
    falsifiers={
        "same_batch": variant(_floors, "Batches of 4 on both sides.", 1),
        "longer_instead": variant(_floors, "As many trajectories in four times the steps of batches of 16.", 1, 16),
        "one_trajectory": variant(_floors, "Batches of 1.", 0.25),
    },
    words="Sampled steps end at a floor which larger batches lower, and more steps do not.",
    title="The noise floor",
)
def sampled_floor(p: Params, rng: np.random.Generator) -> Evidence:
    """Mean exact gaps after the same number of steps with two sizes of batches."""
    return _floors(p, rng)


def _cappings(p: Params, rng: np.random.Generator, cap: float = 1.0) -> Evidence:
    mdp = _problem(p, rng, _GAMMA)
    oracle, how = gap_oracle(mdp), {"batch": p.batch // 4, "num_iters": 2 * p.sampled_steps}
    # The same streams on both sides.
    left = _after(p, mdp, oracle, copy.deepcopy(rng), cap=cap, **how)
    return Evidence(left=[left], right=[0.75 * _after(p, mdp, oracle, rng, **how)])


@claim(
    "Sampled steps, what the cap is for (measured)",
    r"E\,[V^* - V(\theta_K)]_{\gamma_b = 1} < \tfrac34 E\,[V^* - V(\theta_K)]_{\gamma_b = \infty}",
    relation=Ordering(),
    assumptions=("random MDPs, known V*", "batches of 16"),
    falsifiers={
        "large": variant(_cappings, "A cap of 10000, as good as none.", 1e4),
        "small": variant(_cappings, "A cap of 0.003: hardly a step.", 0.003),
    },
    controls={"three": variant(_cappings, "A cap of 3.", 3.0)},
    words="With exact values the cap spoils the rate; with sampled ones it keeps wrong policies from freezing in.",
    title="A cap against noise",
)
def sampled_cap(p: Params, rng: np.random.Generator) -> Evidence:
    """Mean exact gaps with the cap and without."""
    return _cappings(p, rng)


def _sampled_stalls(p: Params, rng: np.random.Generator, exact: bool = False, longer: float = 1.0) -> Evidence:
    mdp, short = _problem(p, rng, _GAMMA), 0.1
    oracle, T = gap_oracle(mdp), int(longer * p.sampled_steps)
    if exact:
        run = polyak_gradient(oracle, _start(p), best=-short, cap=10.0, num_iters=T, checkpoints=np.array([T]))
        left = -run["value"][0]
    else:
        left = _after(p, mdp, oracle, rng, short=short, cap=10.0, batch=4 * p.batch, seeds=1, num_iters=T)
    return Evidence(left=[left], right=[0.9 * short])


@claim(
    "Under-estimated V*, sampled values (measured)",
    r"\hat V^* = V^* - 0.1: \quad E\,[V^* - V(\theta_K)] < 0.09",
    relation=Ordering(),
    assumptions=("random MDPs, batches of 256, a cap of 10",),
    falsifiers={
        "exact": variant(_sampled_stalls, "Exact values, which stall at 0.1.", exact=True),
        "early": variant(_sampled_stalls, "A twentieth of the steps.", longer=0.05),
    },
    words="Noise carries the method past too low a guess: half the estimates look too low there, and make a step.",
    title="Sampled values do not stall",
)
def sampled_stall(p: Params, rng: np.random.Generator) -> Evidence:
    """Mean exact gaps long after the guess is reached."""
    return _sampled_stalls(p, rng)


def _sampled_twins(p: Params, rng: np.random.Generator, batch: float = 2.0, exact: bool = False) -> Evidence:
    mdp = _problem(p, rng, _GAMMA)
    oracle, T = gap_oracle(mdp), p.sampled_steps
    starts = (_start(p), rng.standard_normal((p.states, p.actions)))
    if exact:
        run = twin_gradient(oracle, starts, c=2.0, cap=10.0, num_iters=T, checkpoints=np.array([T]))
        left = -run["value"][0].max()
    else:
        run = sampled_twins(
            mdp, starts, horizon=_HORIZON, batch=max(1, int(batch * p.batch)), num_iters=T, checkpoints=np.array([T]),
            rng=rng, cap=10.0,
        )  # fmt: skip
        left = np.mean([min(-oracle(theta)[0] for theta in pair) for pair in run["theta"][:, 0]])
    return Evidence(left=[left], right=[0.6 * min(-oracle(theta)[0] for theta in starts)])


@claim(
    "Twin models with sampled values (rule from memory)",
    r"E \min_i [V^* - V(\theta^i_K)] < 0.6 \min_i [V^* - V(\theta^i_0)]",
    relation=Ordering(),
    assumptions=("random MDPs, batches of 128, a cap of 10", "the worse model ascends towards the better one's value"),
    falsifiers={
        "exact": variant(_sampled_twins, "Exact values: the worse twin stops at the better one.", exact=True),
        "one_trajectory": variant(_sampled_twins, "Batches of 1: the twins swap places by luck.", 1 / 64),
    },
    words="Noise is what moves the twins: each takes turns at looking better, and the other follows a little too far.",
    title="Twins live on noise",
)
def twins_sampled(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact gap of the better twin at the end against the better start."""
    return _sampled_twins(p, rng)


def figure_gaps(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Gap over steps on one random MDP: Polyak's rule with two divisors and with a cap, constant steps, exp(-k)."""
    oracle = gap_oracle(_problem(p, np.random.default_rng([2024, 9])))
    k = np.arange(61)
    how = {"num_iters": 60, "checkpoints": k}
    table = {"k": k.astype(float)}
    for name, c, cap in (("polyak", 1.0, np.inf), ("halved", 2.0, np.inf), ("capped", 1.0, 1e3)):
        table[name] = -polyak_gradient(oracle, _start(p), best=0.0, c=c, cap=cap, **how)["value"]
    for name, step in (("one", 1.0), ("ten", 10.0)):
        table[name] = -constant_gradient(oracle, _start(p), step=step, **how)["value"]
    return table | {"bound": table["polyak"][0] * np.exp(-k)}


_FLOOR = 1e-20


def figure_guesses(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Gap over steps when V* is guessed: right, too low, too high (exact, rounded, with a cap), by a twin."""
    mdp = _problem(p, np.random.default_rng([2024, 9]))
    oracle, rounded = gap_oracle(mdp), _rounded(mdp)
    k = np.arange(101)
    how = {"num_iters": 100, "checkpoints": k}
    cases = {
        "right": (oracle, 0.0, np.inf),
        "low": (oracle, -0.1, np.inf),
        "high": (oracle, 0.1, np.inf),
        "high_rounded": (rounded, 0.1, np.inf),
        "high_capped": (rounded, 0.1, 1e3),
    }
    table = {"k": k.astype(float)}
    for name, (source, best, cap) in cases.items():
        table[name] = -polyak_gradient(source, _start(p), best=best, cap=cap, **how)["value"]
    starts = (_start(p), np.random.default_rng([2024, 2]).standard_normal((p.states, p.actions)))
    table["twin"] = -twin_gradient(oracle, starts, c=2.0, **how)["value"].max(axis=1)
    # Gaps fall through the floor of the picture, some to zero; they are drawn on it.
    return {name: column if name == "k" else np.maximum(column, _FLOOR) for name, column in table.items()}


def figure_steps(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Polyak's step over steps with two actions: without entropy, and with two weights of it."""
    k = np.arange(31)
    table = {"k": k.astype(float)}
    for name, tau in (("none", 0.0), ("little", 0.2), ("much", 0.5)):
        run = polyak_gradient(_bandit(1.0, tau), np.zeros(2), best=0.0, num_iters=30, checkpoints=k)
        # The regularised gap is known to 1e-16: after that the ratio is noise.
        table[name] = np.where(run["value"] < -1e-12, run["step"], np.nan)
    for name, tau in (("bound_little", 0.2), ("bound_much", 0.5)):
        chosen = 1 / (1 + np.exp(-1 / tau))
        table[name] = np.full(k.size, 1 / (4 * tau * chosen * (1 - chosen)))
    return table


def figure_floor(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Mean exact gap of sampled runs over steps on one random MDP: no cap for two sizes of batches, cap, constant."""
    mdp = _problem(p, np.random.default_rng([2024, 9]), _GAMMA)
    oracle, best = gap_oracle(mdp), float(mdp.mu @ solve(mdp, tol=1e-9).value)
    k = np.arange(0, 2 * p.sampled_steps + 1, 5)
    how = {"horizon": _HORIZON, "num_iters": int(k[-1]), "checkpoints": k, "seeds": 24}
    ways = {
        "few": {"best": best, "batch": p.batch // 16},
        "many": {"best": best, "batch": p.batch},
        "capped": {"best": best, "batch": p.batch, "cap": 1.0},
        "constant": {"best": np.inf, "batch": p.batch, "cap": 1.0},
    }
    table = {"k": k.astype(float)}
    for name, options in ways.items():
        runs = sampled_polyak(mdp, rng=rng, **how, **options)["theta"]
        gaps = [[-oracle(theta)[0] for theta in run] for run in runs]
        # Some runs freeze in the optimum, with no gap at all: only means fit a picture.
        table[name] = np.mean(gaps, axis=0)
    return table
