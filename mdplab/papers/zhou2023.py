r"""Zhou, Sekhari, Song, Sun (2023): hybrid policy evaluation, HAC and HNPG, and what offline data add to rollouts.

The main text was read in full, its proofs were not. On-policy data start from the model's `mu` here, first action
included; the paper resets to state-action pairs.

Found here: the printed burn-in K_1 = 4 ceil(log(1/gamma)) is 4 for every gamma above 1/e and does not make the start
forgotten; log T / log(1/gamma) does. The theorem's rate does not need it, since the mean over T later iterates divides
what is left by T (1 - gamma). The constant of the first term is 1 with exact critics: the mean regret is
sqrt(log A / T) / (1 - gamma)^2, asymptotically, from below on the problems tried. For gamma near 1 the approach is so
slow that a fitted slope would refute a correct method. The text stops rollouts with probability gamma where unbiased
returns need 1 - gamma, and its centring of f has a sign slip. The share of successful offline episodes is
(1 - 0.9/H)^H, since a random action may be the right one; the 32 to 36 % that the paper reports are (1 - 1/H)^H.
"""

import copy
import dataclasses
from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.actor_critic import (
    Evaluation,
    collect,
    episodic_hac,
    exact_hac,
    hac,
    hac_step,
    hnpg,
    hybrid_policy_evaluation,
    on_policy_data,
)
from mdplab.algorithms.policy_gradient.npg import npg
from mdplab.claims import Bound, BoundHP, Evidence, Identity, claim, variant
from mdplab.exact import policy_evaluation, policy_iteration
from mdplab.exact.episodic import stage_values
from mdplab.instances import garnet
from mdplab.instances.episodic import GOOD, combination_lock_episodic, right_actions
from mdplab.models import MDP, Trace

ACTIONS = 10


@dataclass(frozen=True)
class Params:
    """Sizes: random problems of `states` and `actions`; `iterations` of exact runs; locks of `length`.

    `offline` episodes and `fresh` ones in each iteration on the lock; `runs` in a replicate of claims about it.
    """

    states: int
    actions: int
    iterations: int
    length: int
    offline: int
    fresh: int
    runs: int


def _problem(p: Params, rng: np.random.Generator, gamma: float) -> MDP:
    mdp = garnet(p.states, p.actions, 3, gamma=gamma, rng=rng)
    return mdp.replace(mu=np.full(p.states, 1 / p.states))


def _draw(p: Params, rng: np.random.Generator, states: int = 4):
    """A random problem, a policy on it, weights of offline data and the weight of the on-policy term."""
    mdp = garnet(states, 3, 2, gamma=float(rng.uniform(0.5, 0.95)), rng=rng)
    mdp = mdp.replace(mu=rng.dirichlet(np.ones(states)))
    policy = rng.dirichlet(np.ones(3), states)
    nu = rng.dirichlet(np.ones(states * 3)).reshape(states, 3)
    return mdp, policy, nu, float(np.exp(rng.uniform(-2, 3)))


def _regression(mdp: MDP, policy: np.ndarray, nu: np.ndarray, lam: float, f: np.ndarray) -> np.ndarray:
    """One step of HPE by generic least squares on weighted rows, one unknown for each pair."""
    d, q = on_policy_data(mdp, policy)
    target = mdp.r + mdp.gamma * mdp.dense().P @ (policy * f).sum(axis=1)
    roots = np.sqrt(np.concatenate([nu.ravel(), lam * d.ravel()]))
    rows = roots[:, None] * np.tile(np.eye(nu.size), (2, 1))
    return np.linalg.lstsq(rows, roots * np.concatenate([target.ravel(), q.ravel()]), rcond=None)[0].reshape(nu.shape)


def _closed_form(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for _ in range(5):
        mdp, policy, nu, lam = _draw(p, rng)
        how = Evaluation(nu, lam=1 / lam if flaw == "inverse" else lam, rounds=1, start=rng.random(nu.shape) * 3)
        if flaw == "bootstrap":
            # The on-policy term with a bootstrap: the two weights add up.
            how = Evaluation(nu + lam * on_policy_data(mdp, policy)[0], lam=0.0, rounds=1, start=how.start)
        left.append(hybrid_policy_evaluation(mdp, policy, how))
        right.append(_regression(mdp, policy, nu, lam, how.start))
    # Values of size 20, weights of 1e-4 to 1: a thousand roundings.
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.full(np.shape(left), 1e-12))


