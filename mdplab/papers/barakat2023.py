r"""Barakat, Fatkhullin, He (ICML 2023): policy gradient for a general utility F of the discounted occupancy.

From the abstract and from later papers that restate its setting and rates; the recursion of N-VR-PG is recalled. What
makes it work can be checked without the text: each correction has the mean of a difference, which enumeration shows to
the last digit, and which fails when the importance weight is turned round or the pseudo-rewards come from the same
trajectory. The rates are judged on what the method estimates, the occupancy and the gradient. The gap of a
tabular softmax policy decays at a power set by the step constant, so no rate is claimed for it.

The global theorem wants the occupancy map to be a bijection around every parameter with a Lipschitz inverse. A tabular
softmax policy has that only after one logit a state is fixed, where every state is visited, and with a constant that
grows as policies become deterministic. Utilities with an optimum inside the polytope (entropy) keep away from there.
"""

import copy
import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.policy_gradient import general_utility as estimates
from mdplab.algorithms.policy_gradient.ascent import ascend
from mdplab.algorithms.policy_gradient.estimators import SoftmaxTrajectory, gpomdp, softmax_score
from mdplab.algorithms.policy_gradient.harpg import n_harpg
from mdplab.algorithms.policy_gradient.n_vr_pg import corrected_estimates, global_schedule, n_vr_pg, stationary_schedule
from mdplab.algorithms.policy_gradient.occupancy_regression import occupancy_regression_pg, regress_occupancy
from mdplab.claims import Bound, BoundHP, Evidence, Identity, NotApplicable, Ordering, Rate, claim, variant
from mdplab.exact.general_utility import maximal_utility, softmax_occupancy, utility_gradient
from mdplab.exact.trajectories import enumerate_trajectories
from mdplab.instances.toytext import frozen_lake
from mdplab.kernels import general_utility as kernels
from mdplab.kernels.softmax import softmax
from mdplab.kernels.trajectories import trajectory
from mdplab.models import MDP, Utility, UtilityMDP
from mdplab.models.utility import entropy_utility, imitation_utility, linear_utility, log_utility, quadratic_utility

U = 2.0**-53
# Points at which a dyadic block (n / 2, n] of iterations is averaged.
BLOCK = 16
# Steps of the trajectories that are enumerated, and of those that runs draw on random models.
STEPS, HORIZON = 3, 12


@dataclass(frozen=True)
class Params:
    """Sizes: runs of 2^first .. 2^last iterations with `seeds` runs an instance and step constant `alpha0`.

    `ascent` iterations and `runs` of those judged on the utility reached, `regression` doublings of regression steps;
    `lake_iterations` and `lake_runs` of the figure.
    """

    alpha0: float
    first: int
    last: int
    seeds: int
    ascent: int
    runs: int
    regression: int
    lake_iterations: int
    lake_runs: int


def _model(rng, S=3):
    return MDP(rng.dirichlet(np.ones(S), (S, 2)), rng.random((S, 2)), 0.7, mu=rng.dirichlet(np.full(S, 5.0)))


def _entropy(mdp):
    return entropy_utility(mdp.S, mdp.A, mdp.gamma, floor=0.01)


def _log(mdp):
    return log_utility(mdp.r, shift=0.125, floor=0.05)


def hypotheses(mdp: MDP, utility: Utility) -> None:
    """NotApplicable, with what fails, unless the utility is smooth and every state is visited under every policy.

    Examples
    --------
    >>> hypotheses(frozen_lake("4x4"), linear_utility(frozen_lake("4x4").r))
    Traceback (most recent call last):
        ...
    mdplab.claims.claim.NotApplicable: mu[1] is 0: occupancies do not determine policies, no local bijection
    """
    if not utility.smooth:
        raise NotApplicable(f"the gradient of the {utility.kind} utility is not Lipschitz: its floor is 0")
    empty = np.flatnonzero(mdp.mu == 0)
    if empty.size:
        raise NotApplicable(f"mu[{empty[0]}] is 0: occupancies do not determine policies, no local bijection")


def _blocks(sizes):
    """Iterations (len(sizes) * BLOCK,) evenly spaced over (n / 2, n] for each n."""
    share = 0.5 + 0.5 * (np.arange(BLOCK) + 1) / BLOCK
    return np.concatenate([np.ceil(n * share).astype(np.int64) - 1 for n in sizes])


def _size(x):
    """Euclidean norm over (S, A)."""
    return np.sqrt((x**2).sum(axis=(-2, -1)))


# --- one step, over all trajectories -----------------------------------------------------------------------------


def _one_step(rng):
    """A model with S = A = 2, parameters at t and t - 1, tracked quantities, and all trajectories drawn at t."""
    mdp = _model(rng, S=2)
    theta = rng.standard_normal((2, 2))
    previous = theta + 0.5 * rng.standard_normal((2, 2))
    lam, d, r, r_old = (rng.standard_normal((2, 2)) for _ in range(4))
    return mdp, theta, previous, lam, d, r, r_old, enumerate_trajectories(mdp, theta, STEPS)


def _printed(mdp, theta, previous, lam, d, r, r_old, states, actions, eta):
    """w, lambda_t and d_t of every trajectory, by the kernels that runs use."""
    model = estimates.sampling_arguments(mdp, STEPS)
    return corrected_estimates(model, theta, previous, states * mdp.A + actions, eta, lam, d, r, r_old)


def _replica(weight=None, gradient=None, old_gradient=None):
    """The same from the formulas, in NumPy, with a part that a falsifier gets wrong."""

    def step(mdp, theta, previous, lam, d, r, r_old, states, actions, eta):
        w = (weight or estimates.importance_weight)(previous, theta, states, actions)
        tau = estimates.occupancy_estimate(states, actions, mdp.gamma, theta.shape)
        g = (gradient or estimates.pseudo_gradient)(theta, states, actions, r, mdp.gamma)
        g_old = (old_gradient or gradient or estimates.pseudo_gradient)(previous, states, actions, r_old, mdp.gamma)
        shift = w[:, None, None]
        lams = eta * tau + (1 - eta) * (lam + tau * (1 - shift))
        return w, lams, eta * g + (1 - eta) * (d + g - shift * g_old)

    return step


