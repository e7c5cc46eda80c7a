r"""Zhou, Fazel, Du (2025), extragradient preference optimisation (EGPO), in tabular form with exact preferences.

Source: arXiv:2503.08942: the abstract (last-iterate linear convergence to the regularised equilibrium, polynomial to
the original one, robustness to noise) and the authors' code (update, losses, simulations). Constants are derived here,
with h = eta tau, q = 1 - h, w the half step, u the full step and L = max |K_ik - K_jk - K_il + K_jl| / 4 <= 1/2:

- the energy balance D(pi* || u) = q (D(pi* || pi) - D(w || pi)) - h D(w || pi*) - D(u || w) + eta <K (pi - w), w - u>,
  for every eta; its last term is absorbed if eta <= 1 / (tau + L), which gives D(pi* || u) <= q D(pi* || pi);
- spans of log pi_T - log pi* at most q^T s_0 + 2 L sqrt(2 eta q D_0 / tau) q^((T-1)/2) / (1 - sqrt q), from the
  recursion log u - log pi* = q (log pi - log pi*) + eta K (w - pi*) + const;
- logit errors e1, e2 cost at most sp(e2)^2 / (8 h) + sp(e1 - e2)^2 / (8 (1 - eta^2 L^2 / q)), without the first term
  if e2 has mean zero given the past and e1;
- the linearised update has eigenvalues q + i q eta w - eta^2 w^2, +-i w in the spectrum of K A(pi*).

The authors' code mixes with weight 2 lr / n, half of what its gradient step implies (4 lr / n): both are parameters.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from mdplab.algorithms.games.egpo import egpo, egpo_step, egpo_steps, safe_step
from mdplab.algorithms.games.iteration import mirror_step
from mdplab.algorithms.games.nash_md import nash_md
from mdplab.algorithms.games.nash_pg import nash_md_pg
from mdplab.algorithms.games.omwu import omwu
from mdplab.algorithms.games.preference_losses import (
    LOSSES,
    descend,
    ipo2_gradient,
    ipo2_loss,
    ipo_gradient,
    ipo_loss,
)
from mdplab.algorithms.games.self_play import omd, omd_step
from mdplab.claims import Bound, BoundMean, Evidence, Identity, LinearRate, Ordering, Rate, claim, variant
from mdplab.exact.games import constant_step_limit, regularized_gap, regularized_nash
from mdplab.instances.games import random_preferences, three_cycle
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.models import PreferenceGame
from mdplab.papers.shared.games import (
    U,
    above_rounding,
    any_family,
    equilibrium,
    gap_radius,
    kl_radius,
    payoff,
    random_game,
    random_policies,
    running_mean,
)

# tau, iterations and learning rate of the paper's simulations with exact gradients (ten actions, ten games).
SIMULATIONS = {"coarse": (0.1, 1000, 0.1), "middle": (0.01, 5000, 0.02), "fine": (0.001, 100_000, 2e-4)}


@dataclass(frozen=True)
class Params:
    """Sizes: `actions` at most; `starts` policies a game; `horizon` updates of a run; `runs` with noise; `games` of the
    simulations."""

    actions: int
    starts: int
    horizon: int
    runs: int
    games: int


def _game(p, rng, low=0.003, high=2.0):
    return random_game(p.actions, rng, low, high)


def _cycle(tau):
    """Rock, paper, scissors with 0/1 preferences, on which long steps are seen to fail."""
    return three_cycle(0.5, 0.5, 0.5), tau


def _starts(p, game, rng):
    return np.vstack([game.log_mu, random_policies(p.starts, game.n, rng, (1.0, 3.0, 10.0))])


def _transposed(game, log_pi, *, tau, eta):
    return egpo_steps(game.replace(P=game.P.T), log_pi, tau=tau, eta=eta)


def _half_base(game, log_pi, *, tau, eta):
    half = omd_step(game, log_pi, tau=tau, eta=eta)
    return half, omd_step(game, half, tau=tau, eta=eta)


def _no_anchor(game, log_pi, *, tau, eta):
    return egpo_steps(game.replace(mu=None), log_pi, tau=tau, eta=eta)


def _no_look_ahead(game, log_pi, *, tau, eta):
    return (omd_step(game, log_pi, tau=tau, eta=eta),) * 2


MUTANTS = {
    "transposed": (_transposed, "P transposed."),
    "half_base": (_half_base, "The full step starts at the half step."),
    "no_anchor": (_no_anchor, "eta tau log mu is left out."),
    "no_look_ahead": (_no_look_ahead, "The full step repeats the half step: OMD."),
}


def _mutants(function, *names):
    return {name: variant(function, MUTANTS[name][1], step=MUTANTS[name][0]) for name in names}


def _one_step(p, rng, step=egpo_steps, stretch=1.0, reversed_kl=False):
    measured, bound, radius = [], [], []
    for game, tau in (_game(p, rng), _cycle(0.01)):
        log_star, span = equilibrium(game, tau)
        # The first start is mu, which is the equilibrium of the cycle.
        log_pi = _starts(p, game, rng)[1:]
        L = game.operator_constant()
        for eta in (safe_step(game, tau), safe_step(game, tau, L=L), 0.02 * safe_step(game, tau)):
            eta = min(stretch * eta, 1 / tau)
            half, full = step(game, log_pi, tau=tau, eta=eta)
            before, after = (
                kl_divergence(x, log_star) if reversed_kl else kl_divergence(log_star, x) for x in (log_pi, full)
            )
            measured.append(after + eta * tau * kl_divergence(half, log_star))
            radius.append(kl_radius(log_star, span, log_pi, half, full))
            # For short steps and peaked policies the bound becomes an equality: room for the radius.
            bound.append((1 - eta * tau) * before + 2 * radius[-1])
    return Evidence(measured=np.ravel(measured), bound=np.ravel(bound), radius=np.ravel(radius))


@claim(
    "Linear convergence, one step (constant derived)",
    r"D(\pi^* \| \pi_{t+1}) + \eta\tau D(\pi_{t+1/2} \| \pi^*) \le (1 - \eta\tau) D(\pi^* \| \pi_t)",
    relation=Bound(),
    assumptions=(r"$\eta \le 1 / (\tau + L(K))$, $L \le 1/2$", r"$\pi_t$ and $\mu$ have full support"),
    falsifiers=_mutants(_one_step, *MUTANTS)
    | {
        "longer_step": variant(_one_step, "Twice the step.", stretch=2.0),
        "reversed_kl": variant(_one_step, "D(pi || pi*) in place of D(pi* || pi).", reversed_kl=True),
    },
    lemmas=("zhou2025:energy", "zhou2025:operator_norm", "zhou2025:absorbed"),
    words="One update contracts the divergence from the equilibrium by 1 - eta tau or more.",
    title="One step of EGPO",
)
def one_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies from flat to peaked on a random game and on rock-paper-scissors, at three steps up to the longest."""
    return _one_step(p, rng)


