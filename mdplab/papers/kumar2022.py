r"""Kumar, Levine, Feizi (ICLR 2022): certificates of policy smoothing against an adaptive adversary.

Source: arXiv:2106.11420; abstract read, statement from memory. The agent adds fresh noise N(0, sigma^2 I) to each
observation; the adversary moves observations by e_t, which may depend on everything before that noise, with
sum |e_t|^2 <= B^2 over the episode. Tested on `NoisyWalk`, where the adversary's best answer is a dynamic programme on
a grid of budgets. The grid restricts the adversary, so its result is at least the best attack's: a certificate above it
is refuted, one below it is consistent with, not proved by, the programme. With one step the programme is exact.

Derived here: a budget b for each single step costs as much as b sqrt(T) on the whole, and no less in general.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.robust.policy_smoothing import certified_mean, certified_probability
from mdplab.claims import Bound, BoundHP, Evidence, Identity, claim, variant
from mdplab.instances.noisy_walk import (
    NoisyWalk,
    attacked_return,
    expected_return,
    interval_probability,
    peeking_return,
    play,
)

# Roundings of a few steps of a dynamic programme on [0, 1].
ROUNDING = 1e-12


@dataclass(frozen=True)
class Params:
    """Sizes: `budgets` for each walk, `points` of the attack's grid, `runs` of `episodes` for confidence bounds."""

    budgets: int
    points: int
    runs: int
    episodes: int


def _walks(rng: np.random.Generator) -> list[NoisyWalk]:
    sigma = float(rng.uniform(0.3, 0.9)) * (1.0 if rng.random() < 0.5 else 3.0)
    return [NoisyWalk(T, sigma, int(rng.integers(-1, 2))) for T in (1, 2, 3, 4)]


def _shift_by_variance(p, budget, sigma):
    return certified_probability(p, budget, sigma**2)


def _shift_by_squared_budget(p, budget, sigma):
    return certified_probability(p, budget**2, sigma)


def _shift_outside(p, budget, sigma):
    return max(p - budget / sigma, 0.0)


def _half_space(p: Params, rng: np.random.Generator, certificate: Callable = certified_probability) -> Evidence:
    left, right = [], []
    for _ in range(p.budgets):
        walk = NoisyWalk(1, float(rng.uniform(1.2, 3)), int(rng.integers(-1, 2)))
        budget = float(rng.uniform(0.2, 0.8)) * walk.sigma
        left.append(attacked_return(walk, budget, points=p.points))
        right.append(float(certificate(expected_return(walk), budget, walk.sigma)))
    return Evidence(left=left, right=right, tolerance=np.full(len(left), ROUNDING))


@claim(
    "Theorem 1, tightness",
    r"\min_{|e| \le B} P(x + e + \sigma n > 0) = \Phi\big( \Phi^{-1}(p) - B/\sigma \big)",
    relation=Identity(),
    falsifiers={
        "variance": variant(_half_space, "B / sigma^2.", _shift_by_variance),
        "squared_budget": variant(_half_space, "B^2 / sigma.", _shift_by_squared_budget),
        "outside": variant(_half_space, "p - B / sigma.", _shift_outside),
    },
    words="On a half-space seen once the certificate is what the best attack reaches.",
    title="The certificate is attained",
)
def half_space(p: Params, rng: np.random.Generator) -> Evidence:
    """Walks of one step, whose attack is exact."""
    return _half_space(p, rng)


def _attack(p: Params, walk: NoisyWalk, budget: float, adversary: str) -> float:
    if adversary == "per_step":
        return expected_return(walk, per_step=budget)
    if adversary == "peeking":
        return peeking_return(walk, budget, points=p.points)
    return attacked_return(walk, budget, points=p.points)


def _adaptive(p: Params, rng: np.random.Generator, adversary: str = "adaptive") -> Evidence:
    measured, bound = [], []
    for walk in _walks(rng):
        for _ in range(p.budgets):
            budget = float(rng.uniform(0.2, 1.5)) * walk.sigma
            measured.append(float(certified_probability(expected_return(walk), budget, walk.sigma)))
            bound.append(_attack(p, walk, budget, adversary) + 2 * ROUNDING)
    # An event of the second observation of two; the first tells a reused noise.
    for width in (0.8, 1.0, 1.5):
        clean = interval_probability(width, 0.0, 1.0)
        measured.append(float(certified_probability(clean, 0.5, 1.0)))
        bound.append(interval_probability(width, 0.5, 1.0, known=adversary == "reused_noise") + 2 * ROUNDING)
    return Evidence(measured=measured, bound=bound, radius=np.full(len(measured), ROUNDING))


@claim(
    "Theorem 1",
    r"P_{adv}(E) \ge \Phi\big( \Phi^{-1}(p) - B/\sigma \big)",
    relation=Bound(),
    assumptions=(
        r"$\sum_t |\epsilon_t|^2 \le B^2$ over the episode",
        r"$\epsilon_t$ depends on what is known before the noise $n_t$",
        "fresh noise at every step",
    ),
    falsifiers={
        "per_step": variant(_adaptive, "An adversary that may spend B at every step.", "per_step"),
        "peeking": variant(_adaptive, "An adversary that sees the noise before it moves the observation.", "peeking"),
        "reused_noise": variant(_adaptive, "One draw of noise for both observations.", "reused_noise"),
    },
    words="No adaptive adversary lowers the probability of success below the certificate.",
    title="Adaptive certificate",
)
def adaptive_bound(p: Params, rng: np.random.Generator) -> Evidence:
    """Walks of one to four steps against the programme of the best attack, and intervals in closed form."""
    return _adaptive(p, rng)


