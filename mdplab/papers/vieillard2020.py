r"""Vieillard, Kozuno, Scherrer, Pietquin, Munos, Geist (NeurIPS 2020): KL regularisation averages errors.

arXiv:2003.14089. The paper's text was not read; Theorem 1 is as our specification remembers it, with q_{pi_k} on its
left side. What follows from the recursion is derived here, and each step is a claim. With S_k = q_0 + ... + q_k,
uniform pi_0, E_k = eps_1 + ... + eps_k and the soft maximum F = lam log mean exp(. / lam):

- for tau = 0 regularised values telescope: S_k = q_0 + k r + gamma P F(S_{k-1}) + E_k, pi_k = softmax(S_{k-1} / lam).
  So errors enter through their mean alone, and without assuming bounded q's
  ||v* - v_{pi_k}|| <= (2 ||E_k + q_0 - q_k|| + lam log A) / (k (1 - gamma)); the loss in q has gamma times as much.
  The printed theorem follows, so its 2 / (1 - gamma) is 2 gamma / (1 - gamma) for q. Both are attained by one state;
- for tau > 0, with beta = lam / (lam + tau), h_k = (1 - beta) (q_k + beta q_{k-1} + ...) obeys soft value iteration
  with errors Ebar_k + beta^k c, Ebar_k the geometric average: the theorem of this case, up to constants;
- Munchausen value iteration is MD-VI in other variables.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.policy_gradient.md_vi import md_vi
from mdplab.algorithms.policy_gradient.munchausen import munchausen_vi
from mdplab.claims import Bound, Evidence, Identity, Ordering, Rate, claim, variant
from mdplab.exact import policy_evaluation, soft_policy_iteration, value_iteration
from mdplab.instances import garnet
from mdplab.instances.error_averaging import maze, tight_averaging
from mdplab.kernels.softmax import log_softmax, logsumexp
from mdplab.models import MDP

U = 2.0**-53


@dataclass(frozen=True)
class Params:
    """Sizes: Garnets of `states`, `iterations` of each run, `long` on the tight instance, `seeds` of noise a Garnet.

    Rates are measured at 2^5 .. 2^`last` iterations; figures draw `points` iterations.
    """

    states: int
    iterations: int
    long: int
    seeds: int
    last: int
    points: int


def _garnet(p: Params, rng: np.random.Generator, gammas=(0.5, 0.8, 0.95)) -> MDP:
    return garnet(p.states, 3, 3, gamma=float(rng.choice(gammas)), rng=rng)


def _errors(p: Params, mdp: MDP, rng: np.random.Generator) -> list[np.ndarray]:
    """None, independent, constant and alternating errors, each (iterations, S, A)."""
    shape = (p.iterations, mdp.S, mdp.A)
    constant = np.broadcast_to(0.3 * rng.standard_normal(shape[1:]), shape)
    turning = constant * (-1.0) ** np.arange(p.iterations)[:, None, None]
    return [np.zeros(shape), 0.5 * rng.standard_normal(shape), constant, turning]


def _free_energy(S: np.ndarray, lam: float) -> np.ndarray:
    """lam log mean exp(S / lam) along the last axis."""
    return lam * (logsumexp(S / lam) - np.log(S.shape[-1]))


def _averaging(p, rng, penalized=True, weight=1.0, late=0):
    left, right, tolerance = [], [], []
    mdp = _garnet(p, rng)
    lam = float(np.exp(rng.uniform(-2, 1)))
    for errors in _errors(p, mdp, rng):
        q0 = rng.standard_normal((mdp.S, mdp.A))
        run = md_vi(mdp, lam=weight * lam, tau=0.0, num_iters=p.iterations, errors=errors, q0=q0, penalized=penalized)
        # What the trace keeps is the sum of the q's before each k.
        S = run["q_sum"] + run["q"]
        k = np.arange(1, p.iterations + 1)[:, None, None]
        E = np.cumsum(errors, axis=0)
        if late:
            E = np.concatenate([np.zeros((late, mdp.S, mdp.A)), E[:-late]])
        left += [S[1:], run["log_policy"][1:]]
        right += [
            q0 + k * mdp.r + mdp.gamma * np.einsum("sat,kt->ksa", mdp.P, _free_energy(S[:-1], lam)) + E,
            log_softmax(S[:-1] / lam),
        ]
        # Each iteration rounds logarithms and q's; the errors of k of them add up.
        size = np.abs(run["q"]).max() + lam * np.abs(run["log_policy"]).max()
        tolerance += [np.broadcast_to(64 * U * k * size * scale, S[1:].shape) for scale in (1.0, 1 / lam)]
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.array(tolerance))


@claim(
    "Section 3 (recursion derived)",
    r"\sum_{j \le k} q_j = q_0 + k r + \gamma P F_\lambda\Big(\sum_{j<k} q_j\Big) + \sum_{j=1}^k \epsilon_j,\quad "
    r"\pi_k = \mathrm{softmax}\Big(\tfrac1\lambda \sum_{j<k} q_j\Big),"
    r"\quad F_\lambda = \lambda \log \mathrm{mean}\, e^{\cdot/\lambda}",
    relation=Identity(),
    assumptions=(r"$\tau = 0$", r"$\pi_0$ uniform"),
    falsifiers={
        "kl_in_greedy_only": variant(_averaging, "The evaluation has no KL term.", penalized=False),
        "half_weight": variant(_averaging, "The run has half the KL weight.", weight=0.5),
        "one_error_late": variant(_averaging, "The sum of errors is one short.", late=1),
    },
    lemmas=("vieillard2020:averaging", "vieillard2020:evaluation_telescopes"),
    words="Under KL regularisation the sum of all q's obeys one recursion in which errors enter by their plain sum.",
    title="Errors are averaged",
)
def averaging(p: Params, rng: np.random.Generator) -> Evidence:
    """Every iteration of four runs on a Garnet, with four kinds of errors."""
    return _averaging(p, rng)


def _history(q: np.ndarray, beta: float) -> np.ndarray:
    """h_k = beta h_{k-1} + (1 - beta) q_k with h_{-1} = 0, for all k: (K, S, A)."""
    h, out = np.zeros(q.shape[1:]), []
    for x in q:
        h = beta * h + (1 - beta) * x
        out.append(h)
    return np.array(out)


def _first_term(mdp: MDP, q0: np.ndarray, beta: float, tau: float) -> np.ndarray:
    """c = (1 - beta) q_0 - r - gamma tau log A, whose weight beta^k vanishes."""
    rows = mdp.P.sum(axis=2)
    return (1 - beta) * q0 - mdp.r - mdp.gamma * tau * np.log(mdp.A) * rows


def _geometric(p, rng, penalized=True, forget=None, first=1.0):
    left, right, tolerance = [], [], []
    mdp = _garnet(p, rng)
    lam, tau = np.exp(rng.uniform(-2, 1, 2))
    beta = lam / (lam + tau)
    for errors in _errors(p, mdp, rng):
        q0 = rng.standard_normal((mdp.S, mdp.A))
        run = md_vi(mdp, lam=lam, tau=tau, num_iters=p.iterations, errors=errors, q0=q0, penalized=penalized)
        h = _history(run["q"], beta)
        average = _history(errors, beta if forget is None else forget)
        decay = beta ** np.arange(1, p.iterations + 1)[:, None, None]
        soft = tau * logsumexp(h[:-1] / tau)
        left += [h[1:], run["log_policy"][1:]]
        right += [
            mdp.r
            + mdp.gamma * np.einsum("sat,kt->ksa", mdp.P, soft)
            + average
            + first * decay * _first_term(mdp, q0, beta, tau),
            log_softmax(h[:-1] / tau),
        ]
        # Rounding is forgotten like everything else, at the rate beta.
        size = (np.abs(run["q"]).max() + (lam + tau) * np.abs(run["log_policy"]).max()) / (1 - beta)
        tolerance += [np.full(h[1:].shape, 64 * U * size * scale) for scale in (1.0, 1 / tau)]
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.array(tolerance))


@claim(
    "Section 4 (recursion derived)",
    r"h_k = r + \gamma P\, \tau \log \textstyle\sum_a e^{h_{k-1}/\tau} + (1-\beta) \sum_{j=1}^k \beta^{k-j} \epsilon_j"
    r" + \beta^k c,\quad h_k = (1-\beta) \sum_{j \le k} \beta^{k-j} q_j,\ \pi_{k+1} = \mathrm{softmax}(h_k / \tau)",
    relation=Identity(),
    assumptions=(r"$\beta = \lambda/(\lambda+\tau)$, $\tau > 0$", r"$\pi_0$ uniform"),
    falsifiers={
        "kl_in_greedy_only": variant(_geometric, "The evaluation has no regulariser.", penalized=False),
        "not_forgotten": variant(_geometric, "Errors with weights of another beta.", forget=0.9),
        "no_first_term": variant(_geometric, "Without beta^k c.", first=0.0),
    },
    lemmas=("vieillard2020:geometric",),
    words="With entropy beside KL the scheme is soft value iteration on a geometric average, errors averaged likewise.",
    title="With entropy, errors are forgotten geometrically",
)
def geometric(p: Params, rng: np.random.Generator) -> Evidence:
    """Every iteration of four runs on a Garnet, with four kinds of errors."""
    return _geometric(p, rng)


def _losses(mdp: MDP, v: np.ndarray, log_pi: np.ndarray) -> tuple[float, float, float]:
    """Loss in v and in q of a policy against the optimal value v, and the certified error of both."""
    judged = policy_evaluation(mdp, np.exp(log_pi), tol=1e-8)
    gap = v - judged.value
    # Rows of float policies sum to one within 4 U A, which the certificate of the policy as stored does not see.
    radius = judged.certificate.gap + 16 * U * mdp.A * np.abs(mdp.r).max() / (1 - mdp.gamma) ** 2
    return float(gap.max()), float(mdp.gamma * np.max(mdp.P @ gap)), radius


def _checkpoints(n: int) -> np.ndarray:
    """About 12 iterations from 1 to n, geometrically spaced."""
    return np.unique(np.geomspace(1, n, 12).astype(int))


def _cases(p, rng):
    """(mdp, errors, lam): a Garnet, one state with constant and with alternating errors, a Garnet with a strong KL."""
    mdp = _garnet(p, rng)
    out = [(mdp, errors, float(np.exp(rng.uniform(-3, 1)))) for errors in _errors(p, mdp, rng)]
    e, gamma = float(rng.uniform(0.1, 1)), float(rng.uniform(0.2, 0.5))
    tight, errors = tight_averaging(e, 0.005 * e, gamma, p.long)
    turning = errors[: p.iterations] * (-1.0) ** np.arange(p.iterations)[:, None, None]
    slow = _garnet(p, rng, (0.3,))
    return [*out, (tight, errors, 0.05 * e), (tight, turning, 0.05 * e), (slow, _errors(p, slow, rng)[0], 100.0)]


def _sharp(p, rng, factor=1.0, kl_term=True, lam_run=1.0):
    measured, bound, radius = [], [], []
    for mdp, errors, lam in _cases(p, rng):
        solved = value_iteration(mdp, tol=1e-8)
        kept = _checkpoints(len(errors))
        run = md_vi(mdp, lam=lam_run * lam, tau=0.0, num_iters=len(errors), errors=errors, checkpoints=kept)
        E = np.cumsum(errors, axis=0)
        for i, k in enumerate(kept):
            in_v, in_q, error = _losses(mdp, solved.value, run["log_policy"][i])
            # q_0 = 0.
            drift = 2 * np.abs(E[k - 1] - run["q"][i]).max() + lam * np.log(mdp.A) * kl_term
            measured += [in_v, in_q]
            bound += [factor * drift / (k * (1 - mdp.gamma)), factor * mdp.gamma * drift / (k * (1 - mdp.gamma))]
            radius += [error + solved.certificate.gap] * 2
    # A loss of 0 is within the radius of its bound of 0 only if that is allowed for.
    bound = np.array(bound) + 2 * np.array(radius)
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Theorem 1, without bounded iterates (derived)",
    r"\|v_* - v_{\pi_k}\|_\infty \le \frac{1}{1-\gamma}\Big( 2 \Big\|\frac1k \Big(\sum_{j=1}^k \epsilon_j + q_0 - q_k"
    r"\Big)\Big\|_\infty + \frac{\lambda \log A}{k} \Big),"
    r"\quad \|q_* - q_{\pi_k}\|_\infty \le \gamma \cdot \text{the same}",
    relation=Bound(),
    assumptions=(r"$\tau = 0$", r"$\pi_0$ uniform"),
    falsifiers={
        "two_percent_less": variant(_sharp, "0.98 of the bound.", factor=0.98),
        "value_iteration": variant(_sharp, "Value iteration in place of MD-VI, the bound as before.", lam_run=0.0),
        "no_kl_term": variant(_sharp, "Without lambda log A.", kl_term=False),
    },
    lemmas=("vieillard2020:averaging", "vieillard2020:evaluation_telescopes", "vieillard2020:tight"),
    words="The loss of the k-th policy is the mean of the errors over the horizon, and what is left falls like 1 / k.",
    title="Sharp error propagation",
)
def sharp_bound(p: Params, rng: np.random.Generator) -> Evidence:
    """Losses by the certified solvers; the instances are those of `_cases`."""
    return _sharp(p, rng)


def _theorem(p, rng, constant=2.0, remainder=4.0):
    measured, bound, radius = [], [], []
    for mdp, errors, lam in _cases(p, rng):
        solved = value_iteration(mdp, tol=1e-8)
        kept = _checkpoints(len(errors))
        run = md_vi(mdp, lam=lam, tau=0.0, num_iters=len(errors), errors=errors)
        # The theorem assumes q's within v_max: the bound on rewards is taken as large as makes that true.
        v_max = max((np.abs(mdp.r).max() + lam * np.log(mdp.A)) / (1 - mdp.gamma), np.abs(run["q"]).max())
        E = np.cumsum(errors, axis=0)
        for k in kept:
            _, in_q, error = _losses(mdp, solved.value, run["log_policy"][k])
            measured.append(in_q)
            bound.append((constant * np.abs(E[k - 1]).max() + remainder * v_max) / (k * (1 - mdp.gamma)))
            radius.append(error + solved.certificate.gap)
    return Evidence(measured=measured, bound=np.array(bound) + 2 * np.array(radius), radius=radius)


@claim(
    "Theorem 1",
    r"\|q_* - q_{\pi_k}\|_\infty \le \frac{2}{1-\gamma} \Big\|\frac1k \sum_{j=1}^k \epsilon_j\Big\|_\infty + "
    r"\frac{4}{1-\gamma}\, \frac{v_{\max}^\lambda}{k}",
    relation=Bound(),
    assumptions=(r"$\tau = 0$", r"$\|q_j\|_\infty \le v_{\max}^\lambda = (r_{\max} + \lambda \log A)/(1-\gamma)$"),
    falsifiers={
        "no_remainder": variant(_theorem, "Without 4 v_max / ((1 - gamma) k).", remainder=0.0),
        "no_error_term": variant(_theorem, "Without the mean error.", constant=0.0),
    },
    lemmas=("vieillard2020:averaging", "vieillard2020:evaluation_telescopes"),
    words="The loss is controlled by the norm of the average of the errors, not by the average of their norms.",
    title="Theorem 1 as printed",
)
def theorem_1(p: Params, rng: np.random.Generator) -> Evidence:
    """The same instances; loose, so that its constants are judged by the sharp form."""
    return _theorem(p, rng)


def _tight(p, rng, sign=1.0, lam_run=1.0, short=0):
    left, right, tolerance = [], [], []
    for gamma in (0.3, 0.9):
        e, delta, lam = float(rng.uniform(0.1, 2)), float(rng.uniform(0.01, 0.1)), float(rng.uniform(0.01, 0.1))
        mdp, errors = tight_averaging(e, delta, gamma, p.iterations)
        run = md_vi(mdp, lam=lam_run * lam, tau=0.0, num_iters=p.iterations, errors=sign * errors)
        for k in _checkpoints(p.iterations):
            left.append(_losses(mdp, value_iteration(mdp, tol=1e-10).value, run["log_policy"][k])[0])
            odds = (k - 1 - short) * delta / lam
            right.append((2 * e - delta) / (1 - gamma) / (1 + np.exp(-odds)))
            # Rounding of k iterations; 2e-8 for the certified solvers.
            tolerance.append(2e-8 + 64 * U * k * e / (lam * (1 - gamma) ** 2))
    return Evidence(left=left, right=right, tolerance=tolerance)


@claim(
    "Theorem 1, tightness (derived)",
    r"v_* - v_{\pi_k} = \frac{2e - \delta}{1-\gamma}\, \frac{1}{1 + e^{-(k-1)\delta/\lambda}} \to \frac{2e}{1-\gamma}"
    r"\quad \text{for one state, } r = (2e - \delta, 0),\ \epsilon_j = (-e, e)",
    relation=Identity(),
    falsifiers={
        "errors_reversed": variant(_tight, "Errors (e, -e).", sign=-1.0),
        "double_weight": variant(_tight, "The run has twice the KL weight.", lam_run=2.0),
        "one_q_fewer": variant(_tight, "The policy after one iteration less.", short=1),
    },
    lemmas=("vieillard2020:tight",),
    words="A constant error that favours the worse action costs twice its size over the horizon: 2 cannot be less.",
    title="The error term is attained",
)
def tight(p: Params, rng: np.random.Generator) -> Evidence:
    """Closed form against the certified loss, at iterations from 1 on."""
    return _tight(p, rng)


def _soft_losses(mdp, tau, q_star, log_pi):
    """||q*_tau - q_tau^pi|| and its certified error."""
    rewarded = mdp.replace(r=mdp.r - tau * log_pi)
    judged = policy_evaluation(rewarded, np.exp(log_pi), tol=1e-7)
    q = mdp.r + mdp.gamma * mdp.P @ judged.value
    return float(np.max(q_star - q)), judged.certificate.gap


def _with_entropy(p, rng, factor=1.0, arithmetic=False, horizons=2):
    measured, bound, radius = [], [], []
    mdp = _garnet(p, rng, (0.3, 0.8))
    cases = [(mdp, errors, *np.exp(rng.uniform(-2, 0, 2))) for errors in _errors(p, mdp, rng)]
    # The errors of the last tenth alone, which a plain average would all but lose.
    late = 0.5 * (np.arange(p.iterations) >= 0.9 * p.iterations)[:, None, None] * rng.standard_normal((mdp.S, mdp.A))
    cases.append((mdp, late, 0.05, 0.2))
    cases.append((*tight_averaging(1.0, 0.02, 0.02, p.iterations), 0.002, 0.002))
    for mdp, errors, lam, tau in cases:
        beta, gamma, K = lam / (lam + tau), mdp.gamma, len(errors)
        solved = soft_policy_iteration(mdp, tau=tau, tol=1e-7)
        q_star = mdp.r + gamma * mdp.P @ solved.value
        run = md_vi(mdp, lam=lam, tau=tau, num_iters=K + 1, errors=np.concatenate([errors, errors[:1]]))
        mean = np.cumsum(errors, axis=0) / np.arange(1, K + 1)[:, None, None]
        average = mean if arithmetic else _history(errors, beta)
        c = _first_term(mdp, run["q"][0], beta, tau)
        # q_0 = 0, hence h_0 = 0.
        carried = np.abs(q_star).max()
        for k in range(1, K + 1):
            carried = gamma * carried + np.abs(average[k - 1] + beta**k * c).max()
            if k in _checkpoints(K):
                loss, error = _soft_losses(mdp, tau, q_star, run["log_policy"][k + 1])
                measured.append(loss)
                horizon = 1 - gamma if horizons == 2 else 1.0
                bound.append(factor * 2 * gamma * carried / horizon)
                radius.append(error + solved.certificate.gap)
    return Evidence(measured=measured, bound=np.array(bound) + 2 * np.array(radius), radius=radius)


@claim(
    "Theorem 2 (constants derived)",
    r"\|q^\tau_* - q^\tau_{\pi_{k+1}}\|_\infty \le \frac{2\gamma}{1-\gamma} \Big( \sum_{j=1}^k \gamma^{k-j} "
    r"\big\|(1-\beta) \textstyle\sum_{i \le j} \beta^{j-i} \epsilon_i + \beta^j c\big\|_\infty"
    r" + \gamma^k \|h_0 - q^\tau_*\|_\infty \Big)",
    relation=Bound(),
    assumptions=(r"$\beta = \lambda/(\lambda+\tau)$, $\tau > 0$", r"$h_0 = (1-\beta) q_0$"),
    falsifiers={
        "ten_percent_less": variant(_with_entropy, "0.9 of the bound.", factor=0.9),
        "plain_average": variant(_with_entropy, "The arithmetic mean of the errors so far.", arithmetic=True),
    },
    lemmas=("vieillard2020:geometric", "haarnoja2017:soft_contraction"),
    words="With entropy the loss in the regularised problem depends on geometric averages of the errors, which stay.",
    title="Error propagation with entropy",
)
def theorem_2(p: Params, rng: np.random.Generator) -> Evidence:
    """Garnets with four kinds of errors, errors at the end alone, and one state at a discount of 1/50."""
    return _with_entropy(p, rng)


# Errors of size 1/5 against rewards of order 1 leave little doubt which action is best from 2^5 sweeps on. Larger ones
# do: while several actions look best, max over them is biased upwards by c k^(-1/2), so that the constant of the rate
# falls while actions drop out, and the exponent first exceeds 1/2. lam is small for a bias of lam log A / k.
SIGMA = 0.2


def _decay(p, rng, lam=0.05, tau=0.0, sigma=SIGMA):
    mdp = garnet(p.states, 4, 3, gamma=0.8, rng=rng)
    n = 2 ** np.arange(5, p.last + 1)
    q_star = mdp.r + mdp.gamma * mdp.P @ value_iteration(mdp, tol=1e-8).value
    rows = []
    for _ in range(p.seeds):
        errors = sigma * rng.standard_normal((n[-1], mdp.S, mdp.A))
        run = md_vi(mdp, lam=lam, tau=tau, num_iters=n[-1], errors=errors, q0=q_star, checkpoints=n)
        acted = run["q_sum"] / n[:, None, None] if lam > 0 and tau == 0 else run["q"]
        if tau > 0:
            acted = np.array([_forgetful(log_pi, tau, q_star) for log_pi in run["log_policy"]])
        rows.append(np.abs(acted - q_star).max(axis=(1, 2)))
    return Evidence(n=n, error=np.array(rows))


def _forgetful(log_pi: np.ndarray, tau: float, q_star: np.ndarray) -> np.ndarray:
    """tau log pi, with the constant of each state that brings it closest to q*: (S, A)."""
    gap = tau * log_pi - q_star
    return tau * log_pi - 0.5 * (gap.max(axis=1) + gap.min(axis=1))[:, None]


@claim(
    "Section 3, independent errors",
    r"\Big\| \frac1k \sum_{j<k} q_j - q_* \Big\|_\infty = O(k^{-1/2}) \ \text{ for independent errors}",
    relation=Rate(0.5, margin=0.1),
    assumptions=(r"$\epsilon_j \sim N(0, 1/25)$ independent", r"$q_0 = q_*$, so that no transient hides the rate"),
    falsifiers={
        "value_iteration": variant(_decay, "No KL: what the greedy policy sees is the last q.", lam=0.0),
        "with_entropy": variant(_decay, "tau = lam / 10: what the policy sees is a geometric average.", tau=0.005),
    },
    words="What the policy acts on converges at the rate of a mean of independent errors; value iteration's does not.",
    title="Noise is averaged out",
)
def averaged_noise(p: Params, rng: np.random.Generator) -> Evidence:
    """Sup-norm error of the average q at doublings; one replicate is a Garnet with several streams of noise."""
    return _decay(p, rng)


def _against(p, rng, lam=1.0, sigma=0.5, num_iters=150):
    mdp = garnet(p.states, 4, 3, gamma=0.9, rng=rng)
    solved = value_iteration(mdp, tol=1e-8)
    left, right = [], []
    for _ in range(p.seeds):
        errors = sigma * rng.standard_normal((num_iters, mdp.S, mdp.A))
        for weight, out in ((lam, left), (0.0, right)):
            run = md_vi(mdp, lam=weight, tau=0.0, num_iters=num_iters, errors=errors, checkpoints=[num_iters])
            out.append(_losses(mdp, solved.value, run["log_policy"][0])[0])
    return Evidence(left=left, right=right)


@claim(
    "Section 5 (experiment of our own)",
    r"\|v_* - v_{\pi_k}\|_\infty \text{ of MD-VI}(1, 0) < \text{ that of value iteration},"
    r"\quad \epsilon_j \sim N(0, 1/4)",
    relation=Ordering(),
    falsifiers={
        "no_noise_few_steps": variant(
            _against, "Without errors, a strong KL and ten iterations: averaging only delays.", 20.0, 0.0, 10
        ),
    },
    words="Under independent errors the averaged scheme ends with the better policy, on the same errors.",
    title="Better than value iteration under noise",
)
def beats_value_iteration(p: Params, rng: np.random.Generator) -> Evidence:
    """Losses after 150 iterations with common errors; one replicate is a Garnet."""
    return _against(p, rng)


def _munchausen(p, rng, entropy=None, m0=None, bonus=1.0):
    left, right, tolerance = [], [], []
    mdp = _garnet(p, rng)
    for alpha in (1.0, 0.9, float(rng.uniform(0, 0.8))):
        tau = float(np.exp(rng.uniform(-1, 1)))
        errors = 0.1 * rng.standard_normal((50, mdp.S, mdp.A))
        start = None if m0 is None else np.full((mdp.S, mdp.A), m0) + np.arange(mdp.A)
        ours = munchausen_vi(mdp, alpha=bonus * alpha, tau=tau, num_iters=50, errors=errors, m0=start)
        theirs = md_vi(
            mdp,
            lam=alpha * tau,
            tau=(1 - alpha) * tau if entropy is None else entropy * tau,
            num_iters=50,
            errors=errors,
        )
        q = ours["m"] - alpha * tau * ours["log_policy"]
        left += [np.exp(ours["log_policy"]), q]
        right += [np.exp(theirs["log_policy"]), theirs["q"]]
        # 50 sweeps of rounding of m and of tau log pi.
        size = np.abs(ours["m"]).max()
        tolerance += [np.full(q.shape, 2 * U * 50 * size / min(tau, 1.0))] * 2
    return Evidence(left=np.array(left), right=np.array(right), tolerance=np.array(tolerance))


@claim(
    "Munchausen RL, Theorem 1",
    r"\pi_{k+1} = \mathrm{softmax}(m_k / \tau),\ m_{k+1} = r + \alpha\tau \log \pi_{k+1} + \gamma P \langle \pi_{k+1}, "
    r"m_k - \tau \log \pi_{k+1}\rangle \ \text{ is MD-VI}(\alpha\tau, (1-\alpha)\tau),"
    r"\quad q_k = m_k - \alpha\tau \log \pi_k",
    relation=Identity(),
    assumptions=(r"$m_0 = q_0 + \alpha\tau \log \pi_0$",),
    falsifiers={
        "full_entropy": variant(_munchausen, "MD-VI with entropy weight tau.", entropy=1.0),
        "other_start": variant(_munchausen, "m_0 that belongs to another q_0.", m0=0.0),
        "smaller_bonus": variant(_munchausen, "0.98 of the bonus.", bonus=0.98),
    },
    lemmas=("vieillard2020:munchausen",),
    words="Adding the log-policy to the reward is a KL penalty in disguise: policies agree at every sweep.",
    title="Munchausen is MD-VI",
)
def munchausen(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies and q's of both over 50 sweeps with the same errors."""
    return _munchausen(p, rng)


