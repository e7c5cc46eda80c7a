r"""Sharma (2025): Small-Gain Nash, certified contraction of gradient play in a metric that weights the players.

Source: arXiv:2512.06791, the author's code (toy, LQ family, suites, Markov game, Fisher constants, steps
2 alpha / beta^2 and 2.5 / beta). Derived here: the best weights in closed form, exact verification, the factors of
Euler and RK4 steps, the global entropic theorem. The RK4 step 2.5 / beta, read as a certificate, is false (witness).
The constants are lower bounds mu_i of players' own curvature and upper bounds L_ij of couplings; alpha is the margin,
beta the Lipschitz constant, both in |x|^2 = sum_i w_i |x_i|^2; q(h)^2 = 1 - 2 alpha h + beta^2 h^2.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.optimize import minimize_scalar

from mdplab.algorithms.games import small_gain as sg
from mdplab.certify.small_gain import check_small_gain, why_not
from mdplab.claims import Bound, CertificateSound, Evidence, Identity, Witness, claim, variant
from mdplab.exact.logit_equilibrium import logit_equilibrium
from mdplab.instances import smooth_games as games
from mdplab.instances import softmax_markov as markov
from mdplab.models import Box, QuadraticGame, SmallGainCertificate, SmoothGame

SIZES = ((1, 1), (2, 1), (1, 1, 1), (2, 2), (1, 2, 1))
# Quotients of lengths of order one carry a few roundings; bounds are inflated by this much.
ROUND = 1e-12


@dataclass(frozen=True)
class Params:
    """Games per replicate, random weights or pairs on each, steps of a trajectory, cells of a region."""

    games: int
    draws: int
    steps: int
    cells: int


def _sizes(rng):
    return SIZES[int(rng.integers(len(SIZES)))]


def _quadratic(rng, gain=None):
    gain = float(rng.uniform(0.3, 0.95)) if gain is None else gain
    return games.random_quadratic(_sizes(rng), rng=rng, gain=gain)


def _lq(rng, n=4, eps=0.0):
    noise = games.unit_gaussian(n, rng=rng), games.unit_gaussian(n, rng=rng)
    return games.lq_game(float(rng.uniform(0, 1.3)), games.orthogonal(n, rng=rng), eps=eps, noise=noise)


def _true_margin(game, w):
    root = np.sqrt(np.repeat(w, game.sizes))
    A = root[:, None] * game.H / root
    return float(np.linalg.eigvalsh(0.5 * (A + A.T))[0])


def _margins(p, rng, *, coupling=1.0, diagonal=True):
    measured, bound = [], []
    for k in range(p.games):
        game = (
            _lq(rng, eps=float(rng.choice([0.0, 0.5]))) if k % 3 == 0 else _quadratic(rng, float(rng.uniform(0.3, 2)))
        )
        c = sg.block_constants(game)
        L = c.L if diagonal else c.L - np.diag(np.diag(c.L))
        for w in (sg.perron_weights(c.mu, c.L), np.exp(rng.standard_normal(game.players))):
            beta = sg.lipschitz(L, w)
            measured += [sg.margin(c.mu, coupling * c.L, w), sg.metric_norm(game.H, w, game.sizes) / beta]
            bound += [_true_margin(game, w) + ROUND * beta, 1 + ROUND]
    return Evidence(measured=measured, bound=bound)


@claim(
    "Small-gain condition (Theorem A)",
    r"\langle F(x) - F(y), x - y \rangle_M \ge \alpha_*(w) \|x-y\|_M^2, \quad \|F(x)-F(y)\|_M \le \beta(w) \|x-y\|_M",
    relation=Bound(),
    assumptions=("quadratic games, whose constants are exact",),
    falsifiers={
        "half_coupling": variant(_margins, "Couplings counted half.", coupling=0.5),
        "no_diagonal": variant(_margins, "Lipschitz constant without the players' own blocks.", diagonal=False),
    },
    words="Margin and Lipschitz constant from norms of blocks bound those of the Jacobian in the weighted metric.",
    title="Margin from block norms",
)
def theorem_a(p: Params, rng: np.random.Generator) -> Evidence:
    """Random games with random and with best weights, LQ games with and without noise; measured beta over its bound."""
    return _margins(p, rng)


def _lq_closed(p, rng, *, inverted=False, equal=False):
    left, right = [], []
    R = games.orthogonal(4, rng=rng)
    for lam in (0.1, 0.7, 1.2, float(rng.uniform(0.05, 1.4))):
        game, w = games.lq_game(lam, R), np.array([0.005, 1.0])
        w = 1 / w if inverted else np.ones(2) if equal else w
        c, pull = sg.block_constants(game), lam * np.sqrt(0.5)
        alpha, beta = sg.margin(c.mu, c.L, w), sg.metric_norm(game.H, w, game.sizes)
        left += [alpha, _true_margin(game, w), beta, sg.euler_limit(alpha, beta), _true_margin(game, np.ones(2))]
        right += [1 - pull, 1 - pull, 1 + pull, 2 * (1 - pull) / (1 + pull) ** 2, 1 - 5.025 * lam]
    # A few hundred roundings of singular values up to 14.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-11))


@claim(
    "LQ family",
    r"\alpha_* = \alpha_{true} = 1 - \lambda\sqrt{ab},\ \beta = 1 + \lambda\sqrt{ab},\ "
    r"\gamma_{Euc} = 1 - \lambda (a+b)/2",
    relation=Identity(),
    falsifiers={
        "inverted": variant(_lq_closed, "Weights inverted, (1, b/a) for (b/a, 1).", inverted=True),
        "euclidean": variant(_lq_closed, "Equal weights.", equal=True),
    },
    lemmas=("sharma2025:two_players",),
    words="On the LQ family the certificate is sharp: it holds exactly until the game becomes unstable.",
    title="LQ family in closed form",
)
def lq_family(p: Params, rng: np.random.Generator) -> Evidence:
    """Eigenvalues and singular values against the closed form, a random orthogonal coupling."""
    return _lq_closed(p, rng)


def _constants(rng, N):
    L = rng.random((N, N)) * 10 ** rng.uniform(-2, 1, (N, N))
    return rng.uniform(0.2, 2, N), L


def _closed_form(p, rng, *, power=1.0):
    left, right = [], []
    for _ in range(p.games):
        mu, L = _constants(rng, int(rng.integers(2, 7)))
        left.append(sg.margin(mu, L, sg.perron_weights(mu, L) ** power))
        right.append(sg.optimal_margin(mu, L))
        m, d = mu[:2], np.sqrt((0.5 * (mu[0] - mu[1])) ** 2 + L[0, 1] * L[1, 0])
        left.append(sg.margin(m, L[:2, :2], np.array([1.0, (L[0, 1] / L[1, 0]) ** power])))
        right.append(0.5 * m.sum() - d)
    # Eigenvalues of matrices with entries up to 10, symmetric after scaling by weights up to 1e3.
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-9))


@claim(
    "Best weights in closed form (derived)",
    r"\max_w \alpha_*(w) = \lambda_{min}(G)\ \text{at}\ w_i = v_i/u_i,\ Gu = \alpha u,\ v^T G = \alpha v^T,\ "
    r"G = diag(\mu) - L",
    relation=Identity(),
    falsifiers={
        "inverted": variant(_closed_form, "u_i / v_i; for two players L_21 / L_12.", power=-1.0),
        "root": variant(_closed_form, "The square root of the weights.", power=0.5),
    },
    lemmas=("sharma2025:two_players", "sharma2025:weights_attain"),
    words="The Perron vectors of the matrix of constants give the best weights.",
    title="Perron weights attain the optimum",
)
def weights_attain(p: Params, rng: np.random.Generator) -> Evidence:
    """Two to six players with couplings over three decades; for two players also the root of the quadratic."""
    return _closed_form(p, rng)


def _other_weights(p, rng, *, power=1.0):
    measured, bound = [], []
    for _ in range(p.games):
        mu, L = _constants(rng, int(rng.integers(2, 6)))
        w = sg.perron_weights(mu, L)
        others = np.exp(rng.standard_normal((p.draws, mu.size)) * 10 ** rng.uniform(-3, 0.3, (p.draws, 1))) * w
        measured += [sg.margin(mu, L, other) for other in others]
        bound += [sg.margin(mu, L, w**power) + 1e-10] * p.draws
    return Evidence(measured=measured, bound=bound)


@claim(
    "Best weights: optimality (derived)",
    r"\alpha_*(w) \le \alpha_*(v/u) \quad \text{for all } w > 0",
    relation=Bound(),
    falsifiers={"inverted": variant(_other_weights, "The inverted weights claimed best.", power=-1.0)},
    lemmas=("sharma2025:weights_optimal",),
    words="No other weights have a larger margin.",
    title="No weights beat the Perron weights",
)
def weights_optimal(p: Params, rng: np.random.Generator) -> Evidence:
    """Random weights near and far from the optimum; 1e-10 covers the rounding of eigenvalues."""
    return _other_weights(p, rng)


def _programs(p, rng, *, power=1.0):
    mu, L = _constants(rng, int(rng.integers(2, 4)))
    _, gp = sg.geometric_program_weights(mu, L)
    _, lmi = sg.lmi_weights(mu, L)
    here = sg.margin(mu, L, sg.perron_weights(mu, L) ** power)
    return Evidence(left=[gp, lmi], right=[here, here], tolerance=[1e-8, 1e-8])


@claim(
    "Best weights by programs (derived)",
    r"s - \min_w \rho(X(w)) = \max \{a : C(w) - 2 a D_w \succeq 0\} = \lambda_{min}(G)",
    relation=Identity(),
    falsifiers={"inverted": variant(_programs, "Inverted Perron weights.", power=-1.0)},
    words="Geometric program, bisection on the LMI and Perron formula reach the same margin to 1e-8.",
    title="Three routes to the best weights",
)
def programs_agree(p: Params, rng: np.random.Generator) -> Evidence:
    """Interior-point solvers at their own tolerance of 1e-8 or better."""
    return _programs(p, rng)


def certified(p: Params, rng: np.random.Generator, kind: str):
    """A random game with a certificate that the referee accepts; draws again where it does not."""
    while True:
        if kind == "linear":
            game = _lq(rng, 2) if rng.random() < 0.2 else _quadratic(rng)
        else:
            game = games.random_tanh(_sizes(rng), rng=rng, gain=float(rng.uniform(0.5, 1.1)))
        certificate = sg.small_gain(game, max_cells=p.cells)
        if check_small_gain(game, certificate):
            return game, certificate


def _pairs(game, w, h, draws, rng):
    """Points and directions: random ones, and those that one Euler step stretches most at a point."""
    root = np.sqrt(np.repeat(w, game.sizes))
    scale = 3.0 if isinstance(game, SmoothGame) else 1.0
    x = rng.uniform(-scale, scale, (draws, game.d))
    y = rng.uniform(-scale, scale, (draws, game.d))
    for k in range(draws // 2):
        step = root[:, None] * (np.eye(game.d) - h * game.jacobian(0.9 * x[k])) / root
        worst = np.linalg.svd(step)[2][0] / root
        x[k] = 0.9 * x[k]
        y[k] = x[k] + 0.1 * worst / np.abs(worst).max()
    return x, y


def _euler_pairs(p, rng, *, margin=1.0, lipschitz=1.0, equal=False):
    measured, bound = [], []
    for k in range(p.games):
        game, c = certified(p, rng, ("linear", "tanh")[k % 2])
        w = np.ones(game.players) if equal else c.w
        for part in (1.0, 1.9):
            h = part * c.alpha / c.beta**2
            x, y = _pairs(game, c.w, h, p.draws, rng)
            moved = [sg.euler_step(game, z, h=h, project=isinstance(game, SmoothGame)) for z in (x, y)]
            ratio = sg.metric_length(moved[0] - moved[1], w, game.sizes) / sg.metric_length(x - y, w, game.sizes)
            measured.append(float(ratio.max()))
            bound.append(sg.euler_factor(h, margin * c.alpha, lipschitz * c.beta) + ROUND)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Certified Euler steps",
    r"\|\Pi(x - hF(x)) - \Pi(y - hF(y))\|_M \le \sqrt{1 - 2\alpha h + \beta^2 h^2}\, \|x - y\|_M",
    relation=Bound(),
    assumptions=("games that the exact referee accepts", r"$0 < h < 2\alpha/\beta^2$", "product regions"),
    falsifiers={
        "double_margin": variant(_euler_pairs, "Twice the certified margin.", margin=2.0),
        "half_lipschitz": variant(_euler_pairs, "Half the certified Lipschitz constant.", lipschitz=0.5),
        "equal_weights": variant(_euler_pairs, "The factor read in the Euclidean metric.", equal=True),
    },
    lemmas=("sharma2025:euler_step",),
    words="A certified game is never seen to expand: each pair of points approaches by the promised factor.",
    title="No false accept",
)
def never_false_accept(p: Params, rng: np.random.Generator) -> Evidence:
    """Linear and tanh games of two and three players; random pairs and those stretched most, the worst per game."""
    return _euler_pairs(p, rng)


def _entropic(p, rng, *, temper=True, power=2, inverted=False):
    measured, bound = [], []
    for k in range(p.games):
        sizes = ((2, 3), (4, 2), (2, 2, 3))[k % 3]
        game = games.random_polymatrix(sizes, rng=rng, gain=float(rng.uniform(0.3, 0.98)))
        c = sg.entropic_certificate(game)
        star = game.split(logit_equilibrium(game).extras["log_policy"])
        w = 1 / c.w if inverted else c.w
        for h in (0.05, 1.0, 30.0):
            x = [part + 10 ** rng.uniform(-2, 0.5) * rng.standard_normal(part.size) for part in star]
            x = [part - np.log(np.exp(part).sum()) for part in x]
            weights = sg.EntropicCertificate(c.rho, w, game.taus if temper else 0 * game.taus)
            after = weights.potential(star, sg.entropic_step(game, x, h=h), h)
            measured.append(after / weights.potential(star, x, h))
            promised = (1 + h * c.rho**power * game.taus) / (1 + h * game.taus)
            bound.append(float(promised.max()) * (1 + 1e-9))
    return Evidence(measured=measured, bound=bound)


@claim(
    "Entropic small gain, global (derived)",
    r"V = \sum_i w_i (1+h\tau_i) D(x_i^* \| x_i), \quad V^+ \le \max_i \frac{1 + h\rho^2\tau_i}{1 + h\tau_i} V",
    relation=Bound(),
    assumptions=(r"$\rho(T^{-1}L) < 1$", "any step h > 0"),
    falsifiers={
        "no_temper": variant(_entropic, "Without (1 + h tau_i) in V.", temper=False),
        "inverted": variant(_entropic, "Weights inverted.", inverted=True),
        "square_more": variant(_entropic, "rho^4 in place of rho^2.", power=4),
    },
    words="Entropic play of certified polymatrix games contracts globally in KL, for every step.",
    title="Entropic small gain",
)
def entropic(p: Params, rng: np.random.Generator) -> Evidence:
    """Bimatrix and three-player games with temperatures that differ; 1e-9 covers the error of the equilibrium."""
    return _entropic(p, rng)


def _rational_game(rng):
    """Two players whose optimal margin 1 - p q and Perron weights (q^2, p^2) are floats without rounding."""
    p, q = float(rng.integers(1, 8)) / 2, float(rng.integers(1, 8)) / 64
    return np.ones(2), np.array([[1.0, p * p], [q * q, 1.0]]), np.array([q * q, p * p]), 1 - p * q


def _referee(p, rng, *, tolerance=None):
    accepted, true = [], []
    for _ in range(p.games):
        mu, L, w, alpha = _rational_game(rng)
        beta = sg.lipschitz(L, w) * (1 + 1e-9)
        swapped = w[::-1].copy()
        for weights, a, b, truth in (
            (w, alpha * (1 - 1e-9), beta, True),
            (w, alpha * (1 + 1e-6), beta, False),
            (w, alpha * (1 - 1e-9), beta * (1 - 1e-6), False),
            # Swapped weights reach alpha only if the couplings are equal.
            (swapped, alpha * (1 - 1e-9), 100.0, L[0, 1] == L[1, 0]),
        ):
            if tolerance is None:
                accepted.append(not why_not(mu, L, weights, a, b))
            else:
                near = a <= sg.margin(mu, L, weights) * (1 + tolerance), b >= sg.lipschitz(L, weights) * (1 - tolerance)
                accepted.append(all(near))
            true.append(truth)
    return Evidence(accepted=accepted, true=true)


@claim(
    "Exact verification (derived)",
    r"C(w) - 2\alpha D_w \succ 0,\ \beta^2 D_w - \hat L^T D_w \hat L \succ 0\ \text{in integers}",
    relation=CertificateSound(),
    falsifiers={"float_tolerance": variant(_referee, "Eigenvalues with a tolerance of 1e-5.", tolerance=1e-5)},
    words="The referee accepts alpha (1 - 1e-9) at the optimum and refuses alpha (1 + 1e-6).",
    title="The referee is exact",
)
def exact_referee(p: Params, rng: np.random.Generator) -> Evidence:
    """Games whose optimal margin is a dyadic rational, so that truth is known."""
    return _referee(p, rng)


def _bumps(p, rng, *, grid=False):
    accepted, true = [], []
    for k in range(p.games):
        depth = float(rng.uniform(0.1, 0.6)) if k % 2 else float(rng.uniform(1.1, 4.0))
        game = games.narrow_bump(depth, width=1e-4, at=float(rng.uniform(0.31, 0.39)))
        c = sg.small_gain(game, grid=21 if grid else None, max_cells=p.cells)
        accepted.append(not why_not(c.mu, c.L, c.w, c.alpha, c.beta) if grid else bool(check_small_gain(game, c)))
        # At the dip the first player's own curvature is 1 - depth; monotone in some weights only if it is positive.
        true.append(depth < 0.75)
    return Evidence(accepted=accepted, true=true)


@claim(
    "Constants need an enclosure (derived)",
    r"\mu_i \le \min_{\Omega} \lambda_{min}(sym\, \partial_i F_i)\ \text{for all of}\ \Omega",
    relation=CertificateSound(),
    falsifiers={"grid": variant(_bumps, "A grid of 21 points an axis treated as a bound.", grid=True)},
    words="With interval enclosures a game with a dip between grid points is refused; a grid certifies it.",
    title="A grid is no enclosure",
)
def grid_is_no_enclosure(p: Params, rng: np.random.Generator) -> Evidence:
    """Dips of width 1e-4 and random depth, placed between the points of the grid."""
    return _bumps(p, rng)


def _toy_path(p, rng, *, equal=False, faster=1.0):
    game = games.toy()
    w = np.ones(2) if equal else np.array([1.0, 200.0])
    c, h = sg.certificate_of(sg.block_constants(game), np.array([1.0, 200.0])), 5e-4
    starts = np.vstack([[0.15, -0.15], rng.standard_normal((3, 2))])
    x = sg.gradient_play(game, h=h, num_iters=p.steps, x0=starts)["x"]
    length = sg.metric_length(x, w, game.sizes)
    t = h * np.arange(p.steps + 1)[:, None]
    measured = np.concatenate([(length[1:] / length[:-1]).ravel(), (length / length[0]).ravel()])
    factor = sg.euler_factor(h, faster * c.alpha, c.beta) + ROUND
    # In its metric the toy's matrix is symmetric, and |1 - h e| <= e^(-h alpha) for its eigenvalues e: no room needed.
    flow = np.exp(-faster * c.alpha * t) * (1 + ROUND * p.steps)
    return Evidence(measured=measured, bound=np.concatenate([np.full(4 * p.steps, factor), np.tile(flow, 4).ravel()]))


@claim(
    "Toy example",
    r"\|x_t\|_M \le e^{-\alpha t} \|x_0\|_M,\ \alpha = 1 - \sqrt{1/2},\ w = (1, 200)",
    relation=Bound(),
    falsifiers={
        "euclidean": variant(_toy_path, "The Euclidean norm, which rises to 3.19 times its start.", equal=True),
        "faster": variant(_toy_path, "Twice the margin.", faster=2.0),
    },
    lemmas=("sharma2025:two_players",),
    words="The weighted norm falls monotonically while the Euclidean norm leaves its ball.",
    title="Toy: two norms",
)
def toy_decreases(p: Params, rng: np.random.Generator) -> Evidence:
    """The printed start and three random ones, explicit Euler with h = 5e-4."""
    return _toy_path(p, rng)


def _resolvents(p, rng, *, w=(1.0, 200.0)):
    game, levels, shares = games.toy(), (0.5, 1.0, 1.5), []
    re, im = np.meshgrid(np.linspace(0.293 - 1.5, 1.707 + 1.5, 41), np.linspace(-1.2, 1.2, 41))
    z = (re + 1j * im).ravel() + 0.01 * complex(*rng.standard_normal(2))
    norms = []
    for weights in (np.array(w), np.ones(2)):
        root = np.sqrt(weights)
        shifted = root[:, None] * game.H / root - z[:, None, None] * np.eye(2)
        norms.append(1 / np.linalg.svd(shifted, compute_uv=False)[:, -1])
        shares.append([float(np.mean(norms[-1] >= 10**level)) for level in levels])
    text = f"share of the rectangle with norm >= 10^(.5, 1, 1.5): {shares[0]} weighted, {shares[1]} with equal weights"
    distance = np.abs(z[:, None] - np.linalg.eigvals(game.H)).min(axis=1)
    # The weighted norm is the least that eigenvalues allow; both lie between 0.2 and 1e5, with condition up to 15.
    measured = np.concatenate([norms[0], norms[0]]) * (1 - 1e-9)
    return Evidence(measured=measured, bound=np.concatenate([norms[1], 1 / distance]), text=text)


@claim(
    "Pseudospectrum of the toy",
    r"\|(H - zI)^{-1}\|_M = 1 / dist(z, \sigma(H)) \le \|(H - zI)^{-1}\|_2,\ w = (1, 200)",
    relation=Bound(),
    falsifiers={
        "inverted": variant(_resolvents, "Weights (200, 1).", w=(200.0, 1.0)),
        "euclidean": variant(_resolvents, "Equal weights: more than the eigenvalues allow.", w=(1.0, 1.0)),
    },
    lemmas=("sharma2025:two_players",),
    words="The toy's resolvent is as small in the weighted metric as its eigenvalues allow: pseudospectra shrink.",
    title="Toy: resolvents in two metrics",
)
def pseudospectrum(p: Params, rng: np.random.Generator) -> Evidence:
    """41 by 41 points of the paper's rectangle, shifted at random; at every one, not only in area."""
    return _resolvents(p, rng)