def _old_scores_at_the_new_point(mdp, theta, *rest):
    """The formulas with pi_theta_t in both gradients."""
    return _replica(old_gradient=lambda _, *args: estimates.pseudo_gradient(theta, *args))(mdp, theta, *rest)


def _reversed(previous, theta, states, actions):
    return estimates.importance_weight(theta, previous, states, actions)


def _first_steps(previous, theta, states, actions):
    return estimates.importance_weight(previous, theta, states[:, :-1], actions[:, :-1])


def _mean(terms, probability):
    """Mean over trajectories, and what rounding may have done to it: N + 40 roundings of each term."""
    weighted = probability.reshape(-1, *[1] * (terms.ndim - 1)) * terms
    return weighted.sum(axis=0), (len(terms) + 40) * U * np.abs(weighted).sum(axis=0)


def _occupancy_mean(p, rng, step):
    mdp, theta, previous, lam, d, r, r_old, (states, actions, probability) = _one_step(rng)
    eta = rng.uniform(0.1, 0.9)
    w, lams, _ = step(mdp, theta, previous, lam, d, r, r_old, states, actions, eta)
    now, before = (softmax_occupancy(mdp, x, horizon=STEPS) for x in (theta, previous))
    (total, error), (mean, errors) = _mean(w, probability), _mean(lams, probability)
    right = eta * now + (1 - eta) * (lam + now - before)
    return Evidence(
        left=[*mean.ravel(), total], right=[*right.ravel(), 1.0], tolerance=[*errors.ravel(), error],
        instance=mdp.digest(),
    )  # fmt: skip


@claim(
    "N-VR-PG, occupancy correction",
    r"\mathbb{E}\,w = 1, \quad \mathbb{E}[\lambda(\tau_t)(1 - w)] = \lambda_H(\theta_t) - \lambda_H(\theta_{t-1})",
    relation=Identity(),
    assumptions=(r"$\tau_t$ is drawn at $\theta_t$",),
    falsifiers={
        "weight_turned_round": variant(_occupancy_mean, "Roles of the two parameters exchanged.", _replica(_reversed)),
        "weight_one_step_short": variant(_occupancy_mean, "The last action is left out of w.", _replica(_first_steps)),
        "no_weight": variant(_occupancy_mean, "w = 1: momentum.", _replica(lambda *args: np.ones(len(args[2])))),
    },
    controls={"in_numpy": variant(_occupancy_mean, "The formulas in NumPy.", _replica())},
    lemmas=("barakat2023:occupancy_correction",),
    words="The importance-weighted correction moves the tracked occupancy, on average, as the true one moves.",
    title="The occupancy's correction is unbiased",
)
def occupancy_unbiased(p: Params, rng: np.random.Generator) -> Evidence:
    """All 64 trajectories of three steps through the compiled update, S = A = 2, any tracked state before."""
    return _occupancy_mean(p, rng, _printed)


def _direction_mean(p, rng, step, one_reward=False):
    mdp, theta, previous, lam, d, r, r_old, (states, actions, probability) = _one_step(rng)
    eta = rng.uniform(0.1, 0.9)
    _, _, ds = step(mdp, theta, previous, lam, d, r, r if one_reward else r_old, states, actions, eta)
    g = utility_gradient(mdp, linear_utility(r), theta, horizon=STEPS)
    g_old = utility_gradient(mdp, linear_utility(r_old), previous, horizon=STEPS)
    mean, tolerance = _mean(ds, probability)
    right = eta * g + (1 - eta) * (d + g - g_old)
    return Evidence(left=mean, right=right, tolerance=tolerance, instance=mdp.digest())


def _own_time(theta, states, actions, r, gamma):
    """g with gamma^(h - t), the discount counted from the action on."""
    pi, each, to_go = softmax(theta), np.arange(len(states)), np.zeros(len(states))
    out = np.zeros((len(states), *theta.shape))
    for t in range(STEPS - 1, -1, -1):
        s, a = states[:, t], actions[:, t]
        to_go = r[s, a] + gamma * to_go
        out[each, s] -= to_go[:, None] * pi[s]
        out[each, s, a] += to_go
    return out


@claim(
    "N-VR-PG, gradient correction",
    r"\mathbb{E}\,v_t = \nabla\langle \lambda_H, r_{t-1}\rangle(\theta_t) - "
    r"\nabla\langle \lambda_H, r_{t-2}\rangle(\theta_{t-1})",
    relation=Identity(),
    assumptions=(r"$r_{t-1}, r_{t-2}$ do not depend on $\tau_t$",),
    falsifiers={
        "weight_turned_round": variant(_direction_mean, "Roles of the two parameters exchanged.", _replica(_reversed)),
        "discount_from_own_time": variant(_direction_mean, "gamma^(h - t) for gamma^h.", _replica(gradient=_own_time)),
        "old_scores_at_the_new_point": variant(
            _direction_mean, "Both gradients with the scores of theta_t.", _old_scores_at_the_new_point
        ),
        "one_pseudo_reward": variant(_direction_mean, "r_{t-1} in both gradients.", _printed, one_reward=True),
    },
    controls={"in_numpy": variant(_direction_mean, "The formulas in NumPy.", _replica())},
    lemmas=("barakat2023:gradient_correction",),
    words="The correction of the direction has the mean of a difference of two gradients, each with its own rewards.",
    title="The direction's correction is unbiased",
)
def direction_unbiased(p: Params, rng: np.random.Generator) -> Evidence:
    """All 64 trajectories of three steps through the compiled update."""
    return _direction_mean(p, rng, _printed)


