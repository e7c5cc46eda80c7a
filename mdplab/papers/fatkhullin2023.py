r"""Fatkhullin, Barakat, Kireeva, He (ICML 2023): N-PG-IGT, (N-)HARPG, and the inequalities their proofs rest on.

The theorems bound E[J* - J(theta_T)] by O(T^(-2/5)) and O(T^(-1/2)) plus a bias. A smooth objective with an interior
optimum decays faster than that whatever the estimator does, so the gap would pass wrong code; what is judged here is
the estimator's error ||d_t - grad J_H(theta_t)||, which the proof bounds by the same rate. The explicit constant of
that bound is of order 1e11 and says nothing; the rate and the exact cancellation behind it are what can be tested.

Tabular softmax policies are nowhere used for rates: they are never Fisher-non-degenerate, which is a claim here too.
With `policy = "softmax"` on the card, `paper_configs/fatkhullin2023.toml`, the claims that need the assumption are not
applicable, and `mdplab verify fatkhullin2023` prints the smallest eigenvalue of the Fisher matrix.

Two claims hold our runs against the calibration table of the project's notes on the paper, made by another
implementation. The paper's own experiments (MuJoCo, neural policies) are not reproduced.
"""

import copy
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from scipy import special

from mdplab.algorithms import policy_gradient as pg
from mdplab.algorithms.policy_gradient import ablations
from mdplab.claims import (
    Bound,
    Evidence,
    Identity,
    NotApplicable,
    Ordering,
    Rate,
    SequentialRate,
    Witness,
    WorstRate,
    claim,
    variant,
)
from mdplab.claims.decision import INTERVAL_LEVEL
from mdplab.claims.rules import synthetic_rate
from mdplab.exact import policy_gradient as exact
from mdplab.exact.gradient_dominance import compatible_fit, dominance_terms, softmax_fisher
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

    Noise-only runs have `noise` a coordinate, `seeds` runs an instance, and sizes 2^first .. 2^last, those of N-HARPG
    up to 2^correction_last; the two sizes of a pair are 2^pair_first and pair_ratio times that; `points` are parameters
    tried, `steps` iterations of the ascent. `table_*` and `runs_*` are methods, rows and sizes of the two calibration
    tables, `window_iterations` those of the runs with several step constants, `gap_iterations` those whose gap is
    looked at. `policy` is "logistic", or "softmax" to hand the claims a degenerate policy.
    """

    policy: str
    states: int
    noise: float
    gamma0: float
    first: int
    last: int
    correction_last: int
    seeds: int
    identity_iterations: int
    pair_first: int
    pair_ratio: int
    order_iterations: int
    order_seeds: int
    points: int
    steps: int
    table_methods: tuple[str, ...]
    table_gamma0: tuple[float, ...]
    table_seeds: int
    runs_rows: tuple[int, ...]
    runs_seeds: int
    window_iterations: int
    gap_iterations: int


def _blocks(sizes):
    """Iterations (len(sizes) * BLOCK,) evenly spaced over (n / 2, n] for each n; iteration t has used t + 1 samples."""
    share = 0.5 + 0.5 * (np.arange(BLOCK) + 1) / BLOCK
    return np.concatenate([np.ceil(n * share).astype(np.int64) - 1 for n in sizes])


def _errors(run, chain, horizon):
    """||d_t - grad J_H(theta_t)|| (seeds, K) at the checkpoints of a run."""
    return np.linalg.norm(run["d"] - exact.location_gradient(chain, run["theta"], horizon=horizon), axis=-1)


def _non_degenerate(p, S, rng):
    """A chain that satisfies A3, or NotApplicable with the smallest eigenvalue of the Fisher matrix."""
    if p.policy == "softmax":
        mdp = MDP(rng.dirichlet(np.ones(S), (S, 2)), rng.random((S, 2)), 0.9, mu=np.full(S, 1 / S))
        smallest = np.linalg.eigvalsh(softmax_fisher(mdp, np.zeros((S, 2)))).min()
        raise NotApplicable(
            f"A3, Fisher-non-degenerate: the smallest eigenvalue of F is {smallest:.1e} for the uniform tabular softmax"
        )
    return instances.random_bump_chain(S, rng=rng)


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


def _correction_identity(method, scale=1.0):
    def measure(p, rng):
        chain = instances.random_quadratic_chain(p.states, rng=rng)
        T = p.identity_iterations
        run = method(pg.NoisyGradient(chain, 0.0), T, scale * p.gamma0, checkpoints=np.arange(T), rng=rng)
        theta, d = run["theta"][0], run["d"][0]
        eta, gradient, D = pg.n_harpg_schedule(T, 1.0)[0], exact.location_gradient(chain, theta), chain.occupancy
        moved = np.diff(theta, axis=0, prepend=theta[:1])
        # Per iteration, in units of U: the average and the correction (4 times their terms), the gradient as above.
        local = 4 * (abs(d) + D * abs(moved)) / eta[:, None] + 3 * D * abs(chain.centre - theta)
        solve = 4 * chain.S * (1 + chain.gamma) / (1 - chain.gamma) * abs(gradient)
        tolerance = 2 * U * (np.maximum.accumulate(local.max(axis=1)) + np.maximum.accumulate(solve.max(axis=1)))
        starts = np.concatenate([[0], 2 ** np.arange(int(np.log2(T - 1)) + 1)])
        error = np.maximum.reduceat(abs(d - gradient).max(axis=1), starts)
        return Evidence(left=error, right=0 * error, tolerance=tolerance[starts], instance=chain.digest())

    return measure


@claim(
    "Hessian correction",
    r"\nabla^2 J \equiv \text{const},\; g = \nabla J,\; B = \nabla^2 J \;\Longrightarrow\; d_t = \nabla J(\theta_t) "
    r"\quad \forall t",
    relation=Identity(),
    assumptions=(r"$\nabla^2 J$ is constant", "the oracles are exact"),
    falsifiers={
        "no_correction": variant(_correction_identity(ablations.no_correction), "d_t = (1 - eta) d_{t-1} + eta g."),
        "correction_backwards": variant(_correction_identity(ablations.correction_backwards), "-(1 - eta) v_t."),
        "correction_undamped": variant(_correction_identity(ablations.correction_undamped), "v_t, not (1 - eta) v_t."),
    },
    controls={
        "steps_of_free_length": variant(_correction_identity(ablations.hessian_aided_free, 0.1), "HARPG, gamma0 = .1."),
        "slower_momentum": variant(_correction_identity(ablations.hessian_aided_slow), "eta_t = (2/(t+2))^(4/5)."),
    },
    lemmas=("fatkhullin2023:correction_cancels",),
    words="With exact oracles of a quadratic objective the direction of N-HARPG is the gradient at every iterate.",
    title="The Hessian correction is exact on quadratics",
)
def exact_correction(p: Params, rng: np.random.Generator) -> Evidence:
    """As `exact_oracle`, for N-HARPG."""
    return _correction_identity(ablations.hessian_aided)(p, rng)


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


def _mean_product(estimate):
    def measure(p, rng):
        P, r, mu = rng.dirichlet(np.ones(3), (3, 3)), rng.random((3, 3)), rng.dirichlet(np.ones(3))
        mdp = MDP(P, r, rng.uniform(0.5, 0.95), mu=mu)
        theta, u = rng.standard_normal((2, 3, 3))
        states, actions, probability = enumerate_trajectories(mdp, theta, STEPS)
        scores = pg.softmax_score(theta, states, actions).reshape(*states.shape, 9)
        bends = pg.softmax_bend(theta, states, u).reshape(scores.shape)
        terms = probability[:, None] * estimate(scores, bends, mdp.r[states, actions], mdp.gamma, u.ravel())
        right = exact.softmax_hvp(mdp, theta, u, horizon=STEPS)[1].ravel()
        # As for the gradient, with products of 40 factors at most; the exact product sums as many terms again.
        tolerance = 2 * (len(terms) + 40) * U * np.abs(terms).sum(axis=0)
        return Evidence(left=terms.sum(axis=0), right=right, tolerance=tolerance, instance=mdp.digest())

    return measure


def _product_late(scores, bends, rewards, gamma, u):
    own = gamma ** -np.arange(STEPS)[:, None]
    along = scores.sum(axis=-2) @ u
    return pg.gpomdp(scores * own, rewards, gamma) * along[..., None] + pg.gpomdp(bends * own, rewards, gamma)


def _product_inside(scores, bends, rewards, gamma, u):
    """Each score with itself: the two sums over steps taken for one."""
    return pg.gpomdp(scores * (scores @ u)[..., None] + bends, rewards, gamma)


def _product_transposed(scores, bends, rewards, gamma, u):
    along = pg.gpomdp(scores, rewards, gamma) @ u
    return scores.sum(axis=-2) * along[..., None] + pg.gpomdp(bends, rewards, gamma)


def _product_reinforce(scores, bends, rewards, gamma, u):
    total = rewards @ gamma ** np.arange(STEPS)
    return (scores.sum(axis=-2) * (scores.sum(axis=-2) @ u)[..., None] + bends.sum(axis=-2)) * total[..., None]


@claim(
    "Hessian estimator",
    r"\mathbb{E}\Big[g \Big\langle \sum_t \nabla\log\pi_\theta(a_t|s_t), u\Big\rangle + \sum_t \sum_{h\ge t} "
    r"\gamma^h r_h \nabla^2\log\pi_\theta(a_t|s_t) u\Big] = \nabla^2 J_H(\theta) u",
    relation=Identity(),
    falsifiers={
        "mean_over_steps": variant(
            _mean_product(
                lambda z, b, r, gamma, u: (
                    pg.hessian_vector(z, b, r, gamma, u / STEPS) + pg.gpomdp(b, r, gamma) * (1 - 1 / STEPS)
                )
            ),
            "The log-likelihood of the trajectory as a mean over steps, as the published code has it.",
        ),
        "sign_turned": variant(_mean_product(lambda *a: -pg.hessian_vector(*a)), "Both losses with a minus sign."),
        "outer_product_alone": variant(
            _mean_product(lambda z, b, *a: pg.hessian_vector(z, 0 * b, *a)), "No curvature."
        ),
        "curvature_alone": variant(
            _mean_product(lambda z, b, r, gamma, u: pg.gpomdp(b, r, gamma)), "No outer product."
        ),
        "curvature_subtracted": variant(_mean_product(lambda z, b, *a: pg.hessian_vector(z, -b, *a)), "Wrong sign."),
        "sums_mixed_up": variant(_mean_product(_product_inside), "One sum over steps for two."),
        "discount_from_own_time": variant(_mean_product(_product_late), "gamma^(h-t) for gamma^h."),
    },
    controls={
        "transposed": variant(_mean_product(_product_transposed), "The mean is symmetric."),
        "whole_return": variant(_mean_product(_product_reinforce), "The REINFORCE form."),
    },
    lemmas=("fatkhullin2023:hessian_unbiased", "fatkhullin2023:hessian_vector"),
    words="The mean over all trajectories of the Hessian estimate times u is the exact Hessian-vector product.",
    title="The Hessian estimate is unbiased",
)
def hessian_unbiased(p: Params, rng: np.random.Generator) -> Evidence:
    """All 729 trajectories of three steps, a random direction, against the exact product."""
    return _mean_product(pg.hessian_vector)(p, rng)


def _off_policy(p, rng, power=1.0):
    P, r, mu = rng.dirichlet(np.ones(3), (3, 3)), rng.random((3, 3)), rng.dirichlet(np.ones(3))
    mdp = MDP(P, r, rng.uniform(0.5, 0.95), mu=mu)
    drawn_at, shift = rng.standard_normal((2, 3, 3))
    theta = drawn_at + 0.5 * shift
    states, actions, probability = enumerate_trajectories(mdp, drawn_at, STEPS)
    weight = pg.likelihood_ratio(theta, drawn_at, states, actions) ** power
    scores = pg.softmax_score(theta, states, actions).reshape(*states.shape, 9)
    terms = (probability * weight)[:, None] * pg.gpomdp(scores, mdp.r[states, actions], mdp.gamma)
    right = exact.softmax_gradient(mdp, theta, horizon=STEPS).ravel()
    # The logarithms of six probabilities, each of at most 10, cost 60 roundings more.
    tolerance = 2 * (len(terms) + 100) * U * np.abs(terms).sum(axis=0)
    return Evidence(left=terms.sum(axis=0), right=right, tolerance=tolerance, instance=mdp.digest())


@claim(
    "Importance weights (what the Hessian correction does without)",
    r"\mathbb{E}_{\tau\sim\theta'}\Big[\frac{p(\tau|\theta)}{p(\tau|\theta')}\, g(\tau,\theta)\Big] "
    r"= \nabla J_H(\theta)",
    relation=Identity(),
    falsifiers={
        "turned_round": variant(_off_policy, "p(tau | theta') / p(tau | theta).", power=-1.0),
        "no_weight": variant(_off_policy, "Trajectories of another policy taken as they are.", power=0.0),
    },
    words="Trajectories of another policy, weighted by the ratio of their probabilities, are unbiased.",
    title="Importance weights are unbiased the right way round",
)
def importance_weighted(p: Params, rng: np.random.Generator) -> Evidence:
    """All 729 trajectories of three steps drawn at one softmax policy, for the gradient at another."""
    return _off_policy(p, rng)


def _segment(p, rng, points=lambda q: q):
    mdp = MDP(
        rng.dirichlet(np.ones(3), (3, 3)), rng.random((3, 3)), rng.uniform(0.5, 0.95), mu=rng.dirichlet(np.ones(3))
    )
    old = rng.standard_normal((3, 3))
    u = 0.3 * rng.standard_normal((3, 3))
    nodes, weights = np.polynomial.legendre.leggauss(12)
    products = [exact.softmax_hvp(mdp, old + points((q + 1) / 2) * u, u, horizon=8)[1] for q in nodes]
    left = np.einsum("q,qsa->sa", weights / 2, np.array(products))
    right = exact.softmax_gradient(mdp, old + u, horizon=8) - exact.softmax_gradient(mdp, old, horizon=8)
    # Entire along the segment but for poles of softmax, at imaginary distance pi / |u|: 12 nodes leave 1e-15 of the
    # products' size, and 8 steps of sums over 9 pairs 8 * 20 roundings of it.
    scale = np.abs(products).max() + np.abs(right).max() + 1 / (1 - mdp.gamma)
    return Evidence(left=left, right=right, tolerance=np.full((3, 3), 320 * U * scale), instance=mdp.digest())


@claim(
    "Mean of the correction",
    r"\int_0^1 \nabla^2 J_H(q\theta_t + (1-q)\theta_{t-1})(\theta_t-\theta_{t-1})\,dq = \nabla J_H(\theta_t) - "
    r"\nabla J_H(\theta_{t-1})",
    relation=Identity(),
    falsifiers={
        "at_the_end": variant(_segment, "The Hessian at theta_t.", points=lambda q: 1.0),
        "at_the_middle": variant(_segment, "The Hessian half way: right to second order only.", points=lambda q: 0.5),
        "half_the_segment": variant(_segment, "q uniform on [1/2, 1].", points=lambda q: (1 + q) / 2),
    },
    words="A uniform point between the iterates makes the correction unbiased whatever the Hessian does in between.",
    title="A uniform point on the segment is exact",
)
def segment_mean(p: Params, rng: np.random.Generator) -> Evidence:
    """Gauss-Legendre quadrature of exact products along a random segment of softmax policies."""
    return _segment(p, rng)


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


def _twice(p):
    """The noise of N-HARPG decorrelates over as many iterations as have passed: runs count more than their length."""
    return p.correction_last, 2 * p.seeds


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


@claim(
    "N-HARPG theorem, error of d_t",
    r"\frac{2}{n}\sum_{n/2 < t \le n}\mathbb{E}\,\|d_t - \nabla J_H(\theta_t)\| = O(n^{-1/2}), "
    r"\qquad \eta_t = 2/(t+2),\; \gamma_t = 2\gamma_0/(t+2)",
    relation=Rate(exponent=0.5, margin=0.07, functional="log_mean"),
    assumptions=("unbiased estimates of bounded variance", "products with the Hessian are unbiased (here: exact)"),
    falsifiers={
        "no_correction": _noise_only(ablations.no_correction, design=_twice),
        "momentum_four_fifths": _noise_only(ablations.hessian_aided_slow, design=_twice),
        "n_pg_igt": _noise_only(ablations.transport, design=_twice),
    },
    zero_error=_noise_only(ablations.hessian_aided, noise=0.0, design=_twice),
    words="On random quadratic chains with noisy gradients, the error of the direction falls like n^(-1/2) on average.",
    title="Estimator error of N-HARPG falls like n^(-1/2)",
)
def correction_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Noise-only runs of N-HARPG: exact gradient plus N(0, noise^2) in each coordinate, exact Hessian."""
    return _noise_only(ablations.hessian_aided, design=_twice)(p, rng)


