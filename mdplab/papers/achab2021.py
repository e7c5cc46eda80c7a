r"""Achab, Neu (2021): distributional dynamic programming with two atoms, read as a robust MDP on substates.

Source: arXiv:2112.15430; abstract, from which operator and properties are derived. The return law of each state is two
atoms, theta_1 of mass alpha (the mean of the lower tail) and theta_2 of mass 1 - alpha; one step forms the law of
reward plus discounted atoms of the next state and takes the tail means again.

Derived here: the worst substate's row minimises over an average-value-at-risk set, theta is the linear value of the
augmented chain, the mean is kept, the operator contracts by gamma and no less, V - theta_1 and theta_2 - V are at most
(1 - alpha) and alpha times (max r - min r) / (1 - gamma), and theta_1 is at least the average value at risk of the
return. It is *not* equal to it: the two tail means forget what lies within the tails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mdplab.algorithms.robust.worst_substate import Substates, substate_control, substate_evaluation, substate_step
from mdplab.claims import Bound, Evidence, Identity, Witness, claim, variant
from mdplab.exact import policy_evaluation
from mdplab.instances import garnet
from mdplab.instances.reward_trees import iterated_tail, lower_tail, nested_tails, return_law, reward_tree
from mdplab.models import MDP

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Params:
    """Sizes: `states` states, `actions` actions, `pairs` of vectors for the modulus, trees `depth` deep."""

    states: int
    actions: int
    pairs: int
    depth: int


def _problem(p: Params, rng: np.random.Generator) -> tuple[MDP, np.ndarray]:
    """A random MDP, with rewards by next state in half of the draws, and a random policy."""
    mdp = garnet(p.states, p.actions, min(3, p.states), gamma=float(rng.choice([0.5, 0.9])), rng=rng)
    if rng.random() < 0.5:
        mdp = mdp.replace(r=rng.uniform(-1, 1, mdp.P.shape))
    return mdp, rng.dirichlet(np.ones(p.actions), size=p.states)


def _law(mdp: MDP, pi: np.ndarray, s: int, alpha: float, low: np.ndarray, high: np.ndarray) -> tuple:
    """Atoms and masses of reward plus discounted atoms of the next state, from state s."""
    r = mdp.r[s][:, None] * np.ones(mdp.S) if mdp.r_next is None else mdp.r_next[s]
    z = r[:, :, None] + mdp.gamma * np.column_stack([low, high])
    return z.ravel(), (pi[s][:, None, None] * mdp.P[s][:, :, None] * [alpha, 1 - alpha]).ravel()


def _unsplit(mdp: MDP, pi: np.ndarray, alpha: float, low: np.ndarray, high: np.ndarray) -> Substates:
    """The step with the atom that straddles alpha given whole to the lower tail."""
    out = np.empty((2, mdp.S))
    for s in range(mdp.S):
        z, w = _law(mdp, pi, s, alpha, low, high)
        order = np.argsort(z)
        before = np.cumsum(w[order]) - w[order]
        tail = order[before < alpha - 1e-12]
        mass = w[tail].sum()
        out[0, s] = w[tail] @ z[tail] / mass
        rest = w @ z - w[tail] @ z[tail]
        out[1, s] = rest / (1 - mass) if mass < 1 - 1e-12 else out[0, s]
    return Substates(out[0], out[1], np.empty(0), np.empty(0))


def _mean_kept(p: Params, rng: np.random.Generator, step: Callable = substate_step) -> Evidence:
    left, right, tolerance = [], [], []
    mdp, pi = _problem(p, rng)
    judged = policy_evaluation(mdp, pi, tol=1e-10)
    scale = max(1.0, np.abs(mdp.r).max()) / (1 - mdp.gamma)
    for alpha in LEVELS:
        low = high = judged.value
        for _ in range(12):
            one = step(mdp, pi, alpha, low, high)
            low, high = one.low, one.high
            left.append(alpha * low + (1 - alpha) * high)
            right.append(judged.value)
            # Certified error of V, twice, and roundings of a dozen steps.
            tolerance.append(np.full(mdp.S, 2 * judged.certificate.gap + 1e-12 * scale))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Robust reading: the mean (derived)",
    r"\alpha \theta_1 + (1-\alpha) \theta_2 = V^\pi \ \text{at every step, if true at the start}",
    relation=Identity(),
    falsifiers={
        "unsplit": variant(_mean_kept, "The atom that straddles alpha goes whole to the lower tail.", _unsplit),
        "swapped": variant(
            _mean_kept, "Masses 1 - alpha and alpha.", lambda m, pi, a, *x: substate_step(m, pi, 1 - a, *x)
        ),
    },
    lemmas=("achab2021:mean_is_kept",),
    words="Two tail means lose no mean: ordinary policy evaluation goes on inside.",
    title="The mean is kept",
)
def mean_kept(p: Params, rng: np.random.Generator) -> Evidence:
    """A dozen steps from (V, V) at five levels, against the certified solver."""
    return _mean_kept(p, rng)


def _dual(z: np.ndarray, w: np.ndarray, level: float) -> float:
    """Average value at risk: max over t of t - E (t - z)_+ / level, attained at an atom."""
    return max(t - w @ np.maximum(t - z, 0) / level for t in z[w > 0])


def _variation(z: np.ndarray, w: np.ndarray, level: float) -> float:
    """The least mean within total variation 1 - level, in place of the set q <= w / level."""
    least = z[w > 0].min()
    return max(w @ np.minimum(z, t) - (1 - level) * (t - least) for t in z[w > 0])


def _worst_row(p: Params, rng: np.random.Generator, inner: Callable = _dual) -> Evidence:
    left, right = [], []
    mdp, pi = _problem(p, rng)
    for alpha in LEVELS:
        low, high = np.sort(rng.normal(size=(2, mdp.S)), axis=0)
        one = substate_step(mdp, pi, alpha, low, high)
        for s in range(mdp.S):
            z, w = _law(mdp, pi, s, alpha, low, high)
            worst = inner(z, w, alpha)
            left += [one.low[s], one.high[s]]
            right += [worst, (w @ z - alpha * worst) / (1 - alpha)]
    # Sums of at most a hundred terms of size at most 10, divided by at least a tenth.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-12))


@claim(
    "Robust reading: worst and best substate (derived)",
    r"\theta_1' = \min\{ q \cdot z : 0 \le q \le w/\alpha,\ \textstyle\sum q = 1 \},\quad"
    r"\theta_2' = (w \cdot z - \alpha \theta_1') / (1 - \alpha)",
    relation=Identity(),
    falsifiers={
        "total_variation": variant(_worst_row, "A ball of total variation 1 - alpha instead.", _variation),
        "other_level": variant(_worst_row, "Level 1 - alpha.", lambda z, w, level: _dual(z, w, 1 - level)),
    },
    words="The worst substate's row is nature's choice in an average-value-at-risk set; the best one gets the rest.",
    title="An average-value-at-risk set",
)
def worst_row(p: Params, rng: np.random.Generator) -> Evidence:
    """The sort of the algorithm against the dual in one variable, on random atoms."""
    return _worst_row(p, rng)


def _linear_value(p: Params, rng: np.random.Generator, chain: str = "own") -> Evidence:
    left, right = [], []
    mdp, pi = _problem(p, rng)
    for alpha in LEVELS:
        # 0.9^380 is below 1e-17.
        run = substate_evaluation(mdp, pi, alpha, num_iters=380)
        kernel, reward = run.last.kernel, run.last.reward
        if chain == "nominal":
            mass = np.repeat([alpha, 1 - alpha], mdp.S)
            kernel = np.tile(np.einsum("sa,sat->st", pi, mdp.P), (2, 2)) * mass
        elif chain == "no_mass_moved":
            kernel = np.kron(np.eye(2), np.einsum("sa,sat->st", pi, mdp.P))
        left.append(np.concatenate([run.low[-1], run.high[-1]]))
        right.append(np.linalg.solve(np.eye(2 * mdp.S) - mdp.gamma * kernel, reward))
    left, right = np.concatenate(left), np.concatenate(right)
    # One linear system of condition at most 20, values at most 10.
    return Evidence(left=left, right=right, tolerance=np.full(left.size, 1e-11))


@claim(
    "Robust reading: the augmented chain (derived)",
    r"(\theta_1, \theta_2) = (I - \gamma K)^{-1} \rho,\quad K\ \text{the chain on worst and best substates}",
    relation=Identity(),
    falsifiers={
        "nominal": variant(_linear_value, "Each substate moves by the nominal row.", "nominal"),
        "no_mass_moved": variant(_linear_value, "Worst substates lead to worst ones only.", "no_mass_moved"),
    },
    lemmas=("achab2021:worked_fixed_point",),
    words="At the fixed point the two values are the ordinary values of the chain that the worst rows make.",
    title="Linear value of the substates",
)
def linear_value(p: Params, rng: np.random.Generator) -> Evidence:
    """The last iterate against one linear solve with the chain of the last step."""
    return _linear_value(p, rng)


def _modulus(p: Params, rng: np.random.Generator, *, factor: float = 1.0, undivided: bool = False) -> Evidence:
    measured, bound, radius = [], [], []
    mdp, pi = _problem(p, rng)
    for alpha in LEVELS:
        for k in range(p.pairs):
            theta = rng.normal(size=(2, mdp.S))
            # The first pair differs by a constant, which attains the modulus.
            other = theta + rng.normal() if k == 0 else theta + rng.normal(size=theta.shape) * 10 ** rng.uniform(-3, 1)
            before = np.abs(theta - other).max()
            one, two = (substate_step(mdp, pi, alpha, *x) for x in (theta, other))
            share = alpha / (1 - alpha) if undivided else 1.0
            after = max(share * np.abs(one.low - two.low).max(), np.abs(one.high - two.high).max() / share)
            # Roundings of values of size ten, over the distance.
            error = 1e-13 * (1 + np.abs(other).max()) / before
            measured.append(after / before)
            bound.append(factor * mdp.gamma + 2 * error)
            radius.append(error)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Contraction (derived)",
    r"\| T\theta - T\theta' \|_\infty \le \gamma \| \theta - \theta' \|_\infty",
    relation=Bound(),
    falsifiers={
        "strengthened": variant(_modulus, "A hundredth less than gamma.", factor=0.99),
        "undivided": variant(_modulus, "The tail sums divided by each other's masses.", undivided=True),
    },
    lemmas=("achab2021:contraction",),
    words="The operator contracts by the discount, and by no less: a constant goes through.",
    title="Contraction by the discount",
)
def contraction(p: Params, rng: np.random.Generator) -> Evidence:
    """Ratios for random pairs and one pair that differs by a constant; the bound is inflated by twice the rounding."""
    return _modulus(p, rng)


def _lottery(bad: float, gamma: float) -> MDP:
    """From state 0 to reward 0 for ever with probability `bad`, else to reward 1 for ever."""
    P = np.zeros((3, 1, 3))
    P[0, 0, 1:] = bad, 1 - bad
    P[1, 0, 1] = P[2, 0, 2] = 1.0
    return MDP(P, [[0.0], [0.0], [1.0]], gamma)


def _limits(p: Params, rng: np.random.Generator, *, power: float = 1.0, horizon: bool = True) -> Evidence:
    measured, bound = [], []
    for alpha in LEVELS[::2]:
        mdp, pi = _problem(p, rng)
        cases = [(mdp, pi, 380), (_lottery(alpha, 0.95), np.ones((3, 1)), 600)]
        for one, policy, steps in cases:
            run = substate_evaluation(one, policy, alpha, num_iters=steps)
            value = policy_evaluation(one, policy, tol=1e-10).value
            r = one.r if one.r_next is None else one.r_next[one.P > 0]
            scale = (r.max() - r.min()) / (1 - one.gamma if horizon else 1)
            measured += [(value - run.low[-1]).max(), (run.high[-1] - value).max()]
            bound += [(1 - alpha) ** power * scale, alpha**power * scale]
    # 0.95^600 * 20 < 1e-12, and the certified error of V.
    return Evidence(measured=measured, bound=bound, radius=np.full(len(measured), 1e-9))


@claim(
    "Limits of the level (derived)",
    r"V - \theta_1 \le (1-\alpha) \frac{\max r - \min r}{1-\gamma},\quad"
    r"\theta_2 - V \le \alpha \frac{\max r - \min r}{1-\gamma}",
    relation=Bound(),
    falsifiers={
        "squared": variant(_limits, "Squares of the masses.", power=2.0),
        "no_horizon": variant(_limits, "Without 1 / (1 - gamma).", horizon=False),
    },
    words="As alpha tends to one the worst substate becomes the state itself; as it tends to zero the best one does.",
    title="Limits of the level",
)
def limits(p: Params, rng: np.random.Generator) -> Evidence:
    """Random problems, and a lottery that attains the bound up to the discount."""
    return _limits(p, rng)


def _tied(rng: np.random.Generator) -> tuple[MDP, int, int]:
    """Optimal actions: lotteries +-k/2 and +-k; worse in the mean: a sure -1/8 and a lottery -1/8 +- 4k. Dyadic."""
    k = float(rng.integers(1, 9))
    order = rng.permutation(4)
    P, r = np.zeros((9, 4, 9)), np.zeros((9, 4))
    P[1:, :, 8] = 1.0
    for a, (mean, spread) in zip(order, ((0.0, k / 2), (0.0, k), (-0.125, 0.0), (-0.125, 4 * k))):
        # State 0 leads to a pair of states whose rewards are the outcomes; both are one state for the sure action.
        first = {k / 2: 1, k: 3, 0.0: 5, 4 * k: 6}[spread]
        P[0, a, first] += 0.5
        P[0, a, first + (spread > 0)] += 0.5
        r[first] = mean - spread
        r[first + (spread > 0)] = mean + spread
    return MDP(P, r, 0.5), int(order[0]), int(order[1])


def _ties(p: Params, rng: np.random.Generator, *, turned: bool = False, everywhere: bool = False) -> Evidence:
    holds = []
    mdp, safe, risky = _tied(rng)
    for alpha in (0.25, 0.5, 0.75):
        runs = {
            one: substate_control(mdp, alpha, attitude=one, num_iters=6, tie=0.0, everywhere=everywhere)
            for one in ("safe", "risky")
        }
        if turned:
            runs = {"safe": runs["risky"], "risky": runs["safe"]}
        holds += [int(runs["safe"].policy[0].argmax()) == safe, int(runs["risky"].policy[0].argmax()) == risky]
        holds += [bool(runs["safe"].low[-1][0] > runs["risky"].low[-1][0])]
        holds += [alpha * run.low[-1][0] + (1 - alpha) * run.high[-1][0] == 0 for run in runs.values()]
    return Evidence(holds=holds, text="choices at three levels, all numbers dyadic, so that floats are exact")


@claim(
    "Safe and risky control",
    r"\text{safe and risky control are optimal in the mean; among optimal actions safe has the larger } \theta_1,"
    r"\text{ risky the larger } \theta_2",
    relation=Witness(),
    falsifiers={
        "turned": variant(_ties, "Attitudes exchanged.", turned=True),
        "everywhere": variant(_ties, "The choice among all actions, optimal or not.", everywhere=True),
    },
    words="Ties between optimal actions are broken by the tails; nothing is lost in the mean.",
    title="Breaking ties",
)
def tie_breaking(p: Params, rng: np.random.Generator) -> Evidence:
    """Two optimal lotteries, a worse sure reward, a worse wide lottery, in exact floating point."""
    return _ties(p, rng)


def _static(p: Params, rng: np.random.Generator, side: str = "low", depth: int | None = None) -> Evidence:
    holds, gap = [], Fraction(0)
    for alpha in (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)):
        tree = reward_tree(p.depth if depth is None else depth, rng=rng)
        law = list(return_law(tree, Fraction(9, 10)))
        static = lower_tail(law, alpha)
        mean = sum(value * mass for value, mass in law)
        low, high = nested_tails(tree, alpha, Fraction(9, 10))
        answer = {"low": low, "high": high, "iterated": iterated_tail(tree, alpha, Fraction(9, 10))}[side]
        truth = (mean - alpha * static) / (1 - alpha) if side == "high" else static
        holds.append(answer == truth)
        gap = max(gap, abs(answer - truth))
    return Evidence(holds=holds, text=f"differences of up to {float(gap):.4g}, in rationals")


@claim(
    "A reading that suggests itself",
    r"\theta_1 = \mathrm{AVaR}_\alpha\big( \textstyle\sum_t \gamma^t r_t \big)",
    relation=Witness(),
    falsifiers={
        "high": variant(_static, "The same of theta_2 and the upper tail.", "high"),
        "iterated": variant(_static, "The same of the iterated risk measure.", "iterated"),
    },
    controls={"one_stage": variant(_static, "Trees of one stage.", "low", 1)},
    words="The lower tail mean of the dynamic programme would be the average value at risk of the whole return.",
    title="Not the static risk measure",
)
def nested_is_static(p: Params, rng: np.random.Generator) -> Evidence:
    """Random trees of several stages, in rationals."""
    return _static(p, rng)


def _above(p: Params, rng: np.random.Generator, answer: str = "low") -> Evidence:
    measured, bound = [], []
    for alpha in (Fraction(1, 10), Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)):
        for depth in range(1, p.depth + 1):
            tree = reward_tree(depth, rng=rng)
            static = lower_tail(return_law(tree, Fraction(9, 10)), alpha)
            low, _ = nested_tails(tree, alpha, Fraction(9, 10))
            other = {
                "low": low,
                "iterated": iterated_tail(tree, alpha, Fraction(9, 10)),
                "least": static - (low - static),
            }
            measured.append(float(static))
            bound.append(float(other[answer]))
    # Rationals, rounded once: at one stage the two are the same number.
    return Evidence(measured=measured, bound=bound, radius=np.zeros(len(measured)))


@claim(
    "Against the static risk measure (derived)",
    r"\mathrm{AVaR}_\alpha\big( \textstyle\sum_t \gamma^t r_t \big) \le \theta_1",
    relation=Bound(),
    falsifiers={
        "iterated": variant(_above, "The iterated risk measure in place of theta_1.", "iterated"),
        "mirrored": variant(_above, "As far below the static measure as theta_1 is above.", "least"),
    },
    words="Two tail means are a law less spread than the return's, so the nested number is the milder one.",
    title="Milder than the static risk measure",
)
def above_static(p: Params, rng: np.random.Generator) -> Evidence:
    """Random trees of one to several stages, in rationals."""
    return _above(p, rng)


def figure_tails(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Nested and static tail means of the discounted sum of ten fair coins, over the level."""
    alphas, gamma, stages = np.linspace(0.02, 0.98, 49), 0.9, 10
    columns = {name: [] for name in ("low", "high", "static_low", "static_high", "iterated")}
    returns = np.zeros(1)
    for t in range(stages):
        returns = np.concatenate([returns - gamma**t, returns + gamma**t])
    returns.sort()
    P = np.zeros((stages + 1, 1, stages + 1))
    P[np.arange(stages), 0, np.arange(1, stages + 1)] = P[stages, 0, stages] = 1.0
    # Two actions, taken with equal probability, are the coin: their rewards are the two sides.
    r = np.tile([-1.0, 1.0], (stages + 1, 1))
    r[stages] = 0.0
    mdp, coin = MDP(np.repeat(P, 2, axis=1), r, gamma), np.full((stages + 1, 2), 0.5)
    for alpha in alphas:
        run = substate_evaluation(mdp, coin, float(alpha), num_iters=stages + 1)
        static = np.clip(alpha * returns.size - np.arange(returns.size), 0, 1) @ returns / (alpha * returns.size)
        columns["low"].append(run.low[-1][0])
        columns["high"].append(run.high[-1][0])
        columns["static_low"].append(static)
        columns["static_high"].append(-alpha * static / (1 - alpha))
        one = -(min(alpha, 0.5) - max(alpha - 0.5, 0)) / alpha
        columns["iterated"].append(one * (1 - gamma**stages) / (1 - gamma))
    return {"alpha": alphas} | {name: np.array(values) for name, values in columns.items()}
