r"""Dabney, Rowland, Bellemare, Munos (AAAI 2018): laws by their quantiles, and why to learn them by regression.

From memory and the abstract; the paper's text was not read, numbers of its statements are recalled. Its setting: m
atoms of mass 1/m in each state, and Pi_m, which takes the quantiles at the midpoints tau_i = (2 i - 1) / (2 m): the
nearest such law in the Wasserstein distance w_1. Pi_m T contracts by gamma in the largest w_inf over states. The
distance w_1 itself cannot be learned from samples, its sampled gradients being biased; quantile regression can.

Derived here: the projection is off by (b - a) / (2 m) at most, the fixed point by (Vmax - Vmin) / (2 m (1 - gamma));
both constants are attained, the second as gamma falls to 0. That Pi_m T contracts by gamma in w_1 as well is false
(the paper warns of it, recalled): its modulus there is m gamma, which is attained. That quantiles keep the mean is
false, too. The order 1 / m of the error. For quantile TD the paper has no convergence theorem; that it converges was
proved by Rowland et al. (2023, arXiv:2301.04462; recalled), and the order of the root of the step is derived.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np

from mdplab.algorithms.distributional import quantile_td, robbins_monro
from mdplab.claims import Bound, Evidence, Identity, Rate, claim, variant
from mdplab.exact.distributional import categorical_evaluation, quantile_evaluation, return_laws
from mdplab.models import MDP, FiniteLaw, Outcomes, project_quantile, wasserstein

_TOL = 1e-10


@dataclass(frozen=True)
class Params:
    """Sizes: `states`, `atoms` m, `problems` a replicate, `pairs` of laws; updates 2^`first` to 2^`last`, `seeds`."""

    states: int
    atoms: int
    problems: int
    pairs: int
    first: int
    last: int
    seeds: int


def _law(rng: np.random.Generator, n: int) -> FiniteLaw:
    """n random atoms with random masses."""
    return FiniteLaw.of(rng.uniform(-1, 1, n), rng.dirichlet(np.ones(n)))


def _even(theta: np.ndarray) -> FiniteLaw:
    """Masses 1/m on atoms theta (m,)."""
    return FiniteLaw.of(theta, np.full(len(theta), 1 / len(theta)), merge=0.0)


def _quantiles(law: FiniteLaw, m: int, shift: float = 0.0) -> np.ndarray:
    """Quantiles at (2 i - 1 + 2 shift) / (2 m), i = 1, ..., m."""
    if shift == 0:
        return project_quantile(law.x, law.p, m)
    return np.array([law.quantile((i + 0.5 + shift) / m) for i in range(m)])


def _slices(law: FiniteLaw, m: int) -> np.ndarray:
    """Means of the m equal slices of the mass."""
    ends, levels = np.arange(m + 1) / m, np.append(0.0, np.cumsum(law.p))
    part = np.clip(np.minimum(levels[1:], ends[1:, None]) - np.maximum(levels[:-1], ends[:-1, None]), 0, None)
    return m * part @ law.x


def _projection(p: Params, rng: np.random.Generator, shift: float = 0.0, constant: float = 0.5) -> Evidence:
    measured, bound = [], []
    # The first level falls on the cumulative mass of the lower atom.
    laws = [(FiniteLaw([0.0, 1.0], [0.5 / m, 1 - 0.5 / m]), m) for m in (1, 4)]
    laws += [(_law(rng, int(rng.integers(2, 30))), int(rng.integers(1, 12))) for _ in range(p.pairs)]
    for law, m in laws:
        measured.append(wasserstein(law, _even(_quantiles(law, m, shift))))
        # Rounding of cumulative masses.
        bound.append(constant * (law.x[-1] - law.x[0]) / m + 1e-12)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Lemma 2 (recalled), error derived",
    r"w_1(\Pi_m \nu, \nu) \le \frac{b - a}{2 m} \quad \text{for } \nu \text{ on } [a, b]",
    relation=Bound(),
    falsifiers={
        "end_levels": variant(_projection, "Quantiles at i / m in place of the midpoints.", shift=0.5),
        "quarter": variant(_projection, "A quarter in place of a half.", constant=0.25),
    },
    lemmas=("dabney2018:projection_error",),
    words="m quantiles at midpoints are within a 2m-th of the range of any law.",
    title="Error of the projection",
)
def projection_error(p: Params, rng: np.random.Generator) -> Evidence:
    """Random laws, and two of two atoms that attain the bound."""
    return _projection(p, rng)


def _nearest(p: Params, rng: np.random.Generator, choose=_quantiles) -> Evidence:
    left, right = [], []
    for _ in range(p.pairs):
        law, m = _law(rng, 5), int(rng.integers(1, 4))
        left.append(wasserstein(law, _even(choose(law, m))))
        # The objective is piecewise linear in each atom, with kinks at the law's own.
        right.append(min(wasserstein(law, _even(np.array(x))) for x in combinations_with_replacement(law.x, m)))
    # Rounding of sums of a few masses.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-12))


@claim(
    "Lemma 2 (recalled)",
    r"w_1(\Pi_m \nu, \nu) = \min_{x_1, \dots, x_m} w_1\Big(\frac1m \sum_i \delta_{x_i}, \nu\Big)",
    relation=Identity(),
    falsifiers={
        "end_levels": variant(_nearest, "Quantiles at i / m.", lambda law, m: _quantiles(law, m, 0.5)),
        "slice_means": variant(_nearest, "Means of the m slices: nearest in w_2.", _slices),
    },
    lemmas=("dabney2018:midpoints_are_nearest",),
    words="Of all laws of m equal atoms the midpoint quantiles are nearest in w_1.",
    title="Midpoints are nearest",
)
def midpoints_nearest(p: Params, rng: np.random.Generator) -> Evidence:
    """Random laws of five atoms against all choices of up to three of their atoms."""
    return _nearest(p, rng)


def _backup(mdp: MDP, theta: np.ndarray, project: bool = True) -> list[FiniteLaw]:
    """Pi_m T theta, or T theta, from atoms (S, m)."""
    outcomes, m, out = Outcomes.of(mdp), theta.shape[1], []
    for s in range(mdp.S):
        to, r, q = outcomes.row(s, 0)
        law = FiniteLaw.of((r[:, None] + mdp.gamma * theta[to]).ravel(), np.repeat(q / m, m), merge=0.0)
        out.append(_even(project_quantile(law.x, law.p, m)) if project else law)
    return out


def _spreading(m: int, gamma: float) -> tuple[MDP, np.ndarray, np.ndarray]:
    """State 0 goes to m others evenly; atom i of state i moves by 1, and becomes a quantile of state 0.

    The mixture has m^2 atoms in m blocks; the midpoint levels pick the one in the middle of each block (or just below).
    """
    P = np.zeros((m + 1, 1, m + 1))
    P[0, 0, 1:] = 1 / m
    P[1:, 0] = np.eye(m + 1)[1:]
    theta = np.zeros((m + 1, m))
    for block in range(m):
        # In block b state b + 1 has the middle atom, the others are around it, far apart.
        offsets = np.delete(np.arange(m), (m - 1) // 2) - (m - 1) // 2
        theta[1 + block, block] = 100.0 * m * block
        theta[np.delete(np.arange(1, m + 1), block), block] = 100.0 * m * block + 10.0 * offsets
    moved = theta.copy()
    moved[np.arange(1, m + 1), np.arange(m)] += 1
    return MDP(P, np.zeros((m + 1, 1)), gamma), theta, moved


def _random_pair(p: Params, rng: np.random.Generator, k: int) -> tuple[MDP, np.ndarray, np.ndarray]:
    """A random model, and random atoms; every other time all of them shifted, or one of each state moved."""
    S, m = p.states, p.atoms
    mdp = MDP(rng.dirichlet(np.ones(S), (S, 1)), rng.uniform(-1, 1, (S, 1, S)), (0.5, 0.9)[k % 2])
    theta, other = (np.sort(rng.normal(size=(S, m)), axis=1) for _ in range(2))
    if k % 3 == 1:
        other = theta + 1
    elif k % 3 == 2:
        other = theta.copy()
        other[:, -1] += 1
    return mdp, theta, other


def _contraction(
    p: Params, rng: np.random.Generator, order: float = np.inf, factor=lambda gamma, m: gamma, project: bool = True
) -> Evidence:
    measured, bound = [], []
    cases = [_spreading(m, gamma) for m, gamma in product((2, 3, 5), (0.5, 0.9))]
    cases += [_random_pair(p, rng, k) for k in range(p.pairs)]
    for mdp, theta, other in cases:
        images = [_backup(mdp, x, project) for x in (theta, other)]
        before = max(wasserstein(_even(x), _even(y), order) for x, y in zip(theta, other, strict=True))
        measured.append(max(wasserstein(x, y, order) for x, y in zip(*images, strict=True)))
        # Rounding of atoms of size 2500, and of cumulative masses.
        bound.append(factor(mdp.gamma, theta.shape[1]) * before + 1e-10)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Proposition 2 (recalled)",
    r"\bar w_\infty(\Pi_m T^\pi \eta, \Pi_m T^\pi \nu) \le \gamma\, \bar w_\infty(\eta, \nu)",
    relation=Bound(),
    falsifiers={
        "squared": variant(_contraction, "Modulus gamma squared.", factor=lambda gamma, m: gamma**2),
        "in_w1": variant(_contraction, "The same in w_1.", order=1),
    },
    lemmas=("dabney2018:w_inf_contraction",),
    words="Projected onto quantiles, the operator of a policy contracts by the discount in the largest displacement.",
    title="Contraction in w_inf",
)
def contraction(p: Params, rng: np.random.Generator) -> Evidence:
    """Random tables of atoms, shifts, which attain the modulus, and laws of which one atom moves."""
    return _contraction(p, rng)


@claim(
    "Contraction in w_1, as one would wish (the paper warns: recalled)",
    r"\bar w_1(\Pi_m T^\pi \eta, \Pi_m T^\pi \nu) \le \gamma\, \bar w_1(\eta, \nu)",
    relation=Bound(),
    falsifiers={
        "expanding": variant(_contraction, "Modulus 2 gamma.", order=1, factor=lambda gamma, m: 2 * gamma),
        "a_little_less": variant(_contraction, "0.99 m gamma.", order=1, factor=lambda gamma, m: 0.99 * m * gamma),
    },
    controls={
        "m_times": variant(
            _contraction, "Modulus m gamma, derived and attained.", order=1, factor=lambda gamma, m: m * gamma
        ),
        "unprojected": variant(_contraction, "T without the projection.", order=1, project=False),
    },
    lemmas=("dabney2018:no_w1_contraction", "bellemare2017:wasserstein_any_laws"),
    words="The projected operator would contract by the discount in w_1, where the projection is nearest.",
    title="No contraction in w_1",
)
def contraction_w1(p: Params, rng: np.random.Generator) -> Evidence:
    """One atom moves in each of m successors, and just these are the quantiles of their mixture; and random tables."""
    return _contraction(p, rng, order=1)


def _model(p: Params, rng: np.random.Generator, gamma: float) -> MDP:
    """Random transitions, rewards by next state in [-1, 1]."""
    S = p.states
    return MDP(rng.dirichlet(np.ones(S), (S, 1)), rng.uniform(-1, 1, (S, 1, S)), gamma)


def _hope(gamma: float) -> tuple[MDP, tuple[FiniteLaw, ...]]:
    """State 0 pays 1 - gamma and goes on with probability just above 1/2, else all is lost: returns are in [0, 1].

    State 1 has the return 0, state 2 the return 1. The median always hopes: 1, where the mean is about
    (1 - gamma) / (2 - gamma).
    """
    stay, depth = 0.5 + 1e-9, 200
    P, r = np.zeros((3, 1, 3)), np.zeros((3, 1, 3))
    P[0, 0, :2], P[1, 0, 1], P[2, 0, 2] = [stay, 1 - stay], 1, 1
    r[0, 0, 0], r[2, 0, 2] = 1 - gamma, 1 - gamma
    k = np.arange(depth)
    law = FiniteLaw.of(1 - gamma**k, np.append((1 - stay) * stay ** k[:-1], stay ** k[-1]), merge=0.0)
    return MDP(P, r, gamma), (law, FiniteLaw([0.0], [1.0]), FiniteLaw([1.0], [1.0]))


def _worst(mdp: MDP, truth: tuple[FiniteLaw, ...], m: int) -> float:
    """Largest w_1 of the fixed point of m quantiles to the truth."""
    found = quantile_evaluation(mdp, [0] * mdp.S, m, tol=_TOL).extras["laws"]
    return max(map(wasserstein, found, truth))


def _fixed_point(p: Params, rng: np.random.Generator, constant: float = 0.5, horizon: bool = True) -> Evidence:
    measured, bound, radius = [], [], []

    def look(mdp: MDP, truth: tuple[FiniteLaw, ...], m: int, error: float) -> None:
        low, high = min(law.x[0] for law in truth), max(law.x[-1] for law in truth)
        measured.append(_worst(mdp, truth, m))
        # The truth's own atoms may lie inside the range by its error.
        bound.append(constant * (high - low + 2 * error) / (m * (1 - mdp.gamma if horizon else 1.0)))
        radius.append(error + _TOL)

    for gamma in (0.02, 0.5, 0.8):
        # Atoms of less than 2^-200 are dropped.
        look(*_hope(gamma), 1, 1e-12)
    for k in range(p.problems):
        mdp = _model(p, rng, (0.5, 0.8)[k % 2])
        answer = return_laws(mdp, [0] * p.states, tol=2e-3)
        for m in (1, p.atoms, 4 * p.atoms):
            look(mdp, answer.extras["laws"], m, answer.certificate.gap)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Fixed point (derived)",
    r"\bar w_1(\hat\eta, \eta^\pi) \le \frac{V_{\max} - V_{\min}}{2 m (1 - \gamma)}",
    relation=Bound(),
    assumptions=(r"all returns in $[V_{\min}, V_{\max}]$",),
    falsifiers={
        "quarter": variant(_fixed_point, "A quarter in place of a half.", constant=0.25),
        "no_horizon": variant(_fixed_point, "Without 1 / (1 - gamma).", horizon=False),
    },
    lemmas=("dabney2018:fixed_point", "dabney2018:projection_error"),
    words="The fixed point of m quantiles is off by a 2m-th of the range of returns times the horizon at most.",
    title="Error of the fixed point",
)
def fixed_point_error(p: Params, rng: np.random.Generator) -> Evidence:
    """A gamble whose median hopes for ever, which all but attains the bound, and random problems."""
    return _fixed_point(p, rng)


_SIZES = 2 ** np.arange(2, 8)


def _order(p: Params, rng: np.random.Generator, atoms=lambda n: n, gamma: float = 0.5, exact: bool = False) -> Evidence:
    mdp = _model(p, rng, 0.5)
    truth = return_laws(mdp, [0] * p.states, tol=2e-4).extras["laws"]
    if exact:
        error = np.full(_SIZES.size, max(map(wasserstein, truth, truth)))
    else:
        error = np.array([_worst(mdp.replace(gamma=gamma), truth, int(atoms(n))) for n in _SIZES])
    return Evidence(n=_SIZES.astype(float), error=error[None])


@claim(
    "Fixed point, order in m (derived)",
    r"\bar w_1(\hat\eta_m, \eta^\pi) = O(1/m)",
    relation=Rate(exponent=1.0, margin=0.15),
    falsifiers={
        "capped": variant(_order, "Never more than 16 atoms.", lambda n: min(n, 16)),
        "other_discount": variant(_order, "Laws at the discount 0.48 for 0.5.", gamma=0.48),
    },
    zero_error=variant(_order, "The true laws themselves.", exact=True),
    lemmas=("dabney2018:fixed_point",),
    words="The error of quantile dynamic programming falls like one over the number of quantiles.",
    title="Order in the number of quantiles",
)
def order(p: Params, rng: np.random.Generator) -> Evidence:
    """Random problems, laws certified to 2e-4."""
    return _order(p, rng)


def _mean(p: Params, rng: np.random.Generator, by: str = "quantile", m: int | None = None) -> Evidence:
    left, right = [], []
    # The gamble of a win with probability 2/5: its median is 0, its mean 2/5.
    P = [[[0, 0.6, 0.4]], [[0, 1, 0]], [[0, 0, 1]]]
    r = np.zeros((3, 1, 3))
    r[0, 0, 2] = 1
    models = [(MDP(P, r, 0.5), 1)] + [(_model(p, rng, 0.5), p.atoms if m is None else m) for _ in range(p.problems)]
    for mdp, atoms in models:
        if by == "quantile":
            left.append(quantile_evaluation(mdp, [0] * mdp.S, atoms, tol=_TOL).value)
        else:
            left.append(categorical_evaluation(mdp, [0] * mdp.S, np.linspace(-2, 2, p.atoms), tol=_TOL).value)
        reward = (mdp.P[:, 0] * mdp.r_next[:, 0]).sum(axis=1)
        right.append(np.linalg.solve(np.eye(mdp.S) - mdp.gamma * mdp.P[:, 0], reward))
    left, right = np.concatenate(left), np.concatenate(right)
    return Evidence(left=left, right=right, tolerance=np.full(left.size, 2 * _TOL))


@claim(
    "Mean of the fixed point, as one would wish",
    r"\frac1m \sum_i \hat\theta_i(s) = V^\pi(s)",
    relation=Identity(),
    falsifiers={
        "medians": variant(_mean, "A single quantile.", m=1),
        "many": variant(_mean, "200 quantiles: near is not equal.", m=200),
    },
    controls={"categorical": variant(_mean, "As many atoms on a grid, which keep the mean.", "categorical")},
    lemmas=("dabney2018:mean_is_not_kept", "rowland2018:projection_is_orthogonal"),
    words="Quantiles would keep the value function, as laws on a grid do.",
    title="Quantiles do not keep the mean",
)
def mean_kept(p: Params, rng: np.random.Generator) -> Evidence:
    """A gamble whose median is 0 and whose mean is 2/5, and random problems."""
    return _mean(p, rng)


def _order_statistics(law: FiniteLaw, n: int) -> np.ndarray:
    """Medians of the order statistics of n draws, (n,): the minimiser of the mean w_1 to an empirical law of n."""
    from scipy.stats import binom

    below = np.minimum(np.cumsum(law.p), 1.0)
    # The i-th smallest is at most x if at least i draws are.
    reached = [1 - binom.cdf(i, n, below) for i in range(n)]
    return np.array([law.x[np.argmax(row >= 0.5)] for row in reached])


def _descended(law: FiniteLaw, m: int, loss: str) -> np.ndarray:
    """Minimiser of the mean of a sampled loss over atoms (m,), found over all atoms of the law."""
    levels = (2 * np.arange(m) + 1) / (2 * m)
    if loss == "batch":
        return _order_statistics(law, m)
    gap = law.x[None] - law.x[:, None]
    if loss == "single":
        # w_1 of one draw to m atoms is their mean distance from it: alike for all of them.
        return np.full(m, law.x[np.argmin(np.abs(gap) @ law.p)])
    quantile_loss = (gap * (levels[:, None, None] - (gap < 0))) @ law.p
    return law.x[quantile_loss.argmin(axis=1)]


def _sampled(p: Params, rng: np.random.Generator, loss: str = "single") -> Evidence:
    left, right = [], []
    laws = [FiniteLaw([0.0, 1.0], [2 / 3, 1 / 3])] + [_law(rng, 7) for _ in range(p.pairs)]
    for law in laws:
        for m in (2, 5):
            left.append(wasserstein(law, _even(_descended(law, m, loss))))
            right.append(wasserstein(law, _even(project_quantile(law.x, law.p, m))))
    # Rounding of sums of a few masses.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-12))


@claim(
    "Sampled Wasserstein gradients, as one would wish (Bellemare et al. 2017; recalled, the paper's motivation)",
    r"\arg\min_\theta E\, w_1\Big(\frac1n \sum_k \delta_{X_k}, \nu_\theta\Big) \text{ is as near in } w_1 \text{ as }"
    r"\arg\min_\theta w_1(\nu, \nu_\theta)",
    relation=Identity(),
    falsifiers={"batch": variant(_sampled, "Batches of m draws in place of one.", "batch")},
    controls={"quantile_regression": variant(_sampled, "The quantile loss, from single draws.", "quantile")},
    lemmas=("dabney2018:sampled_loss_is_biased", "dabney2018:quantile_loss"),
    words="Descending the Wasserstein distance to samples would lead to the nearest law.",
    title="Sampled Wasserstein gradients are biased",
)
def sampled_wasserstein(p: Params, rng: np.random.Generator) -> Evidence:
    """Minimisers of the mean loss of one draw, in closed form, on two atoms and on random laws."""
    return _sampled(p, rng)


def _atoms(mdp: MDP, m: int, tol: float = _TOL) -> np.ndarray:
    """Atoms (S, m) of the library's fixed point."""
    laws = quantile_evaluation(mdp, [0] * mdp.S, m, tol=tol).extras["laws"]
    return np.stack([np.repeat(law.x, np.rint(law.p * m).astype(int)) for law in laws])


