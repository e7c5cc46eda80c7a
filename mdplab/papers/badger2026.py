r"""Badger, Huang, Petrik (AAAI 2026): policy iteration for robust MDPs and Markov games that does not cycle.

The text was read. Naive policy iteration (PAI) solves for the pair of both players' choices, which is Newton's method
on L v - v; it may cycle, and a line search on ||L v - v||_2^2 (FT) may find no step. RCPI takes the Newton step only
where it lowers the residual by gamma.

The instance with three states on which PAI cycles is ours; Van der Wal's game and the line search's failure are from
the text. Derived here: the greedy policy at v is worse than optimal by at most 2 gamma / (1 - gamma) times the
residual, half of what Propositions 3.1 and 3.2 say together, and this is attained. On random finite sets of rows PAI
fails in a few runs of a hundred from v = 0; on balls of the L1 norm it was not seen to fail.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mdplab.algorithms.robust.nature import robust_evaluation
from mdplab.algorithms.robust.newton import (
    naive_policy_iteration,
    one_step_saddle,
    residual_conditioned_steps,
)
from mdplab.claims import Bound, BoundHP, Evidence, Identity, Witness, claim, variant
from mdplab.exact.robust import (
    RobustBellman,
    partial_policy_iteration,
    residual_conditioned_policy_iteration,
    robust_modified_policy_iteration,
    robust_policy_iteration,
    robust_value_iteration,
)
from mdplab.exact.robust.iterates import residual_conditioned_iterates
from mdplab.instances.robust import drpg_garnet, filar_tolwinski, pai_cycle, van_der_wal
from mdplab.models import MDP, ModelSet, RobustMDP
from mdplab.papers.shared.rational import as_fractions, solve_exactly

U = 2.0**-53


@dataclass(frozen=True)
class Params:
    """Sizes: `problems` an instance, of `states` states, `actions` actions and `rows` rows a pair.

    `steps` of each method are taken.
    """

    problems: int
    states: int
    actions: int
    rows: int
    steps: int


def _random_rows(p, rng, certain=False):
    """A finite set with random rows, or with certain successors, and rewards in [-1, 1]."""
    shape = (p.rows, p.states, p.actions)
    kernels = np.eye(p.states)[rng.integers(0, p.states, shape)] if certain else rng.dirichlet(np.ones(p.states), shape)
    return RobustMDP(MDP(kernels[0], rng.uniform(-1, 1, (p.states, p.actions)), 0.9), ModelSet(kernels))


def _exact_saddle(problem, gamma, v):
    """(L v)(s), action and rows of a pure saddle point in every state, in fractions; None if a state has none."""
    kernels = as_fractions(problem.uncertainty.kernels, 100)
    mdp = problem.nominal
    r = as_fractions(mdp.r_next if mdp.r_next is not None else np.repeat(mdp.r[:, :, None], mdp.S, axis=2), 100)
    K, S, A = kernels.shape[:3]
    out = []
    for s in range(S):
        game = [[sum(kernels[k, s, a] * (r[s, a] + gamma * v)) for k in range(K)] for a in range(A)]
        if problem.uncertainty.rectangularity == "sa":
            # Each row has its own nature: the largest of the least.
            a = max(range(A), key=lambda a: min(game[a]))
            k = game[a].index(min(game[a]))
        else:
            pairs = [(a, k) for a in range(A) for k in range(K)]
            found = [(a, k) for a, k in pairs if game[a][k] == min(game[a]) == max(game[b][k] for b in range(A))]
            if not found:
                return None
            a, k = found[0]
        out.append((game[a][k], kernels[k, s, a], sum(kernels[k, s, a] * r[s, a])))
    return out


def _exact_cycle(problem, gamma, steps=6):
    """The iterates of naive policy iteration from 0 in fractions, and the residual of each."""
    S = problem.S
    v, iterates, residuals = np.array([Fraction(0)] * S), [], []
    for _ in range(steps):
        saddle = _exact_saddle(problem, gamma, v)
        if saddle is None:
            break
        iterates.append(tuple(v))
        residuals.append(max(abs(one[0] - x) for one, x in zip(saddle, v)))
        matrix = [[(s == t) - gamma * saddle[s][1][t] for t in range(S)] for s in range(S)]
        v = np.array(solve_exactly(matrix, [one[2] for one in saddle]), dtype=object)
    return iterates, residuals


def _cycles(p, rng, build=pai_cycle, gamma=Fraction(9, 10)):
    iterates, residuals = _exact_cycle(build(), gamma)
    text = f"{', '.join(map(str, iterates[-2]))} and {', '.join(map(str, iterates[-1]))} for ever"
    alternates = iterates[-1] == iterates[-3] and iterates[-2] == iterates[-4] and iterates[-1] != iterates[-2]
    return Evidence(holds=[alternates, min(residuals) > 0], text=text)


@claim(
    "Naive policy iteration (PAI)",
    r"(7, 1, -2) \to (-6, 1, -2) \to (7, 1, -2) \to \cdots,\quad v^* = (-\tfrac{11}{10}, 1, -2)",
    relation=Witness(),
    assumptions=("two certain successors for each of six pairs", r"$\gamma = 9/10$, from $v = 0$"),
    falsifiers={
        "half_the_discount": variant(_cycles, "gamma = 1/2.", gamma=Fraction(1, 2)),
        "one_state_game": variant(_cycles, "Van der Wal's game at gamma = 1/4.", van_der_wal, Fraction(1, 4)),
    },
    controls={"van_der_wal": variant(_cycles, "Van der Wal's game at gamma = 3/4.", van_der_wal, Fraction(3, 4))},
    lemmas=("badger2026:cycle", "badger2026:cycle_of_a_matrix_game"),
    words="Policy iteration that fixes both players at once may alternate between two values for ever.",
    title="Naive policy iteration cycles",
)
def naive_cycle(p: Params, rng: np.random.Generator) -> Evidence:
    """Six steps in rational arithmetic."""
    return _cycles(p, rng)


def _merits(worse_first):
    """||L v - v||_2^2 at the start, and at t = 1, 1/2, ..., 2^-30 along Newton's direction."""
    problem = filar_tolwinski(worse_first=worse_first)
    run = naive_policy_iteration(problem, num_iters=1)
    start, end = run["v"]
    points = [start, *(start + 0.5**i * (end - start) for i in range(31))]
    return [float(((one_step_saddle(problem, v).value - v) ** 2).sum()) for v in points]


