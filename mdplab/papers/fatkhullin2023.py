r"""Fatkhullin, Barakat, Kireeva, He (ICML 2023): N-PG-IGT, its estimator, and the inequalities its proof rests on.

The theorem bounds E[J* - J(theta_T)] by O(T^(-2/5)) plus a bias. A smooth objective with an interior optimum decays
faster than that whatever the estimator does, so the gap would pass wrong code; what is judged here is the estimator's
error ||d_t - grad J_H(theta_t)||, which the proof bounds by the same rate. The explicit constant of that bound is of
order 1e11 and says nothing; the rate and the exact cancellation behind it are what can be tested.

Tabular softmax policies are nowhere used for rates: they are never Fisher-non-
degenerate.
"""

import copy
from dataclasses import dataclass

import numpy as np

from mdplab.algorithms import policy_gradient as pg
from mdplab.algorithms.policy_gradient import ablations
from mdplab.claims import Bound, Evidence, Identity, Ordering, Rate, SequentialRate, WorstRate, claim
from mdplab.claims.rules import synthetic_rate
from mdplab.exact import policy_gradient as exact
from mdplab.exact.gradient_dominance import dominance_terms
from mdplab.exact.trajectories import enumerate_trajectories
from mdplab.instances import policy_gradient as instances
from mdplab.models import MDP

U = 2.0**-53
# Points at which a dyadic block (n / 2, n] of iterations is averaged: about twice its independent samples.
BLOCK = 16
# Steps of the trajectories that are enumerated.
STEPS = 3


@dataclass(frozen=True)
class Params:
    """Sizes; one set for each profile on the card. Random chains have `states` states.

    Noise-only runs have `noise` a coordinate, `seeds` runs an instance, and sizes 2^first .. 2^last; the two sizes of a
    pair are 2^pair_first and pair_ratio times that; `points` are parameters tried, `steps` iterations of the ascent.
    """

    states: int
    noise: float
    gamma0: float
    first: int
    last: int
    seeds: int
    identity_iterations: int
    pair_first: int
    pair_ratio: int
    order_iterations: int
    order_seeds: int
    points: int
    steps: int


def _blocks(sizes):
    """Iterations (len(sizes) * BLOCK,) evenly spaced over (n / 2, n] for each n; iteration t has used t + 1 samples."""
    share = 0.5 + 0.5 * (np.arange(BLOCK) + 1) / BLOCK
    return np.concatenate([np.ceil(n * share).astype(np.int64) - 1 for n in sizes])


def _errors(run, chain, horizon):
    """||d_t - grad J_H(theta_t)|| (seeds, K) at the checkpoints of a run."""
    return np.linalg.norm(run["d"] - exact.location_gradient(chain, run["theta"], horizon=horizon), axis=-1)


def _oracle_identity(method):
    def measure(p, rng):
        chain = instances.random_quadratic_chain(p.states, rng=rng)
        T = p.identity_iterations
        eta = pg.igt_schedule(T, p.gamma0)[0]
        run = method(pg.NoisyGradient(chain, 0.0), T, p.gamma0, checkpoints=np.arange(T), rng=rng)
        theta, d = run["theta"][0], run["d"][0]
        gradient = exact.location_gradient(chain, theta)
        moved = ((1 - eta) / eta)[:, None] * np.diff(theta, axis=0, prepend=theta[:1])
        # One iteration rounds, in units of U: the point ahead (6 |moved| + |ahead|), the gradient there (3 times its
        # factors), the average (3 |d|). The recursion e = (1 - eta) e + rounding is at most the largest rounding / eta.
        # The exact gradient solves S equations of condition (1 + gamma) / (1 - gamma).
        D, ahead = chain.occupancy, theta + moved
        local = D * (6 * abs(moved) + abs(ahead) + 3 * abs(chain.centre - ahead)) + 3 * abs(d) / eta[:, None]
        solve = 4 * chain.S * (1 + chain.gamma) / (1 - chain.gamma) * abs(gradient)
        tolerance = 2 * U * (np.maximum.accumulate(local.max(axis=1)) + np.maximum.accumulate(solve.max(axis=1)))
        starts = np.concatenate([[0], 2 ** np.arange(int(np.log2(T - 1)) + 1)])
        error = np.maximum.reduceat(abs(d - gradient).max(axis=1), starts)
        return Evidence(left=error, right=0 * error, tolerance=tolerance[starts], instance=chain.digest())

    return measure