def _energy(p, rng, step=egpo_steps, reversed_kl=False):
    left, right, tolerance = [], [], []
    for _ in range(3):
        game, tau = _game(p, rng, low=0.05)
        log_star, span = equilibrium(game, tau)
        log_pi, h = _starts(p, game, rng), float(rng.uniform(0.05, 0.95))
        eta = h / tau
        half, full = step(game, log_pi, tau=tau, eta=eta)
        moved = kl_divergence(log_pi, half) if reversed_kl else kl_divergence(half, log_pi)
        moment = payoff(game, log_pi) - payoff(game, half)
        cross = np.sum(moment * (softmax(half) - softmax(full)), axis=-1)
        left.append(kl_divergence(log_star, full))
        right.append(
            (1 - h) * (kl_divergence(log_star, log_pi) - moved)
            - h * kl_divergence(half, log_star)
            - kl_divergence(full, half)
            + eta * cross
        )
        tolerance.append(2 * kl_radius(log_star, span, log_pi, half, full) * (1 + eta))
    return Evidence(left=np.ravel(left), right=np.ravel(right), tolerance=np.ravel(tolerance))


@claim(
    "Energy balance (derived)",
    r"D(\pi^* \| u) = q (D(\pi^* \| \pi) - D(w \| \pi)) - \eta\tau D(w \| \pi^*) - D(u \| w)"
    r" + \eta \langle K (\pi - w), w - u \rangle",
    relation=Identity(),
    assumptions=(r"any $\eta \le 1 / \tau$; $q = 1 - \eta\tau$",),
    falsifiers=_mutants(_energy, *MUTANTS)
    | {"reversed_kl": variant(_energy, "D(pi || w) in place of D(w || pi).", reversed_kl=True)},
    lemmas=("zhou2025:energy", "munos2023:three_point"),
    words="An update from pi over the half step w to u changes the divergence from the equilibrium by exactly this.",
    title="Energy balance of one step",
)
def energy(p: Params, rng: np.random.Generator) -> Evidence:
    """The library's update against divergences computed from its definition, on three games at any step."""
    return _energy(p, rng)


DIVERGENCE, SPAN, GAP = range(3)


def _path(p, rng, method=egpo, low=0.02, high=0.5):
    """Game, tau, eta, log pi*, span of its error and the policies of a run, (T + 1, n)."""
    game, tau = _game(p, rng, low=low, high=high) if rng.random() < 0.7 else _cycle(float(rng.uniform(low, high)))
    eta = safe_step(game, tau)
    log_star, span = equilibrium(game, tau)
    start = 3 * rng.standard_normal(game.n)
    return game, tau, eta, log_star, span, method(game, tau=tau, eta=eta, num_iters=p.horizon, log_pi0=start)["log_pi"]


def _transposed_run(game, **arguments):
    return egpo(game.replace(P=game.P.T), **arguments)


def _bounds(game, tau, eta, log_star, log_pi):
    """The bounds on divergence, span and gap at T = 1 .. from the first policy's."""
    q, L, T = 1 - eta * tau, game.operator_constant(), np.arange(1, len(log_pi))
    D0, s0 = float(kl_divergence(log_star, log_pi[0])), float(np.ptp(log_pi[0] - log_star))
    D = q**T * D0
    span = q**T * s0 + 2 * L * np.sqrt(2 * eta * q * D0 / tau) * q ** ((T - 1) / 2) / (1 - np.sqrt(q))
    return D, span, tau * np.sqrt(2 * D) * span + 2 * L**2 / tau * D


def _run_bound(p, rng, which, method=egpo, exponent=1.0):
    game, tau, eta, log_star, span, log_pi = _path(p, rng, method)
    T = np.arange(1, len(log_pi))
    bound = _bounds(game, tau, eta, log_star, log_pi)[which] * (1 - eta * tau) ** ((exponent - 1) * T)
    after = log_pi[1:]
    if which == DIVERGENCE:
        measured, radius = kl_divergence(log_star, after), kl_radius(log_star, span, after)
    elif which == SPAN:
        measured, radius = np.ptp(after - log_star, axis=-1), 2 * span + 64 * game.n * U * (1 + 1 / tau)
    else:
        measured, radius = regularized_gap(game, after, tau=tau), gap_radius(game, after, tau)
    return Evidence(**above_rounding(measured, bound, radius))


def _run_variants(which):
    return {
        "transposed": variant(_run_bound, "P transposed.", which, _transposed_run),
        "no_look_ahead": variant(_run_bound, "OMD with EGPO's step.", which, omd),
        "strengthened": variant(_run_bound, "The bound times (1 - eta tau)^(3 T).", which, exponent=4.0),
    }


@claim(
    "Linear convergence (constant derived)",
    r"D(\pi^* \| \pi_T) \le (1 - \eta\tau)^T D(\pi^* \| \pi_0)",
    relation=Bound(),
    assumptions=(r"$\eta = 1 / (\tau + 1/2)$",),
    falsifiers=_run_variants(DIVERGENCE),
    lemmas=("zhou2025:energy", "zhou2025:operator_norm", "zhou2025:absorbed"),
    words="The last iterate converges to the regularised equilibrium at a rate that no game can worsen.",
    title="Last iterate of EGPO",
)
def last_iterate(p: Params, rng: np.random.Generator) -> Evidence:
    """Every T up to the horizon from a random policy, on a random game or rock-paper-scissors."""
    return _run_bound(p, rng, DIVERGENCE)


