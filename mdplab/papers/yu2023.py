r"""Yu, Ying (2023): risk-averse policy gradients with expected conditional risk measures (ECRM).

From the abstracts; definition, algorithms and theorems are instantiations of ours (`mdplab.instances.ecrm`,
`mdplab.algorithms.policy_gradient.ecrm`), the latter those of Agarwal et al. 2021 and Cen et al. 2022 on the augmented
MDP. Costs are minimised. The cliff walk's sizes are ours too.

What carrying the theorems over takes: the guarantee of projected gradients divides by the start distribution's mass on
every state, and an augmented MDP that starts in first-step states has none on later ones; here every state is a start.
Its number of iterations, 64 gamma S' A' mismatch^2 / ((1 - gamma)^6 eps^2), exceeds 1e4 for every eps below the range
of values on our smallest instances: what is tested is that gap sqrt(T) stays bounded, and the two inequalities behind.
Derived: at a point stationary up to barrier / (N M) in every logit the gap is at most barrier / N times the sum of the
ratios of occupancies, well below the printed bound; levels between costs never help; memory of the level does; and at
the full step the floor that errors of the critic leave is quadratic in them, where the printed one is linear.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from mdplab.algorithms.policy_gradient.ecrm import (
    barrier_gradient,
    barrier_step,
    ecrm_quantities,
    natural_gradient,
    projected_gradient,
    projected_step,
    softmax_gradients,
    uniform_policies,
)
from mdplab.algorithms.policy_gradient.sampled_ecrm import sampled_barrier, sampled_natural, sampled_projected
from mdplab.algorithms.policy_gradient.sampled_polyak import path_estimates
from mdplab.algorithms.robust.projection import project_rows
from mdplab.claims import Bound, Evidence, Identity, NotApplicable, Ordering, claim, variant
from mdplab.exact.ecrm import (
    ecrm_optimum,
    expected_cost,
    nested_ecrm,
    nested_values,
    quantile_levels,
    visit_probability,
    with_levels,
)
from mdplab.exact.policy_gradient import softmax_gradient
from mdplab.exact.soft import soft_policy_iteration
from mdplab.exact.solve import solve
from mdplab.exact.trajectories import enumerate_trajectories
from mdplab.instances.ecrm import EcrmProblem, cliff_walk, random_ecrm
from mdplab.kernels.softmax import softmax

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_CLIFF, _GOAL = [13, 14], [15]
# What the judge certifies of an optimal value.
_TOL = 1e-9


@dataclass(frozen=True)
class Params:
    """Sizes: `states`, `actions`, `problems` a replicate, `policies` each, `steps` of a method, `points` of a curve.

    `batch` are trajectories an iteration, or rollouts of each pair, of the sampled methods.
    """

    states: int
    actions: int
    problems: int
    policies: int
    steps: int
    points: int
    batch: int


@dataclass(frozen=True, eq=False, slots=True)
class _Flawed(EcrmProblem):
    """An augmented MDP with one mistake in its costs."""

    flaw: str = ""

    def first_cost(self) -> np.ndarray:
        level = self.weight * self.levels * (1.0 if self.flaw == "undiscounted" else self.gamma)
        cost = self.cost
        if self.flaw == "first_excess":
            excess = np.maximum(self.cost - self.levels[0], 0.0)
            cost = self.weight / self.tail * excess + (1 - self.weight) * self.cost
        return cost[:, :, None] + level

    def later_cost(self) -> np.ndarray:
        level = self.weight * self.levels * (1.0 if self.flaw == "undiscounted" else self.gamma)
        excess = np.maximum(self.cost[:, None, :] - self.levels[None, :, None], 0.0)
        tail = 1 - self.tail if self.flaw == "one_minus_tail" else self.tail
        rest = 1.0 if self.flaw == "whole_mean" else 1 - self.weight
        return (self.weight / tail * excess + rest * self.cost[:, None, :])[..., None] + level


def _flawed(problem: EcrmProblem, flaw: str) -> EcrmProblem:
    if not flaw:
        return problem
    parts = (problem.P, problem.cost, problem.gamma, problem.rho, problem.weight, problem.tail, problem.levels)
    return _Flawed(*parts, flaw=flaw)


def _problems(p: Params, rng: np.random.Generator, num_costs: int = 4, gamma: float = 0.8) -> list[EcrmProblem]:
    return [
        random_ecrm(
            p.states,
            p.actions,
            num_costs=num_costs,
            gamma=gamma,
            weight=float(rng.uniform(0.2, 1)),
            tail=float(rng.uniform(0.1, 0.45)),
            rng=rng,
        )
        for _ in range(p.problems)
    ]


def _policy(problem: EcrmProblem, rng: np.random.Generator) -> np.ndarray:
    return rng.dirichlet(np.ones(problem.A), size=problem.S)


def _reformulated(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for problem in _problems(p, rng):
        for _ in range(p.policies):
            policy = _policy(problem, rng)
            left.append(nested_ecrm(problem, policy))
            policies = problem.split(with_levels(problem, policy, quantile_levels(problem, policy)))
            right.append(ecrm_quantities(_flawed(problem, flaw), *policies).objective)
    # Two solves of condition 1 / (1 - gamma) = 5 for values of at most 5.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-13))


@claim(
    "Reformulation as a risk-neutral problem",
    r"E c_1 + \sum_{t \ge 2} \gamma^{t-1} E\,\rho(c_t \mid s_{t-1}, a_{t-1}) = \min_\eta"
    r" E \Big[ c_1 + \gamma\lambda\eta_2 + \sum_{t \ge 2} \gamma^{t-1} \Big( \tfrac\lambda\alpha (c_t - \eta_t)_+"
    r" + (1 - \lambda) c_t + \gamma\lambda\eta_{t+1} \Big) \Big]",
    relation=Identity(),
    falsifiers={
        "level_undiscounted": variant(_reformulated, "No gamma on the level of the next step.", "undiscounted"),
        "one_minus_tail": variant(_reformulated, "1 / (1 - alpha) in place of 1 / alpha.", "one_minus_tail"),
        "first_step_excess": variant(_reformulated, "The first cost is charged like later ones.", "first_excess"),
    },
    lemmas=("yu2023:first_cost", "rockafellar2000:strong_duality"),
    words="The risk of each next cost, by sorting, is the expected cost of a larger MDP with the best levels.",
    title="Nested risks are expected costs",
)
def reformulation(p: Params, rng: np.random.Generator) -> Evidence:
    """CVaR by sorting the laws of next costs, against the augmented MDP at the best levels; random policies."""
    return _reformulated(p, rng)


def _special(p: Params, rng: np.random.Generator, flaw: str = "", drop: bool = False) -> Evidence:
    left, right = [], []
    for problem in _problems(p, rng):
        neutral = -float(problem.rho @ solve(problem.base, tol=_TOL).value)
        for weight, tail in ((0.0, problem.tail), (problem.weight, 1.0), (1.0, 1.0)):
            levels = problem.levels[1:] if drop else problem.levels
            case = problem.replace(weight=weight, tail=tail, levels=levels)
            left.append(ecrm_optimum(_flawed(case, flaw)).objective)
            right.append(neutral)
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 2 * _TOL))


@claim(
    "Definition, limiting cases",
    r"\lambda = 0 \text{ or } \alpha = 1: \quad \min_\pi \mathrm{ECRM} = \min_\pi E \sum_t \gamma^{t-1} c_t",
    relation=Identity(),
    falsifiers={
        "whole_mean": variant(_special, "The mean is not weighted by 1 - lambda.", "whole_mean"),
        "least_level_missing": variant(_special, "The grid of levels lacks the smallest cost.", drop=True),
    },
    words="Without CVaR, or with CVaR of the whole law, risk-averse and risk-neutral optimum are one.",
    title="Risk-neutral limits",
)
def special_cases(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified optima of the augmented and of the plain MDP."""
    return _special(p, rng)


