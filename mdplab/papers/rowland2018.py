r"""Rowland, Bellemare, Dabney, Munos, Teh (AISTATS 2018): why laws on a grid can be learned: the Cramer distance.

From memory and the abstract; the paper's text was not read, numbers of its statements are recalled. Its setting: laws
on atoms z_1 < ... < z_K common to all states, and Pi, which splits an atom's mass linearly between its neighbours. Pi
is the orthogonal projection in the Cramer distance l_2, the L2 norm of the difference of distribution functions; T
contracts by sqrt(gamma) in the largest l_2 over states, hence Pi T does, and mixing laws with sampled targets converges
to its fixed point.

Derived here: the fixed point is off by l_2^2 <= dz / (4 (1 - gamma)), a quarter of what is recalled from the paper; a
quarter is needed as gamma falls to 0, and without the factor 1 / (1 - gamma) the bound is false. The order sqrt(dz) in
l_2 is that of sure returns, for spread-out ones it is dz. The witnesses, where not recalled, are derived as well.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.distributional import categorical_td, robbins_monro
from mdplab.claims import Bound, Evidence, Identity, Rate, claim, variant
from mdplab.exact.distributional import categorical_evaluation, return_laws
from mdplab.models import MDP, FiniteLaw, Outcomes, cramer, project_categorical

Projection = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
_TOL = 1e-10


@dataclass(frozen=True)
class Params:
    """Sizes: `states`, `atoms`, `problems` a replicate, `pairs` of laws; updates 2^`first` to 2^`last`, `seeds`."""

    states: int
    atoms: int
    problems: int
    pairs: int
    first: int
    last: int
    seeds: int


def _split(x: np.ndarray, p: np.ndarray, z: np.ndarray) -> np.ndarray:
    return project_categorical(x, p, z, clip=True)


def _nearest(x: np.ndarray, p: np.ndarray, z: np.ndarray) -> np.ndarray:
    """All mass of an atom to the nearest one of the grid."""
    return np.bincount(np.abs(x[:, None] - z).argmin(axis=1), p, minlength=z.size)


def _lower(x: np.ndarray, p: np.ndarray, z: np.ndarray) -> np.ndarray:
    """All mass of an atom to the next one of the grid below it."""
    return np.bincount(np.clip(np.searchsorted(z, x, side="right") - 1, 0, z.size - 1), p, minlength=z.size)


def _model(p: Params, rng: np.random.Generator, gamma: float, actions: int = 1) -> MDP:
    """Random transitions, rewards by next state in [-1, 1]."""
    S = p.states
    return MDP(rng.dirichlet(np.ones(S), (S, actions)), rng.uniform(-1, 1, (S, actions, S)), gamma)


def _grid(gamma: float, atoms: int) -> np.ndarray:
    """An even grid that holds every return of rewards in [-1, 1], from any start."""
    return np.linspace(-1, 1, atoms) / (1 - gamma)


def _backup(mdp: MDP, eta: np.ndarray, z: np.ndarray, project: Projection = _split, choice=None) -> np.ndarray:
    """Pi T eta, (S, K), for one action in each state, the first by default."""
    outcomes, out = Outcomes.of(mdp), np.empty_like(eta)
    for s in range(mdp.S):
        to, r, q = outcomes.row(s, 0 if choice is None else int(choice[s]))
        out[s] = project((r[:, None] + mdp.gamma * z).ravel(), (q[:, None] * eta[to]).ravel(), z)
    return out


def _distance(eta: np.ndarray, nu: np.ndarray, z: np.ndarray) -> float:
    """Largest l_2 over states of masses (S, K) on z."""
    return float(np.sqrt((np.cumsum(eta - nu, axis=1)[:, :-1] ** 2 @ np.diff(z)).max()))


def _pairs(p: Params, rng: np.random.Generator) -> list[tuple[MDP, np.ndarray, np.ndarray, np.ndarray]]:
    """(model, grid, eta, nu): random laws, some of few atoms; first sure transitions, images on and off the grid."""
    z = np.linspace(-2, 2, 5)
    cases = [(MDP([[[1.0]]], [[0.0]], 0.5), z, np.eye(5)[[0]], np.eye(5)[[4]])]
    cases += [(MDP([[[1.0]]], [[0.25]], 0.5), z, np.eye(5)[[2]], np.eye(5)[[3]])]
    for k in range(p.pairs):
        gamma = (0.5, 0.8, 0.95)[k % 3]
        z, size = _grid(gamma, p.atoms), (p.states, p.atoms)
        eta, nu = rng.dirichlet(np.full(p.atoms, (1.0, 0.05)[k % 2]), (2, p.states))
        if k % 3 == 0:
            eta, nu = (np.eye(p.atoms)[rng.integers(p.atoms, size=p.states)].reshape(size) for _ in range(2))
        cases.append((_model(p, rng, gamma), z, eta, nu))
    return cases


def _contraction(
    p: Params, rng: np.random.Generator, project: Projection = _split, factor=lambda gamma: gamma**0.5
) -> Evidence:
    measured, bound = [], []
    for mdp, z, eta, nu in _pairs(p, rng):
        measured.append(_distance(_backup(mdp, eta, z, project), _backup(mdp, nu, z, project), z))
        # Rounding of sums of K masses.
        bound.append(factor(mdp.gamma) * _distance(eta, nu, z) + 1e-12)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Proposition 2 (recalled)",
    r"\bar\ell_2(\Pi T^\pi \eta, \Pi T^\pi \nu) \le \sqrt\gamma\; \bar\ell_2(\eta, \nu)",
    relation=Bound(),
    falsifiers={
        "discount": variant(_contraction, "Modulus gamma, as in w_1.", factor=lambda gamma: gamma),
        "a_little_less": variant(_contraction, "0.99 sqrt(gamma).", factor=lambda gamma: 0.99 * gamma**0.5),
        "nearest_atom": variant(_contraction, "Mass to the nearest atom of the grid.", _nearest),
    },
    lemmas=("rowland2018:cramer_contraction", "rowland2018:cramer_any_laws", "rowland2018:projection_is_orthogonal"),
    words="Projected onto the grid, the operator of a policy contracts by the root of the discount, and by no less.",
    title="Contraction in the Cramer distance",
)
def contraction(p: Params, rng: np.random.Generator) -> Evidence:
    """Random tables of laws; first two point masses with a sure transition, which attain the modulus."""
    return _contraction(p, rng)


def _pythagoras(p: Params, rng: np.random.Generator, project: Projection = _split, reach: float = 1.0) -> Evidence:
    left, right = [], []
    for _ in range(p.pairs):
        z = np.sort(rng.uniform(-1, 1, p.atoms))
        middle, half = (z[0] + z[-1]) / 2, (z[-1] - z[0]) / 2
        x, mass = middle + reach * half * rng.uniform(-1, 1, 7), rng.dirichlet(np.ones(7))
        nu, other = FiniteLaw.of(x, mass), FiniteLaw.of(z, rng.dirichlet(np.ones(p.atoms)))
        image = FiniteLaw.of(z, project(x, mass, z))
        left.append(cramer(nu, other) ** 2)
        right.append(cramer(nu, image) ** 2 + cramer(image, other) ** 2)
    # Atoms within 1e-9 of each other are one.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-8))


@claim(
    "Proposition 1 (recalled)",
    r"\ell_2^2(\nu, \mu) = \ell_2^2(\nu, \Pi\nu) + \ell_2^2(\Pi\nu, \mu), \quad \mu \text{ on the grid}",
    relation=Identity(),
    falsifiers={
        "nearest_atom": variant(_pythagoras, "Mass to the nearest atom of the grid.", _nearest),
        "lower_atom": variant(_pythagoras, "Mass to the next atom below.", _lower),
    },
    controls={"clipped": variant(_pythagoras, "Laws twice as wide as the grid: still orthogonal.", reach=2.0)},
    lemmas=("rowland2018:projection_is_orthogonal",),
    words="Linear splitting is the orthogonal projection onto laws on the grid: Pythagoras holds.",
    title="The projection is orthogonal",
)
def pythagoras(p: Params, rng: np.random.Generator) -> Evidence:
    """Random laws off an uneven grid, against random laws on it."""
    return _pythagoras(p, rng)


def _mean(p: Params, rng: np.random.Generator, project: Projection = _split, share: float = 1.0) -> Evidence:
    left, right = [], []
    for k in range(p.problems):
        gamma = (0.5, 0.8)[k % 2]
        mdp, z = _model(p, rng, gamma), share * _grid(gamma, p.atoms)
        if project is _split:
            left.append(categorical_evaluation(mdp, [0] * p.states, z, tol=_TOL, clip=True).value)
        else:
            eta = np.tile(_split(np.zeros(1), np.ones(1), z), (p.states, 1))
            for _ in range(150):
                eta = _backup(mdp, eta, z, project)
            left.append(eta @ z)
        r = (mdp.P[:, 0] * mdp.r_next[:, 0]).sum(axis=1)
        right.append(np.linalg.solve(np.eye(p.states) - gamma * mdp.P[:, 0], r))
    # The distance that the sweeps leave, and rounding.
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.full(np.shape(left), 2 * _TOL))


@claim(
    "Mean of the fixed point (recalled)",
    r"E\,\hat\eta(s) = V^\pi(s) \ \text{ if the grid holds the returns}",
    relation=Identity(),
    falsifiers={
        "clipping": variant(_mean, "A grid too short by nine tenths.", share=0.1),
        "nearest_atom": variant(_mean, "Mass to the nearest atom of the grid.", _nearest),
    },
    lemmas=("rowland2018:projection_is_orthogonal", "rowland2018:clipping_moves_the_mean"),
    words="Laws on a grid keep the value function exactly, unless mass is clipped.",
    title="The mean is kept",
)
def mean_kept(p: Params, rng: np.random.Generator) -> Evidence:
    """Means of fixed points against the linear system of the value function."""
    return _mean(p, rng)


def _cycle(values: np.ndarray, gamma: float) -> tuple[MDP, tuple[FiniteLaw, ...]]:
    """A cycle of sure transitions whose states have the given sure returns."""
    n = values.size
    P = np.roll(np.eye(n), 1, axis=1)[:, None]
    mdp = MDP(P, (values - gamma * np.roll(values, -1))[:, None], gamma)
    return mdp, tuple(FiniteLaw([v], [1.0]) for v in values)


def _error(mdp: MDP, truth: tuple[FiniteLaw, ...], z: np.ndarray) -> float:
    """Largest l_2 of the fixed point on z to the truth."""
    found = categorical_evaluation(mdp, [0] * mdp.S, z, tol=_TOL).extras["laws"]
    return max(map(cramer, found, truth))


def _fixed_point(p: Params, rng: np.random.Generator, constant: float = 0.25, horizon: bool = True) -> Evidence:
    measured, bound, radius = [], [], []

    def look(mdp: MDP, truth: tuple[FiniteLaw, ...], z: np.ndarray, error: float) -> None:
        measured.append(_error(mdp, truth, z) ** 2)
        bound.append(constant * (z[1] - z[0]) / (1 - mdp.gamma if horizon else 1.0))
        # l_2^2 moves by at most twice w_1.
        radius.append(2 * (error + _TOL))

    # Half way between atoms, with hardly any future; and returns that lie on and between atoms in turn.
    look(*_cycle(np.array([0.5]), 0.02), np.arange(-20.0, 21.0), 0.0)
    look(*_cycle(np.array([0.0, 0.5]), 0.95), np.arange(-40.0, 41.0), 0.0)
    for k in range(p.problems):
        mdp = _model(p, rng, (0.5, 0.8)[k % 2])
        answer = return_laws(mdp, [0] * p.states, tol=2e-3)
        look(mdp, answer.extras["laws"], _grid(mdp.gamma, p.atoms), answer.certificate.gap)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Proposition 3 (recalled, with dz in place of dz / 4), constant derived",
    r"\bar\ell_2^2(\hat\eta, \eta^\pi) \le \frac{\Delta z}{4 (1 - \gamma)}",
    relation=Bound(),
    assumptions=("the grid holds the returns",),
    falsifiers={
        "eighth": variant(_fixed_point, "An eighth in place of a quarter.", constant=0.125),
        "no_horizon": variant(_fixed_point, "Without 1 / (1 - gamma).", horizon=False),
    },
    controls={"recalled": variant(_fixed_point, "The constant 1 of the literature, from memory.", constant=1.0)},
    lemmas=("rowland2018:projection_error", "rowland2018:fixed_point"),
    words="The fixed point on a grid is off by at most the cell over four times one minus the discount.",
    title="Error of the fixed point",
)
def fixed_point_error(p: Params, rng: np.random.Generator) -> Evidence:
    """Two cycles of sure returns, one of which all but attains the bound, and random problems with certified laws."""
    return _fixed_point(p, rng)


_SIZES = 2 ** np.arange(3, 9)


def _order(p: Params, rng: np.random.Generator, cells=lambda n: n, share: float = 1.0, exact: bool = False) -> Evidence:
    gamma, error = 0.5, np.empty((p.seeds // 2, _SIZES.size))
    for i, k in np.ndindex(error.shape):
        mdp, truth = _cycle(rng.uniform(-1, 1, 6), gamma)
        z = share * np.linspace(-3, 3, int(cells(_SIZES[k])) + 1)
        answer = categorical_evaluation(mdp, [0] * mdp.S, z, tol=_TOL, clip=True).extras["laws"]
        error[i, k] = max(map(cramer, truth if exact else answer, truth))
    return Evidence(n=_SIZES.astype(float), error=error)


@claim(
    "Proposition 3 (recalled), order in the cell",
    r"\bar\ell_2(\hat\eta_K, \eta^\pi) = O(K^{-1/2})",
    relation=Rate(exponent=0.5, margin=0.05),
    assumptions=("sure returns, the worst case", "an even grid that holds them"),
    falsifiers={
        "coarser": variant(_order, "K^(2/3) cells where there should be K.", lambda n: round(n ** (2 / 3))),
        "short_grid": variant(_order, "A grid of a tenth of the width: it clips.", share=0.1),
    },
    zero_error=variant(_order, "The true laws themselves.", exact=True),
    lemmas=("rowland2018:projection_error",),
    words="In the Cramer distance the error of a grid falls like the root of the number of atoms.",
    title="Order in the number of atoms",
)
def order(p: Params, rng: np.random.Generator) -> Evidence:
    """Cycles of six random sure returns, afresh for each grid."""
    return _order(p, rng)


def _greedy(mdp: MDP, eta: np.ndarray, z: np.ndarray) -> np.ndarray:
    q = mdp.r + mdp.gamma * np.einsum("sat,t->sa", mdp.P, eta @ z)
    return q.argmax(axis=1)


def _control(p: Params, rng: np.random.Generator, of: str = "greedy", constant=lambda gamma: gamma**0.5) -> Evidence:
    measured, bound = [], []
    z, gamma = np.linspace(-2, 2, 5), 0.5
    # State 0 chooses between 1 and 2, which are for ever: a gamble with mean +- eps, and nothing.
    P = np.zeros((3, 2, 3))
    P[0, 0, 1] = P[0, 1, 2] = P[1, :, 1] = P[2, :, 2] = 1
    mdp = MDP(P, np.zeros((3, 2)), gamma)
    for _ in range(p.pairs):
        eps = float(10 ** rng.uniform(-4, -2))
        eta, nu = (np.array([np.eye(5)[2], [0.5 - e, 0, 0, 0, 0.5 + e], np.eye(5)[2]]) for e in (eps, -eps))
        choices = [_greedy(mdp, x, z) for x in (eta, nu)]
        if of == "fixed":
            choices[1] = choices[0]
        images = [_backup(mdp, x, z, choice=choice) for x, choice in zip((eta, nu), choices, strict=True)]
        if of == "means":
            measured.append(np.abs((images[0] - images[1]) @ z).max())
            bound.append(gamma * np.abs((eta - nu) @ z).max() + 1e-12)
        else:
            measured.append(_distance(*images, z))
            bound.append(constant(gamma) * _distance(eta, nu, z) + 1e-12)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Control, as one would wish (known to be false: Bellemare et al. 2017, recalled)",
    r"\bar\ell_2(\Pi T^* \eta, \Pi T^* \nu) \le \sqrt\gamma\; \bar\ell_2(\eta, \nu), \quad"
    r"T^* \text{ greedy in the mean}",
    relation=Bound(),
    falsifiers={"hundredfold": variant(_control, "Any modulus up to 100.", constant=lambda gamma: 100.0)},
    controls={
        "fixed_policy": variant(_control, "The greedy policy of one of the two tables for both.", "fixed"),
        "means": variant(_control, "Means of the same laws, which contract by gamma.", "means"),
    },
    lemmas=("bellemare2017:greedy_is_no_contraction",),
    words="The operator that is greedy in the mean would be a contraction too.",
    title="Control contracts in no metric",
)
def control_contracts(p: Params, rng: np.random.Generator) -> Evidence:
    """A gamble and nothing with nearly equal means: a small change of the laws turns the choice."""
    return _control(p, rng)


def _divergence(eta: np.ndarray, nu: np.ndarray, kind: str) -> float:
    """Largest total variation, or Kullback-Leibler divergence of eta from nu, over states."""
    if kind == "tv":
        return float(0.5 * np.abs(eta - nu).sum(axis=1).max())
    ratio = np.divide(eta, nu, out=np.ones_like(eta), where=eta > 0)
    return float((eta * np.log(ratio)).sum(axis=1).max())


def _information(p: Params, rng: np.random.Generator, factor=lambda gamma: gamma) -> Evidence:
    measured, bound = [], []
    for k in range(p.pairs):
        z, gamma = np.linspace(-4, 4, 9), 0.5
        # Even atoms, whose images under whole rewards are on the grid, or all of them.
        sure = k % 2 == 0
        S = p.states
        P = np.roll(np.eye(S), 1, axis=1)[:, None] if sure else rng.dirichlet(np.ones(S), (S, 1))
        r = rng.integers(-2, 3, (S, 1)).astype(float) if sure else rng.uniform(-2, 2, (S, 1))
        mdp, held = MDP(P, r, gamma), np.where(np.arange(9) % 2 == 0, 1.0, 0.0 if sure else 1.0)
        eta, nu = rng.uniform(0.1, 1, (2, S, 9)) * held
        eta, nu = (x / x.sum(axis=1, keepdims=True) for x in (eta, nu))
        images = [_backup(mdp, x, z) for x in (eta, nu)]
        for kind in ("tv", "kl"):
            measured.append(_divergence(*images, kind))
            bound.append(factor(gamma) * _divergence(eta, nu, kind) + 1e-12)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Section on the Kullback-Leibler loss (recalled), as one would wish",
    r"\sup_s D(\Pi T^\pi \eta, \Pi T^\pi \nu) \le \gamma \sup_s D(\eta, \nu), \quad D \in \{\mathrm{TV}, \mathrm{KL}\}",
    relation=Bound(),
    falsifiers={
        "root": variant(_information, "Modulus sqrt(gamma).", lambda gamma: gamma**0.5),
        "a_little_less": variant(_information, "Modulus 0.999.", lambda gamma: 0.999),
    },
    controls={"no_expansion": variant(_information, "Modulus 1: no information is made.", lambda gamma: 1.0)},
    lemmas=("rowland2018:information_does_not_contract",),
    words="The distances that do not see where mass lies would contract as well.",
    title="No contraction in total variation or KL",
)
def information_contracts(p: Params, rng: np.random.Generator) -> Evidence:
    """Sure transitions that move atoms from the grid to the grid keep both; mixing transitions may shrink them."""
    return _information(p, rng)


def _learned(
    p: Params, rng: np.random.Generator, steps: str = "linear", at_rest: bool = False, exact: bool = False
) -> Evidence:
    mdp, gamma = _model(p, rng, 0.5), 0.5
    z, sizes = _grid(gamma, p.atoms), 2 ** np.arange(p.first, p.last + 1)
    eta = np.tile(_split(np.zeros(1), np.ones(1), z), (p.states, 1))
    for _ in range(60):
        eta = _backup(mdp, eta, z)
    n, c = int(sizes[-1]), 2 / (1 - gamma)
    plan = {
        "linear": robbins_monro(n, scale=c, power=1.0, delay=c),
        "constant": np.full(n, 0.05),
        "timid": robbins_monro(n, scale=0.2, power=1.0),
    }[steps]
    if exact:
        laws = categorical_evaluation(mdp, [0] * p.states, z, tol=_TOL).extras["laws"]
        found = np.stack([project_categorical(law.x, law.p, z) for law in laws])
        error = np.full((p.seeds, sizes.size), _distance(found, eta, z))
        return Evidence(n=sizes.astype(float), error=error, instance=mdp.digest())
    run = categorical_td(
        mdp,
        [0] * p.states,
        z,
        steps=plan,
        rng=rng,
        seeds=p.seeds,
        start=eta / eta.sum(axis=1, keepdims=True) if at_rest else None,
        checkpoints=sizes.tolist(),
    )
    error = [[_distance(x, eta, z) for x in one] for one in run["eta"]]
    return Evidence(n=sizes.astype(float), error=error, instance=mdp.digest())


@claim(
    "Theorem 1 (recalled), with a rate (derived)",
    r"\eta_{n+1}(x) = (1 - \alpha_n) \eta_n(x) + \alpha_n \Pi (r + \gamma\, \cdot)_\# \eta_n(x'): \quad"
    r"\bar\ell_2(\eta_n, \hat\eta) = O(n^{-1/2}), \quad \alpha_n = \frac{2}{(1-\gamma)(n + 1) + 2}",
    relation=Rate(exponent=0.5, margin=0.1),
    assumptions=("a sampled transition from every state in each update", "the grid holds the returns"),
    falsifiers={
        "constant_step": variant(_learned, "Step 1/20 for ever.", "constant"),
        "timid_steps": variant(_learned, "Steps 1 / (5 n): too small for the contraction.", "timid"),
    },
    two_start=variant(_learned, "Started at the fixed point.", at_rest=True),
    zero_error=variant(_learned, "The library's fixed point.", exact=True),
    words="Mixing with projected samples of targets converges to the fixed point, at the root rate with linear steps.",
    title="Categorical TD converges",
)
def td_converges(p: Params, rng: np.random.Generator) -> Evidence:
    """Last iterates on random models, against a fixed point by plain iteration of the definition."""
    return _learned(p, rng)


def _coins(gamma: float) -> MDP:
    """A fair coin pays 1 or nothing, for ever: at gamma = 1/2 the return is uniform on [0, 2]."""
    return MDP(np.full((2, 1, 2), 0.5), np.tile([0.0, 1.0], (2, 1, 1)).reshape(2, 1, 2), gamma)


def figure_error(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Cramer error against the number of cells for sure and for spread-out returns, and the bounds of both orders."""
    gamma, sizes = 0.5, 2 ** np.arange(2, 10)
    cycle, truth = _cycle(rng.uniform(-1, 1, 6), gamma)
    mdp = _model(p, rng, gamma)
    laws = return_laws(mdp, [0] * p.states, tol=2e-4).extras["laws"]
    table: dict[str, list[float]] = {"n": [], "sure": [], "spread": [], "bound": [], "bound_recalled": []}
    for n in sizes:
        z = np.linspace(-3, 3, n + 1)
        table["n"].append(float(n))
        table["sure"].append(_error(cycle, truth, z))
        table["spread"].append(_error(mdp, laws, z))
        table["bound"].append(np.sqrt((z[1] - z[0]) / (4 * (1 - gamma))))
        table["bound_recalled"].append(np.sqrt((z[1] - z[0]) / (1 - gamma)))
    return {name: np.array(values) for name, values in table.items()}