def _learned(
    p: Params,
    rng: np.random.Generator,
    steps: str = "power",
    levels: np.ndarray | None = None,
    at_rest: bool = False,
    exact: bool = False,
) -> Evidence:
    m, mdp = 4, _model(p, rng, 0.5)
    theta = np.zeros((p.states, m))
    for _ in range(60):
        theta = np.array([np.repeat(law.x, np.rint(law.p * m).astype(int)) for law in _backup(mdp, theta)])
    sizes = 2 ** np.arange(p.first, p.last + 1)
    plan = robbins_monro(int(sizes[-1]), scale=4.0, power=0.8)
    if exact:
        found = np.broadcast_to(_atoms(mdp, m), (p.seeds, sizes.size, p.states, m))
    else:
        found = quantile_td(
            mdp,
            [0] * p.states,
            m,
            steps=np.full(plan.size, 0.05) if steps == "constant" else plan,
            rng=rng,
            seeds=p.seeds,
            levels=levels,
            start=theta if at_rest else None,
            checkpoints=sizes.tolist(),
        )["theta"]
    error = np.abs(np.sort(found, axis=-1) - theta).mean(axis=-1).max(axis=-1)
    return Evidence(n=sizes.astype(float), error=error, instance=mdp.digest())


@claim(
    "Quantile TD (algorithm 1 for a policy); its convergence is later work, the rate derived",
    r"\theta_i \leftarrow \theta_i + \alpha_n \big(\tau_i - \tfrac1m \sum_j 1\{r + \gamma\theta_j(x') < \theta_i\}\big)"
    r":\quad \bar w_1(\theta_n, \hat\theta) = O(\alpha_n^{1/2}),\ \alpha_n = 4 n^{-4/5}",
    relation=Rate(exponent=0.4, margin=0.1),
    assumptions=("a sampled transition from every state in each update", "no level met exactly by a cumulative mass"),
    falsifiers={
        "constant_step": variant(_learned, "Step 1/20 for ever.", "constant"),
        "halved_levels": variant(_learned, "Half of every level.", levels=np.arange(1, 8, 2) / 16),
    },
    two_start=variant(_learned, "Started at the fixed point.", at_rest=True),
    zero_error=variant(_learned, "The library's fixed point.", exact=True),
    words="Quantile TD converges to the fixed point of quantile DP, at least like the root of its steps.",
    title="Quantile TD converges",
)
def td_converges(p: Params, rng: np.random.Generator) -> Evidence:
    """Last iterates on random models, against a fixed point by plain iteration of the definition."""
    return _learned(p, rng)


