r"""Zhu, Chen, Schlegel, White (NeurIPS 2023): Munchausen and KL regularisation with the Tsallis KL divergence.

arXiv:2301.11476; the abstract was read, and the convention of the authors' code. ln_q x = (x^(1-q) - 1) / (1 - q) and
D_q(pi || mu) = E_pi[-ln_q(mu / pi)]; q = 1 is KL. The greedy step and everything about it is derived here. MVI(q)
itself is not reproduced: its bonus was not seen, nor the Atari claim tested.

What the claims say, beyond the step: value iteration regularised by D_q to the previous policy is MD-VI at q = 1, and
only there has it Munchausen's implicit form. For q above 1 an action that trails by enough loses all its mass in one
step, and as weights multiply it never comes back. So with a small tau the scheme can miss the optimum for ever without
any error, where KL finds it (exact witness), and under noise it freezes early instead of averaging. While the
spread of Q stays below tau q / (q - 1), nothing is lost, and no larger spread is safe.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mdplab.algorithms.policy_gradient.md_vi import md_vi
from mdplab.algorithms.policy_gradient.munchausen import general_munchausen_vi, munchausen_vi
from mdplab.algorithms.policy_gradient.tsallis import tsallis_greedy, tsallis_kl, tsallis_vi
from mdplab.claims import Bound, Evidence, Identity, Ordering, Rate, Witness, claim, variant
from mdplab.exact import policy_evaluation, value_iteration
from mdplab.instances import garnet
from mdplab.kernels.softmax import softmax
from mdplab.models import MDP

U = 2.0**-53
INDICES = (1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Params:
    """Sizes: `rows` of a greedy step with `actions`, `others` policies tried, Garnets of `states`, `iterations`.

    Decay is measured at 2^3 .. 2^`last` iterations, figures draw `points`.
    """

    rows: int
    actions: int
    others: int
    states: int
    iterations: int
    last: int
    points: int


def _drawn(p: Params, rng: np.random.Generator, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Q and a reference, (rows, actions) each; the wider the spread, the more actions a step loses."""
    return spread * rng.standard_normal((p.rows, p.actions)), rng.dirichlet(np.ones(p.actions), p.rows)


def _objective(pi: np.ndarray, Q: np.ndarray, mu: np.ndarray, tau: float, q: float) -> np.ndarray:
    return np.sum(pi * Q, axis=-1) - tau * tsallis_kl(pi, mu, q)


def _greedy(p, rng, temperature=lambda tau, q: tau, index=lambda q: q):
    left, right, tolerance = [], [], []
    for q in (0.5, 1.5, 2.0, 3.0):
        for spread in (0.5, 3.0):
            Q, mu = _drawn(p, rng, spread)
            tau = float(np.exp(rng.uniform(-1, 1)))
            pi, psi = tsallis_greedy(Q, mu, tau=temperature(tau, q), q=index(q))
            best = _objective(pi, Q, mu, tau, q)
            for _ in range(p.others):
                drawn = rng.dirichlet(np.ones(p.actions), p.rows)
                other = pi + 10 ** rng.uniform(-3, 0) * (drawn - pi)
                # What convexity leaves on the support, and the price of mass where the step has none.
                power = mu ** (1 - q) / (q - 1)
                kept = power * (other**q - pi**q - q * pi ** (q - 1) * (other - pi))
                price = psi[:, None] - tau / (q - 1) - Q
                lost = np.where(pi > 0, tau * kept, tau * power * other**q + price * other)
                left.append(best - _objective(other, Q, mu, tau, q))
                right.append(lost.sum(axis=1))
                # Sums of terms as large as these, each a few roundings of a power.
                size = np.abs(Q).max(axis=1) + tau * (power * (other**q + pi**q)).clip(0).sum(axis=1) + np.abs(psi)
                size = size + tau * np.abs(power * pi ** (q - 1)).max(axis=1)
                tolerance.append(256 * U * p.actions * (size + tau))
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.array(tolerance))


