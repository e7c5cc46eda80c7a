r"""Sokota et al. (2023), magnetic mirror descent (MMD), in KL-regularised preference games.

Source: arXiv:2206.05825, Theorem 3.4 from memory: linear last-iterate convergence by 1 / (1 + eta tau) for
eta <= tau / L^2, and the moving magnet of section 4. Derived here, with h = eta tau, u the update of pi, and L the
game's operator constant max |K_ik - K_jk - K_il + K_jl| / 4:

- (1 + h) D(pi* || u) = D(pi* || pi) - D(u || pi) - h D(u || pi*) + eta <K (pi - u), u - pi*>, which gives the theorem;
- MMD is self-play mirror descent (OMD, online IPO 1, INPO) with the step eta / (1 + h);
- OMD is stable near the equilibrium exactly for steps below 2 tau / (tau^2 + w^2), +-i w the largest eigenvalues of
  K A(pi*): the step must be of order tau, which is what the extragradient method of zhou2025 does away with;
- magnets mu_(k+1), the equilibria of the games regularised towards mu_k, approach every equilibrium pi0 of the game
  without regularisation: D(pi0 || mu_(k+1)) <= D(pi0 || mu_k) - D(mu_(k+1) || mu_k).
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.games.mpo import mpo
from mdplab.algorithms.games.self_play import mmd_step, omd, omd_step
from mdplab.claims import Bound, Evidence, Identity, claim, variant
from mdplab.exact.games import regularized_nash
from mdplab.instances.games import random_preferences, three_cycle, three_cycle_nash
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.papers.shared.games import U, equilibrium, kl_radius, random_game, random_policies


@dataclass(frozen=True)
class Params:
    """Sizes: `actions` at most; `starts` policies a game; `horizon` updates near the equilibrium; `outer` magnets."""

    actions: int
    starts: int
    horizon: int
    outer: int


def _game(p, rng, low=0.05, high=2.0):
    return random_game(p.actions, rng, low, high)


def _transposed(game, log_pi, *, tau, eta):
    return mmd_step(game.replace(P=game.P.T), log_pi, tau=tau, eta=eta)


def _no_anchor(game, log_pi, *, tau, eta):
    return mmd_step(game.replace(mu=None), log_pi, tau=tau, eta=eta)


def _undivided(game, log_pi, *, tau, eta):
    return log_softmax(log_pi + eta * tau * game.log_mu + eta * softmax(log_pi) @ game.K.T)


MUTANTS = {
    "transposed": (_transposed, "P transposed."),
    "no_anchor": (_no_anchor, "The magnet is the uniform policy."),
    "undivided": (_undivided, "Without the division by 1 + eta tau."),
}


def _mutants(function):
    return {name: variant(function, text, step=step) for name, (step, text) in MUTANTS.items()}


def _one_step(p, rng, step=mmd_step, stretch=1.0):
    measured, bound, radius = [], [], []
    for game, tau in (_game(p, rng), (three_cycle(0.5, 0.5, 0.5), 0.1)):
        log_star, span = equilibrium(game, tau)
        log_pi = random_policies(p.starts, game.n, rng, (0.1, 1.0, 6.0), log_star)
        longest = tau / max(game.operator_constant(), 0.05) ** 2
        for eta in (longest, 0.1 * longest):
            after = step(game, log_pi, tau=tau, eta=stretch * eta)
            radius.append(kl_radius(log_star, span, log_pi, after))
            measured.append(kl_divergence(log_star, after))
            # Peaked policies come within rounding of the bound: room for the radius.
            bound.append(kl_divergence(log_star, log_pi) / (1 + stretch * eta * tau) + 2 * radius[-1])
    return Evidence(measured=np.ravel(measured), bound=np.ravel(bound), radius=np.ravel(radius))


@claim(
    "Theorem 3.4 (constant for games derived)",
    r"D(\pi^* \| \pi_{t+1}) \le \frac{D(\pi^* \| \pi_t)}{1 + \eta\tau}",
    relation=Bound(),
    assumptions=(r"$\eta \le \tau / L^2$",),
    falsifiers=_mutants(_one_step) | {"longer_step": variant(_one_step, "Eight times the longest step.", stretch=8.0)},
    lemmas=("sokota2023:energy", "sokota2023:absorbed", "zhou2025:operator_norm"),
    words="Self-play towards a magnet converges linearly if the step is of the order of the temperature.",
    title="One step of MMD",
)
def one_step(p: Params, rng: np.random.Generator) -> Evidence:
    """Policies near and far from the equilibrium of a random game and of rock-paper-scissors, two steps."""
    return _one_step(p, rng)


def _energy(p, rng, step=mmd_step):
    left, right, tolerance = [], [], []
    for _ in range(3):
        game, tau = _game(p, rng)
        log_star, span = equilibrium(game, tau)
        log_pi, eta = log_softmax(3 * rng.standard_normal((p.starts, game.n))), float(rng.uniform(0.1, 3.0))
        after, h = step(game, log_pi, tau=tau, eta=eta), eta * tau
        pi, u, star = softmax(log_pi), softmax(after), softmax(log_star)
        cross = eta * np.sum(((pi - u) @ game.K.T) * (u - star), axis=-1)
        left.append((1 + h) * kl_divergence(log_star, after))
        right.append(kl_divergence(log_star, log_pi) - kl_divergence(after, log_pi) + cross)
        right[-1] -= h * kl_divergence(after, log_star)
        tolerance.append(2 * kl_radius(log_star, span, log_pi, after) * (1 + eta) * (1 + h))
    return Evidence(left=np.ravel(left), right=np.ravel(right), tolerance=np.ravel(tolerance))


@claim(
    "Energy balance (derived)",
    r"(1 + h) D(\pi^* \| u) = D(\pi^* \| \pi) - D(u \| \pi) - h D(u \| \pi^*)"
    r" + \eta \langle K (\pi - u), u - \pi^* \rangle",
    relation=Identity(),
    assumptions=(r"any $\eta$; $h = \eta\tau$",),
    falsifiers=_mutants(_energy),
    lemmas=("sokota2023:energy",),
    words="One update of MMD changes the divergence from the equilibrium by exactly this.",
    title="Energy balance of MMD",
)
def energy(p: Params, rng: np.random.Generator) -> Evidence:
    """The library's update against divergences computed from its definition, on three games."""
    return _energy(p, rng)


