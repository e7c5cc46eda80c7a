r"""Zhang, Hu, Li (ICLR 2024): soft-robust MDPs are risk-sensitive MDPs; their policy gradient and offline learning.

Nature pays KL(q || P) / beta for a row, discounted like the value that follows. From memory and from the authors'
public code; the paper's text was not read. Formulas are derived here; the published optimal policies of the ring with
14 states ("Toy-10" in the code) are those that its plots hard-code, and they tell the discounted penalty from the
undiscounted one, with action gaps of .06 and more.

Derived here: the gradient domination holds with both occupancies under the frozen worst rows of pi, and is attained
where actions do not move the state; the error of the tabular estimate is at most gamma / (beta (1 - gamma)) times the
largest error of log Z at V*, attained where all rows are alike. The paper's finite-sample bound has a factor
exp(beta / (1 - gamma)); its constants could not be checked, and the rate N^(-1/2) is what is tested.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.robust.projection import project_rows
from mdplab.algorithms.robust.rfzi import Transitions, rfzi, sample_transitions, z_iteration
from mdplab.algorithms.robust.soft_robust import soft_robust_evaluation, soft_robust_gradient, tilted_rows
from mdplab.claims import Bound, Evidence, Identity, Rate, claim, variant
from mdplab.exact.robust import robust_policy_evaluation, robust_policy_iteration
from mdplab.instances import garnet
from mdplab.instances.robust_suite import toy_ring
from mdplab.models import MDP, RobustMDP, SoftKL

# Slip p, beta (0: nominal), optimal policy (0 left, 1 stay, 2 right), as the authors' plots have it.
POLICIES = (
    (0.01, 0.0, "00222222100000"),
    (0.01, 1.0, "22210000122222"),
    (0.01, 2.0, "00210000122210"),
    (0.01, 3.0, "00010000122210"),
    (0.15, 0.0, "22210000122212"),
    (0.15, 0.01, "22210000122212"),
    (0.15, 0.1, "22210000122210"),
    (0.15, 1.0, "00000000122210"),
)


@dataclass(frozen=True)
class Params:
    """Sizes: `states` at most and `actions`, `points` policies an instance, `steps` of ascent.

    Offline data have 2^first .. 2^last samples, `seeds` sets of each size.
    """

    states: int
    actions: int
    points: int
    steps: int
    first: int
    last: int
    seeds: int


def _instance(p, rng):
    """A random model with a start, and a beta for which beta V is between nearly nothing and about 50."""
    S = int(rng.integers(2, p.states + 1))
    gamma = float(rng.choice([0.5, 0.8, 0.95]))
    mdp = garnet(S, p.actions, min(3, S), gamma=gamma, rng=rng).replace(mu=rng.dirichlet(np.ones(S)))
    return mdp, float(10 ** rng.uniform(-1, 1) * 5 * (1 - gamma))


def _policy(mdp, rng):
    return rng.dirichlet(np.ones(mdp.A), size=mdp.S)


def _equivalence(p, rng, temperature=lambda gamma, beta: gamma / beta):
    mdp, beta = _instance(p, rng)
    problem = RobustMDP(mdp, SoftKL(temperature(mdp.gamma, beta)))
    left, right, tolerance = [], [], []
    for _ in range(p.points):
        pi = _policy(mdp, rng)
        judged = robust_policy_evaluation(problem, pi, tol=1e-9)
        left.append(judged.value @ mdp.mu)
        right.append(soft_robust_evaluation(mdp, pi, beta=beta).value @ mdp.mu)
        # The recursion stops at a residual of 1e-12 of the value.
        tolerance.append(judged.certificate.gap + 1e-12 * (1 + np.abs(judged.value).max()) / (1 - mdp.gamma))
    best = robust_policy_iteration(problem, tol=1e-9)
    sweeps = int(np.ceil(np.log(1e-13) / np.log(mdp.gamma)))
    left.append(best.value @ mdp.mu)
    right.append(z_iteration(mdp, beta=beta, num_iters=sweeps).q.max(axis=1) @ mdp.mu)
    tolerance.append(best.certificate.gap + 1e-11 * (1 + np.abs(best.value).max()) / (1 - mdp.gamma))
    return Evidence(left=left, right=right, tolerance=tolerance, instance=mdp.digest())


@claim(
    "Equivalence of soft-robust and risk-sensitive MDPs",
    r"\inf_{\hat P} \mathbb{E} \sum_t \gamma^t \big(r_t + \tfrac{\gamma}{\beta} D_{KL}(\hat P_t \| P)\big) = V^\pi,"
    r"\quad V^\pi(s) = \sum_a \pi(a|s) \big(r - \tfrac{\gamma}{\beta} \log \mathbb{E} e^{-\beta V^\pi(s')}\big)",
    relation=Identity(),
    assumptions=(r"$\gamma < 1$", "the entropic risk measure", "rewards $r(s, a)$"),
    falsifiers={
        "undiscounted_penalty": variant(_equivalence, "Penalty KL / beta, not discounted.", lambda g, b: 1 / b),
        "beta_is_temperature": variant(_equivalence, "Temperature gamma beta.", lambda g, b: g * b),
    },
    lemmas=("zhang2024:frozen_kernel", "iyengar2005:kl_duality"),
    words="A policy's risk-sensitive value is its value against a nature that pays for what it changes.",
    title="Soft robustness is risk aversion",
)
def equivalence(p: Params, rng: np.random.Generator) -> Evidence:
    """The robust solvers' saddle points, certified, against the risk-sensitive recursion, for policies and the best."""
    return _equivalence(p, rng)


