r"""Schulman, Levine, Moritz, Jordan, Abbeel (ICML 2015): the policy improvement bound behind TRPO.

Source: arXiv:1502.05477v5, Theorem 1 and equations (8)-(9). On random problems the bound is met with most of its value
to spare, so they say little; on the two-state instance `trpo_tight` it is attained in the limit, which makes the
constant 4 testable.

Derived here: on that instance the loss against the surrogate is 4 eps gamma alpha^2 / ((1-gamma)(1-gamma+gamma alpha));
for mixtures with the greedy policy the constant is 1 instead of 4, and attained for every weight; with KL averaged over
states in place of its maximum, as the practical algorithm constrains it, the bound is false for small discounts (exact
witness). Normalising the occupancy in the surrogate makes it false too.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.policy_gradient.trpo_step import mixing_step, policy_quantities, surrogate
from mdplab.certify.improvement import exact_improvement
from mdplab.claims import Bound, Evidence, Identity, Witness, claim, variant
from mdplab.claims.search import search_worst
from mdplab.exact import policy_evaluation
from mdplab.instances import garnet
from mdplab.instances.trpo import greedy_tight, greedy_tight_shortfall, rare_state, trpo_tight, trpo_tight_shortfall
from mdplab.models import MDP

U = 2.0**-53


@dataclass(frozen=True)
class Params:
    """Sizes: `states` at most and `actions` of random MDPs, `pairs` of policies on each, `evaluations` of a search."""

    states: int
    actions: int
    pairs: int
    evaluations: int


def _random_mdp(p, rng):
    gamma = float(rng.choice([0.3, 0.9, 0.99]))
    S = int(rng.integers(2, p.states + 1))
    return garnet(S, p.actions, min(3, S), gamma=gamma, rng=rng).replace(mu=rng.dirichlet(np.ones(S)))


def _pairs(p, rng):
    """(mdp, pi, new): changes of many sizes on a random MDP, and the instances on which bounds are nearly attained."""
    mdp = _random_mdp(p, rng)
    out = []
    for _ in range(p.pairs):
        pi, other = (rng.dirichlet(0.5 * np.ones(mdp.A), size=mdp.S) for _ in range(2))
        out.append((mdp, pi, pi + 10 ** rng.uniform(-3, 0) * (other - pi)))
    eps = float(rng.uniform(0.5, 2))
    out.append(trpo_tight(1e-4, 0.9, eps))
    out.append(trpo_tight(float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.1, 0.95)), eps))
    return [*out, rare_state(2.0**-3, 2.0**-10)]


def _loss(mdp, pi, new, normalised=False):
    """L(new) - J(new), its certified error and the quantities of L; J(new) by the certified solver."""
    known = policy_quantities(mdp, pi)
    share = 1 - mdp.gamma if normalised else 1.0
    level = known.objective + share * (surrogate(known, new) - known.objective)
    judged = policy_evaluation(mdp, new, tol=1e-6)
    size = np.abs(mdp.r).max() / (1 - mdp.gamma)
    radius = judged.certificate.gap + 16 * mdp.S * U * size / (1 - mdp.gamma)
    return level - float(mdp.mu @ judged.value), radius, known


def _tv(mdp, known, pi, new):
    return float(np.max(0.5 * np.abs(new - pi).sum(axis=1))) ** 2


def _mean_tv(mdp, known, pi, new):
    return float((1 - mdp.gamma) * known.occupancy @ (0.5 * np.abs(new - pi).sum(axis=1)) ** 2)


def _kl_rows(pi, new):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(pi > 0, pi * np.log(pi / new), 0.0).sum(axis=1)


def _kl(mdp, known, pi, new):
    return float(_kl_rows(pi, new).max())


def _mean_kl(mdp, known, pi, new):
    return float((1 - mdp.gamma) * known.occupancy @ _kl_rows(pi, new))


def _bound(p, rng, distance, *, constant=4.0, horizon_power=2, normalised=False):
    measured, bound, radius = [], [], []
    for mdp, pi, new in _pairs(p, rng):
        loss, error, known = _loss(mdp, pi, new, normalised)
        eps = np.abs(known.advantage).max()
        measured.append(loss)
        radius.append(error)
        bound.append(constant * eps * mdp.gamma * distance(mdp, known, pi, new) / (1 - mdp.gamma) ** horizon_power)
    return Evidence(measured=measured, bound=bound, radius=radius)


def _searched_instance(z, gamma, alpha):
    """A two-state MDP with three actions and two policies at most alpha apart, from a point (20,) of the unit cube."""
    to_one = z[:6].reshape(2, 3)
    P = np.stack([1 - to_one, to_one], axis=2)
    cuts = (np.sort(np.column_stack([z[i : i + 2], z[i + 2 : i + 4]]), axis=1) for i in (12, 16))
    pi, target = (np.diff(cut, axis=1, prepend=0.0, append=1.0) for cut in cuts)
    return MDP(P, 2 * z[6:12].reshape(2, 3) - 1, gamma, mu=[1.0, 0.0]), pi, pi + alpha * (target - pi)


def searched(p: Params, rng: np.random.Generator) -> Evidence:
    """The worst pair of policies and two-state MDP with three actions that a hill climb finds, alpha at most 1/20."""
    gamma, alpha = 0.9, 0.05

    def parts(z):
        mdp, pi, new = _searched_instance(z, gamma, alpha)
        known = policy_quantities(mdp, pi)
        loss = surrogate(known, new) - policy_quantities(mdp, new).objective
        return loss, 4 * np.abs(known.advantage).max() * gamma * _tv(mdp, known, pi, new) / (1 - gamma) ** 2

    def ratio(z):
        loss, bound = parts(z)
        # A pair that differs by rounding only has no ratio.
        return max(loss, 0.0) / bound if bound > 1e-6 else 0.0

    loss, bound = parts(search_worst(ratio, 20, evaluations=p.evaluations, rng=rng).point)
    return Evidence(measured=[loss], bound=[bound], radius=[64 * U / (1 - gamma) ** 2])


@claim(
    "Theorem 1",
    r"J(\tilde\pi) \ge L_\pi(\tilde\pi) - \frac{4 \epsilon \gamma}{(1-\gamma)^2} \alpha^2,"
    r"\quad \alpha = \max_s D_{TV}(\pi(s), \tilde\pi(s))",
    relation=Bound(),
    assumptions=(r"$\gamma < 1$", r"$\epsilon = \max_{s,a} |A_\pi(s,a)|$", "unnormalised occupancy in $L_\\pi$"),
    falsifiers={
        "smaller_constant": variant(_bound, "2 per cent less: 3.92 in place of 4.", _tv, constant=3.92),
        "one_horizon": variant(_bound, "1 / (1 - gamma) in place of its square.", _tv, horizon_power=1),
        "normalised_occupancy": variant(
            _bound, "The surrogate with an occupancy that sums to 1.", _tv, normalised=True
        ),
        "mean_tv": variant(_bound, "Squared total variation averaged over states.", _mean_tv),
    },
    controls={"looser": variant(_bound, "The same with constant 5.", _tv, constant=5.0)},
    lemmas=("schulman2015:tight",),
    words="A changed policy earns at least the surrogate minus a penalty quadratic in the largest change.",
    title="Policy improvement bound",
    search=searched,
)
def improvement_bound(p: Params, rng: np.random.Generator) -> Evidence:
    """One replicate is a random MDP with random pairs of policies, two tight instances and one with a rare state."""
    return _bound(p, rng, _tv)


def _tight(p, rng, closed_form=trpo_tight_shortfall, normalised=False):
    left, right, tolerance = [], [], []
    gamma, eps = float(rng.uniform(0.1, 0.95)), float(rng.uniform(0.5, 2))
    for alpha in (0.5, 0.1, 1e-2, 1e-4):
        loss, radius, _ = _loss(*trpo_tight(alpha, gamma, eps), normalised)
        left.append(loss)
        right.append(closed_form(alpha, gamma, eps))
        # 1e-12, more where the solver could certify less.
        tolerance.append(max(1e-12, 2 * radius))
    bound = 4 * eps * 0.9 * 1e-8 / 0.01
    left.append(_loss(*trpo_tight(1e-4, 0.9, eps))[0] / bound)
    right.append(closed_form(1e-4, 0.9, eps) / bound)
    # The ratio magnifies 1e-13 of the loss by the bound, 4e-6.
    tolerance.append(1e-7)
    return Evidence(left=left, right=right, tolerance=tolerance)


def _no_alpha_below(alpha, gamma, eps):
    return 4 * eps * gamma * alpha**2 / (1 - gamma) ** 2


def _three_quarters(alpha, gamma, eps):
    return 0.75 * trpo_tight_shortfall(alpha, gamma, eps)


@claim(
    "Theorem 1, tightness (derived)",
    r"L_\pi(\tilde\pi) - J(\tilde\pi) = \frac{4 \epsilon \gamma \alpha^2}{(1-\gamma)(1-\gamma+\gamma\alpha)}"
    r"\ \text{on the two-state instance}",
    relation=Identity(),
    falsifiers={
        "no_alpha_below": variant(_tight, "The bound itself taken for the loss.", _no_alpha_below),
        "constant_three": variant(_tight, "3 in place of 4.", _three_quarters),
        "normalised_occupancy": variant(_tight, "The surrogate with an occupancy that sums to 1.", normalised=True),
    },
    lemmas=("schulman2015:tight",),
    words="The constant 4 cannot be lowered: the ratio of loss and bound tends to one as the change vanishes.",
    title="The bound is attained",
)
def tight(p: Params, rng: np.random.Generator) -> Evidence:
    """Closed form against two linear solves and the certified solver; one replicate is a discount and a scale."""
    return _tight(p, rng)


def _kl_squared(mdp, known, pi, new):
    return _kl(mdp, known, pi, new) ** 2


@claim(
    "Theorem 1, equation (9)",
    r"J(\tilde\pi) \ge L_\pi(\tilde\pi) - \frac{4 \epsilon \gamma}{(1-\gamma)^2} \max_s D_{KL}(\pi(s) \| \tilde\pi(s))",
    relation=Bound(),
    assumptions=(r"$\gamma < 1$", "support of the old policy within the new one's"),
    falsifiers={
        "averaged": variant(_bound, "KL averaged over the occupancy instead of its maximum.", _mean_kl),
        "squared": variant(_bound, "The square of KL, as if it were a total variation.", _kl_squared),
    },
    controls={"pinsker": variant(_bound, "Constant 2, which Pinsker's inequality allows.", _kl, constant=2.0)},
    lemmas=("schulman2015:mean_kl",),
    words="The penalty may be the largest KL divergence over states.",
    title="KL form of the bound",
)
def kl_bound(p: Params, rng: np.random.Generator) -> Evidence:
    """The same pairs as for total variation."""
    return _bound(p, rng, _kl)


def _steps(p, rng, *, constant=4.0, one_horizon=False):
    measured, bound, radius = [], [], []
    cases = [(mdp, pi) for mdp, pi, _ in _pairs(p, rng)[: p.pairs]] + [greedy_tight(0.9), greedy_tight(0.5, 2.0)]
    for mdp, pi in cases:
        step = mixing_step(mdp, pi, constant=constant * (1 - mdp.gamma) if one_horizon else constant)
        before, after = (policy_evaluation(mdp, policy, tol=1e-6) for policy in (pi, step.policy))
        measured.append(step.guarantee)
        bound.append(float(mdp.mu @ (after.value - before.value)))
        radius.append(before.certificate.gap + after.certificate.gap + 128 * U / (1 - mdp.gamma) ** 2)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Section 3, Algorithm 1",
    r"J(\pi_{new}) - J(\pi) \ge \alpha \mathbb{A} - \frac{4\epsilon\gamma\alpha^2}{(1-\gamma)^2}",
    relation=Bound(),
    assumptions=(r"$\pi_{new} = (1-\alpha)\pi + \alpha\,$greedy", r"$\alpha$ maximises the right side on $[0, 1]$"),
    falsifiers={
        "one_horizon": variant(_steps, "1 / (1 - gamma) in place of its square: too long a step.", one_horizon=True),
        "constant_quarter": variant(_steps, "A quarter of the constant that greedy mixtures need.", constant=0.25),
    },
    controls={"constant_one": variant(_steps, "Constant 1, derived: steps four times as long.", constant=1.0)},
    lemmas=("schulman2015:occupancy_shift",),
    words="The step that maximises the bound improves the policy by at least what it promises.",
    title="Guaranteed improvement",
)
def guaranteed_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Promised against true improvement."""
    return _steps(p, rng)