# Noise-only runs on QChain, 40 seeds, t from 1e3 to 3e5: slope and final error, each a range over gamma0 of 1 and 3.
NOISE_TABLE = {
    "transport": ((-0.391, -0.391), (2.4e-3, 2.4e-3)),
    "no_look_ahead": ((-0.31, -0.28), (1.8e-2, 2.8e-2)),
    "momentum": ((-0.33, -0.32), (1.3e-2, 2.3e-2)),
    "hessian_aided": ((-0.459, -0.459), (8.8e-4, 8.8e-4)),
    "no_correction": ((-0.26, -0.25), (4e-2, 6e-2)),
}
# Single trajectories of 30 steps, 40 seeds: chain, method, gamma0, iterations, slope.
RUNS_TABLE = (
    ("fnd_logit", "transport", 0.3, 30_000, -0.41),
    ("fnd_logit", "transport", 1.0, 30_000, -0.42),
    ("fnd_logit", "hessian_aided", 0.3, 30_000, -0.47),
    ("fnd_logit", "hessian_aided", 1.0, 30_000, -0.46),
    ("fnd_logit", "hessian_aided_free", 0.1, 30_000, -0.55),
    ("fnd_logit", "momentum", 1.0, 30_000, -0.35),
    ("qchain", "transport", 1.0, 100_000, -0.44),
    ("qchain", "no_look_ahead", 1.0, 100_000, -0.32),
    ("qchain", "momentum", 1.0, 100_000, -0.35),
)
TABLE_SEEDS = 40
# As a reader knows the variants of `ablations` and the chains.
NAMES = {
    "transport": "N-PG-IGT",
    "no_look_ahead": "N-PG-IGT, no look-ahead",
    "hessian_aided": "N-HARPG",
    "hessian_aided_free": "HARPG",
    "no_correction": "N-HARPG, no correction",
    "qchain": "QChain",
    "fnd_logit": "FND-Logit",
}