def _directional(mdp, pi, direction, beta):
    """Derivative of mu . V along a direction by an imaginary step, which loses no digits."""
    v = soft_robust_evaluation(mdp, pi, beta=beta).value.astype(complex)
    moved = pi + 1e-30j * direction
    # From the real solution one Newton step is right to first order; the second confirms it.
    for _ in range(2):
        shift = np.where(mdp.P > 0, v.real, np.inf).min(axis=2, keepdims=True)
        weight = mdp.P * np.exp(-beta * np.where(mdp.P > 0, v - shift, 0.0))
        total = weight.sum(axis=2)
        rows = weight / total[:, :, None]
        price = shift[:, :, 0] - np.log(total) / beta - rows @ v
        step = np.einsum("sa,sat->st", moved, rows)
        v = np.linalg.solve(np.eye(mdp.S) - mdp.gamma * step, (moved * (mdp.r + mdp.gamma * price)).sum(axis=1))
    return float((mdp.mu @ v).imag / 1e-30)


def _worst_occupancy(mdp, pi, beta):
    return soft_robust_gradient(mdp, pi, beta=beta)[0]


def _other_occupancy(kind):
    def gradient(mdp, pi, beta):
        known = soft_robust_evaluation(mdp, pi, beta=beta)
        rows = mdp.P if kind == "nominal" else known.kernel
        resolvent = np.eye(mdp.S) - mdp.gamma * np.einsum("sa,sat->st", pi, rows)
        occupancy = np.linalg.solve(resolvent if kind == "no_transpose" else resolvent.T, mdp.mu)
        return (1 - mdp.gamma if kind == "normalised" else 1.0) * occupancy[:, None] * known.q

    return gradient


def _gradient(p, rng, gradient=_worst_occupancy):
    mdp, beta = _instance(p, rng)
    left, right, tolerance = [], [], []
    for _ in range(p.points):
        pi, direction = _policy(mdp, rng), rng.standard_normal((mdp.S, mdp.A))
        direction -= direction.mean(axis=1, keepdims=True)
        G = gradient(mdp, pi, beta)
        left.append((G * direction).sum())
        right.append(_directional(mdp, pi, direction, beta))
        # A residual of 1e-12 in V moves rows by beta times its error, and the occupancy by that over 1 - gamma.
        condition = (1 + beta * np.abs(mdp.r).max() / (1 - mdp.gamma)) / (1 - mdp.gamma) ** 2
        tolerance.append(1e-11 * condition * np.abs(G * direction).sum())
    return Evidence(left=left, right=right, tolerance=tolerance, instance=mdp.digest())


