r"""Wang, Ho, Petrik (ICML 2023): double-loop robust policy gradient (DRPG) reaches the robust optimum.

From memory and from the authors' public code; the paper's text was not read. The paper minimises costs in [0, 1];
here rewards are maximised and nature minimises. Gradients are those of J = mu . v, unnormalised.

Derived here: Lipschitz constants sqrt(A) / (1 - gamma)^2 in the policy and sqrt(S) / (1 - gamma)^2 in the kernel,
both attained (the paper is remembered with S^2 in the smoothness in p); the gradient domination of the inner problem
with the ratio of the two occupancies over states where nature gains, attained where those are visited once. The
number of steps that the theorem asks for exceeds 1e9 even with two states and says nothing; its rate T^(-1/4) is
beaten by far. A constant step does not converge: on the two opposite models it ends in a cycle of two policies, the
best of which is within 81/4 steps of the optimum. An occupancy without the transpose, as in the published C++ code,
is no gradient but converges all the same, since its weights are positive.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mdplab.algorithms.robust.drpg import drpg, kernel_gradient, policy_gradient, tilt_gradient
from mdplab.algorithms.robust.nature import (
    linear_value,
    nominal_kernel,
    objective,
    robust_evaluation,
    worst_kernel,
)
from mdplab.algorithms.robust.projection import project_rows
from mdplab.claims import Bound, Evidence, Identity, Rate, Witness, claim, variant
from mdplab.exact.robust import robust_policy_iteration
from mdplab.instances import garnet
from mdplab.instances.robust import drpg_garnet, drpg_policy, opposite_models
from mdplab.instances.robust_suite import TiltedFamily, drpg_inventory
from mdplab.models import MDP, L1Ball, RobustMDP


@dataclass(frozen=True)
class Params:
    """Sizes: Garnet problems of `states`, `actions` and `branching`; `points` policies an instance.

    DRPG takes `steps` steps of size `step`; the rate is measured from 2^first to 2^last steps of a quarter of the size.
    """

    states: int
    actions: int
    branching: int
    points: int
    steps: int
    step: float
    first: int
    last: int


def _problem(p, rng, rectangularity="sa"):
    return drpg_garnet(p.states, p.actions, p.branching, rng=rng, rectangularity=rectangularity)


def _imaginary(problem, kernel, pi, in_policy, in_kernel):
    """Derivative of J along directions of the policy and of the kernel, by an imaginary step."""
    h = 1e-30j
    pi, kernel = pi + h * in_policy, kernel + h * in_kernel
    mdp = problem.nominal
    step = np.einsum("sa,sat->st", pi, kernel)
    reward = (pi * (kernel * objective(problem, np.zeros(mdp.S))).sum(axis=2)).sum(axis=1)
    return float((mdp.mu @ np.linalg.solve(np.eye(mdp.S) - mdp.gamma * step, reward)).imag / 1e-30)


def _wrong_gradient(kind):
    def gradient(problem, kernel, pi):
        mdp = problem.nominal
        resolvent = np.eye(mdp.S) - mdp.gamma * np.einsum("sa,sat->st", pi, kernel)
        visits = np.linalg.solve(resolvent if kind == "no_transpose" else resolvent.T, mdp.mu)
        visits = visits * (1 - mdp.gamma if kind == "normalised" else 1.0)
        return visits[:, None] * (kernel * objective(problem, linear_value(problem, kernel, pi))).sum(axis=2)

    return gradient


def _gradients(p, rng, gradient=policy_gradient):
    problem, left, right = _problem(p, rng), [], []
    kernel = nominal_kernel(problem)
    for _ in range(p.points):
        pi = rng.dirichlet(np.ones(p.actions), p.states)
        along, move = rng.normal(0, 1, pi.shape), rng.normal(0, 1, kernel.shape)
        left += [(gradient(problem, kernel, pi) * along).sum(), (kernel_gradient(problem, kernel, pi) * move).sum()]
        right += [_imaginary(problem, kernel, pi, along, 0 * move), _imaginary(problem, kernel, pi, 0 * along, move)]
    # Two solves of condition 2 / (1 - gamma), and sums of S A S terms.
    scale = np.abs(right).max() / (1 - problem.gamma)
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-12 * scale))


@claim(
    "Policy gradient, and gradient in the kernel",
    r"\frac{\partial J}{\partial \pi_{sa}} = \frac{d(s) q(s, a)}{1-\gamma},\quad"
    r"\frac{\partial J}{\partial p_{sas'}} = \frac{d(s) \pi_{sa} (r_{sas'} + \gamma v_{s'})}{1-\gamma}",
    relation=Identity(),
    falsifiers={
        "no_transpose": variant(
            _gradients, "Occupancy without transpose, as published.", _wrong_gradient("no_transpose")
        ),
        "normalised": variant(_gradients, "Without 1 / (1 - gamma).", _wrong_gradient("normalised")),
    },
    lemmas=("wang2023:kernel_gradient", "sutton2000:policy_gradient"),
    words="Both gradients of the objective are occupancies times what follows.",
    title="Gradients of DRPG",
)
def gradients(p: Params, rng: np.random.Generator) -> Evidence:
    """Formulas against imaginary steps along random directions."""
    return _gradients(p, rng)


def _lipschitz(p, rng, factor=lambda n, gamma: np.sqrt(n) / (1 - gamma) ** 2):
    measured, bound = [], []
    gamma = float(rng.uniform(0.3, 0.95))
    S, A = int(rng.integers(1, p.states + 1)), p.actions
    random = garnet(S, A, min(S, p.branching), gamma=gamma, rng=rng).replace(mu=rng.dirichlet(np.ones(S)))
    # Attained: reward 1 everywhere, a start that never leaves, one action.
    absorbing = MDP(np.tile(np.eye(S)[:, None], (1, A, 1)), np.ones((S, A)), gamma, mu=np.eye(S)[0])
    for mdp, pi in ((random, rng.dirichlet(np.ones(A), S)), (absorbing, np.tile(np.eye(A)[0], (S, 1)))):
        problem = RobustMDP(mdp, L1Ball(0.1))
        kernel = nominal_kernel(problem)
        measured += [np.linalg.norm(g(problem, kernel, pi)) for g in (policy_gradient, kernel_gradient)]
        # Rounding of norms of this size.
        bound += [factor(n, gamma) * (1 + 1e-12) for n in (A, S)]
    return Evidence(measured=measured, bound=bound)


@claim(
    "Lemma, Lipschitz constants",
    r"\|\nabla_\pi J\| \le \frac{\sqrt{A}}{(1-\gamma)^2},\quad \|\nabla_p J\| \le \frac{\sqrt{S}}{(1-\gamma)^2}",
    relation=Bound(),
    assumptions=("rewards in $[0, 1]$",),
    falsifiers={
        "no_root": variant(_lipschitz, "Without the root of A and S.", lambda n, gamma: 1 / (1 - gamma) ** 2),
        "one_horizon": variant(_lipschitz, "One power of the horizon.", lambda n, gamma: np.sqrt(n) / (1 - gamma)),
    },
    words="How steep the objective can be, in policy and kernel; both bounds are attained.",
    title="Lipschitz constants",
)
def lipschitz(p: Params, rng: np.random.Generator) -> Evidence:
    """Norms of gradients on a random model, and where the start never leaves and everything pays 1."""
    return _lipschitz(p, rng)


def _inner(p, rng, ratio="gaining", factor=1.0):
    measured, bound, radius = [], [], []
    sa = opposite_models(rectangularity="sa")
    cases = [(_problem(p, rng), None) for _ in range(2)] + [(_problem(p, rng, "s"), None)]
    cases.append((sa, sa.uncertainty.kernels[0]))
    for problem, kernel in cases:
        kernel = nominal_kernel(problem) if kernel is None else kernel
        mdp = problem.nominal
        for _ in range(p.points):
            pi = rng.dirichlet(np.ones(problem.A), problem.S)
            v = linear_value(problem, kernel, pi)
            best = robust_evaluation(problem, pi)
            gain = (pi * ((kernel - worst_kernel(problem, v, pi)) * objective(problem, v)).sum(axis=2)).sum(axis=1)
            before, after = (_visits(problem, one, pi) for one in (kernel, best.kernel))
            worth = gain > 1e-12 * np.abs(v).max()
            against = {"gaining": before, "start": mdp.mu, "none": after}[ratio]
            excess = (after[worth] / against[worth]).max()
            # Two solves at the condition of the discount.
            error = 1e-12 * (1 + np.abs(v).max()) / (1 - mdp.gamma)
            measured.append(mdp.mu @ (v - best.value))
            bound.append(factor * excess * (before @ gain) + 2 * error)
            radius.append(error)
    return Evidence(measured=measured, bound=bound, radius=radius)


def _visits(problem, kernel, pi):
    step = np.einsum("sa,sat->st", pi, kernel)
    return np.linalg.solve(np.eye(problem.S) - problem.gamma * step.T, problem.nominal.mu)


@claim(
    "Inner gradient domination (derived form)",
    r"J(\pi, p) - \min_{p'} J(\pi, p') \le \max_{s: g(s) > 0} \frac{d^{\pi, p^*}(s)}{d^{\pi, p}(s)}"
    r"\max_{p'} \langle p - p', \nabla_p J(\pi, p) \rangle",
    relation=Bound(),
    assumptions=("rectangular set", "$g(s)$: what nature gains in $s$ by one step at $v^{\\pi,p}$"),
    falsifiers={
        "no_ratio": variant(_inner, "Without the ratio of occupancies.", "none"),
        "one_percent_less": variant(_inner, "A hundredth less.", factor=0.99),
    },
    controls={"paper": variant(_inner, "D / (1 - gamma): the occupancy against the start.", "start")},
    lemmas=("wang2023:kernel_difference",),
    words="A kernel that no small change makes worse is the worst.",
    title="Nature's problem has no bad stationary point",
)
def inner_domination(p: Params, rng: np.random.Generator) -> Evidence:
    """Nominal kernels of random problems, both rectangularities, and two opposite models, where it is attained."""
    return _inner(p, rng)


def _run(problem, pi, steps, step, *, inner="robust", gradient=None):
    """Exact robust values mu . v of DRPG's iterates (steps + 1,); the same loop with other parts."""
    if inner == "robust" and gradient is None:
        return drpg(problem, num_iters=steps, step=step, pi0=pi, tol=1e-9, decay=1.0)["objective"]
    values, worst = [], None
    for t in range(steps + 1):
        known = robust_evaluation(problem, pi, tol=1e-9, kernel=worst)
        worst = known.kernel
        values.append(float(problem.nominal.mu @ known.value))
        kernel, size = worst if inner == "robust" else nominal_kernel(problem), step(t) if callable(step) else step
        pi = project_rows(pi + size * (gradient or policy_gradient)(problem, kernel, pi))
    return np.array(values)