def _sharp(p, rng, *, opposite=False):
    """Facts in rationals about x_1 + a x_2, b x_1 + x_2."""
    holds, text = [], []
    a = float(rng.integers(1, 64)) / 4
    for b in (0.999 / a, 1.001 / a):
        b = -b if opposite else b
        inside = Fraction(a) * abs(Fraction(b)) < 1
        # det(H) = 1 - a b and trace 2: an eigenvalue is negative exactly if the determinant is.
        stable = 1 - Fraction(a) * Fraction(b) > 0
        game = QuadraticGame([[1.0, a], [b, 1.0]], (1, 1))
        accepted = bool(check_small_gain(game, sg.small_gain(game)))
        holds += [accepted == inside, inside == stable]
        text.append(f"a b = {a * b:.4g}: {'certified' if accepted else 'not certified'}, stable {stable}")
    return Evidence(holds=holds, text="; ".join(text))


@claim(
    "Sharpness (derived)",
    r"\text{couplings of one sign: certified} \iff ab < \mu_1\mu_2 \iff \text{stable}",
    relation=Witness(),
    falsifiers={"opposite": variant(_sharp, "Couplings of opposite sign: outside, and yet stable.", opposite=True)},
    lemmas=("sharma2025:two_players",),
    words="For cooperative scalar couplings the certificate ends exactly where stability does.",
    title="Sharp for couplings of one sign",
)
def sharp_same_sign(p: Params, rng: np.random.Generator) -> Evidence:
    """Products 0.999 and 1.001, determinants in rationals."""
    return _sharp(p, rng)


