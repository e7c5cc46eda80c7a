r"""Gao et al. (2024), REBEL: regression to relative rewards, with rewards and with preferences.

Source: arXiv:2404.16767; the update is that of the authors' code, which multiplies the relative reward by eta where the
paper divides the log-ratio by it. The exact minimiser of E (log pi(y)/pi_t(y) - log pi(y')/pi_t(y') - eta (r(y) -
r(y')))^2 is pi_(t+1) = pi_t exp(eta r) / Z. With preferences, r_t = P pi_t.

Derived here:

- the minimiser is unique if and only if the pairs connect all actions. For y ~ pi_t and y' ~ nu they do as soon as
  every action has mass under pi_t or under nu: nu needs no full support, an action is lost only if both miss it;
- J(pi_(t+1)) - J(pi_t) = (D(pi_(t+1) || pi_t) + D(pi_t || pi_(t+1))) / eta, hence J never decreases;
- J* - J(pi_T) <= D(p || pi_0) / (eta T) for every optimal p, which leaps from a poor start come close to;
- against rewards with a range of at most 1, chosen in sight of the policy, the regret is at most
  D(p || pi_0) / eta + eta T / 8: Hoeffding's lemma in each round, and both constants are reached;
- the methods of self-play on preferences are few: REBEL is DNO, and INPO is mirror descent and magnetic mirror descent.
"""

from dataclasses import dataclass

import numpy as np
from flint import fmpz_mat

from mdplab.algorithms.games.dno import dno
from mdplab.algorithms.games.rebel import rebel, rebel_fit, rebel_preferences, rebel_step
from mdplab.algorithms.games.self_play import inpo, mmd, omd
from mdplab.claims import Bound, Evidence, Identity, Witness, claim, variant
from mdplab.instances.games import random_preferences
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.papers.shared.games import U, any_family, random_policies


@dataclass(frozen=True)
class Params:
    """Sizes: `actions`; `starts` policies; `horizon` of runs with a fixed reward; `rounds` against an adversary;
    `updates` of methods that are compared."""

    actions: int
    starts: int
    horizon: int
    rounds: int
    updates: int


def _reversed(log_pi, reward, *, eta):
    return rebel_step(log_pi, -reward, eta=eta)


def _divided(log_pi, reward, *, eta):
    return rebel_step(log_pi, reward, eta=1 / eta)


def _minimiser(p, rng, step=rebel_step, baseline=False):
    left, right, tolerance = [], [], []
    n = p.actions
    for _ in range(4):
        log_pi, reward, eta = log_softmax(rng.standard_normal(n)), rng.uniform(size=n), float(rng.uniform(1.5, 4.0))
        # nu misses up to all actions but one: pi_t sees them.
        nu = np.where(rng.random(n) < 0.5, rng.random(n), 0.0)
        nu[int(rng.integers(n))] = 1.0
        pairs = np.outer(softmax(log_pi), nu / nu.sum())
        y, z = (index.ravel() for index in np.indices((n, n)))
        root = np.sqrt(pairs.ravel())
        A = root[:, None] * (np.eye(n)[y] - np.eye(n)[z])
        # Without the partner's reward the regression is on absolute rewards.
        target = eta * root * (reward[y] - (0.0 if baseline else reward[z]))
        ratio, _, _, singular = np.linalg.lstsq(A, target, rcond=1e-12)
        left.append(step(log_pi, reward, eta=eta))
        right.append(log_softmax(log_pi + ratio))
        error = 64 * n * U * (singular[0] / singular[n - 2]) ** 2 * (1 + eta + np.ptp(log_pi))
        tolerance.append(np.full(n, error))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Algorithm 1, regression",
    r"\arg\min_\pi E_{y \sim \pi_t, y' \sim \nu}\left[\left(\log\frac{\pi(y)}{\pi_t(y)} - \log\frac{\pi(y')}{\pi_t(y')}"
    r" - \eta (r(y) - r(y'))\right)^2\right] \propto \pi_t e^{\eta r}",
    relation=Identity(),
    assumptions=(r"$\pi_t$ has full support; $\nu$ is arbitrary",),
    falsifiers={
        "reversed": variant(_minimiser, "The sign of the reward.", _reversed),
        "divided": variant(_minimiser, "1 / eta in place of eta.", _divided),
        "absolute": variant(_minimiser, "Regression on r(y) without the partner's reward.", baseline=True),
    },
    words="Regression to relative rewards is one step of exponential weights, whatever the partner's law.",
    title="The regression is exponential weights",
)
def regression(p: Params, rng: np.random.Generator) -> Evidence:
    """The library's step against least squares on all pairs, for partners that miss actions."""
    return _minimiser(p, rng)