@claim(
    "Policy gradient theorem",
    r"\partial V^\pi(\mu) / \partial \pi(a|s) = \tfrac{1}{1-\gamma} d_\mu^{\pi, \hat P^\pi}(s)\, Q^\pi(s, a),"
    r"\quad \hat P^\pi \propto P e^{-\beta V^\pi}",
    relation=Identity(),
    assumptions=("directions within the simplex", "normalised occupancy $d$"),
    falsifiers={
        "nominal_occupancy": variant(_gradient, "Occupancy of the nominal rows.", _other_occupancy("nominal")),
        "no_transpose": variant(_gradient, "The resolvent without transpose.", _other_occupancy("no_transpose")),
        "normalised": variant(_gradient, "Without 1 / (1 - gamma).", _other_occupancy("normalised")),
    },
    lemmas=("zhang2024:gradient_kernel",),
    words="The gradient is that of an ordinary MDP with nature's worst rows frozen.",
    title="Policy gradient under the worst kernel",
)
def gradient(p: Params, rng: np.random.Generator) -> Evidence:
    """Formula against an imaginary step along random tangent directions."""
    return _gradient(p, rng)


def _contextual(p, rng):
    """A model whose actions do not move the state: next states are drawn from one law for all."""
    S, gamma = int(rng.integers(1, p.states + 1)), float(rng.uniform(0.3, 0.95))
    law = rng.dirichlet(np.ones(S))
    P = np.tile(law, (S, p.actions, 1))
    return MDP(P, rng.random((S, p.actions)), gamma, mu=rng.dirichlet(np.ones(S))), 1.0


def _frozen(mdp, policy, known):
    """Unnormalised occupancy of a policy under the worst rows of another."""
    step = np.einsum("sa,sat->st", policy, known.kernel)
    return np.linalg.solve(np.eye(mdp.S) - mdp.gamma * step.T, mdp.mu)


def _domination(p, rng, mismatch=True, factor=lambda gamma: 1.0):
    measured, bound, radius = [], [], []
    for mdp, beta in (_instance(p, rng), _contextual(p, rng)):
        best = robust_policy_iteration(RobustMDP(mdp, SoftKL(mdp.gamma / beta)), tol=1e-9)
        star = np.eye(mdp.A)[best.policy]
        for _ in range(p.points):
            pi = _policy(mdp, rng)
            G, known = soft_robust_gradient(mdp, pi, beta=beta)
            ratio = np.max(_frozen(mdp, star, known) / _frozen(mdp, pi, known)) if mismatch else 1.0
            gap = best.value @ mdp.mu - known.value @ mdp.mu
            error = best.certificate.gap + 1e-11 * (1 + np.abs(known.value).max()) / (1 - mdp.gamma)
            measured.append(gap)
            radius.append(error)
            bound.append(factor(mdp.gamma) * ratio * (G.max(axis=1) - (pi * G).sum(axis=1)).sum() + 2 * error)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Gradient domination (derived form)",
    r"V^*(\mu) - V^\pi(\mu) \le \Big\| \frac{d_\mu^{\pi^*, \hat P^\pi}}{d_\mu^{\pi, \hat P^\pi}} \Big\|_\infty"
    r"\max_{\bar\pi} \langle \bar\pi - \pi, \nabla V^\pi(\mu) \rangle",
    relation=Bound(),
    assumptions=(r"both occupancies under the frozen worst rows $\hat P^\pi$ of $\pi$",),
    falsifiers={
        "no_mismatch": variant(_domination, "Without the ratio of occupancies.", mismatch=False),
        "normalised_gradient": variant(
            _domination, "The gradient without 1 / (1 - gamma).", factor=lambda gamma: 1 - gamma
        ),
    },
    words="A policy that no small change improves is optimal: the gap is at most the best direction's slope.",
    title="Gradient domination",
)
def domination(p: Params, rng: np.random.Generator) -> Evidence:
    """Random models, and ones where actions do not move the state, on which the bound is attained."""
    return _domination(p, rng)


def _ascend(p, rng, nominal=False):
    mdp = garnet(4, p.actions, 3, gamma=0.8, rng=rng).replace(mu=np.full(4, 0.25))
    beta = 4.0
    best = float(robust_policy_iteration(RobustMDP(mdp, SoftKL(mdp.gamma / beta)), tol=1e-9).value @ mdp.mu)
    # The nominal objective is the soft one at a beta that hardly sees risk.
    seen = 1e-6 if nominal else beta
    pi = np.full((4, p.actions), 1 / p.actions)
    first = best - float(soft_robust_evaluation(mdp, pi, beta=beta).value @ mdp.mu)
    for _ in range(p.steps):
        pi = project_rows(pi + soft_robust_gradient(mdp, pi, beta=seen)[0])
    gap = best - float(soft_robust_evaluation(mdp, pi, beta=beta).value @ mdp.mu)
    return Evidence(measured=[gap], bound=[0.01 * first], radius=[2e-9], instance=mdp.digest())