def _named(name):
    return NAMES.get(name, name.replace("_", " "))


def _slope_and_last(t, error, rng):
    """Slope of log mean error (seeds, K) on log t and log of the last mean, with bootstrap errors over seeds."""

    def both(sample):
        log = np.log(sample.mean(axis=0))
        return np.array([np.polyfit(np.log(t), log, 1)[0], log[-1]])

    resampled = [both(error[rng.integers(0, len(error), len(error))]) for _ in range(200)]
    return both(error), np.std(resampled, axis=0)


def _half_width(spread, seeds, level=INTERVAL_LEVEL):
    """Half-width of a two-sided interval from bootstrap errors over seeds, by Student's law."""
    return special.stdtrit(seeds - 1, (1 + level) / 2) * np.sqrt(seeds / (seeds - 1)) * spread


def _calibrated(found, spread, low, high, seeds):
    """Left, right, tolerance and interval: the table's own 40 seeds are as noisy as ours.

    The tolerance is the quantile of Student's law at 3e-5 on each side, so that one row in 16 000 is off by chance.
    """
    both = _half_width(spread * np.sqrt(1 + seeds / TABLE_SEEDS), seeds, level=1 - 6e-5)
    return found, (low + high) / 2, (high - low) / 2 + both, _half_width(spread, seeds)


