r"""Zentner, Puri, Huang, Sukhatme (2023): FixPO, a trust region that a fixup phase guarantees at every state.

Source: arXiv:2312.05405, abstract, and the authors' code for the order of steps and its defaults. There advantages and
networks are learnt; here advantages are exact and policies tables, which is where the rules themselves show. The code
keeps Adam's moments for ever and moves beta by Adam, and so do the main arms; beta by signs with moments reset at each
iteration is a control.

Measured on Garnets (10 states, 4 actions, 3 successors), discount 0.9, eps_KL = 0.05, 40 iterations of 20 steps, in
means over 150: fixup steps are 1.6 per cent of the others at C_beta = 3, at most 4.5 in one run, and 11.8 per cent at
C_beta = 1. The five per cent of the abstract are thus a fact about C_beta = 3, and about whole runs: in the first
iteration they are over a quarter, in the first ten six per cent, and none once the policy has settled.

Derived:

- The loop is sure to end only if C_beta >= 1. Below, a state with eps_KL < KL <= eps_KL / C_beta is violated while it
  lowers beta; once beta is 0 the penalty has no gradient, and only what Adam remembers still moves, for a while.
- Plain steps of effective length h = rate beta d(s), at most 2, leave KL(s) <= |theta_0 - theta_old|^2 / (4 (1 + h k))
  after k of them, attained in the limit of a far start. Beyond 4 there are cycles.
- The bound J(new) >= L - 2 eps gamma eps_KL / (1 - gamma)^2, which TRPO's bound with Pinsker's inequality gives, is
  attained on a walk of coin flips as gamma -> 0 only: laws of trajectories drift apart like sqrt(t), because KL adds up
  along them. The horizon enters as sum_t sqrt(t) gamma^t, about 0.89 / (1 - gamma)^(3/2), of which the walk attains
  0.797 or more as the bias vanishes, up to discount 59/60. The instance on which TRPO's bound is attained does not
  serve: it moves mass to an action that had none, where KL is of the first order in what is moved.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_count
from mdplab.algorithms.policy_gradient.fixpo import fixpo, fixup_phase
from mdplab.algorithms.policy_gradient.trpo_step import policy_quantities, surrogate
from mdplab.claims import Bound, Evidence, Identity, Ordering, claim, variant
from mdplab.exact import policy_evaluation
from mdplab.exact.policy_gradient import softmax_gradient
from mdplab.instances import garnet
from mdplab.instances.trpo import rare_state
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.models import MDP, Trace

U = 2.0**-53
_RADIUS = 0.05
# As the notes behind this module calibrated it.
_RESET = {"beta_rule": "sign", "reset": True}
_SMALL_BETA = {"beta0": 0.01, "beta_rate": 0.0}


@dataclass(frozen=True)
class Params:
    """Sizes: `states`, `actions` of random MDPs, `iterations` of FixPO, `problems` and `pairs` a replicate."""

    states: int
    actions: int
    iterations: int
    problems: int
    pairs: int


def _garnet(p: Params, rng: np.random.Generator, gamma: float = 0.9) -> MDP:
    return garnet(p.states, p.actions, min(3, p.states), gamma=gamma, rng=rng).replace(
        mu=np.full(p.states, 1 / p.states)
    )


def _run(p: Params, mdp: MDP, eps_kl: float = _RADIUS, **changes) -> Trace:
    return fixpo(mdp, eps_kl=eps_kl, num_iters=p.iterations, **changes)


def _divergences(run: Trace) -> np.ndarray:
    """max_s KL(old || new) of each iteration, afresh from the logits: (K - 1,)."""
    return kl_divergence(run["theta"][:-1], run["theta"][1:]).max(axis=1)


def _trust(p: Params, rng: np.random.Generator, **changes) -> Evidence:
    measured, bound = [], []
    for _ in range(p.problems):
        mdp, eps_kl = _garnet(p, rng), float(rng.choice([0.02, 0.05, 0.2]))
        run = _run(p, mdp, eps_kl, rng=rng, **changes)
        measured.append(_divergences(run))
        bound.append(np.full(measured[-1].size, eps_kl))
    # A phase that gave up ends the run, with a violation; what is missing then counts as none.
    blank = p.iterations * p.problems
    measured, bound = (np.concatenate(x) for x in (measured, bound))
    measured = np.concatenate([measured, np.zeros(blank - measured.size)])
    bound = np.concatenate([bound, np.full(blank - bound.size, _RADIUS)])
    # Logits and their differences are of the order of ten.
    return Evidence(measured=measured, bound=bound, radius=np.full(blank, 1e-13))


@claim(
    "Fixup phase (guarantee)",
    r"\max_s D_{KL}(\pi_{old}(s) \| \pi_{new}(s)) \le \epsilon_{KL}",
    relation=Bound(),
    assumptions=("every visited state is swept", "the fixup phase ends, which the run reports"),
    falsifiers={
        "no_fixup": variant(_trust, "The penalty alone, beta adapting.", fixup="off"),
        "fixed_small_beta": variant(_trust, "No fixup, beta fixed at 0.01.", fixup="off", **_SMALL_BETA),
        "one_sweep": variant(_trust, "One sweep of fixup, clean or not.", max_sweeps=1),
        "mean_kl": variant(_trust, "The mean of KL over states held against eps_KL.", statistic="mean"),
        "reversed_kl": variant(
            _trust, "KL(new || old) throughout; violated is KL(old || new).", reverse=True, c_beta=1.0
        ),
    },
    controls={
        "minibatches": variant(_trust, "Three minibatches, fixup every pass.", batches=3, fixup="epoch", epochs=7),
        "reset": variant(_trust, "Moments reset, beta by signs.", **_RESET),
        "small_coefficient": variant(_trust, "C_beta = 1.", c_beta=1.0),
    },
    words="After every iteration each state is within the trust region, not only their mean.",
    title="Trust region at every state",
)
def trust_region(p: Params, rng: np.random.Generator) -> Evidence:
    """All states and iterations of runs at three radii; divergences recomputed from the logits."""
    return _trust(p, rng)


# Runs whose steps are counted together.
_POOLED = 3


def _share(p: Params, rng: np.random.Generator, **changes) -> Evidence:
    shares = []
    for _ in range(p.problems):
        runs = [_run(p, _garnet(p, rng), **changes) for _ in range(_POOLED)]
        fixups, others = (sum(run[name][-1] for run in runs) for name in ("fixup_steps", "primary_steps"))
        shares.append(fixups / others)
    return Evidence(measured=shares, bound=np.full(len(shares), 0.05))


@claim(
    "Abstract (number of fixup steps)",
    r"\#\text{fixup steps} / \#\text{primary steps} < 0.05, \qquad C_\beta = 3",
    relation=Bound(),
    assumptions=("exact advantages on Garnets, iterations of 20 steps",),
    falsifiers={
        "coefficient_one": variant(_share, "C_beta = 1.", c_beta=1.0),
        "fixed_small_beta": variant(
            _share, "beta fixed at 0.01: the fixup phase does the work.", max_sweeps=100, **_SMALL_BETA
        ),
    },
    controls={"reset": variant(_share, "Moments reset, beta by signs.", **_RESET)},
    words="The guarantee costs less than one fixup step for twenty others.",
    title="Fixup is cheap",
)
def cheap(p: Params, rng: np.random.Generator) -> Evidence:
    """Three random MDPs together."""
    return _share(p, rng)


def _counts(p: Params, rng: np.random.Generator, low: float = 1.0, high: float = 3.0, **changes) -> Evidence:
    left, right = [], []
    for _ in range(p.problems):
        mdp = _garnet(p, rng)
        for out, c_beta in ((left, high), (right, low)):
            run = _run(p, mdp, c_beta=c_beta, max_sweeps=200, **changes)
            out.append(run["fixup_steps"][-1] / run["primary_steps"][-1])
    return Evidence(left=left, right=right)


@claim(
    "Role of C_beta",
    r"\#\text{fixup steps}\,(C_\beta = 3) < \#\text{fixup steps}\,(C_\beta = 1)",
    relation=Ordering(),
    falsifiers={
        "turned_round": variant(_counts, "C_beta = 1/3: the factor at the wrong one of both.", high=1 / 3),
        "below_one": variant(_counts, "C_beta = 0.8.", high=0.8),
    },
    words="Aiming at a third of the radius spares most of the fixup steps.",
    title="C_beta spares fixup steps",
)
def coefficient(p: Params, rng: np.random.Generator) -> Evidence:
    """The same MDPs for both."""
    return _counts(p, rng)


def _violating(p: Params, rng: np.random.Generator, **changes) -> Evidence:
    runs = [_run(p, _garnet(p, rng), fixup="off", **changes) for _ in range(p.problems)]
    return Evidence(measured=[np.mean(_divergences(run) > _RADIUS) for run in runs], bound=np.full(len(runs), 0.125))


@claim(
    "Abstract (the penalty alone is nearly sufficient)",
    r"\#\{k : \max_s D_{KL}(\pi_k(s) \| \pi_{k+1}(s)) > \epsilon_{KL}\} \le K / 8"
    r"\ \text{without fixup},\quad C_\beta = 3",
    relation=Bound(),
    assumptions=("an eighth is our reading of nearly", "exact advantages on Garnets"),
    falsifiers={
        "coefficient_one": variant(_violating, "C_beta = 1.", c_beta=1.0),
        "mean_kl": variant(_violating, "beta follows the mean of KL over states.", statistic="mean", c_beta=2.0),
    },
    controls={"reset": variant(_violating, "Moments reset, beta by signs.", **_RESET)},
    words="Without the fixup phase few iterations leave the trust region, and some do.",
    title="The penalty alone",
)
def penalty_alone(p: Params, rng: np.random.Generator) -> Evidence:
    """Share of the iterations of each run that end with some state outside."""
    return _violating(p, rng)


def _far(p: Params, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(theta, log_old, weights): random tables some way off, and two actions at even odds, the first nearly tight."""
    out = []
    for _ in range(p.problems):
        log_old = log_softmax(rng.standard_normal((p.states, p.actions)))
        weights = 0.5 / p.states + 0.5 * rng.dirichlet(np.ones(p.states))
        out.append((log_old + 10 ** rng.uniform(-0.5, 1.5) * rng.standard_normal(log_old.shape), log_old, weights))
    for lead in (400.0, 2.0):
        out.append((np.array([[lead / 2, -lead / 2]]), np.log([[0.5, 0.5]]), np.ones(1)))
    return out