@claim(
    "Regularised greedy step (derived)",
    r"\pi = \mu \Big[\tfrac1q \Big(1 + (q-1)\tfrac{Q - \psi}{\tau}\Big)\Big]_+^{1/(q-1)}:\quad f(\pi) - f(p) = "
    r"\tau B(p, \pi) + \sum_{\pi_a = 0} p_a \Big(\psi - \tfrac{\tau}{q-1} - Q_a\Big) \ge 0,\quad f = "
    r"\langle \cdot, Q \rangle - \tau D_q(\cdot \| \mu)",
    relation=Identity(),
    assumptions=(r"$B$ is the Bregman divergence of $\sum_a \mu_a^{1-q} x_a^q / (q-1)$",),
    falsifiers={
        "no_factor_q": variant(_greedy, "Without 1 / q, which is a temperature tau / q.", lambda tau, q: tau / q),
        "other_index": variant(_greedy, "The step of index q + 0.02.", index=lambda q: q + 0.02),
    },
    lemmas=("zhu2023:stationary", "zhu2023:chi_square"),
    words="Any other policy misses the optimum by a Bregman divergence and the price of mass on actions without any.",
    title="The greedy step is the maximiser",
)
def greedy_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Objective of policies near and far, for indices below and above 1, with and without lost actions."""
    return _greedy(p, rng)


def _sorted_step(Q: np.ndarray, mu: np.ndarray, tau: float) -> np.ndarray:
    """q = 2 by sorting: pi = mu / 2 [1 + (Q - psi) / tau]_+ with psi from the k best actions, one row."""
    order = np.argsort(-Q)
    weight, first = np.cumsum(mu[order]), np.cumsum((mu * Q)[order])
    # sum over the k best of mu (1 + (Q - psi) / tau) / 2 is 1.
    psi = tau + (first - 2 * tau) / weight
    kept = np.flatnonzero(Q[order] > psi - tau)[-1]
    return 0.5 * mu * np.maximum(1 + (Q - psi[kept]) / tau, 0.0)


def _special(p, rng, sparse=2.0, sign=1.0, limit=1.0):
    left, right, tolerance = [], [], []
    for spread in (0.5, 3.0):
        Q, mu = _drawn(p, rng, spread)
        tau = float(np.exp(rng.uniform(0, 1)))
        left.append(tsallis_greedy(Q, mu, tau=tau, q=sparse)[0])
        right.append(np.array([_sorted_step(x, m, tau) for x, m in zip(Q, mu, strict=True)]))
        tolerance.append(np.full(Q.shape, 64 * U * p.actions * (1 + np.abs(Q).max() / tau)))
        kl = softmax(np.log(mu) + Q / tau)
        left.append(tsallis_greedy(Q, mu, tau=tau, q=limit)[0])
        right.append(kl)
        tolerance.append(np.full(Q.shape, 64 * U * (1 + np.abs(Q).max() / tau)))
        h = 1e-4
        up, down = (np.log(tsallis_greedy(Q, mu, tau=tau, q=1 + x)[0]) for x in (h, -h))
        slope = -0.5 * sign * (np.log(kl / mu) ** 2 + 2 * np.log(kl / mu))
        left.append((up - down) / (2 * h))
        right.append(slope - np.sum(kl * slope, axis=1, keepdims=True))
        # The third derivative is of fourth order in log(pi / mu), and differences of logarithms are divided by h.
        size = 1 + np.abs(np.log(kl / mu)).max() + np.ptp(Q) / tau
        tolerance.append(np.full(Q.shape, h**2 * size**4 + 64 * U * size / h))
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.array(tolerance))


@claim(
    "Special cases (derived)",
    r"q = 2:\ \pi = \tfrac{\mu}{2}\big[1 + \tfrac{Q - \psi}{\tau}\big]_+ \text{ by sorting};"
    r"\quad q = 1:\ \pi \propto \mu e^{Q/\tau};"
    r"\quad \partial_q \log \pi |_{q=1} = -\tfrac12(\ell^2 + 2\ell) + \text{const},\ \ell = \log(\pi_1 / \mu)",
    relation=Identity(),
    falsifiers={
        "near_2": variant(_special, "q = 2.02 against the sorted step.", sparse=2.02),
        "near_1": variant(_special, "q = 1.0001 against the exponential, which it misses by 1e-5.", limit=1.0001),
        "slope_reversed": variant(_special, "The derivative with the other sign.", sign=-1.0),
    },
    lemmas=("zhu2023:chi_square", "zhu2023:first_order"),
    words="Index 2 is a projection that sorting solves, index 1 the exponential, with a known slope in q between.",
    title="Index 2, index 1 and the slope there",
)
def special_cases(p: Params, rng: np.random.Generator) -> Evidence:
    """The bisection against sorting, the softmax and its first-order expansion."""
    return _special(p, rng)


def _floor(p, rng, threshold=1.0):
    measured, bound = [], []
    for q in (1.5, 2.0, 3.0):
        tau = float(np.exp(rng.uniform(-1, 1)))
        safe = tau * q / (q - 1)
        Q, mu = _drawn(p, rng, safe)
        # The best action nearly alone in the reference, the others at the edge of what is safe.
        edge = -safe * np.append(0.0, 1 - 10 ** rng.uniform(-4, -1, p.actions - 1))
        rare = 1e-9 * rng.dirichlet(np.ones(p.actions))
        rare[0] = 1 - rare[1:].sum()
        Q, mu = np.vstack([Q, edge]), np.vstack([mu, rare])
        pi = tsallis_greedy(Q, mu, tau=tau, q=q)[0]
        behind = Q.max(axis=1, keepdims=True) - Q
        share = np.maximum(1 - behind / (threshold * safe), 0.0) ** (1 / (q - 1))
        used = (share > 0) & (behind > 0)
        # As shares of the reference; where the step is at the edge its power magnifies rounding.
        ratio, slack = pi / mu, 1e-10 * share + 64 * U
        measured += list(np.where(used, share - slack, 0.0).ravel())
        bound += list(np.where(used, ratio, 1.0).ravel())
    return Evidence(measured=measured, bound=bound)


@claim(
    "What a step cannot lose (derived)",
    r"\pi_a \ge \mu_a \Big[1 - \frac{q-1}{q\tau}(\max Q - Q_a)\Big]_+^{1/(q-1)} > 0 \ \text{ while } \max Q - Q_a < "
    r"\frac{q\tau}{q-1}",
    relation=Bound(),
    assumptions=(r"$q > 1$",),
    falsifiers={
        "two_percent_wider": variant(_floor, "A threshold 2 per cent larger.", 1.02),
    },
    lemmas=("zhu2023:stationary",),
    words="Only actions that trail by tau q / (q - 1) can lose all their mass; no larger margin is safe.",
    title="The margin within which nothing is lost",
)
def floor(p: Params, rng: np.random.Generator) -> Evidence:
    """Random references, and one that leaves nothing but the best action, which attains the bound."""
    return _floor(p, rng)


def _returns(p, rng, scheme="previous"):
    measured = []
    for q in (1.5, 2.0, 3.0):
        mdp = garnet(p.states, p.actions, 3, gamma=0.8, rng=rng)
        errors = rng.standard_normal((p.iterations, mdp.S, mdp.A))
        options = {"tau": 0.5, "q": q, "num_iters": p.iterations, "errors": errors}
        if scheme == "munchausen":
            policy = general_munchausen_vi(mdp, alpha=0.5, **options)["policy"]
        else:
            policy = tsallis_vi(mdp, fixed_reference=scheme == "uniform", **options)["policy"]
        lost = np.maximum.accumulate(policy[:-1] == 0, axis=0)
        measured.append(np.where(lost, policy[1:], 0.0).max(axis=(1, 2)))
    measured = np.array(measured)
    return Evidence(measured=measured, bound=np.zeros_like(measured))


@claim(
    "Lost support (derived)",
    r"\pi_k(a | s) = 0 \Rightarrow \pi_j(a | s) = 0 \ \ \forall j > k, \text{ whatever errors come}",
    relation=Bound(),
    falsifiers={
        "uniform_reference": variant(_returns, "Divergence from the uniform policy in every sweep.", "uniform"),
        "general_munchausen": variant(
            _returns, "Our reading of MVI(q): Tsallis logarithms in the reward.", "munchausen"
        ),
    },
    lemmas=("zhu2023:lost_action",),
    words="The step multiplies the previous policy, hence an action without mass never has any again.",
    title="What is lost is lost",
)
def persistence(p: Params, rng: np.random.Generator) -> Evidence:
    """Mass on actions that had none before, in every sweep of runs with errors."""
    return _returns(p, rng)


def late_reward(first: float = 1.0, later: float = 2.0, gamma: float = 0.9) -> MDP:
    """Two states: action 0 leads to state 1, where every step pays `later`; action 1 stays and pays `first`."""
    P = np.zeros((2, 2, 2))
    P[0, 0, 1] = P[0, 1, 0] = 1
    P[1, :, 1] = 1
    return MDP(P, [[0.0, first], [later, later]], gamma)


def _exact_step(Q: list[Fraction], mu: list[Fraction], tau: Fraction) -> list[Fraction]:
    """q = 2 in rationals: the largest set of best actions whose weights are all positive."""
    order = sorted((a for a in range(len(Q)) if mu[a] > 0), key=lambda a: -Q[a])
    for size in range(len(order), 0, -1):
        chosen = order[:size]
        weight = sum(mu[a] for a in chosen)
        psi = tau + (sum(mu[a] * Q[a] for a in chosen) - 2 * tau) / weight
        pi = [mu[a] / 2 * (1 + (Q[a] - psi) / tau) if a in chosen else Fraction(0) for a in range(len(Q))]
        if all(pi[a] > 0 for a in chosen):
            return pi
    raise AssertionError("one action alone always has all the mass")


def _exact_run(tau: Fraction, first: Fraction, later: Fraction, num_iters: int) -> tuple[list, list]:
    """Exact Tsallis value iteration, q = 2, in state 0 of `late_reward`: Q's and policies by iteration.

    It stops early while both actions have mass: digits multiply from sweep to sweep.
    """
    gamma, half = Fraction(9, 10), Fraction(1, 2)
    pi, Q, v1 = [half, half], [Fraction(0), Fraction(0)], Fraction(0)
    qs, policies = [Q], [pi]
    for k in range(num_iters):
        if k > 3 and min(pi) > 0:
            break
        new = _exact_step(Q, pi, tau)
        divergence = sum(x * (x / m - 1) for x, m in zip(new, pi, strict=True) if m > 0)
        v0 = sum(x * y for x, y in zip(new, Q, strict=True)) - tau * divergence
        # Both actions of state 1 are one, so that nothing moves there.
        pi, Q, v1 = new, [gamma * v1, first + gamma * v0], later + gamma * v1
        qs.append(Q)
        policies.append(pi)
    return qs, policies


def _lost(p, rng, tau=Fraction(1, 4), first=Fraction(1)):
    gamma, later = Fraction(9, 10), Fraction(2)
    qs, policies = _exact_run(tau, first, later, 30)
    loss = (gamma * later - first) / (1 - gamma)
    holds = [
        loss > 0,
        all(pi == [0, 1] for pi in policies[2:]),
        len(qs) == 31 and all(Q[0] > Q[1] for Q in qs[20:]),
    ]
    text = (
        "rewards 0 then 2 for ever against 1 for ever, discount 9/10, tau = 1/4, q = 2: the optimal action has mass 0 "
        "from sweep 2 on although its Q is the larger one later, and the loss stays 8"
    )
    return Evidence(holds=holds, text=text)


@claim(
    "Convergence without errors fails for q = 2 (derived)",
    r"\exists \text{ MDP}:\ \pi_k(a^* | s) = 0 \ \forall k \ge 2,\ \ V^* - V^{\pi_k} = 8,\ \ Q_k(s, a^*) > Q_k(s, a) "
    r"\text{ for all large } k",
    relation=Witness(),
    falsifiers={
        "larger_tau": variant(_lost, "tau = 10, for which the spread of Q is within the safe margin.", Fraction(10)),
        "smaller_reward": variant(
            _lost, "A first reward of 9/10, behind which 4 tau is not reached.", first=Fraction(9, 10)
        ),
    },
    lemmas=("zhu2023:lost_action",),
    words="With a small temperature and index 2 the exact scheme can discard the optimal action in its second sweep.",
    title="The optimum can be lost for ever",
)
def optimum_lost(p: Params, rng: np.random.Generator) -> Evidence:
    """Thirty sweeps in rational arithmetic."""
    return _lost(p, rng)


def _loss(mdp: MDP, v: np.ndarray, policy: np.ndarray) -> float:
    return float(np.max(v - policy_evaluation(mdp, policy, tol=1e-9).value))


def _decay(p, rng, fixed=False):
    mdp = garnet(10, 4, 3, gamma=0.8, rng=rng)
    v = value_iteration(mdp, tol=1e-9).value
    n = 2 ** np.arange(3, p.last + 1)
    rows = []
    for q in INDICES:
        run = tsallis_vi(mdp, tau=2.0, q=q, num_iters=n[-1], fixed_reference=fixed, checkpoints=n)
        rows.append([_loss(mdp, v, pi) for pi in run["policy"]])
    return Evidence(n=n, error=np.array(rows))


@claim(
    "Decay without errors (measured; no theorem for q other than 1)",
    r"\|V^* - V^{\pi_k}\|_\infty = O(1/k),\quad q \in \{1, 3/2, 2, 3\}",
    relation=Rate(1.0, margin=0.1),
    assumptions=(r"$\tau = 2$: no action is lost on the way",),
    falsifiers={"uniform_reference": variant(_decay, "Divergence from the uniform policy in every sweep.", fixed=True)},
    lemmas=("vieillard2020:averaging", "zhu2023:pseudo_average"),
    words="While no action is lost the loss falls at least like 1 / k, as theory says for KL alone.",
    title="Decay without errors",
)
def decay(p: Params, rng: np.random.Generator) -> Evidence:
    """Losses by the certified solver at doublings; one replicate is a Garnet, its rows are four indices."""
    return _decay(p, rng)


def _noisy(p, rng, tau=1.0):
    mdp = garnet(8, 4, 3, gamma=0.9, rng=rng)
    v = value_iteration(mdp, tol=1e-9).value
    left, right = [], []
    for _ in range(2):
        errors = rng.standard_normal((p.iterations, mdp.S, mdp.A))
        for q, weight, out in ((1.0, tau, left), (2.0, 1.0, right)):
            options = {"num_iters": p.iterations, "errors": errors, "checkpoints": [p.iterations]}
            out.append(_loss(mdp, v, tsallis_vi(mdp, tau=weight, q=q, **options)["policy"][0]))
    return Evidence(left=left, right=right)


@claim(
    "Under noise (experiment of our own)",
    r"\|V^* - V^{\pi_k}\|_\infty \text{ at } q = 1 < \text{ at } q = 2,\quad \epsilon_j \sim N(0, 1),\ \tau = 1",
    relation=Ordering(),
    falsifiers={"slow": variant(_noisy, "tau = 200 at q = 1: errors and q's alike have not been heard yet.", 200.0)},
    lemmas=("vieillard2020:averaging", "zhu2023:lost_action"),
    words="KL goes on averaging; index 2 has discarded all actions but one by then, some of them for a passing error.",
    title="KL averages errors, index 2 freezes",
)
def noise(p: Params, rng: np.random.Generator) -> Evidence:
    """Losses with common errors; one replicate is a Garnet."""
    return _noisy(p, rng)


def _same(p, rng, q=1.0):
    left, right, tolerance = [], [], []
    mdp = garnet(p.states, p.actions, 3, gamma=0.8, rng=rng)
    tau = float(np.exp(rng.uniform(-1, 1)))
    errors = 0.1 * rng.standard_normal((p.iterations, mdp.S, mdp.A))
    options = {"num_iters": p.iterations, "errors": errors}
    tsallis = tsallis_vi(mdp, tau=tau, q=q, **options)["policy"]
    others = (
        np.exp(md_vi(mdp, lam=tau, tau=0.0, **options)["log_policy"]),
        np.exp(munchausen_vi(mdp, alpha=1.0, tau=tau, **options)["log_policy"]),
        general_munchausen_vi(mdp, q=q, alpha=1.0, tau=tau, **options)["policy"],
    )
    for other in others if q == 1 else others[2:]:
        left.append(tsallis)
        right.append(other)
        # Rounding of q's up to 5 units and of tau log pi, summed over the sweeps, in units of tau.
        tolerance.append(np.full(other.shape, 64 * U * p.iterations * (5 / tau + 40)))
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.array(tolerance))


@claim(
    "Index 1 (derived)",
    r"\text{Tsallis-KL value iteration}(q = 1, \tau) = \text{MD-VI}(\tau, 0) = \text{Munchausen}(\alpha = 1, \tau)",
    relation=Identity(),
    falsifiers={
        "off_index_1": variant(_same, "q = 1.05: Tsallis KL against Tsallis logarithms in the reward.", 1.05),
    },
    lemmas=("vieillard2020:munchausen",),
    words="At index 1 the three schemes are one; elsewhere adding logarithms to rewards is no implicit divergence.",
    title="Three schemes coincide at index 1",
)
def index_one(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies of all sweeps with common errors."""
    return _same(p, rng)