@claim(
    "Linear convergence of log-policies (derived)",
    r"sp(\log\pi_T - \log\pi^*) \le q^T s_0 + 2L\sqrt{2\eta q D_0 / \tau}\, q^{(T-1)/2} / (1 - \sqrt q)",
    relation=Bound(),
    assumptions=(r"$\eta = 1 / (\tau + 1/2)$, $q = 1 - \eta\tau$",),
    falsifiers=_run_variants(SPAN),
    lemmas=("zhou2025:operator_norm",),
    words="Log-probabilities converge uniformly over actions, at half the divergence's rate.",
    title="Log-policies of EGPO",
)
def log_policies(p: Params, rng: np.random.Generator) -> Evidence:
    """As `last_iterate`."""
    return _run_bound(p, rng, SPAN)


@claim(
    "Linear convergence of the gap (derived)",
    r"gap_\tau(\pi_T) \le \tau \sqrt{2 D_0 q^T}\, S_T + \frac{2 L^2}{\tau} D_0 q^T",
    relation=Bound(),
    assumptions=(r"$\eta = 1 / (\tau + 1/2)$; $S_T$ the bound on the span",),
    falsifiers=_run_variants(GAP),
    lemmas=("munos2023:gap",),
    words="The duality gap of the last iterate falls geometrically.",
    title="Duality gap of EGPO",
)
def duality_gap(p: Params, rng: np.random.Generator) -> Evidence:
    """As `last_iterate`."""
    return _run_bound(p, rng, GAP)


def _linear(p, rng, constant=False, averaged=False, from_star=False):
    tau = float(rng.uniform(0.1, 0.3))
    game = three_cycle(0.5, 0.5, 0.5, softmax(rng.standard_normal(3)))
    log_star, _ = equilibrium(game, tau)
    start = log_star if from_star else 2 * rng.standard_normal(3)
    method, eta = (nash_md, 0.2 / tau) if constant else (egpo, safe_step(game, tau))
    log_pi = method(game, tau=tau, eta=eta, num_iters=300, log_pi0=start)["log_pi"]
    if averaged:
        log_pi = running_mean(log_pi)
    # Policies carry roundings of 1e-16 / tau, whose squares the divergence sees.
    return Evidence(error=kl_divergence(log_star, log_pi), floor=1e-26)


@claim(
    "Abstract",
    r"D(\pi^*_\tau \| \pi_t) = O(\rho^t),\quad \rho < 1",
    relation=LinearRate(),
    assumptions=(r"$\eta = 1 / (\tau + 1/2)$", r"cyclic preferences, random $\mu$, $0.1 \le \tau \le 0.3$"),
    falsifiers={
        "nash_md": variant(_linear, "Nash-MD with the constant step eta tau = 1/5.", constant=True),
        "averaged": variant(_linear, "The average of the policies so far.", averaged=True),
    },
    words="The last iterate converges linearly; Nash-MD with a constant step and averages do not.",
    title="EGPO converges linearly",
    zero_error=variant(_linear, "Started at the equilibrium.", from_star=True),
)
def converges_linearly(p: Params, rng: np.random.Generator) -> Evidence:
    """The divergence from the regularised equilibrium, update by update."""
    return _linear(p, rng)


def _gap_pointwise(p, rng, first=2.0, second=2.0, reversed_kl=False):
    game, tau = _game(p, rng, low=0.02)
    log_star, span = equilibrium(game, tau)
    log_pi = np.vstack([_starts(p, game, rng), log_star + 0.03 * rng.standard_normal((6, game.n))])
    forward, backward = kl_divergence(log_pi, log_star), kl_divergence(log_star, log_pi)
    if reversed_kl:
        forward, backward = backward, forward
    bound = first * tau * forward + second * game.operator_constant() ** 2 / tau * backward
    radius = kl_radius(log_star, span, log_pi)
    # Where K (pi - pi*) vanishes, the bound is an equality: room for the radius.
    room = (2 * tau + 1 / tau) * radius
    return Evidence(measured=regularized_gap(game, log_pi, tau=tau), bound=bound + 2 * room, radius=room)