@claim(
    "Implicit gradient transport",
    r"\nabla^2 J \equiv \text{const},\; g = \nabla J \;\Longrightarrow\; d_t = \nabla J(\theta_t) \quad \forall t",
    relation=Identity(),
    assumptions=(r"$\nabla^2 J$ is constant", "the oracle is exact"),
    falsifiers={
        "no_look_ahead": _oracle_identity(ablations.no_look_ahead),
        "coefficient_one_over_eta": _oracle_identity(ablations.one_over_eta),
        "eta_off_by_one": _oracle_identity(ablations.next_eta),
    },
    controls={"three_times_the_step": _oracle_identity(ablations.longer)},
    lemmas=("fatkhullin2023:transport_cancels",),
    words="With exact gradients of a quadratic objective the direction of N-PG-IGT is the gradient at every iterate.",
    title="Transport is exact on quadratics",
)
def exact_oracle(p: Params, rng: np.random.Generator) -> Evidence:
    """Largest deviation over each dyadic block of all iterations of a noise-free run on a random quadratic chain."""
    return _oracle_identity(ablations.transport)(p, rng)


def _mean_of(estimate):
    def measure(p, rng):
        P, r, mu = rng.dirichlet(np.ones(3), (3, 3)), rng.random((3, 3)), rng.dirichlet(np.ones(3))
        mdp = MDP(P, r, rng.uniform(0.5, 0.95), mu=mu)
        theta = rng.standard_normal((3, 3))
        states, actions, probability = enumerate_trajectories(mdp, theta, STEPS)
        scores = pg.softmax_score(theta, states, actions).reshape(*states.shape, 9)
        terms = probability[:, None] * estimate(scores, mdp.r[states, actions], mdp.gamma, states)
        right = exact.softmax_gradient(mdp, theta, horizon=STEPS).ravel()
        # A sum of N terms, each a product of 20 factors at most, is off by (N + 20) U sum|terms|.
        tolerance = (len(terms) + 20) * U * np.abs(terms).sum(axis=0)
        return Evidence(left=terms.sum(axis=0), right=right, tolerance=tolerance, instance=mdp.digest())

    return measure


def _with_baseline(scores, rewards, gamma, states):
    """A baseline that depends on the state alone has mean zero against the score."""
    baseline = (1.0 + states) * gamma ** np.arange(STEPS)
    return pg.gpomdp(scores, rewards, gamma) - np.einsum("ntd,nt->nd", scores, baseline)


def _discount_from_own_time(scores, rewards, gamma, states):
    return pg.gpomdp(scores * gamma ** -np.arange(STEPS)[:, None], rewards, gamma)


def _rewards_before(scores, rewards, gamma, states):
    return pg.gpomdp(scores[:, ::-1], (rewards * gamma ** np.arange(STEPS))[:, ::-1], 1.0)


@claim(
    "Gradient estimator",
    r"\mathbb{E}_{\tau}\Big[\sum_{t<H} \sum_{h \ge t} \gamma^h r_h \nabla \log \pi_\theta(a_t | s_t)\Big] "
    r"= \nabla J_H(\theta)",
    relation=Identity(),
    falsifiers={
        "discount_from_own_time": _mean_of(_discount_from_own_time),
        "rewards_before_the_action": _mean_of(_rewards_before),
        "mean_of_scores": _mean_of(lambda scores, rewards, gamma, states: pg.reinforce(scores, rewards, gamma) / STEPS),
    },
    controls={
        "reinforce": _mean_of(lambda scores, rewards, gamma, states: pg.reinforce(scores, rewards, gamma)),
        "state_baseline": _mean_of(_with_baseline),
    },
    lemmas=("fatkhullin2023:gpomdp_unbiased",),
    words="The mean of GPOMDP over all trajectories is the gradient of the truncated objective.",
)
def gpomdp_unbiased(p: Params, rng: np.random.Generator) -> Evidence:
    """All 729 trajectories of three steps of a random 3-state, 3-action model, against the exact gradient."""
    return _mean_of(lambda scores, rewards, gamma, states: pg.gpomdp(scores, rewards, gamma))(p, rng)