def _noise_table(p, rng, swapped=None, by=None):
    chain, T, rows, labels, windows = instances.qchain(), 300_000, [], [], []
    t = np.unique(np.geomspace(1e3, T - 1, 12).astype(np.int64))
    for name in [swapped] if swapped else p.table_methods:
        slope, last = NOISE_TABLE[name]
        for gamma0 in p.table_gamma0:
            method = getattr(ablations, by or name)
            run = method(pg.NoisyGradient(chain, 0.3), T, gamma0, checkpoints=t, rng=rng, seeds=p.table_seeds)
            found, spread = _slope_and_last(t, _errors(run, chain, None), rng)
            low, high = np.array([slope, np.log(last)]).T
            rows.append(np.array(_calibrated(found, spread, low, high, p.table_seeds)))
            labels += [
                f"{what}, {_named(by or name)}, QChain, gamma0 {gamma0:g}" for what in ("slope", "last log error")
            ]
            windows += [(t[0], t[-1]), (t[-1], t[-1])]
    left, right, tolerance, interval = np.concatenate(rows, axis=1)
    shown = {"labels": labels, "interval": interval, "windows": windows}
    return Evidence(left=left, right=right, tolerance=tolerance, **shown, instance=chain.digest())


@claim(
    "Calibration, noise alone",
    r"\text{slope of } \log\mathbb{E}\|d_t - \nabla J(\theta_t)\| \text{ on } \log t,\; 10^3 \le t \le 3\cdot 10^5,\; "
    r"\text{and } \log \mathbb{E}\|d_T - \nabla J\|: \text{ as tabled}",
    relation=Identity(),
    assumptions=("QChain, N(0, .09) a coordinate", r"$\gamma_t = 2\gamma_0/(t+2)$"),
    falsifiers={
        "no_look_ahead": variant(_noise_table, "For N-PG-IGT.", swapped="transport", by="no_look_ahead"),
        "no_correction": variant(_noise_table, "For N-HARPG.", swapped="hessian_aided", by="no_correction"),
        "momentum_two_fifths": variant(_noise_table, "For N-PG-IGT.", swapped="transport", by="two_fifths"),
    },
    words="Slopes and final errors of five methods agree with those of another implementation within their intervals.",
    title="Calibration table, noise-only runs",
)
def noise_table(p: Params, rng: np.random.Generator) -> Evidence:
    """Five methods on QChain: measured slope and final error (left) against the table (right)."""
    return _noise_table(p, rng)


