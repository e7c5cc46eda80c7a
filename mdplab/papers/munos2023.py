r"""Munos et al. (2023), Nash learning from human feedback: Nash-MD, in tabular form with exact and sampled preferences.

Source: arXiv:2312.00886v4, section 6 and Theorem 1, through a third-party reading: the per-step inequality is printed
with 2 eta^2, which gives 8 / (tau^2 (T + 1)) on the schedule eta_t = 2 / (tau (t + 2)).

Derived here, with h = eta tau and m = pi^(1-h) mu^h / Z:

- the exact energy balance D(pi* || pi+) = (1-h)(D(pi* || pi) - D(m || pi)) - h D(m || pi*) + log E_m e^(eta K m);
- its last term is at most eta^2 / 24, because P m under m precedes the uniform law on [0, 1] in the convex order
  (Landau's inequality for tournaments), and that constant is best possible for the step as a whole (`nash_md_tight`).
  Hence D(pi* || pi_T) <= 1 / (6 tau^2 (T + 1)), 48 times below what is printed;
- with a constant step the method converges, if locally stable, to softmax(log mu + K m / tau), m the equilibrium at
  temperature tau / (1 - h): not to pi*. It may be unstable: P3 at tau = .05, h = .2 has a limit cycle;
- with Bernoulli outcomes in place of P m, E D(pi* || pi_T) <= 1 / (2 tau^2 (T + 1)): with g in [0, 1]^n and E g = P m,
  Hoeffding's lemma gives log E_m e^(eta g) <= eta <m, g> + eta^2 / 8 for every outcome, and the inner product has mean
  eta / 2. Almost surely D(pi* || pi_T) <= 1 / (2 tau^2), since log pi_T = log mu + (a mean of outcomes) / tau + const.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from mdplab.algorithms.games.mirror_descent import mirror_descent, tuned_step
from mdplab.algorithms.games.nash_md import mixture, nash_md, nash_md_sampled, nash_md_step, schedule
from mdplab.certify.games import check_game, gap_enclosure
from mdplab.claims import (
    Bound,
    BoundHP,
    BoundMean,
    CertificateSound,
    Evidence,
    Identity,
    LinearRate,
    Regret,
    Witness,
    claim,
    variant,
)
from mdplab.exact.games import best_response, constant_step_limit, regularized_gap, regularized_nash
from mdplab.instances.games import nash_md_tight, three_cycle, three_cycle_nash
from mdplab.kernels.softmax import kl_divergence, log_softmax, logsumexp, softmax
from mdplab.models import Certificate
from mdplab.papers.shared.games import (
    equilibrium,
    kl_radius,
    payoff,
    random_game,
    random_policies,
    running_mean,
)

TAIL = 0.2
# Constant steps are measured where the iteration contracts locally at least like this.
STABLE = 0.95


@dataclass(frozen=True)
class Params:
    """Sizes: `actions` at most; `starts` of a step; `horizon` of the schedule; `constant_iters` of constant steps;
    `sampled_runs` of `sampled_iters`; regret at 2^`first` .. 2^`last` rounds in `regret_runs`."""

    actions: int
    starts: int
    horizon: int
    constant_iters: int
    sampled_runs: int
    sampled_iters: int
    first: int
    last: int
    regret_runs: int


def _transposed(game, log_pi, *, tau, eta):
    return nash_md_step(game.replace(P=game.P.T), log_pi, tau=tau, eta=eta)


def _no_anchor(game, log_pi, *, tau, eta):
    return log_softmax(log_pi + eta * payoff(game, mixture(game, log_pi, eta * tau)))


def _own_opponent(game, log_pi, *, tau, eta):
    return log_softmax(mixture(game, log_pi, eta * tau) + eta * payoff(game, log_pi))


def _arithmetic(game, log_pi, *, tau, eta):
    log_m = np.log((1 - eta * tau) * softmax(log_pi) + eta * tau * game.mu)
    return log_softmax(log_m + eta * payoff(game, log_m))


def _iterate(step, game, log_pi, tau, num_iters, eta=None):
    """The policies of `num_iters` updates by `step`, (T + 1, ..., n); Nash-MD itself runs the library's loop."""
    if step is nash_md_step:
        return nash_md(game, tau=tau, eta=eta, num_iters=num_iters, log_pi0=log_pi)["log_pi"]
    out = [log_softmax(log_pi)]
    for t in range(num_iters):
        out.append(step(game, out[-1], tau=tau, eta=schedule(t, tau) if eta is None else eta))
    return np.array(out)


