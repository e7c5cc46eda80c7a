r"""Liu, Xu (NeurIPS 2024): DRPVI and VA-DRPVI, offline learning against balls of total variation around the factors.

The first third of the paper was read, the rest is from its abstract and public code. Factors of a d-rectangular linear
process lie within total variation rho of the nominal ones; the dual is a maximum over one number alpha per factor.

Found here. The text calls (1 - rho) mu + rho delta_min the worst-case factor kernel; it is one of the ball, enough for
the bound on the range of values, but not the worst. The guarantee's supremum over kernels is itself a robust
evaluation, because the penalty is linear in the features, and is evaluated exactly. On the simulated process the ball
changes the best first action at rho = 1 - .999 V_2 / 2. With three decisions every variance is at most one and clipped
at one: there VA-DRPVI is DRPVI on half of the data. That process has the coverage constant 0, so that the corollary
does not speak of it and the guarantee does not fall with the data; the rate is judged on random processes with a
uniform start, and measured on the published one beside. Derived: the range bound is attained.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog, minimize

from mdplab.algorithms.linear import drpvi, va_drpvi
from mdplab.algorithms.linear.offline import OfflineEstimate
from mdplab.claims import Bound, BoundHP, Evidence, Identity, Rate, Witness, claim, variant
from mdplab.exact import linear_backward_induction, linear_policy_evaluation
from mdplab.exact.robust.operator import RobustBellman
from mdplab.instances.linear import (
    FAIL,
    one_hot,
    random_linear_mdp,
    simulated_linear_mdp,
    uniform_data,
)
from mdplab.models import MDP, LinearMDP, OfflineData, RobustLinearMDP, RobustMDP, TVBall
from mdplab.papers.shared.linear import covered_process, drawn_process, on_the_last, return_on_test


@dataclass(frozen=True)
class Params:
    """Sizes: `rows` random problems, `runs` of learners a replicate; trajectories `first` 2 to the `doublings`."""

    rows: int
    runs: int
    first: int
    doublings: int
    seeds: int


def _unseen(linear: LinearMDP) -> list[set[int]]:
    """Features that uniform actions never meet, stage by stage: exact zeros."""
    P, here, out = linear.kernels(), linear.start > 0, []
    for h in range(linear.horizon):
        out.append({i for i in range(linear.d) if not linear.phi[here, :, i].any()})
        here = P[h, here].any(axis=(0, 1))
    return out


def _ball_program(p: np.ndarray, v: np.ndarray, rho: float, support: str) -> float:
    """min q . v over the ball by linear programming: q = p + up - down, sum of each at most rho."""
    n = len(p)
    cost = np.concatenate([v, -v])
    most = [None if support == "all" or x > 0 else 0.0 for x in p]
    bounds = [(0, b) for b in most] + [(0, float(x)) for x in p]
    ones = np.ones(n)
    balance = np.concatenate([ones, -ones])[None]
    answer = linprog(cost, A_ub=[np.append(ones, 0 * ones)], b_ub=[rho], A_eq=balance, b_eq=[0.0], bounds=bounds)
    return float(p @ v + answer.fun)


def _dual(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for _ in range(p.rows):
        v, rho = rng.uniform(0, 3, 6), float(rng.uniform(0.05, 0.6))
        m = rng.dirichlet(np.full(6, 0.5)) * (np.arange(6) > 1)
        m /= m.sum()
        least = v[m > 0].min() if flaw == "support" else v.min()
        price = {"l1": rho / 2, "twice": 2 * rho}.get(flaw, rho)
        left.append(max(m @ np.minimum(v, a) - price * max(a - least, 0.0) for a in v))
        right.append(_ball_program(m, v, rho, "all"))
    # The linear program's own tolerance.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-7))


@claim(
    "Dual of the ball",
    r"\min_{TV(q, \mu) \le \rho} q \cdot V = \max_{\alpha} E_\mu \min(V, \alpha) - \rho (\alpha - \min V)",
    relation=Identity(),
    falsifiers={
        "least_over_support": variant(_dual, "Least value over the factor's own support.", "support"),
        "half_the_radius": variant(_dual, "The price of an L1 ball of the same radius.", "l1"),
    },
    lemmas=("liu2024:ball_dual", "iyengar2005:tv_strong_duality"),
    words="Nature's best answer in a ball is found by one number, the height at which values are cut.",
    title="Dual of total variation",
)
def dual(p: Params, rng: np.random.Generator) -> Evidence:
    """Maximum over the values as alpha against linear programs; factors that miss two states."""
    return _dual(p, rng)


def _signed(p: Params, rng: np.random.Generator, search: str = "knots") -> Evidence:
    measured, bound = [], []
    for _ in range(p.rows):
        v, rho, H = rng.uniform(0, 3, 8), 0.1, 3.0
        # Ridge estimates: rows that need not be positive, nor sum to one.
        m = rng.normal(1 / 8, 0.3, 8)

        def value(alpha: float, m=m, v=v, rho=rho) -> float:
            return float(m @ np.minimum(v, alpha) - rho * max(alpha - v.min(), 0.0))

        grid = max(value(a) for a in np.linspace(0, H, 2001))
        found = minimize(lambda x: -value(x[0]), [H / 2], method="Nelder-Mead", bounds=[(0, H)])
        scanned = max(value(a) for a in [0.0, *v])
        # Shifted by 10, so that ratios mean something.
        measured += [10 + grid, 10 - found.fun]
        bound += [10 + (-found.fun if search == "nelder-mead" else scanned) + 1e-12] * 2
    return Evidence(measured=measured, bound=bound)


@claim(
    "Maximisation over alpha",
    r"\max_{\alpha \in [0, H]} \hat z_i(\alpha) - \rho (\alpha - \min V)"
    r"\text{ is attained at } \alpha \in \{0\} \cup \{V(s)\}",
    relation=Bound(),
    assumptions=("ridge estimates of factors, of any sign",),
    falsifiers={"nelder_mead": variant(_signed, "The value that Nelder-Mead from H/2 finds.", "nelder-mead")},
    words="The estimated dual has many peaks, all of them at values of states: a scan finds the highest.",
    title="A scan of the knots is exact",
)
def scan(p: Params, rng: np.random.Generator) -> Evidence:
    """Scan against a fine grid and the public code's optimiser, on random signed rows."""
    return _signed(p, rng)