def _is_omd(p, rng, shorter=True):
    game, tau = random_preferences(p.actions, rng=rng), float(rng.uniform(0.05, 1.0))
    eta = float(rng.uniform(0.05, 0.9)) / tau
    log_pi = log_softmax(3 * rng.standard_normal(game.n))
    gain = game.P @ softmax(log_pi)
    left = log_softmax((log_pi + eta * tau * game.log_mu + eta * gain) / (1 + eta * tau))
    right = omd_step(game, log_pi, tau=tau, eta=eta / (1 + eta * tau) if shorter else eta)
    return Evidence(left=left, right=right, tolerance=np.full(game.n, 64 * game.n * U * (1 + eta)))


@claim(
    "Identity (derived)",
    r"\text{MMD}(\eta) = \text{OMD}(\eta / (1 + \eta\tau))",
    relation=Identity(),
    falsifiers={"same_step": variant(_is_omd, "The same step for both.", shorter=False)},
    words="Magnetic mirror descent is self-play mirror descent, online IPO, with a shorter step.",
    title="MMD is OMD",
)
def is_omd(p: Params, rng: np.random.Generator) -> Evidence:
    """The proximal form, written out, against the mixture form of the library."""
    return _is_omd(p, rng)


def _edge(p, rng, fraction=0.97):
    tau = float(rng.uniform(0.02, 0.2))
    game = three_cycle(*rng.uniform(0.3, 0.5, size=3), softmax(0.5 * rng.standard_normal(3)))
    solution = regularized_nash(game, tau=tau)
    pi, log_star = solution.policy, solution.extras["log_policy"]
    omega = np.abs(np.linalg.eigvals(game.K @ (np.diag(pi) - np.outer(pi, pi)))).max()
    eta = min(fraction * 2 * tau / (tau**2 + omega**2), 1 / tau)
    start = log_star + 1e-5 * rng.standard_normal((p.starts, 3))
    run = omd(game, tau=tau, eta=eta, num_iters=p.horizon, log_pi0=start, checkpoints=[0, p.horizon])["log_pi"]
    first, last = kl_divergence(log_star, run)
    return Evidence(measured=last / first, bound=np.ones(p.starts), radius=np.full(p.starts, 1e-3))


