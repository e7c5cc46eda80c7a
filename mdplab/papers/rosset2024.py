r"""Rosset et al. (2024), direct Nash optimisation (DNO), in tabular form with exact expectations.

Source: arXiv:2404.03715. With r_t = P pi_t, the regression of the log-ratio on the win rates has the maximiser
pi_(t+1) = pi_t exp(r_t / eta) / Z, and the paper's policy is the mean of the iterates. It shows
P(pi_(t+1) > pi_t) >= 1/2 + eta D(pi_(t+1) || pi_t).

Derived here, K the skew part of P:

- that inequality with the term it drops: P(pi_(t+1) > pi_t) = 1/2 + eta (D(pi_(t+1) || pi_t) + D(pi_t || pi_(t+1))),
  because log pi_(t+1) - log pi_t = P pi_t / eta + const is paired with pi_(t+1) - pi_t;
- for an equilibrium pi* of the game, D(pi* || pi_(t+1)) - D(pi* || pi_t) is log E exp(K pi_t / eta), a mean under
  pi_t, minus <pi*, K pi_t> / eta >= 0. K pi_t under pi_t precedes the uniform law on an interval of length 1 in the
  convex order (Landau's inequality): one step moves away by at most 1 / (24 eta^2), which is best possible
  (`nash_md_tight`), and the mean of T iterates from the uniform start has a gap of at most
  2 (eta log(n) / T + 1 / (24 eta)), against 1 / (8 eta) by Hoeffding's lemma;
- if pi* has full support, K pi* = 0 and the change is at least 0 by Jensen's inequality: the last iterate never
  approaches it. The method converges on average only.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mdplab.algorithms.games.dno import dno, dno_step, hedge_step
from mdplab.claims import Bound, Evidence, Identity, Witness, claim, variant
from mdplab.exact.games import nash_equilibrium
from mdplab.instances.games import nash_md_tight, random_preferences, three_cycle
from mdplab.kernels.softmax import kl_divergence, log_softmax, logsumexp, softmax
from mdplab.models import PreferenceGame
from mdplab.papers.shared.games import U, any_family, random_policies


@dataclass(frozen=True)
class Params:
    """Sizes: `actions` of random games; `starts` policies a game; `horizon` of runs."""

    actions: int
    starts: int
    horizon: int


def _game(p, rng):
    return random_preferences(p.actions, rng=rng, family=any_family(rng))


def _payoff(game, log_pi):
    return softmax(log_pi) @ game.K.T


def _transposed(game, log_pi, *, eta):
    return dno_step(game.replace(P=game.P.T), log_pi, eta=eta)


def _inverted(game, log_pi, *, eta):
    return dno_step(game, log_pi, eta=1 / eta)


def _newton(game, log_pi, eta, law, labels):
    """Maximiser of the objective for pairs from `law` and label probabilities `labels`, by Newton steps; its error."""
    x = np.zeros(game.n)
    for _ in range(60):
        sigma = 1 / (1 + np.exp(eta * (x[None, :] - x[:, None])))
        curvature = eta**2 * law * sigma * (1 - sigma)
        residual = law * (labels - sigma)
        gradient = eta * (residual.sum(axis=1) - residual.sum(axis=0))
        hessian = np.diag(curvature.sum(axis=1) + curvature.sum(axis=0)) - curvature - curvature.T
        # The constant is free; where no pair ties an action to the others, the least change is none.
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]
        x = x + step
        if np.ptp(step) <= 64 * U * (1 + np.ptp(x)):
            break
    singular = np.linalg.svd(hessian, compute_uv=False)
    # Gradient at rounding level, times the inverse of the curvature.
    return log_softmax(log_pi + x), 64 * game.n * U * (1 + eta) / singular[game.n - 2] + 64 * U * (1 + np.ptp(log_pi))


def _minimiser(p, rng, step=dno_step, rewards=True, unseen=False):
    left, right, tolerance = [], [], []
    for _ in range(4):
        game = _game(p, rng)
        log_pi, eta = log_softmax(rng.standard_normal(game.n)), float(rng.uniform(0.5, 2.0))
        law = rng.uniform(0.2, 1.0, size=(game.n, game.n))
        gain = game.P @ softmax(log_pi)
        # Labels of 0 or 1 would have no maximiser: preferences are taken half the way to a tie.
        labels = 1 / (1 + np.exp(gain[None, :] - gain[:, None])) if rewards else 0.5 + 0.5 * game.K
        seen = law.copy()
        if unseen:
            seen[0] = seen[:, 0] = 0
        found, error = _newton(game, log_pi, eta, seen / seen.sum(), labels)
        left.append(step(game, log_pi, eta=eta))
        right.append(found)
        tolerance.append(np.full(game.n, min(error, 1e-6) if unseen else error))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Algorithm 1, regression",
    r"\arg\max_\pi E\left[\sigma(r_t - r_t') \log \sigma(\Delta_\pi)"
    r" + \sigma(r_t' - r_t) \log \sigma(-\Delta_\pi)\right] \propto \pi_t e^{r_t / \eta},"
    r"\quad \Delta_\pi = \eta \log \frac{\pi(y) \pi_t(y')}{\pi_t(y) \pi(y')}",
    relation=Identity(),
    assumptions=("any law of the pairs with full support",),
    falsifiers={
        "transposed": variant(_minimiser, "P transposed.", _transposed),
        "inverted": variant(_minimiser, "eta in place of 1 / eta.", _inverted),
        "pairwise_labels": variant(_minimiser, "Labels from P(y > y'), not from win rates.", rewards=False),
        "unseen_action": variant(_minimiser, "One action is never compared.", unseen=True),
    },
    words="The regression is one step of exponential weights on the win rates, whatever the law of the pairs.",
    title="The regression is exponential weights",
)
def regression(p: Params, rng: np.random.Generator) -> Evidence:
    """The library's step against Newton's method on the objective, for random laws of the pairs."""
    return _minimiser(p, rng)


def _progress(p, rng, step=dno_step, both=True):
    left, right, tolerance = [], [], []
    for _ in range(4):
        game, eta = _game(p, rng), float(np.exp(rng.uniform(-3, 2)))
        before = random_policies(p.starts, game.n, rng)
        after = step(game, before, eta=eta)
        left.append(np.einsum("sy,sy->s", softmax(after), _payoff(game, before)))
        right.append(eta * (kl_divergence(after, before) + (kl_divergence(before, after) if both else 0.0)))
        # Rounding of logits of size 1 / eta and of divergences of their range.
        tolerance.append(64 * game.n * U * (1 + eta) * (1 + 1 / eta + np.ptp(before, axis=1)))
    return Evidence(left=np.ravel(left), right=np.ravel(right), tolerance=np.ravel(tolerance))


@claim(
    "Monotonic improvement (derived)",
    r"P(\pi_{t+1} \succ \pi_t) = \frac12 + \eta \left[D(\pi_{t+1} \| \pi_t) + D(\pi_t \| \pi_{t+1})\right]",
    relation=Identity(),
    falsifiers={
        "transposed": variant(_progress, "P transposed.", _transposed),
        "inverted": variant(_progress, "A step of eta in place of 1 / eta.", _inverted),
        "one_sided": variant(_progress, "The paper's one divergence, as an equality.", both=False),
    },
    lemmas=("munos2023:three_point",),
    words="How much the next policy is preferred to the current one is exactly eta times the divergence both ways.",
    title="One step wins by this much",
)
def progress(p: Params, rng: np.random.Generator) -> Evidence:
    """Random and peaked policies on four games, steps from small to large."""
    return _progress(p, rng)


def _improvement(p, rng, step=dno_step, factor=1.0):
    measured, bound, radius = [], [], []
    # Besides random games, a leap from an action that had nearly all the mass: the divergence back is then log 2.
    leap = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    depth = float(rng.uniform(200, 400))
    cases = [(leap, np.tile([-depth, 0.0], (p.starts, 1)), 0.5 / depth)]
    for _ in range(3):
        game = _game(p, rng)
        cases.append((game, random_policies(p.starts, game.n, rng), float(np.exp(rng.uniform(-3, 2)))))
    for game, before, eta in cases:
        after = step(game, before, eta=eta)
        measured.append(factor * eta * kl_divergence(after, before))
        bound.append(np.einsum("sy,sy->s", softmax(after), _payoff(game, before)))
        radius.append(64 * game.n * U * (1 + eta) * (1 + 1 / eta + np.ptp(before, axis=1)))
    # Where the policy cannot move, both sides are rounding: the bound has room for it.
    bound = np.ravel(bound) + 2 * np.ravel(radius)
    return Evidence(measured=np.ravel(measured), bound=bound, radius=np.ravel(radius))


@claim(
    "Monotonic improvement",
    r"P(\pi_{t+1} \succ \pi_t) \ge \frac12 + \eta D(\pi_{t+1} \| \pi_t)",
    relation=Bound(),
    falsifiers={
        "transposed": variant(_improvement, "P transposed.", _transposed),
        "doubled": variant(_improvement, "Twice the divergence.", factor=2.0),
        "slightly_more": variant(_improvement, "1.02 times the divergence.", factor=1.02),
    },
    lemmas=("tomar2020:step_gain",),
    words="Every step is preferred to the one before, by eta times the divergence moved; no better constant holds.",
    title="Monotonic improvement, as printed",
)
def improvement(p: Params, rng: np.random.Generator) -> Evidence:
    """Random games, and leaps in a game of two actions for which the inequality is nearly an equality."""
    return _improvement(p, rng)


def _drift(p, rng, step=dno_step, constant=24.0):
    measured, bound, radius = [], [], []
    tie, before = nash_md_tight(40, 1e-12)
    cases = [(tie, np.tile(before, (p.starts, 1)), 2.0, np.eye(tie.n)[0])]
    for _ in range(3):
        game = _game(p, rng)
        star = nash_equilibrium(game).policy
        cases.append((game, random_policies(p.starts, game.n, rng), float(np.exp(rng.uniform(-1, 3))), star))
    for game, log_pi, eta, star in cases:
        log_next = step(game, log_pi, eta=eta)
        # D(pi* || pi+) - D(pi* || pi) needs no logarithm of pi*, whose entries may vanish.
        measured.append((log_pi - log_next) @ star)
        bound.append(np.full(p.starts, 1 / (constant * eta**2)))
        # The linear program's equilibrium is certified to a gap of 1e-9, which <pi*, K pi> / eta inherits.
        radius.append(np.full(p.starts, 1e-9 / eta) + 64 * game.n * U * (1 / eta + np.ptp(log_pi, axis=1)))
    return Evidence(measured=np.ravel(measured), bound=np.ravel(bound), radius=np.ravel(radius))


@claim(
    "Drift of one step (derived)",
    r"D(\pi^* \| \pi_{t+1}) - D(\pi^* \| \pi_t) \le \frac{1}{24 \eta^2}",
    relation=Bound(),
    assumptions=(r"$\pi^*$ is an equilibrium of the unregularised game",),
    falsifiers={
        "transposed": variant(_drift, "P transposed.", _transposed),
        "inverted": variant(_drift, "A step of eta in place of 1 / eta.", _inverted),
        "constant_25": variant(_drift, "1 / (25 eta^2).", constant=25.0),
    },
    controls={"hoeffding": variant(_drift, "1 / (8 eta^2), by Hoeffding's lemma.", constant=8.0)},
    lemmas=("munos2023:landau", "munos2023:uniform_moment"),
    words="One step moves away from an equilibrium by at most 1 / (24 eta^2), which is best possible.",
    title="One step barely moves away",
)
def drift(p: Params, rng: np.random.Generator) -> Evidence:
    """Random games with equilibria by linear programming, and the extremal game."""
    return _drift(p, rng)


def _gap(game, policies):
    return 2 * np.max(policies @ game.K.T, axis=-1)


def _average(p, rng, constant, last=False, transposed=False, factor=1.0):
    measured, bound, radius = [], [], []
    T = np.arange(1, p.horizon + 1)
    cycle = three_cycle(*(float(x) for x in rng.uniform(0.1, 0.5, size=3)))
    for game in (_game(p, rng), random_preferences(p.actions, rng=rng, family="total-order"), cycle):
        played = game.replace(P=game.P.T) if transposed else game
        for eta in (hedge_step(game.n, p.horizon), 0.3):
            run = dno(played, eta=eta, num_iters=p.horizon)
            # `mean_policy` at T is the mean of the T policies before it.
            policies = softmax(run["log_pi"]) if last else run["mean_policy"]
            measured.append(_gap(game, policies)[1:])
            bound.append(2 * factor * (eta * np.log(game.n) / T + 1 / (constant * eta)))
            # Accumulated rounding of T logits of size 1 / eta.
            radius.append(64 * game.n * U * T * (1 + 1 / eta))
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Average iterate (Hedge)",
    r"gap_0(\bar\pi_T) \le 2\left(\frac{\eta \log n}{T} + \frac{1}{8\eta}\right)",
    relation=Bound(),
    assumptions=("uniform start", r"$\bar\pi_T$ is the mean of the first $T$ policies"),
    falsifiers={
        "transposed": variant(_average, "P transposed.", 8.0, transposed=True),
        "strengthened": variant(_average, "A quarter of the bound.", 8.0, factor=0.25),
    },
    controls={"derived": variant(_average, "The derived constant 1/24.", 24.0)},
    lemmas=("hoeffding1963:tilted_variance",),
    words="The mean of the policies approaches an equilibrium at the rate of exponential weights.",
    title="The mean of the iterates",
)
def average(p: Params, rng: np.random.Generator) -> Evidence:
    """Every T up to the horizon on three games, with the step tuned to it and with a long one."""
    return _average(p, rng, 8.0)


@claim(
    "Average iterate, sharper (derived)",
    r"gap_0(\bar\pi_T) \le 2\left(\frac{\eta \log n}{T} + \frac{1}{24\eta}\right)",
    relation=Bound(),
    assumptions=("uniform start", r"$\bar\pi_T$ is the mean of the first $T$ policies"),
    falsifiers={
        "transposed": variant(_average, "P transposed.", 24.0, transposed=True),
        "last_iterate": variant(_average, "The last policy in place of the mean.", 24.0, last=True),
        "strengthened": variant(_average, "Half the bound.", 24.0, factor=0.5),
    },
    lemmas=("munos2023:landau", "munos2023:uniform_moment"),
    words="In self-play the payoffs are less spread out than Hoeffding's lemma allows for: a third of the second term.",
    title="The mean of the iterates, sharper",
)
def average_sharp(p: Params, rng: np.random.Generator) -> Evidence:
    """As `average`."""
    return _average(p, rng, 24.0)


def _look_ahead(game, log_pi, *, eta):
    return log_softmax(log_pi + _payoff(game, dno_step(game, log_pi, eta=eta)) / eta)


def _spiral(p, rng, step=dno_step):
    left, right, tolerance = [], [], []
    for _ in range(4):
        margins, eta = rng.uniform(0.05, 0.5, size=3), float(np.exp(rng.uniform(-1, 3)))
        game = three_cycle(*(float(x) for x in margins))
        log_pi = log_softmax(2 * rng.standard_normal((p.starts, 3)))
        star = np.roll(margins, -1) / margins.sum()
        left.append((log_pi - step(game, log_pi, eta=eta)) @ star)
        right.append(logsumexp(log_pi + _payoff(game, log_pi) / eta))
        # Rounding of logits, of pi* and of exponents of up to 1 / eta.
        tolerance.append(64 * U * (1 + 1 / eta + np.ptp(log_pi, axis=1)))
    return Evidence(left=np.ravel(left), right=np.ravel(right), tolerance=np.ravel(tolerance))


@claim(
    "Last iterate on a cycle (derived)",
    r"K\pi^* = 0,\ \pi^* > 0\ \Rightarrow\ D(\pi^* \| \pi_{t+1}) - D(\pi^* \| \pi_t)"
    r" = \log E_{\pi_t} e^{K\pi_t / \eta} \ge 0",
    relation=Identity(),
    assumptions=("three cyclic actions, whose equilibrium is known in closed form",),
    falsifiers={
        "transposed": variant(_spiral, "P transposed.", _transposed),
        "inverted": variant(_spiral, "A step of eta in place of 1 / eta.", _inverted),
        "look_ahead": variant(_spiral, "Win rates of the policy one step ahead.", _look_ahead),
    },
    lemmas=("munos2023:three_cycle",),
    words="Around an equilibrium of full support the last policy spirals outwards, by exactly this much a step.",
    title="The last iterate spirals out",
)
def spiral(p: Params, rng: np.random.Generator) -> Evidence:
    """Random margins, steps and policies."""
    return _spiral(p, rng)


def _approach(p, rng, transposed=False, weights=None):
    """Exact facts about rock, paper, scissors with 0/1 outcomes from a random rational policy."""
    drawn = [int(x) for x in rng.permutation([1, 2, 4])] if weights is None else weights
    total = sum(drawn)
    pi = [Fraction(x, total) for x in drawn]
    half = Fraction(-1, 2) if transposed else Fraction(1, 2)
    K = [[Fraction(0), half, -half], [-half, Fraction(0), half], [half, -half, Fraction(0)]]
    # eta = 1 / (2 total log 2) makes exp(K pi / eta) a power of two.
    factors = [Fraction(2) ** int(2 * total * sum(k * x for k, x in zip(row, pi))) for row in K]
    partition = sum(x * w for x, w in zip(pi, factors))
    after = [x * w / partition for x, w in zip(pi, factors)]
    # pi* is uniform, hence D(pi* || pi) = -log(27 prod pi) / 3: it grows if and only if the product falls.
    before_product, after_product = pi[0] * pi[1] * pi[2], after[0] * after[1] * after[2]
    holds = [all(sum(row) == 0 for row in K), sum(after) == 1, after_product >= before_product]
    text = f"from {', '.join(map(str, pi))}: the product falls from {before_product} to {after_product}"
    return Evidence(holds=holds, text=text)


@claim(
    "Misreading (last iterate)",
    r"D(\pi^* \| \pi_{t+1}) \le D(\pi^* \| \pi_t),\ \text{so that}\ \pi_t \to \pi^*",
    relation=Witness(),
    assumptions=("not a statement of the paper, which returns the mean of the iterates",),
    falsifiers={"transposed": variant(_approach, "P transposed: the cycle turns the other way.", transposed=True)},
    controls={"equilibrium": variant(_approach, "Started at the equilibrium.", weights=[1, 1, 1])},
    words="The last policy of DNO approaches the equilibrium.",
    title="The last iterate converges",
)
def last_iterate_converges(p: Params, rng: np.random.Generator) -> Evidence:
    """Refuted in rational arithmetic: on a cycle of three actions every step moves away."""
    return _approach(p, rng)


def _cumulative(p, rng, factor=1.0, last_only=False):
    left, right, tolerance = [], [], []
    for _ in range(3):
        game, eta, start = _game(p, rng), float(rng.uniform(0.5, 3.0)), log_softmax(rng.standard_normal(p.actions))
        log_pi = dno(game, eta=eta, num_iters=p.horizon, log_pi0=start)["log_pi"]
        # P in place of K: win rates differ from payoffs by a constant.
        rates = softmax(log_pi[:-1]) @ game.P.T
        total = rates[-1] * p.horizon if last_only else rates.sum(axis=0)
        left.append(log_pi[-1])
        right.append(log_softmax(start + factor * total / eta))
        # One rounding of logits of at most T / eta in each of T steps.
        tolerance.append(np.full(game.n, 16 * U * p.horizon * (1 + p.horizon / eta)))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "DNO is exponential weights (derived)",
    r"\pi_T \propto \pi_0 \exp\left(\frac1\eta \sum_{t<T} P\pi_t\right)",
    relation=Identity(),
    assumptions=(r"also mirror descent in self-play without regularisation, and REBEL with the step $1/\eta$",),
    falsifiers={
        "last_only": variant(_cumulative, "The last win rates, T times.", last_only=True),
        "half_step": variant(_cumulative, "Half the step.", factor=0.5),
    },
    words="The policy depends on the history through the sum of the win rates only.",
    title="History enters as a sum",
)
def cumulative(p: Params, rng: np.random.Generator) -> Evidence:
    """The last policy of a run against the sum of its win rates."""
    return _cumulative(p, rng)


def figure_cycle(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """gap_0 of the last policy and of the mean over updates, on rock, paper, scissors from an uneven start."""
    game, eta, horizon = three_cycle(0.5, 0.5, 0.5), 5.0, 20000
    T = np.unique(np.round(np.logspace(0, np.log10(horizon), 160)).astype(int))
    start = np.log([0.5, 0.3, 0.2])
    run = dno(game, eta=eta, num_iters=horizon, log_pi0=start, checkpoints=T)
    # The comparator's divergence from this start is at most log 5 in place of log n.
    bound = 2 * (eta * np.log(5) / T + 1 / (24 * eta))
    return {"T": T, "last": _gap(game, softmax(run["log_pi"])), "mean": _gap(game, run["mean_policy"]), "bound": bound}