def _grids(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound = [], []
    for problem in _problems(p, rng, num_costs=6):
        costs = problem.levels

        def least(levels, cost=problem.cost, problem=problem):
            return ecrm_optimum(problem.replace(levels=levels, cost=cost)).objective

        exact = least(costs)
        if flaw == "uniform":
            values = [least(np.linspace(0, 1, n)) for n in (3, 4, 5, 6)]
        elif flaw == "rounded":
            coarse = costs[::2]
            lower = coarse[np.searchsorted(coarse, problem.cost, side="right") - 1]
            values = [least(coarse, lower), exact]
        else:
            values = [least(levels) for levels in (costs[[2]], costs[[0, 2]], costs[[0, 2, 5]], costs[[0, 1, 2, 4, 5]])]
            # Levels between the costs add nothing: the optimum is at most, and at least, the one without them.
            more = least(np.unique(np.concatenate([costs, rng.random(3)])))
            values += [exact, more, exact]
        measured += values[1:]
        bound += values[:-1]
    return Evidence(measured=measured, bound=np.array(bound) + 2 * _TOL)


@claim(
    "Discretised levels",
    r"H \subset H' \Rightarrow V^*_{H'} \le V^*_H, \qquad H \supset c(\mathcal S, \mathcal A) \Rightarrow V^*_H = V^*",
    relation=Bound(),
    falsifiers={
        "not_nested": variant(_grids, "Uniform grids of 3, 4, 5, 6 levels, which are not nested.", "uniform"),
        "costs_rounded": variant(_grids, "Costs are rounded down to the coarse grid as well.", "rounded"),
    },
    lemmas=("yu2023:between_levels",),
    words="A coarser grid of levels costs something, never gains; one with all costs is exact.",
    title="Grids of levels",
)
def level_grid(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified optima along nested grids, up to all costs, and beyond."""
    return _grids(p, rng)


def _remembering(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound = [], []
    # First the instance of the lemma, where memory of the level is worth a tenth.
    P = [[[0.5, 0.5], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]
    for problem in [EcrmProblem(P, [[3.0, 3.0], [3.0, 0.0]], 0.5, [1.0, 0.0], 1.0, 0.5), *_problems(p, rng)]:
        choices = [np.eye(problem.A)[list(row)] for row in product(range(problem.A), repeat=problem.S)]
        choices += [_policy(problem, rng) for _ in range(p.policies)]
        # The first step is free to differ.
        ahead = [problem.cost + nested_values(problem, policy) for policy in choices]
        measured.append(ecrm_optimum(_flawed(problem, flaw)).objective)
        bound.append(min(float(problem.rho @ q.min(axis=1)) for q in ahead) + 2 * _TOL)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Policies of state and level",
    r"\min_{\pi(a, \eta' \mid s, \eta)} \mathrm{ECRM} \le \min_{\pi(a \mid s)} \mathrm{ECRM}",
    relation=Bound(),
    falsifiers={
        "first_step_excess": variant(_remembering, "The first cost is charged like later ones.", "first_excess"),
        "level_undiscounted": variant(_remembering, "No gamma on the level of the next step.", "undiscounted"),
    },
    lemmas=("yu2023:memory_helps",),
    words="The best policy may look at the level it chose a step ago, and is never worse for it.",
    title="The level as memory",
)
def memory(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified optimum against all deterministic and some random policies of the state, judged by sorting."""
    return _remembering(p, rng)


def _gradients(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right, tolerance = [], [], []
    for problem in _problems(p, rng):
        for _ in range(p.policies):
            theta = rng.standard_normal((problem.S * (1 + problem.E), problem.A * problem.E))
            first, later = problem.split(softmax(theta))
            known = ecrm_quantities(_flawed(problem, flaw), first, later)
            one, two = softmax_gradients(known, first, later)
            if flaw == "occupancy_late":
                two = two / problem.gamma
            left.append(problem.join(one, two).ravel())
            right.append(-softmax_gradient(problem.augmented(), theta).ravel())
            tolerance.append(np.full(theta.size, 1e-13 * (1 + np.abs(known.q2).max())))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Policy gradients, first step and later steps apart",
    r"\nabla_{\theta_1} = \rho\, p_1 (Q_1 - V_1), \qquad \nabla_{\theta_2} = D_2\, p_2 (Q_2 - V_2), \qquad"
    r" D_2 = \gamma (I - \gamma T)^{-\top} \mu_2",
    relation=Identity(),
    falsifiers={
        "occupancy_undiscounted": variant(_gradients, "Later states from t = 0, without gamma.", "occupancy_late"),
        "first_step_excess": variant(_gradients, "The first cost is charged like later ones.", "first_excess"),
        "level_undiscounted": variant(_gradients, "No gamma on the level of the next step.", "undiscounted"),
    },
    words="The gradients of both policies are those of one softmax policy on the augmented MDP.",
    title="Gradients",
)
def gradients(p: Params, rng: np.random.Generator) -> Evidence:
    """Two factored formulas against the dense gradient on the augmented MDP; random logits."""
    return _gradients(p, rng)


def _everywhere(problem: EcrmProblem) -> tuple[np.ndarray, np.ndarray]:
    """A start with the same mass on all states of the augmented MDP."""
    N = problem.S * (1 + problem.E)
    return np.full(problem.S, 1 / N), np.full((problem.S, problem.E), 1 / N)


def _small(p: Params, rng: np.random.Generator) -> list[EcrmProblem]:
    """Short horizons and two costs: the steps of the theory shrink like (1 - gamma)^3 / A'."""
    return [
        random_ecrm(2, 2, num_costs=2, gamma=0.5, weight=0.5, tail=float(rng.uniform(0.3, 0.45)), rng=rng)
        for _ in range((p.problems + 1) // 2)
    ]


def _careless(problem: EcrmProblem, num_iters: int, step: float, mu: tuple, flaw: str) -> np.ndarray:
    """Policies (T + 1, N, M) of a projected gradient method with one mistake."""
    first, later = uniform_policies(problem)
    out = [problem.join(first, later)]
    for _ in range(num_iters):
        known = ecrm_quantities(problem, first, later, mu=mu)
        q1, q2 = (problem.first_cost(), problem.later_cost()) if flaw == "myopic" else (known.q1, known.q2)
        move = problem.join(known.d1[:, None, None] * q1, known.d2[:, :, None, None] * q2)
        y = out[-1] - step * move
        if flaw == "clipped":
            y = np.maximum(y, 0.0)
            y = y / y.sum(axis=1, keepdims=True)
        out.append(project_rows(y))
        first, later = problem.split(out[-1])
    return np.array(out)


def _objectives(problem: EcrmProblem, policies: np.ndarray, mu: tuple) -> np.ndarray:
    return np.array([ecrm_quantities(problem, *problem.split(policy), mu=mu).objective for policy in policies])


def _descent(p: Params, rng: np.random.Generator, flaw: str = "", factor: float = 1.0) -> Evidence:
    measured, bound = [], []
    for problem in _small(p, rng):
        mu, step, T = _everywhere(problem), projected_step(problem), p.steps // 4
        if flaw:
            policies = _careless(problem, T, step, mu, flaw)
            values = _objectives(problem, policies, mu)
        else:
            run = projected_gradient(problem, num_iters=T, checkpoints=np.arange(T + 1), mu=mu)
            policies, values = run["policy"], run["objective"]
        measured.append(factor * (np.diff(policies, axis=0) ** 2).sum(axis=(1, 2)) / (2 * step))
        # Values of at most 3, by a solve of condition 2.
        bound.append(values[:-1] - values[1:] + 1e-14)
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound))


@claim(
    "Projected gradient, monotone",
    r"J(\pi_t) - J(\pi_{t+1}) \ge \|\pi_{t+1} - \pi_t\|^2 / (2 \mathrm{step}), \quad"
    r" \mathrm{step} = (1 - \gamma)^3 / (2 \gamma |A'| c_{\max})",
    relation=Bound(),
    falsifiers={
        "clipped": variant(_descent, "Negative probabilities are cut, rows divided by their sum.", "clipped"),
        "myopic": variant(_descent, "Costs of the step in place of costs to go.", "myopic"),
        "doubled": variant(_descent, "2.1 times the decrease.", factor=2.1),
    },
    words="Every step of the stated size lowers the risk, by at least half its squared length over the step size.",
    title="Descent of projected gradients",
)
def descent(p: Params, rng: np.random.Generator) -> Evidence:
    """Every step of the method from uniform policies; the ratio tends to 1/2 as curvature stops to matter."""
    return _descent(p, rng)


def _gaps(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound = [], []
    for problem in _small(p, rng)[:1]:
        # Windows in units of the step: the product rises until gaps as large as costs close, and falls after.
        mu, T = _everywhere(problem), 2 * int(8 / projected_step(problem))
        if flaw == "myopic":
            values = _objectives(problem, _careless(problem, T, projected_step(problem), mu, flaw), mu)
        else:
            trained = problem.replace(weight=0.0) if flaw == "neutral" else problem
            how = {"num_iters": T, "checkpoints": np.arange(T + 1), "mu": mu, "step": projected_step(problem)}
            run = projected_gradient(trained, **how)
            values = _objectives(problem, run["policy"], mu) if flaw else run["objective"]
        best = ecrm_optimum(problem)
        scaled = (values - mu[0] @ best.first - (mu[1] * best.later).sum()) * np.sqrt(np.arange(T + 1))
        measured.append(scaled[T // 2 :].max())
        bound.append(scaled[: T // 2].max())
    return Evidence(measured=measured, bound=bound)


@claim(
    "Projected gradient, rate",
    r"\min_{t \le T} J(\pi_t) - J^* \le \varepsilon \ \text{ for } \ T \ge"
    r" \frac{64 \gamma |S'| |A'|}{(1 - \gamma)^6 \varepsilon^2} \Big\| \frac{d^*}{\mu} \Big\|_\infty^2",
    relation=Bound(),
    assumptions=(r"$\mu > 0$ on all augmented states", r"tested: gap $\sqrt T$ no larger in a later window"),
    falsifiers={
        "myopic": variant(_gaps, "Costs of the step in place of costs to go.", "myopic"),
        "risk_neutral": variant(_gaps, "The gradient of the expected cost.", "neutral"),
    },
    words="The gap to the optimum, times the square root of the number of steps, stays bounded.",
    title="Rate of projected gradients",
)
def direct_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Largest gap sqrt(T) over the second half of the steps against that over the first half."""
    return _gaps(p, rng)


def _occupancies(problem: EcrmProblem, policy: np.ndarray, mu: tuple | None) -> tuple[float, np.ndarray, np.ndarray]:
    """Objective from mu, occupancies (N,) and largest gains by one changed action (N,)."""
    known = ecrm_quantities(problem, *problem.split(policy), mu=mu)
    gain = np.concatenate([known.v1, known.v2.ravel()]) - problem.join(known.q1, known.q2).min(axis=1)
    return known.objective, np.concatenate([known.d1, known.d2.ravel()]), gain


def _dominated(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound = [], []
    for problem in _problems(p, rng):
        mu, best = _everywhere(problem), ecrm_optimum(problem)
        at_best = _occupancies(problem, best.probabilities(problem), None)[1]
        N, M = best.policy.size, problem.A * problem.E
        # Optimal everywhere but at one state, each in turn, which makes the inequality tight; then anywhere at random.
        for k in range(N + p.policies):
            policy = rng.dirichlet(np.ones(M), size=N)
            keep = rng.random(N) < rng.random() if k >= N else np.arange(N) != k
            policy[keep] = best.probabilities(problem)[keep]
            value = _occupancies(problem, policy, None)[0]
            _, visits, gain = _occupancies(problem, policy, mu)
            ratio = at_best / visits
            mismatch = ratio.mean() if flaw == "mean" else ratio.max()
            scale = 1 - problem.gamma if flaw == "mixed" else 1.0
            measured.append(value - best.objective)
            bound.append(scale * mismatch * (visits @ gain) + 2 * _TOL)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Gradient domination",
    r"J_\rho(\pi) - J^*_\rho \le \Big\| \frac{d^*_\rho}{d^\pi_\mu} \Big\|_\infty"
    r" \max_{\bar\pi} \langle \pi - \bar\pi, \nabla_\pi J_\mu(\pi) \rangle",
    relation=Bound(),
    falsifiers={
        "mean_mismatch": variant(_dominated, "The mean ratio of occupancies in place of the largest.", "mean"),
        "mixed_occupancies": variant(_dominated, "The ratio of a normalised to an unnormalised occupancy.", "mixed"),
    },
    words="Where no feasible direction promises a gain, the policy is optimal, up to the mismatch of visits.",
    title="Gradient domination",
)
def domination(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies that differ from an optimal one at a single state, and at a random share of the states."""
    return _dominated(p, rng)


# Multiples of the stated step: the statement is about where the method stops, not about how fast it gets there.
_LONGER = 100


def _barriers(p: Params, rng: np.random.Generator, factor: int = 1, early: float = 1.0) -> Evidence:
    measured, bound = [], []
    for problem in _small(p, rng):
        mu, best = _everywhere(problem), ecrm_optimum(problem)
        N, M = best.policy.size, problem.A * problem.E
        least = mu[0] @ best.first + (mu[1] * best.later).sum()
        at_best = _occupancies(problem, best.probabilities(problem), mu)[1]
        for barrier in (0.3, 0.15):
            used = barrier * factor
            step = _LONGER * barrier_step(problem, used)
            run = barrier_gradient(
                problem, barrier=used, num_iters=p.steps, checkpoints=np.arange(p.steps + 1), mu=mu, step=step
            )
            stop = np.flatnonzero(run["slope"] <= early * used / (2 * N * M))
            if not stop.size:
                raise NotApplicable(f"the gradient is {run['slope'][-1]:.3g} after {p.steps} steps")
            visits = _occupancies(problem, run["policy"][stop[0]], mu)[1]
            gap = run["objective"][stop[0]] - least
            measured += [gap, gap]
            # mu is 1 / N everywhere; normalised occupancies in the printed bound.
            bound += [2 * barrier * at_best.max() * N, barrier / N * (at_best / visits).sum()]
    return Evidence(measured=measured, bound=np.array(bound) + _TOL)


@claim(
    "Softmax policy gradient with log barrier",
    r"\|\nabla L_b\| \le \frac{b}{2 |S'| |A'|} \ \Rightarrow\ J(\pi) - J^* \le \frac{b}{|S'|} \sum_s"
    r" \frac{d^*(s)}{d^\pi(s)} \le \frac{2 b}{1 - \gamma} \Big\| \frac{d^*}{\mu} \Big\|_\infty",
    relation=Bound(),
    assumptions=(r"$\mu > 0$ on all augmented states", "the middle term is derived here"),
    falsifiers={
        "unscaled_barrier": variant(_barriers, "The barrier is not divided by the number of actions, 4.", factor=4),
        "stopped_early": variant(_barriers, "Stopped at a gradient 20 times the stated one.", early=20.0),
    },
    lemmas=("yu2023:barrier_stationary",),
    words="Where the gradient with barrier nearly vanishes, the gap is at most the barrier times a mismatch.",
    title="Log barrier",
)
def barrier_gap(p: Params, rng: np.random.Generator) -> Evidence:
    """First point of the run that satisfies the premise, against both bounds."""
    return _barriers(p, rng)


def _natural(
    p: Params, rng: np.random.Generator, error: float = 0.0, longer: float = 1.0, shrink: float | None = None
) -> Evidence:
    measured, bound = [], []
    for problem in _problems(p, rng, num_costs=3, gamma=0.7):
        mdp, gamma, T = problem.augmented(), problem.gamma, p.steps // 2
        for tau, share in ((0.2, 1.0), (0.1, 0.5)):
            step = share * (1 - gamma) / tau
            judge = soft_policy_iteration(mdp, tau=tau, tol=_TOL)
            how = {"num_iters": T, "checkpoints": np.arange(T + 1), "shrink": shrink, "error": error, "rng": rng}
            run = natural_gradient(problem, tau=tau, step=longer * step, **how)
            off = np.abs(run["q"] + judge.extras["Q"]).max(axis=(1, 2))
            start = np.abs(judge.extras["log_policy"] + np.log(mdp.A)).max()
            C = off[0] + 2 * tau * (1 - share) * start
            floor = 2 * error / (1 - gamma) * (1 + gamma / (step * tau))
            measured.append(off[1:])
            bound.append(gamma * (C * (1 - step * tau) ** np.arange(T) + floor) + _TOL)
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound))


@claim(
    "Natural policy gradient with entropy, exact",
    r"\|Q^*_\tau - Q^{(t+1)}_\tau\|_\infty \le \gamma (1 - \eta\tau)^t \Big( \|Q^*_\tau - Q^{(0)}_\tau\|_\infty +"
    r" 2\tau \Big(1 - \frac{\eta\tau}{1 - \gamma}\Big) \|\log\pi^*_\tau - \log\pi_0\|_\infty \Big)",
    relation=Bound(),
    assumptions=(r"$0 < \eta \le (1 - \gamma) / \tau$",),
    falsifiers={
        "no_shrink": variant(_natural, "The old policy enters with power 1: no pull to the middle.", shrink=1.0),
        "too_long": variant(_natural, "Three times the step: the power of the old policy is negative.", longer=3.0),
    },
    lemmas=("yu2023:inexact_floor",),
    words="With exact values the regularised cost converges geometrically, at a factor of one minus step times tau.",
    title="Linear rate of the natural gradient",
)
def natural_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Every iterate, judged by certified soft policy iteration on the augmented MDP, to 1e-9."""
    return _natural(p, rng)


@claim(
    "Natural policy gradient with entropy, inexact",
    r"\|Q^*_\tau - Q^{(t+1)}_\tau\|_\infty \le \gamma \Big( (1 - \eta\tau)^t C_1 + \frac{2\delta}{1 - \gamma}"
    r" \Big(1 + \frac{\gamma}{\eta\tau}\Big) \Big)",
    relation=Bound(),
    assumptions=(r"$0 < \eta \le (1 - \gamma) / \tau$", r"$\|\hat Q - Q\|_\infty \le \delta$"),
    falsifiers={
        "no_shrink": variant(_natural, "The old policy enters with power 1.", error=0.002, shrink=1.0),
        "too_long": variant(_natural, "Three times the step.", error=0.002, longer=3.0),
    },
    lemmas=("yu2023:inexact_floor",),
    words="Values known up to delta add a floor of order delta, and change nothing of the rate.",
    title="Inexact natural gradient",
)
def natural_inexact(p: Params, rng: np.random.Generator) -> Evidence:
    """Every value off by 0.002 up or down at random."""
    return _natural(p, rng, error=0.002)


# Steps of the trajectories that are enumerated.
_SHORT = 3


def _short_gradient(problem: EcrmProblem, policy: np.ndarray, direct: bool) -> np.ndarray:
    """Gradient (N, M) of the cost of _SHORT steps, in the probabilities or the logits, by recursions backward."""
    mdp = problem.augmented()
    values = np.zeros((_SHORT + 1, mdp.S))
    qs = []
    for t in range(_SHORT, 0, -1):
        qs.append(-mdp.r + mdp.gamma * mdp.P @ values[t])
        values[t - 1] = (policy * qs[-1]).sum(axis=1)
    out, visits = np.zeros(mdp.r.shape), mdp.mu
    for t, q in enumerate(reversed(qs)):
        out += mdp.gamma**t * visits[:, None] * (q if direct else policy * (q - values[t][:, None]))
        visits = np.einsum("s,sa,sat->t", visits, policy, mdp.P)
    return out


def _estimated(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right, tolerance = [], [], []
    for states, actions in ((2, 1), (1, 2)):
        problem = random_ecrm(states, actions, num_costs=2, gamma=0.8, weight=0.6, tail=0.3, rng=rng)
        drawn = _flawed(problem, flaw).augmented()
        logits = rng.standard_normal(drawn.r.shape)
        policy = softmax(logits)
        seen, played, probability = enumerate_trajectories(drawn, logits, _SHORT)
        paths = seen * drawn.A + played
        for direct in (False, True):
            gradient = path_estimates(drawn, logits, paths, direct=direct)[1]
            if flaw == "own_time":
                # The term of step t, without gamma^t: the estimate of the path from t on less that from t + 1 on.
                for t in range(1, _SHORT):
                    rest = path_estimates(drawn, logits, paths[:, t:], direct=direct)[1]
                    gradient = gradient + (1 - drawn.gamma) * rest
            if flaw == "not_divided" and direct:
                gradient = gradient * policy
            terms = -probability[:, None] * gradient.reshape(len(paths), -1)
            left.append(terms.sum(axis=0))
            right.append(_short_gradient(problem, policy, direct).ravel())
            # A sum of N products of some twenty factors.
            tolerance.append((len(terms) + 40) * 2.0**-53 * np.abs(terms).sum(axis=0) + 1e-15)
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Sampled gradients (estimators ours)",
    r"E \sum_{t<H} G_t \nabla \log p(a_t, \eta_{t+1} \mid s_t, \eta_t) = \nabla_\theta J_H, \qquad"
    r" E \sum_{t<H} \frac{G_t}{p_t} e_{(s, \eta, a, \eta')_t} = \nabla_p J_H, \qquad G_t = \sum_{h \ge t} \gamma^h C_h",
    relation=Identity(),
    falsifiers={
        "own_time": variant(_estimated, "Costs to go discounted from their own step, not from the first.", "own_time"),
        "not_divided": variant(_estimated, "No division by the probability of what was played.", "not_divided"),
        "first_step_excess": variant(_estimated, "The first cost is charged like later ones.", "first_excess"),
        "level_undiscounted": variant(_estimated, "No gamma on the level of the next step.", "undiscounted"),
    },
    lemmas=("fatkhullin2023:gpomdp_unbiased",),
    words="The estimates of both kinds have the exact gradients of the risk as their means.",
    title="Sampled gradients are unbiased",
)
def sampled_gradients(p: Params, rng: np.random.Generator) -> Evidence:
    """The compiled estimates on all trajectories of three steps, against recursions; one state or one action."""
    return _estimated(p, rng)


def _critics(
    p: Params, rng: np.random.Generator, shrink: float | None = None, longer: float = 1.0,
    critic_tau: float | None = None, share: float = 1.0, horizon: int = 16,
) -> Evidence:  # fmt: skip
    measured, bound = [], []
    tau, T = 0.5, p.steps // 20
    for problem in _problems(p, rng, num_costs=2, gamma=0.7)[:2]:
        gamma = problem.gamma
        judge = soft_policy_iteration(problem.augmented(), tau=tau, tol=_TOL)
        run = sampled_natural(
            problem, tau=tau, step=longer * (1 - gamma) / tau, horizon=horizon, batch=p.batch, num_iters=T,
            checkpoints=np.arange(T + 1), rng=rng, shrink=shrink, critic_tau=critic_tau,
        )  # fmt: skip
        off, spans = [], []
        for policy, critic in zip(run["policy"][0], run["q"][0]):
            policies = problem.split(policy)
            known = ecrm_quantities(problem, *policies, tau=tau)
            off.append(np.abs(np.concatenate([known.v1, known.v2.ravel()]) + judge.value).max())
            if critic_tau is not None:
                known = ecrm_quantities(problem, *policies, tau=critic_tau)
            spans.append(np.ptp(critic - problem.join(known.q1, known.q2), axis=1).max())
        floor = (share * np.array(spans[:-1])) ** 2 / (8 * tau * (1 - gamma))
        measured.append(off[1:])
        bound.append(gamma * np.array(off[:-1]) + floor + _TOL)
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound))


@claim(
    "Inexact natural policy gradient, full step (floor derived)",
    r"\eta = \frac{1 - \gamma}{\tau}: \quad \|V_\tau^{(t+1)} - V^*_\tau\|_\infty \le \gamma \|V_\tau^{(t)} -"
    r" V^*_\tau\|_\infty + \frac{\max_s \mathrm{sp}(\hat Q_t(s, \cdot) -"
    r" Q_\tau^{(t)}(s, \cdot))^2}{8 \tau (1 - \gamma)}",
    relation=Bound(),
    assumptions=("the critic's errors are those that occurred, whatever their law",),
    falsifiers={
        "critic_without_entropy": variant(
            _critics, "Rollouts leave out the entropy, and errors are judged by what they estimate.", critic_tau=0.0
        ),
        "no_shrink": variant(_critics, "The old policy enters with power 1.", shrink=1.0),
        "twice_the_step": variant(_critics, "The power of the old policy is -1.", longer=2.0),
        "half_the_span": variant(_critics, "Errors up and down counted as one.", share=0.5),
    },
    controls={"short_rollouts": variant(_critics, "Rollouts of 4 steps: biased, which is an error like another.",
                                        horizon=4)},
    lemmas=("yu2023:quadratic_floor", "haarnoja2017:gibbs", "hoeffding1963:tilted_variance"),
    words="A critic from rollouts leaves a floor that is quadratic in its error: noise of a tenth costs a hundredth.",
    title="Natural gradient with a sampled critic",
)  # fmt: skip
def natural_sampled(p: Params, rng: np.random.Generator) -> Evidence:
    """Every iteration of runs with rollouts from every pair; errors and values judged exactly."""
    return _critics(p, rng)


def _sampled(
    p: Params, rng: np.random.Generator, weight: float | None = None, longer: float = 1.0, fewer: int = 1
) -> Evidence:
    left, right = [], []
    for problem in _small(p, rng)[:1]:
        mu, best = _everywhere(problem), ecrm_optimum(problem)
        least = mu[0] @ best.first + (mu[1] * best.later).sum()
        trained = problem if weight is None else problem.replace(weight=weight)
        T = 2 * p.steps
        how = {
            "horizon": 12,
            "batch": max(1, p.batch // 6 // fewer),
            "num_iters": T,
            "checkpoints": np.array([0, T]),
            "mu": np.concatenate([mu[0], mu[1].ravel()]),
        }
        runs = (
            sampled_projected(trained, step=0.1 * longer, mixing=0.05, rng=rng, **how),
            sampled_barrier(trained, step=longer, barrier=0.01, rng=rng, **how),
        )
        for run in runs:
            gaps = _objectives(problem, run["policy"][0], mu) - least
            left.append(gaps[1])
            right.append(0.05 * gaps[0])
    return Evidence(left=left, right=right)


@claim(
    "Sampled projected gradients and gradients with log barrier (estimators ours)",
    r"E\,[J(\pi_T) - J^*] < \tfrac{1}{20} E\,[J(\pi_0) - J^*] \text{ over instances and runs,} \qquad"
    r"\text{constant steps, batches, } T = 400",
    relation=Ordering(),
    assumptions=(r"$\mu > 0$ on all augmented states", "steps and batches are ours"),
    falsifiers={
        "risk_neutral": variant(_sampled, "The gradient of the expected cost.", weight=0.0),
        "longer_and_fewer": variant(_sampled, "Twenty times the step, an eighth of the batch.", longer=20.0, fewer=8),
        "too_short": variant(_sampled, "A hundredth of the step.", longer=0.01),
    },
    words="With a batch of trajectories a step, both methods close nineteen parts in twenty of the gap, on average.",
    title="Descent on samples",
)
def sampled_descent(p: Params, rng: np.random.Generator) -> Evidence:
    """The ECRM of the last policy, judged exactly; one run of each method on each instance."""
    return _sampled(p, rng)


def _walks(tail: float, weights: tuple[float, ...], flaw: str = "", **sizes: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean cost and probability of ever being on the cliff, of the optimal policies."""
    means, falls = [], []
    for weight in weights:
        problem = cliff_walk(weight, tail, **sizes)
        policy = ecrm_optimum(_flawed(problem, flaw)).probabilities(problem)
        means.append(expected_cost(problem, policy))
        falls.append(visit_probability(problem, policy, _CLIFF, _GOAL))
    return np.array(means), np.array(falls)


def _ordered(p: Params, rng: np.random.Generator, flaw: str = "", tail: float = 0.05) -> Evidence:
    measured, bound = [], []
    for sizes in ({}, {"slip": 0.2, "cliff_cost": 10.0}):
        means, falls = _walks(tail, WEIGHTS, flaw, **sizes)
        measured += [falls[1:], means[:-1], [2 * falls[-1], falls[-1]]]
        bound += [falls[:-1], means[1:], [falls[0], 0.04 if not sizes else 0.07]]
    # In a larger tail ordinary steps dilute the fall: nothing changes.
    means, _ = _walks(0.2, WEIGHTS, flaw)
    measured.append(means)
    bound.append(np.full(len(WEIGHTS), means[0]))
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound) + _TOL)


@claim(
    "Stochastic cliff walk",
    r"\lambda \uparrow\ \Rightarrow\ P(\text{cliff}) \downarrow,\ E \sum_t \gamma^{t-1} c_t \uparrow"
    r" \quad (\alpha = 0.05), \qquad \text{no change at } \alpha = 0.2",
    relation=Bound(),
    assumptions=("sizes of the walk are ours",),
    falsifiers={
        "tail_turned": variant(_ordered, "1 / (1 - alpha) in place of 1 / alpha.", "one_minus_tail"),
        "large_tail": variant(_ordered, "A fall, of probability 1/40 a step, is diluted in the tail.", tail=0.2),
    },
    words="The more weight on CVaR of a small tail, the longer the way round the cliff and the rarer the falls.",
    title="Risk aversion on the cliff",
)
def risk_order(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified optimal policies at five weights; a full weight at least halves the probability of the cliff."""
    return _ordered(p, rng)


def figure_policies(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A row a weight and cell: visits, and the first-step action that is optimal there (-1 where nothing is chosen)."""
    rows = []
    for weight in (0.0, 0.5, 1.0):
        problem = cliff_walk(weight)
        best = ecrm_optimum(problem)
        policy = best.probabilities(problem)
        known = ecrm_quantities(problem, *problem.split(policy))
        visits = known.d1 + known.d2.sum(axis=1)
        fall = visit_probability(problem, policy, _CLIFF, _GOAL)
        for cell in range(problem.S):
            # Among levels, what is done at the one that is most often carried into the cell.
            level = int(np.argmax(known.d2[cell]))
            row = cell if known.d1[cell] > known.d2[cell].max() else problem.S + cell * problem.E + level
            moves = cell not in (*_CLIFF, *_GOAL)
            action = best.policy[row] // problem.E if moves else -1
            rows.append((cell, weight, visits[cell] if cell not in _GOAL else 0.0, action, fall))
    return dict(zip(("cell", "weight", "visits", "action", "fall"), np.array(rows).T))


def draw_policies(ax, table: dict[str, np.ndarray]) -> None:
    """Three grids side by side: shade by visits, arrows by action, the probability of the cliff above."""
    moves, grids = ((-1, 0), (0, -1), (1, 0), (0, 1)), list(np.unique(table["weight"]))
    top = table["visits"].max()
    for cell, weight, visits, action, fall in zip(*(table[n] for n in ("cell", "weight", "visits", "action", "fall"))):
        x, y = 4.6 * grids.index(weight) + cell % 4, 3 - cell // 4
        cliff, goal = int(cell) in _CLIFF, int(cell) in _GOAL
        shade = (
            (0.75, 0.3, 0.2) if cliff else (1 - 0.75 * visits / top, 1 - 0.55 * visits / top, 1 - 0.25 * visits / top)
        )
        ax.add_patch(_square(x, y, shade))
        if action >= 0:
            right, up = moves[int(action)]
            ends = {"xytext": (x - 0.28 * right, y - 0.28 * up), "xy": (x + 0.28 * right, y + 0.28 * up)}
            ax.annotate("", **ends, arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 1.2})
        elif cliff or goal:
            ax.text(x, y, "goal" if goal else "cliff", ha="center", va="center", fontsize=6.5)
        if cell == 0:
            text = rf"$\lambda$ = {weight:g}" + f"\never on the cliff: {100 * fall:.1f} %"
            ax.text(x + 1.5, y + 0.75, text, ha="center", va="bottom", fontsize=8.5)
    ax.set_xlim(-0.7, 4.6 * len(grids) - 0.9)
    ax.set_ylim(-0.7, 5.0)
    ax.set_aspect("equal")
    ax.axis("off")


def _square(x: float, y: float, shade: tuple[float, float, float]):
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=shade, edgecolor="#777777", linewidth=0.6)


def figure_convergence(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Gap of the ECRM over iterations on one small instance: projected, with log barrier, natural with entropy."""
    problem = _small(p, np.random.default_rng([2023, 10932]))[0]
    mu, best = _everywhere(problem), ecrm_optimum(problem, tol=1e-11)
    least = mu[0] @ best.first + (mu[1] * best.later).sum()
    t = np.unique(np.logspace(0, np.log10(10 * p.steps), p.points).round().astype(int))
    how = {"num_iters": int(t[-1]), "checkpoints": t}
    step, table = projected_step(problem), {"t": t.astype(float)}
    for name, size in (("stated", step), ("longer", 30 * step)):
        table[name] = projected_gradient(problem, mu=mu, step=size, **how)["objective"] - least
    for name, barrier in (("barrier", 0.1), ("small_barrier", 0.01)):
        size = _LONGER * barrier_step(problem, barrier)
        table[name] = barrier_gradient(problem, barrier=barrier, mu=mu, step=size, **how)["objective"] - least
    for name, tau in (("natural", 0.05), ("plain", 0.0)):
        run = natural_gradient(problem, tau=tau, step=0.1 * (1 - problem.gamma) / 0.05, **how)
        table[name] = _objectives(problem, run["policy"], mu) - least
    # Below the certified error of the optimum a gap is not known.
    return {name: np.where(column > 1e-10, column, np.nan) for name, column in table.items()}


def figure_frontier(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Probability of ever being on the cliff against the weight of CVaR, three tails."""
    weights = np.linspace(0, 1, p.points)
    table = {"weight": weights}
    for name, tail in (("small", 0.05), ("middle", 0.1), ("large", 0.2)):
        table[name] = _walks(tail, tuple(weights))[1]
    return table