def _distance(theta: np.ndarray, log_old: np.ndarray) -> np.ndarray:
    """Squared distance of logits up to constants: (S,)."""
    difference = theta - log_old
    return np.sum((difference - difference.mean(axis=1, keepdims=True)) ** 2, axis=1)


_SWEEPS = 120


def _descent(
    p: Params, rng: np.random.Generator, *, h=2.0, factor=1.0, rule="gradient", start=1.0, rise=0.0
) -> Evidence:
    measured, bound = [], []
    for theta, log_old, weights in _far(p, rng):
        rate = h / weights.max()
        done = fixup_phase(
            theta, log_old, weights=weights, eps_kl=1e-9, beta=start, rate=rate, rule=rule, beta_rate=rise,
            max_sweeps=_SWEEPS,
        )  # fmt: skip
        k = np.arange(_SWEEPS)[: len(done.kl), None]
        # What beta rises by only helps, as long as steps stay short.
        limit = factor * _distance(theta, log_old) / (4 * (1 + min(h, 2) * start * weights / weights.max() * k))
        padding = np.zeros((_SWEEPS - len(done.kl)) * limit.shape[1])
        measured.append(np.concatenate([done.kl.ravel(), padding]))
        bound.append(np.concatenate([limit.ravel(), padding + 1]))
    # Divergences of logits of some hundreds, summed over as many steps.
    radius = [1e-11 * (1 + x) for x in measured]
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound), radius=np.concatenate(radius))