def _mixtures(p, rng, *, factor=1.0, greedy=True):
    measured, bound, radius = [], [], []
    mdp = _random_mdp(p, rng)
    cases = [(mdp, rng.dirichlet(0.5 * np.ones(mdp.A), size=mdp.S)) for _ in range(p.pairs)]
    cases += [greedy_tight(float(rng.uniform(0.1, 0.95))), trpo_tight(0.0, 0.9)[:2]]
    for mdp, pi in cases:
        known = policy_quantities(mdp, pi)
        target = np.eye(mdp.A)[known.advantage.argmax(axis=1)]
        if not greedy:
            # The last action at the start, the worst elsewhere.
            target[1:] = np.eye(mdp.A)[known.advantage[1:].argmin(axis=1)]
            target[0] = np.eye(mdp.A)[mdp.A - 1]
        for alpha in (1e-3, float(rng.uniform(0.05, 1))):
            loss, error, _ = _loss(mdp, pi, pi + alpha * (target - pi))
            measured.append(loss)
            bound.append(factor * greedy_tight_shortfall(alpha, mdp.gamma, np.abs(known.advantage).max()))
            radius.append(error)
    return Evidence(measured=measured, bound=np.array(bound) + 2 * np.array(radius), radius=radius)


@claim(
    "Greedy mixtures (derived)",
    r"L_\pi(\pi_\alpha) - J(\pi_\alpha) \le \frac{\epsilon\gamma\alpha^2}{(1-\gamma)(1-\gamma+\gamma\alpha)}",
    relation=Bound(),
    assumptions=(r"$\pi_\alpha = (1-\alpha)\pi + \alpha\,$greedy",),
    falsifiers={
        "strengthened": variant(_mixtures, "A hundredth less than the bound.", factor=0.99),
        "not_greedy": variant(_mixtures, "A target that leaves the start and does its worst elsewhere.", greedy=False),
    },
    lemmas=("schulman2015:greedy_tight", "schulman2015:occupancy_shift"),
    words="For mixtures with the greedy policy the constant is 1 instead of 4, and attained for every weight.",
    title="Greedy mixtures: constant 1",
)
def greedy_mixture(p: Params, rng: np.random.Generator) -> Evidence:
    """The bound is inflated by twice the certified error of the measurement, which meets it exactly on one instance."""
    return _mixtures(p, rng)