def _gap_slopes(p, rng, only=None):
    chain, T, rows, labels = instances.qchain(), p.gap_iterations, [], []
    best = exact.location_value(chain, chain.centre)
    t, seeds = np.unique(np.geomspace(T / 300, T - 1, 12).astype(np.int64)), min(p.table_seeds, 40)
    for name in [only] if only else p.table_methods:
        for gamma0 in p.table_gamma0:
            oracle = pg.NoisyGradient(chain, 0.3)
            run = getattr(ablations, name)(oracle, T, gamma0, checkpoints=t, rng=rng, seeds=seeds)
            gap = best - exact.location_value(chain, run["theta"])
            # Value and bootstrap error of either slope.
            rows.append([[x[0] for x in _slope_and_last(t, y, rng)] for y in (gap, _errors(run, chain, None))])
            labels.append(f"slope of the gap, {_named(name)}, gamma0 {gamma0:g}, against twice the error's")
    (gaps, spread), (errors, _) = np.array(rows).transpose(1, 2, 0)
    shown = {"labels": labels, "interval": _half_width(spread, seeds), "windows": [(t[0], t[-1])] * len(rows)}
    # .08 is the notes' tolerance; over 40 runs we saw differences of at most .033.
    tolerance = np.full(gaps.size, 0.08)
    return Evidence(left=gaps, right=2 * errors, tolerance=tolerance, **shown, instance=chain.digest())


@claim(
    "Why the gap does not tell",
    r"\text{slope of } \log\mathbb{E}[J^* - J(\theta_t)] = 2 \cdot \text{slope of } "
    r"\log\mathbb{E}\|d_t - \nabla J(\theta_t)\|",
    relation=Identity(),
    assumptions=("QChain, N(0, .09) a coordinate", r"$\gamma_t = 2\gamma_0/(t+2)$"),
    falsifiers={
        "constant_momentum": variant(_gap_slopes, "Its direction never improves, its gap falls.", only="constant"),
        "policy_gradient": variant(_gap_slopes, "No memory: the error has no slope.", only="vanilla"),
        "momentum_two_fifths": variant(_gap_slopes, "Noise in the direction outlasts the gap.", only="two_fifths"),
    },
    words="Near a smooth maximum the gap falls like the square of the direction's error, twice as fast as the theorem.",
    title="The gap's slope is twice the error's",
)
def gap_slopes(p: Params, rng: np.random.Generator) -> Evidence:
    """The methods of the noise-only table: slope of the mean gap (left) and twice that of the mean error (right)."""
    return _gap_slopes(p, rng)


def _pair(method, *, oracle_start=False):
    def measure(p, rng):
        chain = _non_degenerate(p, p.states, rng)
        theta0 = exact.location_optimum(chain) if oracle_start else None
        sizes, error = (2**p.pair_first, p.pair_ratio * 2**p.pair_first), []
        # The horizon of the theorem at the longer run, so that both sizes estimate the same gradient.
        horizon = int(np.ceil(np.log(sizes[1] + 1) / (1 - chain.gamma)))
        oracle = pg.SingleTrajectory(chain, horizon)
        for n in sizes:
            run = method(oracle, n, p.gamma0, checkpoints=_blocks([n]), rng=rng, theta0=theta0)
            error.append([_errors(run, chain, horizon).mean()])
        return Evidence(
            error_lo=error[0], error_hi=error[1], ratio=float(p.pair_ratio), sizes=sizes, instance=chain.digest()
        )

    return measure


def _exact_pair(p, rng):
    lo, hi = synthetic_rate(0.4, 1, 1, [1.0, p.pair_ratio], 0.15, rng)[0].T
    sizes = (2**p.pair_first, p.pair_ratio * 2**p.pair_first)
    return Evidence(error_lo=lo, error_hi=hi, ratio=float(p.pair_ratio), sizes=sizes, instance="exponent 2/5")


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


def _runs_table(p, rng, swapped=None, by=None):
    rows, labels, windows = [], [], []
    for chain_name, name, gamma0, T, slope in (RUNS_TABLE[i] for i in p.runs_rows):
        if swapped not in (None, name):
            continue
        chain, t = getattr(instances, chain_name)(), np.unique(np.geomspace(T / 100, T - 1, 12).astype(np.int64))
        method = getattr(ablations, by or name)
        run = method(pg.SingleTrajectory(chain, 30), T, gamma0, checkpoints=t, rng=rng, seeds=p.runs_seeds)
        found, spread = _slope_and_last(t, _errors(run, chain, 30), rng)
        rows.append(_calibrated(found[0], spread[0], slope, slope, p.runs_seeds))
        labels.append(f"slope, {_named(by or name)}, {_named(chain_name)}, gamma0 {gamma0:g}")
        windows.append((t[0], t[-1]))
    left, right, tolerance, interval = np.array(rows).T
    shown = {"labels": labels, "interval": interval, "windows": windows}
    return Evidence(left=left, right=right, tolerance=tolerance, **shown, instance="QChain and FND-Logit")


@claim(
    "Calibration, single trajectories",
    r"\text{slope of } \log\mathbb{E}\|d_t - \nabla J_H(\theta_t)\| \text{ on } \log t,\; "
    r"T/100 \le t < T: \text{ as tabled}",
    relation=Identity(),
    assumptions=("H = 30, one trajectory an estimate",),
    falsifiers={
        "momentum_two_fifths": variant(_runs_table, "For N-PG-IGT.", swapped="transport", by="two_fifths"),
        "constant_momentum": variant(_runs_table, "For N-PG-IGT.", swapped="transport", by="constant"),
        "no_correction": variant(_runs_table, "For N-HARPG.", swapped="hessian_aided", by="no_correction"),
    },
    words="Slopes of the methods as printed, on FND-Logit and QChain, agree with those of another implementation.",
    title="Calibration table, single trajectories",
)
def runs_table(p: Params, rng: np.random.Generator) -> Evidence:
    """Rows of `RUNS_TABLE`, all of them in the full profile."""
    return _runs_table(p, rng)


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
        chain = _non_degenerate(p, 2, rng)
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