@claim(
    "Fixup phase, speed (Drori and Teboulle 2014, Theorem 3.1)",
    r"D_{KL}(\pi_{old}(s) \| \pi_k(s)) \le \frac{\|\theta_0(s) - \theta_{old}(s)\|^2}{4 (1 + h_s k)},"
    r"\quad h_s = \eta \beta d(s) \le 2",
    relation=Bound(),
    assumptions=("plain gradient steps, fixed beta", "logits modulo constants, weights $d(s)$ over states"),
    falsifiers={
        "two_per_cent": variant(_descent, "2 per cent less.", factor=0.98),
        "long_steps": variant(_descent, "h = 4.5 in place of 2.", h=4.5),
        "sign_steps": variant(_descent, "Signs of gradients, as Adam's first step.", rule="sign"),
    },
    controls={
        "short_steps": variant(_descent, "h = 1/2.", h=0.5),
        "rising_beta": variant(_descent, "beta rises, h from 1 to at most 2.", start=0.5, rise=0.5 / _SWEEPS),
    },
    lemmas=("zentner2023:kl_calculus", "zentner2023:curvature", "zentner2023:one_step", "zentner2023:cycle"),
    words="KL at each state falls like one over the number of fixup steps, with a constant that cannot be lowered.",
    title="Speed of the fixup phase",
)
def descent(p: Params, rng: np.random.Generator) -> Evidence:
    """Every state and sweep; a start at logits 400 apart attains all but two thousandths of the bound."""
    return _descent(p, rng)


