r"""Tiapkin et al. (2025), Nash mirror prox (Nash-MP), in tabular form with exact preferences.

Source: arXiv:2505.19731v1, the abstract: last-iterate rate (1 + 2 beta)^(-N/2) after N queries of the preferences, and
1 / beta times that for the suboptimality gap. Later versions have other theorems. The update is from memory, consistent
with that rate; all else is derived here, with tau = beta, lam = beta / eta_MP (the paper's eta_MP = 2 beta is
lam = 1/2), q = lam / (lam + tau) and L the game's operator constant, at most 1/2:

- Nash-MP is EGPO with eta = 1 / (lam + tau), and 1 - eta tau = q = 1 / (1 + eta_MP);
- D(pi* || pi_(k+1)) <= q D(pi* || pi_k) for lam >= L, with N = 2 k queries, hence the rate, whatever the number of
  actions; lam = L is more aggressive where double differences of preferences are small, and lam < L may fail;
- the proximal objective falls short of its maximum by exactly (lam + tau) D(p || v), v its maximiser;
- proximal steps solved up to logit errors of spans s1, s2 cost at most s2^2 / (8 eta tau)
  + (s1 + s2)^2 / (8 (1 - eta^2 L^2 / q)).

Inner gradient steps start at the centre, hence stay at the equilibrium: no floor without noise; too few lose the rate.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.games.egpo import egpo
from mdplab.algorithms.games.nash_md import nash_md
from mdplab.algorithms.games.nash_mp import nash_mp, nash_mp_step, proximal_step
from mdplab.algorithms.games.nash_pg import self_play_pg
from mdplab.algorithms.games.omwu import omwu
from mdplab.algorithms.games.self_play import omd
from mdplab.claims import Bound, Evidence, Identity, Ordering, claim, variant
from mdplab.exact.games import regularized_gap, regularized_nash
from mdplab.instances.games import random_preferences, three_cycle
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.papers.shared.games import (
    U,
    above_rounding,
    equilibrium,
    gap_radius,
    kl_radius,
    random_game,
    random_policies,
)


@dataclass(frozen=True)
class Params:
    """Sizes: `actions` at most; `starts` policies a game; `horizon` updates of a run; `games` of the figures."""

    actions: int
    starts: int
    horizon: int
    games: int


def _game(p, rng, low=0.01, high=2.0):
    return random_game(p.actions, rng, low, high)


def _transposed(game, log_pi, *, tau, lam):
    return nash_mp_step(game.replace(P=game.P.T), log_pi, tau=tau, lam=lam)


def _inverted(game, log_pi, *, tau, lam):
    return nash_mp_step(game, log_pi, tau=tau, lam=1 / lam)


def _half_centre(game, log_pi, *, tau, lam):
    half = proximal_step(game, log_pi, log_pi, tau=tau, lam=lam)
    return proximal_step(game, half, half, tau=tau, lam=lam)


def _one_proximal_step(game, log_pi, *, tau, lam):
    return proximal_step(game, log_pi, log_pi, tau=tau, lam=lam)


MUTANTS = {
    "transposed": (_transposed, "P transposed."),
    "half_centre": (_half_centre, "The second proximal step is centred at the first's result."),
    "one_step": (_one_proximal_step, "One proximal step, against the current policy."),
}


def _mutants(function, *names):
    return {name: variant(function, MUTANTS[name][1], step=MUTANTS[name][0]) for name in names}


def _one_step(p, rng, step=nash_mp_step, fraction=1.0):
    measured, bound, radius = [], [], []
    # On rock-paper-scissors with 0/1 preferences a smaller weight is seen to fail.
    for game, tau in (_game(p, rng), (three_cycle(0.5, 0.5, 0.5), 0.01)):
        log_star, span = equilibrium(game, tau)
        log_pi = random_policies(p.starts, game.n, rng, (1.0, 3.0, 10.0))
        for lam in (0.5, max(game.operator_constant(), 0.01)):
            lam *= fraction
            after = step(game, log_pi, tau=tau, lam=lam)
            radius.append(kl_radius(log_star, span, log_pi, after))
            measured.append(kl_divergence(log_star, after))
            # Peaked policies come within rounding of the bound: room for the radius.
            bound.append(lam / (lam + tau) * kl_divergence(log_star, log_pi) + 2 * radius[-1])
    return Evidence(measured=np.ravel(measured), bound=np.ravel(bound), radius=np.ravel(radius))


@claim(
    "Linear rate, one step (derived)",
    r"D(\pi^* \| \pi_{k+1}) \le \frac{\lambda}{\lambda + \beta} D(\pi^* \| \pi_k)",
    relation=Bound(),
    assumptions=(r"$\lambda \ge L(K)$; the paper's $\eta = 2\beta$ is $\lambda = 1/2 \ge L$",),
    falsifiers=_mutants(_one_step, *MUTANTS)
    | {"half_lambda": variant(_one_step, "lambda = 1/4 and L / 2.", fraction=0.5)},
    lemmas=("tiapkin2025:is_extragradient", "tiapkin2025:rate", "zhou2025:energy", "zhou2025:absorbed"),
    words="One iteration contracts the divergence from the equilibrium, for every game and number of actions.",
    title="One step of Nash-MP",
)
def one_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies from flat to peaked on a random game and on rock-paper-scissors, lambda = 1/2 and lambda = L."""
    return _one_step(p, rng)


