r"""Zouitine, Geist, Rachelson (2024): robust MDPs as a sequence of static ones (IWOCS).

The text was read. The method solves static models one at a time and adds the incumbent's worst one; the paper says that
it converges, not necessarily to the optimum, and a review that it stalls when the next model is one already solved.

Derived here: at every iteration the robust value at s0 lies in a bracket that the method itself computes, so that it
can say which of the two happened. How often it stalls is a matter of rows that leave the incumbent's value alone, of
which the paper says nothing: on random sets nearly half of the runs stall if those rows stay what they were in the
first model, and one in a hundred if they are the worst for the incumbent's value. (Our notes' one in six is the
former, on a family with other rewards.) On WindyWalk (layout reconstructed from the text, the figure was not seen)
the method stops at the optimum after one added model, as published. Where parameters are shared between rows the set
is not rectangular, and the value of one model for ever exceeds the value of the rectangular hull. The complexity
printed with log(1 - gamma) is meant with log(1 / gamma).
Deep variants are out of scope.
"""

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mdplab.algorithms.robust.iwocs import iwocs
from mdplab.algorithms.robust.nature import linear_value
from mdplab.claims import Bound, BoundHP, Evidence, Identity, Witness, claim, variant
from mdplab.exact.robust import robust_policy_iteration
from mdplab.instances.robust import coupled_chain, iwocs_stall, models_of, windy_walk
from mdplab.models import MDP, ModelSet, RobustMDP
from mdplab.papers.shared.rational import as_fractions, solve_exactly


@dataclass(frozen=True)
class Params:
    """Sizes: `problems` random sets an instance, of `states` states, `actions` actions and `rows` rows a pair.

    `runs` of the search a replicate, where only its outcome is asked for.
    """

    problems: int
    states: int
    actions: int
    rows: int
    runs: int


def _random_set(p, rng):
    """Random rows, and rewards in [0, 1] by state; values are positive."""
    kernels = rng.dirichlet(np.ones(p.states), size=(p.rows, p.states, p.actions))
    r = np.tile(rng.random((p.states, 1)), (1, p.actions))
    return RobustMDP(MDP(kernels[0], r, 0.95), ModelSet(kernels))


def _truth(problem):
    """The certified robust value (S,), and a bound on its error and on that of a few linear solves."""
    best = robust_policy_iteration(problem, tol=1e-9)
    return best.value, best.certificate.gap + 1e-11 / (1 - problem.gamma)


def _last_model(problem, search):
    """V of the incumbent in the last model solved, which it was chosen for: neither end of the bracket."""
    pi = np.eye(problem.A)[search.policy]
    return linear_value(problem, search.kernels[-1], pi)[0]


def _nominal_lower(problem, search):
    pi = np.eye(problem.A)[search.policy]
    return linear_value(problem, problem.nominal.P, pi)[0]


def _bracket(p, rng, lower=None, upper=None):
    measured, bound, radius = [], [], []
    for _ in range(p.problems):
        problem = _random_set(p, rng)
        search = iwocs(problem, free_rows="keep")
        value, error = _truth(problem)
        # Each end of each iteration, as many as the longest run may have; the last is repeated.
        ends = np.array([search.lower, search.upper])
        ends = np.concatenate([ends, np.repeat(ends[:, -1:], 12, axis=1)], axis=1)[:, :12]
        if lower is not None:
            ends[0, -1] = lower(problem, search)
        if upper is not None:
            ends[1, -1] = upper(problem, search)
        measured += [*ends[0], *np.full(12, value[0])]
        bound += [*np.full(12, value[0] + 2 * error), *(ends[1] + 2 * error)]
        radius += [error] * 24
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Bracket of the search (derived)",
    r"V^{\pi_i}_{T_{i+1}}(s_0) \;\le\; V^*(s_0) \;\le\; \max_a Q_i(s_0, a) \quad \forall i",
    relation=Bound(),
    assumptions=("$(s,a)$-rectangular set", "static models solved exactly"),
    falsifiers={
        "first_model_below": variant(_bracket, "The incumbent's value in T_0 as lower end.", _nominal_lower),
        "last_model_above": variant(_bracket, "The incumbent's value in T_i as upper end.", upper=_last_model),
    },
    lemmas=("zouitine2024:bracket",),
    words="Every iteration brackets the robust value, by its incumbent's worst case and by the models solved so far.",
    title="The bracket of IWOCS",
)
def bracket(p: Params, rng: np.random.Generator) -> Evidence:
    """Both ends after every iteration, on random sets; certified runs meet the value."""
    return _bracket(p, rng)