def _each_step(p: Params, rng: np.random.Generator, power: float = 0.5) -> Evidence:
    measured, bound = [], []
    for walk in _walks(rng):
        for _ in range(p.budgets):
            budget = float(rng.uniform(0.1, 0.8)) * walk.sigma
            measured.append(float(certified_probability(expected_return(walk), budget * walk.T**power, walk.sigma)))
            bound.append(expected_return(walk, per_step=budget) + 2 * ROUNDING)
    return Evidence(measured=measured, bound=bound, radius=np.full(len(measured), ROUNDING))


@claim(
    "Budgets of single steps (derived)",
    r"P_{adv}(E) \ge \Phi\big( \Phi^{-1}(p) - b \sqrt{T} / \sigma \big) \ \text{if } |\epsilon_t| \le b",
    relation=Bound(),
    falsifiers={
        "once": variant(_each_step, "b, as if it were the budget of the episode.", 0.0),
        "fourth_root": variant(_each_step, "b T^(1/4).", 0.25),
    },
    words="A budget for every step needs the certificate of sqrt(T) times as much.",
    title="Budget for each step",
)
def each_step(p: Params, rng: np.random.Generator) -> Evidence:
    """The adversary with a budget for each step is exact: all or nothing, by the sign of what it gains."""
    return _each_step(p, rng)


def _layers(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound = [], []
    for walk in _walks(rng):
        final = np.sort(rng.uniform(-1, 2, 2 * walk.T + 1))[::-1]
        tau = np.sort(final)
        # A return of at least tau_i is an event of its own.
        clean = np.array([expected_return(walk, (final >= t).astype(np.float64)) for t in tau[1:]])
        for _ in range(p.budgets):
            budget = float(rng.uniform(0.2, 1.5)) * walk.sigma
            shifted = certified_probability(clean, 0.0 if flaw == "no_shift" else budget, walk.sigma)
            if flaw == "largest":
                shifted = np.full_like(shifted, shifted[np.argmax(tau[1:] > tau[0])])
            attack = attacked_return(walk, budget, final, points=p.points)
            # Returns are shifted to be positive: the ratio of two positive numbers has a meaning.
            measured.append(tau[0] + np.diff(tau) @ shifted + 1)
            bound.append(attack + 1 + 8 * ROUNDING)
    return Evidence(measured=measured, bound=bound, radius=np.full(len(measured), 4 * ROUNDING))


@claim(
    "Certificate of the return",
    r"E_{adv}[R] \ge \tau_0 + \sum_i (\tau_i - \tau_{i-1}) \Phi\big( \Phi^{-1}(p_i) - B/\sigma \big)",
    relation=Bound(),
    assumptions=(r"$p_i = P(R \ge \tau_i)$ without attack", r"$R \in \{\tau_0, \dots, \tau_m\}$"),
    falsifiers={
        "no_shift": variant(_layers, "Clean probabilities, as if the attack did nothing.", "no_shift"),
        "largest": variant(_layers, "The largest of the p_i for all of them.", "largest"),
    },
    words="Each level of the return is an event with a certificate of its own.",
    title="Certificate of the return",
)
def layered_return(p: Params, rng: np.random.Generator) -> Evidence:
    """Random decreasing returns of the last position, against the best attack on their mean."""
    return _layers(p, rng)


DELTA = 0.05


def _confidence(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    violated = []
    short, long = NoisyWalk(1, 0.7, 0), NoisyWalk(3, 1.0, 0)
    levels = 0.5 - long.positions / 6
    truth = {1: expected_return(short, per_step=0.4), 3: attacked_return(long, 0.6, levels, points=p.points)}
    for _ in range(p.runs):
        outcomes = (play(short, p.episodes, rng=rng) < 0).astype(np.float64)
        if flaw == "plug_in":
            answer = float(certified_probability(outcomes.mean(), 0.4, 0.7))
        else:
            budget = 0.0 if flaw == "no_shift" else 0.4
            answer = certified_mean(outcomes, [0.0, 1.0], budget, 0.7, delta=DELTA, joint=False)
        violated.append(answer > truth[1])
        returns = 0.5 - play(long, p.episodes, rng=rng) / 6
        answer = certified_mean(returns, np.unique(levels), 0.0 if flaw == "no_shift" else 0.6, 1.0, delta=DELTA)
        violated.append(answer > truth[3])
    return Evidence(violated=violated)


@claim(
    "Certificate from samples",
    r"P\Big( \tau_0 + \sum_i (\tau_i - \tau_{i-1}) \Phi(\Phi^{-1}(\underline{p}_i) - B/\sigma) > E_{adv}[R] \Big)"
    r" \le \delta",
    relation=BoundHP(delta=DELTA),
    assumptions=("independent clean episodes", "Clopper-Pearson for one threshold, a joint band for several"),
    falsifiers={
        "plug_in": variant(_confidence, "Frequencies in place of lower confidence bounds.", "plug_in"),
        "no_shift": variant(_confidence, "Confidence bounds of the clean return.", "no_shift"),
    },
    words="From clean episodes alone, the certified return is too high with probability at most delta.",
    title="Certificate from samples",
)
def sampled_certificate(p: Params, rng: np.random.Generator) -> Evidence:
    """One run in two has one step, where the certificate has no slack but the confidence bound's."""
    return _confidence(p, rng)


def figure_attacks(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Probability of success of a walk of three steps over the budget: three adversaries, and the certificate."""
    budgets, walk = np.linspace(0, 2, 33), NoisyWalk(3)
    columns = {
        name: np.array([_attack(p, walk, float(budget), name) for budget in budgets])
        for name in ("adaptive", "peeking", "per_step")
    }
    certificate = [float(certified_probability(expected_return(walk), budget, 1.0)) for budget in budgets]
    return {"B": budgets} | columns | {"bound": np.array(certificate)}