@claim(
    "Gap from divergences (derived)",
    r"gap_\tau(\pi) \le 2\tau D(\pi \| \pi^*) + \frac{2 L^2}{\tau} D(\pi^* \| \pi)",
    relation=Bound(),
    falsifiers={
        "first_alone": variant(_gap_pointwise, "Without the second term.", second=0.0),
        "first_half": variant(_gap_pointwise, "tau D in place of 2 tau D.", first=1.0),
        "reversed_kl": variant(_gap_pointwise, "The two divergences exchanged.", reversed_kl=True),
    },
    lemmas=("munos2023:gap", "munos2023:hoeffding", "zhou2025:operator_norm"),
    words="Divergence from the equilibrium bounds the duality gap: the converse of the certificate.",
    title="Duality gap at a policy",
)
def gap_pointwise(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies from flat to peaked, and near the equilibrium."""
    return _gap_pointwise(p, rng)


def _errors(p, rng, biased=True, spread=True, shift=0.0):
    measured, bound, radius = [], [], []
    for _ in range(3):
        game, tau = _game(p, rng, low=0.05)
        log_star, span = equilibrium(game, tau)
        eta = float(rng.choice([0.02, 0.3, 1.0])) * safe_step(game, tau)
        q, L = 1 - eta * tau, game.operator_constant()
        log_pi = np.vstack([np.tile(log_star, (6, 1)), _starts(p, game, rng)])
        size = 10 ** rng.uniform(-2, 0, size=(len(log_pi), 1))
        first, second = size * rng.uniform(-0.5, 0.5, size=(2, *log_pi.shape))
        # A common pull, errors of the full step alone, errors of the half step alone.
        first[:2], first[2:4], second[4:6] = second[:2], 0.0, 0.0
        half, full = egpo_steps(game, log_pi, tau=tau, eta=eta, payoff_errors=(first / eta, second / eta))
        cost = np.ptp(second, axis=-1) ** 2 / (8 * eta * tau) * biased
        cost = cost + np.ptp(first - second, axis=-1) ** 2 / (8 * (1 - eta**2 * L**2 / q)) * spread
        measured.append(kl_divergence(log_star, full))
        bound.append((1 - (1 + shift) * eta * tau) * kl_divergence(log_star, log_pi) + cost)
        radius.append(kl_radius(log_star, span, log_pi, half, full))
    return Evidence(measured=np.hstack(measured), bound=np.hstack(bound), radius=np.hstack(radius))


@claim(
    "Robustness to errors (derived)",
    r"D_{t+1} \le q D_t + \frac{sp(e_2)^2}{8\eta\tau} + \frac{sp(e_1 - e_2)^2}{8 (1 - \eta^2 L^2 / q)}",
    relation=Bound(),
    assumptions=(r"logit errors $e_1$ of the half step, $e_2$ of the full step", r"$\eta \le 1 / (\tau + L)$"),
    falsifiers={
        "no_bias": variant(_errors, "Without the first term: errors cost only where they differ.", biased=False),
        "no_spread": variant(_errors, "Without the second term.", spread=False),
        "faster": variant(_errors, "Contraction by 1 - 3 eta tau / 2.", shift=0.5),
    },
    lemmas=("zhou2025:energy", "zhou2025:operator_norm"),
    words="An update with wrong payoffs loses at most this much of its contraction.",
    title="One step with errors",
)
def errors(p: Params, rng: np.random.Generator) -> Evidence:
    """Random errors of spans from 1e-2 to 1, common ones, and of one step alone; also at the equilibrium."""
    return _errors(p, rng)


def _noise(p, rng, factor=1.0, spread=1.0):
    """Exact means over all signs: payoff errors of +-1/2 in every entry of both payoff vectors of three actions."""
    signs = np.array(list(product((-0.5, 0.5), repeat=6))).reshape(64, 2, 3)
    measured, bound, radius = [], [], []
    for _ in range(3):
        game = random_preferences(3, rng=rng, family=any_family(rng))
        tau = float(np.exp(rng.uniform(np.log(0.1), np.log(2.0))))
        log_star, span = equilibrium(game, tau)
        eta = float(rng.choice([0.02, 0.3, 1.0])) * safe_step(game, tau)
        q, L = 1 - eta * tau, game.operator_constant()
        starts = np.vstack([log_star, _starts(p, game, rng)])
        noise = tuple(spread * np.repeat(signs[:, i], len(starts), axis=0) for i in (0, 1))
        log_pi = np.tile(starts, (64, 1))
        half, full = egpo_steps(game, log_pi, tau=tau, eta=eta, payoff_errors=noise)
        cost = eta**2 * np.mean(np.ptp(signs[:, 0] - signs[:, 1], axis=-1) ** 2) / (8 * (1 - eta**2 * L**2 / q))
        measured.append(kl_divergence(log_star, full).reshape(64, -1).mean(axis=0))
        bound.append(q * kl_divergence(log_star, starts) + factor * cost)
        radius.append(kl_radius(log_star, span, log_pi, half, full).reshape(64, -1).max(axis=0))
    return Evidence(measured=np.hstack(measured), bound=np.hstack(bound), radius=np.hstack(radius))


@claim(
    "Robustness to noise (derived)",
    r"E D_{t+1} \le q\, E D_t + \frac{\eta^2 E\, sp(\xi_1 - \xi_2)^2}{8 (1 - \eta^2 L^2 / q)}",
    relation=Bound(),
    assumptions=(r"$E[\xi_2 \mid \pi_t, \xi_1] = 0$", r"$\eta \le 1 / (\tau + L)$"),
    falsifiers={
        "quarter": variant(_noise, "A quarter of the noise term.", factor=0.25),
        "louder": variant(_noise, "Noise of twice the size.", spread=2.0),
    },
    lemmas=("zhou2025:energy", "zhou2025:operator_norm"),
    words="Unbiased noise of the payoffs costs its own square, which leaves a floor of order eta / tau.",
    title="One step with noise",
)
def noise(p: Params, rng: np.random.Generator) -> Evidence:
    """Means over all 64 outcomes, from the equilibrium and from other policies."""
    return _noise(p, rng)


# Noise of +-1/2 and payoffs keep log pi_t within 2 / tau of log mu in span, log pi* within 1 / tau: at tau = 1,
# D <= sp(log pi* - log pi_t)^2 / 8 <= 9 / 8 by Hoeffding's lemma.
CAP = 9 / 8


def _floor(p, rng, factor=1.0, favourite=False, transposed=False):
    game = random_preferences(6, rng=rng)
    played = game.replace(P=game.P.T) if transposed else game
    tau, eta, burn = 1.0, 0.2, 40
    log_star, _ = equilibrium(game, tau)
    log_pi = np.tile(log_star, (p.runs, 1))
    for _ in range(burn):
        payoff_errors = rng.uniform(-0.5, 0.5, size=(2, p.runs, game.n))
        if favourite:
            payoff_errors[...] = np.where(np.arange(game.n) % 2, 0.5, -0.5)
        log_pi = egpo_steps(played, log_pi, tau=tau, eta=eta, payoff_errors=tuple(payoff_errors))[1]
    L, q = game.operator_constant(), 1 - eta * tau
    # Second moment of the range of six differences of uniforms, by the same generator: known to 1 % from 4000 draws.
    moment = np.mean(np.ptp(np.diff(rng.uniform(-0.5, 0.5, size=(4000, 2, game.n)), axis=1)[:, 0], axis=-1) ** 2)
    return Evidence(
        error=kl_divergence(log_star, log_pi), bound=factor * eta * moment / (8 * tau * (1 - eta**2 * L**2 / q))
    )


@claim(
    "Robustness to noise (derived)",
    r"\limsup_t E D_t \le \frac{\eta\, E\, sp(\xi_1 - \xi_2)^2}{8\tau (1 - \eta^2 L^2 / q)}",
    relation=BoundMean(cap=CAP),
    assumptions=(r"uniform noise of $\pm 1/2$; six actions, $\tau = 1$, $\eta = 0.2$",),
    falsifiers={
        "transposed": variant(_floor, "P transposed.", transposed=True),
        "biased": variant(_floor, "Errors that always favour every other action.", favourite=True),
    },
    controls={"half": variant(_floor, "Half the floor.", factor=0.5)},
    words="With noisy payoffs the last iterate stays within a floor of order eta / tau of the equilibrium.",
    title="Noise floor",
)
def noise_floor(p: Params, rng: np.random.Generator) -> Evidence:
    """Independent runs from the equilibrium, after forty updates."""
    return _floor(p, rng)


def _spectrum(p, rng, step=egpo_step, look_ahead=True):
    left, right = [], []
    for _ in range(3):
        game, tau = _game(p, rng, low=0.1)
        solution = regularized_nash(game, tau=tau)
        log_star, pi = solution.extras["log_policy"], solution.policy
        eta = float(rng.uniform(0.2, 1.0)) * safe_step(game, tau)
        q, width = 1 - eta * tau, 1e-4
        moves = np.vstack([np.eye(game.n), -np.eye(game.n)]) * width
        after = step(game, log_star + moves, tau=tau, eta=eta)
        jacobian = ((after[: game.n] - after[game.n :]) / (2 * width)).T
        modes = np.linalg.eigvals(game.K @ (np.diag(pi) - np.outer(pi, pi)))
        # One eigenvalue 0 belongs to constants, which the normalisation removes.
        modes = np.delete(modes, np.argmin(np.abs(modes)))
        left.append(np.max(np.abs(np.linalg.eigvals(jacobian))) ** 2)
        right.append(np.max(np.abs(q + q * eta * modes + eta**2 * modes**2 if look_ahead else q + eta * modes)) ** 2)
    # Truncation of the difference, of order width^2 times a third derivative of order 1 + eta.
    return Evidence(left=left, right=right, tolerance=np.full(3, 1e-6))


@claim(
    "Asymptotic factor (derived)",
    r"\lim D_{t+1} / D_t = \max_\omega |q + i q \eta\omega - \eta^2\omega^2|^2,\quad \pm i\omega \in spec(K A(\pi^*))",
    relation=Identity(),
    assumptions=(r"averaged over oscillations; $\omega = 0$ counts where $K A$ has it besides constants",),
    falsifiers={
        "omd_formula": variant(_spectrum, "The formula of OMD, |q + i eta w|.", look_ahead=False),
        "half_base": variant(
            _spectrum, MUTANTS["half_base"][1], lambda g, x, *, tau, eta: _half_base(g, x, tau=tau, eta=eta)[1]
        ),
    },
    controls={"omd": variant(_spectrum, "OMD and its own formula.", omd_step, look_ahead=False)},
    words="Near the equilibrium the divergence falls by the square of the linearised update's spectral radius.",
    title="Asymptotic factor of EGPO",
)
def spectrum(p: Params, rng: np.random.Generator) -> Evidence:
    """The Jacobian of the library's update by differences, against the eigenvalues of K A."""
    return _spectrum(p, rng)


def _per_update(game, log_star, start, method, tau, eta, num_iters):
    """Mean of log(D_t / D_(t+1)) over the updates."""
    run = method(game, tau=tau, eta=eta, num_iters=num_iters, log_pi0=start, checkpoints=[0, num_iters])["log_pi"]
    first, last = kl_divergence(log_star, run)
    return np.log(first / last) / num_iters


def _separation(p, rng, method=omd, tuned=True):
    inverse, error = 2 ** np.arange(5, 12), []
    game = three_cycle(*rng.uniform(0.3, 0.5, size=3), softmax(0.3 * rng.standard_normal(3)))
    for tau in 1 / inverse:
        solution = regularized_nash(game, tau=tau)
        pi, log_star = solution.policy, solution.extras["log_policy"]
        omega = np.abs(np.linalg.eigvals(game.K @ (np.diag(pi) - np.outer(pi, pi)))).max()
        # The step that minimises OMD's asymptotic factor, and the one that the theorem gives EGPO.
        eta = tau / (tau**2 + omega**2) if tuned else safe_step(game, tau)
        start = log_star + 1e-2 * rng.standard_normal((4, 3))
        error.append(_per_update(game, log_star, start, method, tau, eta, 60))
    return Evidence(n=inverse, error=np.array(error).T)


@claim(
    "Separation (derived)",
    r"\text{OMD with its best step: } \log(D_t / D_{t+1}) = O(\tau^2)",
    relation=Rate(2.0),
    assumptions=(r"cyclic preferences; $n = 1/\tau$", "step optimal for the linearised update"),
    falsifiers={"egpo": variant(_separation, "EGPO with its guaranteed step: of order one here.", egpo, tuned=False)},
    words="Self-play needs of order 1 / tau^2 updates however its step is tuned; EGPO at most 1 / tau.",
    title="What the look-ahead buys",
)
def separation(p: Params, rng: np.random.Generator) -> Evidence:
    """Logarithm of the contraction per update near the equilibrium, over seven temperatures."""
    return _separation(p, rng)


def _epsilon(p, rng, method=egpo, updates=1.0):
    """gap_0 / epsilon after the updates that the bound on the gap asks for, ten actions and a uniform reference."""
    game = random_preferences(10, rng=rng, family="cyclic").replace(mu=None)
    lower = np.tril((game.P - 0.5) * rng.uniform(0.2, 1.0, size=game.P.shape), -1)
    game, measured = game.replace(P=0.5 + lower - lower.T), []
    for eps in (0.2, 0.1, 0.05):
        tau = eps / (4 * np.log(game.n))
        eta = safe_step(game, tau)
        log_star, _ = equilibrium(game, tau)
        start = 2 * rng.standard_normal(game.n)
        # The bound on the gap at every T, from the same formula as in `duality_gap`.
        ahead = np.broadcast_to(log_softmax(start), (int(60 / (eta * tau)), game.n))
        enough = 1 + int(np.argmax(_bounds(game, tau, eta, log_star, ahead)[GAP] <= eps / 2))
        T = int(np.ceil(updates * enough))
        log_pi = method(game, tau=tau, eta=eta, num_iters=T, log_pi0=start, checkpoints=[T])["log_pi"][-1]
        measured.append(2 * float(payoff(game, log_pi).max()) / eps)
    return Evidence(measured=measured, bound=np.ones(len(measured)), radius=np.full(len(measured), 1e-10))


@claim(
    "Original equilibrium (derived)",
    r"gap_0(\pi_T) \le \varepsilon\quad \text{for } \tau = \varepsilon / (4 \log n),"
    r"\ T = O((\log n / \varepsilon) \log(1 / \varepsilon))",
    relation=Bound(),
    assumptions=(r"uniform $\mu$; $T$ is the first for which the bound on $gap_\tau$ is below $\varepsilon / 2$",),
    falsifiers={
        "fewer": variant(_epsilon, "A fiftieth of the updates.", updates=0.02),
        "no_look_ahead": variant(_epsilon, "OMD with EGPO's step.", omd),
    },
    controls={"third": variant(_epsilon, "A third of the updates.", updates=1 / 3)},
    words="With a temperature of order epsilon / log n, about log(1 / epsilon) / epsilon updates find an epsilon-Nash.",
    title="EGPO in the game without regularisation",
)
def epsilon_nash(p: Params, rng: np.random.Generator) -> Evidence:
    """Exploitability in units of epsilon, for three accuracies on a cyclic game with random margins."""
    return _epsilon(p, rng)


def _by_losses(p, rng, factor=4.0, returns=True, loss="egpo"):
    left, right, tolerance = [], [], []
    for n, contexts in ((3, None), (p.actions, 2)):
        game = random_preferences(n, rng=rng, contexts=contexts)
        tau = float(np.exp(rng.uniform(np.log(0.05), np.log(2.0))))
        h = float(rng.uniform(0.05, 0.95))
        lr = h * game.n / 4
        # The step that the learning rate is said to be: 4 lr / n = eta tau.
        eta = factor * lr / (game.n * tau)
        start = rng.standard_normal(game.mu.shape)
        by_policy = {"egpo": egpo, "online-ipo-1": omd}[loss](game, tau=tau, eta=eta, num_iters=6, log_pi0=start)
        log_pi = [log_softmax(start)]
        for _ in range(6):
            half = log_pi[-1] - lr * ipo_gradient(game, log_pi[-1], log_pi[-1], tau=tau)
            base = log_pi[-1] if returns else half
            at = half if loss == "egpo" else log_pi[-1]
            log_pi.append(log_softmax(base - lr * ipo_gradient(game, base, at, tau=tau)))
        left.append(np.ravel(log_pi))
        right.append(np.ravel(by_policy["log_pi"]))
        tolerance.append(np.full(left[-1].size, 6 * 64 * game.n * U * (1 + 1 / tau) ** 2))
    return Evidence(left=np.hstack(left), right=np.hstack(right), tolerance=np.hstack(tolerance))


@claim(
    "Losses (derived)",
    r"\theta - lr\, \nabla \mathcal{L}(\theta; \nu) = (1 - \eta\tau)\theta + \eta\tau \log\mu + \eta K \nu + const,"
    r"\quad \eta\tau = 4\, lr / n",
    relation=Identity(),
    assumptions=("pairs drawn uniformly, the opponent not differentiated",),
    falsifiers={
        "half_rate": variant(_by_losses, "eta tau = 2 lr / n.", factor=2.0),
        "half_base": variant(_by_losses, "The second gradient step starts at the half step.", returns=False),
    },
    controls={"omd": variant(_by_losses, "Online IPO 1 against OMD.", loss="online-ipo-1")},
    words="Two gradient steps on the online IPO loss, the second from where the first began, are one update of EGPO.",
    title="EGPO by losses",
)
def losses(p: Params, rng: np.random.Generator) -> Evidence:
    """Six updates by gradients against the policy form, with and without contexts."""
    return _by_losses(p, rng)


def _gradients(p, rng, transposed=False, factor=1.0, moving=False):
    game = random_preferences(p.actions, rng=rng)
    shown = game.replace(P=game.P.T) if transposed else game
    tau = float(np.exp(rng.uniform(np.log(0.1), np.log(2.0))))
    theta, log_nu = rng.standard_normal((2, game.n))
    moves = np.eye(game.n)

    def by_differences(loss):
        # Exact for quadratics, whatever the width.
        return np.array([(loss(theta + move) - loss(theta - move)) / 2 for move in moves])

    left = [factor * ipo_gradient(shown, theta, log_nu, tau=tau), factor * ipo2_gradient(shown, theta, tau=tau)]
    right = [
        by_differences(lambda x: ipo_loss(game, x, log_nu, tau=tau)),
        by_differences(lambda x: ipo2_loss(game, x, x if moving else theta, tau=tau)),
    ]
    size = ipo_loss(game, theta, log_nu, tau=tau) + ipo2_loss(game, theta, theta, tau=tau) + game.n + 1 / tau
    return Evidence(left=np.hstack(left), right=np.hstack(right), tolerance=np.full(2 * game.n, 64 * game.n * U * size))


@claim(
    "Losses (derived)",
    r"\nabla \mathcal{L}_1 = \tfrac4n \left(c(\delta) - c(P\nu) / \tau\right),\quad"
    r"\nabla \mathcal{L}_2 = 4 \pi (\delta - \langle\pi, \delta\rangle - K\pi / \tau)",
    relation=Identity(),
    assumptions=("opponent and weights not differentiated",),
    falsifiers={
        "transposed": variant(_gradients, "P transposed.", transposed=True),
        "half": variant(_gradients, "Half the gradients.", factor=0.5),
        "moving": variant(_gradients, "The weights of the second loss differentiated too.", moving=True),
    },
    words="The gradients of both online IPO losses in logits; the second is -4 / tau times self-play policy gradient.",
    title="Gradients of the losses",
)
def loss_gradients(p: Params, rng: np.random.Generator) -> Evidence:
    """Central differences of the losses, which are quadratic, against the closed forms."""
    return _gradients(p, rng)


def _shifts(p, rng, rows=False):
    game, tau = random_preferences(p.actions, rng=rng), float(rng.uniform(0.1, 2.0))
    eta, shift = safe_step(game, tau), rng.standard_normal(game.n)
    matrix = game.P + (shift[:, None] if rows else shift[None, :])
    log_pi = log_softmax(rng.standard_normal(game.n))
    arguments = {"log_mu": game.log_mu, "eta": eta, "weight": eta * tau}
    half = mirror_step(log_pi, gain=matrix @ softmax(log_pi), **arguments)
    full = mirror_step(log_pi, gain=matrix @ softmax(half), **arguments)
    left, right = np.hstack(egpo_steps(game, log_pi, tau=tau, eta=eta)), np.hstack([half, full])
    return Evidence(left=left, right=right, tolerance=np.full(left.size, 64 * game.n * U * (1 + 4 * eta)))


@claim(
    "Invariance (derived)",
    r"P(y, z) \to P(y, z) + f(z)\ \text{changes no iterate}",
    relation=Identity(),
    falsifiers={"rows": variant(_shifts, "f(y) in place of f(z).", rows=True)},
    words="Adding to every action's payoff against an opponent the same number changes nothing.",
    title="Shifts of the preferences",
)
def shifts(p: Params, rng: np.random.Generator) -> Evidence:
    """One update on shifted payoffs against the library's."""
    return _shifts(p, rng)


def _two_actions(p, rng, weight=1.0):
    gap, tau = float(rng.uniform(-3, 3)), float(rng.uniform(0.1, 2.0))
    win = 1 / (1 + np.exp(-gap))
    game = PreferenceGame([[0.5, win], [1 - win, 0.5]], softmax(rng.standard_normal(2)))
    log_star = regularized_nash(game, tau=tau).extras["log_policy"]
    start = 3 * rng.standard_normal(2)
    left = egpo_step(game, log_softmax(start), tau=tau, eta=weight / tau)
    return Evidence(left=left, right=log_star, tolerance=np.full(2, 64 * U * (1 + 1 / tau)))


@claim(
    "Two actions (derived)",
    r"n = 2,\ \eta = 1 / \tau\ \Rightarrow\ \pi_1 = \pi^*",
    relation=Identity(),
    falsifiers={"shorter": variant(_two_actions, "eta = 0.99 / tau.", weight=0.99)},
    words="Two actions pose no cycle: one update with the longest step lands on the equilibrium.",
    title="One update for two actions",
)
def two_actions(p: Params, rng: np.random.Generator) -> Evidence:
    """Bradley-Terry preferences between two actions, any start."""
    return _two_actions(p, rng)


def _optimistic(p, rng, stretch=1.0, transposed=False):
    parts, t = [], np.arange(1, 41)
    for game, tau in (_game(p, rng, low=0.02), _cycle(0.02)):
        log_star, span = equilibrium(game, tau)
        eta = min(1 / (2 * tau + 1), 0.5)
        played = game.replace(P=game.P.T) if transposed else game
        start = 2 * rng.standard_normal(game.n)
        log_pi = omwu(played, tau=tau, eta=min(stretch * eta, 1 / tau), num_iters=40, log_pi0=start)["log_pi"]
        D, error = kl_divergence(log_star, log_pi), kl_radius(log_star, span, log_pi)
        parts.append(above_rounding(D[1:], (1 - eta * tau) ** t * D[0], error[1:]))
    return Evidence(**{name: np.ravel([part[name] for part in parts]) for name in parts[0]})


@claim(
    "OMWU (Cen, Wei, Chi 2021, from memory)",
    r"D(\pi^* \| \pi_t) \le (1 - \eta\tau)^t D(\pi^* \| \pi_0)",
    relation=Bound(),
    assumptions=(r"$\eta = \min(1 / (2\tau + 1), 1/2)$, payoffs in $[-1/2, 1/2]$",),
    falsifiers={
        "transposed": variant(_optimistic, "P transposed.", transposed=True),
        "longer_step": variant(_optimistic, "Eight times the step.", stretch=8.0),
    },
    words="A look-ahead that reuses the last payoff converges at the extragradient's rate for half the step.",
    title="Optimistic weights with one query",
)
def optimistic(p: Params, rng: np.random.Generator) -> Evidence:
    """Forty updates on a random game and on rock-paper-scissors."""
    return _optimistic(p, rng)


def _gradient_fixed_point(p, rng, shift=0.0):
    game, tau, b = random_preferences(4, rng=rng), float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.1, 0.6))
    log_fixed, _ = constant_step_limit(game, tau=tau, weight=b)
    # The slowest logit closes a share eta tau pi of its distance in an iteration, pi being as small as e^-5.
    T = int(np.ceil(20 / (3.0 * tau * np.exp(log_fixed.min()))))
    last = nash_md_pg(game, tau=tau, eta=3.0, mixture=b + shift, num_iters=T, checkpoints=[T])["log_pi"][-1]
    same = nash_md(game, tau=tau, eta=b / tau, num_iters=400, checkpoints=[400])["log_pi"][-1]
    # e^-20 of where the runs began, about 1e-8, and rounding over tau.
    return Evidence(left=np.hstack([last, same]), right=np.tile(log_fixed, 2), tolerance=np.full(8, 1e-6))