@claim(
    "Algorithm 1 (HPE), tables (closed form derived)",
    r"f_k = \frac{\nu\, \mathcal{T}^\pi f_{k-1} + \lambda\, d\, Q^\pi}{\nu + \lambda d}",
    relation=Identity(),
    falsifiers={
        "bootstrapped_rollouts": variant(_closed_form, "The on-policy term regresses on r + gamma f.", "bootstrap"),
        "inverse_weight": variant(_closed_form, "1 / lambda in place of lambda.", "inverse"),
    },
    lemmas=("zhou2023:closed_form",),
    words="A step of hybrid evaluation is, pair by pair, a weighted mean of a backup and a return.",
    title="Hybrid evaluation in closed form",
)
def closed_form(p: Params, rng: np.random.Generator) -> Evidence:
    """One step from a random f on random problems, against generic least squares."""
    return _closed_form(p, rng)


def _fixed_point(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    left, right = [], []
    for k in range(5):
        mdp, policy, nu, lam = _draw(p, rng)
        # Both terms, rollouts alone, offline data alone.
        nu, lam = (None, lam) if k == 1 else (nu, 0.0) if k == 2 else (nu, lam)
        how = Evaluation(nu, lam=lam, burn_in=900, rounds=1)
        wrong = mdp.replace(r=1 - mdp.r) if flaw == "costs" else mdp
        played = 0.9 * policy + 0.1 / 3 if flaw == "mixed" else policy
        left.append(hybrid_policy_evaluation(wrong, played, how))
        value = policy_evaluation(mdp, policy, tol=1e-10).value
        right.append(mdp.r + mdp.gamma * mdp.dense().P @ value)
    # .95^900 of 20 is 2e-19; values are certified to 1e-10.
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.full(np.shape(left), 1e-9))


@claim(
    "Hybrid evaluation, fixed point (tables)",
    r"f_k \to Q^\pi \quad \text{for every } \lambda \ge 0, \nu \ge 0 \text{ with } \nu + \lambda d > 0",
    relation=Identity(),
    falsifiers={
        "mixed_policy": variant(_fixed_point, "Evaluates the policy mixed with a tenth of the uniform one.", "mixed"),
        "costs": variant(_fixed_point, "Costs in place of rewards.", "costs"),
    },
    lemmas=("zhou2023:fixed_point",),
    words="With tables both terms agree on the limit: the policy's own values, whatever the mixture.",
    title="Fixed point of hybrid evaluation",
)
def fixed_point(p: Params, rng: np.random.Generator) -> Evidence:
    """After 900 steps, with both terms and with either alone, against certified values."""
    return _fixed_point(p, rng)


def printed_burn_in(gamma: float, T: int) -> int:
    """K_1 = 4 ceil(log(1/gamma)), as printed."""
    return 4 * int(np.ceil(np.log(1 / gamma)))


def corrected_burn_in(gamma: float, T: int) -> int:
    """K_1 = ceil(log T / log(1/gamma))."""
    return int(np.ceil(np.log(T) / np.log(1 / gamma) - 1e-9))


def _forgotten(p: Params, rng: np.random.Generator, burn_in=corrected_burn_in, half: float = 1.0) -> Evidence:
    measured, bound = [], []
    for k in range(6):
        mdp, policy, nu, lam = _draw(p, rng)
        if k == 0:
            # One state that no rollout of the policy sees twice: all of the error is discounted only.
            mdp, policy, nu, lam = MDP([[[1.0]]], [[1.0]], 0.9, mu=[1.0]), np.ones((1, 1)), np.ones((1, 1)), 0.0
        _, q = on_policy_data(mdp, policy)
        for T in (10, 100, 1000):
            how = Evaluation(nu, lam=lam, rounds=max(1, int(half * burn_in(mdp.gamma, T))))
            last = hybrid_policy_evaluation(mdp, policy, how, iterates=True)[-1]
            measured.append(np.abs(last - q).max() / np.abs(q).max())
            # Values of size 20 rounded 1000 times.
            bound.append(1 / T + 1e-11)
    return Evidence(measured=measured, bound=bound)


