r"""Zhang et al. (2024), iterative Nash policy optimisation (INPO), in tabular form with exact population losses.

Source: arXiv:2407.00617. The update is pi_(t+1) = pi_t^(1-h) mu^h exp(P pi_t / eta) / Z with h = tau / eta: eta is the
inverse of a step. For |log(pi / mu)| <= B and C = max(B tau, 1) the paper bounds one step by 8 C^2 / eta^2 and, on the
schedule eta_t = tau (t + 2) / 2, D(pi* || pi_T) by 32 C^2 / (tau^2 (T + 1)).

Derived here, with q = 1 - h, rho = pi^q pi*^h / Z, m = pi^q mu^h / Z and L the game's operator constant:

- the exact balance D(pi* || pi+) = q (D(pi* || pi) - D(rho || pi)) - h D(rho || pi*) - <pi*, K pi> / eta
  + log E_rho exp(K (pi - pi*) / eta), because log pi* = log mu + K pi* / tau + const turns mu^h into pi*^h;
- D(pi* || pi+) <= q D(pi* || pi) + (1/8 + 2 L^2 / q) / eta^2 without any B: Hoeffding's lemma under m, and
  <pi* - m, K (m - pi)> <= 2 L sqrt(2 D(m || pi)), which -q D(m || pi) absorbs. L <= 1/2 gives 1/8 + 1/(2 q);
- no error term at all if 1 / eta <= tau / (L^2 + tau^2): the update is magnetic mirror descent with the step
  1 / (eta - tau), which contracts up to tau / L^2;
- on the schedule, D(pi* || pi_1) <= 1 / (2 tau^2), since q_0 = 0 and K (pi_0 - pi*) has a span of at most 2; then
  t (t + 1) D_t telescopes to D(pi* || pi_T) <= (5/2 + (1/2 + 2 log T) / T) / (tau^2 (T + 1));
- from mu with constant steps, the regularised payoffs K pi_t - tau log(pi_t / mu) have a span of at most 2, so that the
  mean of T policies has gap_tau <= 2 (eta D / T + 1 / (2 eta)): the paper has O(C sqrt(D / T)), C = max(B tau, 1).
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.games.self_play import inpo, inpo_loss, inpo_regression_loss, inpo_step, omd_step
from mdplab.claims import Bound, Evidence, Identity, claim, variant
from mdplab.exact.games import best_response, regularized_nash
from mdplab.instances.games import random_preferences, three_cycle
from mdplab.kernels.softmax import kl_divergence, log_softmax, logsumexp, softmax
from mdplab.papers.shared.games import U, equilibrium, kl_radius, random_game, random_policies, running_mean


@dataclass(frozen=True)
class Params:
    """Sizes: `actions` at most; `starts` policies a game; `horizon` of the schedule; `iters` of other runs; `games` of
    the figure."""

    actions: int
    starts: int
    horizon: int
    iters: int
    games: int


def _game(p, rng, low=0.01, high=3.0, n=None):
    return random_game(p.actions, rng, low, high, n)


def _transposed(game, log_pi, *, tau, eta):
    return inpo_step(game.replace(P=game.P.T), log_pi, tau=tau, eta=eta)


def _no_anchor(game, log_pi, *, tau, eta):
    return omd_step(game, log_pi, tau=0.0, eta=1 / eta)


def _losses(p, rng, pairs=None, swapped=False):
    left, right, tolerance = [], [], []
    for _ in range(3):
        game, tau = _game(p, rng, low=0.1, high=1.0)
        eta = tau * float(rng.uniform(1.5, 5.0))
        labels = game.replace(P=game.P.T) if swapped else game
        log_pi, *candidates = log_softmax(2 * rng.standard_normal((p.starts, game.n)))
        common = {"tau": tau, "eta": eta, "pairs": pairs and pairs(game, log_pi)}
        sampled = np.array([inpo_loss(labels, x, log_pi, **common) for x in candidates])
        squared = np.array([inpo_regression_loss(game, x, log_pi, **common) for x in candidates])
        left.append(sampled - sampled[0])
        right.append(squared - squared[0])
        # Both are sums of n^2 squares, of which the constant is at most 1 / eta^2.
        tolerance.append(np.full(len(candidates), 64 * game.n**2 * U * max(np.max(squared), 1 / eta**2)))
    return Evidence(left=np.ravel(left), right=np.ravel(right), tolerance=np.ravel(tolerance))


def _uniform_pairs(game, log_pi):
    return np.full(game.P.shape, game.n**-2.0)


def _uniform_partner(game, log_pi):
    return np.outer(softmax(log_pi), np.full(game.n, 1 / game.n))


@claim(
    "Population loss",
    r"E_{y, y' \sim \pi_t}\left[\left(h_t(\pi, y_w, y_l) - \tfrac{1}{2\eta}\right)^2\right] = "
    r"E_{y, y' \sim \pi_t}\left[\left(h_t(\pi, y, y') - \tfrac{(P\pi_t)_y - (P\pi_t)_{y'}}{\eta}\right)^2\right] + c",
    relation=Identity(),
    assumptions=(r"both actions of a pair are drawn from $\pi_t$",),
    falsifiers={
        "uniform_pairs": variant(_losses, "Pairs from the uniform law.", _uniform_pairs),
        "uniform_partner": variant(_losses, "One of the two from the uniform law.", _uniform_partner),
        "swapped": variant(_losses, "Winner and loser swapped.", swapped=True),
    },
    words="The loss that needs one comparison a pair differs by a constant from the regression on win rates.",
    title="The loss INPO can sample",
)
def loss_equivalence(p: Params, rng: np.random.Generator) -> Evidence:
    """Differences of both losses between random policies, on three games."""
    return _losses(p, rng)


def _least_squares(game, log_pi, tau, eta, law):
    """The minimiser of the labelled loss by least squares, a row for each winner and loser; and its error."""
    y, z = (index.ravel() for index in np.indices(game.P.shape))
    # y beats z in the pairs (y, z) and (z, y), drawn with law[y, z] and law[z, y].
    weight = np.sqrt((law + law.T) * game.P).ravel()
    A = weight[:, None] * (np.eye(game.n)[y] - np.eye(game.n)[z])
    d, _, _, singular = np.linalg.lstsq(A, weight / (2 * eta), rcond=1e-12)
    h = tau / eta
    error = 64 * game.n * U * (singular[0] / singular[game.n - 2]) ** 2 * (1 + 1 / eta + np.ptp(log_pi))
    return d + h * game.log_mu + (1 - h) * log_pi, error


def _minimiser(p, rng, step=inpo_step, pairs=None):
    left, right, tolerance = [], [], []
    for _ in range(4):
        game, tau = _game(p, rng, low=0.1, high=1.0, n=p.actions)
        eta, log_pi = tau * float(rng.uniform(1.0, 5.0)), log_softmax(rng.standard_normal(game.n))
        law = np.outer(softmax(log_pi), softmax(log_pi)) if pairs is None else pairs(game, log_pi)
        found, error = _least_squares(game, log_pi, tau, eta, law)
        left.append(step(game, log_pi, tau=tau, eta=eta))
        right.append(log_softmax(found))
        tolerance.append(np.full(game.n, error))
    return Evidence(left=np.concatenate(left), right=np.concatenate(right), tolerance=np.concatenate(tolerance))


@claim(
    "Population loss, minimiser",
    r"\arg\min_\pi E_{y, y' \sim \pi_t}\left[\left(h_t(\pi, y_w, y_l) - \tfrac{1}{2\eta}\right)^2\right]"
    r" \propto \pi_t^{1 - \tau/\eta} \mu^{\tau/\eta} e^{P\pi_t / \eta}",
    relation=Identity(),
    assumptions=(r"both actions of a pair are drawn from $\pi_t$, which has full support",),
    falsifiers={
        "uniform_pairs": variant(_minimiser, "Pairs from the uniform law.", pairs=_uniform_pairs),
        "transposed": variant(_minimiser, "P transposed.", _transposed),
        "no_anchor": variant(_minimiser, "The update without the pull to mu.", _no_anchor),
    },
    words="Minimising the labelled loss exactly is one step of mirror descent in closed form.",
    title="The minimiser is the planning step",
)
def minimiser(p: Params, rng: np.random.Generator) -> Evidence:
    """The library's step against least squares on every labelled pair, on four games."""
    return _minimiser(p, rng)