@claim(
    "Baselines (derived)",
    r"\text{Nash-MD-PG}(b) \text{ and Nash-MD with } \eta\tau = b \text{ have one fixed point}",
    relation=Identity(),
    assumptions=("where both converge",),
    falsifiers={"other_mixture": variant(_gradient_fixed_point, "Another b for the gradient.", shift=0.1)},
    words="Policy gradient against a mixture and mirror descent with a constant step end at the same biased policy.",
    title="Nash-MD and Nash-MD-PG share their bias",
)
def gradient_fixed_point(p: Params, rng: np.random.Generator) -> Evidence:
    """Long runs of both against the equilibrium at another temperature."""
    return _gradient_fixed_point(p, rng)


def _simulate(games, rng, name, loss, **options):
    """Random games as contexts of one, and the policies, (games, 10), after the paper's iterations."""
    tau, num_iters, lr = SIMULATIONS[name]
    game = random_preferences(10, rng=rng, contexts=games)
    arguments = {"tau": tau, "lr": lr, "num_iters": num_iters, "checkpoints": [num_iters], "compiled": True} | options
    return game, descend(game, loss=loss, **arguments)["log_pi"][-1]


def _precision(p, rng, loss="egpo"):
    measured = []
    for name in ("coarse", "middle"):
        game, log_pi = _simulate(p.games, rng, name, loss)
        measured.append(regularized_gap(game, log_pi, tau=SIMULATIONS[name][0]))
    return Evidence(measured=np.hstack(measured), bound=np.full(2 * p.games, 1e-12))