def figure_error(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """w_1 of both representations to the truth against the number of atoms, largest over states and problems."""
    gamma, sizes = 0.5, 2 ** np.arange(1, 10)
    problems = [_model(p, rng, gamma) for _ in range(p.problems)]
    truth = [return_laws(mdp, [0] * p.states, tol=1e-4).extras["laws"] for mdp in problems]
    table: dict[str, list[float]] = {"m": [], "quantile": [], "categorical": [], "mean": [], "bound": []}
    width = max(max(law.x[-1] for law in laws) - min(law.x[0] for law in laws) for laws in truth)
    for m in sizes:
        z, worst, mean = np.linspace(-2, 2, m + 1), [], []
        for mdp, laws in zip(problems, truth, strict=True):
            answer = quantile_evaluation(mdp, [0] * mdp.S, int(m), tol=_TOL)
            worst.append(max(map(wasserstein, answer.extras["laws"], laws)))
            mean.append(np.abs(answer.value - [law.mean for law in laws]).max())
        grids = [
            max(map(wasserstein, categorical_evaluation(mdp, [0] * mdp.S, z, tol=_TOL).extras["laws"], laws))
            for mdp, laws in zip(problems, truth, strict=True)
        ]
        row = (float(m), max(worst), max(grids), max(mean), width / (2 * m * (1 - gamma)))
        for name, value in zip(table, row, strict=True):
            table[name].append(value)
    return {name: np.array(values) for name, values in table.items()}


def figure_laws(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Distribution functions at one state: exact, by 5 and 20 quantiles, and on a grid of 20 cells."""
    mdp = _model(p, rng, 0.7)
    truth = return_laws(mdp, [0] * p.states, tol=1e-3).extras["laws"][0]
    x = np.linspace(truth.x[0] - 0.1, truth.x[-1] + 0.1, 160)
    reach = 1 / (1 - 0.7)
    laws = {
        "exact": truth,
        "five": quantile_evaluation(mdp, [0] * p.states, 5, tol=_TOL).extras["laws"][0],
        "twenty": quantile_evaluation(mdp, [0] * p.states, 20, tol=_TOL).extras["laws"][0],
        "grid": categorical_evaluation(mdp, [0] * p.states, np.linspace(-reach, reach, 21), tol=_TOL).extras["laws"][0],
    }
    return {"x": x} | {name: law.cdf(x) for name, law in laws.items()}