def _fit(p, rng, scale=lambda chain: 1 - chain.gamma, comparator=True):
    chain = _non_degenerate(p, 2, rng)
    theta = rng.uniform(-3, 3, (min(p.points, 200), chain.S))
    actions = exact.best_actions(chain, grid=np.linspace(-4, 4, 801))
    x = compatible_fit(chain, theta, actions)
    gap = x.advantage_comparator if comparator else x.advantage_own
    left = np.concatenate([x.gap, np.ravel(scale(chain) * x.w)])
    right = np.concatenate([gap / (1 - chain.gamma), np.ravel(x.coefficient)])
    tolerance = np.concatenate([x.gap_radius, np.ravel(x.fit_radius)])
    return Evidence(left=left, right=right, tolerance=tolerance, instance=chain.digest())


@claim(
    "Proof of gradient dominance, two identities",
    r"J^* - J(\theta) = \tfrac{1}{1-\gamma}\mathbb{E}_{d^*}[A^{\pi_\theta}] \quad\text{and}\quad "
    r"(1-\gamma) F(\theta)^{-1}\nabla J(\theta) = \arg\min_v "
    r"\mathbb{E}_{d^{\pi_\theta}}(A^{\pi_\theta} - v^\top\nabla\log\pi)^2",
    relation=Identity(),
    assumptions=("A3: Fisher-non-degenerate",),
    falsifiers={
        "unnormalised": variant(_fit, "F^-1 grad J itself is 1 / (1 - gamma) times the fit.", scale=lambda chain: 1.0),
        "own_occupancy": variant(_fit, "The advantage has mean 0 under the policy's own occupancy.", comparator=False),
    },
    words="The distance to the comparator is its mean advantage, and w* is what scores can express of the advantage.",
    title="Performance difference and compatible approximation",
)
def compatible_approximation(p: Params, rng: np.random.Generator) -> Evidence:
    """Both at random parameters; the fit by quadrature over states and actions, w* from the exact gradient."""
    return _fit(p, rng)


def _global_constants(p, rng, fisher=lambda chain: chain.fisher):
    _non_degenerate(p, 2, rng)
    chain = instances.fnd_logit()
    theta = rng.uniform(-5, 5, (p.points, 2))
    x = dominance_terms(chain, theta, exact.best_actions(chain, grid=np.linspace(-4, 4, 801)))
    smallest = (1 - chain.gamma) * chain.rho.min() * fisher(chain)
    # The bias is measured at each theta; the lemma has its supremum.
    bound = x.gradient / (chain.scale * smallest) + x.bias.max() / (1 - chain.gamma)
    pointwise = x.gradient / (chain.scale * smallest) + x.bias / (1 - chain.gamma)
    return Evidence(
        measured=np.concatenate([x.gap, x.gap]),
        bound=np.concatenate([pointwise, bound]),
        radius=np.concatenate([x.radius, x.radius]),
        instance=chain.digest(),
    )


@claim(
    "Lemma, relaxed weak gradient dominance",
    r"J^* - J(\theta) \le \tfrac{M_g}{\mu_F}\|\nabla J(\theta)\| + "
    r"\tfrac{\sqrt{\varepsilon_{\mathrm{bias}}}}{1-\gamma}, \quad M_g = \tfrac1b,\; "
    r"\mu_F = \tfrac{(1-\gamma)\min\rho}{3b^2}",
    relation=Bound(),
    assumptions=("A1, A3, A4 with the global constants of FND-Logit",),
    falsifiers={
        "fisher_ten_times": variant(
            _global_constants,
            "mu_F = min rho / b^2: without 1 - gamma, and without the third that logistic noise has.",
            fisher=lambda chain: 3 * chain.fisher / (1 - chain.gamma),
        ),
        "no_gradient": variant(_global_constants, "The bias alone.", fisher=lambda chain: 1e9),
    },
    words="The lemma with constants that hold for every parameter, where all of them are known in closed form.",
    title="Gradient dominance with global constants",
)
def dominance_constants(p: Params, rng: np.random.Generator) -> Evidence:
    """Random parameters of FND-Logit, bias at the point and its largest value."""
    return _global_constants(p, rng)


def _path(p, rng, longer=1.0, shorter=1.0):
    """Progress of runs whose steps add up to 9/10 of the way, against that sum."""
    _non_degenerate(p, 2, rng)
    chain, T = instances.fnd_logit(), p.order_iterations
    best = exact.location_optimum(chain)
    way = float(np.linalg.norm(chain.theta0 - best))
    unit = float((2 / (np.arange(T - 1) + 2)).sum())
    gamma0, progress = 0.9 * way / unit, []
    for method in (ablations.transport, ablations.hessian_aided):
        run = method(
            pg.SingleTrajectory(chain, 30), T, longer * gamma0, checkpoints=np.array([T - 1]), rng=rng, seeds=4
        )
        progress.append(way - np.linalg.norm(run["theta"][:, 0] - best, axis=-1))
    measured = np.concatenate(progress)
    # A path of T steps rounds each of them; the sum of their lengths too.
    radius = np.full(measured.size, 4 * T * U * way)
    return Evidence(measured=measured, bound=np.full(measured.size, shorter * gamma0 * unit), radius=radius,
                    instance=chain.digest())  # fmt: skip