@claim(
    "Global convergence of projected gradient ascent",
    r"\pi_{t+1} = \mathrm{Proj}(\pi_t + \eta \nabla V^{\pi_t}(\mu)) \;\Rightarrow\; V^{\pi_t}(\mu) \to V^*(\mu)",
    relation=Bound(),
    assumptions=(r"$\mu > 0$", r"here: 1 % of the initial gap is left, step $\eta = 1$"),
    falsifiers={"nominal_gradient": variant(_ascend, "Ascent of the nominal objective.", nominal=True)},
    words="Projected gradient ascent from the uniform policy reaches the soft-robust optimum.",
    title="Ascent reaches the optimum",
)
def ascent(p: Params, rng: np.random.Generator) -> Evidence:
    """The gap that is left after the profile's steps, against the certified optimum."""
    return _ascend(p, rng)


def _alike(p, rng):
    """A model and data in which all rows are alike: the error of the estimate is the same everywhere."""
    mdp, beta = _contextual(p, rng)
    counts = rng.multinomial(40, mdp.P[0, 0])
    return mdp, beta, Transitions(np.tile(counts, (mdp.S, mdp.A, 1)))


def _estimate(p, rng, horizon=lambda gamma: 1 / (1 - gamma), undiscounted=False):
    measured, bound, radius = [], [], []
    mdp, beta = _instance(p, rng)
    # Every pair is seen, or the estimate says nothing.
    counts = np.stack([[rng.multinomial(30, row / row.sum()) for row in rows] for rows in mdp.P])
    for model, b, data in ((mdp, beta, Transitions(counts)), _alike(p, rng)):
        sweeps = int(np.ceil(np.log(1e-14) / np.log(model.gamma)))
        true = z_iteration(model, beta=b, num_iters=sweeps).q
        estimate = rfzi(model, data, beta=model.gamma * b if undiscounted else b, num_iters=sweeps).q
        v = true.max(axis=1)
        # -log Z / beta at V*, under the data and under the model.
        error = np.abs(tilted_rows(data.rows, v, b)[1] - tilted_rows(model.P, v, b)[1]).max()
        allowance = 1e-11 * (1 + np.abs(true).max()) / (1 - model.gamma)
        measured.append(np.abs(estimate - true).max())
        bound.append(model.gamma * horizon(model.gamma) * error + 2 * allowance)
        radius.append(allowance)
    return Evidence(measured=measured, bound=bound, radius=radius, instance=mdp.digest())


@claim(
    "RFZI, error of the estimate (derived)",
    r"\|\hat Q - Q^*\|_\infty \le \frac{\gamma}{\beta(1-\gamma)} \max_{s,a}"
    r"\big| \log \hat{\mathbb{E}} e^{-\beta V^*} - \log \mathbb{E} e^{-\beta V^*} \big|",
    relation=Bound(),
    assumptions=("tabular class", "every pair is in the data"),
    falsifiers={
        "no_horizon": variant(_estimate, "Without 1 / (1 - gamma).", lambda gamma: 1.0),
        "undiscounted_penalty": variant(
            _estimate, "exp(-beta gamma V), as the published code has it.", undiscounted=True
        ),
    },
    words="The estimated Q is off by at most the horizon times the largest error of the rows' certainty equivalents.",
    title="Error of fitted Z-iteration",
)
def estimation_error(p: Params, rng: np.random.Generator) -> Evidence:
    """A random model with 30 samples a pair, and one whose rows are all alike, where the bound is attained."""
    return _estimate(p, rng)


def _rate(p, rng, samples=lambda n: n, undiscounted=False, exact=False):
    mdp = garnet(4, 2, 3, gamma=0.7, rng=rng)
    beta, sweeps = 1.0, 45
    true = z_iteration(mdp, beta=beta, num_iters=sweeps).q
    sizes = 2 ** np.arange(p.first, p.last + 1)
    error = np.empty((p.seeds, sizes.size))
    for i, k in np.ndindex(error.shape):
        data = sample_transitions(mdp, int(samples(sizes[k])), rng=rng)
        if exact:
            found = z_iteration(mdp, beta=beta, num_iters=sweeps - 5)
        else:
            found = rfzi(mdp, data, beta=mdp.gamma * beta if undiscounted else beta, num_iters=sweeps)
        error[i, k] = np.abs(found.q - true).max()
    return Evidence(n=sizes.astype(float), error=error, instance=mdp.digest())


