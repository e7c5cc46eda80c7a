r"""Tomar, Shani, Efroni, Ghavamzadeh (2020), MDPO: mirror descent policy optimisation, exact and with inner steps.

arXiv:2005.09814; update as in the authors' code, text not read. The step maximises <pi, A> - KL(pi || pi_k) / t in
every state. With exact values it is a natural gradient step, the policy step of MD-VI with weight 1 / t, of REBEL, of
HAC with the exact critic and of NORA's actor: pieces of this library that share no code agree.

Constants from memory of the theory of natural policy gradients, sharpened here: for any start with full support the
rate holds with max_s KL(pi*(s) || pi_0(s)) for log A, and a self-loop on which the better action is nearly absent at
first attains it. V^{pi_{k+1}} - V^{pi_k} has a closed form in the divergences moved, hence never falls. The text's
O(1 / sqrt K) concerns stochastic steps, its O(1 / K) those with entropy and decreasing steps; with exact constant steps
and entropy the error falls geometrically (Cen, Cheng, Chen, Wei, Chi 2021).
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.actor_critic import exact_hac, optimistic_npg
from mdplab.algorithms.games.rebel import rebel_fit
from mdplab.algorithms.policy_gradient.md_vi import md_vi_step
from mdplab.algorithms.policy_gradient.mdpo import annealed_steps, inner_steps, mdpo, mdpo_step
from mdplab.algorithms.policy_gradient.npg import (
    DIRECTIONS,
    compatible_direction,
    fisher_direction,
    npg,
    tabular_features,
)
from mdplab.algorithms.policy_gradient.trpo_step import policy_quantities
from mdplab.claims import Bound, Evidence, Identity, claim, variant
from mdplab.exact import policy_evaluation, soft_policy_iteration, value_iteration
from mdplab.exact.policy_gradient import softmax_gradient
from mdplab.instances import garnet
from mdplab.instances.linear import one_hot
from mdplab.kernels.softmax import kl_divergence, log_softmax, logsumexp, softmax
from mdplab.models import MDP

U = 2.0**-53
# Features of the log-linear class: fewer than pairs of a state and an action.
FEATURES = 6


@dataclass(frozen=True)
class Params:
    """Sizes: Garnets of `states` and `actions`; runs of `iterations`, or `long`; `inner` gradient steps."""

    states: int
    actions: int
    iterations: int
    inner: int
    long: int


def _garnet(p: Params, rng: np.random.Generator, gamma: float | None = None) -> MDP:
    gamma = float(rng.choice([0.3, 0.7, 0.9])) if gamma is None else gamma
    mdp = garnet(p.states, p.actions, 2, gamma=gamma, rng=rng)
    return mdp.replace(mu=rng.dirichlet(np.ones(p.states)))


def _logits(p: Params, rng: np.random.Generator) -> np.ndarray:
    return log_softmax(rng.standard_normal((p.states, p.actions)))


def _objective(p, rng, scale=1.0, reverse=False):
    mdp, log_pi, t = _garnet(p, rng), _logits(p, rng), float(np.exp(rng.uniform(-2, 2)))
    advantage = policy_quantities(mdp, softmax(log_pi)).advantage
    step = mdpo_step(softmax(log_pi), advantage, step=scale * t)
    left, right, tolerance = [], [], []
    for size in (1e-3, 0.1, 1.0, 5.0):
        other = log_softmax(np.log(step) + size * rng.standard_normal(step.shape))
        moved = kl_divergence(log_pi, other) if reverse else kl_divergence(other, log_pi)
        left.append(np.sum(softmax(other) * advantage, axis=1) - moved / t)
        top = logsumexp(log_pi + t * advantage) / t
        right.append(top - kl_divergence(other, np.log(step)) / t)
        # Rounding of logarithms, divided by t.
        tolerance.append(64 * U * p.actions * (np.abs(advantage).max() + (1 + np.abs(np.log(step)).max()) / t))
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.array(tolerance)[:, None])


@claim(
    "Equation (6), tabular",
    r"\langle \pi, A^{\pi_k} \rangle - \tfrac1t KL(\pi \| \pi_k) = \tfrac1t \log \textstyle\sum_a \pi_k e^{t A} "
    r"- \tfrac1t KL(\pi \| \pi_{k+1}),\quad \pi_{k+1} \propto \pi_k e^{t A^{\pi_k}}",
    relation=Identity(),
    falsifiers={
        "half_step": variant(_objective, "A step of t / 2.", scale=0.5),
        "reversed_kl": variant(_objective, "KL(pi_k || pi) in the objective.", reverse=True),
    },
    lemmas=("tomar2020:mirror_step",),
    words="Any other policy misses the optimum of the regularised objective by its divergence from the step, over t.",
    title="The step is the maximiser",
)
def mirror_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Objective of policies near and far, every state."""
    return _objective(p, rng)