def _single_estimate(p, rng, lagged, make):
    """E g(tau, theta, r), r from an independent occupancy estimate or from tau's own, against <lambda_H, E r>'s."""
    mdp, theta, _, lam, _, _, _, (states, actions, probability) = _one_step(rng)
    utility, eta = make(mdp), rng.uniform(0.3, 0.9)
    tau = estimates.occupancy_estimate(states, actions, mdp.gamma, theta.shape)
    own = utility.gradient(eta * tau + (1 - eta) * np.abs(lam))
    r = utility.gradient(np.abs(lam)) if lagged else own
    mean, tolerance = _mean(estimates.pseudo_gradient(theta, states, actions, r, mdp.gamma), probability)
    expected = r if lagged else (probability[:, None, None] * own).sum(axis=0)
    right = utility_gradient(mdp, linear_utility(expected), theta, horizon=STEPS)
    return Evidence(left=mean, right=right, tolerance=2 * tolerance, instance=mdp.digest())


@claim(
    "N-VR-PG, lagged pseudo-rewards",
    r"\mathbb{E}_{\tau}\,g(\tau, \theta, r) = \nabla\langle \lambda_H, \mathbb{E}\,r\rangle(\theta) "
    r"\quad\text{for } r \text{ independent of } \tau",
    relation=Identity(),
    assumptions=(r"$r = \nabla F(\lambda')$ with $\lambda'$ from earlier trajectories",),
    falsifiers={
        "entropy_of_the_same_trajectory": variant(
            _single_estimate, "r from the trajectory that g is taken on.", False, _entropy
        ),
        "log_of_the_same_trajectory": variant(
            _single_estimate, "r from the trajectory that g is taken on.", False, _log
        ),
    },
    controls={
        "linear_of_the_same_trajectory": variant(
            _single_estimate, "A linear utility's slopes do not depend on tau.", False, lambda m: linear_utility(m.r)
        )
    },
    lemmas=("barakat2023:same_trajectory_is_biased",),
    words="Pseudo-rewards must come from earlier trajectories; only for linear utilities may they come from the same.",
    title="Why the pseudo-rewards lag",
)
def lag_matters(p: Params, rng: np.random.Generator) -> Evidence:
    """One estimate over all trajectories with the rewards of the entropy utility at an occupancy that is not theirs."""
    return _single_estimate(p, rng, True, _entropy)


# --- exact gradients ----------------------------------------------------------------------------------------------


def _complex_value(mdp, utility, theta, horizon):
    """F(lambda(theta)) for complex theta (S, A), by formulas of its own."""
    weights = np.exp(theta)
    pi = weights / weights.sum(axis=1, keepdims=True)
    moves = (pi[:, :, None] * mdp.P).sum(axis=1)
    if horizon is None:
        visits = np.linalg.solve((np.eye(mdp.S) - mdp.gamma * moves).T, mdp.mu.astype(complex))
    else:
        visits, p = 0, mdp.mu
        for t in range(horizon):
            visits, p = visits + mdp.gamma**t * p, p @ moves
    return utility.value(visits[:, None] * pi)


def _chain_rule(p, rng, at=lambda mdp, lam: lam, factor=1.0):
    mdp = _model(rng)
    n, expert = mdp.S * mdp.A, softmax_occupancy(mdp, rng.standard_normal((mdp.S, mdp.A)))
    utilities = (
        linear_utility(mdp.r),
        log_utility(mdp.r, shift=0.125),
        entropy_utility(mdp.S, mdp.A, mdp.gamma),
        quadratic_utility(rng.random((3, n)), rng.random(3), mdp.r.shape),
        imitation_utility(mdp.r, expert, weight=0.5),
    )
    theta, left, right = rng.standard_normal(mdp.r.shape), [], []
    for utility in utilities:
        for horizon in (None, HORIZON):
            lam = softmax_occupancy(mdp, theta, horizon=horizon)
            r = utility.gradient(at(mdp, lam))
            left.append(factor * utility_gradient(mdp, linear_utility(r), theta, horizon=horizon).ravel())
            steps = np.eye(n).reshape(n, *mdp.r.shape) * 1e-30j
            right.append([_complex_value(mdp, utility, theta + h, horizon).imag / 1e-30 for h in steps])
    # A complex step of 1e-30 has no truncation error; condition (1 + gamma) / (1 - gamma) twice, values below 10.
    return Evidence(left=left, right=right, tolerance=np.full((10, n), 1e-12), instance=mdp.digest())


@claim(
    "Policy gradient for a general utility",
    r"\nabla_\theta F(\lambda(\theta)) = \nabla_\theta V^{\pi_\theta}(r)\big|_{r = \nabla F(\lambda(\theta))}",
    relation=Identity(),
    falsifiers={
        "rewards_at_the_normalised_occupancy": variant(
            _chain_rule, "grad F at (1 - gamma) lambda.", lambda mdp, lam: (1 - mdp.gamma) * lam
        ),
        "rewards_at_the_uniform_policy": variant(
            _chain_rule, "grad F at another policy's occupancy.", lambda mdp, lam: softmax_occupancy(mdp, 0 * lam)
        ),
        "normalised_gradient": variant(
            _chain_rule, "The policy gradient theorem with the normalised occupancy.", factor=0.3
        ),
    },
    words="The gradient of a utility is a policy gradient whose rewards are the utility's slopes, held fixed.",
    title="Chain rule with frozen rewards",
)
def chain_rule(p: Params, rng: np.random.Generator) -> Evidence:
    """Five utilities, infinite and finite horizon, against derivatives by complex steps through separate formulas."""
    return _chain_rule(p, rng)