def _identified(p, rng, seen=np.logical_or):
    n = p.actions
    first, second = rng.random((2, n)) < 0.5
    first[int(rng.integers(n))] = second[int(rng.integers(n))] = True
    # One action, at least, that the partner misses and the policy sees, and one that both miss.
    hidden, missed = rng.choice(n, size=2, replace=False)
    first[hidden], second[hidden], first[missed], second[missed] = True, False, False, False
    second[next(i for i in range(n) if i not in (hidden, missed))] = True
    pairs = [[(k == y) - (k == z) for k in range(n)] for y in range(n) for z in range(n) if first[y] and second[z]]
    determined = fmpz_mat(pairs).rank() == int(seen(first, second).sum()) - 1
    pairs = np.outer(first, second) / (first.sum() * second.sum())
    _, components = rebel_fit(np.zeros(n), np.zeros((n, n)), eta=1.0, pairs=pairs)
    # What the library reports: the actions of one component are those whose odds the pairs determine.
    together = components == components[hidden]
    reported = bool(np.array_equal(together, np.asarray(seen(first, second), dtype=bool)))
    text = f"{int((~(first | second)).sum())} of {n} actions are in no pair"
    return Evidence(holds=[determined, reported], text=text)


@claim(
    "What the pairs determine (derived)",
    r"\text{the odds of } y \text{ are determined} \iff \pi_t(y) + \nu(y) > 0",
    relation=Witness(),
    assumptions=(r"pairs $(y, y')$ with $y \sim \pi_t$, $y' \sim \nu$; supports are arbitrary",),
    falsifiers={
        "partner_only": variant(_identified, "Only actions in the support of nu.", lambda first, second: second),
        "both": variant(_identified, "Only actions in both supports.", np.logical_and),
    },
    words="An action's odds are lost only if neither law draws it; the library reports which.",
    title="Which odds the regression determines",
)
def identified(p: Params, rng: np.random.Generator) -> Evidence:
    """The rank of the regression in rational arithmetic, and the components that the library reports."""
    return _identified(p, rng)


def _progress(p, rng, step=rebel_step, both=True):
    reward, eta = rng.uniform(size=p.actions), float(np.exp(rng.uniform(-2, 3)))
    before = random_policies(p.starts, p.actions, rng)
    after = step(before, reward, eta=eta)
    divergence = kl_divergence(after, before) + (kl_divergence(before, after) if both else 0.0)
    return Evidence(
        left=(softmax(after) - softmax(before)) @ reward,
        right=divergence / eta,
        # Rounding of logits of size eta and of divergences of their range.
        tolerance=64 * p.actions * U * (1 + 1 / eta) * (1 + eta + np.ptp(before, axis=1)),
    )


@claim(
    "Fixed reward (derived)",
    r"J(\pi_{t+1}) - J(\pi_t) = \frac1\eta\left[D(\pi_{t+1} \| \pi_t) + D(\pi_t \| \pi_{t+1})\right] \ge 0",
    relation=Identity(),
    falsifiers={
        "reversed": variant(_progress, "The sign of the reward.", _reversed),
        "divided": variant(_progress, "1 / eta in place of eta.", _divided),
        "one_sided": variant(_progress, "One divergence of the two.", both=False),
    },
    lemmas=("munos2023:three_point", "tomar2020:step_gain"),
    words="The reward grows by exactly the divergence moved, both ways, over eta: it never falls.",
    title="Monotone improvement",
)
def progress(p: Params, rng: np.random.Generator) -> Evidence:
    """Random and peaked policies, steps from small to large."""
    return _progress(p, rng)