def _converge(p, rng, **change):
    measured, bound, radius = [], [], []
    for rectangularity in ("sa", "s"):
        problem = _problem(p, rng, rectangularity)
        best = robust_policy_iteration(problem, tol=1e-6)
        optimum = float(problem.nominal.mu @ best.value)
        values = _run(problem, drpg_policy(p.states, p.actions, rng=rng), p.steps, p.step, **change)
        measured.append(optimum - values.max())
        bound.append(0.02 * (optimum - values[0]))
        radius.append(best.certificate.gap + 1e-8)
    return Evidence(measured=measured, bound=bound, radius=radius, instance=problem.nominal.digest())


@claim(
    "Global convergence",
    r"\min_{t \le T} \Phi(\pi_t) \to \Phi^*",
    relation=Bound(),
    assumptions=(
        r"$\rho > 0$",
        "L1 balls on the nominal support, both rectangularities",
        "here: 2 % of the gap is left",
    ),
    falsifiers={"nominal_kernel": variant(_converge, "Policy gradient against the nominal kernel.", inner="nominal")},
    controls={
        "no_transpose": variant(
            _converge,
            "The published code's occupancy: no gradient, yet it converges.",
            gradient=_wrong_gradient("no_transpose"),
        )
    },
    words="The best iterate of DRPG comes as close to the robust optimum as one asks.",
    title="DRPG is globally convergent",
)
def converges(p: Params, rng: np.random.Generator) -> Evidence:
    """The gap that the best of the profile's steps leaves, against the certified optimum, on the paper's problems."""
    return _converge(p, rng)