def _noise_only(method, *, noise=None, on_some=False, design=lambda p: (p.last, p.seeds)):
    """Errors (seeds, K) of noise-only runs; `on_some` lets the true algorithm run but for long effective horizons.

    With a constant Hessian the error of N-PG-IGT is a weighted sum of the noise alone, whatever the start and the step:
    a second start would measure the same numbers. `trajectory_rate` has one, on chains where it matters.
    """

    def measure(p, rng):
        chain = instances.random_quadratic_chain(p.states, rng=rng)
        last, seeds = design(p)
        sizes = 2 ** np.arange(p.first, last + 1)
        oracle = pg.NoisyGradient(chain, p.noise if noise is None else noise)
        chosen = ablations.transport if on_some and chain.gamma < 0.74 else method
        run = chosen(oracle, int(sizes[-1]), p.gamma0, checkpoints=_blocks(sizes), rng=rng, seeds=seeds)
        error = _errors(run, chain, None).reshape(seeds, sizes.size, BLOCK).mean(axis=-1)
        return Evidence(n=sizes.astype(float), error=error, instance=chain.digest())

    return measure


def _wide(p):
    """Telling instances apart takes more runs than telling their mean: four times as many, a quarter as long."""
    return p.last - 2, 4 * p.seeds


_RATE = (
    r"\frac{2}{n}\sum_{n/2 < t \le n}\mathbb{E}\,\|d_t - \nabla J_H(\theta_t)\| = O(n^{-2/5}), "
    r"\qquad \eta_t = (2/(t+2))^{4/5},\; \gamma_t = 2\gamma_0/(t+2)"
)