def _energy(p, rng, step=inpo_step, mixed=True, reversed_kl=False):
    left, right, tolerance = [], [], []
    for _ in range(3):
        game, tau = _game(p, rng, low=0.05)
        log_star, span = equilibrium(game, tau)
        log_pi, h = random_policies(p.starts, game.n, rng), float(rng.uniform(0.05, 0.95))
        eta, q = tau / h, 1 - h
        log_next = step(game, log_pi, tau=tau, eta=eta)
        log_rho = log_softmax(q * log_pi + h * log_star) if mixed else log_pi
        payoff = softmax(log_pi) @ game.K.T
        moment = logsumexp(log_rho + (payoff - softmax(log_star) @ game.K.T) / eta)
        moved = kl_divergence(log_pi, log_rho) if reversed_kl else kl_divergence(log_rho, log_pi)
        left.append(kl_divergence(log_star, log_next))
        lost = h * kl_divergence(log_rho, log_star) + payoff @ softmax(log_star) / eta
        right.append(q * (kl_divergence(log_star, log_pi) - moved) - lost + moment)
        tolerance.append(2 * kl_radius(log_star, span, log_next, log_pi, log_rho) * (1 + 1 / eta))
    return Evidence(left=np.ravel(left), right=np.ravel(right), tolerance=np.ravel(tolerance))