_START = r"\|f_{K_1} - Q^\pi\|_\infty \le \|f_0 - Q^\pi\|_\infty / T"


@claim(
    "Theorem 1, burn-in as printed",
    _START + r", \quad K_1 = 4 \lceil \log(1/\gamma) \rceil",
    relation=Bound(),
    falsifiers={"half_of_it": variant(_forgotten, "Half of that.", burn_in=printed_burn_in, half=0.5)},
    controls={"log_of_the_length": variant(_forgotten, "ceil(log T / log(1/gamma)).")},
    lemmas=("zhou2023:printed_burn_in",),
    words="False: four steps do not make the start forgotten. (The rate of the theorem does not rest on it.)",
    title="Burn-in, as printed",
)
def burn_in_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """Error of f_{K_1} over that of f_0 = 0 on random problems, and on one state with gamma = 0.9: 0.9^4."""
    return _forgotten(p, rng, printed_burn_in)


@claim(
    "Theorem 1, burn-in corrected (derived)",
    _START + r", \quad K_1 = \lceil \log T / \log(1/\gamma) \rceil",
    relation=Bound(),
    falsifiers={
        "as_printed": variant(_forgotten, "4 ceil(log(1/gamma)).", burn_in=printed_burn_in),
        "two_thirds_of_it": variant(_forgotten, "Two thirds of that.", half=2 / 3),
    },
    lemmas=("zhou2023:contraction",),
    words="A number of steps that grows with log T and with the horizon makes the start forgotten.",
    title="Burn-in, corrected",
)
def burn_in_corrected(p: Params, rng: np.random.Generator) -> Evidence:
    """The same errors; on one state with offline data alone the discount is all there is."""
    return _forgotten(p, rng)


def _averaged(p: Params, rng: np.random.Generator, power: float = 1.0) -> Evidence:
    measured, bound = [], []
    for k in range(5):
        mdp, policy, nu, lam = _draw(p, rng)
        if k == 0:
            mdp, policy, nu, lam = MDP([[[1.0]]], [[1.0]], 0.9, mu=[1.0]), np.ones((1, 1)), np.ones((1, 1)), 0.0
        _, q = on_policy_data(mdp, policy)
        for T in (10, 100, 1000):
            mean = hybrid_policy_evaluation(mdp, policy, Evaluation(nu, lam=lam, rounds=T))
            measured.append(np.abs(mean - q).max() / np.abs(q).max())
            bound.append((mdp.gamma / (1 - mdp.gamma) / T) ** power + 1e-11)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Theorem 1, no burn-in is needed for the rate (derived)",
    r"\Big\|\tfrac1T \sum_{k=1}^{T} f_k - Q^\pi\Big\|_\infty \le \frac{\gamma}{(1-\gamma) T} \|f_0 - Q^\pi\|_\infty",
    relation=Bound(),
    falsifiers={"squared": variant(_averaged, "The square of the bound.", power=2.0)},
    lemmas=("zhou2023:contraction",),
    words="The mean over T iterates forgets its start at the rate 1/T by itself.",
    title="The mean forgets its start",
)
def mean_forgets(p: Params, rng: np.random.Generator) -> Evidence:
    """Error of the mean of T iterates from f_0 = 0, K_1 = 0."""
    return _averaged(p, rng)


def _constant(p: Params, rng: np.random.Generator, gamma: float, scale: float = 1.0, power: float = 2.0) -> float:
    """Mean regret over sqrt(log A / T) / (1 - gamma)^power."""
    mdp, T = _problem(p, rng, gamma), p.iterations
    run = exact_hac(mdp, num_iters=T, eta=scale * hac_step(gamma, mdp.A, T))
    best = policy_iteration(mdp, tol=1e-9).value
    return float((best - run["mean_value"][-1]).mean() * np.sqrt(T / np.log(mdp.A)) * (1 - gamma) ** power)