def _linear_run(mdp, r, eta, step, rng):
    """Normalised policy gradient with variance reduction for rewards r, which never forms an occupancy."""
    model, A, n = estimates.sampling_arguments(mdp, HORIZON), mdp.A, mdp.S * mdp.A
    stream, r = rng.spawn(1)[0], np.array(r).reshape(-1)
    theta, d, pairs, out = np.zeros(n), np.zeros(n), np.empty(HORIZON, dtype=np.int64), []
    old = np.empty((2, n))
    for t in range(eta.size):
        log_pi, pi = new = np.empty((2, n))
        kernels.softmax_rows(theta, A, log_pi, pi)
        kernels.trajectory(*model[:3], pi, A, stream, pairs)
        d = d * (1 - eta[t])
        kernels.add_gradient(pairs, model[-1], pi, A, r, eta[t] + (1 - eta[t]), d)
        if t > 0:
            w = math.exp(kernels.log_ratio(pairs, old[0], log_pi))
            kernels.add_gradient(pairs, model[-1], old[1], A, r, -(1 - eta[t]) * w, d)
        out.append(d.reshape(mdp.r.shape).copy())
        theta, old = theta + step[t] / math.sqrt(sum(d * d)) * d, new
    return np.array(out)


def _reduces(p, rng, make=lambda m: linear_utility(m.r)):
    mdp, T = _model(rng), 40
    eta, step = global_schedule(T, p.alpha0)
    # Both draw from the first stream spawned from equal generators.
    one, two = (np.random.default_rng(seed) for seed in [int(rng.integers(2**62))] * 2)
    run = n_vr_pg(mdp, make(mdp), horizon=HORIZON, eta=eta, step=step, checkpoints=np.arange(T), rng=one)
    right = _linear_run(mdp, mdp.r, eta, step, two)
    # Bit for bit: the same operations in the same order.
    return Evidence(left=run["d"][0], right=right, tolerance=0 * right, instance=mdp.digest())


@claim(
    "N-VR-PG, linear utility",
    r"F(\lambda) = \langle r, \lambda\rangle \;\Longrightarrow\; d_t = \eta_t g(\tau_t, \theta_t, r) + (1-\eta_t)"
    r"\big(d_{t-1} + g(\tau_t, \theta_t, r) - w\,g(\tau_t, \theta_{t-1}, r)\big)",
    relation=Identity(),
    falsifiers={
        "log_utility": variant(_reduces, "A utility that is not linear.", _log),
        "other_rewards": variant(_reduces, "Rewards off by 1e-6.", lambda m: linear_utility(m.r**1.000001)),
    },
    words="For a linear utility it is ordinary variance-reduced policy gradient, bit for bit.",
    title="Linear utilities give ordinary policy gradient",
)
def linear_case(p: Params, rng: np.random.Generator) -> Evidence:
    """Directions of 40 iterations on the same random numbers, against a loop that never forms an occupancy."""
    return _reduces(p, rng)


def _by_formulas(mdp, step, draw):
    """theta_t and g_t (T, 2, S, A) of normalised policy gradient, in NumPy, on trajectories drawn at its iterates."""
    theta, out = np.zeros(mdp.r.shape), []
    for length in step:
        states, actions = divmod(draw(theta.ravel()), mdp.A)
        scores = softmax_score(theta, states, actions).reshape(HORIZON, -1)
        g = gpomdp(scores, mdp.r[states, actions], mdp.gamma).reshape(theta.shape)
        out.append([theta, g])
        theta = theta + length * g / np.sqrt((g * g).sum())
    return np.array(out)


def _drawn_as_n_vr_pg(mdp, rng):
    """A function that draws the next trajectory (H,), s * A + a, at theta as N-VR-PG does from its stream."""
    model, pairs = estimates.sampling_arguments(mdp, HORIZON), np.empty(HORIZON, dtype=np.int64)
    log_pi, pi = np.empty((2, mdp.S * mdp.A))

    def draw(theta):
        kernels.softmax_rows(theta, mdp.A, log_pi, pi)
        kernels.trajectory(*model[:3], pi, mdp.A, rng, pairs)
        return pairs

    return draw


def _drawn_as_n_harpg(mdp, rng, corrected):
    """The same for N-HARPG; `corrected`: another one is drawn between the last two iterates before the next."""
    A, *model = SoftmaxTrajectory(mdp, HORIZON).arguments()
    seen, pi, joint = np.empty(mdp.S, dtype=bool), np.empty(mdp.S * A), np.empty((mdp.S, A * mdp.S))
    pairs, weights, before = np.empty(HORIZON, dtype=np.int64), np.empty(HORIZON), []

    def draw(theta):
        if corrected and before:
            point = before[-1] + rng.random() * (theta - before[-1])
            trajectory(point, *model, rng, seen, pi, joint, pairs, weights)
        before.append(theta)
        trajectory(theta, *model, rng, seen, pi, joint, pairs, weights)
        return pairs

    return draw


def _no_memory(p, rng, eta=1.0, carry=0.0, make=lambda m: linear_utility(m.r)):
    mdp, at, seed = _model(rng), np.arange(40), int(rng.integers(2**62))
    momentum, step = np.where(at == 0, 1.0, eta), global_schedule(at.size, 4 * p.alpha0)[1]
    how = {"eta": momentum, "step": step, "checkpoints": at}
    # Equal generators: each method and the formulas beside it draw the same trajectories.
    streams = [np.random.default_rng(seed) for _ in range(4)]
    other = functools.partial(ascend, carry=np.where(at == 0, 0.0, carry)) if carry else n_harpg
    first = n_vr_pg(mdp, make(mdp), horizon=HORIZON, rng=streams[0], **how)
    second = other(SoftmaxTrajectory(mdp, HORIZON), rng=streams[1], **how)
    left = [np.stack([run["theta"][0], run["d"][0]], axis=1) for run in (first, second)]
    corrected = eta < 1 or carry > 0
    draws = _drawn_as_n_vr_pg(mdp, streams[2].spawn(1)[0]), _drawn_as_n_harpg(mdp, streams[3], corrected)
    right = [_by_formulas(mdp, step, draw) for draw in draws]
    # Sums of twelve terms below 10 each step, and 40 steps that divide by estimates of 1e-2 or more.
    return Evidence(left=left, right=right, tolerance=np.full(np.shape(left), 1e-12), instance=mdp.digest())