def _rate(p, rng, step=lambda t: 0.25):
    problem = _problem(p, rng)
    optimum = float(problem.nominal.mu @ robust_policy_iteration(problem, tol=1e-7).value)
    sizes = 2 ** np.arange(p.first, p.last + 1)
    values = _run(problem, drpg_policy(p.states, p.actions, rng=rng), int(sizes[-1]), lambda t: p.step * step(t))
    error = optimum - np.maximum.accumulate(values)[sizes]
    # A gap below the solver's tolerance is none.
    return Evidence(n=sizes.astype(float), error=np.maximum(error, 1e-7)[None], instance=problem.nominal.digest())


@claim(
    "Global convergence, rate",
    r"\min_{t \le T} \Phi(\pi_t) - \Phi^* = O(T^{-1/4})",
    relation=Rate(exponent=0.25, margin=0.05),
    assumptions=("exact inner problem", "constant step"),
    falsifiers={"summable_steps": variant(_rate, "Steps that shrink like 1 / t^2.", lambda t: 1 / (1 + t) ** 2)},
    words="The best gap falls at least like the fourth root; it falls much faster.",
    title="DRPG's rate",
)
def rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Best gap after doubling numbers of steps."""
    return _rate(p, rng)


def _opposite_run(start, steps, size):
    """Probabilities of the first action on the two opposite models, in fractions: J = 9 min(x, 1 - x).

    The gradient in (x, 1 - x) is (9, 0) or (0, 9), whose projection on the simplex is half of it.
    """
    x, path = start, []
    for t in range(steps):
        path.append(x)
        move = Fraction(9, 2) * size(t)
        x = min(Fraction(1), max(Fraction(0), x + (move if x < Fraction(1, 2) else -move)))
    return path


def _two_cycle(p, rng, size=lambda t: Fraction(1, 10)):
    path = _opposite_run(Fraction(9, 10), 60, size)
    low = min(9 * min(x, 1 - x) for x in path[-2:])
    text = f"for ever {path[-2]} and {path[-1]}, values down to {low}; the optimum is 9/2 at 1/2"
    return Evidence(holds=[path[-1] == path[-3] != path[-2] == path[-4], low == Fraction(9, 10)], text=text)


@claim(
    "Constant steps (derived)",
    r"\alpha = \tfrac{1}{10}: \pi_t(s_0) = (\tfrac{9}{10}, \tfrac{1}{10}), (\tfrac{9}{20}, \tfrac{11}{20}), \dots",
    relation=Witness(),
    assumptions=("two opposite models, $s$-rectangular hull", "optimum $9/2$ at $(1/2, 1/2)$"),
    falsifiers={
        "decreasing_steps": variant(_two_cycle, "Steps 1 / (10 (t + 1)).", lambda t: Fraction(1, 10 * (t + 1))),
        "smaller_step": variant(_two_cycle, "Step 1/100, whose cycle is nearer.", lambda t: Fraction(1, 100)),
    },
    lemmas=("wiesemann2013:saddle",),
    words="With a constant step the policies do not converge: they alternate between two, one of which is worth 9/10.",
    title="Constant steps cycle",
)
def constant_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Sixty steps in fractions; that they are the algorithm's is tested."""
    return _two_cycle(p, rng)


