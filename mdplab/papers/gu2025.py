r"""Gu, He, Liu, Xu (2025): DR-RPO, online robust learning with a policy kept near a reference.

Only the abstract was seen (arXiv:2510.14246). The algorithm is a reconstruction from it and from the public code of the
same group for DR-LSVI-UCB: optimistic least squares against balls of total variation around the factors, and the policy
pi ~ reference exp(Q / tau). No constant and no logarithm of the paper is claimed; theorems are those that such an
algorithm has (our specification, B). Losses are those of the regularised robust value, by exact dynamic programming.

Derived here: the loss of a policy is tau times the divergences from the optimal policy that it meets, exactly for one
decision, and between the worst kernels for either policy in general. The mirror variant contracts by 1 / (1 + eta tau).
On RiverSwim with a fail state, one-hot features and a small temperature, learning needs the bonus. Greedy LSVI-UCB
needs a larger one on the simulated process: with 1 it stays with the first action, and promises less than the optimum.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.linear import dr_lsvi_ucb, dr_rpo, lsvi_ucb
from mdplab.claims import Bound, BoundHP, BoundMean, Evidence, Identity, Ordering, Rate, claim, variant
from mdplab.exact import linear_backward_induction, linear_policy_evaluation
from mdplab.instances import riverswim
from mdplab.instances.linear import (
    FAIL,
    one_hot,
    random_linear_mdp,
    simulated_linear_mdp,
    simulated_test_kernels,
)
from mdplab.kernels.linear import mirror_step
from mdplab.models import MDP, LinearMDP, RobustLinearMDP, TVBall
from mdplab.papers.shared.linear import drawn_process, on_the_last

# Value of x1 at tau = 0, .02, .1, 1, uniform reference: our specification, B.4. (xi, rho on factor 4 of the first step)
GOLDEN = {
    (0.1, 0.3): (1.18323214, 1.10040441, 1.02027498, 0.98985003),
    (0.2, 0.1): (1.52425012, 1.43070311, 1.24985581, 1.12350101),
    (0.2, 0.5): (1.22365023, 1.12269363, 0.97608006, 0.87891736),
}
# The same with all radii .1, tau = 0 and .1.
GOLDEN_ALL = {0.1: (1.21032494, 1.0276701), 0.2: (1.38305012, 1.12065176)}


@dataclass(frozen=True)
class Params:
    """Sizes: `rows` random problems, `runs` of learners a replicate of `episodes`, 64 times 2 to the `doublings`."""

    rows: int
    runs: int
    doublings: int

    @property
    def episodes(self) -> int:
        """Longest run."""
        return 64 * 2**self.doublings


def _drawn(rng: np.random.Generator) -> RobustLinearMDP:
    """A simulated process with other constants, a ball on factor 4 of the first step."""
    return RobustLinearMDP(drawn_process(rng), TVBall(on_the_last(float(rng.uniform(0.1, 0.5)))))


def _evaluate(problem: RobustLinearMDP, policies: np.ndarray, tau: float) -> np.ndarray:
    """Regularised robust values (N, S) at stage 0 of many policies (N, H, S, A), uniform reference.

    By the dual of the ball, whose maximum over alpha is at a value, for all policies at once.
    """
    linear, v = problem.linear, np.zeros((len(policies), problem.S))
    rewards, sizes = linear.rewards(), problem.sizes()
    logs = np.log(np.maximum(policies, 1e-300) * linear.A)
    for h in range(linear.horizon - 1, -1, -1):
        cut = np.minimum(v[:, :, None], v[:, None, :])
        price = sizes[h] * (v[:, :, None] - v.min(axis=1)[:, None, None])
        # Axis 1: the alpha that cuts.
        least = (cut @ linear.mu[h].T - price).max(axis=1)
        q = rewards[h] + np.einsum("sai,ni->nsa", linear.phi, least)
        v = (policies[:, h] * (q - tau * logs[:, h])).sum(axis=2)
    return v


def _recursion(linear: LinearMDP, radius: np.ndarray, tau: float, flaw: str = "") -> float:
    """Optimal regularised robust value of the first state, restated; radius (H, d)."""
    v, rewards = np.zeros(linear.S), linear.rewards()
    for h in range(linear.horizon - 1, -1, -1):
        # As over data that never entered the fail state.
        low = np.sort(v)[1] if flaw == "second_least" and h < linear.horizon - 1 else v.min()
        least = [max(m @ np.minimum(v, a) - x * max(a - low, 0.0) for a in v) for m, x in zip(linear.mu[h], radius[h])]
        q = rewards[h] + linear.phi @ np.array(least)
        v = q.max(axis=1)
        if tau:
            weights = np.exp((q - v[:, None]) / tau)
            v = v + tau * np.log(weights.sum(axis=1) if flaw == "entropy" else weights.mean(axis=1))
    return float(v[0])


def _values(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    cases = [(xi, on_the_last(rho), (0, 0.02, 0.1, 1), printed) for (xi, rho), printed in GOLDEN.items()]
    cases += [(xi, np.full((3, 4), 0.1), (0, 0.1), printed) for xi, printed in GOLDEN_ALL.items()]
    for xi, radius, taus, printed in cases:
        linear = simulated_linear_mdp(xi=xi)
        used = np.full((3, 4), radius.max()) if flaw == "everywhere" else radius
        for tau, value in zip(taus, printed, strict=True):
            found = _recursion(linear, used, tau, flaw)
            certified = linear_backward_induction(RobustLinearMDP(linear, TVBall(radius)), tau=tau).value[0, 0]
            left += [found, found]
            right += [value, certified]
    # Eight printed decimals; the certified value is nearer.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 6e-9))


@claim(
    "Regularised robust Bellman equation; values of the simulated process",
    r"V_h = \tau \log \sum_a \pi_{ref} e^{Q_h / \tau},\quad Q_h = \phi \cdot (\theta_h + \nu_h),\quad"
    r"\nu_{h,i} = \max_\alpha E \min(V_{h+1}, \alpha) - \rho_{h,i} (\alpha - \min V_{h+1})",
    relation=Identity(),
    falsifiers={
        "radius_everywhere": variant(_values, "The radius on all factors and steps.", "everywhere"),
        "entropy": variant(_values, "An entropy bonus in place of the divergence: log of the sum.", "entropy"),
        "least_over_data": variant(_values, "The least value without the fail state.", "second_least"),
    },
    lemmas=("gu2025:gibbs_gap", "liu2024:ball_dual"),
    words="The doubly constrained problem's values, to eight decimals of the specification and the certified ones.",
    title="Exact values of the simulated process",
)
def values(p: Params, rng: np.random.Generator) -> Evidence:
    """The recursion restated, against printed values and the certified solver."""
    return _values(p, rng)


_TAUS, _RADII = (1e-3, 0.02, 0.1, 0.5, 2.0, 20.0), (0.0, 0.05, 0.1, 0.3, 0.6, 1.0)


def _monotone(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound, radius = [], [], []
    for _ in range(p.rows):
        linear = random_linear_mdp(5, 3, 4, 3, rng=rng)
        uniform = np.full((5, 3), 1 / 3)
        along_tau = [linear_backward_induction(RobustLinearMDP(linear, TVBall(0.1)), tau=t) for t in _TAUS]
        along_rho = [linear_backward_induction(RobustLinearMDP(linear, TVBall(x)), tau=0.1) for x in _RADII]
        kept = [answer.value[0, 0] for answer in along_tau]
        if flaw == "entropy":
            # tau H log A more, in every state: nature's answers do not change.
            kept = [v + 3 * t * np.log(3) for v, t in zip(kept, _TAUS, strict=True)]
        least = [answer.value[0, 0] for answer in along_rho]
        if flaw == "friendly":
            mirrored = LinearMDP(linear.phi, linear.mu, -linear.theta, 3, start=0)
            friends = [linear_policy_evaluation(RobustLinearMDP(mirrored, TVBall(x)), uniform) for x in _RADII]
            least = [-answer.value[0, 0] for answer in friends]
        for row in (kept, least):
            measured += row[1:]
            bound += row[:-1]
        # From below the reference's own robust value, which it tends to.
        reference = linear_policy_evaluation(RobustLinearMDP(linear, TVBall(0.1)), uniform).value[0, 0]
        measured.append(reference)
        bound.append(kept[-1])
        radius += [2 * max(a.certificate.gap for a in (*along_tau, *along_rho))] * (len(_TAUS) + len(_RADII) - 1)
    return Evidence(measured=measured, bound=np.array(bound) + 2 * np.array(radius), radius=radius)


@claim(
    "Order in temperature and radius",
    r"\tau \le \tau',\ \rho \le \rho' \implies V_{\tau, \rho} \ge V_{\tau', \rho'} \ge V^{\pi_{ref}}_{\rho'}",
    relation=Bound(),
    falsifiers={
        "entropy": variant(_monotone, "An entropy bonus in place of the divergence.", "entropy"),
        "friendly_nature": variant(_monotone, "Nature chooses the best factors.", "friendly"),
    },
    words="Both constraints cost: values fall with the price of leaving the reference and with nature's radius.",
    title="Both constraints cost",
)
def monotone(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified values on grids of temperatures and radii, random problems."""
    return _monotone(p, rng)