@claim(
    "N-VR-PG and N-HARPG without memory",
    r"\eta_t = 1,\; F(\lambda) = \langle r, \lambda\rangle \;\Longrightarrow\; \theta_{t+1} = \theta_t + "
    r"\alpha_t\, g(\tau_t, \theta_t, r) / \|g(\tau_t, \theta_t, r)\|",
    relation=Identity(),
    falsifiers={
        "momentum_a_bit_below_one": variant(_no_memory, "eta_t = 1 - 1e-9 from the second estimate on.", 1 - 1e-9),
        "correction_remains": variant(_no_memory, "N-HARPG with a Hessian correction of weight 1e-9.", carry=1e-9),
        "log_utility": variant(_no_memory, "A utility that is not linear.", make=_log),
    },
    controls={
        "log_part_of_weight_0": variant(
            _no_memory, "F linear.", make=lambda m: dataclasses.replace(_log(m), reward=m.r, weight=0.0)
        ),
    },
    words="With momentum 1 both methods forget: normalised policy gradient, trajectory by trajectory.",
    title="Momentum 1 is normalised policy gradient",
)
def no_memory(p: Params, rng: np.random.Generator) -> Evidence:
    """Iterates and directions of 40 iterations of both compiled methods against formulas on the same trajectories."""
    return _no_memory(p, rng)


# --- importance weights -------------------------------------------------------------------------------------------


def _log_weights(p, rng, constant=2.0, steps=STEPS):
    mdp = _model(rng, S=2)
    # One action of state 0 is all but never taken: there the bound on its log-probability is tight, up to sqrt 2.
    theta = np.array([[9.0, 0.0], rng.standard_normal(2)])
    move = 0.1 * rng.standard_normal((2, 2))
    move[0] += rng.choice([-1.0, 1.0]) * np.array([-1.0, 1.0]) * rng.uniform(2, 4)
    states, actions, _ = enumerate_trajectories(mdp, theta, STEPS)
    w = estimates.importance_weight(theta + move, theta, states, actions)
    size = constant * steps * _size(move)
    # Logits below 20, a few roundings for each of the steps.
    radius = np.full(len(w), 1e-12)
    return Evidence(measured=np.log(w), bound=np.full(len(w), size), radius=radius, instance=mdp.digest())


@claim(
    "N-VR-PG, importance weights",
    r"w(\tau | \theta', \theta) \le \exp(2 H l_\psi \|\theta' - \theta\|) \quad\text{for every } \tau, "
    r"\qquad l_\psi = 1 \text{ for tables}",
    relation=Bound(),
    falsifiers={
        "constant_1_3": variant(_log_weights, "Below sqrt 2, the largest score.", 1.3),
        "horizon_forgotten": variant(_log_weights, "As if one action were weighted.", steps=1),
    },
    controls={"sqrt_two_is_enough": variant(_log_weights, "The largest norm of a score.", 2**0.5)},
    lemmas=("barakat2023:score_below_sqrt_two",),
    words="No trajectory's weight exceeds a bound that depends on the step's length and the horizon alone.",
    title="Importance weights are bounded",
)
def weight_bound(p: Params, rng: np.random.Generator) -> Evidence:
    """Log weights of all 64 trajectories of three steps, one of which repeats the least likely action."""
    return _log_weights(p, rng)


def _largest_weight(p, rng, normalised=True):
    mdp, T = _model(rng), 512
    eta, step = global_schedule(T, 0.05)
    # Large slopes, which normalised steps do not notice, and an optimum inside, so that others overshoot.
    utility = dataclasses.replace(_entropy(mdp), weight=100.0)
    run = n_vr_pg(
        mdp, utility, horizon=HORIZON, eta=eta, step=step, checkpoints=np.arange(1, T), rng=rng,
        normalised=normalised,
    )  # fmt: skip
    bound = 2 * HORIZON * np.maximum.accumulate(step[:-1])
    return Evidence(measured=run["log_weight"][0], bound=bound, instance=mdp.digest())


@claim(
    "N-VR-PG, importance weights",
    r"\max_{s \le t} w_s \le \exp(2 H \max_{s < t} \alpha_s) \quad\text{along every run}",
    relation=Bound(),
    falsifiers={"unnormalised_steps": variant(_largest_weight, "Steps along d_t itself.", False)},
    words="Normalised steps keep the importance weights of a whole run bounded, whatever the estimates do.",
    title="Weights stay bounded along runs",
)
def weights_along_runs(p: Params, rng: np.random.Generator) -> Evidence:
    """Largest log weight so far in runs of 512 iterations with a steep utility."""
    return _largest_weight(p, rng)


# --- rates --------------------------------------------------------------------------------------------------------


def _errors(run, mdp, utility):
    """||lambda_t - lambda_H(theta_t)|| and ||d_t - grad F(lambda_H(theta_t))|| of a run, each (seeds, K)."""
    lam = softmax_occupancy(mdp, run["theta"], horizon=HORIZON)
    gradient = utility_gradient(mdp, utility, run["theta"], horizon=HORIZON)
    return _size(run["occupancy"] - lam), _size(run["d"] - gradient)


def _tracking(p, rng, what, exponent=1.0, **ablation):
    mdp = _model(rng)
    # A biased direction shows only once the noise has fallen to it: twice as long.
    utility, sizes = _entropy(mdp), 2 ** np.arange(p.first, p.last + 1 + what)
    hypotheses(mdp, utility)
    eta, step = global_schedule(int(sizes[-1]), p.alpha0)
    run = n_vr_pg(
        mdp, utility, horizon=HORIZON, eta=eta**exponent, step=step, checkpoints=_blocks(sizes), rng=rng,
        seeds=p.seeds, **ablation,
    )  # fmt: skip
    error = _errors(run, mdp, utility)[what].reshape(p.seeds, sizes.size, BLOCK).mean(axis=-1)
    return Evidence(n=sizes.astype(float), error=error, instance=mdp.digest())


_SCHEDULE = r"\qquad \eta_t = 2/(t+1),\; \alpha_t = 2\alpha_0/(t+2)"
_ASSUMED = (
    r"$\nabla F$ is bounded and Lipschitz (entropy with a tangent below its floor)",
    "softmax policies with a smooth $\\psi$ (tables)",
)