@claim(
    "Stability edge (derived)",
    r"\eta < \frac{2\tau}{\tau^2 + \omega^2}\ \Rightarrow\ D(\pi^* \| \pi_t) \text{ decreases near } \pi^*",
    relation=Bound(),
    assumptions=(r"OMD; $\pm i\omega$ the largest eigenvalues of $K A(\pi^*)$; measured at 0.97 of the edge",),
    falsifiers={"beyond": variant(_edge, "1.03 of the edge.", fraction=1.03)},
    words="OMD is locally stable up to a step of order tau and no further, in cyclic games.",
    title="How long OMD's step may be",
)
def stability_edge(p: Params, rng: np.random.Generator) -> Evidence:
    """D after many updates over D before, from distances of 1e-5 in logits."""
    return _edge(p, rng)


def _magnets(p, rng, inner_iters=200, factor=1.0):
    """D(pi0 || mu_(k+1)) + D(mu_(k+1) || mu_k) against D(pi0 || mu_k), for a unique full-support pi0."""
    a, b, c = rng.uniform(0.2, 0.5, size=3)
    game, tau = three_cycle(a, b, c, softmax(rng.standard_normal(3))), float(rng.uniform(0.2, 0.5))
    log_nash = np.log(three_cycle_nash(a, b, c))
    magnets = mpo(game, tau=tau, eta=4 * tau, num_iters=p.outer, inner_iters=inner_iters)["log_pi"]
    D, moved = kl_divergence(log_nash, magnets), kl_divergence(magnets[1:], magnets[:-1])
    # Inner solutions contract by 1 / (1 + 4 tau^2) <= .87, 200 times.
    return Evidence(measured=D[1:] + factor * moved, bound=D[:-1] + 2e-11, radius=np.full(p.outer, 1e-11))


@claim(
    "Moving magnet (derived)",
    r"D(\pi^\circ \| \mu_{k+1}) \le D(\pi^\circ \| \mu_k) - D(\mu_{k+1} \| \mu_k)",
    relation=Bound(),
    assumptions=("inner problems solved to rounding", r"$\pi^\circ$ an equilibrium without regularisation"),
    falsifiers={
        "one_inner_step": variant(_magnets, "One inner update for each magnet.", 1),
        "thrice": variant(_magnets, "Thrice the decrease.", factor=3.0),
    },
    words="Regularised solutions whose reference follows them approach the equilibrium without regularisation.",
    title="MPO's outer loop",
)
def magnets(p: Params, rng: np.random.Generator) -> Evidence:
    """Successive magnets on a random cycle, whose equilibrium is known in closed form."""
    return _magnets(p, rng)


def figure_magnets(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Exploitability over magnets, median and 10-90 % band over twenty games of six actions, two temperatures."""
    table = {"k": np.arange(p.outer + 1)}
    for name, tau in (("weak", 0.1), ("strong", 0.5)):
        gaps = []
        for _ in range(20):
            game = random_preferences(6, rng=rng)
            log_pi = mpo(game, tau=tau, eta=4 * tau, num_iters=p.outer, inner_iters=100)["log_pi"]
            gaps.append(2 * np.max(softmax(log_pi) @ game.K.T, axis=-1))
        low, middle, high = np.quantile(gaps, [0.1, 0.5, 0.9], axis=0)
        table |= {name: middle, f"{name}_lo": low, f"{name}_hi": high}
    return table