@claim(
    "Energy balance (derived)",
    r"D(\pi^* \| \pi^+) = q\left(D(\pi^* \| \pi) - D(\rho \| \pi)\right) - h D(\rho \| \pi^*)"
    r" - \tfrac{1}{\eta}\langle \pi^*, K\pi \rangle + \log E_\rho e^{K(\pi - \pi^*)/\eta},"
    r"\quad \rho \propto \pi^q \pi^{*h}",
    relation=Identity(),
    falsifiers={
        "transposed": variant(_energy, "P transposed.", _transposed),
        "no_anchor": variant(_energy, "The update without the pull to mu.", _no_anchor),
        "unmixed": variant(_energy, "pi in place of rho.", mixed=False),
        "reversed_kl": variant(_energy, "D(pi || rho) in place of D(rho || pi).", reversed_kl=True),
    },
    lemmas=("munos2023:three_point",),
    words="One step of INPO changes the divergence from the equilibrium by exactly this.",
    title="Energy balance of one step",
)
def energy(p: Params, rng: np.random.Generator) -> Evidence:
    """The library's step against divergences computed from their definitions, on three games."""
    return _energy(p, rng)


def _one_step(p, rng, printed=True, step=inpo_step, factor=1.0):
    measured, bound, radius = [], [], []
    game, tau = _game(p, rng)
    log_star, span = equilibrium(game, tau)
    before = np.vstack([random_policies(p.starts, game.n, rng), log_star + 0.1 * rng.standard_normal((2, game.n))])
    for h in (0.001, 0.02, 0.3, 0.9):
        after = step(game, before, tau=tau, eta=tau / h)
        ratios = np.maximum(np.maximum(np.abs(before - game.log_mu), np.abs(after - game.log_mu)), 1.0)
        B = np.maximum(ratios.max(axis=1), np.max(np.abs(log_star - game.log_mu)))
        derived = np.full(B.shape, 1 / 8 + 2 * game.operator_constant() ** 2 / (1 - h))
        measured.append(kl_divergence(log_star, after) - (1 - h) * kl_divergence(log_star, before))
        bound.append(factor * (8 * np.maximum(B * tau, 1.0) ** 2 if printed else derived) * (h / tau) ** 2)
        radius.append(kl_radius(log_star, span, after, before))
    return Evidence(measured=np.ravel(measured), bound=np.ravel(bound), radius=np.ravel(radius))