def _block_margin(game, w):
    """The largest margin of the Jacobian itself over two players' ratios of weights, by search from w."""
    out = minimize_scalar(
        lambda z: -_true_margin(game, np.exp([0.0, z])), bracket=None, bounds=(-12, 12), method="bounded"
    )
    return max(-float(out.fun), _true_margin(game, w))


def _chain(p, rng, *, shift=0):
    measured, bound = [], []
    for k in range(p.games):
        game = games.random_quadratic(SIZES[k % 2], rng=rng, gain=float(rng.uniform(0.5, 2.5)))
        c = sg.block_constants(game)
        w = sg.perron_weights(c.mu, c.L)
        ladder = [sg.margin(c.mu, c.L, w), _block_margin(game, w), float(np.linalg.eigvals(game.H).real.min())]
        size = np.abs(game.H).max() * 1e3 * ROUND
        order = ladder[shift:] + ladder[:shift]
        measured += order[:-1]
        bound += [value + size for value in order[1:]]
    return Evidence(measured=measured, bound=bound)


@claim(
    "Implication chain (derived)",
    r"\alpha_* \le \max_w \lambda_{min}(sym(M^{1/2} H M^{-1/2})) \le \min Re\, \lambda(H)",
    relation=Bound(),
    falsifiers={
        "spectrum_first": variant(_chain, "The spectral abscissa below the small-gain margin.", shift=2),
        "block_first": variant(_chain, "The block LMI below the spectrum, and that below the margin.", shift=1),
    },
    words="Small gain implies the LMI with scalar blocks, which implies stability; no arrow is an equivalence.",
    title="Small gain, block LMI, stability",
)
def implication_chain(p: Params, rng: np.random.Generator) -> Evidence:
    """Two players with one or two coordinates; a positive margin of the left implies one of the right."""
    return _chain(p, rng)