def _kl(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * np.log(one / other)).sum(axis=-1)


def _one_step(p: Params, rng: np.random.Generator, reversed_kl: bool = False, factor: float = 1.0) -> Evidence:
    left, right = [], []
    for _ in range(p.rows):
        problem = RobustLinearMDP(random_linear_mdp(5, 4, 3, 3, rng=rng), TVBall(float(rng.uniform(0, 0.4))))
        tau, h = float(rng.uniform(0.05, 1)), int(rng.integers(3))
        best = linear_backward_induction(problem, tau=tau)
        policy = np.array(best.policy)
        policy[h] = rng.dirichlet(np.ones(4), 5)
        paid = linear_policy_evaluation(problem, policy, tau=tau)
        left += (best.value[h] - paid.value[h]).tolist()
        pair = (best.policy[h], policy[h]) if reversed_kl else (policy[h], best.policy[h])
        right += (factor * tau * _kl(*pair)).tolist()
    # Exponentials and logarithms of numbers below 60.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-12))


@claim(
    "One decision off the optimum (derived)",
    r"V^*_h(s) - V^{\pi_h, \pi^*_{h+1}, \dots}_h(s) = \tau\, KL(\pi_h(s) \| \pi^*_h(s))",
    relation=Identity(),
    falsifiers={
        "reversed": variant(_one_step, "The divergence the other way round.", True),
        "one_percent_more": variant(_one_step, "1.01 tau.", factor=1.01),
    },
    lemmas=("gu2025:gibbs_gap",),
    words="Leaving the optimal policy for one decision costs its divergence, against any nature.",
    title="The loss of one decision",
)
def one_decision(p: Params, rng: np.random.Generator) -> Evidence:
    """Certified values with one stage's policy replaced, all states."""
    return _one_step(p, rng)