def _line_search(p, rng, worse_first=True):
    start, *along = _merits(worse_first)
    # Sums of three squares of size one.
    return Evidence(measured=np.full(31, start), bound=along, radius=np.full(31, 8 * U))


@claim(
    "Method of Filar and Tolwinski (FT)",
    r"\|L(v_0 + t d) - (v_0 + t d)\|_2^2 > \|L v_0 - v_0\|_2^2 \quad \forall t = 1, \tfrac12, \tfrac14, \dots",
    relation=Bound(),
    assumptions=("three states, a tie at $v_0 = 0$ broken to the worse side", "$t$ down to $2^{-30}$"),
    falsifiers={"other_tie": variant(_line_search, "The tie broken to the other side.", worse_first=False)},
    lemmas=("badger2026:armijo_finds_no_step",),
    words="At a tie the Newton direction need not lower the residual, however short the step.",
    title="A line search finds no step",
)
def no_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Measured is the merit at the start, which the bound, the merit along the direction, exceeds at every step."""
    return _line_search(p, rng)


def _residuals(problem, steps, v0, method):
    if method == "naive":
        return naive_policy_iteration(problem, num_iters=steps, v0=v0)["residual"]
    if method == "exact":
        iterates = residual_conditioned_iterates(RobustBellman.of(problem), v0, True)
        return np.array([next(iterates).residual for _ in range(steps + 1)])
    return residual_conditioned_steps(problem, num_iters=steps, v0=v0, repair=method == "repair")["residual"]


def _contraction(p, rng, methods=("replace", "repair"), power=1.0):
    measured, bound, radius = [], [], []
    cycle = pai_cycle()
    cases = [(cycle, np.array([7.0, 1.0, -2.0]) + rng.normal(0, 1, 3)), (drpg_garnet(4, 2, 3, rng=rng), np.zeros(4))]
    cases += [(_random_rows(p, rng, certain=i % 2 == 0), rng.normal(0, 5, p.states)) for i in range(p.problems)]
    for problem, v0 in cases:
        for method in methods:
            residual = _residuals(problem, p.steps, v0, method)
            # Rounding of L v - v at values of this size, and of the linear solve before it.
            size = 1 + np.abs(v0).max() + np.abs(problem.nominal.r).max() / (1 - problem.gamma)
            allowance = 1e-13 * size / (1 - problem.gamma)
            measured += residual[1:].tolist()
            bound += (problem.gamma**power * residual[:-1] + 2 * allowance).tolist()
            radius += [allowance] * (residual.size - 1)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "RCPI, convergence theorem",
    r"\|L v_{k+1} - v_{k+1}\|_\infty \le \gamma \|L v_k - v_k\|_\infty",
    relation=Bound(),
    assumptions=("exact greedy choices of both players", "$m = 0$ and $m = \\infty$"),
    falsifiers={
        "naive": variant(_contraction, "Naive policy iteration.", ("naive",)),
        "gamma_squared": variant(_contraction, "gamma^2 in place of gamma.", power=2.0),
    },
    controls={"solver": variant(_contraction, "The exact solver's own iterates.", ("exact",))},
    lemmas=("iyengar2005:contraction_any_set",),
    words="Every outer step of the safeguarded method contracts the residual at least like value iteration.",
    title="RCPI contracts",
)
def rcpi_contracts(p: Params, rng: np.random.Generator) -> Evidence:
    """Both variants on the cycling instance, on L1 balls and on random finite sets, from random starts."""
    return _contraction(p, rng)


def two_choices(gamma: float, half_width: float = 1.0) -> tuple[RobustMDP, np.ndarray]:
    """A problem and a vector v at which a greedy policy is as bad as the residual allows.

    From either of two states one may go to either; going to the second pays 2 gamma d. At v = c + d, c - d with
    c = gamma d / (1 - gamma) both actions tie and the residual is d; going to the first for ever earns nothing and
    loses 2 gamma d / (1 - gamma).
    """
    d = half_width
    P = np.eye(2)[[[0, 1], [0, 1]]]
    mdp = MDP(P, [[0.0, 2 * gamma * d]] * 2, gamma)
    c = gamma * d / (1 - gamma)
    return RobustMDP(mdp, ModelSet(P[None])), np.array([c + d, c - d])


def _loss(p, rng, constant=2.0):
    measured, bound, radius = [], [], []
    cases = [(_random_rows(p, rng), rng.normal(0, 3, p.states)) for _ in range(p.problems)]
    # Ties go to the first action; the exponents of two keep the tie exact.
    cases += [two_choices(0.5, 2.0), two_choices(0.75, 1.0)]
    for problem, v in cases:
        saddle = one_step_saddle(problem, v)
        best = robust_policy_iteration(problem, tol=1e-9)
        value = robust_evaluation(problem, saddle.pi).value
        error = best.certificate.gap + 1e-12 / (1 - problem.gamma)
        residual = np.abs(saddle.value - v).max()
        measured.append((best.value - value).max())
        bound.append(constant * problem.gamma / (1 - problem.gamma) * residual + 2 * error)
        radius.append(error)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Propositions 3.1 and 3.2, constant derived",
    r"\|v^* - v^{\pi}\|_\infty \le \frac{2\gamma}{1-\gamma} \|L v - v\|_\infty,\quad \pi \text{ greedy at } v",
    relation=Bound(),
    assumptions=("the text has twice as much",),
    falsifiers={
        "one_percent_less": variant(_loss, "A hundredth less.", constant=1.98),
        "one_sided": variant(_loss, "Half: as if the residual had one sign.", constant=1.0),
    },
    controls={"as_printed": variant(_loss, "The constant of the text.", constant=4.0)},
    lemmas=("iyengar2005:contraction_any_set",),
    words="The residual bounds what the greedy policy loses; two states attain the bound.",
    title="Loss of the greedy policy",
)
def greedy_loss(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified optima against exact robust values of greedy policies, on random sets and on the tight instance."""
    return _loss(p, rng)