def _band_ends(p, rng, *, inverted=False):
    left, right = [], []
    for _ in range(p.games):
        mu, L = _constants(rng, 2)
        L[0, 1] *= 0.8 * mu[0] * mu[1] / (L[0, 1] * L[1, 0])
        for target in (0.0, 0.5 * sg.optimal_margin(mu, L)):
            for ratio in sg.timescale_band(mu, L, target):
                w = [ratio, 1.0] if inverted else [1.0, ratio]
                left += [sg.margin(mu, L, w)]
                right += [target]
    return Evidence(left=left, right=right, tolerance=np.full(len(left), 1e-9))


@claim(
    "Timescale band",
    r"\alpha_*(r) \ge a \iff r_- \le r \le r_+,\ r_\pm = (\sqrt{m_a} \pm \sqrt{m_a - L_{12}L_{21}})^2 / L_{21}^2",
    relation=Identity(),
    falsifiers={"inverted": variant(_band_ends, "r read as w_1 / w_2.", inverted=True)},
    lemmas=("sharma2025:two_players",),
    words="At both ends of the band the margin is the target.",
    title="Timescale band",
)
def band(p: Params, rng: np.random.Generator) -> Evidence:
    """Closed form against eigenvalues, with and without a target margin."""
    return _band_ends(p, rng)