@claim(
    "N-PG-IGT theorem, error of d_t",
    _RATE,
    relation=Rate(exponent=0.4, margin=0.04, functional="log_mean"),
    assumptions=("unbiased estimates of bounded variance", r"$\nabla^2 J$ is Lipschitz (here: constant)"),
    falsifiers={
        "no_look_ahead": _noise_only(ablations.no_look_ahead),
        "momentum_two_thirds": _noise_only(ablations.momentum),
        "constant_momentum": _noise_only(ablations.constant),
    },
    zero_error=_noise_only(ablations.transport, noise=0.0),
    words="On random quadratic chains with noisy gradients, the error of the direction falls like n^(-2/5) on average.",
    title="Estimator error falls like n^(-2/5)",
)
def estimator_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Noise-only runs of N-PG-IGT: exact gradient plus N(0, noise^2) in each coordinate."""
    return _noise_only(ablations.transport)(p, rng)


@claim(
    "N-PG-IGT theorem, error of d_t",
    _RATE,
    relation=WorstRate(exponent=0.4, margin=0.04, functional="log_mean"),
    assumptions=("unbiased estimates of bounded variance", r"$\nabla^2 J$ is Lipschitz (here: constant)"),
    falsifiers={
        "constant_momentum_on_some": _noise_only(ablations.constant, on_some=True, design=_wide),
        "slow_momentum_on_some": _noise_only(ablations.two_fifths, on_some=True, design=_wide),
        "no_look_ahead": _noise_only(ablations.no_look_ahead, design=_wide),
    },
    zero_error=_noise_only(ablations.transport, noise=0.0, design=_wide),
    words="The same on every instance of the family, not only on average: an algorithm that fails on some is refuted.",
    title="Estimator error falls like n^(-2/5) on every instance",
)
def estimator_rate_everywhere(p: Params, rng: np.random.Generator) -> Evidence:
    """As `estimator_rate`, judged instance by instance."""
    return _noise_only(ablations.transport, design=_wide)(p, rng)


def _pair(method, *, oracle_start=False):
    def measure(p, rng):
        chain = instances.random_bump_chain(p.states, rng=rng)
        theta0 = exact.location_optimum(chain) if oracle_start else None
        sizes, error = (2**p.pair_first, p.pair_ratio * 2**p.pair_first), []
        # The horizon of the theorem at the longer run, so that both sizes estimate the same gradient.
        horizon = int(np.ceil(np.log(sizes[1] + 1) / (1 - chain.gamma)))
        oracle = pg.SingleTrajectory(chain, horizon)
        for n in sizes:
            run = method(oracle, n, p.gamma0, checkpoints=_blocks([n]), rng=rng, theta0=theta0)
            error.append([_errors(run, chain, horizon).mean()])
        return Evidence(error_lo=error[0], error_hi=error[1], ratio=float(p.pair_ratio), instance=chain.digest())

    return measure


def _exact_pair(p, rng):
    lo, hi = synthetic_rate(0.4, 1, 1, [1.0, p.pair_ratio], 0.15, rng)[0].T
    return Evidence(error_lo=lo, error_hi=hi, ratio=float(p.pair_ratio), instance="exponent 2/5")


@claim(
    "N-PG-IGT theorem, error of d_t",
    _RATE,
    relation=SequentialRate(exponent=0.4, margin=0.1),
    assumptions=(
        "A1: bounded scores and curvature (logistic policy)",
        r"A2: $\nabla^2 \log \pi$ is Lipschitz",
        r"A3: Fisher-non-degenerate, $\mu_F = (1-\gamma)\min\rho/(3b^2)$",
        "bounded rewards",
    ),
    falsifiers={"momentum_two_fifths": _pair(ablations.two_fifths), "constant_momentum": _pair(ablations.constant)},
    controls={"exact_exponent": _exact_pair},
    two_start=_pair(ablations.transport, oracle_start=True),
    words="The algorithm as printed, one trajectory an iteration, where every assumption of the theorem holds.",
)
def trajectory_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """One pair of fresh runs, of n and of ratio * n iterations, on a fresh Fisher-non-degenerate chain."""
    return _pair(ablations.transport)(p, rng)


def _compare(left, right):
    def measure(p, rng):
        chain = instances.random_quadratic_chain(p.states, rng=rng)
        T = p.order_iterations
        horizon = int(np.ceil(np.log(T + 1) / (1 - chain.gamma)))
        error, oracle = {}, pg.SingleTrajectory(chain, horizon)
        for name, method in (("left", left), ("right", right)):
            same = copy.deepcopy(rng)  # Common random numbers.
            run = method(oracle, T, p.gamma0, checkpoints=_blocks([T]), rng=same, seeds=p.order_seeds)
            error[name] = _errors(run, chain, horizon).mean(axis=-1)
        return Evidence(**error, instance=chain.digest())

    return measure


@claim(
    "Implicit gradient transport",
    r"\mathbb{E}\|d_T^{\text{N-PG-IGT}} - \nabla J_H\| < \mathbb{E}\|d_T^{\text{no look-ahead}} - \nabla J_H\|",
    relation=Ordering(),
    falsifiers={
        "swapped": _compare(ablations.no_look_ahead, ablations.transport),
        "backwards": _compare(ablations.backwards, ablations.no_look_ahead),
    },
    controls={"against_backwards": _compare(ablations.transport, ablations.backwards)},
    words="Same schedule, same random numbers: drawing the trajectory ahead of the iterate makes the direction better.",
)
def look_ahead_helps(p: Params, rng: np.random.Generator) -> Evidence:
    """Mean error over the last half of single-trajectory runs on a random quadratic chain, with and without."""
    return _compare(ablations.transport, ablations.no_look_ahead)(p, rng)


def _dominance(*, gradient_factor=lambda chain: 1.0, bias_factor=1.0, eigenvalue_factor=lambda chain: 1.0):
    """Both forms of the inequality, with factors that a falsifier gets wrong."""

    def measure(p, rng):
        # Two states: Cauchy-Schwarz over states, which the first form rests on, loses least.
        chain = instances.random_bump_chain(2, rng=rng)
        theta = rng.uniform(-5, 5, (p.points, chain.S))
        x = dominance_terms(chain, theta, exact.best_actions(chain, grid=np.linspace(-4, 4, 801)))
        bias = bias_factor * x.bias / (1 - chain.gamma)
        pointwise = gradient_factor(chain) * x.score * x.w + bias
        # M_g = 1 / scale bounds the score.
        lemma = x.gradient / chain.scale / (eigenvalue_factor(chain) * x.eigenvalue) + bias
        measured, bound, radius = np.tile(x.gap, 2), np.concatenate([pointwise, lemma]), np.tile(x.radius, 2)
        return Evidence(measured=measured, bound=bound, radius=radius, instance=chain.digest())

    return measure


@claim(
    "Lemma, relaxed weak gradient dominance",
    r"J^* - J(\theta) \le \big(\mathbb{E}_{d^*}\|\nabla\log\pi_\theta\|^2\big)^{1/2} \|w^*(\theta)\| + "
    r"\tfrac{\sqrt{\varepsilon_{\mathrm{bias}}(\theta)}}{1-\gamma} \quad\text{and}\quad "
    r"J^* - J(\theta) \le \tfrac{M_g}{\lambda_{\min} F(\theta)}\|\nabla J(\theta)\| + "
    r"\tfrac{\sqrt{\varepsilon_{\mathrm{bias}}(\theta)}}{1-\gamma}",
    relation=Bound(),
    assumptions=(
        r"A3: Fisher-non-degenerate; $\lambda_{\min} F(\theta)$ is at least the paper's $\mu_F$",
        r"A4 with $\varepsilon_{\mathrm{bias}}$ measured at $\theta$ against the best policy on a grid of actions",
    ),
    falsifiers={
        "bias_7_percent_short": _dominance(bias_factor=0.93),
        "fisher_of_unnormalised_occupancy": _dominance(gradient_factor=lambda chain: 1 - chain.gamma),
        "eigenvalue_of_unnormalised_occupancy": _dominance(eigenvalue_factor=lambda chain: 1 / (1 - chain.gamma)),
    },
    words="How far a policy is from the best is bounded by its gradient and by how badly scores fit its advantages.",
)
def gradient_dominance(p: Params, rng: np.random.Generator) -> Evidence:
    """Both forms at random parameters of a random Fisher-non-degenerate chain; the first has the power."""
    return _dominance()(p, rng)


def _ascent(*, gain=1 / 3, error_weight=8 / 3, curvature=1.0):
    def measure(p, rng):
        chain = instances.random_quadratic_chain(p.states, rng=rng)
        D, oracle = chain.occupancy, pg.NoisyGradient(chain, p.noise)
        run = ablations.transport(oracle, p.steps, p.gamma0, checkpoints=np.arange(p.steps), rng=rng)
        theta, d = run["theta"][0], run["d"][0]
        step = pg.igt_schedule(p.steps, p.gamma0)[1]
        # Directions against the gradient, where the error term is tested, from near the optimum, where curvature is.
        away = np.zeros((40, chain.S))
        away[:, np.argmax(D)] = np.geomspace(1e-2, 10, 40)
        theta = np.concatenate([theta, *[chain.centre + away] * 3])
        g = exact.location_gradient(chain, theta)
        d = np.concatenate([d, -1e-3 * g[-120:-80], g[-80:-40], -1e-3 * g[-40:]])
        step = np.concatenate([step, np.ones(80), np.full(40, 1e-2)])
        value = exact.location_value(chain, theta)
        after = exact.location_value(chain, theta + step[:, None] * d / np.linalg.norm(d, axis=-1, keepdims=True))
        measured = value + gain * step * np.linalg.norm(g, axis=-1) - after
        bound = error_weight * step * np.linalg.norm(d - g, axis=-1) + curvature * D.max() * step**2 / 2
        radius = 16 * chain.S * U * (1 + chain.gamma) / (1 - chain.gamma) * (abs(value) + abs(after))
        return Evidence(measured=measured, bound=bound, radius=radius, instance=chain.digest())

    return measure


@claim(
    "Lemma, normalised step",
    r"J(\theta_{t+1}) \ge J(\theta_t) + \tfrac{\gamma_t}{3}\|\nabla J(\theta_t)\| - "
    r"\tfrac{8\gamma_t}{3}\|d_t - \nabla J(\theta_t)\| - \tfrac{L_g\gamma_t^2}{2}",
    relation=Bound(),
    assumptions=(r"$J$ is $L_g$-smooth; here $L_g = \max_s D_s$, the largest curvature of the quadratic",),
    falsifiers={
        "curvature_5_percent_short": _ascent(curvature=0.95),
        "error_counted_once": _ascent(error_weight=1.0),
        "gain_four_thirds": _ascent(gain=4 / 3),
    },
    lemmas=("fatkhullin2023:normalised_step",),
    words="A step of fixed length along any direction gains a third of the gradient, less the direction's error.",
)
def step_ascent(p: Params, rng: np.random.Generator) -> Evidence:
    """Along a noisy run of N-PG-IGT, and along chosen directions that put each term of the inequality to the test."""
    return _ascent()(p, rng)


def figure_estimator_error(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Estimator error against samples over 24 random quadratic chains; 10-90 % over instances and runs."""
    streams = rng.spawn(24)
    methods = {"n_pg_igt": ablations.transport}
    methods |= {name: getattr(ablations, name) for name in ("no_look_ahead", "momentum")}
    table = {"n": 2.0 ** np.arange(p.first, p.last + 1)}
    for name, method in methods.items():
        error = np.concatenate([_noise_only(method)(p, copy.deepcopy(stream))["error"] for stream in streams])
        table[name] = error.mean(axis=0)
        table[f"{name}_lo"], table[f"{name}_hi"] = np.quantile(error, [0.1, 0.9], axis=0)
    for name, exponent, of in (("bound_two_fifths", 0.4, "n_pg_igt"), ("bound_one_third", 1 / 3, "momentum")):
        table[name] = 1.25 * table[of][0] * (table["n"] / table["n"][0]) ** -exponent
    return table