def _transposed_run(game, **arguments):
    return nash_mp(game.replace(P=game.P.T), **arguments)


def _run(p, rng, method, inner_steps):
    """Game, tau, log pi*, span of its error, and the trace of a run with lam = 1/2."""
    cyclic = rng.random() < 0.3
    game, tau = _game(p, rng, low=0.02, high=0.5)
    game = three_cycle(0.5, 0.5, 0.5) if cyclic else game
    log_star, span = equilibrium(game, tau)
    arguments = {"tau": tau, "num_iters": p.horizon, "log_pi0": 2 * rng.standard_normal(game.n)}
    return game, tau, log_star, span, method(game, inner_steps=inner_steps, **arguments)


def _last_iterate(p, rng, method=nash_mp, inner_steps=None, exponent=0.5):
    _, tau, log_star, span, trace = _run(p, rng, method, inner_steps)
    log_pi, N = trace["log_pi"], trace["queries"]
    radius = kl_radius(log_star, span, log_pi)
    D = kl_divergence(log_star, log_pi)
    bound = (1 + 2 * tau) ** (-exponent * N) * D[0] + radius[0]
    return Evidence(**above_rounding(D[1:], bound[1:], radius[1:]))


@claim(
    "Abstract (constant derived)",
    r"D(\pi^* \| \pi_k) \le (1 + 2\beta)^{-N/2} D(\pi^* \| \pi_0),\quad N = 2k",
    relation=Bound(),
    assumptions=(r"$\eta = 2\beta$; $N$ counts evaluations of $P\nu$",),
    falsifiers={
        "transposed": variant(_last_iterate, "P transposed.", _transposed_run),
        "one_inner_step": variant(_last_iterate, "One gradient step for each proximal step.", inner_steps=1),
        "per_query": variant(_last_iterate, "(1 + 2 beta)^(-N): iterations taken for queries.", exponent=1.0),
    },
    lemmas=("tiapkin2025:is_extragradient", "tiapkin2025:rate"),
    words="The last iterate approaches the regularised equilibrium linearly in the number of queries.",
    title="Last iterate of Nash-MP",
)
def last_iterate(p: Params, rng: np.random.Generator) -> Evidence:
    """Every iteration of a run from a random policy, with the queries that the run counted."""
    return _last_iterate(p, rng)