def _stopped(p, rng, certified_only=True):
    left, right, tolerance = [], [], []
    for _ in range(p.problems):
        problem = _random_set(p, rng)
        search = iwocs(problem, free_rows="keep")
        value, error = _truth(problem)
        use = search.status == "certified" or not certified_only
        # Runs that stalled say nothing: the entry is then the truth on both sides.
        left.append(search.upper[-1] if use else value[0])
        right.append(value[0])
        tolerance.append(3 * error + 1e-8)
    return Evidence(left=left, right=right, tolerance=tolerance)


@claim(
    "Stopping rule",
    r"V^{\pi_i}_{T_{i+1}}(s_0) = Q_i(s_0, \pi_i(s_0)) \;\Rightarrow\; Q_i(s_0, \pi_i(s_0)) = V^*(s_0)",
    relation=Identity(),
    assumptions=("$(s,a)$-rectangular set", "the bracket is closed to 1e-9 of the largest value"),
    falsifiers={
        "stalled_runs_too": variant(_stopped, "All runs that stopped, stalled ones too.", certified_only=False)
    },
    words="A run that ends with a closed bracket has found the robust value; that a run has ended does not suffice.",
    title="A closed bracket is optimal",
)
def certified_is_optimal(p: Params, rng: np.random.Generator) -> Evidence:
    """The upper end of runs that certify themselves, against the certified robust value."""
    return _stopped(p, rng)


def _stall_rate(p, rng, free_rows="worst"):
    stalled = [iwocs(_random_set(p, rng), free_rows=free_rows).status == "stalled" for _ in range(p.runs)]
    return Evidence(violated=stalled)


@claim(
    "Choice of the next model (derived)",
    r"\Pr[\text{IWOCS stalls}] \le \tfrac{1}{20} \text{ if rows without effect on } V^{\pi_i} \text{ are its worst}",
    relation=BoundHP(delta=0.05),
    assumptions=("random sets: three states, two actions, two rows a pair, rewards by state",),
    falsifiers={"kept": variant(_stall_rate, "Such rows stay those of the first model.", "keep")},
    words="Few runs stall if the next model is also bad for the actions that the incumbent does not take.",
    title="Free rows decide how often IWOCS stalls",
)
def free_rows(p: Params, rng: np.random.Generator) -> Evidence:
    """Whether each of the profile's runs, on a random set of its own, stalls."""
    return _stall_rate(p, rng)


def _exact_value(P, r, gamma, policy):
    """Value of a deterministic policy in fractions; P (S, A, S), r (S, A)."""
    S = len(r)
    step = [[(s == t) - gamma * P[s][policy[s]][t] for t in range(S)] for s in range(S)]
    return solve_exactly(step, [r[s][policy[s]] for s in range(S)])


def _exact_optimum(P, r, gamma):
    """Q* of one model: the largest value in every state over all policies, one step ahead."""
    S, A = r.shape
    values = [_exact_value(P, r, gamma, policy) for policy in itertools.product(range(A), repeat=S)]
    v = [max(value[s] for value in values) for s in range(S)]
    return [[r[s][a] + gamma * sum(P[s][a][t] * v[t] for t in range(S)) for a in range(A)] for s in range(S)]


def _exact_worst(kernels, r, gamma, policy):
    """Least value of a policy in every state, and the rows that are worst for it, all pairs, as indices (S, A)."""
    K, S, A = kernels.shape[:3]
    values = []
    for choice in itertools.product(range(K), repeat=S):
        values.append(_exact_value([kernels[choice[s]][s] for s in range(S)], r, gamma, policy))
    v = [min(value[s] for value in values) for s in range(S)]
    ahead = [
        [[sum(kernels[k][s][a][t] * v[t] for t in range(S)) for k in range(K)] for a in range(A)] for s in range(S)
    ]
    return v, tuple(tuple(row.index(min(row)) for row in rows) for rows in ahead)