def figure_policies(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Mass that a step from the uniform policy on two actions gives the better one, against its lead over tau."""
    lead = np.linspace(0, 6, 121)
    Q = np.stack([lead, np.zeros_like(lead)], axis=1)
    out = {"lead": lead}
    for q in (0.5, 1.0, 1.5, 2.0, 3.0):
        out[f"q_{q:g}".replace(".", "_")] = tsallis_greedy(Q, np.full(Q.shape, 0.5), tau=1.0, q=q)[0][:, 0]
    return out


def figure_decay(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Loss on a Garnet without errors against k, tau = 1."""
    mdp = garnet(10, 4, 3, gamma=0.8, rng=rng)
    v = value_iteration(mdp, tol=1e-10).value
    k = np.unique(np.geomspace(1, 300, p.points).astype(int))
    out = {"k": k}
    for q in INDICES:
        run = tsallis_vi(mdp, tau=1.0, q=q, num_iters=300, checkpoints=k)
        loss = np.array([_loss(mdp, v, pi) for pi in run["policy"]])
        out[f"q_{q:g}".replace(".", "_")] = np.where(loss > 1e-8, loss, np.nan)
    return out | {"bound": 5 / k}


def figure_lost(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Mass on the optimal action of `late_reward` in each sweep, tau = 1/4."""
    mdp, k = late_reward(), np.arange(16)
    out = {"k": k}
    for q in (1.0, 1.5, 2.0):
        policy = tsallis_vi(mdp, tau=0.25, q=q, num_iters=15)["policy"]
        out[f"q_{q:g}".replace(".", "_")] = policy[:, 0, 0]
    return out