@claim(
    "Global theorem, occupancy estimate",
    r"\frac{2}{n}\sum_{n/2 < t \le n}\mathbb{E}\,\|\lambda_t - \lambda_H(\theta_t)\| = O(n^{-1/2}), " + _SCHEDULE,
    relation=Rate(exponent=0.5, margin=0.08, functional="log_mean"),
    assumptions=_ASSUMED,
    falsifiers={
        "no_correction": variant(_tracking, "Momentum alone.", 0, correction=0.0),
        "correction_twice": variant(_tracking, "u_t and v_t counted twice.", 0, correction=2.0),
        "momentum_two_thirds": variant(_tracking, "The other theorem's momentum.", 0, 2 / 3),
    },
    words="The tracked occupancy follows that of a moving policy at the rate of a fixed one, n^(-1/2).",
    title="Occupancy error falls like n^(-1/2)",
)
def occupancy_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Runs on random models with the entropy utility; eta_1 = 1 forgets the start, so there is no second one."""
    return _tracking(p, rng, 0)


@claim(
    "Global theorem, gradient estimate",
    r"\frac{2}{n}\sum_{n/2 < t \le n}\mathbb{E}\,\|d_t - \nabla_\theta F(\lambda_H(\theta_t))\| = O(n^{-1/2}), "
    + _SCHEDULE,
    relation=Rate(exponent=0.5, margin=0.08, functional="log_mean"),
    assumptions=_ASSUMED,
    falsifiers={
        "pseudo_rewards_of_the_same_trajectory": variant(
            _tracking, "r_t in place of r_{t-1}: the direction is biased.", 1, lagged=False
        ),
        "momentum_two_thirds": variant(_tracking, "The other theorem's momentum.", 1, 2 / 3),
    },
    words="The direction approaches the gradient of the utility at the same rate, pseudo-rewards being estimates too.",
    title="Direction error falls like n^(-1/2)",
)
def direction_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """As `occupancy_rate`, for the direction."""
    return _tracking(p, rng, 1)


def _constant_steps(p, rng, exponent=1.0, floor=0.0):
    mdp = _model(rng)
    utility, sizes, errors = _entropy(mdp), 2 ** np.arange(p.first, p.last + 1), []
    hypotheses(mdp, utility)
    start = rng.standard_normal(mdp.r.shape)
    for n in sizes:
        eta, step = stationary_schedule(int(n), 1.0)
        run = n_vr_pg(
            mdp, utility, horizon=HORIZON, eta=np.maximum(eta**exponent, floor), step=step, rng=rng, seeds=p.seeds,
            theta0=start, checkpoints=_blocks([n]),
        )  # fmt: skip
        errors.append(_errors(run, mdp, utility)[0].mean(axis=-1))
    return Evidence(n=sizes.astype(float), error=np.transpose(errors), instance=mdp.digest())


@claim(
    "Stationarity theorem, occupancy estimate",
    r"\frac{2}{T}\sum_{T/2 < t \le T}\mathbb{E}\,\|\lambda_t - \lambda_H(\theta_t)\| = O(T^{-1/3}), "
    r"\qquad \eta_t = (2/(t+1))^{2/3},\; \alpha = \alpha_0 T^{-2/3}",
    relation=Rate(exponent=1 / 3, margin=0.06, functional="log_mean"),
    assumptions=_ASSUMED,
    falsifiers={
        "momentum_one_third": variant(_constant_steps, "eta_t = (2 / (t + 1))^(1/3).", 0.5),
        "momentum_at_least_a_tenth": variant(_constant_steps, "eta_t >= 1/10.", floor=0.1),
    },
    words="With the constant steps of the stationarity theorem the occupancy estimate improves like T^(-1/3).",
    title="Occupancy error with constant steps",
)
def constant_step_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """A run for each T, from a random start."""
    return _constant_steps(p, rng)


# --- the convex program -------------------------------------------------------------------------------------------


def _ascended(p, rng, make, judge=None, **ablation):
    """Utilities (runs, K) along runs from the uniform policy, there, and the certified upper end of the optimum."""
    mdp = _model(rng)
    expert = softmax_occupancy(mdp, 2 * rng.standard_normal(mdp.r.shape))
    utility, target = make(mdp, expert), (judge or make)(mdp, expert)
    hypotheses(mdp, target)
    eta, step = global_schedule(p.ascent, 0.5)
    t = np.unique(np.geomspace(8, p.ascent, 12).astype(np.int64)) - 1
    run = n_vr_pg(
        mdp, utility, horizon=2 * HORIZON, eta=eta, step=step, checkpoints=t, rng=rng, seeds=p.runs, **ablation
    )
    best = maximal_utility(UtilityMDP(mdp, target), tol=1e-4)
    values, first = (target.value(softmax_occupancy(mdp, x)) for x in (run["theta"], np.zeros(mdp.r.shape)))
    return values, float(first), best.extras["upper"], mdp


def _imitation(mdp, expert):
    return imitation_utility(np.zeros(mdp.r.shape), expert, weight=1.0, floor=0.02)


def _linearised(mdp, expert):
    return linear_utility(_imitation(mdp, expert).gradient(softmax_occupancy(mdp, np.zeros(mdp.r.shape))))


def _below(p, rng, share=1.0):
    measured, bound = [], []
    for make in (_imitation, lambda mdp, expert: _log(mdp)):
        values, first, upper, mdp = _ascended(p, rng, make)
        measured.append(values.ravel() - first)
        bound.append(np.full(values.size, share * (upper - first)))
    # Values come from linear solves of condition (1 + gamma) / (1 - gamma), slopes below 8.
    radius = np.full(np.shape(measured), 1e-12)
    return Evidence(measured=measured, bound=bound, radius=radius, instance=mdp.digest())


@claim(
    "Hidden concavity",
    r"F(\lambda(\theta)) \le \max_{\lambda \in \Lambda} F(\lambda) \le F(\hat\lambda) + \mu^\top h - "
    r"\langle \nabla F(\hat\lambda), \hat\lambda\rangle",
    relation=Bound(),
    assumptions=("$F$ is concave", r"$h \ge r + \gamma P h$ for $r = \nabla F(\hat\lambda)$"),
    falsifiers={
        "one_percent_short": variant(_below, "99 % of the way from the start to it.", 0.99),
    },
    lemmas=("barakat2023:flow_duality",),
    words="No policy's utility exceeds the certified optimum of the convex program, and the method comes up to it.",
    title="The convex program bounds what is reached",
)
def program_bounds(p: Params, rng: np.random.Generator) -> Evidence:
    """Gain along runs, imitation and log utility, against the program's certified upper end."""
    return _below(p, rng)