def _sweeps(p: Params, rng: np.random.Generator, *, c_beta: float = 1.0, rise: float = 0.01) -> Evidence:
    measured, bound = [], []
    for theta, log_old, weights in _far(p, rng)[: p.problems]:
        theta = log_old + (theta - log_old) * min(1.0, 7 / np.sqrt(_distance(theta, log_old).max()))
        largest, distance = float(kl_divergence(log_old, theta).max()), _distance(theta, log_old)
        for excess in (1.05, 4.0):
            # KL_k <= distance / (2 sum_{i<k} h_i), h_i = 0.01 i rate d(s): k = most is enough, and h_k is 2 at most.
            most = int(np.ceil(1 + np.max(distance * weights.max() * excess / (2 * weights * largest))))
            done = fixup_phase(
                theta, log_old, weights=weights, eps_kl=largest / excess, beta=0.0, beta_rate=rise, c_beta=c_beta,
                rate=2 / (0.01 * most * weights.max()), max_sweeps=2 + most,
            )  # fmt: skip
            measured.append(len(done.kl))
            bound.append(1 + most)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Fixup phase, termination (derived)",
    r"\text{sweeps} \le 1 + k, \quad k - 1 \ge \max_s \frac{\max d}{d(s)} \frac{\|\theta_0(s) - \theta_{old}(s)\|^2}"
    r"{2 \epsilon_{KL}}, \qquad \beta_0 = 0,\ C_\beta \ge 1",
    relation=Bound(),
    assumptions=(
        "plain gradient steps, beta by sign steps",
        r"$\eta \eta_\beta k \max d = 2$, so that steps stay short",
    ),
    falsifiers={
        "below_one": variant(_sweeps, "C_beta = 0.9: a state just outside pushes beta to 0.", c_beta=0.9),
        "beta_stays": variant(_sweeps, "beta stays 0, and no gradient comes.", rise=0.0),
    },
    controls={"three": variant(_sweeps, "C_beta = 3.", c_beta=3.0)},
    lemmas=("zentner2023:kl_calculus", "zentner2023:curvature", "zentner2023:deadlock"),
    words="The fixup phase ends even from beta = 0, for a violated state raises beta, if C_beta is at least 1.",
    title="The fixup phase ends",
)
def termination(p: Params, rng: np.random.Generator) -> Evidence:
    """Starts five per cent and four times outside; one sweep more than the bound stands for never."""
    return _sweeps(p, rng)


def _first_two(p: Params, rng: np.random.Generator, *, rule="gradient", which=(0, 1)) -> Evidence:
    left, right = [], []
    for theta, log_old, weights in _far(p, rng)[: p.problems]:
        eps_kl = float(kl_divergence(log_old, theta).max()) / 2

        how = {"weights": weights, "eps_kl": eps_kl, "beta": 0.0, "rate": 0.1, "rule": rule}
        once, twice = (fixup_phase(theta, log_old, max_sweeps=sweeps, **how).theta for sweeps in (1, 2))
        left += [once - theta, twice - once]
        slope = 0.1 * 0.01 * weights[:, None] * (softmax(theta) - np.exp(log_old))
        right += [which[0] * slope, -which[1] * slope]
    left, right = np.array(left), np.array(right)
    # Differences of logits of some tens.
    return Evidence(left=left, right=right, tolerance=np.full(left.shape, 1e-13))