def _rate(p, rng, step=rebel_step, factor=1.0):
    T = np.arange(1, p.horizon + 1)
    depth = float(rng.uniform(2e3, 1e4))
    # Two actions, the better one nearly absent at first: the bound is met when its logit is about log depth short.
    leap = (np.array([[-depth, 0.0]]), np.array([1.0, 0.0]), (depth - np.log(depth)) / p.horizon)
    start = random_policies(p.starts, p.actions, rng)
    random = (start, rng.uniform(size=p.actions), float(np.exp(rng.uniform(-2, 2))))
    measured, bound, radius = [], [], []
    for log_pi, reward, eta in (leap, random):
        if step is rebel_step:
            policies = rebel(lambda t, x, r=reward: r, log_pi, eta=eta, num_iters=p.horizon)["log_pi"][1:]
        else:
            policies = []
            for _ in range(p.horizon):
                log_pi = step(log_pi, reward, eta=eta)
                policies.append(log_pi)
            log_pi, policies = (leap if log_pi.shape[1] == 2 else random)[0], np.array(policies)
        # J* - J as a mean of shortfalls, all of one sign: no cancellation.
        shortfall = softmax(policies) @ (reward.max() - reward)
        divergence = -log_softmax(log_pi)[:, np.argmax(reward)]
        measured.append(shortfall.T.ravel())
        bound.append((factor * divergence[:, None] / (eta * T)).ravel())
        # Relative error of a probability: the rounding of its logit.
        radius.append((64 * U * T * (1 + eta * T + divergence.max()) * shortfall.T).ravel())
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound), radius=np.concatenate(radius))