# Share of the start's gap that may be left.
LEFT = 0.1


def _reached(p, rng, make, judge=None, **ablation):
    values, first, upper, mdp = _ascended(p, rng, make, judge, **ablation)
    gap = (upper - values[:, -1]) / (upper - first)
    return Evidence(violated=gap > LEFT, gap=gap, instance=mdp.digest())


@claim(
    "Global theorem, last iterate",
    r"\mathbb{P}\big[F^* - F(\lambda(\theta_T)) > \tfrac{1}{10}(F^* - F(\lambda(\theta_0)))\big] \le \tfrac{1}{10}",
    relation=BoundHP(delta=0.1),
    assumptions=(
        *_ASSUMED,
        "$F$ is concave",
        r"every state is started in, one logit a state fixed: $\theta \mapsto \lambda$ is a local bijection",
    ),
    falsifiers={
        "linearised_once": variant(_reached, "Rewards are the slopes at the uniform policy.", _linearised, _imitation),
        "weight_turned_round": variant(_reached, "1 / w in place of w.", _imitation, turn=-1.0),
        "pseudo_rewards_of_the_same_trajectory": variant(
            _reached, "r_t in place of r_{t-1}.", _imitation, lagged=False
        ),
    },
    words="The last iterate comes close to the optimum of the convex program, which is not concave in theta.",
    title="The last iterate nears the global optimum",
)
def reaches_the_optimum(p: Params, rng: np.random.Generator) -> Evidence:
    """Imitation of a random policy by KL. A finite form without a rate, which the step constant would set."""
    return _reached(p, rng, _imitation)


# --- occupancy regression -----------------------------------------------------------------------------------------


def _regression_mean(p, rng, power=lambda gamma, t: gamma**t, factor=2.0, kernel=False):
    mdp = _model(rng, S=2)
    theta, phi, w = rng.standard_normal((2, 2)), rng.standard_normal((4, 3)), rng.standard_normal(3)
    law, beta, H = rng.dirichlet(np.ones(2)), rng.uniform(0.1, 1.0), STEPS
    q = np.repeat(law, 2) / 2
    states, actions, probability = enumerate_trajectories(mdp, theta, H)
    pairs, powers = states * 2 + actions, np.array([power(mdp.gamma, t) for t in range(H)])
    mean, size = np.zeros(3), np.zeros(3)
    for i in range(4):
        for row, chance in zip(pairs, probability):
            if kernel:
                after = w.copy()
                kernels.regression_step(row, powers, phi[i], i, beta, after)
            else:
                after = w - factor * beta * (phi[i] @ w - powers[row == i].sum()) * phi[i]
            mean, size = mean + q[i] * chance * after, size + q[i] * chance * np.abs(after)
    lam = softmax_occupancy(mdp, theta, horizon=H).ravel()
    # A gradient step on E_q (<phi, w> - lambda_H)^2.
    right = w - beta * 2 * phi.T @ (q * (phi @ w - lam))
    return Evidence(left=mean, right=right, tolerance=300 * U * (size + np.abs(w)), instance=mdp.digest())


@claim(
    "Occupancy regression, one step",
    r"\mathbb{E}\,\omega_{k+1} = \omega_k - \beta \nabla_\omega\, \mathbb{E}_{s \sim q,\, a \sim U}"
    r"\big[(\langle\phi(s,a), \omega_k\rangle - \lambda_H(s,a))^2\big]",
    relation=Identity(),
    falsifiers={
        "counts_without_discount": variant(
            _regression_mean, "Visits, not discounted visits.", power=lambda gamma, t: 1.0
        ),
        "half_the_step": variant(_regression_mean, "The 2 of the square is lost.", factor=1.0),
    },
    controls={"in_numpy": variant(_regression_mean, "The formula in NumPy.")},
    words="A discounted count on one trajectory is an unbiased target for the occupancy of the pair it counts.",
    title="Regression steps are unbiased",
)
def regression_unbiased(p: Params, rng: np.random.Generator) -> Evidence:
    """All pairs and all 64 trajectories through the compiled step, random features."""
    return _regression_mean(p, rng, kernel=True)


def _spanning(lam, rng):
    """Orthonormal features (S, A, 2) of the plane of `lam` and a random table; the start is soon forgotten."""
    return np.linalg.qr(np.stack([lam.ravel(), rng.random(lam.size)], axis=1))[0].reshape(*lam.shape, 2)


def _regression(p, rng, features=_spanning, column="mean"):
    mdp = _model(rng)
    theta = rng.standard_normal(mdp.r.shape)
    lam = softmax_occupancy(mdp, theta, horizon=STEPS)
    phi, n = features(lam, rng), 2 ** np.arange(p.regression - 4, p.regression + 1)
    runs = [
        regress_occupancy(mdp, theta, phi, horizon=STEPS, checkpoints=n, rng=stream)[column]
        for stream in rng.spawn(4 * p.seeds)
    ]
    error = np.sqrt(
        ((np.array(runs) @ np.moveaxis(phi, -1, 0).reshape(phi.shape[-1], -1) - lam.ravel()) ** 2).mean(axis=-1)
    )
    return Evidence(n=n.astype(float), error=error, instance=mdp.digest())