@claim(
    "beta and the fixup phase (derived)",
    r"\beta_0 = 0: \quad \theta_1 = \theta_0, \quad \theta_2 - \theta_1 = -\eta \eta_\beta d (\pi_0 - \pi_{old})",
    relation=Identity(),
    assumptions=("plain gradient steps, beta by sign steps",),
    falsifiers={
        "beta_first": variant(_first_two, "beta's step taken before the gradient's.", which=(-1, 2)),
        "adam": variant(_first_two, "Adam, which divides the small beta out.", rule="adam"),
    },
    lemmas=("zentner2023:kl_calculus",),
    words="Where the primary phase has left beta at 0 the first fixup step does nothing but raise beta.",
    title="The first fixup step is lost",
)
def lost_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Two steps from random tables; new minus old is the gradient of KL."""
    return _first_two(p, rng)


def _plain_step(p: Params, rng: np.random.Generator, *, epochs=1, normalised=True, reverse=False) -> Evidence:
    left, right = [], []
    for gamma in (0.5, 0.9, 0.99):
        mdp, theta = _garnet(p, rng, gamma), rng.standard_normal((p.states, p.actions))
        beta = float(rng.uniform(0, 3))
        run = fixpo(
            mdp, eps_kl=_RADIUS, num_iters=1, epochs=epochs, beta0=beta, rate=0.1, rule="gradient", fixup="off",
            reverse=reverse, theta0=theta,
        )  # fmt: skip
        left.append(run["theta"][1] - run["theta"][0])
        right.append(0.1 * epochs * (1 - gamma if normalised else 1) * softmax_gradient(mdp, theta))
    left, right = np.array(left), np.array(right)
    # Two linear solves a side, of condition 200 at most, and differences of logits.
    return Evidence(left=left, right=right, tolerance=np.full(left.shape, 1e-12))


@claim(
    "Primary phase, first step (derived)",
    r"\theta_1 - \theta_{old} = \eta (1 - \gamma) \nabla J(\theta_{old})\ \text{for every}\ \beta",
    relation=Identity(),
    assumptions=("plain gradient steps", "states weighted by the normalised occupancy"),
    falsifiers={
        "two_steps": variant(_plain_step, "Two steps: KL has a gradient, advantages are old.", epochs=2),
        "unnormalised": variant(_plain_step, "The factor 1 - gamma left out.", normalised=False),
    },
    controls={"reversed_kl": variant(_plain_step, "KL(new || old), which is flat there too.", reverse=True)},
    lemmas=("zentner2023:kl_calculus",),
    words="KL is flat at the old policy, so that the first step is one of plain policy gradient.",
    title="The first primary step is plain",
)
def first_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Random betas, policies and discounts against the exact gradient."""
    return _plain_step(p, rng)


def coin_walk(alpha: float, gamma: float, reach: int, eps: float = 1.0) -> tuple[MDP, np.ndarray, np.ndarray]:
    """The walk on -reach .. reach, from 0, that fair coins drive, with the fair policy and that of bias alpha.

    Up earns -eps sign(s), down eps sign(s), with sign(0) = 1, so that V = 0 and every |advantage| is eps. The biased
    policy drifts upwards, where going up loses.

    Examples
    --------
    >>> coin_walk(0.1, 0.5, 3)[0]
    MDP(S=7, A=2, transitions=14, gamma=0.5)
    """
    reach = check_count("reach", reach)
    if not 0 <= alpha <= 0.5:
        raise ValueError(f"alpha is {alpha}; expected a bias in [0, 1/2]")
    place = np.arange(2 * reach + 1)
    P = np.zeros((place.size, 2, place.size))
    P[place, 0, np.minimum(place + 1, 2 * reach)] = P[place, 1, np.maximum(place - 1, 0)] = 1.0
    side = np.where(place < reach, -1.0, 1.0)
    mdp = MDP(P, eps * np.stack([-side, side], axis=1), gamma, mu=(place == reach).astype(float))
    pi = np.full((place.size, 2), 0.5)
    return mdp, pi, pi + alpha * np.array([1.0, -1.0])


def _loss(mdp: MDP, pi: np.ndarray, new: np.ndarray) -> tuple[float, float, float]:
    """L(new) - J(new), its certified error, and max |Adv|."""
    known = policy_quantities(mdp, pi)
    judged = policy_evaluation(mdp, new, tol=1e-6)
    size = np.abs(mdp.r).max() / (1 - mdp.gamma)
    radius = judged.certificate.gap + 16 * mdp.S * U * size / (1 - mdp.gamma)
    return surrogate(known, new) - float(mdp.mu @ judged.value), radius, float(np.abs(known.advantage).max())