def _routes(p, rng, weight=1.0, eta=1.0, stale=0, first=False):
    mdp, t = _garnet(p, rng, 0.8), float(rng.uniform(0.2, 1.5))
    ours, others = [], []
    policies = exact_hac(mdp, num_iters=4, eta=eta * t, checkpoints=np.arange(4))["policy"]
    for k in range(3):
        pi = policies[k]
        log_pi, known = np.log(pi), policy_quantities(mdp, pi)
        step = mdpo_step(pi, known.advantage, step=t)
        q = known.advantage + known.objective
        gaps = q[:, :, None] - q[:, None]
        if first:
            # One response against a constant, in place of pairs.
            gaps = np.broadcast_to(q[:, :, None], gaps.shape)
        fitted = [rebel_fit(x, g, eta=t, pairs=np.outer(w, w))[0] for x, g, w in zip(log_pi, gaps, pi, strict=True)]
        tabular = tabular_features(mdp.S, mdp.A)
        natural = npg(mdp, eta=t, num_iters=1, features=tabular, theta0=log_pi.ravel())["log_policy"][1]
        routes = (md_vi_step(log_pi, q, lam=1 / (weight * t)), np.array(fitted), natural, np.log(policies[k + 1]))
        others += [np.exp(x) for x in routes]
        ours += [step] * len(routes)
    # NORA's actor: before episode k + 1 it has taken a step along the critic recorded then.
    run = optimistic_npg(one_hot(mdp, 2), episodes=5, eta=t, bonus=0.3, rng=rng)
    for k in range(1, 5):
        for h in range(2):
            others.append(run["policy"][0, k, h])
            ours.append(mdpo_step(run["policy"][0, k - 1, h], run["critic"][0, k - stale, h], step=t))
    return Evidence(left=np.array(others), right=np.array(ours), tolerance=np.full(np.shape(ours), 1e-12))


@claim(
    "Consistency with other papers (derived)",
    r"\text{MDPO}(t) = \text{MD-VI}(1/t, 0) = \text{REBEL}(t) = \text{HAC}(t) = \text{NORA}(t) = \text{NPG}(t)"
    r"\quad \text{as maps } (\pi_k, Q) \mapsto \pi_{k+1}",
    relation=Identity(),
    falsifiers={
        "weight_t": variant(_routes, "MD-VI with a KL weight 2 per cent smaller.", weight=1.02),
        "other_occupancy": variant(_routes, "HAC with the step of texts that normalise occupancies.", eta=0.2),
        "next_critic": variant(_routes, "NORA's actor with the critic of the episode before.", stale=1),
        "unpaired": variant(_routes, "REBEL regresses on one response, not on pairs.", first=True),
    },
    lemmas=("tomar2020:mirror_step", "tomar2020:natural_gradient"),
    words="Probabilities times exponentials, logits, least squares over pairs, a pseudo-inverse and two kernels agree.",
    title="One mirror step, six codes",
)
def one_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Three iterations of HAC and four of NORA's actor: the next policy by every route, to 1e-12."""
    return _routes(p, rng)