def _game(p, rng, low=0.01, high=3.0):
    return random_game(p.actions, rng, low, high)


def _one_step(p, rng, step=nash_md_step, constant=1 / 24):
    measured, bound, radius = [], [], []
    game, tau = _game(p, rng)
    cases = [(game, tau, random_policies(p.starts, game.n, rng), h / tau) for h in (0.05, 0.3, 0.9)]
    tight, before = nash_md_tight(40, 1e-12)
    for game, tau, log_pi, eta in [*cases, (tight, 1e-6, np.tile(before, (p.starts, 1)), 0.5)]:
        log_star, span = equilibrium(game, tau)
        log_next = step(game, log_pi, tau=tau, eta=eta)
        excess = kl_divergence(log_star, log_next) - (1 - eta * tau) * kl_divergence(log_star, log_pi)
        measured.append(excess)
        bound.append(np.full(p.starts, constant * eta**2))
        radius.append(kl_radius(log_star, span, log_next, log_pi))
    return Evidence(measured=np.ravel(measured), bound=np.ravel(bound), radius=np.ravel(radius))


@claim(
    "Theorem 1, one step (constant derived)",
    r"D(\pi^*_\tau \| \pi_{t+1}) \le (1 - \eta\tau) D(\pi^*_\tau \| \pi_t) + \eta^2 / 24",
    relation=Bound(),
    assumptions=(r"$\eta\tau \le 1$", r"$\pi_t$ and $\mu$ have full support"),
    falsifiers={
        "transposed": variant(_one_step, "Losing is rewarded: P transposed.", _transposed),
        "no_anchor": variant(_one_step, "The proximal centre is pi_t, without the pull to mu.", _no_anchor),
        "constant_25": variant(_one_step, "eta^2 / 25.", constant=1 / 25),
    },
    controls={
        "hoeffding": variant(_one_step, "eta^2 / 8, by Hoeffding's lemma.", constant=1 / 8),
        "printed": variant(_one_step, "2 eta^2, as printed.", constant=2.0),
    },
    lemmas=("munos2023:energy", "munos2023:landau", "munos2023:uniform_moment", "munos2023:hoeffding"),
    words="The divergence from the equilibrium contracts by 1 - eta tau, up to eta^2 / 24, which is best possible.",
    title="One step of Nash-MD",
)
def one_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Random and peaked policies on a random game, three steps; and the extremal game."""
    return _one_step(p, rng)


def _energy(p, rng, step=nash_md_step, reversed_kl=False):
    left, right, tolerance = [], [], []
    for _ in range(3):
        game, tau = _game(p, rng, low=0.05)
        log_star, span = equilibrium(game, tau)
        log_pi, h = random_policies(p.starts, game.n, rng), float(rng.uniform(0.05, 0.95))
        eta, log_m = h / tau, mixture(game, log_pi, h)
        log_next = step(game, log_pi, tau=tau, eta=eta)
        moment = logsumexp(log_m + eta * payoff(game, log_m))
        moved = kl_divergence(log_pi, log_m) if reversed_kl else kl_divergence(log_m, log_pi)
        left.append(kl_divergence(log_star, log_next))
        right.append((1 - h) * (kl_divergence(log_star, log_pi) - moved) - h * kl_divergence(log_m, log_star) + moment)
        tolerance.append(2 * kl_radius(log_star, span, log_next, log_pi, log_m) * (1 + eta))
    return Evidence(left=np.ravel(left), right=np.ravel(right), tolerance=np.ravel(tolerance))


@claim(
    "Energy balance (derived)",
    r"D(\pi^* \| \pi^+) = (1-h)\left(D(\pi^* \| \pi) - D(m \| \pi)\right) - h D(m \| \pi^*)"
    r" + \log E_m e^{\eta K m},\quad h = \eta\tau",
    relation=Identity(),
    falsifiers={
        "transposed": variant(_energy, "P transposed.", _transposed),
        "no_anchor": variant(_energy, "The proximal centre is pi_t.", _no_anchor),
        "own_opponent": variant(_energy, "The opponent is pi_t instead of m_t.", _own_opponent),
        "arithmetic": variant(_energy, "The mixture with mu is arithmetic.", _arithmetic),
        "reversed_kl": variant(_energy, "D(pi || m) in place of D(m || pi).", reversed_kl=True),
    },
    lemmas=("munos2023:energy", "munos2023:three_point"),
    words="One step of Nash-MD changes the divergence from the equilibrium by exactly this.",
    title="Energy balance of one step",
)
def energy(p: Params, rng: np.random.Generator) -> Evidence:
    """The library's step against divergences computed from its definition, on three games."""
    return _energy(p, rng)