def figure_laws(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Masses on 21 atoms beside the density of the return of the coin game, gamma = 2/5 and 1/2 and 3/4."""
    columns: dict[str, list[float]] = {"case": [], "z": [], "mass": [], "exact": []}
    for case, gamma in enumerate((0.4, 0.5, 0.75)):
        mdp, z = _coins(gamma), np.linspace(0, 1 / (1 - gamma), 21)
        found = categorical_evaluation(mdp, [0, 0], z, tol=_TOL).extras["laws"][0]
        truth = return_laws(mdp, [0, 0], tol=1e-4).extras["laws"][0]
        masses, exact = project_categorical(found.x, found.p, z), _split(truth.x, truth.p, z)
        for row in zip(np.full(21, case), z, masses, exact, strict=True):
            for name, value in zip(columns, row, strict=True):
                columns[name].append(float(value))
    return {name: np.array(values) for name, values in columns.items()}


def draw_laws(ax, table: dict[str, np.ndarray]) -> None:
    """One panel a discount: bars of the fixed point, dots of the true law projected onto the grid."""
    ax.figure.set_size_inches(8.4, 3.4)
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    for case, name in enumerate(("2/5", "1/2", "3/4")):
        panel, at = ax.inset_axes([0.07 + 0.33 * case, 0.12, 0.26, 0.8]), table["case"] == case
        z, mass = table["z"][at], table["mass"][at]
        panel.bar(z, mass, 0.8 * (z[1] - z[0]), color="#56B4E9", label="fixed point")
        panel.plot(z, table["exact"][at], "o", color="black", markersize=3.5, label="true law, projected")
        panel.set_title(f"$\\gamma = {name}$", fontsize=9)
        panel.set_ylim(top=1.4 * max(mass.max(), table["exact"][at].max()))
        panel.tick_params(labelsize=8)
        if case == 1:
            panel.legend(loc="upper center", fontsize=8)