def _directions(p, rng, routes=None, share=1.0):
    left, right, tolerance = [], [], []
    for features in (rng.standard_normal((p.states, p.actions, FEATURES)), tabular_features(p.states, p.actions)):
        mdp = _garnet(p, rng)
        theta = rng.standard_normal(features.shape[-1])
        pi = softmax(features @ theta)
        weight = policy_quantities(mdp, pi).occupancy[:, None] * pi
        centred = features - np.einsum("sa,sak->sk", pi, features)[:, None]
        fisher = np.einsum("sa,sak,sal->kl", weight, centred, centred)
        gradient = np.einsum("sak,sa->k", features, softmax_gradient(mdp, features @ theta))
        for route in DIRECTIONS.values() if routes is None else routes:
            w = route(mdp, features, theta)
            left.append(share * fisher @ w)
            right.append(gradient)
            # Consistent equations leave a residual of rounding, whatever their condition; 1e-13 cuts eigenvalues.
            size = np.abs(fisher).max() * np.abs(w).sum()
            tolerance.append(np.full(gradient.size, 1e-12 * size))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


def _uncentred(mdp, features, theta):
    return compatible_direction(mdp, features, theta, centred=False)


@claim(
    "Natural gradients (Kakade 2001; derived for REBEL)",
    r"F^+ \nabla J = \arg\min_w E_{D\pi} (w \cdot \nabla\log\pi - A)^2 = \text{Gauss-Newton step of REBEL over pairs}",
    relation=Identity(),
    falsifiers={
        "uncentred": variant(_directions, "Regression on features whose mean is not subtracted.", routes=(_uncentred,)),
        "normalised_occupancy": variant(
            _directions, "A Fisher matrix 2 per cent too small.", routes=(fisher_direction,), share=0.98
        ),
    },
    lemmas=("tomar2020:natural_gradient",),
    words="Pseudo-inverse of the Fisher matrix, compatible regression and regression on pairs give one direction.",
    title="Natural gradient by three routes",
)
def natural_directions(p: Params, rng: np.random.Generator) -> Evidence:
    """Each direction times the Fisher matrix against the exact gradient, for tabular and for random features."""
    return _directions(p, rng)


def _progress(p, rng, both=True, scale=1.0, old=False):
    left, right, tolerance = [], [], []
    mdp, t = _garnet(p, rng), float(np.exp(rng.uniform(-2, 1)))
    run = mdpo(mdp, step=t, num_iters=p.iterations, log_pi0=_logits(p, rng))
    judged = [policy_evaluation(mdp, np.exp(x), tol=1e-9) for x in run["log_policy"]]
    for k in range(p.iterations):
        before, after = run["log_policy"][k], run["log_policy"][k + 1]
        gain = kl_divergence(after, before) + (kl_divergence(before, after) if both else 0.0)
        acting = np.einsum("sa,sat->st", np.exp(before if old else after), mdp.P)
        left.append(judged[k + 1].value - judged[k].value)
        right.append(np.linalg.solve(np.eye(mdp.S) - mdp.gamma * acting, gain / (scale * t)))
        # The certificates' and the rounding of divergences of logarithms, over t and the horizon.
        rounding = 64 * U * (1 + np.abs(before).max()) / (t * (1 - mdp.gamma))
        tolerance.append(np.full(mdp.S, judged[k].certificate.gap + judged[k + 1].certificate.gap + rounding))
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.array(tolerance))