def _gap(p, rng, method=nash_mp, inner_steps=None, exponent=1.0):
    game, tau, log_star, _, trace = _run(p, rng, method, inner_steps)
    log_pi = trace["log_pi"]
    k, eta, q, L = trace.t[1:], 1 / (0.5 + tau), 1 / (1 + 2 * tau), game.operator_constant()
    D0, s0 = float(kl_divergence(log_star, log_pi[0])), float(np.ptp(log_pi[0] - log_star))
    span = q**k * s0 + 2 * L * np.sqrt(2 * eta * q * D0 / tau) * q ** ((k - 1) / 2) / (1 - np.sqrt(q))
    bound = (tau * np.sqrt(2 * D0 * q**k) * span + 2 * L**2 / tau * D0 * q**k) * q ** ((exponent - 1) * k)
    measured = regularized_gap(game, log_pi[1:], tau=tau)
    return Evidence(**above_rounding(measured, bound, gap_radius(game, log_pi[1:], tau)))


@claim(
    "Abstract (constant derived)",
    r"gap_\beta(\pi_k) \le C\, (1 + 2\beta)^{-N/2},\quad C = O(1/\beta)",
    relation=Bound(),
    assumptions=(r"$\eta = 2\beta$", r"$C$ from $D_0$, $s_0$ and the bounds on divergence and span"),
    falsifiers={
        "transposed": variant(_gap, "P transposed.", _transposed_run),
        "one_inner_step": variant(_gap, "One gradient step for each proximal step.", inner_steps=1),
        "strengthened": variant(_gap, "The bound times (1 + 2 beta)^(-3 k).", exponent=4.0),
    },
    lemmas=("munos2023:gap", "tiapkin2025:rate"),
    words="So does the duality gap, with a constant that grows like 1 / beta.",
    title="Duality gap of Nash-MP",
)
def duality_gap(p: Params, rng: np.random.Generator) -> Evidence:
    """As `last_iterate`."""
    return _gap(p, rng)


def _is_egpo(p, rng, step=nash_mp_step, misread=False):
    n = p.actions
    game = random_preferences(n, rng=rng)
    tau, lam = (float(np.exp(rng.uniform(np.log(0.05), np.log(2.0)))) for _ in range(2))
    log_pi = [log_softmax(2 * rng.standard_normal(n))]
    eta = 1 / (1 / lam + tau) if misread else 1 / (lam + tau)
    right = egpo(game, tau=tau, eta=eta, num_iters=8, log_pi0=log_pi[0])["log_pi"]
    for _ in range(8):
        log_pi.append(step(game, log_pi[-1], tau=tau, lam=lam))
    return Evidence(
        left=log_pi, right=right, tolerance=np.full(right.shape, 64 * n * U * (1 + 8 * eta) * (1 + 1 / tau))
    )


@claim(
    "Identity (derived)",
    r"\text{Nash-MP}(\lambda) = \text{EGPO}(\eta),\quad \eta = 1 / (\lambda + \beta)",
    relation=Identity(),
    falsifiers={
        "misread": variant(_is_egpo, "eta = 1 / (1/lambda + beta).", misread=True),
        "inverted": variant(_is_egpo, "1 / lambda weighs the proximal term.", _inverted),
    }
    | _mutants(_is_egpo, "half_centre", "transposed"),
    lemmas=("tiapkin2025:is_extragradient",),
    words="Nash mirror prox and the extragradient method EGPO are one algorithm in two parametrisations.",
    title="Nash-MP is EGPO",
)
def is_egpo(p: Params, rng: np.random.Generator) -> Evidence:
    """Eight iterations of both from the same policy."""
    return _is_egpo(p, rng)


def _shortfall(p, rng, weight=None, transposed=False):
    game = random_preferences(p.actions, rng=rng)
    tau, lam = (float(np.exp(rng.uniform(np.log(0.05), np.log(2.0)))) for _ in range(2))
    log_pi, log_nu, *candidates = log_softmax(2 * rng.standard_normal((p.starts + 2, game.n)))
    shown = game.replace(P=game.P.T) if transposed else game
    best = proximal_step(shown, log_pi, log_nu, tau=tau, lam=lam if weight is None else weight(lam))

    def objective(log_p):
        distances = tau * kl_divergence(log_p, game.log_mu) + lam * kl_divergence(log_p, log_pi)
        return softmax(log_p) @ game.P @ softmax(log_nu) - distances

    left = np.array([objective(best) - objective(x) for x in candidates])
    right = (lam + tau) * np.array([kl_divergence(x, best) for x in candidates])
    return Evidence(left=left, right=right, tolerance=1e4 * game.n * U * (1 + right))