def _schedule(p, rng, constant, step=nash_md_step, weight=None):
    measured, bound, radius = [], [], []
    T = np.arange(1, p.horizon + 1)[:, None]
    # Besides a random game, one on which a fifth of the sharper bound is reached.
    for game, tau in (_game(p, rng, low=0.1), (three_cycle(0.5, 0.5, 0.5, [0.6, 0.2, 0.2]), 0.05)):
        log_star, span = equilibrium(game, tau)
        log_pi = random_policies(p.starts, game.n, rng)[:2]
        log_pi = _iterate(step, game, log_pi, tau, p.horizon, weight and weight / tau)[1:]
        measured.append(kl_divergence(log_star, log_pi))
        bound.append(np.broadcast_to(constant / (tau**2 * (T + 1)), measured[-1].shape))
        radius.append(kl_radius(log_star, span, log_pi))
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Theorem 1",
    r"D(\pi^*_\tau \| \pi_T) \le \frac{8}{\tau^2 (T+1)}",
    relation=Bound(),
    assumptions=(r"$\eta_t = 2 / (\tau (t+2))$",),
    falsifiers={
        "transposed": variant(_schedule, "P transposed.", 8.0, _transposed),
        "strengthened": variant(_schedule, "A five-hundredth of the bound.", 0.016),
    },
    controls={"derived": variant(_schedule, "The derived constant 1/6.", 1 / 6)},
    lemmas=("munos2023:schedule",),
    words="On the schedule, the last iterate is within 8 / (tau^2 (T + 1)) of the regularised equilibrium.",
    title="Nash-MD on the schedule, as printed",
)
def last_iterate(p: Params, rng: np.random.Generator) -> Evidence:
    """Every T up to the horizon, from a random and a peaked policy."""
    return _schedule(p, rng, 8.0)


@claim(
    "Theorem 1, sharper (derived)",
    r"D(\pi^*_\tau \| \pi_T) \le \frac{1}{6 \tau^2 (T+1)}",
    relation=Bound(),
    assumptions=(r"$\eta_t = 2 / (\tau (t+2))$",),
    falsifiers={
        "transposed": variant(_schedule, "P transposed.", 1 / 6, _transposed),
        "no_anchor": variant(_schedule, "The proximal centre is pi_t.", 1 / 6, _no_anchor),
        "constant_step": variant(_schedule, "A constant step, eta tau = 1/2.", 1 / 6, weight=0.5),
        "strengthened": variant(_schedule, "A tenth of the bound.", 1 / 60),
    },
    lemmas=("munos2023:schedule", "munos2023:landau", "munos2023:uniform_moment"),
    words="The energy balance gives a bound 48 times below the printed one.",
    title="Nash-MD on the schedule, sharper",
)
def last_iterate_sharp(p: Params, rng: np.random.Generator) -> Evidence:
    """As `last_iterate`."""
    return _schedule(p, rng, 1 / 6)


def _stable_game(p, rng):
    """A game, temperature and h = eta tau for which the constant-step iteration contracts, and its fixed point."""
    while True:
        game, tau = _game(p, rng, low=0.2, high=1.0)
        h = float(rng.choice([0.1, 0.2, 0.4]))
        log_fixed, modulus = constant_step_limit(game, tau=tau, weight=h)
        if modulus < STABLE:
            return game, tau, h, log_fixed


def _plateau(p, rng, step=nash_md_step):
    game, tau, h, log_fixed = _stable_game(p, rng)
    log_pi = _iterate(step, game, game.log_mu, tau, p.constant_iters, h / tau)[-1]
    left, right = (float(regularized_gap(game, x, tau=tau)) for x in (log_pi, log_fixed))
    # STABLE^T of the first distance, which the gap's relative conditioning magnifies, and rounding of the policies.
    return Evidence(left=[left], right=[right], tolerance=[1e-6 * right + 1e-20])