def _best_iterate(p, rng, constant=81 / 4, pick=np.max):
    measured, bound = [], []
    problem = opposite_models()
    for k in range(p.points):
        step = float(rng.uniform(0.01, 0.1))
        # The first start straddles the optimum evenly, which is the worst.
        x = 0.5 + 2.25 * step if k == 0 else float(rng.uniform(0.05, 0.95))
        pi = np.array([[x, 1 - x], [0.5, 0.5], [0.5, 0.5]])
        run = drpg(problem, num_iters=30, step=step, tol=0.0, pi0=pi)
        measured.append(4.5 - pick(run["objective"][-2:]))
        # Rounding of values of size 10.
        bound.append(constant * step + 1e-12)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Constant steps, best iterate (derived)",
    r"\Phi^* - \max(\Phi(\pi_{T-1}), \Phi(\pi_T)) \le \tfrac{81}{4} \alpha",
    relation=Bound(),
    assumptions=("two opposite models, $s$-rectangular hull", "$T$ large enough to reach the cycle"),
    falsifiers={
        "last_iterate": variant(_best_iterate, "The worse of the last two policies.", pick=np.min),
        "one_percent_less": variant(_best_iterate, "A hundredth less.", 0.99 * 81 / 4),
    },
    words="The better policy of the cycle is within a multiple of the step, so steps must shrink with the horizon.",
    title="What a constant step leaves",
)
def best_iterate(p: Params, rng: np.random.Generator) -> Evidence:
    """DRPG itself on the two opposite models, from random starts and the worst one."""
    return _best_iterate(p, rng)