@claim(
    "Proximal step (derived)",
    r"J(v) - J(p) = (\lambda + \beta) D(p \| v),\quad J(p) = P(p \succ \nu) - \beta D(p \| \mu) - \lambda D(p \| \pi)",
    relation=Identity(),
    falsifiers={
        "transposed": variant(_shortfall, "P transposed.", transposed=True),
        "inverted": variant(_shortfall, "1 / lambda in place of lambda.", lambda lam: 1 / lam),
    },
    lemmas=("tiapkin2025:is_extragradient",),
    words="The closed form maximises the proximal objective; others fall short by exactly their divergence from it.",
    title="Proximal step",
)
def shortfall(p: Params, rng: np.random.Generator) -> Evidence:
    """The library's proximal step against the objective's values at random policies."""
    return _shortfall(p, rng)


def _inexact(p, rng, inner_steps=2, first=1.0, second=1.0, transposed=False):
    """One iteration with gradient steps, from the centre, in place of each proximal step."""
    measured, bound, radius, lam = [], [], [], 0.5
    for _ in range(3):
        game, tau = _game(p, rng, low=0.05)
        log_star, span = equilibrium(game, tau)
        eta, q, L = 1 / (lam + tau), lam / (lam + tau), game.operator_constant()
        played = game.replace(P=game.P.T) if transposed else game
        distance = 10 ** rng.uniform(-1, 0.5, size=(p.starts, 1))
        log_pi = log_softmax(log_star + distance * rng.standard_normal((p.starts, game.n)))
        options = {"tau": tau, "lam": lam}
        half = proximal_step(played, log_pi, log_pi, inner_steps=inner_steps, **options)
        full = proximal_step(played, log_pi, half, inner_steps=inner_steps, **options)
        s1 = np.ptp(half - proximal_step(played, log_pi, log_pi, **options), axis=-1)
        s2 = np.ptp(full - proximal_step(played, log_pi, half, **options), axis=-1)
        cost = first * s2**2 / (8 * eta * tau) + second * (s1 + s2) ** 2 / (8 * (1 - eta**2 * L**2 / q))
        radius.append(kl_radius(log_star, span, log_pi, half, full))
        measured.append(kl_divergence(log_star, full))
        bound.append(q * kl_divergence(log_star, log_pi) + cost + 2 * radius[-1])
    return Evidence(measured=np.ravel(measured), bound=np.ravel(bound), radius=np.ravel(radius))


@claim(
    "Inexact proximal steps (derived)",
    r"D_{k+1} \le q D_k + \frac{s_2^2}{8\eta\beta} + \frac{(s_1 + s_2)^2}{8 (1 - \eta^2 L^2 / q)}",
    relation=Bound(),
    assumptions=(r"$s_1, s_2$ the spans of the logit errors that inner gradient steps leave", r"$\lambda = 1/2$"),
    falsifiers={
        "no_errors": variant(_inexact, "The bound of exact steps.", first=0.0, second=0.0),
        "transposed": variant(_inexact, "P transposed, twenty inner steps.", inner_steps=20, transposed=True),
    },
    controls={"many": variant(_inexact, "Twenty gradient steps.", inner_steps=20)},
    lemmas=("zhou2025:energy", "zhou2025:operator_norm"),
    words="Proximal steps solved by two gradient steps lose at most what their errors in logits allow.",
    title="Nash-MP with inexact proximal steps",
)
def inexact(p: Params, rng: np.random.Generator) -> Evidence:
    """One inexact iteration from policies at distances from 0.1 to 3 of the equilibrium, errors measured."""
    return _inexact(p, rng)


def _queries(p, rng, method=nash_mp):
    game, tau = _game(p, rng)
    trace = method(game, tau=tau, num_iters=12, **({} if method is nash_mp else {"eta": 1 / (tau + 0.5)}))
    return Evidence(left=trace["queries"], right=2 * trace.t, tolerance=np.zeros(13))