def _promised(p, rng, penalty):
    """Whether the loss on `rare_state` is within 4 eps gamma / (1 - gamma)^2 times a penalty, exactly."""
    mdp, pi, new = rare_state(2.0 ** -float(rng.integers(3, 8)), 2.0**-10)
    exact = exact_improvement(mdp, pi, new)
    gamma = type(exact.eps)(mdp.gamma)
    bound = 4 * exact.eps * gamma / (1 - gamma) ** 2 * penalty(exact)
    text = f"loss {float(exact.loss):.6g}, {float(exact.loss / bound):.4g} times what is promised, in rationals"
    return Evidence(holds=[exact.loss <= bound], text=text)


def _mean_chi2(exact):
    return sum(d * x for d, x in zip(exact.occupancy, exact.chi2))


def _half_mean_chi2(exact):
    return _mean_chi2(exact) / 2


def _mean_tv_exact(exact):
    return sum(d * x**2 for d, x in zip(exact.occupancy, exact.total_variation))


def _largest_tv(exact):
    return max(exact.total_variation) ** 2


@claim(
    "Section 6, as a bound",
    r"J(\tilde\pi) \ge L_\pi(\tilde\pi) - \frac{4\epsilon\gamma}{(1-\gamma)^2}"
    r"\sum_s d_\pi(s) D_{KL}(\pi(s) \| \tilde\pi(s))",
    relation=Witness(),
    assumptions=(r"$d_\pi$ normalised", r"$D_{KL} \le \chi^2$ makes the right side rational"),
    falsifiers={
        "mean_tv": variant(_promised, "Squared total variation averaged over states.", _mean_tv_exact),
        "half": variant(_promised, "Half the mean chi^2, as Pinsker's inequality suggests.", _half_mean_chi2),
    },
    controls={"largest_tv": variant(_promised, "The theorem's own penalty.", _largest_tv)},
    lemmas=("schulman2015:mean_kl",),
    words="With the average of KL over states, which the practical algorithm constrains, the bound would still hold.",
    title="Average KL does not suffice",
)
def mean_kl(p: Params, rng: np.random.Generator) -> Evidence:
    """Even with the larger chi^2 in place of KL the promised inequality fails, in exact arithmetic."""
    return _promised(p, rng, _mean_chi2)


def figure_tightness(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Loss over alpha in units of eps at gamma = 0.9: two-state instance, worst of random pairs, bound."""
    alphas, gamma = np.logspace(-4, np.log10(0.5), 25), 0.9
    attained = [_loss(*trpo_tight(float(alpha), gamma))[0] for alpha in alphas]
    worst = np.zeros_like(alphas)
    for _ in range(p.pairs):
        mdp = garnet(4, p.actions, 2, gamma=gamma, rng=rng).replace(mu=np.ones(4) / 4)
        pi, other = (rng.dirichlet(0.5 * np.ones(mdp.A), size=4) for _ in range(2))
        known = policy_quantities(mdp, pi)
        eps, distance = np.abs(known.advantage).max(), np.max(0.5 * np.abs(other - pi).sum(axis=1))
        for i, alpha in enumerate(alphas):
            new = pi + min(1.0, alpha / distance) * (other - pi)
            worst[i] = max(worst[i], (surrogate(known, new) - policy_quantities(mdp, new).objective) / eps)
    return {"alpha": alphas, "tight": attained, "random": worst, "bound": 4 * gamma * alphas**2 / (1 - gamma) ** 2}