@claim(
    "Occupancy regression",
    r"\mathbb{E}\,\|\Phi\bar\omega_K - \lambda_H\|_q = O(K^{-1/2}) \quad\text{if } \lambda_H \in \mathrm{span}\,\Phi",
    relation=Rate(exponent=0.5, margin=0.15, functional="log_mean"),
    assumptions=("the features span the occupancy", r"step $1/(8 \max\|\phi\|^2)$", "the state law has full support"),
    falsifiers={
        "features_miss_the_occupancy": variant(
            _regression, "One constant feature.", lambda lam, rng: np.ones((*lam.shape, 1))
        ),
        "last_iterate": variant(_regression, "No averaging.", column="last"),
    },
    words="Averaged stochastic gradient learns an occupancy that its features span at the rate of a mean.",
    title="Occupancy regression converges",
)
def regression_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Two orthonormal features that span the occupancy of a random policy over three steps."""
    return _regression(p, rng)


def _ascents(p, rng, left, right):
    mdp = _model(rng)
    expert, gaps = softmax_occupancy(mdp, 2 * rng.standard_normal(mdp.r.shape)), {}
    utility = _imitation(mdp, expert)
    best = maximal_utility(UtilityMDP(mdp, utility), tol=1e-4).extras["upper"]
    for name, features in (("left", left), ("right", right)):
        run = occupancy_regression_pg(
            mdp, utility, features(mdp), horizon=2 * HORIZON, step=np.full(60, 0.3), regression_steps=100,
            batch=10, checkpoints=np.array([59]), rng=copy.deepcopy(rng), seeds=2,
        )  # fmt: skip
        gaps[name] = best - utility.value(softmax_occupancy(mdp, run["theta"][:, 0]))
    return Evidence(**gaps, instance=mdp.digest())


def _one_hot(mdp):
    return np.eye(mdp.S * mdp.A).reshape(mdp.S, mdp.A, -1)


def _constant(mdp):
    return np.ones((mdp.S, mdp.A, 1))


@claim(
    "Policy gradient with occupancy regression",
    r"\mathbb{E}\,[F^* - F(\lambda(\theta_T))] \text{ is smaller if } \lambda \in \mathrm{span}\,\Phi",
    relation=Ordering(),
    assumptions=_ASSUMED,
    falsifiers={
        "swapped": variant(_ascents, "The two sets of features exchanged.", _constant, _one_hot),
    },
    words="With features that span every occupancy the method gets closer to the optimum than with a constant one.",
    title="What the features are good for",
)
def features_matter(p: Params, rng: np.random.Generator) -> Evidence:
    """Imitation, 60 iterations of 110 trajectories each, the same random numbers for both."""
    return _ascents(p, rng, _one_hot, _constant)


# --- figures ------------------------------------------------------------------------------------------------------


def figure_tracking(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Occupancy error against trajectories over 16 random models; 10-90 % over models and runs."""
    streams = rng.spawn(16)
    methods = {
        "n_vr_pg": {},
        "no_correction": {"correction": 0.0},
        "weight_turned_round": {"turn": -1.0},
        "momentum_two_thirds": {"exponent": 2 / 3},
    }
    table = {"n": 2.0 ** np.arange(p.first, p.last + 1)}
    for name, options in methods.items():
        error = np.concatenate([_tracking(p, copy.deepcopy(stream), 0, **options)["error"] for stream in streams])
        table[name] = error.mean(axis=0)
        if name in {"n_vr_pg", "no_correction"}:
            table[f"{name}_lo"], table[f"{name}_hi"] = np.quantile(error, [0.1, 0.9], axis=0)
    for name, exponent, of in (("bound_half", 0.5, "n_vr_pg"), ("bound_third", 1 / 3, "momentum_two_thirds")):
        table[name] = 1.25 * table[of][0] * (table["n"] / table["n"][0]) ** -exponent
    return table


def figure_frozen_lake(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """FrozenLake 8x8: utilities along runs, as shares of the way from the uniform policy to the exact optimum."""
    mdp, T = frozen_lake("8x8"), p.lake_iterations
    utilities = {
        "linear": linear_utility(mdp.r),
        "log": log_utility(mdp.r, shift=0.125, floor=0.02),
        "entropy": entropy_utility(mdp.S, mdp.A, mdp.gamma, floor=1e-3),
    }
    eta, step = stationary_schedule(T, 4.0)
    t = np.unique(np.linspace(0, T - 1, 41).astype(np.int64))
    table = {"t": t.astype(float)}
    for name, utility in utilities.items():
        best = float(maximal_utility(UtilityMDP(mdp, utility), tol=1e-4).value[0])
        first = float(utility.value(softmax_occupancy(mdp, np.zeros(mdp.r.shape))))
        run = n_vr_pg(
            mdp, utility, horizon=100, eta=eta, step=step, checkpoints=t, rng=rng.spawn(1)[0], seeds=p.lake_runs
        )
        share = (utility.value(softmax_occupancy(mdp, run["theta"])) - first) / (best - first)
        table[name] = np.median(share, axis=0)
        table[f"{name}_lo"], table[f"{name}_hi"] = np.quantile(share, [0.1, 0.9], axis=0)
    return table


def draw_frozen_lake(ax, table) -> None:
    """Median and 10-90 % band of each utility; the optimum of its convex program is 1."""
    labels = {"linear": "expected return", "log": "log of the return", "entropy": "entropy of the states"}
    for color, (name, label) in zip(("#0072B2", "#D55E00", "#009E73"), labels.items()):
        ax.plot(table["t"], table[name], color=color, label=label)
        ax.fill_between(table["t"], table[f"{name}_lo"], table[f"{name}_hi"], color=color, alpha=0.2, linewidth=0)
    ax.axhline(1.0, color="black", linestyle="--", label="exact optimum (convex program)")
    ax.axhline(0.0, color="#888888", linewidth=0.8)
    ax.set_ylim(-0.08, 1.12)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.1))