SETTINGS = {"value_iteration": (0.0, 0.0), "kl": (1.0, 0.0), "entropy": (0.0, 0.5), "kl_and_entropy": (1.0, 0.5)}


def figure_averaging(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Loss on the maze over 150 sweeps, errors N(0, 1): median and 10-90 % of seeds for four pairs of weights."""
    mdp, sweeps = maze(), 150
    v = value_iteration(mdp, tol=1e-8).value
    kept = np.unique(np.linspace(1, sweeps, p.points).astype(int))
    out = {"sweep": kept}
    noise = rng.standard_normal((3 * p.seeds, sweeps, mdp.S, mdp.A))
    for name, (lam, tau) in SETTINGS.items():
        runs = (md_vi(mdp, lam=lam, tau=tau, num_iters=sweeps, errors=e, checkpoints=kept) for e in noise)
        loss = np.array([[_losses(mdp, v, log_pi)[0] for log_pi in run["log_policy"]] for run in runs])
        out[name] = np.median(loss, axis=0)
        out[f"{name}_lo"], out[f"{name}_hi"] = np.quantile(loss, [0.1, 0.9], axis=0)
    return out


def figure_rate(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Sup-norm distance from q* of what the policy acts on, against k; the rate k^(-1/2)."""
    seed = int(rng.integers(2**31))
    settings = {"value_iteration": {"lam": 0.0}, "entropy": {"tau": 0.005}, "kl": {}}
    out = {}
    for name, options in settings.items():
        run = _decay(p, np.random.default_rng(seed), **options)
        out["k"] = np.asarray(run["n"])
        out[name] = np.median(run["error"], axis=0)
        out[f"{name}_lo"], out[f"{name}_hi"] = np.quantile(run["error"], [0.1, 0.9], axis=0)
    return out | {"bound": out["kl"][-1] * np.sqrt(out["k"][-1] / out["k"])}


def figure_tight(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Loss over the sharp bound and over its error term on the one-state instance, gamma = 0.9, e = 0.1, lam = 0.1."""
    kept = np.unique(np.geomspace(1, p.long, p.points).astype(int))
    mdp, errors = tight_averaging(0.1, 1e-3, 0.9, p.long)
    run = md_vi(mdp, lam=0.1, tau=0.0, num_iters=p.long, errors=errors, checkpoints=kept)
    v = value_iteration(mdp, tol=1e-10).value
    loss = np.array([_losses(mdp, v, log_pi)[0] for log_pi in run["log_policy"]])
    mean = np.abs(np.cumsum(errors, axis=0)[kept - 1]).max(axis=(1, 2)) / kept
    drift = np.abs(np.cumsum(errors, axis=0)[kept - 1] - run["q"]).max(axis=(1, 2)) / kept
    sharp = (2 * drift + 0.1 * np.log(2) / kept) / 0.1
    return {"k": kept, "loss": loss, "bound": sharp, "bound_error": 2 * mean / 0.1}