def _contaminated(p: Params, rng: np.random.Generator, point: bool = False, share: float = 1.0) -> Evidence:
    left, right = [], []
    for _ in range(p.rows):
        v, rho = rng.uniform(0, 3, 5), float(rng.uniform(0.05, 0.3))
        m = np.eye(5)[rng.integers(5)] if point else rng.dirichlet(np.ones(5))
        left.append((1 - share * rho) * m @ v + share * rho * v.min())
        right.append(_ball_program(m, v, rho, "all"))
    # The linear program's own tolerance.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-7))


@claim(
    'Proof of the range bound, "the worst-case factor kernel"',
    r"\min_{TV(q, \mu) \le \rho} q \cdot V = \big((1 - \rho) \mu + \rho \delta_{\arg\min V}\big) \cdot V",
    relation=Identity(),
    falsifiers={"half": variant(_contaminated, "Only half of the radius.", share=0.5)},
    controls={"point_masses": variant(_contaminated, "Factors that are point masses: there it is.", point=True)},
    lemmas=("liu2024:not_the_worst",),
    words="As printed: mixing with the worst state is nature's best answer. It is an answer, but she has better ones.",
    title="The kernel called worst is not the worst",
)
def contaminated_worst(p: Params, rng: np.random.Generator) -> Evidence:
    """Value under the printed kernel against the linear program."""
    return _contaminated(p, rng)


def _two_ends(horizon: int) -> LinearMDP:
    """A state that pays 1 and stays, one that pays 0 and stays."""
    return LinearMDP(np.eye(2)[:, None], np.eye(2), [1.0, 0.0], horizon)