@claim(
    "Constant step (derived)",
    r"gap_\tau(\pi_\infty) = gap_\tau\left(BR_\tau\left(\pi^*_{\tau/(1-\eta\tau)}\right)\right) > 0",
    relation=Identity(),
    assumptions=(
        r"locally stable: $(1-\eta\tau)^2 (1 + \eta^2\omega^2) < 0.95^2$, $\pm i\omega$ in the spectrum of $KA$",
    ),
    falsifiers={
        "own_opponent": variant(_plateau, "The opponent is pi_t instead of m_t.", _own_opponent),
        "arithmetic": variant(_plateau, "The mixture with mu is arithmetic.", _arithmetic),
    },
    lemmas=("munos2023:constant_step_misses",),
    words="With a constant step the duality gap stops at a level that Newton's method at another temperature predicts.",
    title="Plateau of constant steps",
)
def plateau(p: Params, rng: np.random.Generator) -> Evidence:
    """A long run against the closed form."""
    return _plateau(p, rng)


def _linear(p, rng, on_schedule=False, averaged=False, from_fixed=False):
    game, tau, h, log_fixed = _stable_game(p, rng)
    target = regularized_nash(game, tau=tau).extras["log_policy"] if on_schedule else log_fixed
    start = log_fixed if from_fixed else 3 * rng.standard_normal(game.n)
    log_pi = _iterate(nash_md_step, game, start, tau, p.constant_iters, None if on_schedule else h / tau)
    if averaged:
        log_pi = running_mean(log_pi)
    # Policies carry roundings of 1e-16 / tau, whose squares the divergence sees.
    return Evidence(error=kl_divergence(target, log_pi), floor=1e-26)


@claim(
    "Constant step (derived)",
    r"D(\pi_\infty \| \pi_t) = O(\rho^t),\quad \rho < 1",
    relation=LinearRate(),
    assumptions=("locally stable, as for the plateau", r"$\pi_\infty$ is the biased fixed point, not $\pi^*_\tau$"),
    falsifiers={
        "schedule": variant(_linear, "The schedule's decreasing steps, against its own limit.", on_schedule=True),
        "averaged": variant(_linear, "The average of the policies so far.", averaged=True),
    },
    words="With a constant step the policies converge geometrically, to the wrong point.",
    title="Linear convergence of constant steps",
    zero_error=variant(_linear, "Started at the fixed point.", from_fixed=True),
)
def constant_step_is_linear(p: Params, rng: np.random.Generator) -> Evidence:
    """The divergence from the biased fixed point, iteration by iteration."""
    return _linear(p, rng)


def _fixed_point(p, rng, base=2):
    """Whether K (m - pi*) is constant over actions for a game in rationals, with m proportional to pi* base^-k.

    pi* uniform, mu proportional to pi* 4^-k, K pi* = k / 8, so that log pi* = log mu + K pi* / tau + const for
    tau = 1 / (16 log 2). Constant steps with eta tau = 0, 1/2, 1 have base 1, 2, 4. A limit is a fixed point, and pi*
    is one only if the payoffs against m and against pi* differ by a constant.
    """
    b = Fraction(int(rng.integers(1, 24)), 64)
    a, k = Fraction(3, 8) - b, (1, 0, -1)
    K = [[Fraction(0), b, a], [-b, Fraction(0), b], [-a, -b, Fraction(0)]]
    weights = [Fraction(base) ** -x for x in k]
    moved = [sum(x * (w / sum(weights) - Fraction(1, 3)) for x, w in zip(row, weights)) for row in K]
    text = f"payoffs against m and pi* differ by {', '.join(str(x) for x in moved)}"
    # The first fact is the construction, the second the statement.
    return Evidence(holds=[[8 * sum(row) for row in K] == [3 * x for x in k], max(moved) == min(moved)], text=text)


@claim(
    "Misreading (constant steps)",
    r"\eta_t \equiv \eta\ \Rightarrow\ \pi_t \to \pi^*_\tau",
    relation=Witness(),
    assumptions=("not a statement of the paper, whose theorem needs decreasing steps",),
    falsifiers={"best_response": variant(_fixed_point, "eta tau = 1: best responses to mu.", base=4)},
    controls={"self_play": variant(_fixed_point, "The opponent is pi_t itself: no bias.", base=1)},
    lemmas=("munos2023:constant_step_misses",),
    words="Constant-step Nash-MD converges to the regularised equilibrium.",
    title="Constant steps reach the equilibrium",
)
def constant_step_reaches_nash(p: Params, rng: np.random.Generator) -> Evidence:
    """Refuted: in rational arithmetic the equilibrium is not a fixed point."""
    return _fixed_point(p, rng)