def _tilted(family: TiltedFamily, theta, lam, pi):
    """J in complex arithmetic."""
    mdp = family.mdp
    weights = mdp.P * np.exp((family.phi @ theta) / (family.zeta @ lam)[:, :, None])
    p = weights / weights.sum(axis=2, keepdims=True)
    step = np.einsum("sa,sat->st", pi, p)
    return mdp.mu @ np.linalg.solve(np.eye(mdp.S) - mdp.gamma * step, (pi * mdp.r).sum(axis=1))


def _parametric(p, rng, signs=(1.0, 1.0)):
    family, left, right = drpg_inventory(rng=rng), [], []
    steps = 1e-30j * np.eye(2)
    for _ in range(p.points):
        theta, lam = family.theta + rng.uniform(-0.3, 0.3, 2), family.lam + rng.uniform(-0.3, 0.3, 2)
        pi = rng.dirichlet(np.ones(3), 8)
        slope = tilt_gradient(family, theta, lam, pi)
        left += [*(signs[0] * slope.theta), *(signs[1] * slope.lam)]
        right += [_tilted(family, theta + step, lam, pi).imag / 1e-30 for step in steps]
        right += [_tilted(family, theta, lam + step, pi).imag / 1e-30 for step in steps]
    # Two solves of condition 40 and exponents of size 10.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-11 * np.abs(right).max()))


@claim(
    "Parametric kernels, gradient",
    r"\frac{\partial \log p}{\partial \theta} = \frac{\phi(s') - \mathbb{E}\phi}{\lambda^\top \zeta},\quad"
    r"\frac{\partial \log p}{\partial \lambda} = \frac{\zeta (\mathbb{E}[\theta^\top\phi] - \theta^\top\phi(s'))}"
    r"{(\lambda^\top\zeta)^2}",
    relation=Identity(),
    assumptions=("inventory problem with drawn numbers in place of the authors' files",),
    falsifiers={
        "sign_of_lambda": variant(_parametric, "The derivative in lambda with the other sign.", (1.0, -1.0)),
        "sign_of_theta": variant(_parametric, "The derivative in theta with the other sign.", (-1.0, 1.0)),
    },
    words="The gradient of the objective in the shared parameters of a kernel.",
    title="Gradient in parameters",
)
def parametric(p: Params, rng: np.random.Generator) -> Evidence:
    """Formula against imaginary steps."""
    return _parametric(p, rng)


def figure_gap(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Gap of the robust value over steps on 12 problems, mean and 10-90 %: robust and nominal inner kernel."""
    steps = np.unique(np.round(np.geomspace(1, 256, 25)).astype(int))
    gaps = {"robust": [], "nominal": []}
    for one in rng.spawn(12):
        problem = _problem(p, one)
        optimum = float(problem.nominal.mu @ robust_policy_iteration(problem, tol=1e-7).value)
        start = drpg_policy(p.states, p.actions, rng=one)
        for inner, rows in gaps.items():
            rows.append(optimum - _run(problem, start, 256, p.step / 4, inner=inner)[steps])
    table = {"t": steps}
    for inner, rows in gaps.items():
        rows = np.maximum(rows, 1e-3)
        table[inner] = rows.mean(axis=0)
        table[f"{inner}_lo"], table[f"{inner}_hi"] = np.quantile(rows, [0.1, 0.9], axis=0)
    table["bound_fourth_root"] = 1.5 * table["nominal"][0] * steps**-0.25
    return table