def rational_rk4_growth(eps: Fraction, reach: Fraction, method: str = "rk4") -> Fraction:
    """|P x|^2 / |x|^2 - 1 for one step h <= reach / beta on `rk4_game`, x = (5, -13, 10), in rationals.

    beta <= 2 + eps + sqrt(3) < eps + 3.73206, since |H| is at most eps plus the norm 1 + sqrt(2) sqrt(...) of the rest;
    the bound is checked by the leading minors of beta^2 I - H^T H.
    """
    beta = Fraction(373206, 100000) + eps
    H = [[1 + eps, Fraction(2), Fraction(2)], [Fraction(0), 1 + eps, Fraction(2)], [Fraction(0), Fraction(0), 1 + eps]]
    S = [[(beta**2 if i == j else 0) - sum(H[k][i] * H[k][j] for k in range(3)) for j in range(3)] for i in range(3)]
    two = S[0][0] * S[1][1] - S[0][1] ** 2
    three = (
        S[0][0] * (S[1][1] * S[2][2] - S[1][2] ** 2)
        - S[0][1] * (S[0][1] * S[2][2] - S[1][2] * S[0][2])
        + S[0][2] * (S[0][1] * S[1][2] - S[1][1] * S[0][2])
    )
    if not (S[0][0] > 0 and two > 0 and three > 0):
        raise ValueError(f"eps is {eps}: beta is not bounded by {beta}")
    h, x = reach / beta, [Fraction(5), Fraction(-13), Fraction(10)]
    out, term = list(x), list(x)
    for k in range(1, 5 if method == "rk4" else 2):
        term = [-h / k * sum(H[i][j] * term[j] for j in range(3)) for i in range(3)]
        out = [a + b for a, b in zip(out, term)]
    return sum(v * v for v in out) / sum(v * v for v in x) - 1