@claim(
    "Threshold of the step constant",
    r"2\gamma_0\sum_{t<T}\tfrac{1}{t+2} < \|\theta_0-\theta^*\| \;\Longrightarrow\; \theta_T \ne \theta^*: \quad "
    r"\|\theta_0-\theta^*\| - \|\theta_T-\theta^*\| \le 2\gamma_0\sum_{t<T}\tfrac{1}{t+2}",
    relation=Bound(),
    assumptions=("normalised steps",),
    falsifiers={
        "ten_times_the_step": variant(_path, "Runs with 10 gamma0 arrive.", longer=10.0),
        "logarithm_too_short": variant(_path, "Half of the path.", shorter=0.5),
    },
    words="Normalised steps of gamma0 / t go only logarithmically far: with too small a constant no run arrives.",
    title="Too small a step constant cannot arrive",
)
def step_constant(p: Params, rng: np.random.Generator) -> Evidence:
    """N-PG-IGT and N-HARPG on FND-Logit with a path of nine tenths of the way to the optimum."""
    return _path(p, rng)


def _floors(p, rng, share=1.0, against=0.5):
    _non_degenerate(p, 2, rng)
    chain, T = replace(instances.fnd_logit(), gamma=0.95), 10_000
    rule = int(np.ceil(np.log(T + 1) / (1 - chain.gamma)))
    H, less = (max(1, round(rule * x)) for x in (share, against))
    theta = rng.uniform(-5, 5, (50, 2))
    bias = np.linalg.norm(
        exact.location_gradient(chain, theta, horizon=H) - exact.location_gradient(chain, theta), axis=-1
    )
    effective = 1 / (1 - chain.gamma)
    # D_g of the paper: M_g = 1 / scale, rewards of at most the largest amplitude.
    D_g = chain.amplitude.max() / chain.scale * effective * np.sqrt(effective + rule)
    rests = [np.linalg.norm(exact.location_gradient(chain, _rest(chain, h))) for h in (H, less)]
    return Evidence(
        measured=np.concatenate([bias, bias, [10 * rests[0]]]),
        bound=np.concatenate([np.full(50, D_g * chain.gamma**rule), np.full(50, D_g / (T + 1)), [rests[1]]]),
        instance=chain.digest(),
    )


def _rest(chain, horizon):
    """Where ascent on J_H comes to rest: Newton's method from the optimum of J."""
    theta = exact.location_optimum(chain)
    for _ in range(12):
        gradient, hessian = exact.location_hvp(chain, np.tile(theta, (2, 1)), np.eye(2), horizon=horizon)
        theta = theta - np.linalg.solve(hessian, gradient[0])
    return theta