@claim(
    "Fixed reward, rate (derived)",
    r"J(\pi^\circ) - J(\pi_T) \le \frac{D(\pi^\circ \| \pi_0)}{\eta T}",
    relation=Bound(),
    assumptions=(r"$\pi^\circ$ is optimal",),
    falsifiers={
        "reversed": variant(_rate, "The sign of the reward.", _reversed),
        "strengthened": variant(_rate, "0.98 of the bound.", factor=0.98),
    },
    words="The shortfall falls like 1 / T with the divergence from the start as constant, which is best possible.",
    title="Rate with a fixed reward",
)
def rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Every T, on random rewards, and from a start that lacks the better of two actions."""
    return _rate(p, rng)


def _adversary(p, rng, step=rebel_step, factor=1.0, share=1 / 8):
    T = p.rounds
    # Alternating rewards keep two actions near a tie, where the variance is 1/4 in every round.
    alternating = (lambda t, log_pi: np.tile(np.eye(2)[t % 2], (len(log_pi), 1)), np.zeros((1, 2)), 0.35)
    drawn = rng.random((T, p.actions))

    def spiteful(t, log_pi):
        """Mostly the worst reward for the current policy: nothing for its favourite action."""
        out = np.tile(drawn[t], (len(log_pi), 1))
        out[np.arange(len(log_pi)), np.argmax(log_pi, axis=1)] = 0.0
        return out

    measured, bound, radius = [], [], []
    against = spiteful, random_policies(p.starts, p.actions, rng), float(np.exp(rng.uniform(-3, 0)))
    for reward, start, eta in (alternating, against):
        log_pi = first = log_softmax(start)
        total, earned = np.zeros(start.shape), np.zeros((T, len(start)))
        for t in range(T):
            r = reward(t, log_pi)
            total += r
            earned[t] = np.einsum("sy,sy->s", softmax(log_pi), r)
            log_pi = step(log_pi, r, eta=eta)
        # Regret against every action, each with its own divergence from the start.
        regret = (total - earned.sum(axis=0)[:, None]) / T
        measured.append(regret.ravel())
        bound.append((factor * (-first / (eta * T) + eta * share)).ravel())
        radius.append(np.full(regret.size, 64 * U * T * (1 + eta)))
    return Evidence(measured=np.concatenate(measured), bound=np.concatenate(bound), radius=np.concatenate(radius))


@claim(
    "Adversarial rewards (derived)",
    r"\frac1T \sum_t \langle \pi^\circ - \pi_t, r_t \rangle \le \frac{D(\pi^\circ \| \pi_0)}{\eta T} + \frac{\eta}{8}",
    relation=Bound(),
    assumptions=(r"$r_t$ has a range of at most 1 and may depend on $\pi_t$", r"any $\pi^\circ$"),
    falsifiers={
        "reversed": variant(_adversary, "The sign of the reward.", _reversed),
        "share_9": variant(_adversary, "eta / 9 in place of eta / 8.", share=1 / 9),
    },
    lemmas=("hoeffding1963:tilted_variance", "hoeffding1963:eighth_is_sharp"),
    words="Whatever the rewards, the policies do nearly as well as any fixed one.",
    title="Regret against an adversary",
)
def adversary(p: Params, rng: np.random.Generator) -> Evidence:
    """Alternating rewards, for which the constant 1/8 is reached, and rewards that spite the current policy."""
    return _adversary(p, rng)


def _preferences(p, rng, inverse=lambda eta: 1 / eta, transposed=False):
    left, right, tolerance = [], [], []
    for _ in range(3):
        game = random_preferences(p.actions, rng=rng, family=any_family(rng))
        eta, start = float(rng.uniform(1.5, 3.0)), log_softmax(rng.standard_normal(p.actions))
        played = game.replace(P=game.P.T) if transposed else game
        ours = rebel_preferences(played, eta=eta, num_iters=p.updates, log_pi0=start)["log_pi"]
        theirs = dno(game, eta=inverse(eta), num_iters=p.updates, log_pi0=start)["log_pi"]
        # By regression on every pair of the win rates, labelled by an opponent from the current policy.
        fitted = [start]
        for _ in range(p.updates):
            gain = played.P @ softmax(fitted[-1])
            pairs = np.outer(softmax(fitted[-1]), np.full(p.actions, 1 / p.actions))
            fitted.append(rebel_fit(fitted[-1], gain[:, None] - gain[None, :], eta=eta, pairs=pairs)[0])
        left += [ours[1:].ravel(), np.ravel(fitted[1:])]
        right += [theirs[1:].ravel()] * 2
        # Errors of the fit grow with the conditioning of its pairs, and by 1 + eta / 2 a step.
        condition = np.exp(np.ptp(ours, axis=1)).max()
        tolerance += [np.full(ours[1:].size, 64 * p.actions * U * condition * (1 + eta / 2) ** p.updates)] * 2
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Preferences (derived)",
    r"\text{REBEL}(\eta) \text{ with } r_t = P\pi_t\ =\ \text{DNO}(1/\eta)",
    relation=Identity(),
    falsifiers={
        "same_eta": variant(_preferences, "DNO with the same eta.", lambda eta: eta),
        "transposed": variant(_preferences, "P transposed.", transposed=True),
    },
    words="With win rates for rewards, REBEL and DNO are one method.",
    title="REBEL and DNO coincide",
)
def preferences(p: Params, rng: np.random.Generator) -> Evidence:
    """Several updates by closed form, by regression on pairs, and by DNO."""
    return _preferences(p, rng)


def _same_method(p, rng, magnetic=lambda eta, tau: 1 / (eta - tau), anchored=1.0):
    left, right, tolerance = [], [], []
    for _ in range(3):
        game = random_preferences(p.actions, rng=rng, family=any_family(rng))
        tau = float(rng.uniform(0.1, 1.0))
        eta, start = tau * float(rng.uniform(1.5, 5.0)), log_softmax(rng.standard_normal(game.n))
        pi, h = softmax(start), tau / eta
        for _ in range(p.updates):
            pi = pi ** (1 - h) * game.mu ** (anchored * h) * np.exp(game.P @ pi / eta)
            pi = pi / pi.sum()
        # An error of one step is multiplied by at most 1 - h + (payoffs) / eta in the next.
        growth = p.updates * max(1.0, 1 - h + 0.5 / eta) ** p.updates
        for method, step in ((inpo, eta), (omd, 1 / eta), (mmd, magnetic(eta, tau))):
            left.append(method(game, tau=tau, eta=step, num_iters=p.updates, log_pi0=start)["log_pi"][-1])
            right.append(np.log(pi))
            tolerance.append(np.full(game.n, 64 * game.n * U * growth * (1 + 1 / eta - np.log(pi).min())))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Same method, three names (derived)",
    r"\text{INPO}(\eta) = \text{OMD}(1/\eta) = \text{MMD}(\eta_m),\quad \frac1\eta = \frac{\eta_m}{1 + \eta_m \tau}",
    relation=Identity(),
    falsifiers={
        "same_step": variant(_same_method, "MMD with the step 1 / eta.", lambda eta, tau: 1 / eta),
        "no_anchor": variant(_same_method, "The printed formula without mu.", anchored=0.0),
    },
    words="INPO's planning step is mirror descent in self-play and magnetic mirror descent, at matching steps.",
    title="INPO, OMD and MMD coincide",
)
def same_method(p: Params, rng: np.random.Generator) -> Evidence:
    """The library's three runs against the printed formula iterated on probabilities, with P itself."""
    return _same_method(p, rng)