def _kl_rows(pi: np.ndarray, new: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(pi > 0, pi * np.log(pi / new), 0.0).sum(axis=1)


def _pairs(p: Params, rng: np.random.Generator, *, mean: bool = False, reverse: bool = False) -> list[tuple]:
    """(mdp, pi, new, radius): FixPO's own steps at eps_KL, the walk on the sphere of its radius, and a rare state."""
    out = []
    mdp = _garnet(p, rng)
    run = fixpo(mdp, eps_kl=_RADIUS, num_iters=p.pairs)
    policies = softmax(run["theta"])
    out += [(mdp, pi, new, _RADIUS) for pi, new in pairwise(policies)]
    for gamma, eps_kl, reach in ((0.005, 1e-3, 8), (0.5, 0.02, 40), (0.9, 1e-3, 90)):
        # KL of a fair coin from one of bias alpha is -log(1 - 4 alpha^2) / 2.
        alpha = 0.5 * float(np.sqrt(-np.expm1(-2 * eps_kl)))
        walk = coin_walk(alpha, gamma, reach, float(rng.uniform(0.5, 2)))
        out.append((*walk, float(_kl_rows(walk[2], walk[1]).max()) if reverse else eps_kl))
    mdp, pi, new = rare_state(2.0**-3, 2.0**-10)
    rows = _kl_rows(new, pi) if reverse else _kl_rows(pi, new)
    occupancy = (1 - mdp.gamma) * policy_quantities(mdp, pi).occupancy
    return [*out, (mdp, pi, new, float(occupancy @ rows if mean else rows.max()))]


def _printed(gamma: float) -> float:
    return gamma / (1 - gamma) ** 2


def _one_horizon(gamma: float) -> float:
    return gamma / (1 - gamma)


def _square_root(gamma: float) -> float:
    """sum_t sqrt(t) gamma^t, to rounding."""
    t = np.arange(1, 2 + int(50 / (1 - gamma)))
    return float(np.sum(np.sqrt(t) * gamma**t))


def _improvement(
    p: Params, rng: np.random.Generator, horizon=_printed, *, constant: float = 2.0, **changes
) -> Evidence:
    measured, bound, radius = [], [], []
    for mdp, pi, new, eps_kl in _pairs(p, rng, **changes):
        loss, error, eps = _loss(mdp, pi, new)
        measured.append(loss)
        radius.append(error)
        bound.append(constant * eps * horizon(mdp.gamma) * eps_kl)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Trust region and Schulman et al. 2015, Theorem 1 (derived)",
    r"J(\pi_{new}) \ge L_{\pi}(\pi_{new}) - \frac{2 \epsilon \gamma}{(1-\gamma)^2} \epsilon_{KL}",
    relation=Bound(),
    assumptions=(
        r"$\max_s D_{KL} \le \epsilon_{KL}$",
        r"$\epsilon = \max |A_\pi|$",
        "unnormalised occupancy in $L_\\pi$",
    ),
    falsifiers={
        "two_per_cent": variant(_improvement, "1.96 in place of 2.", constant=1.96),
        "one_horizon": variant(_improvement, "1 / (1 - gamma) in place of its square.", _one_horizon),
        "mean_kl": variant(_improvement, "The mean of KL over states in place of the largest.", mean=True),
    },
    controls={
        "schulman": variant(_improvement, "Constant 4, as Schulman et al. print it.", constant=4.0),
        "reversed_kl": variant(_improvement, "KL(new || old), which Pinsker's inequality covers too.", reverse=True),
    },
    lemmas=("zentner2023:flip", "csiszar1967:pinsker"),
    words="What a trust region is for: the new policy earns at least the surrogate minus a multiple of the radius.",
    title="Improvement within the trust region",
)
def improvement(p: Params, rng: np.random.Generator) -> Evidence:
    """FixPO's steps, which are far from it, a walk that attains it as gamma -> 0, and a rare state."""
    return _improvement(p, rng)