def _solvers(p, rng, naive=False):
    left, right, tolerance = [], [], []
    cases = [pai_cycle(), van_der_wal(), filar_tolwinski()] + [_random_rows(p, rng) for _ in range(p.problems)]
    methods = [robust_value_iteration, robust_modified_policy_iteration, partial_policy_iteration]
    methods += [residual_conditioned_policy_iteration]
    for problem in cases:
        best = robust_policy_iteration(problem, tol=1e-9)
        for method in methods:
            other = method(problem, tol=1e-9)
            left.append(other.value[0])
            right.append(best.value[0])
            tolerance.append(other.certificate.gap + best.certificate.gap)
        run = naive_policy_iteration if naive else residual_conditioned_steps
        left.append(run(problem, num_iters=40)["v"][-1, 0])
        right.append(best.value[0])
        # A step more than rounding away from the fixed point would be refused.
        tolerance.append(best.certificate.gap + 1e-11 / (1 - problem.gamma))
    return Evidence(left=left, right=right, tolerance=tolerance)


@claim(
    "Comparison of methods",
    r"v_{VI} = v_{MPI} = v_{HK} = v_{PPI} = v_{RCPI}",
    relation=Identity(),
    falsifiers={"naive": variant(_solvers, "Naive policy iteration in the place of RCPI.", naive=True)},
    words="Five exact solvers and the algorithm as printed agree where naive policy iteration cycles, and elsewhere.",
    title="Solvers agree",
)
def solvers_agree(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified values on the three instances of failure and on random sets."""
    return _solvers(p, rng)


def _failures(p, rng, cycling=False):
    failed = []
    for i in range(4 * p.problems):
        if cycling:
            problem, v0 = pai_cycle(), rng.uniform(-10, 10, 3)
        else:
            problem, v0 = _random_rows(p, rng, certain=i % 2 == 0), np.zeros(p.states)
        failed.append(naive_policy_iteration(problem, num_iters=20, v0=v0)["residual"][-1] > 1e-9)
    return Evidence(violated=failed)


@claim(
    "Random problems (derived)",
    r"\Pr[\text{naive policy iteration has not converged after 20 steps from } v = 0] \le \tfrac{1}{10}",
    relation=BoundHP(delta=0.1),
    assumptions=("random finite sets of rows, half of them with certain successors",),
    falsifiers={"cycling_instance": variant(_failures, "The cycling instance from random starts.", cycling=True)},
    words="Failures of naive policy iteration are rare on random problems, which is why tests on such do not see them.",
    title="Random problems hide the cycle",
)
def rare_failures(p: Params, rng: np.random.Generator) -> Evidence:
    """Whether a run is still away from its fixed point, on problems of its own."""
    return _failures(p, rng)


def figure_cycle(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Residuals of four methods on the cycling instance, from one start near the cycle."""
    problem, steps = pai_cycle(), 40
    v0 = np.array([7.0, 1.0, -2.0]) + rng.uniform(-0.5, 0.5, 3)
    table = {"step": np.arange(steps + 1)}
    table["naive"] = _residuals(problem, steps, v0, "naive")
    v, plain = v0, []
    for _ in range(steps + 1):
        after = one_step_saddle(problem, v).value
        plain.append(np.abs(after - v).max())
        v = after
    table["value_iteration"] = plain
    table["rcpi_0"] = _residuals(problem, steps, v0, "replace")
    table["rcpi_inf"] = _residuals(problem, steps, v0, "repair")
    table["bound"] = plain[0] * problem.gamma ** np.arange(steps + 1)
    # Zero has no logarithm: residuals end at the rounding of values of size 10.
    return {name: column if name == "step" else np.maximum(column, 1e-16) for name, column in table.items()}