def _rk4_printed(p, rng, *, reach=Fraction(5, 2), method="rk4"):
    eps = Fraction(1, int(rng.integers(500, 5000)))
    growth = rational_rk4_growth(eps, reach, method)
    return Evidence(holds=[growth <= 0], text=f"alpha = {eps}, |P x|^2 / |x|^2 - 1 = {float(growth):.4g}, in rationals")


@claim(
    "RK4 step 2.5 / beta, as a certificate",
    r"\alpha > 0,\ h \le 2.5/\beta \implies \|P_4(-hH)\|_M \le 1",
    relation=Witness(),
    assumptions=("linear games", "one step of classical RK4"),
    falsifiers={
        "longer": variant(_rk4_printed, "2.6 / beta.", reach=Fraction(13, 5)),
        "euler": variant(_rk4_printed, "Euler's method with 1 / beta.", reach=Fraction(1), method="euler"),
    },
    controls={"shorter": variant(_rk4_printed, "1.5 / beta.", reach=Fraction(3, 2))},
    lemmas=("sharma2025:rk4_step",),
    words="The step 2.5 / beta makes RK4 contract in one step whenever the margin is positive.",
    title="RK4: 2.5 / beta is no certificate",
)
def rk4_printed(p: Params, rng: np.random.Generator) -> Evidence:
    """Three scalar players with equal weights, where the certified metric is the Euclidean one."""
    return _rk4_printed(p, rng)


def _rk4(p, rng, *, printed=False, power=1.0):
    measured, bound = [], []
    for k in range(p.games):
        game, c = certified(p, rng, "linear") if k else (games.rk4_game(), None)
        w = np.ones(3) if c is None else c.w
        alpha, beta = _true_margin(game, w), sg.metric_norm(game.H, w, game.sizes)
        limit = sg.printed_rk4_step(beta) if printed else sg.largest_step(sg.rk4_linear_factor, alpha, beta)
        for part in (0.3, 0.8, 1.0):
            measured.append(sg.metric_norm(sg.rk4_polynomial(game.H, part * limit), w, game.sizes))
            bound.append(1.0 if printed else sg.rk4_linear_factor(part * limit, alpha, beta) ** power + ROUND)
        game, c = certified(p, rng, "tanh")
        limit = sg.printed_rk4_step(c.beta) if printed else sg.largest_step(sg.rk4_smooth_factor, c.alpha, c.beta)
        x, y = rng.uniform(-1, 1, (2, p.draws, game.d))
        y = x + 0.1 * (y - x)
        for part in (0.5, 1.0):
            h = part * limit
            moved = sg.rk4_step(game, x, h=h) - sg.rk4_step(game, y, h=h)
            measured.append(float((sg.metric_length(moved, c.w, game.sizes) / _gap(x, y, c, game)).max()))
            bound.append(1.0 if printed else sg.rk4_smooth_factor(h, c.alpha, c.beta) ** power + ROUND)
    return Evidence(measured=measured, bound=bound)


def _gap(x, y, c, game):
    return sg.metric_length(x - y, c.w, game.sizes)


@claim(
    "RK4 steps, certified (derived)",
    r"\|P_4(-hH)\|_M \le e^{-\alpha h} + R_5(\beta h);\ \text{smooth: } "
    r"\sqrt{1 - 2\alpha h + \beta^2 h^2} + \sum_{k=2}^4 (\beta h)^k / k!",
    relation=Bound(),
    assumptions=("all stages in the region where the constants hold",),
    falsifiers={
        "printed": variant(_rk4, "The step 2.5 / beta with factor 1.", printed=True),
        "squared": variant(_rk4, "The square of the factors.", power=2.0),
    },
    words="Two rigorous replacements of the RK4 step: for linear and for smooth games.",
    title="RK4 certified",
)
def rk4_certified(p: Params, rng: np.random.Generator) -> Evidence:
    """Exact norms on linear games, RK4's counterexample among them; pairs on tanh games, all stages in the box."""
    return _rk4(p, rng)