@claim(
    "Analysis, one step",
    r"D(\pi^*_\tau \| \pi_{t+1}) \le (1 - \tau/\eta) D(\pi^*_\tau \| \pi_t) + 8 C^2 / \eta^2,\quad C = \max(B\tau, 1)",
    relation=Bound(),
    assumptions=(r"$|\log(\pi / \mu)| \le B$ for $\pi_t$, $\pi_{t+1}$ and $\pi^*_\tau$, $B \ge 1$", r"$\eta \ge \tau$"),
    falsifiers={
        "transposed": variant(_one_step, "P transposed.", True, _transposed),
        "strengthened": variant(_one_step, "A thousandth of the bound.", factor=1e-3),
    },
    words="The divergence from the equilibrium contracts by 1 - tau / eta, up to 8 C^2 / eta^2.",
    title="One step of INPO, as printed",
)
def printed_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Random, peaked and nearly optimal policies, three steps."""
    return _one_step(p, rng)


@claim(
    "Analysis, one step (derived)",
    r"D(\pi^*_\tau \| \pi_{t+1}) \le q D(\pi^*_\tau \| \pi_t) + \frac{1}{\eta^2}\left(\frac18 + \frac{2L^2}{q}\right),"
    r"\quad q = 1 - \tau/\eta",
    relation=Bound(),
    assumptions=(r"$\eta > \tau$", r"$L \le 1/2$ is the game's operator constant"),
    falsifiers={
        "transposed": variant(_one_step, "P transposed.", False, _transposed),
        "no_anchor": variant(_one_step, "The update without the pull to mu.", False, _no_anchor),
        "strengthened": variant(_one_step, "A fiftieth of the bound.", False, factor=0.02),
    },
    lemmas=("hoeffding1963:tilted_variance", "zhou2025:operator_norm"),
    words="The same contraction with an error term that needs no bound on the log-ratio.",
    title="One step of INPO, sharper",
)
def sharper_step(p: Params, rng: np.random.Generator) -> Evidence:
    """The policies of `printed_step`."""
    return _one_step(p, rng, printed=False)


def _contraction(p, rng, step=inpo_step, stretch=1.0, factor=1.0):
    measured, bound, radius = [], [], []
    for _ in range(4):
        game, tau = _game(p, rng)
        log_star, span = equilibrium(game, tau)
        before = np.vstack([random_policies(p.starts, game.n, rng), log_star + 0.01 * rng.standard_normal((4, game.n))])
        # Any step is within range if K is constant over actions; eta = tau is the shortest inverse step.
        eta = max(tau, (game.operator_constant() ** 2 + tau**2) / (stretch * tau))
        after = step(game, before, tau=tau, eta=eta)
        measured.append(kl_divergence(log_star, after))
        error = kl_radius(log_star, span, after, before)
        # The contraction can be an equality: room for the radii of both divergences.
        bound.append((1 - factor * tau / eta) * kl_divergence(log_star, before) + 2 * error)
        radius.append(error)
    return Evidence(measured=np.ravel(measured), bound=np.ravel(bound), radius=np.ravel(radius))


@claim(
    "Analysis, small steps (derived)",
    r"D(\pi^*_\tau \| \pi_{t+1}) \le (1 - \tau/\eta) D(\pi^*_\tau \| \pi_t)\quad\text{for}\quad"
    r"\frac{1}{\eta} \le \frac{\tau}{L^2 + \tau^2}",
    relation=Bound(),
    assumptions=(r"in particular for $1/\eta \le 4\tau / (1 + 4\tau^2)$, whatever the preferences",),
    falsifiers={
        "transposed": variant(_contraction, "P transposed.", _transposed),
        "long_step": variant(_contraction, "Steps four times too long.", stretch=4.0),
        "faster": variant(_contraction, "The factor 1 - 1.02 tau / eta.", factor=1.02),
    },
    lemmas=("sokota2023:energy", "sokota2023:absorbed", "zhou2025:operator_norm"),
    words="With steps of order tau, INPO converges linearly to the regularised equilibrium: no floor, no schedule.",
    title="Small constant steps contract",
)
def contraction(p: Params, rng: np.random.Generator) -> Evidence:
    """The longest step allowed, from random, peaked and nearly optimal policies on four games."""
    return _contraction(p, rng)


def _schedule(p, rng, printed=True, transposed=False, factor=1.0):
    game, tau = _game(p, rng, low=0.05, high=1.0)
    log_star, span = equilibrium(game, tau)
    played = game.replace(P=game.P.T) if transposed else game
    # Besides mu, which the paper starts from, a peaked policy: the first step forgets it up to its payoffs.
    start = np.vstack([game.log_mu, 10 * rng.standard_normal(game.n)])
    log_pi = inpo(played, tau=tau, num_iters=p.horizon, log_pi0=start)["log_pi"][1:]
    T = np.arange(1, p.horizon + 1)[:, None]
    B = max(1.0, np.max(np.abs(log_pi - game.log_mu)), np.max(np.abs(log_star - game.log_mu)))
    measured = kl_divergence(log_star, log_pi)
    limit = factor * (32 * max(B * tau, 1.0) ** 2 if printed else _derived(T)) / (tau**2 * (T + 1))
    limit = np.broadcast_to(limit, measured.shape)
    return Evidence(measured=measured, bound=limit, radius=kl_radius(log_star, span, log_pi))


def _derived(T):
    return 2.5 + (0.5 + 2 * np.log(T)) / T


@claim(
    "Last iterate",
    r"D(\pi^*_\tau \| \pi_T) \le \frac{32 C^2}{\tau^2 (T+1)},\quad C = \max(B\tau, 1)",
    relation=Bound(),
    assumptions=(r"$\eta_t = \tau (t+2) / 2$", r"$|\log(\pi_t / \mu)| \le B$, $B \ge 1$"),
    falsifiers={
        "transposed": variant(_schedule, "P transposed.", transposed=True),
        "strengthened": variant(_schedule, "A thousandth of the bound.", factor=1e-3),
    },
    words="On the schedule, the last iterate is within 32 C^2 / (tau^2 (T + 1)) of the regularised equilibrium.",
    title="INPO on its schedule, as printed",
)
def last_iterate(p: Params, rng: np.random.Generator) -> Evidence:
    """Every T up to the horizon, from mu and from a peaked policy."""
    return _schedule(p, rng)


@claim(
    "Last iterate, sharper (derived)",
    r"D(\pi^*_\tau \| \pi_T) \le \frac{1}{\tau^2 (T+1)} \left(\frac52 + \frac{1/2 + 2 \log T}{T}\right)",
    relation=Bound(),
    assumptions=(r"$\eta_t = \tau (t+2) / 2$",),
    falsifiers={
        "transposed": variant(_schedule, "P transposed.", False, transposed=True),
        "strengthened": variant(_schedule, "A hundredth of the bound.", False, factor=0.01),
    },
    lemmas=("hoeffding1963:tilted_variance", "zhou2025:operator_norm"),
    words="Without the constant B, and about thirteen times below the printed bound.",
    title="INPO on its schedule, sharper",
)
def last_iterate_sharp(p: Params, rng: np.random.Generator) -> Evidence:
    """As `last_iterate`."""
    return _schedule(p, rng, printed=False)


def _mixture(p, rng, transposed=False, last=False, factor=1.0):
    measured, bound, radius = [], [], []
    T = np.arange(1, p.iters + 1)
    order = random_preferences(p.actions, rng=rng, family="total-order")
    drawn = (*_game(p, rng, low=0.005, high=1.0), float(rng.uniform(1.0, 10.0)))
    cycle = three_cycle(0.5, 0.5, 0.5, [0.6, 0.2, 0.2])
    for game, tau, eta in ((order, 0.005, 10.0), (cycle, 0.005, 5.0), drawn):
        played = game.replace(P=game.P.T) if transposed else game
        log_pi = inpo(played, tau=tau, eta=eta, num_iters=p.iters)["log_pi"]
        mean = log_pi[1:] if last else running_mean(log_pi[:-1])
        reply = best_response(game, mean, tau=tau)
        measured.append(2 * tau * kl_divergence(mean, reply))
        bound.append(2 * factor * (eta * kl_divergence(reply, game.log_mu) / T + 1 / (2 * eta)))
        # Rounding of T sums and of divergences whose range is at most 1 / tau.
        radius.append(64 * game.n * U * (T + 1 / tau))
    return Evidence(measured=measured, bound=bound, radius=radius)


@claim(
    "Mixture of the iterates (constant derived)",
    r"gap_\tau(\bar\pi_T) \le 2\left(\frac{\eta D}{T} + \frac{1}{2\eta}\right),\quad D = D(BR_\tau(\bar\pi_T) \| \mu)",
    relation=Bound(),
    assumptions=(r"$\pi_0 = \mu$", r"a constant $\eta \ge \tau$", r"$\bar\pi_T$ is the mean of the first $T$ policies"),
    falsifiers={
        "transposed": variant(_mixture, "P transposed.", transposed=True),
        "last_iterate": variant(_mixture, "The last policy in place of the mean.", last=True),
        "strengthened": variant(_mixture, "Half the bound.", factor=0.5),
    },
    lemmas=("hoeffding1963:tilted_variance",),
    words="The mixture of the policies has a gap of order sqrt(D / T), with a constant that needs no bound B.",
    title="The mixture of the iterates",
)
def mixture(p: Params, rng: np.random.Generator) -> Evidence:
    """Every T, on a random game, and on a total order and a cycle at a temperature near zero."""
    return _mixture(p, rng)


def figure_schedule(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """tau^2 D(pi* || pi_T) on the schedule: median and 10-90 % band over games, one slow game; the bounds."""
    T = np.unique(np.round(np.logspace(0, np.log10(p.horizon), 40)).astype(int))
    values, largest = [], 1.0
    slow = three_cycle(0.5, 0.5, 0.5, [0.6, 0.2, 0.2]), 0.01
    for game, tau in (slow, *(_game(p, rng, low=0.05, high=1.0) for _ in range(p.games))):
        log_star = regularized_nash(game, tau=tau).extras["log_policy"]
        log_pi = inpo(game, tau=tau, num_iters=p.horizon, checkpoints=T)["log_pi"]
        values.append(tau**2 * kl_divergence(log_star, log_pi))
        largest = max(largest, tau * np.max(np.abs(log_pi - game.log_mu)), tau * np.max(np.abs(log_star - game.log_mu)))
    low, middle, high = np.quantile(values[1:], [0.1, 0.5, 0.9], axis=0)
    bounds = {"bound_printed": 32 * largest**2 / (T + 1), "bound_derived": _derived(T) / (T + 1)}
    return {"T": T, "inpo": middle, "inpo_lo": low, "inpo_hi": high, "slow": values[0]} | bounds