def _a_posteriori(p, rng, factor=1.0, reversed_kl=False, uniform=False):
    measured, bound, radius = [], [], []
    for _ in range(3):
        game, tau = _game(p, rng, low=0.05)
        log_star, span = equilibrium(game, tau)
        without = regularized_nash(game.replace(mu=None), tau=tau).extras["log_policy"]
        starts = random_policies(p.starts, game.n, rng)
        log_pi = np.vstack([starts, log_star + 1e-2 * rng.standard_normal((2, game.n)), without])
        response = best_response(game.replace(mu=None) if uniform else game, log_pi, tau=tau)
        limit = kl_divergence(response, log_pi) if reversed_kl else kl_divergence(log_pi, response)
        measured.append(kl_divergence(log_pi, log_star))
        radius.append(kl_radius(log_star, span, log_pi))
        # The certificate can be an equality (n = 2, or directions that K A does not rotate): room for the radius.
        bound.append(factor * limit + 2 * radius[-1])
    return Evidence(measured=np.ravel(measured), bound=np.ravel(bound), radius=np.ravel(radius))


@claim(
    "Certificate (derived)",
    r"D(\pi \| \pi^*_\tau) \le D(\pi \| BR_\tau(\pi)) = gap_\tau(\pi) / (2\tau)",
    relation=Bound(),
    falsifiers={
        "half": variant(_a_posteriori, "Half the bound.", factor=0.5),
        "reversed_kl": variant(_a_posteriori, "D(BR || pi) in place of D(pi || BR).", reversed_kl=True),
        "no_reference": variant(_a_posteriori, "A best response that ignores mu.", uniform=True),
    },
    lemmas=("munos2023:gap", "munos2023:certificate"),
    words="The duality gap, computable without the equilibrium, bounds the divergence from it.",
    title="A-posteriori certificate",
)
def a_posteriori(p: Params, rng: np.random.Generator) -> Evidence:
    """Random, peaked and nearly optimal policies, and the equilibrium for another reference."""
    return _a_posteriori(p, rng)


def _checker(game, solution):
    return [bool(check_game(game, solution, level=level)) for level in ("float", "exact")]


def _trusting(game, solution):
    """The same formula without regard to rounding."""
    data = solution.certificate.data
    return [float(regularized_gap(game, data["log_policy"], tau=data["tau"])) <= solution.certificate.gap] * 2


def _halved(game, solution):
    """D(pi || BR) tau in place of twice that."""
    data = solution.certificate.data
    return [float(regularized_gap(game, data["log_policy"], tau=data["tau"])) / 2 <= solution.certificate.gap] * 2


def _certificates(p, rng, checker=_checker):
    accepted, true = [], []
    for distance in (1.0, 1e-3, 1e-6):
        game, tau = _game(p, rng)
        solution = regularized_nash(game, tau=tau)
        log_pi = log_softmax(solution.extras["log_policy"] + distance * rng.standard_normal(game.n))
        low, high = gap_enclosure(game.P, game.mu, log_pi, tau)
        for relative in [*(-(10.0 ** -np.arange(1, 19))), *10.0 ** -np.arange(1.0, 19), 3.0]:
            gap = float(low * (1 + Fraction(relative)))
            claimed = Certificate("regularized-gap", gap, data={"log_policy": log_pi, "tau": tau})
            accepted.append(checker(game, replace(solution, policy=softmax(log_pi), certificate=claimed)))
            true.append([Fraction(gap) >= high] * 2)
    return Evidence(accepted=np.ravel(accepted), true=np.ravel(true))


@claim(
    "Certificate (derived)",
    r"\text{accepted}\ \Rightarrow\ gap_\tau(\pi) \le g,\ \text{hence}\ D(\pi \| \pi^*_\tau) \le g / (2\tau)",
    relation=CertificateSound(),
    assumptions=("perturbations of the gap by 1e-1 to 1e-18, relative",),
    falsifiers={
        "no_rounding": variant(_certificates, "A checker without regard to rounding.", _trusting),
        "halved": variant(_certificates, "tau D(pi || BR) taken for the gap.", _halved),
    },
    lemmas=("munos2023:gap", "munos2023:certificate"),
    words="The referee never accepts a gap that is too small, at any scale; truth is decided by 300-bit balls.",
    title="Soundness of the gap checker",
)
def certificate_sound(p: Params, rng: np.random.Generator) -> Evidence:
    """Both levels of the referee on perturbed gaps of three policies."""
    return _certificates(p, rng)