@claim(
    "The horizon in the KL form (derived)",
    r"J(\pi_{new}) \ge L_{\pi}(\pi_{new}) - 2 \epsilon\, \epsilon_{KL} \sum_{t \ge 1} \sqrt{t}\, \gamma^t",
    relation=Bound(),
    assumptions=(r"$\max_s D_{KL}(\pi(s) \| \pi_{new}(s)) \le \epsilon_{KL}$", r"$\epsilon = \max |A_\pi|$"),
    falsifiers={
        "two_per_cent": variant(_improvement, "1.96 in place of 2.", _square_root, constant=1.96),
        "no_root": variant(_improvement, "sum_t gamma^t: no growth with t.", _one_horizon),
        "mean_kl": variant(_improvement, "The mean of KL over states.", _square_root, mean=True),
    },
    controls={"linear_growth": variant(_improvement, "sum_t t gamma^t, the bound above.", _printed)},
    lemmas=("zentner2023:chain_rule", "zentner2023:flip", "csiszar1967:pinsker"),
    words="Divergences add up along trajectories, so that the horizon enters with the power 3/2 only.",
    title="Power 3/2 of the horizon",
)
def three_halves(p: Params, rng: np.random.Generator) -> Evidence:
    """The pairs of the claim above; the walk attains 0.997, 0.81 and 0.79 of it at discounts 0.005, 0.5 and 0.9."""
    return _improvement(p, rng, _square_root)


def figure_budget(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Largest KL over states by iteration on one Garnet: at the end of each phase, and without penalty or fixup."""
    mdp = _garnet(p, rng)
    out = {"iteration": np.arange(1, p.iterations + 1)}
    for name, c_beta in (("one", 1.0), ("three", 3.0)):
        run = _run(p, mdp, c_beta=c_beta)
        out |= {f"{name}_primary": run["kl_primary"][1:], f"{name}_exit": run["kl"][1:]}
    out["unprotected"] = _run(p, mdp, fixup="off", **_SMALL_BETA)["kl"][1:]
    return out | {"bound": np.full(p.iterations, _RADIUS)}


def draw_budget(ax, table: dict[str, np.ndarray]) -> None:
    """Points at the end of iterations; where the fixup phase acted, a line down from where it began."""
    t = table["iteration"]
    ax.plot(t, table["unprotected"], color="0.6", linewidth=1.2, label=r"no fixup, $\beta = 0.01$ fixed")
    for name, c_beta, colour, shift in (("one", 1, "#0072B2", -0.12), ("three", 3, "#D55E00", 0.12)):
        begin, end = table[f"{name}_primary"], table[f"{name}_exit"]
        acted = begin > table["bound"]
        ax.plot(t + shift, end, "o", color=colour, markersize=3.5, label=rf"FixPO, $C_\beta = {c_beta}$")
        ax.vlines(t[acted] + shift, end[acted], begin[acted], color=colour, linewidth=1.2)
        ax.plot(
            t[acted] + shift,
            begin[acted],
            "x",
            color=colour,
            markersize=5,
            label=f"outside before fixup: {acted.sum()} times",
        )
    ax.plot(t, table["bound"], "--", color="black", linewidth=1.3, label=r"$\epsilon_{KL}$")
    ax.set_yscale("log")
    ax.legend(loc="lower left")


def figure_share(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Fixup steps over primary steps so far, mean and 10-90 per cent band over Garnets."""
    out = {"iteration": np.arange(1, p.iterations + 1)}
    problems = [_garnet(p, rng) for _ in range(12)]
    for name, c_beta in (("one", 1.0), ("three", 3.0)):
        runs = [_run(p, mdp, c_beta=c_beta) for mdp in problems]
        shares = np.array([run["fixup_steps"][1:] / run["primary_steps"][1:] for run in runs])
        out[name] = shares.mean(axis=0)
        out[f"{name}_lo"], out[f"{name}_hi"] = np.quantile(shares, [0.1, 0.9], axis=0)
    return out | {"bound": np.full(p.iterations, 0.05)}


def figure_horizon(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Loss of the walk in units of 2 eps eps_KL against 1 / (1 - gamma), with both bounds."""
    # Even in the logarithm of gamma / (1 - gamma), since all curves are about gamma where it is small.
    effective = 1 + np.geomspace(0.01, 59, 25)
    alpha, out = 1e-3, []
    for gamma in 1 - 1 / effective:
        mdp, pi, new = coin_walk(alpha, float(gamma), int(10 + 12 * np.sqrt(1 / (1 - gamma))))
        out.append(_loss(mdp, pi, new)[0] / (2 * float(_kl_rows(pi, new).max())))
    gammas = 1 - 1 / effective
    return {
        "effective": effective,
        "walk": np.array(out),
        "bound_root": np.array([_square_root(gamma) for gamma in gammas]),
        "bound_printed": _printed(gammas),
    }