def _exact_run(kernels, r, gamma, first, start=0):
    """IWOCS in fractions until the next model is one already solved: bracket and robust value at the start."""
    S, A = r.shape
    q, rows, solved = None, ((first,) * A,) * S, []
    while rows not in solved:
        solved.append(rows)
        P = [[kernels[rows[s][a]][s][a] for a in range(A)] for s in range(S)]
        new = _exact_optimum(P, r, gamma)
        q = new if q is None else [[min(x, y) for x, y in zip(*pair)] for pair in zip(q, new)]
        policy = [max(range(A), key=lambda a: q[s][a]) for s in range(S)]
        v, rows = _exact_worst(kernels, r, gamma, policy)
    policies = itertools.product(range(A), repeat=S)
    best = max(_exact_worst(kernels, r, gamma, other)[0][start] for other in policies)
    return v[start], q[start][policy[start]], best, len(solved)


def _stalls(p, rng, first=0, kernels=None):
    problem = iwocs_stall()
    given = problem.uncertainty.kernels if kernels is None else kernels(problem)
    run = _exact_run(as_fractions(given, 1000), as_fractions(problem.nominal.r, 1000), Fraction(19, 20), first)
    lower, upper, best, models = run
    text = f"{models} models, bracket [{float(lower):.6g}, {float(upper):.6g}], value {float(best):.6g}"
    return Evidence(holds=[lower < best, best < upper], text=text)


@claim(
    "Remark on premature stopping",
    r"T_{i+1} \in \{T_0, \dots, T_i\} \text{ with } V^{\pi_i}_{T_{i+1}}(s_0) < V^*(s_0) < Q_i(s_0, \pi_i(s_0))",
    relation=Witness(),
    assumptions=("three states, two actions, two rows a pair", "in fractions, from the model of all first rows"),
    falsifiers={
        "from_second_rows": variant(_stalls, "From the model of all second rows.", first=1),
        "one_row": variant(_stalls, "With first rows only.", kernels=lambda problem: problem.uncertainty.kernels[:1]),
    },
    lemmas=("zouitine2024:stall",),
    words="The method may come to rest with its bracket open, and then neither end is the robust value.",
    title="IWOCS can stall",
)
def stall(p: Params, rng: np.random.Generator) -> Evidence:
    """The run in rational arithmetic, and the robust value by all policies against all rows."""
    return _stalls(p, rng)


def _duality(p, rng, rectangular=True):
    left, right, tolerance = [], [], []
    problem = _random_set(p, rng)
    kernels = problem.uncertainty.kernels
    K, S, A = kernels.shape[:3]
    value, error = _truth(problem)
    best = np.full(S, np.inf)
    choices = itertools.product(range(K), repeat=S * A) if rectangular else ([k] * (S * A) for k in range(K))
    policies = [np.eye(A)[list(policy)] for policy in itertools.product(range(A), repeat=S)]
    for choice in choices:
        pick = np.reshape(choice, (1, S, A, 1))
        kernel = np.take_along_axis(kernels, pick, axis=0)[0]
        best = np.minimum(best, np.max([linear_value(problem, kernel, pi) for pi in policies], axis=0))
    left, right, tolerance = best, value, np.full(S, 2 * error)
    return Evidence(left=left, right=right, tolerance=tolerance)


@claim(
    "Static worst case, no duality gap",
    r"V^*(s_0) = \max_\pi \min_T V^\pi_T(s_0) = \min_T \max_\pi V^\pi_T(s_0)",
    relation=Identity(),
    assumptions=("$(s,a)$-rectangular set", "stationary policies"),
    falsifiers={"not_rectangular": variant(_duality, "Only the given models, not the products of their rows.", False)},
    words="The robust value is the least optimal value of a static model, so that a sequence of models can find it.",
    title="No duality gap",
)
def no_duality_gap(p: Params, rng: np.random.Generator) -> Evidence:
    """All products of rows, each solved by all policies, against robust policy iteration."""
    return _duality(p, rng)


def _walk(p, rng, max_models=100, first=0):
    problem = windy_walk()
    start = problem.uncertainty.kernels[first]
    search = iwocs(problem, first=start, max_models=max_models)
    value, error = _truth(problem)
    static = min(
        robust_policy_iteration(RobustMDP(m, ModelSet(m.P[None])), tol=1e-9).value[0] for m in models_of(problem)
    )
    left = [search.lower[-1], search.upper[-1], static, len(search.kernels)]
    right = [value[0], value[0], value[0], 2.0]
    return Evidence(left=left, right=right, tolerance=[3 * error, 3 * error, 3 * error, 0.0])