def _cycle(p, rng, order=(0, 1, 2)):
    a, b, c = (Fraction(int(x), 64) for x in rng.choice(np.arange(1, 33), size=3, replace=False))
    policy = [three_cycle_nash(a, b, c)[i] for i in order]
    K = [[Fraction(x) for x in row] for row in three_cycle(float(a), float(b), float(c)).K.tolist()]
    payoff = [sum(x * w for x, w in zip(row, policy)) for row in K]
    # K p = 0 with p > 0, and a rank of two: the equilibrium, and the only one.
    rank_two = K[0][1] != 0 and sum(policy) == 1
    return Evidence(holds=[payoff == [0, 0, 0], all(x > 0 for x in policy), rank_two], text=f"a, b, c = {a}, {b}, {c}")


@claim(
    "Three cyclic actions (derived)",
    r"K_{12} = a,\ K_{23} = b,\ K_{31} = c\ \Rightarrow\ \pi^* = (b, c, a) / (a + b + c)",
    relation=Witness(),
    falsifiers={
        "own_margin": variant(_cycle, "Every action weighted by its own margin: (a, b, c).", (2, 0, 1)),
        "other_rotation": variant(_cycle, "The other rotation: (c, a, b).", (1, 2, 0)),
    },
    lemmas=("munos2023:three_cycle",),
    words="The equilibrium of three cyclic actions weighs each by the margin between the other two.",
    title="Equilibrium of a cycle",
)
def three_cycle_equilibrium(p: Params, rng: np.random.Generator) -> Evidence:
    """Random margins in sixty-fourths, in rational arithmetic."""
    return _cycle(p, rng)


def _regret(p, rng, step=tuned_step):
    """Opponents by row: best responses to the current policy nine times in ten; and independent draws that favour the
    first action by 1 / sqrt(T), which is the harder to tell the longer the horizon."""
    payoffs = three_cycle(*(float(x) for x in rng.uniform(0.25, 0.5, size=3))).P
    runs, horizons, out = 2 * p.regret_runs, 2 ** np.arange(p.first, p.last + 1), []
    for T in horizons:
        drawn, chance = rng.integers(3, size=(T, 2 * runs)), rng.random((T, 2 * runs))

        def opponent(t, pi, drawn=drawn, chance=chance, T=T):
            z = np.where(chance[t] < 1 / np.sqrt(T), 0, drawn[t])
            respond = chance[t, :runs] < 0.9
            z[:runs] = np.where(respond, np.argmin(pi[:runs] @ payoffs, axis=1), drawn[t, :runs])
            return z

        regret = mirror_descent(payoffs, opponent, eta=step(3, int(T)), num_rounds=int(T), runs=2 * runs)
        out.append(regret.reshape(2, runs))
    values = np.stack(out, axis=1)
    return Evidence(horizons=horizons, select=values[..., : p.regret_runs], estimate=values[..., p.regret_runs :])


@claim(
    "Mirror descent under Nash-MD (standard)",
    r"\max_y \sum_t P(y \succ z_t) - \sum_t P(\pi_t \succ z_t) \le \sqrt{T \log(n) / 2}",
    relation=Regret(),
    assumptions=(
        r"$\eta = \sqrt{8 \log(n) / T}$",
        "any opponent; tested on best responses and on nearly indifferent draws",
    ),
    falsifiers={
        "fixed_step": variant(_regret, "eta = 4 whatever the horizon.", lambda n, T: 4.0),
        "leader": variant(_regret, "Follow the leader.", lambda n, T: 1e6),
        "slow_step": variant(_regret, "eta = 4 T^(-1/8).", lambda n, T: 4 * T**-0.125),
    },
    controls={"double_step": variant(_regret, "Twice the tuned step.", lambda n, T: 2 * tuned_step(n, T))},
    lemmas=("munos2023:hoeffding",),
    words="Mirror descent with a step tuned to the horizon has regret of order sqrt(T) in a preference game.",
    title="No regret",
)
def no_regret(p: Params, rng: np.random.Generator) -> Evidence:
    """Two opponents on a random cycle, fresh runs for each horizon."""
    return _regret(p, rng)