@claim(
    "Simulations",
    r"gap_\tau(\pi_T) \le 10^{-12}\quad (\tau = 0.1,\ T = 1000;\ \tau = 0.01,\ T = 5000)",
    relation=Bound(),
    assumptions=("ten actions, preferences uniform below the diagonal, logits of the reference N(0, 1)",),
    falsifiers={
        "online_ipo_1": variant(_precision, "Online IPO 1.", "online-ipo-1"),
        "nash_md": variant(_precision, "Nash-MD with a constant step.", "nash-md"),
    },
    words="In the setting of the paper's simulations EGPO reaches the equilibrium to rounding.",
    title="EGPO reaches machine precision",
)
def precision(p: Params, rng: np.random.Generator) -> Evidence:
    """The paper's learning rates and iterations on random games of our own."""
    return _precision(p, rng)


def _ranking(p, rng, loss="egpo"):
    tau = SIMULATIONS["middle"][0]
    seed = int(rng.integers(2**31))
    gaps = {}
    for name in LOSSES:
        game, log_pi = _simulate(2, np.random.default_rng([85, seed]), "middle", name)
        gaps[name] = np.log(regularized_gap(game, log_pi, tau=tau))
    best = np.min([gap for name, gap in gaps.items() if name != loss], axis=0)
    return Evidence(left=gaps[loss], right=best)