@claim(
    "Monotone improvement (derived)",
    r"V^{\pi_{k+1}} - V^{\pi_k} = (I - \gamma P_{\pi_{k+1}})^{-1}\, \tfrac1t \big[ KL(\pi_{k+1} \| \pi_k)"
    r" + KL(\pi_k \| \pi_{k+1}) \big] \ge 0 \ \text{ in every state}",
    relation=Identity(),
    falsifiers={
        "one_sided": variant(_progress, "One divergence of the two.", both=False),
        "step_off": variant(_progress, "A step 2 per cent larger in the formula.", scale=1.02),
        "old_occupancy": variant(_progress, "The old policy's transitions.", old=True),
    },
    lemmas=("tomar2020:step_gain",),
    words="Every state's value grows by the divergence moved, both ways, along the new policy's path, over t.",
    title="Values never fall",
)
def progress(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified values of successive policies of a run, every state."""
    return _progress(p, rng)


def absent_action(depth: float, gamma: float) -> tuple[MDP, np.ndarray]:
    """One state, rewards (1, 0), and logits under which the better action has probability about e^-depth."""
    return MDP([[[1.0], [1.0]]], [[1.0, 0.0]], gamma, mu=[1.0]), np.array([[-depth, 0.0]])


def _rate_cases(p, rng):
    """(mdp, logits, t, iterations)."""
    mdp, depth = _garnet(p, rng), float(rng.uniform(3e3, 6e3))
    uniform = np.zeros((p.states, p.actions))
    few, many = 3, p.iterations
    tight = absent_action(depth, 0.5)
    return [
        (mdp, uniform, float(np.exp(rng.uniform(-3, 1))), many),
        (mdp, 2 * rng.standard_normal(uniform.shape), float(np.exp(rng.uniform(-3, 1))), many),
        # Nearly policy iteration: the first term is gone.
        (mdp, uniform, 1e3, few),
        (*tight, (depth - np.log(depth)) / p.long, p.long),
    ]


def _rate(p, rng, factor=1.0, second=1.0, horizon=True):
    measured, bound, radius = [], [], []
    for mdp, logits, t, T in _rate_cases(p, rng):
        best = value_iteration(mdp, tol=1e-9)
        choice = np.ravel(best.policy) if np.ndim(best.policy) == 1 else np.argmax(best.policy, axis=1)
        kept = np.unique(np.append(np.geomspace(1, T, 8).astype(int), T))
        run = mdpo(mdp, step=t, num_iters=T, log_pi0=logits, checkpoints=kept)
        divergence = -log_softmax(logits)[np.arange(mdp.S), choice].min()
        for log_pi, k in zip(run["log_policy"], kept, strict=True):
            judged = policy_evaluation(mdp, np.exp(log_pi), tol=1e-9)
            measured.append(np.max(best.value - judged.value))
            first = divergence / ((1 - mdp.gamma if horizon else 1.0) * t * k)
            bound.append(factor * (first + second / ((1 - mdp.gamma) ** 2 * k)))
            # A logit of size depth is known to U times it.
            radius.append(best.certificate.gap + judged.certificate.gap + 64 * U * np.abs(logits).max())
    return Evidence(measured=measured, bound=np.array(bound) + 2 * np.array(radius), radius=radius)


@claim(
    "Rate with exact values",
    r"V^* - V^{\pi_T} \le \frac{\max_s KL(\pi^*(s) \| \pi_0(s))}{(1-\gamma)\, t\, T} + \frac{1}{(1-\gamma)^2 T},"
    r"\quad KL \le \log A \text{ from the uniform policy}",
    relation=Bound(),
    assumptions=("rewards in [0, 1]", "constant t", r"$\pi_0$ has full support"),
    falsifiers={
        "two_percent_less": variant(_rate, "0.98 of the bound.", factor=0.98),
        "no_second_term": variant(_rate, "Without 1 / ((1 - gamma)^2 T).", second=0.0),
        "one_horizon_less": variant(_rate, "KL / (t T) in the first term.", horizon=False),
    },
    lemmas=("tomar2020:mirror_step", "tomar2020:step_gain"),
    words="The shortfall falls like 1 / T in every state, from any start with full support.",
    title="Rate of exact MDPO",
)
def rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Uniform and random starts, a huge step, and a self-loop whose better action is nearly absent at first."""
    return _rate(p, rng)


def _first(p, rng, which=0, weighted=True):
    mdp, log_pi = _garnet(p, rng), _logits(p, rng)
    known = policy_quantities(mdp, softmax(log_pi))
    weights = known.occupancy if weighted else None
    steps = inner_steps(log_pi, known.advantage, step=0.5, rate=0.1, num_steps=2, weights=weights)
    right = 0.1 * softmax_gradient(mdp, log_pi)
    # Products of a few numbers, of the size of the advantage over the horizon.
    tolerance = np.full(right.shape, 64 * U * mdp.S * np.abs(known.advantage).max() / (1 - mdp.gamma) ** 2)
    return Evidence(left=steps[which + 1] - steps[which], right=right, tolerance=tolerance)


@claim(
    "Section 4, first inner step (derived)",
    r"\theta^{(1)} - \theta_k = \text{rate} \cdot \nabla J(\theta_k)",
    relation=Identity(),
    assumptions=("states weighted by the occupancy of $\\pi_k$",),
    falsifiers={
        "second_step": variant(_first, "The second inner step.", which=1),
        "unweighted": variant(_first, "All states weighted alike.", weighted=False),
    },
    lemmas=("tomar2020:first_inner_step",),
    words="KL is flat where it starts, so that MDPO with one inner step is plain policy gradient, whatever t.",
    title="The first inner step is a plain gradient",
)
def first_inner_step(p: Params, rng: np.random.Generator) -> Evidence:
    """The first step of the inner loop against the exact gradient of J."""
    return _first(p, rng)


def _limit(p, rng, reverse=False, scale=1.0, num_steps=None):
    mdp = _garnet(p, rng, 0.3)
    log_pi = log_softmax(0.5 * rng.standard_normal((p.states, p.actions)))
    t = float(rng.uniform(0.3, 1))
    advantage = policy_quantities(mdp, softmax(log_pi)).advantage
    m = p.inner if num_steps is None else num_steps
    found = softmax(inner_steps(log_pi, advantage, step=scale * t, rate=t, num_steps=m, reverse=reverse)[-1])
    right = softmax(log_pi + t * advantage)
    # Gradient steps contract by 1 - (smallest probability) at worst; 1e-12 for the rounding of a fixed point.
    tolerance = 1e-12 + 10 * (1 - right.min()) ** p.inner
    return Evidence(left=found, right=right, tolerance=np.full(right.shape, tolerance))


@claim(
    "Section 4, many inner steps",
    r"\theta^{(m)} \to \log \pi_k + t A^{\pi_k} + \text{const} \quad (m \to \infty)",
    relation=Identity(),
    falsifiers={
        "reversed_kl": variant(_limit, "KL(pi_k || pi) in the loss.", reverse=True),
        "step_off": variant(_limit, "A step 2 per cent larger.", scale=1.02),
        "ten_steps": variant(_limit, "Ten inner steps, as the code takes.", num_steps=10),
    },
    lemmas=("tomar2020:mirror_step",),
    words="Enough gradient steps on the loss reach the mirror step; with KL turned round they reach another policy.",
    title="Many inner steps reach the mirror step",
)
def inner_limit(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies after many inner steps against the closed form, three actions or more."""
    return _limit(p, rng)


def _entropy(p, rng, power=1.0, gammas=(0.0, 0.5, 0.9)):
    measured, bound, radius = [], [], []
    for gamma in gammas:
        mdp = _garnet(p, rng, gamma)
        tau, t = np.exp(rng.uniform(-2, 1, 2))
        logits = 2 * _logits(p, rng)
        solved = soft_policy_iteration(mdp, tau=tau, tol=1e-9)
        run = mdpo(mdp, step=t, tau=tau, num_iters=p.iterations, log_pi0=logits)
        q_star = mdp.r + gamma * mdp.P @ solved.value
        log_star = log_softmax(q_star / tau)
        share = t * tau / (1 + t * tau)
        shrink = 1 - (1 - gamma) * share
        log_pi = run["log_policy"]
        C = np.abs(q_star - run["q"][0]).max() + 2 * tau * (1 - share) * np.abs(log_star - log_pi[0]).max()
        error = solved.certificate.gap + 64 * U * (1 + np.abs(run["q"]).max()) / (1 - gamma)
        k = np.arange(p.iterations)
        measured += [np.abs(log_pi[1:] - log_star).max(axis=(1, 2)), np.abs(run["q"][1:] - q_star).max(axis=(1, 2))]
        decay = C * shrink ** (power * k)
        bound += [2 / tau * decay + 8 * error / tau, gamma * decay + 4 * error]
        radius += [np.full(k.size, 4 * error / tau), np.full(k.size, 2 * error)]
    return Evidence(measured=np.array(measured), bound=np.array(bound), radius=np.array(radius))


@claim(
    "With entropy (Cen et al. 2021, Theorem 1, in MDPO's step)",
    r"\|\log \pi_{k+1} - \log \pi^*_\tau\|_\infty \le \tfrac{2}{\tau} C \rho^k,"
    r"\ \|Q^{\pi_{k+1}}_\tau - Q^*_\tau\|_\infty \le \gamma C \rho^k,\ \rho = 1 - (1-\gamma) \tfrac{t\tau}{1+t\tau}",
    relation=Bound(),
    assumptions=(
        r"$C = \|Q^*_\tau - Q_0\|_\infty + \tfrac{2\tau}{1 + t\tau} \|\log\pi^*_\tau - \log\pi_0\|_\infty$",
        "exact regularised values, constant t",
    ),
    falsifiers={
        "squared_rate": variant(_entropy, "rho squared.", 2.0),
    },
    lemmas=("haarnoja2017:soft_contraction",),
    words="With an entropy bonus and exact values the policy converges geometrically to the regularised optimum.",
    title="Geometric convergence with entropy",
)
def with_entropy(p: Params, rng: np.random.Generator) -> Evidence:
    """Every iteration of runs at three discounts against the certified regularised optimum."""
    return _entropy(p, rng)


def figure_steps(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Shortfall of exact MDPO on a Garnet against T, for three steps and the annealed one; the bound for t = 1."""
    mdp = garnet(10, 4, 3, gamma=0.9, rng=rng)
    T = np.unique(np.geomspace(1, 300, 25).astype(int))
    best = value_iteration(mdp, tol=1e-9).value
    out = {"T": T}
    for name, step in (("small", 0.1), ("one", 1.0), ("large", 10.0), ("annealed", annealed_steps(300))):
        run = mdpo(mdp, step=step, num_iters=300, checkpoints=T)
        out[name] = np.array(
            [np.max(best - policy_evaluation(mdp, np.exp(x), tol=1e-9).value) for x in run["log_policy"]]
        )
        out[name] = np.where(out[name] > 1e-8, out[name], np.nan)
    return out | {"bound": np.log(4) / (0.1 * T) + 1 / (0.01 * T)}


def figure_inner(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Largest difference of probabilities from the mirror step after m inner steps, for both directions of KL."""
    mdp = _garnet(p, rng, 0.3)
    log_pi = log_softmax(0.5 * rng.standard_normal((p.states, p.actions)))
    advantage = policy_quantities(mdp, softmax(log_pi)).advantage
    m = np.unique(np.geomspace(1, p.inner, 60).astype(int))
    out, exact = {"m": m}, softmax(log_pi + advantage)
    for name, reverse in (("new_old", False), ("old_new", True)):
        iterates = inner_steps(log_pi, advantage, step=1.0, rate=1.0, num_steps=p.inner, reverse=reverse)
        out[name] = np.abs(softmax(iterates[m]) - exact).max(axis=(1, 2))
        out[name] = np.where(out[name] > 1e-15, out[name], np.nan)
    return out


def figure_tight(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Shortfall from starts that lack the better action, against t T over the divergence from the start; the rate."""
    x = np.linspace(0.5, 1.6, 89)
    out = {"x": x}
    for depth in (5, 50, 5000):
        mdp, logits = absent_action(float(depth), 0.5)
        divergence = -log_softmax(logits)[0, 0]
        last = [mdpo(mdp, step=y * divergence / 50, num_iters=50, log_pi0=logits, checkpoints=[50]) for y in x]
        values = [policy_evaluation(mdp, np.exp(run["log_policy"][0]), tol=1e-9).value[0] for run in last]
        out[f"depth_{depth}"] = 2 - np.array(values)
    return out | {"bound": 2 / x + 4 / 50}