def _range(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound, radius = [], [], []
    for k in range(p.rows):
        rho, H = float(rng.uniform(0.05, 0.5)), 2 + k % 7
        linear = _two_ends(H) if k == 0 else random_linear_mdp(5, 2, 3, H, rng=rng)
        answer = linear_backward_induction(RobustLinearMDP(linear, TVBall(rho)))
        for h in range(H):
            left = H - h - (flaw == "one_less")
            measured.append(np.ptp(answer.value[h]))
            # Two values, each known up to the gap; without the allowance an attained bound would be undecided.
            slack = 4 * answer.certificate.gap
            size = rho * (2 if flaw == "twice" else 1)
            bound.append((1 - (1 - size) ** left) / size + slack)
            radius.append(slack / 2)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Range shrinkage",
    r"\max V_h - \min V_h \le \frac{1 - (1 - \rho)^{H - h}}{\rho}",
    relation=Bound(),
    assumptions=("rewards in $[0, 1]$", "$h = 0, \\dots, H - 1$"),
    falsifiers={
        "one_decision_less": variant(_range, "H - h - 1 in place of H - h.", "one_less"),
        "twice_the_radius": variant(_range, "(1 - 2 rho) in the power.", "twice"),
    },
    lemmas=("liu2024:range_recursion", "liu2024:contaminated_feasible"),
    words="Against nature's ball values differ by at most about one over its radius, whatever the horizon.",
    title="Range shrinkage",
)
def range_shrinkage(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified values of random problems, and of two absorbing states, where it is attained."""
    return _range(p, rng)


def _tabular(p: Params, rng: np.random.Generator, off: float = 0.0) -> Evidence:
    left, right = [], []
    for _ in range(p.rows):
        mdp = MDP(rng.dirichlet(np.full(6, 0.5), (6, 2)), rng.random((6, 2)), 0.5)
        answer = linear_backward_induction(RobustLinearMDP(one_hot(mdp, 4), TVBall(0.2 + off)))
        operator, v = RobustBellman.of(RobustMDP(mdp, TVBall(0.2))), np.zeros(6)
        for h in range(3, -1, -1):
            # The operator discounts by 1/2, so that it is fed twice the value.
            v = operator.backup(2 * v).Tv
            left += answer.value[h].tolist()
            right += v.tolist()
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-12))


@claim(
    "One-hot features",
    r"d = SA,\ \phi = e_{(s,a)}: \quad V^{\text{d-rectangular}} = V^{(s, a)\text{-rectangular}}",
    relation=Identity(),
    falsifiers={"radius_off": variant(_tabular, "A radius a thousandth larger.", 0.001)},
    words="With a feature for each pair the ball around factors is the ball around rows, to rounding.",
    title="One-hot features are tabular",
)
def tabular(p: Params, rng: np.random.Generator) -> Evidence:
    """Against the tabular robust operator, four decisions."""
    return _tabular(p, rng)


def _learn(linear: LinearMDP, data: OfflineData, rho, beta: float, aware: bool = False) -> OfflineEstimate:
    given = (linear.phi, linear.rewards(), data)
    # Random processes have no state of value 0.
    fail = FAIL if linear.start[0] == 1 else None
    return (va_drpvi if aware else drpvi)(*given, rho=rho, beta=beta, fail=fail)


def _pessimism(p: Params, rng: np.random.Generator, beta: float = 0.5) -> Evidence:
    linear, violated = drawn_process(rng), []
    problem = RobustLinearMDP(linear, TVBall(0.2))
    for n in (100, 1000, 10_000):
        for aware in (False, True):
            for _ in range(p.runs):
                out = _learn(linear, uniform_data(linear, n, rng=rng), 0.2, beta, aware)
                paid = linear_policy_evaluation(problem, out.policy)
                violated.append(bool(out.value[0, 0] > paid.value[0, 0] + paid.certificate.gap))
    return Evidence(violated=violated)


@claim(
    "Pessimism (Theorem 4.4's event)",
    r"\hat V_1 \le V^{\hat\pi}_1",
    relation=BoundHP(delta=0.05),
    assumptions=(r"$\rho = 0.2$, $\beta = 1/2$; DRPVI and VA-DRPVI; 100 to 10000 trajectories",),
    falsifiers={"no_penalty": variant(_pessimism, "beta = 0.", beta=0.0)},
    words="What the learner promises is at most what its policy is worth against nature; without penalty it is not.",
    title="Pessimism",
)
def pessimism(p: Params, rng: np.random.Generator) -> Evidence:
    """Promise against the exact robust value of the learned policy, run by run."""
    return _pessimism(p, rng)


def _most_uncertain(linear: LinearMDP, out: OfflineEstimate, policy: np.ndarray, rho: float) -> float:
    """sup over the ball's kernels of E sum_h sum_i phi_i sqrt(Ainv_ii) under a policy: minus a robust evaluation."""
    theta = -np.sqrt(np.diagonal(out.inverse, axis1=1, axis2=2))
    # The last factor value is known to be 0, but the penalty is taken there too.
    penalty = LinearMDP(linear.phi, linear.mu, theta, linear.horizon, start=linear.start)
    return -float(linear_policy_evaluation(RobustLinearMDP(penalty, TVBall(rho)), policy).value[0] @ linear.start)


def _guarantee(p: Params, rng: np.random.Generator, factor: float = 2.0) -> Evidence:
    violated, ratios, rho, beta = [], [], 0.2, 0.5
    for linear in (drawn_process(rng), covered_process(rng)):
        best = linear_backward_induction(RobustLinearMDP(linear, TVBall(rho)))
        for n in (400, 1600, 6400):
            for _ in range(p.runs):
                out = _learn(linear, uniform_data(linear, n, rng=rng), rho, beta)
                gap = (best.value[0] - out.value[0]) @ linear.start
                bound = factor * beta * _most_uncertain(linear, out, best.policy, rho)
                violated.append(bool(gap > bound + best.certificate.gap))
                ratios.append(gap / bound)
    return Evidence(violated=violated, ratios=ratios)


@claim(
    "Theorem 4.4",
    r"V^*_1 - V^{\hat\pi}_1 \le V^*_1 - \hat V_1 \le 2 \beta \sup_{P \in U^\rho(P^0)}"
    r"\sum_h E^{\pi^*, P} \Big[\sum_i \| \phi_i 1_i \|_{\Lambda_h^{-1}}\Big]",
    relation=BoundHP(delta=0.1),
    assumptions=(r"$\rho = 0.2$; $\beta = 1/2$ in place of the theorem's constant", "400 to 6400 trajectories"),
    falsifiers={"a_third": variant(_guarantee, "Factor 2/3 in place of 2.", 2 / 3)},
    controls={"three": variant(_guarantee, "Factor 3.", 3.0)},
    lemmas=("tang2025:penalty",),
    words="What is lost is at most twice the penalty that the best policy meets where nature is least explored.",
    title="Instance-dependent guarantee",
)
def guarantee(p: Params, rng: np.random.Generator) -> Evidence:
    """The middle of the chain against the exact supremum, run by run."""
    return _guarantee(p, rng)


def _shrinks(p: Params, rng: np.random.Generator, aware: bool, stops: bool = False) -> Evidence:
    return Evidence(**_errors(p, rng, covered_process(rng), aware, stops))


def _errors(p: Params, rng: np.random.Generator, linear: LinearMDP, aware: bool, stops: bool = False) -> dict:
    best = linear_backward_induction(RobustLinearMDP(linear, TVBall(0.2))).value[0] @ linear.start
    n = p.first * 2 ** np.arange(p.doublings + 1)
    error = np.empty((p.seeds, n.size))
    for row in error:
        data = uniform_data(linear, int(n[-1]), rng=rng)
        for k, size in enumerate(n):
            used = int(min(size, 2 * p.first)) if stops else int(size)
            row[k] = best - _learn(linear, data[:used], 0.2, 1.0, aware).value[0] @ linear.start
    return {"n": n.astype(float), "error": error}


def _rate(aware: bool, name: str) -> Callable:
    return claim(
        f"Corollary 4.5, {name}",
        r"V^*_1 - \hat V_1 = O(K^{-1/2})",
        relation=Rate(exponent=0.5, margin=0.05),
        assumptions=(r"$\kappa > 0$: uniform data cover all features", r"$\rho = 0.2$, $\beta = 1$"),
        falsifiers={"stops": variant(_shrinks, "Never more than twice the first number of trajectories.", aware, True)},
        words="What pessimism costs falls like one over the root of the number of trajectories.",
        title=f"Rate in the trajectories, {name}",
    )


@_rate(False, "DRPVI")
def rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact robust optimum less the promise; it bounds the suboptimality where the promise is pessimistic."""
    return _shrinks(p, rng, False)


@_rate(True, "VA-DRPVI")
def rate_aware(p: Params, rng: np.random.Generator) -> Evidence:
    """As for DRPVI."""
    return _shrinks(p, rng, True)


def _simulated_rate(p: Params, rng: np.random.Generator, stops: bool = False) -> Evidence:
    return Evidence(**_errors(p, rng, drawn_process(rng), False, stops))


@claim(
    "Published simulation, rate (measured)",
    r"V^*_1 - \hat V_1 = O(K^{-1/2})",
    relation=Rate(exponent=0.5, margin=0.12),
    assumptions=(r"outside the corollary: $\kappa = 0$", r"$\rho = 0.2$, $\beta = 1$"),
    falsifiers={"stops": variant(_simulated_rate, "Never more than twice the first number of trajectories.", True)},
    words="On the published simulation the same rate is seen, although no theorem says so.",
    title="Rate on the published simulation",
)
def rate_published(p: Params, rng: np.random.Generator) -> Evidence:
    """As for the corollary, on simulated processes with drawn constants."""
    return _simulated_rate(p, rng)


def _uncovered(p: Params, rng: np.random.Generator, instance: str = "published") -> Evidence:
    linear = simulated_linear_mdp() if instance == "published" else drawn_process(rng)
    if instance == "start":
        linear = LinearMDP(linear.phi, linear.mu, linear.theta, 3, start=np.full(5, 0.2))
    if instance == "random":
        linear = covered_process(rng)
    unseen = _unseen(linear)
    text = "; ".join(f"stage {h + 1}: factors {sorted(i + 1 for i in each)}" for h, each in enumerate(unseen))
    return Evidence(holds=[bool(each) for each in unseen], text=f"never met: {text}")


@claim(
    "Coverage of the published simulation (derived)",
    r"\kappa = \min_h \lambda_{\min}\big(E^{\pi^b} [\phi \phi^\top]\big) = 0",
    relation=Witness(),
    assumptions=("simulated process, uniform actions, start in $x_1$",),
    falsifiers={
        "uniform_start": variant(_uncovered, "A start in any state.", "start"),
        "random_process": variant(_uncovered, "The processes on which the rate is judged.", "random"),
    },
    words="At every step some factor is never met, so that the corollary asks for infinitely many trajectories.",
    title="The published simulation is not covered",
)
def coverage(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact zeros in the features of the states that can be reached."""
    return _uncovered(p, rng)


def _halved(p: Params, rng: np.random.Generator, whole: bool = False) -> Evidence:
    left, right = [], []
    linear = drawn_process(rng)
    for n in (400, 4000):
        data = uniform_data(linear, n, rng=rng)
        left += _learn(linear, data, 0.2, 0.3, True).q[0].ravel().tolist()
        right += _learn(linear, data if whole else data[n // 2 :], 0.2, 0.3).q[0].ravel().tolist()
    # Inverses of condition below 1e4, of the same matrices.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-10))


@claim(
    "VA-DRPVI on the simulated process (derived)",
    r"H = 3: \quad \hat\sigma^2 = \max\{1, \cdot\} = 1, \quad"
    r"\text{VA-DRPVI}(D) = \text{DRPVI}(\text{second half of } D)",
    relation=Identity(),
    assumptions=("values ahead in $[0, 2]$ have variance at most 1", "estimates of the variance below 1"),
    falsifiers={"all_data": variant(_halved, "DRPVI on all of the data.", True)},
    words="On the published simulation the variance-aware learner has nothing to weigh, and half of the data.",
    title="Variance weights that are all one",
)
def aware_is_half(p: Params, rng: np.random.Generator) -> Evidence:
    """Estimated values of all first pairs."""
    return _halved(p, rng)


def _flip(linear: LinearMDP, everywhere: bool = False) -> float:
    """Radius from which the cautious first action is best, by bisection on the exact solver."""
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        one = TVBall(np.full((3, 4), middle) if everywhere else on_the_last(middle))
        q = linear_backward_induction(RobustLinearMDP(linear, one)).extras["q"][0, 0]
        low, high = (low, middle) if q[0] > q[-1] else (middle, high)
    return high


def _threshold(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for linear in (simulated_linear_mdp(), drawn_process(rng)):
        v2 = linear_backward_induction(linear).value[1, 1]
        left.append(_flip(linear, flaw == "everywhere"))
        right.append((1 - 0.999 * v2 / 2) / (2 if flaw == "l1" else 1))
    # The bisection's last interval, and a solver's error of 1e-10 over a slope of 2.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 3e-9))


@claim(
    "Simulated process, when caution is best (derived)",
    r"\rho_{1,4} > 1 - 0.999\, V_2(x_2) / 2 \iff \pi^*_1(x_1) = (-1,-1,-1,-1)",
    relation=Identity(),
    assumptions=(r"ball on factor 4 of the first step alone; $\rho^* = 0.37575$ at $\|\xi\|_1 = 0.2$",),
    falsifiers={
        "half": variant(_threshold, "Half of it: the radius in L1.", "l1"),
        "all_factors": variant(_threshold, "The same radius on all factors and steps.", "everywhere"),
    },
    lemmas=("liu2024:threshold",),
    words="A large enough ball on the risky factor makes the cautious action the best one: robust by theory.",
    title="The radius at which the action turns",
)
def threshold(p: Params, rng: np.random.Generator) -> Evidence:
    """Closed form against bisection on certified values."""
    return _threshold(p, rng)


def _cautious(p: Params, rng: np.random.Generator, rho: float = 0.5) -> Evidence:
    linear, violated = simulated_linear_mdp(), []
    for _ in range(p.runs):
        out = _learn(linear, uniform_data(linear, 20_000, rng=rng), on_the_last(rho), 0.1)
        violated.append(bool(out.policy[0, 0] != 0))
    return Evidence(violated=violated)


@claim(
    "Simulated process, learned action",
    r"\rho_{1,4} = 0.5: \quad \hat\pi_1(x_1) = (-1,-1,-1,-1)",
    relation=BoundHP(delta=0.1),
    assumptions=(r"20000 trajectories, $\beta = 0.1$",),
    falsifiers={"small_ball": variant(_cautious, "rho = 0.25, below the threshold.", 0.25)},
    lemmas=("liu2024:threshold",),
    words="With a ball above the threshold the learner stays cautious however much data it has.",
    title="Robust by its set",
)
def stays_cautious(p: Params, rng: np.random.Generator) -> Evidence:
    """First action learned from many trajectories with a small penalty."""
    return _cautious(p, rng)


def figure_curves(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Exact returns over the test's q of policies that are optimal for a ball on factor 4."""
    q, table = np.linspace(0, 1, 21), {}
    linear = simulated_linear_mdp()
    for name, rho in (("rho_0", 0.0), ("rho_30", 0.3), ("rho_45", 0.45)):
        policy = linear_backward_induction(RobustLinearMDP(linear, TVBall(on_the_last(rho)))).policy
        table[name] = np.array([return_on_test(policy, float(x)) for x in q])
    return {"q": q} | table


def figure_range(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Range of values over the decisions that are left, two absorbing states, and the bound."""
    n = np.arange(1, 31)
    table = {"n": n}
    for name, rho in (("nominal", 0.0), ("rho_10", 0.1), ("rho_30", 0.3)):
        value = linear_backward_induction(RobustLinearMDP(_two_ends(30), TVBall(rho))).value
        table[name] = np.ptp(value[30 - n], axis=1)
        if rho:
            table[f"bound_{name[4:]}"] = (1 - (1 - rho) ** n) / rho
    return table


def figure_guarantee(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Optimum less promise, and the guarantee, over the trajectories: published and covered process, twelve runs."""
    n = 400 * 2 ** np.arange(7)
    rho, beta = 0.2, 0.5
    table: dict[str, np.ndarray] = {"K": n}
    for name, linear in (("published", simulated_linear_mdp()), ("covered", covered_process(rng))):
        best = linear_backward_induction(RobustLinearMDP(linear, TVBall(rho)))
        promise, bound = np.empty((12, n.size)), np.empty((12, n.size))
        for i, one in enumerate(rng.spawn(12)):
            data = uniform_data(linear, int(n[-1]), rng=one)
            for k, size in enumerate(n):
                out = _learn(linear, data[:size], rho, beta)
                promise[i, k] = (best.value[0] - out.value[0]) @ linear.start
                bound[i, k] = 2 * beta * _most_uncertain(linear, out, best.policy, rho)
        table[name] = promise.mean(axis=0)
        table[f"{name}_lo"], table[f"{name}_hi"] = np.quantile(promise, [0.1, 0.9], axis=0)
        table[f"bound_{name}"] = bound.mean(axis=0)
    return table