@claim(
    "Simulations",
    r"gap_\tau(\text{EGPO}) < \min gap_\tau(\text{OIPO-1, OIPO-2, Nash-MD, Nash-MD-PG})\quad (\tau = 0.01)",
    relation=Ordering(),
    assumptions=("as above, after 5000 updates; logarithms of the gaps",),
    falsifiers={
        "online_ipo_1": variant(_ranking, "Online IPO 1 in EGPO's place.", "online-ipo-1"),
        "nash_md": variant(_ranking, "Nash-MD in EGPO's place.", "nash-md"),
    },
    words="After the same number of updates EGPO is nearer to equilibrium than every other method in the comparison.",
    title="EGPO ranks first",
)
def ranking(p: Params, rng: np.random.Generator) -> Evidence:
    """Five methods on the same two random games a replicate."""
    return _ranking(p, rng)


def _plateau(p, rng, weight=2.0):
    tau, _, lr = SIMULATIONS["coarse"]
    game, log_pi = _simulate(p.games, rng, "coarse", "nash-md", mixture=2 * lr / 10)
    left, right = regularized_gap(game, log_pi, tau=tau), []
    for P, mu in zip(game.P, game.mu):
        one = PreferenceGame(P, mu)
        log_fixed, _ = constant_step_limit(one, tau=tau, weight=weight * lr / 10)
        right.append(float(regularized_gap(one, log_fixed, tau=tau)))
    # 0.97^1000 of the first distance, squared, and rounding of policies over tau.
    return Evidence(left=left, right=right, tolerance=1e-6 * np.array(right) + 1e-20)