def _first_term(p: Params, rng: np.random.Generator, **options) -> Evidence:
    measured = [_constant(p, rng, gamma, **options) for gamma in (0.5, 0.7, 0.9)]
    return Evidence(measured=measured, bound=np.ones(3))


@claim(
    "Theorem 1, first term, exact critic (constant measured)",
    r"\frac1T \sum_{t \le T} E_\mu[V^* - V^{\pi^t}] \le \frac{\sqrt{\log A / T}}{(1-\gamma)^2}, "
    r"\quad \eta = (1-\gamma) \sqrt{\log A / T}",
    relation=Bound(),
    falsifiers={
        "half_the_step": variant(_first_term, "Half the step.", scale=0.5),
        "one_horizon": variant(_first_term, "Without one of the two factors 1/(1 - gamma).", power=1.0),
    },
    lemmas=("zhou2023:boltzmann_integral",),
    words="With exact critics the mean regret is at most the first term of the theorem, with constant 1.",
    title="The first term, constant 1",
)
def first_term(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact runs on random problems at three discounts."""
    return _first_term(p, rng)


def _two_sided(p: Params, rng: np.random.Generator, **options) -> Evidence:
    left = [_constant(p, rng, 0.5, **options)]
    # By T = 25600 random problems are within 2.6 %; smaller gaps take longer, larger ones less.
    return Evidence(left=left, right=[1.0], tolerance=[0.05])


@claim(
    "Theorem 1, first term, exact critic (from both sides, derived)",
    r"\frac1T \sum_{t \le T} E_\mu[V^* - V^{\pi^t}] = (1 \pm 0.05) \frac{\sqrt{\log A / T}}{(1-\gamma)^2}, "
    r"\quad \gamma = \tfrac12, \ T \ge 2 \cdot 10^4",
    relation=Identity(),
    falsifiers={
        "ten_percent_more_step": variant(_two_sided, "A step 10 percent larger.", scale=1.1),
        "ten_percent_less_step": variant(_two_sided, "A step 10 percent smaller.", scale=0.9),
    },
    lemmas=("zhou2023:boltzmann_integral",),
    words="The constant is 1: all of log A / eta is paid at every state, and nothing else matters in the end.",
    title="The first term from both sides",
)
def first_term_exactly(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact runs at gamma = 1/2, where the limit is close."""
    return _two_sided(p, rng)


def lock_policy(H: int, eps: float, A: int = ACTIONS) -> np.ndarray:
    """The policy (H, 3, A) that takes the right action, and with probability eps a uniform one."""
    policy, right = np.full((H, 3, A), 1 / A), right_actions(H, A)
    for h in range(H):
        for i in GOOD:
            policy[h, i] = eps / A
            policy[h, i, right[h, i]] += 1 - eps
    return policy


def _success(H: int, policy: np.ndarray) -> float:
    """Probability of never reaching the dead end and of the right last action, by the exact occupancy."""
    kernels, rewards = combination_lock_episodic(H).kernels(), combination_lock_episodic(H).rewards()
    d = np.array([1.0, 0.0, 0.0])
    for h in range(H - 1):
        d = np.einsum("s,sa,sat->t", d, policy[h], kernels[h])
    return float(np.einsum("s,sa,sa->", d, policy[H - 1], rewards[H - 1] == 1.0))


def _fraction(p: Params, rng: np.random.Generator, miss: float = 0.9, A: int = ACTIONS) -> Evidence:
    lengths = (5, 10, 15, 30, 50)
    left = [_success(H, lock_policy(H, 1 / H)) for H in lengths]
    right = [(1 - miss / H) ** H for H in lengths]
    # 50 steps of sums of ten products.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-13))


@claim(
    "Section 5, offline data of the combination lock",
    r"P(\text{success}) = (1 - 0.9/H)^H \text{ with } \varepsilon = 1/H, |A| = 10",
    relation=Identity(),
    falsifiers={"random_actions_never_right": variant(_fraction, "(1 - 1/H)^H, the printed 32-36 %.", miss=1.0)},
    lemmas=("zhou2023:success",),
    words="The offline policy succeeds in 37 to 41 % of its episodes; the printed share counts no lucky action.",
    title="Share of successes offline",
)
def offline_success(p: Params, rng: np.random.Generator) -> Evidence:
    """By the exact occupancy of the offline policy on the lock, for the lengths of the paper."""
    return _fraction(p, rng)


def _solves(p: Params, rng: np.random.Generator, eps: float | None = None, rollouts: bool = False, lam: float = 1.0):
    """Whether each run is worth more than .5 after at most H iterations."""
    H, violated = p.length, []
    lock = combination_lock_episodic(H)
    for _ in range(p.runs):
        data = collect(lock, lock_policy(H, 1 / H if eps is None else eps), p.offline, rng=rng)
        sizes = {"num_iters": H, "episodes": p.fresh, "step": 10.0, "lam": lam}
        run = episodic_hac(lock, offline=None if rollouts else data, rng=rng, **sizes)
        violated.append(not bool((stage_values(lock, run["policy"][0]) > 0.5).any()))
    return Evidence(violated=violated)


@claim(
    "Section 5, combination lock (tables)",
    r"V^{\pi^t} > \tfrac12 \text{ for some } t \le H",
    relation=BoundHP(delta=0.1),
    falsifiers={
        "rollouts_alone": variant(_solves, "No offline data.", rollouts=True),
        "data_of_the_uniform_policy": variant(_solves, "Offline data that do not cover the best policy.", eps=1.0),
    },
    controls={"fitted_q_evaluation": variant(_solves, "The off-policy term alone, with good data.", lam=0.0)},
    words="With offline data that cover the best policy the lock opens after fewer iterations than it has stages.",
    title="The combination lock opens",
)
def lock_opens(p: Params, rng: np.random.Generator) -> Evidence:
    """HAC on samples, exact values of its policies."""
    return _solves(p, rng)


def diverging(gamma: float) -> tuple[MDP, np.ndarray, np.ndarray]:
    """A problem, features in which every Q^pi lies, and offline weights under which fitted Q evaluation diverges.

    In state 0 action 0 leads to state 1 and pays 0, action 1 pays 1 and ends; then 1 leads to 2, which stays, unpaid.
    The features of states 1 and 2 are 1 and 2 times one number, which is 0 in truth.
    """
    P = np.zeros((4, 2, 4))
    P[0, 0, 1] = P[0, 1, 3] = P[1, :, 2] = P[2, :, 2] = P[3, :, 3] = 1.0
    r = np.zeros((4, 2))
    r[0, 1] = 1.0
    features = np.zeros((4, 2, 4))
    features[0, 0, 0] = features[0, 1, 1] = features[3, :, 3] = 1.0
    features[1, :, 2], features[2, :, 2] = 1.0, 2.0
    nu = np.array([[0.1, 0.1], [0.39, 0.39], [0.005, 0.005], [0.005, 0.005]])
    return MDP(P, r, gamma, mu=np.full(4, 0.25)), features, nu


def _mean_regret(mdp: MDP, run: Trace) -> float:
    """Exact mean over iterations of mu (V* - V^pi)."""
    stay = np.einsum("ksa,sat->kst", run["policy"], mdp.dense().P)
    paid = np.einsum("ksa,sa->ks", run["policy"], mdp.r)
    value = np.linalg.solve(np.eye(mdp.S) - mdp.gamma * stay, paid[..., None])[..., 0]
    return float(mdp.mu @ (policy_iteration(mdp, tol=1e-9).value - value.mean(axis=0)))


def _misspecified(p: Params, rng: np.random.Generator, lam: float = 10.0) -> Evidence:
    measured, bound = [], []
    mdp, features, nu = diverging(float(rng.uniform(0.7, 0.9)))
    # f_0 holds state 1 for worth 1 and state 2 for worth 2.
    start = np.einsum("sak,k->sa", features, [0.0, 0.0, 1.0, 0.0])
    for T in (25, 100, 200):
        regret = []
        for offline, weight in ((nu, lam), (None, 10.0)):
            how = Evaluation(offline, lam=weight, burn_in=10, rounds=10, features=features, start=start)
            regret.append(_mean_regret(mdp, hac(mdp, how, num_iters=T)))
        measured.append(regret[0])
        bound.append(1.05 * regret[1])
    return Evidence(measured=measured, bound=bound)


@claim(
    "Theorem 1, where the class is not closed under backups",
    r"\mathrm{Reg}(\text{HAC}) \le 1.05\, \mathrm{Reg}(\text{on-policy HAC}), \quad Q^\pi \in \mathcal{F}\ \forall \pi"
    r",\ \mathcal{T}^\pi \mathcal{F} \not\subset \mathcal{F}, \ \lambda = 10",
    relation=Bound(),
    assumptions=("every policy's values are in the class", "on-policy data cover all states"),
    falsifiers={
        "off_policy_term_alone": variant(_misspecified, "Fitted Q evaluation, which diverges here.", lam=0.0),
        "little_weight": variant(_misspecified, "lambda = 1/100.", lam=0.01),
    },
    lemmas=("zhou2023:diverging",),
    words="Where fitted Q evaluation diverges, rollouts keep the hybrid critic, and its actor, right.",
    title="Rollouts rescue a class that is not complete",
)
def incomplete_class(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact mean regrets over 25, 100 and 200 iterations of a problem with one decision and a doubling feature."""
    return _misspecified(p, rng)


def _hnpg(p: Params, rng: np.random.Generator, flaw: str = "") -> Evidence:
    mdp, _, nu, lam = _draw(p, rng, states=3)
    how = Evaluation(nu, lam=lam, rounds=5)
    pairs = np.eye(9).reshape(3, 3, 9)
    left = [hnpg(mdp, how, num_iters=15, eta=0.5, features=pairs)["policy"][-1].ravel()]
    right = [hac(mdp, how, num_iters=15, eta=0.25 if flaw == "step" else 0.5)["policy"][-1].ravel()]
    # Fewer features and rollouts alone: the natural gradient.
    phi = rng.standard_normal((3, 3, 2))
    pi = hnpg(mdp, Evaluation(None, lam=1.0, rounds=1), num_iters=2, eta=0.5, features=phi)["policy"]
    logits = np.log(pi[1]) - np.log(pi[0])
    d, q = on_policy_data(mdp, pi[0])
    c = phi - np.einsum("sa,sak->sk", pi[0], phi)[:, None]
    gradient, fisher = np.einsum("sa,sak,sa->k", d, c, q), np.einsum("sa,sak,sal->kl", d, c, c)
    natural = 0.5 * phi @ (gradient if flaw == "plain" else np.linalg.solve(fisher, gradient))
    left.append((logits - logits.mean(axis=1, keepdims=True)).ravel())
    right.append((natural - natural.mean(axis=1, keepdims=True)).ravel())
    left, right = np.concatenate(left), np.concatenate(right)
    # Regressions on weights of 1e4 to 1, and a Fisher matrix in two unknowns.
    return Evidence(left=left, right=right, tolerance=np.full(left.size, 1e-9))


@claim(
    "Algorithm 3 (HNPG), special cases (derived)",
    r"\text{one feature a pair: HNPG} = \text{HAC}; \quad \nu = 0:\ w = F^{-1} (1-\gamma) \nabla J",
    relation=Identity(),
    assumptions=(
        "the policy gradient theorem: (1 - gamma) grad J = E_d[grad log pi Q^pi], d the normalised occupancy",
    ),
    falsifiers={
        "half_the_step": variant(_hnpg, "HAC with half the step.", "step"),
        "plain_gradient": variant(_hnpg, "The gradient in place of the natural one.", "plain"),
    },
    lemmas=("sutton2000:policy_gradient",),
    words="With full features HNPG takes HAC's steps; without offline data it takes natural gradient steps.",
    title="What HNPG contains",
)
def hnpg_cases(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies after 15 iterations, and one step along two features, on random problems.

    The gradient of the second case is E_d[c Q], c the centred features, by the policy gradient theorem: J itself is not
    differentiated here.
    """
    return _hnpg(p, rng)


# An infinite weight of the on-policy term, to rounding: what offline data add is of the size 1 / lambda.
FAR = 1e13


def _with_features(p: Params, rng: np.random.Generator):
    """Two random problems, starts spread evenly, offline weights, and features of the policy: two, one a pair."""
    for features in (rng.standard_normal((3, 3, 2)), np.eye(9).reshape(3, 3, 9)):
        mdp, _, nu, _ = _draw(p, rng, states=3)
        yield mdp.replace(mu=np.full(3, 1 / 3)), nu, features


def _on_policy_limit(p: Params, rng: np.random.Generator, lam=FAR, step=lambda gamma: 1.0, **options) -> Evidence:
    left, right = [], []
    for mdp, nu, features in _with_features(p, rng):
        how = Evaluation(nu if lam else None, lam=lam or 1.0, rounds=5)
        left.append(hnpg(mdp, how, num_iters=15, eta=0.5, features=features)["policy"])
        eta = 0.5 * step(mdp.gamma)
        right.append(np.exp(npg(mdp, eta=eta, num_iters=14, features=features, **options)["log_policy"]))
    # 1e-13 over occupancies above 1e-2, carried on for 15 steps.
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.full(np.shape(left), 1e-11))


@claim(
    "Algorithm 3 (HNPG), much on-policy weight (derived)",
    r"\lambda \to \infty:\quad \theta_{t+1} = \theta_t + \eta F(\theta_t)^{+} \nabla J(\theta_t)",
    relation=Identity(),
    assumptions=("starts everywhere",),
    falsifiers={
        "a_billion": variant(_on_policy_limit, "lambda = 1e9: the offline data still show.", lam=1e9),
        "occupancy_not_normalised": variant(
            _on_policy_limit, "Steps of w / (1 - gamma).", step=lambda gamma: 1 / (1 - gamma)
        ),
        "step_a_bit_longer": variant(_on_policy_limit, "eta (1 + 1e-8).", step=lambda gamma: 1 + 1e-8),
    },
    controls={
        "no_offline_data": variant(_on_policy_limit, "The off-policy term left out.", lam=0.0),
        "pairs_of_actions": variant(_on_policy_limit, "REBEL's Gauss-Newton steps.", direction="paired"),
    },
    words="With much on-policy weight every step is one of natural policy gradient, of another paper's code.",
    title="HNPG becomes natural policy gradient",
)
def on_policy_limit(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies of 15 iterations with lambda = 1e13, two features and one a pair, against Fisher-matrix steps."""
    return _on_policy_limit(p, rng)


def _fqe_actor_critic(mdp: MDP, nu, features, critic, eta: float, num_iters: int, flaw: str) -> np.ndarray:
    """Policies (num_iters, S, A): fitted Q evaluation in the span of critic (S, A, k), then a fit; both on nu alone."""
    n, theta, out = nu.size, np.zeros(features.shape[-1]), []
    span = critic.reshape(n, -1)
    project = span @ np.linalg.solve(span.T @ (nu.ravel()[:, None] * span), span.T * nu.ravel())
    before = np.full(nu.shape, 1 / mdp.A)
    for _ in range(num_iters):
        weights = np.exp(features @ theta)
        pi = weights / weights.sum(axis=1, keepdims=True)
        evaluated, f, total = before if flaw == "behind" else pi, np.zeros(nu.shape), 0.0
        for _ in range(5):
            backup = mdp.r + mdp.gamma * np.einsum("sat,t->sa", mdp.dense().P, (evaluated * f).sum(axis=1))
            f = (project @ backup.ravel()).reshape(nu.shape)
            total = total + f / 5
        mass = on_policy_data(mdp, pi)[0] if flaw == "on_policy" else nu
        centred = (features - np.einsum("sa,sak->sk", pi, features)[:, None]).reshape(n, -1)
        advantage = total - (pi * total).sum(axis=1, keepdims=True)
        right = centred.T @ (mass * advantage).ravel()
        theta = theta + eta * np.linalg.pinv(centred.T @ (mass.ravel()[:, None] * centred), rcond=1e-12) @ right
        out.append(pi)
        before = pi
    return np.array(out)


def _off_policy(p: Params, rng: np.random.Generator, lam: float = 0.0, flaw: str = "") -> Evidence:
    left, right = [], []
    for mdp, nu, features in _with_features(p, rng):
        for critic in (np.eye(9).reshape(3, 3, 9), rng.standard_normal((3, 3, 4))):
            how = Evaluation(nu, lam=lam, rounds=5, features=critic)
            left.append(hnpg(mdp, how, num_iters=15, eta=0.5, features=features)["policy"])
            right.append(_fqe_actor_critic(mdp, nu, features, critic, 0.5, 15, flaw))
    # Normal equations on weights of 1e-3 to 1 lose three digits of sixteen, twice an iteration.
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.full(np.shape(left), 1e-12))


@claim(
    "Algorithm 3 (HNPG), no on-policy weight (derived)",
    r"\lambda = 0:\quad f_k = \Pi_\nu \mathcal{T}^{\pi_t} f_{k-1}, \quad "
    r"w = \arg\min_w E_\nu\big(w \cdot \nabla\log\pi_t - (\bar f - E_{\pi_t} \bar f)\big)^2",
    relation=Identity(),
    falsifiers={
        "some_rollouts": variant(_off_policy, "lambda = 1e-9.", lam=1e-9),
        "critic_one_policy_behind": variant(_off_policy, "FQE of the policy before.", flaw="behind"),
        "actor_on_policy": variant(_off_policy, "The actor's fit on the policy's own occupancy.", flaw="on_policy"),
    },
    words="Without on-policy weight it is the actor-critic of fitted Q evaluation on the offline data alone.",
    title="HNPG becomes off-policy actor-critic",
)
def off_policy_case(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies of 15 iterations, critics with a value a pair and of four random features, against normal equations."""
    return _off_policy(p, rng)


def figure_lock(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Exact values of HAC's policies on locks of three lengths, against rollouts alone and data without coverage."""
    table = {"iteration": np.arange(31.0)}
    arms = {f"hybrid_{H}": (H, 1 / H) for H in (5, 10, 20)} | {"rollouts": (10, None), "uncovered": (10, 1.0)}
    for name, (H, eps) in arms.items():
        lock = combination_lock_episodic(H)
        data = None if eps is None else collect(lock, lock_policy(H, eps), p.offline, rng=rng)
        run = episodic_hac(lock, offline=data, num_iters=30, episodes=p.fresh, lam=1.0, step=10.0, rng=rng)
        table[name] = stage_values(lock, run["policy"][0])
    return table


def draw_lock(ax, table: dict[str, np.ndarray]) -> None:
    """One colour for each length; the two failures lie on each other."""
    labels = {f"hybrid_{H}": f"$H = {H}$" for H in (5, 10, 20)}
    labels |= {"rollouts": "$H = 10$, rollouts alone", "uncovered": "$H = 10$, uniform offline data"}
    colours = ("#0072B2", "#009E73", "#CC79A7", "#D55E00", "#222222")
    for (name, label), colour in zip(labels.items(), colours, strict=True):
        style = {"linestyle": ":", "linewidth": 2.5} if name == "uncovered" else {}
        ax.plot(table["iteration"], table[name], color=colour, label=label, **style)
    ax.set_xticks(range(0, 31, 5))
    ax.set_ylim(0, 1.05)
    ax.legend(loc="center right")


def figure_constant(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Mean regret in units of sqrt(log A / T) / (1 - gamma)^2 at three discounts, five problems each."""
    T = np.unique(np.geomspace(100, p.iterations, 8).astype(int))
    table: dict[str, np.ndarray] = {"T": T.astype(float)}
    for gamma in (0.5, 0.7, 0.9):
        streams = rng.spawn(5)
        runs = [
            [_constant(dataclasses.replace(p, iterations=int(n)), copy.deepcopy(s), gamma) for n in T] for s in streams
        ]
        table[f"gamma_{round(10 * gamma)}"] = np.mean(runs, axis=0)
    table["bound_one"] = np.ones(T.size)
    return table