def _sampled(p, rng, transposed=False, forgetful=False):
    """2 tau^2 D(pi* || pi_T) in [0, 1], of independent runs with sampled preferences."""
    game, tau = _game(p, rng, low=1.0)
    log_star = regularized_nash(game, tau=tau).extras["log_policy"]
    played = game.replace(P=game.P.T) if transposed else game
    T = 1 if forgetful else p.sampled_iters
    run = nash_md_sampled(played, tau=tau, num_iters=T, runs=p.sampled_runs, rng=rng, checkpoints=[T])
    return 2 * tau**2 * kl_divergence(log_star, run["log_pi"][:, 0])


def _mean(p, rng, factor=1.0, **options):
    return Evidence(error=_sampled(p, rng, **options), bound=factor / (p.sampled_iters + 1))


def _tail(p, rng, **options):
    return Evidence(violated=_sampled(p, rng, **options) > 1 / (TAIL * (p.sampled_iters + 1)))


@claim(
    "Sampled preferences (derived)",
    r"2 \tau^2\, E\, D(\pi^*_\tau \| \pi_T) \le \frac{1}{T + 1}",
    relation=BoundMean(cap=1.0),
    assumptions=(r"outcomes are Bernoulli with mean $P(y \succ z)$, $z \sim m_t$", r"$\eta_t = 2 / (\tau (t+2))$"),
    falsifiers={
        "transposed": variant(_mean, "Outcomes are reported the wrong way round.", transposed=True),
        "one_update": variant(_mean, "The policy after the first update.", forgetful=True),
        "strengthened": variant(_mean, "A twentieth of the bound.", factor=0.05),
    },
    lemmas=("munos2023:schedule", "munos2023:hoeffding"),
    words="With sampled comparisons the mean divergence still falls like 1 / T.",
    title="Nash-MD from samples, mean",
)
def sampled_mean(p: Params, rng: np.random.Generator) -> Evidence:
    """Independent runs on a random game, errors in units of their almost sure bound."""
    return _mean(p, rng)


@claim(
    "Sampled preferences (derived)",
    r"P\left(2 \tau^2 D(\pi^*_\tau \| \pi_T) > \frac{1}{\delta (T + 1)}\right) \le \delta",
    relation=BoundHP(delta=TAIL),
    assumptions=("as for the mean; Markov's inequality",),
    falsifiers={"transposed": variant(_tail, "Outcomes are reported the wrong way round.", transposed=True)},
    words="With probability 1 - delta the divergence is at most 1 / delta times the bound of its mean.",
    title="Nash-MD from samples, tail",
)
def sampled_tail(p: Params, rng: np.random.Generator) -> Evidence:
    """The same runs, counted."""
    return _tail(p, rng)


def figure_schedule(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Median and 10-90 % band over games of tau^2 D(pi* || pi_T), on the schedule and from samples; the bounds."""
    T = np.unique(np.round(np.logspace(0, np.log10(p.horizon), 40)).astype(int))
    exact, sampled = [], []
    for _ in range(24):
        game, tau = _game(p, rng, low=0.3)
        log_star = regularized_nash(game, tau=tau).extras["log_policy"]
        runs = nash_md_sampled(game, tau=tau, num_iters=p.horizon, runs=1, rng=rng, checkpoints=T)
        exact.append(
            tau**2 * kl_divergence(log_star, nash_md(game, tau=tau, num_iters=p.horizon, checkpoints=T)["log_pi"])
        )
        sampled.append(tau**2 * kl_divergence(log_star, runs["log_pi"][0]))
    table = {"T": T}
    for name, values in (("exact", exact), ("sampled", sampled)):
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], axis=0)
        table |= {name: middle, f"{name}_lo": low, f"{name}_hi": high}
    return table | {"bound_printed": 8 / (T + 1), "bound_exact": 1 / (6 * (T + 1)), "bound_sampled": 1 / (2 * (T + 1))}


def figure_plateau(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """gap_tau over iterations on one game: the schedule, a constant step, and the level predicted for the latter."""
    game, tau, h, log_fixed = _stable_game(p, rng)
    out = {"t": np.arange(1, p.horizon + 1)}
    for name, eta in (("schedule", None), ("constant", h / tau)):
        out[name] = regularized_gap(game, nash_md(game, tau=tau, eta=eta, num_iters=p.horizon)["log_pi"][1:], tau=tau)
    level = float(regularized_gap(game, log_fixed, tau=tau))
    return out | {"bound": np.full(p.horizon, level)}