def _fisher_constants(reach):
    """Constants of the Fisher-normalised Jacobian at the vertices of a cube around the equilibrium, and the Jacobians.

    With reach 0 there is one point, the equilibrium.
    """
    game = markov.softmax_markov()
    points = np.array(np.meshgrid(*[[-reach, reach]] * 8)).reshape(8, -1).T if reach > 0 else np.zeros((1, 8))
    scaled = [sg.fisher_normalised(game.jacobian(x), markov.fisher_matrices(x), markov.BASES) for x in points]
    return game, sg.sampled_constants(np.array(scaled), (2, 2)), np.array(scaled)


def _fisher(p, rng, *, margin=1.0, size=1e-5):
    game, constants, scaled = _fisher_constants(0.0)
    c = sg.fisher_certificate(constants, scaled, (2, 2))
    # At the equilibrium the Fisher matrices are half the identity on the directions that matter.
    directions = np.hstack([rng.standard_normal((p.draws, 2)) @ B.T for B in markov.BASES])
    worst = np.vstack([np.kron([1, sign], np.kron([1, 0], [1, -1])) for sign in (1, -1)])
    measured, bound = [], []
    for part in (0.5, 1.0, 1.9):
        eta = part * c.alpha / c.beta**2
        for x in size * np.vstack([directions, worst]):
            after = x - eta * markov.natural_gradient(x, game)
            weights = np.repeat(c.w, 4)
            measured.append(float(np.sqrt((weights * after**2).sum() / (weights * x**2).sum())))
            # Second order in the size, which 10 times the size covers.
            bound.append(sg.euler_factor(eta, margin * c.alpha, c.beta) + 10 * size)
    return Evidence(measured=measured, bound=bound)


@claim(
    "Fisher certificate, LOCAL",
    r"\theta^+ = \theta - \eta F^{-1}\nabla f,\ \|\theta^+\|_M \le q(\eta) \|\theta\|_M + o(\|\theta\|)\ "
    r"\text{at the equilibrium}",
    relation=Bound(),
    assumptions=("logits near the equilibrium", "metric frozen there: its derivative is left out"),
    falsifiers={"double_margin": variant(_fisher, "Twice the margin.", margin=2.0)},
    words="Near the equilibrium natural policy gradient contracts as the Fisher-normalised constants say.",
    title="Fisher certificate is local",
)
def fisher_local(p: Params, rng: np.random.Generator) -> Evidence:
    """Sharma's Markov game in softmax logits; random and extreme directions of size 1e-5."""
    return _fisher(p, rng)


def _invariant(p, rng, *, equal=False):
    measured = []
    for _ in range(p.games):
        half = np.exp(rng.standard_normal(2))
        toy = games.toy()
        game = SmoothGame(toy.pseudo_gradient, toy.jacobian, toy.sizes, region=Box(-half, half))
        w = np.array([1.0, 200.0])
        c = sg.certificate_of(sg.block_constants(toy), w)
        metric = np.ones(2) if equal else w
        radius = sg.invariance_radius(game, metric, np.zeros(2))
        angle = rng.uniform(0, 2 * np.pi, p.draws)
        x0 = radius * np.column_stack([np.cos(angle), np.sin(angle)]) / np.sqrt(metric)
        x = sg.gradient_play(game, h=0.5 * sg.euler_limit(c.alpha, c.beta), num_iters=100, x0=x0)["x"]
        measured.append(float(np.abs(x / half).max()))
    return Evidence(measured=measured, bound=np.full(len(measured), 1 + ROUND))


@claim(
    "Invariance radius",
    r"\|x_0 - x^*\|_M \le \min_i \sqrt{w_i}\, dist(x_i^*, \partial\Omega_i) \implies x_t \in \Omega",
    relation=Bound(),
    falsifiers={"euclidean": variant(_invariant, "The largest Euclidean ball in the box.", equal=True)},
    words="Without projection the largest weighted ball inside the region is forward invariant.",
    title="Invariance radius",
)
def invariance(p: Params, rng: np.random.Generator) -> Evidence:
    """The toy on random boxes, starts on the boundary of the ball; the largest coordinate in half-widths."""
    return _invariant(p, rng)


def _suite(p, rng, *, w=(0.005, 1.0)):
    key = int(rng.integers(2**32))
    measured, bound = [], []
    for lam in (0.08, 0.16, *np.linspace(0, 2.5, 61)[np.linspace(0, 60, 7).astype(int)]):
        game = games.random_lq(float(lam), 32, rng=np.random.default_rng(key))
        c = sg.block_constants(game)
        certificate = SmallGainCertificate(c.mu, c.L, w, sg.margin(c.mu, c.L, w) - ROUND, 1e3, "blocks")
        measured.append(float(_true_margin(game, np.ones(2)) > 0))
        bound.append(float(bool(check_small_gain(game, certificate))))
    return Evidence(measured=measured, bound=bound)


@claim(
    "Random suite",
    r"\text{monotone in equal weights} \implies \text{certified with } w = (b/a, 1)",
    relation=Bound(),
    falsifiers={"inverted": variant(_suite, "Weights (1, b / a).", w=(1.0, 0.005))},
    words="Wherever the Euclidean criterion certifies a game of the suite, small gain does.",
    title="Random suite dominates",
)
def random_suite(p: Params, rng: np.random.Generator) -> Evidence:
    """Two players with 32 coordinates at the paper's seven couplings and two where both certify; 1 if certified."""
    return _suite(p, rng)