@claim(
    "Horizon rule",
    r"H = \tfrac{\log(T+1)}{1-\gamma}:\quad \|\nabla J_H - \nabla J\| \le D_g\gamma^H \le \tfrac{D_g}{T+1},\qquad "
    r"10\,\|\nabla J(\theta^*_H)\| \le \|\nabla J(\theta^*_{H/2})\|",
    relation=Bound(),
    assumptions=(r"FND-Logit with $\gamma = .95$, $T = 10^4$",),
    falsifiers={
        "an_eighth_of_the_horizon": variant(_floors, "H / 8.", share=1 / 8, against=1 / 16),
        "not_halved": variant(_floors, "The floors of H and of 9 H / 10.", against=0.9),
        "rule_halved": variant(_floors, "H / 2 where H is due.", share=0.5, against=0.5),
    },
    words="Truncation at the theorem's horizon costs less than the rate; at half of it the floor is ten times higher.",
    title="The horizon grows like log T",
)
def horizon_rule(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact bias at random parameters, and the exact gradient of J where ascent on J_H comes to rest."""
    return _floors(p, rng)


def _final_gap(method, gamma0, target=None):
    """The gap that a run ends with against `target`, or after a quarter of the iterations against that of the start."""

    def measure(p, rng):
        _non_degenerate(p, 2, rng)
        chain = instances.fnd_logit()
        best = exact.location_value(chain, exact.location_optimum(chain))
        T = p.window_iterations if target else p.window_iterations // 4
        run = method(pg.SingleTrajectory(chain, 30), T, gamma0, checkpoints=np.array([T - 1]), rng=rng)
        start = best - exact.location_value(chain, chain.theta0)
        left = best - exact.location_value(chain, run["theta"][:, 0])
        return Evidence(left=left, right=np.full(left.shape, target or start), instance=chain.digest())

    return measure


@claim(
    "HARPG, window of gamma_0",
    r"\gamma_0 = .03: \quad \mathbb{E}[J^* - J(\theta_T)] < .03, \quad T = 2\cdot 10^4",
    relation=Ordering(),
    assumptions=("FND-Logit, H = 30, one trajectory an estimate; the start is .429 below the optimum of the class",),
    falsifiers={
        "a_third": variant(_final_gap(ablations.hessian_aided_free, 0.01, 0.03), "gamma0 = .01: too slow."),
        "ten_times": variant(_final_gap(ablations.hessian_aided_free, 0.3, 0.03), "gamma0 = .3: it blows up."),
    },
    words="Steps of free length need a small constant: a third of it is too slow, ten times it diverges.",
    title="HARPG works in a window of step constants",
)
def harpg_window(p: Params, rng: np.random.Generator) -> Evidence:
    """One run a replicate on FND-Logit."""
    return _final_gap(ablations.hessian_aided_free, 0.03, 0.03)(p, rng)


@claim(
    "N-HARPG, no window of gamma_0",
    r"\gamma_0 = .3: \quad \mathbb{E}[J(\theta_T)] > J(\theta_0)",
    relation=Ordering(),
    assumptions=("FND-Logit, H = 30, one trajectory an estimate",),
    falsifiers={"free_length": variant(_final_gap(ablations.hessian_aided_free, 0.3), "HARPG at gamma0 = .3.")},
    words="With steps of given length the constant at which HARPG ends below its start still makes progress.",
    title="Normalised steps survive large constants",
)
def normalised_window(p: Params, rng: np.random.Generator) -> Evidence:
    """One run a replicate on FND-Logit, against the start's gap."""
    return _final_gap(ablations.hessian_aided, 0.3)(p, rng)


def _null_direction(p, rng, pinned=False):
    """Exact: F of a tabular softmax with rational rows and occupancy, applied to "all logits of a state up by one"."""
    S, A, holds = 3, 3, []
    weights = [[Fraction(int(w)) for w in rng.integers(1, 50, A)] for _ in range(S)]
    occupancy = [Fraction(int(w)) for w in rng.integers(1, 50, S)]
    for row, d in zip(weights, occupancy):
        pi = [w / sum(row) for w in row]
        # With the last logit pinned at 0 the others are free parameters and no direction is lost.
        free = range(A - 1 if pinned else A)
        image = [d * sum(pi[a] * ((a == b) - pi[b]) for b in free) for a in free]
        holds.append(all(x == 0 for x in image))
    for k in (10, 1000, 10**6):
        # Even with the last logit pinned: F = d pi (1 - pi) for two actions, at most 1 / k where pi = 1 / k.
        pi = Fraction(1, k)
        holds.append(pi * (1 - pi) <= Fraction(1, k))
    return Evidence(holds=holds, text="F (e_s x 1) = 0 in every state; pi (1 - pi) <= 1/k at pi = 1/k")


@claim(
    "Assumption A3 fails for tabular softmax",
    r"F(\theta)\,(e_s \otimes \mathbf 1) = 0 \;\;\forall s,\theta; \qquad \inf_\theta \lambda_{\min} F(\theta) = 0 "
    r"\text{ even with one logit pinned}",
    relation=Witness(),
    falsifiers={
        "pinned": variant(_null_direction, "With one logit pinned F is regular at any one theta.", pinned=True)
    },
    words="Shifting all logits of a state changes no policy: the Fisher matrix is singular, no theorem applies.",
    title="Tabular softmax is Fisher-degenerate",
)
def softmax_degenerate(p: Params, rng: np.random.Generator) -> Evidence:
    """Rational policies and occupancies, exact arithmetic."""
    return _null_direction(p, rng)


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


# Methods of the figures with their step constants; those of HARPG take two trajectories an iteration.
_METHODS = (
    ("n_pg_igt", ablations.transport, 1.0, 1),
    ("n_harpg", ablations.hessian_aided, 0.3, 2),
    ("harpg", ablations.hessian_aided_free, 0.03, 2),
    ("momentum", ablations.momentum, 1.0, 1),
    ("policy_gradient", ablations.vanilla, 0.1, 1),
)


def _against_samples(p, rng, chain):
    """Mean error of d_t over (n/2, n] trajectories, 10-90 % over runs, for every method."""
    sizes, table = 2 ** np.arange(p.first, p.last + 1), {"n": 2.0 ** np.arange(p.first, p.last + 1)}
    for name, method, gamma0, cost in _METHODS:
        own, oracle = sizes // cost, pg.SingleTrajectory(chain, 30)
        if name == "harpg" and chain.policy == "gaussian":
            continue  # It diverges: the estimate of the Hessian has too heavy tails for steps of free length.
        run = method(oracle, int(own[-1]), gamma0, checkpoints=_blocks(own), rng=rng, seeds=2 * p.seeds)
        error = _errors(run, chain, 30).reshape(2 * p.seeds, sizes.size, BLOCK).mean(axis=-1)
        table[name] = error.mean(axis=0)
        table[f"{name}_lo"], table[f"{name}_hi"] = np.quantile(error, [0.1, 0.9], axis=0)
    for name, exponent, of in (("two_fifths", 0.4, "n_pg_igt"), ("half", 0.5, "n_harpg"), ("third", 1 / 3, "momentum")):
        table[f"bound_{name}"] = table[of][-1] * (table["n"] / table["n"][-1]) ** -exponent
    return table


def figure_single_trajectories_qchain(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Estimator error against trajectories on QChain: Gaussian policy, scores that are not bounded."""
    return _against_samples(p, rng, instances.qchain())


def figure_single_trajectories_fnd_logit(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Estimator error against trajectories on FND-Logit, where every assumption of the theorems holds."""
    return _against_samples(p, rng, instances.fnd_logit())


def _draw_methods(ax, table):
    """Lines with their names beside them: in every corner a legend would cover some."""
    names = {"n_pg_igt": "N-PG-IGT", "n_harpg": "N-HARPG", "harpg": "HARPG", "momentum": "momentum"}
    names |= {"policy_gradient": "policy gradient"}
    colours = dict(zip(names, ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")))
    for name in (name for name in names if name in table):
        ax.fill_between(table["n"], table[f"{name}_lo"], table[f"{name}_hi"], color=colours[name], alpha=0.15, lw=0)
        ax.plot(table["n"], table[name], color=colours[name], lw=1.6, marker="o", ms=3.5, label=names[name])
    for name, text, style in (("two_fifths", "-2/5", "--"), ("half", "-1/2", ":"), ("third", "-1/3", "-.")):
        ax.plot(table["n"], table[f"bound_{name}"], color="black", lw=1.1, ls=style, label=f"$n^{{{text}}}$")
    ax.set(xscale="log", yscale="log")
    ax.figure.legend(loc="outside right upper")


draw_single_trajectories_qchain = _draw_methods
draw_single_trajectories_fnd_logit = _draw_methods