@claim(
    "Experiment WindyWalk",
    r"\text{after one added model } V^{\pi_i}_{T_{i+1}}(s_0) = Q_i(s_0, \pi_i(s_0)) = \min_\alpha V^*_{T_\alpha}(s_0)",
    relation=Identity(),
    assumptions=("layout reconstructed from the text", r"$\alpha$ uniform on $[0, 1/2]$, 25 values", "start: no wind"),
    falsifiers={
        "first_model_only": variant(_walk, "Stopped before a model is added.", max_models=1),
        "strongest_wind_first": variant(_walk, "From the strongest wind, where nothing need be added.", first=-1),
    },
    controls={"from_a_quarter": variant(_walk, "From alpha = 1/4.", first=12)},
    words="On WindyWalk the worst case is found after two iterations, and it is one wind for all rows.",
    title="WindyWalk is solved by two models",
)
def windy(p: Params, rng: np.random.Generator) -> Evidence:
    """Both ends of the bracket, the worst of the 25 static optima and the number of models, against a robust solver."""
    return _walk(p, rng)


def _shared(p, rng, theta=Fraction(3, 4)):
    problem = coupled_chain(float(theta))
    search = iwocs(problem, static=True)
    gamma = Fraction(9, 10)
    static = gamma**2 * theta * (1 - theta)
    dynamic = gamma**2 * min(theta, 1 - theta) ** 2
    hull = robust_policy_iteration(problem, tol=1e-9)
    # Floats within 1e-9 of the closed forms; the strict inequality is one of fractions.
    near = abs(search.upper[-1] - float(static)) < 1e-9 and abs(hull.value[0] - float(dynamic)) < 1e-8
    text = f"static {static}, row by row {dynamic}"
    return Evidence(holds=[dynamic < static, bool(near), search.status == "certified"], text=text)


@claim(
    "Limits of the setting (derived)",
    r"\min_\theta V_{T_\theta}(s_0) = \gamma^2 \theta(1-\theta) > \gamma^2 \min(\theta, 1-\theta)^2"
    r" = V^*_{\text{rect}}(s_0)",
    relation=Witness(),
    assumptions=("three steps that share a parameter, one action",),
    falsifiers={
        "half": variant(_shared, "theta = 1/2, where both models are one.", Fraction(1, 2)),
        "certain": variant(_shared, "theta = 1, where either value is 0.", Fraction(1)),
    },
    words="Where rows share a parameter, a model that holds for ever is worth more than the rectangular hull.",
    title="Shared parameters are not rectangular",
)
def shared_parameter(p: Params, rng: np.random.Generator) -> Evidence:
    """Closed forms in fractions, with the method on the static set and a robust solver on the hull."""
    return _shared(p, rng)


def _run_table(problem, iterations):
    search = iwocs(problem, free_rows="keep")
    ends = [np.concatenate([x, np.repeat(x[-1:], iterations)])[:iterations] for x in (search.lower, search.upper)]
    return ends[0], ends[1], robust_policy_iteration(problem, tol=1e-9).value[0]


def figure_bracket(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Bracket minus the robust value over iterations: a random run that closes late, and one that stalls."""
    iterations, found = 6, {}
    while len(found) < 2:
        problem = _random_set(p, rng)
        search = iwocs(problem, free_rows="keep")
        if len(search.lower) >= 3 and search.status in ("certified", "stalled"):
            found.setdefault(search.status, problem)
    table = {"iteration": np.arange(1, iterations + 1)}
    for status in ("certified", "stalled"):
        lower, upper, value = _run_table(found[status], iterations)
        table |= {f"{status}_lower": lower - value, f"{status}_upper": upper - value}
    return table


def draw_bracket(ax, table: dict[str, np.ndarray]) -> None:
    """The area between both ends, and the value at 0."""
    for status, colour in (("certified", "#0072B2"), ("stalled", "#D55E00")):
        low, high = table[f"{status}_lower"], table[f"{status}_upper"]
        ax.fill_between(table["iteration"], low, high, color=colour, alpha=0.2, linewidth=0)
        ax.plot(table["iteration"], high, color=colour, marker="v", markersize=4, label=f"{status}: upper end")
        ax.plot(table["iteration"], low, color=colour, marker="^", markersize=4, linestyle="-.", label="lower end")
    ax.axhline(0.0, color="black", linestyle="--", linewidth=1.2, label="robust value")
    ax.set_xticks(table["iteration"])
    ax.legend(ncols=2)