def _divergences(linear: LinearMDP, mu: np.ndarray, policy: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Expected sum of costs (H, S) under a policy (H, S, A) and factors mu (H, d, S), from each state."""
    v = np.zeros(linear.S)
    for h in range(linear.horizon - 1, -1, -1):
        chain = np.einsum("sa,sai,it->st", policy[h], linear.phi, mu[h])
        v = cost[h] + chain @ v
    return v


def _sandwich(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    measured, bound = [], []
    for _ in range(p.rows):
        linear = random_linear_mdp(5, 3, 3, 4, rng=rng)
        problem, tau = RobustLinearMDP(linear, TVBall(float(rng.uniform(0.1, 0.4)))), float(rng.uniform(0.05, 0.5))
        best = linear_backward_induction(problem, tau=tau)
        policy = rng.dirichlet(np.ones(3), (4, 5))
        paid = linear_policy_evaluation(problem, policy, tau=tau)
        loss, cost = best.value[0] - paid.value[0], tau * _kl(policy, best.policy)
        met = [_divergences(linear, one.extras["factors"], policy, cost) for one in (best, paid)]
        if flaw == "swapped":
            met.reverse()
        if flaw == "nominal":
            met = [_divergences(linear, linear.mu, policy, cost)] * 2
        measured += [*met[0], *loss]
        bound += [*(loss + 1e-11), *(met[1] + 1e-11)]
    return Evidence(measured=measured, bound=bound)


@claim(
    "Loss of a policy (derived)",
    r"\tau E^{\pi, P^*}\Big[\sum_h KL(\pi_h \| \pi^*_h)\Big] \le V^* - V^\pi \le"
    r"\tau E^{\pi, P^\pi}\Big[\sum_h KL(\pi_h \| \pi^*_h)\Big]",
    relation=Bound(),
    assumptions=("$P^*$, $P^\\pi$: worst factors for the optimal values and for those of the policy",),
    falsifiers={
        "swapped": variant(_sandwich, "The two kernels exchanged.", "swapped"),
        "nominal": variant(_sandwich, "The nominal kernel on both sides.", "nominal"),
    },
    lemmas=("gu2025:gibbs_gap",),
    words="What a policy loses lies between the divergences that it meets under two of nature's kernels.",
    title="The loss of a policy",
)
def loss_sandwich(p: Params, rng: np.random.Generator) -> Evidence:
    """Random policies of four decisions, all first states."""
    return _sandwich(p, rng)


def _mirror(p: Params, rng: np.random.Generator, rate=lambda eta, tau: 1 / (1 + eta * tau)) -> Evidence:
    left, right = [], []
    for _ in range(p.rows):
        A, tau, eta = 5, float(rng.uniform(0.05, 1)), float(rng.uniform(0.1, 10))
        ref, q = rng.dirichlet(np.ones(A)), rng.uniform(0, 3, A)
        log_pi, pi = np.log(rng.dirichlet(np.ones(A))), np.empty(A)
        limit = np.log(ref) + q / tau
        for _ in range(6):
            off = log_pi - limit
            mirror_step(q, ref, tau, eta, log_pi, pi)
            now = log_pi - limit
            left += (now[1:] - now[0]).tolist()
            right += (rate(eta, tau) * (off[1:] - off[0])).tolist()
    # Logarithms of size 60.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-12))


@claim(
    "Mirror variant, fixed estimates (derived)",
    r"\log \frac{\pi_{k+1}(a) \pi^*(b)}{\pi^*(a) \pi_{k+1}(b)} = \frac{1}{1 + \eta\tau}"
    r"\log \frac{\pi_k(a) \pi^*(b)}{\pi^*(a) \pi_k(b)}",
    relation=Identity(),
    falsifiers={
        "linearised": variant(_mirror, "1 - eta tau / 2.", lambda eta, tau: 1 - eta * tau / 2),
        "no_temperature": variant(_mirror, "1 / (1 + eta).", lambda eta, tau: 1 / (1 + eta)),
    },
    lemmas=("gu2025:mirror_step",),
    words="Each proximal step brings the policy's log-ratios nearer to the softmax by the same factor.",
    title="The mirror step's factor",
)
def mirror_factor(p: Params, rng: np.random.Generator) -> Evidence:
    """Six steps of the learner's own update, all ratios."""
    return _mirror(p, rng)


def _optimism(p: Params, rng: np.random.Generator, beta: float = 1.0) -> Evidence:
    problem, violated = _drawn(rng), []
    best = linear_backward_induction(problem, tau=0.1)
    options = {"rho": problem.sizes(), "tau": 0.1, "episodes": 512, "fail": FAIL, "seeds": p.runs}
    run = dr_rpo(problem.linear, beta=beta, rng=rng, **options)
    short = run["estimate"] < best.value[0, 0] - best.certificate.gap
    # At most one in a hundred episodes.
    violated = short.mean(axis=1) > 0.01
    return Evidence(violated=violated, share=short.mean(axis=1))


@claim(
    "Optimism",
    r"\hat V^k_1 \ge V^*_1 \ \text{ in at least } 99\,\% \text{ of } k \le 512",
    relation=BoundHP(delta=0.1),
    assumptions=(r"$\tau = 0.1$, $\beta = 1$, ridge 1", "fail state known"),
    falsifiers={"no_bonus": variant(_optimism, "beta = 0.", 0.0)},
    controls={"half": variant(_optimism, "beta = 1/2.", 0.5)},
    words="With its bonus the learner nearly always promises more than the optimum, without it often less.",
    title="Optimism needs the bonus",
)
def optimism(p: Params, rng: np.random.Generator) -> Evidence:
    """Estimates before every episode against the certified optimum, run by run."""
    return _optimism(p, rng)


def _losses(problem: RobustLinearMDP, policies: np.ndarray, tau: float) -> np.ndarray:
    """Exact losses (runs, episodes) of policies (runs, episodes, H, S, A) at the first state."""
    best = linear_backward_induction(problem, tau=tau).value[0, 0]
    return np.array([best - _evaluate(problem, run, tau)[:, 0] for run in policies])


def _average(p: Params, rng: np.random.Generator, beta: float = 0.5, still: bool = False) -> Evidence:
    problem = _drawn(rng)
    n = 64 * 2 ** np.arange(p.doublings + 1)
    options = {"rho": problem.sizes(), "tau": 0.1, "episodes": p.episodes, "fail": FAIL, "seeds": p.runs}
    policies = dr_rpo(problem.linear, beta=beta, rng=rng, **options)["policy"]
    if still:
        policies = np.repeat(policies[:, :1], p.episodes, axis=1)
    mean = np.cumsum(_losses(problem, policies, 0.1), axis=1) / np.arange(1, p.episodes + 1)
    return Evidence(n=n.astype(float), error=mean[:, n - 1])


@claim(
    "Sublinear regret (reconstructed)",
    r"\frac1K \sum_{k \le K} \big( V^*_1 - V^{\pi_k}_1 \big) = O(K^{-1/2})",
    relation=Rate(exponent=0.5, margin=0.1),
    assumptions=(r"$\tau = 0.1$, $\beta = 1/2$, ridge 1, uniform reference", "fail state known"),
    falsifiers={
        "first_policy": variant(_average, "Plays the first episode's policy for ever.", still=True),
        "great_bonus": variant(_average, "beta = 200: every estimate is clipped, no data tell.", beta=200.0),
    },
    lemmas=("gu2025:bonus_sum",),
    words="The average loss falls at least like one over the root of the number of episodes.",
    title="Average suboptimality",
)
def average_suboptimality(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact losses of every episode's policy, averaged."""
    return _average(p, rng)


def _at_1500(p: Params, rng: np.random.Generator, episodes: int = 1500, still: bool = False) -> Evidence:
    problem = RobustLinearMDP(simulated_linear_mdp(xi=0.1), TVBall(on_the_last(0.3)))
    options = {"rho": problem.sizes(), "tau": 0.1, "episodes": episodes, "fail": FAIL, "seeds": 12}
    policies = dr_rpo(problem.linear, beta=0.5, rng=rng, **options)["policy"]
    if still:
        policies = np.full((12, 1, 3, 5, 16), 1 / 16)
    mean = _losses(problem, policies, 0.1).mean(axis=1)
    # Three standard errors of twelve runs.
    return Evidence(measured=[mean.mean() + 3 * mean.std(ddof=1) / np.sqrt(12)], bound=[0.012])


@claim(
    "Simulated process, average loss (measured)",
    r"\frac{1}{1500} \sum_{k \le 1500} \big( V^*_1 - V^{\pi_k}_1 \big) \le 0.012",
    relation=Bound(),
    assumptions=(r"$\|\xi\|_1 = 0.1$, $\rho = 0.3$ on factor 4, $\tau = 0.1$, $\beta = 1/2$; mean of twelve runs",),
    falsifiers={
        "reference": variant(_at_1500, "Plays the reference for ever: 0.034.", still=True),
        "early": variant(_at_1500, "The first 400 episodes alone.", 400),
    },
    words="The specification's number for the published process, with three standard errors to spare.",
    title="Average loss of 1500 episodes",
)
def average_1500(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact losses of every episode's policy; fixed seeds, no error rate."""
    return _at_1500(p, rng)


def _river(S: int = 4, horizon: int = 8) -> LinearMDP:
    """RiverSwim with one-hot features; every move ends in a fail state, worth 0, with probability .001."""
    calm = riverswim(S)
    P, r = np.zeros((S + 1, 2, S + 1)), np.zeros((S + 1, 2))
    P[:S, :, :S], P[:S, :, S], P[S, :, S] = 0.999 * calm.P, 0.001, 1.0
    r[:S] = calm.r
    return one_hot(MDP(P, r, 1.0, mu=np.eye(S + 1)[0], horizon=horizon))


def _swim(p: Params, rng: np.random.Generator, beta: float = 1.0) -> Evidence:
    linear = _river()
    problem = RobustLinearMDP(linear, TVBall(0.02))
    best = linear_backward_induction(problem).value[0, 0]
    options = {"rho": 0.02, "tau": 0.01, "fail": linear.S - 1, "seeds": p.runs}
    run = dr_rpo(linear, beta=beta, episodes=1000, checkpoints=[999], rng=rng, **options)
    share = [1 - linear_policy_evaluation(problem, one[0]).value[0, 0] / best for one in run["policy"]]
    return Evidence(error=np.clip(share, 0.0, 1.0), bound=np.array(0.2))


@claim(
    "Exploration on RiverSwim (derived)",
    r"E\big[1 - V^{\pi_K}_1 / V^*_1\big] \le 0.2, \quad K = 1000",
    relation=BoundMean(cap=1.0),
    assumptions=(r"$d = SA$, $H = 8$, $\rho = 0.02$, $\tau = 0.01$, $\beta = 1$", "loss without regularisation"),
    falsifiers={"no_bonus": variant(_swim, "beta = 0.", 0.0)},
    words="Where the reference does not explore by itself the policy is found with the bonus, and not without.",
    title="RiverSwim needs the bonus",
)
def river(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact robust value of the last policy as a share of the optimum."""
    return _swim(p, rng)


def _robust_pays(p: Params, rng: np.random.Generator, rho: float = 0.5) -> Evidence:
    problem = RobustLinearMDP(simulated_linear_mdp(), TVBall(on_the_last(0.5)))
    options = {"episodes": 500, "checkpoints": [499], "beta": 2.0, "rng": rng, "seeds": p.runs}
    robust = dr_rpo(problem.linear, rho=on_the_last(rho), tau=0.01, fail=FAIL, **options)
    plain = lsvi_ucb(problem.linear, **options)
    worst = [_evaluate(problem, np.ascontiguousarray(run["policy"][:, 0]), 0.0)[:, 0] for run in (plain, robust)]
    return Evidence(left=worst[0] + 0.05, right=worst[1])


@claim(
    "Worst-case value of what is learned",
    r"V^{\pi^{LSVI-UCB}}_\rho + 0.05 < V^{\pi^{DR-RPO}}_\rho",
    relation=Ordering(),
    assumptions=(
        r"simulated process, $\rho = 0.5$ on factor 4 of the first step, $\tau = 0.01$, $\beta = 2$, $K = 500$",
    ),
    falsifiers={"no_radius": variant(_robust_pays, "DR-RPO with radius 0.", 0.0)},
    lemmas=("liu2024:threshold",),
    words="Against nature the robust learner's policy is worth more than that of the one that trusts its data.",
    title="Robustness pays against nature",
)
def robust_pays(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact robust values of the last policies of both learners, without regularisation."""
    return _robust_pays(p, rng)


def figure_optimism(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Share of 40 runs whose estimate is at least the optimum, over episodes, for three bonuses."""
    linear, radius = simulated_linear_mdp(xi=0.1), on_the_last(0.3)
    best = linear_backward_induction(RobustLinearMDP(linear, TVBall(radius)), tau=0.1).value[0, 0]
    k = np.unique(np.round(np.geomspace(1, 1500, 60)).astype(int))
    table = {"k": k}
    for name, beta in (("with", 0.5), ("tenth", 0.05), ("without", 0.0)):
        options = {"rho": radius, "tau": 0.1, "episodes": 1500, "fail": FAIL, "checkpoints": k - 1, "seeds": 40}
        table[name] = (dr_rpo(linear, beta=beta, rng=rng, **options)["estimate"] >= best).mean(axis=0)
    return table


def draw_optimism(ax, table: dict[str, np.ndarray]) -> None:
    """Shares over a logarithmic number of episodes."""
    labels = {"with": r"$\beta = 0.5$", "tenth": r"$\beta = 0.05$", "without": r"$\beta = 0$"}
    for (name, label), colour in zip(labels.items(), ("#0072B2", "#009E73", "#D55E00"), strict=True):
        ax.plot(table["k"], table[name], color=colour, label=label)
    ax.set(xscale="log", ylim=(0, 1.05))
    ax.legend()


def figure_suboptimality(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Average exact loss over episodes at two temperatures, with and without bonus; ten runs."""
    linear, radius = simulated_linear_mdp(xi=0.1), on_the_last(0.3)
    problem = RobustLinearMDP(linear, TVBall(radius))
    k = np.unique(np.round(np.geomspace(10, 2048, 40)).astype(int))
    table = {"K": k}
    for name, tau, beta in (("warm", 0.1, 0.5), ("cold", 0.02, 0.5), ("cold_without", 0.02, 0.0)):
        options = {"rho": radius, "tau": tau, "episodes": 2048, "fail": FAIL, "seeds": 10}
        loss = _losses(problem, dr_rpo(linear, beta=beta, rng=rng, **options)["policy"], tau)
        mean = (np.cumsum(loss, axis=1) / np.arange(1, 2049))[:, k - 1]
        table[name] = mean.mean(axis=0)
        table[f"{name}_lo"], table[f"{name}_hi"] = np.quantile(mean, [0.1, 0.9], axis=0)
    return table | {"bound_root": 0.35 / np.sqrt(k)}


def figure_robustness(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Exact returns over the test's q of the policies of three learners after 2000 episodes; mean of ten runs."""
    linear, q = simulated_linear_mdp(), np.linspace(0, 1, 11)
    options = {"episodes": 2000, "checkpoints": [1999], "beta": 2.0, "rng": rng, "seeds": 10}
    ball = {"rho": on_the_last(0.5), "fail": FAIL}
    runs = {
        "lsvi": lsvi_ucb(linear, **options),
        "robust": dr_lsvi_ucb(linear, **ball, **options),
        "rpo": dr_rpo(linear, tau=0.02, **ball, **options),
    }
    table, r = {"q": q}, linear.rewards()
    for name, run in runs.items():
        policy, returns = run["policy"][:, 0], []
        for x in q:
            kernels, v = simulated_test_kernels(float(x)), np.zeros((10, 5))
            for h in (2, 1, 0):
                v = (policy[:, h] * (r[h] + np.einsum("sat,nt->nsa", kernels[h], v))).sum(axis=2)
            returns.append(v[:, 0].mean())
        table[name] = np.array(returns)
    return table