@claim(
    "Simulations (plateau derived)",
    r"gap_\tau(\text{Nash-MD}) \to gap_\tau(BR_\tau(\pi^*_{\tau / (1 - b)})),\quad b = 2\, lr / n",
    relation=Identity(),
    assumptions=(r"$\tau = 0.1$, $lr = 0.1$, opponent's mixture $b$ as in the authors' code, step $4\, lr / n$",),
    falsifiers={"implied": variant(_plateau, "b = 4 lr / n, which the step would imply.", weight=4.0)},
    lemmas=("munos2023:constant_step_misses",),
    words="Where the paper's curve of Nash-MD ends is what Newton's method at another temperature predicts.",
    title="Plateau of Nash-MD in the simulations",
)
def plateau(p: Params, rng: np.random.Generator) -> Evidence:
    """The paper's run of Nash-MD on random games, against the closed form."""
    return _plateau(p, rng)


def _figure(p, rng, name):
    """Median and range over games of gap_tau, five methods, on a grid of about 120 iterations."""
    tau, num_iters, lr = SIMULATIONS[name]
    game = random_preferences(10, rng=rng, contexts=p.games)
    grid = np.unique(np.round(np.linspace(0, num_iters, 120)).astype(int))
    table = {"t": grid}
    for loss in LOSSES:
        run = descend(game, loss=loss, tau=tau, lr=lr, num_iters=num_iters, checkpoints=grid, compiled=True)
        # Below, curves are rounding.
        gap = np.maximum(regularized_gap(game, run["log_pi"], tau=tau), 1e-30)
        column = loss.replace("-", "_")
        table |= {column: np.median(gap, axis=1), f"{column}_lo": gap.min(axis=1), f"{column}_hi": gap.max(axis=1)}
    return table


def figure_coarse(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """tau = 0.1."""
    return _figure(p, rng, "coarse")


def figure_middle(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """tau = 0.01."""
    return _figure(p, rng, "middle")


def figure_fine(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """tau = 0.001."""
    return _figure(p, rng, "fine")


def figure_separation(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Updates that divide D by e, against 1 / tau: EGPO with its guaranteed step, OMD with its best one."""
    egpo_rate, omd_rate = (_separation(p, rng, method, tuned) for method, tuned in ((egpo, False), (omd, True)))
    table = {"inverse_tau": egpo_rate["n"]}
    for name, rate in (("egpo", egpo_rate), ("omd", omd_rate)):
        table[name] = 1 / rate["error"].mean(axis=0)
    return table | {"bound_egpo": 1 / (-np.log1p(-1 / (1 + 0.5 * table["inverse_tau"])))}