@claim(
    "RFZI, sample complexity",
    r"\|\hat Q_N - Q^*\|_\infty = O(N^{-1/2})",
    relation=Rate(exponent=0.5, margin=0.05),
    assumptions=("tabular class", "pairs drawn uniformly"),
    falsifiers={
        "n_to_two_thirds": variant(_rate, "Only N^(2/3) of the samples are used.", lambda n: n ** (2 / 3)),
        "undiscounted_penalty": variant(_rate, "exp(-beta gamma V), as the published code has it.", undiscounted=True),
    },
    zero_error=variant(_rate, "Z-iteration with the model's own rows.", exact=True),
    words="Offline, from uniformly drawn pairs, the error of fitted Z-iteration falls like N^(-1/2).",
    title="RFZI learns at the square-root rate",
)
def sample_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Largest error of Q over data sets of doubling size, on a random model with 8 pairs."""
    return _rate(p, rng)


def _ring_policies(p, rng, undiscounted=False):
    left, right = [], []
    for slip, beta, published in POLICIES:
        mdp = toy_ring(slip)
        seen = mdp.gamma * beta if undiscounted else beta
        q = z_iteration(mdp, beta=seen if beta else 1e-7, num_iters=600).q
        left.append(q.argmax(axis=1))
        right.append([int(digit) for digit in published])
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.zeros((len(POLICIES), 14)))


@claim(
    "Experiment on the ring, optimal policies",
    r"\arg\max_a Q^*_\beta(s, a) = \text{the published action}",
    relation=Identity(),
    assumptions=("ring of 14 states from the authors' code", "policies hard-coded in the authors' plots"),
    falsifiers={"undiscounted_penalty": variant(_ring_policies, "exp(-beta gamma V).", undiscounted=True)},
    words="The optimal policies at all published risk aversions are those of the discounted penalty.",
    title="The published policies are reproduced",
)
def ring_policies(p: Params, rng: np.random.Generator) -> Evidence:
    """All eight published policies; nominal ones at beta = 1e-7, far below any action gap."""
    return _ring_policies(p, rng)


def figure_slip_sweep(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Mean value of the policies that are optimal at slip .01 for each beta, at other slips."""
    slips = np.linspace(0, 0.3, 61)
    table = {"slip": slips}
    for _, beta, policy in POLICIES[:4]:
        actions, values = [int(digit) for digit in policy], []
        for other in slips:
            mdp = toy_ring(other)
            resolvent = np.eye(14) - mdp.gamma * mdp.P[np.arange(14), actions]
            values.append(np.linalg.solve(resolvent, mdp.r[:, 0]).mean())
        table["nominal" if beta == 0 else f"beta_{beta:g}"] = np.array(values)
    return table


def figure_policies(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Optimal action (0 left, 1 stay, 2 right) of each state of the ring at slip .01, over beta up to 4."""
    mdp, betas = toy_ring(0.01), np.geomspace(0.05, 4, 27)
    best = [z_iteration(mdp, beta=float(beta), num_iters=600).policy for beta in betas]
    return {"state": np.tile(np.arange(14), betas.size), "beta": np.repeat(betas, 14), "action": np.ravel(best)}


def draw_policies(ax, table: dict[str, np.ndarray]) -> None:
    """A tile for each state and beta; arrows name the actions."""
    from matplotlib.colors import ListedColormap

    betas = np.unique(table["beta"])
    grid = table["action"].reshape(betas.size, 14)
    colours = ListedColormap(["#0072B2", "#F0E442", "#D55E00"])
    mesh = ax.pcolormesh(
        np.arange(14),
        betas,
        grid,
        cmap=colours,
        vmin=-0.5,
        vmax=2.5,
        shading="nearest",
        edgecolors="white",
        linewidth=0.4,
    )
    bar = ax.figure.colorbar(mesh, ax=ax, ticks=[0, 1, 2])
    bar.ax.set_yticklabels(["left", "stay", "right"])
    ax.set_yscale("log")
    ax.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
    ax.set_xticks(np.arange(14), [f"{s}\n{r:g}" for s, r in enumerate(toy_ring().r[:, 0])])
    ax.grid(visible=False)