@claim(
    "Queries",
    r"N = 2k",
    relation=Identity(),
    falsifiers={
        "cached": variant(_queries, "The first payoff reused from the iteration before: OMWU.", omwu),
        "one_step": variant(_queries, "One proximal step: OMD.", omd),
    },
    words="An iteration asks for two payoff vectors, no less.",
    title="Two queries an iteration",
)
def queries(p: Params, rng: np.random.Generator) -> Evidence:
    """The counter of the oracle that a run asks."""
    return _queries(p, rng)


def _ranking(p, rng, shown=1.0):
    """log D after the same number of queries, (runs,): Nash-MP and Nash-MD on its schedule."""
    left, right = [], []
    for _ in range(4):
        game, tau = random_preferences(10, rng=rng), 0.1
        log_star, _ = equilibrium(game, tau)
        for values, method, updates in ((left, nash_mp, int(100 * shown)), (right, nash_md, 200)):
            log_pi = method(game, tau=tau, num_iters=updates, checkpoints=[updates])["log_pi"][-1]
            values.append(np.log(kl_divergence(log_star, log_pi)))
    return Evidence(left=left, right=right)


@claim(
    "Comparison (derived)",
    r"D(\pi^* \| \pi^{MP}_N) < D(\pi^* \| \pi^{MD}_N)\quad (N = 200,\ \beta = 0.1)",
    relation=Ordering(),
    assumptions=("ten actions, preferences uniform below the diagonal; Nash-MD on its schedule",),
    falsifiers={"twentieth": variant(_ranking, "A twentieth of the queries.", 0.05)},
    words="At equal numbers of queries Nash-MP is nearer to the equilibrium than Nash-MD.",
    title="Nash-MP against Nash-MD",
)
def ranking(p: Params, rng: np.random.Generator) -> Evidence:
    """Four random games a replicate."""
    return _ranking(p, rng)


def _figure(p, rng, tau, quantity):
    """Median and range over games of a quantity against queries; five methods."""
    N = 2 * np.unique(np.round(np.linspace(0, 6 / np.log1p(2 * tau), 60)).astype(int))
    games = random_preferences(10, rng=rng, contexts=p.games)
    log_star = regularized_nash(games, tau=tau).extras["log_policy"]
    last, eta = int(N[-1]), 1 / (tau + 0.5)
    runs = {
        "nash_mp": nash_mp(games, tau=tau, num_iters=last // 2, checkpoints=N // 2),
        "nash_md": nash_md(games, tau=tau, num_iters=last, checkpoints=N),
        "nash_md_constant": nash_md(games, tau=tau, eta=eta, num_iters=last, checkpoints=N),
        "omd": omd(games, tau=tau, eta=eta, num_iters=last, checkpoints=N),
        "self_play_pg": self_play_pg(games, tau=tau, eta=eta, num_iters=last, checkpoints=N),
    }
    table = {"N": N}
    for name, run in runs.items():
        values = quantity(games, log_star, run["log_pi"])
        table |= {name: np.median(values, axis=1), f"{name}_lo": values.min(axis=1), f"{name}_hi": values.max(axis=1)}
    bound = {"bound": table["nash_mp_hi"][0] * (1 + 2 * tau) ** (-N / 2)}
    return table | (bound if quantity is _divergence else {})


def _divergence(games, log_star, log_pi):
    return np.maximum(kl_divergence(log_star, log_pi), 1e-30)


def _exploitability(games, log_star, log_pi):
    return 2 * np.max(np.matmul(games.K, softmax(log_pi)[..., None])[..., 0], axis=-1)


def figure_divergence(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """D(pi* || pi) at beta = 0.1, with the bound from the largest start."""
    return _figure(p, rng, 0.1, _divergence)


def figure_divergence_small(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """D(pi* || pi) at beta = 0.01."""
    return _figure(p, rng, 0.01, _divergence)


def figure_exploitability(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """gap_0 at beta = 0.01: what regularisation leaves."""
    return _figure(p, rng, 0.01, _exploitability)