def figure_phase(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Path of the toy from (.15, -.15), and both norms over time relative to the start."""
    game, w = games.toy(), np.array([1.0, 200.0])
    at = np.arange(0, 3001, 10)
    x = sg.gradient_play(game, h=5e-4, num_iters=3000, x0=np.array([0.15, -0.15]), checkpoints=at)["x"]
    equal, metric = (sg.metric_length(x, weights, game.sizes) for weights in (np.ones(2), w))
    bound = np.exp(-(1 - np.sqrt(0.5)) * 5e-4 * at)
    return {"x1": x[:, 0], "x2": x[:, 1], "t": 5e-4 * at, "euclidean": equal / equal[0], "metric": metric / metric[0],
            "bound": bound}  # fmt: skip


def draw_phase(ax, table) -> None:
    """The path with the two balls of its start; the norms in an inset."""
    angle = np.linspace(0, 2 * np.pi, 200)
    ax.plot(table["x1"], table["x2"], color="#0072B2", label="path of Euler's method")
    x1, x2 = table["x1"][0], table["x2"][0]
    ball, size = np.hypot(x1, x2), np.sqrt(x1**2 + 200 * x2**2)
    ax.plot(ball * np.cos(angle), ball * np.sin(angle), color="#D55E00", linestyle="--", label="Euclidean ball")
    ax.plot(size * np.cos(angle), size / np.sqrt(200) * np.sin(angle), color="#009E73", label="$M$-ball")
    ax.set(xlim=(-2.3, 2.3), ylim=(-0.25, 0.75), xlabel="$x_1$", ylabel="$x_2$")
    ax.legend(loc="upper left")
    inset = ax.inset_axes([0.58, 0.58, 0.4, 0.38])
    inset.plot(table["t"], table["euclidean"], color="#D55E00")
    inset.plot(table["t"], table["metric"], color="#009E73")
    inset.plot(table["t"], table["bound"], color="black", linestyle="--")
    inset.text(0.97, 0.42, "norms over their start, $t$", fontsize=8, ha="right", transform=inset.transAxes)
    inset.tick_params(labelsize=7)


def _ratio_table(mu, L, low, high):
    ratios = np.geomspace(low, high, 200)
    return {"ratio": ratios, "margin": [sg.margin(mu, L, [1.0, r]) for r in ratios], "bound": np.zeros(200)}


def figure_band(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Margin of the toy over w_2 / w_1."""
    c = sg.block_constants(games.toy())
    return _ratio_table(c.mu, c.L, 10, 4000)


def figure_markov(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Margin over w_2 / w_1 from Fisher-normalised constants at the vertices of the cube."""
    _, c, _ = _fisher_constants(0.1)
    return _ratio_table(c.mu, c.L, 0.05, 20)


def _draw_ratio(ax, table) -> None:
    inside = table["margin"] > 0
    ax.axhline(0, color="black", linewidth=1)
    ax.plot(table["ratio"], table["margin"], color="#0072B2", label="margin $\\alpha_*$")
    ax.fill_between(
        table["ratio"], 0, table["margin"], where=inside, color="#009E73", alpha=0.2, label="certified band"
    )
    ax.set_xscale("log")
    ax.set_ylim(-1.2 * table["margin"].max(), 1.3 * table["margin"].max())
    ax.legend()


draw_band = draw_markov = _draw_ratio


def figure_lq(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Over the coupling: Euclidean and small-gain margin, and the rate at which simulated play decays."""
    lams = np.linspace(0, 2.5, 61)
    R = games.orthogonal(32, rng=np.random.default_rng(12345))
    x0 = rng.standard_normal((16, 64))
    measured, equal, margins = [], [], []
    for lam in lams:
        game, w = games.lq_game(float(lam), R), np.array([0.005, 1.0])
        c = sg.block_constants(game)
        margins.append(sg.margin(c.mu, c.L, w))
        equal.append(_true_margin(game, np.ones(2)))
        x = sg.gradient_play(game, h=0.01, num_iters=800, x0=x0, method="rk4", checkpoints=[200, 800])["x"]
        length = sg.metric_length(x, w, game.sizes)
        measured.append(float(np.median(-np.log(length[1] / length[0]) / 6)))
    return {"lam": lams, "measured": measured, "margin": margins, "euclidean": equal, "bound": 1 - lams * np.sqrt(0.5)}


def draw_lq(ax, table) -> None:
    """Margins as lines, measured rates as dots, cut where the Euclidean margin leaves the picture."""
    ax.axhline(0, color="#999999", linewidth=0.8)
    ax.plot(table["lam"], table["euclidean"], color="#D55E00", label="Euclidean margin")
    ax.plot(table["lam"], table["margin"], color="#009E73", label="small-gain margin")
    dots = {"color": "#0072B2", "marker": "o", "markersize": 3, "linestyle": "", "label": "measured rate, 16 starts"}
    ax.plot(table["lam"], table["measured"], **dots)
    ax.plot(table["lam"], table["bound"], color="black", linestyle="--", label="$1 - \\lambda \\sqrt{ab}$")
    ax.set_ylim(-1.3, 1.1)
    ax.legend()


def figure_noise(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """True margin over certified margin when couplings are mixed with noise; twelve trials a level."""
    levels, rows = np.linspace(0, 1, 11), []
    for eps in levels:
        ratios = []
        for _ in range(12):
            R, noise = games.orthogonal(32, rng=rng), [games.unit_gaussian(32, rng=rng) for _ in range(2)]
            game, w = games.lq_game(1.0, R, eps=float(eps), noise=noise), np.array([0.005, 1.0])
            c = sg.block_constants(game)
            ratios.append(_true_margin(game, w) / sg.margin(c.mu, c.L, w))
        rows.append(np.quantile(ratios, [0.1, 0.5, 0.9]))
    low, middle, high = np.array(rows).T
    return {"eps": levels, "ratio": middle, "ratio_lo": low, "ratio_hi": high, "bound": np.ones(11)}