def _invariance(p, rng, rows=False):
    left, right, tolerance = [], [], []
    for _ in range(3):
        game = random_preferences(p.actions, rng=rng, family=any_family(rng))
        tau, eta, start = 0.3, float(rng.uniform(0.5, 1.5)), log_softmax(rng.standard_normal(p.actions))
        f = rng.standard_normal(game.n)
        M = game.P + (f[:, None] if rows else f[None, :]) + float(rng.normal())
        ours = [
            inpo(game, tau=tau, eta=eta, num_iters=3, log_pi0=start),
            dno(game, eta=eta, num_iters=3, log_pi0=start),
            rebel_preferences(game, eta=1 / eta, num_iters=3, log_pi0=start),
        ]
        for run, h in zip(ours, (tau / eta, 0.0, 0.0)):
            theirs = start
            for _ in range(3):
                theirs = log_softmax((1 - h) * theirs + h * game.log_mu + M @ softmax(theirs) / eta)
            left.append(run["log_pi"][-1])
            right.append(theirs)
            # Three steps, each multiplying an error by at most 1 + 1 / eta; M has entries of a few units.
            scale = (1 + 1 / eta) ** 3 * (1 + np.abs(M).max() / eta - theirs.min())
            tolerance.append(np.full(game.n, 64 * game.n * U * scale))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "What the iterates depend on (derived)",
    r"P \to P + 1 f^\top + c\ \Rightarrow\ \text{the iterates of INPO, DNO and REBEL do not move}",
    relation=Identity(),
    falsifiers={"rows": variant(_invariance, "f(y) is added to rows instead of columns.", rows=True)},
    words="Adding a function of the opponent's action, or a constant, to the payoffs changes no iterate.",
    title="Payoffs count up to a function of the opponent",
)
def invariance(p: Params, rng: np.random.Generator) -> Evidence:
    """Three steps of each method, by the library on P and from the formula on the shifted matrix."""
    return _invariance(p, rng)


def figure_rate(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Shortfall over eta T for three depths of the start, in units of the divergence from it; the bound."""
    x = np.linspace(0.6, 1.8, 241)
    out = {"x": x}
    for depth in (5, 50, 5000):
        log_pi = np.stack([np.full(x.size, -float(depth)), np.zeros(x.size)], axis=1)
        divergence = -log_softmax(log_pi)[:, 0]
        reward = np.stack([x * divergence, np.zeros(x.size)], axis=1)
        out[f"depth_{depth}"] = softmax(rebel_step(log_pi, reward, eta=1.0))[:, 1]
    return out | {"bound": 1 / x}
