r"""Duality gaps of games, recomputed from the game and the answer alone.

A certificate states an upper bound `gap`. Kinds (`K` is the skew part of the stored `P`):

- `"exploitability"`: `max_p p . A y - min_q x . A q <= gap`; for a preference game `A = K` and `x = y = p = policy`,
  the gap then being `2 max_y (K p)_y / sum(p)`. Policies sum to one within 1e-8 and are read as divided by their sum.
  The game's value lies between the two payoffs, and the value returned within `gap` of both.
- `"regularized-gap"`: with pi = softmax(`log_policy`) and x = log mu + K pi / tau - log pi, the duality gap of pi is
  `2 tau (log E_pi e^x - E_pi x)`, because the best response is proportional to pi e^x. By Hoeffding's lemma it is at
  most `tau sp(x)^2 / 4`. Then `D(pi || equilibrium) <= gap / (2 tau)`.

The value of a preference game is 1/2 in every context.

Float level: every entry is computed with a bound on its rounding error, and the bound compared is inflated by it. Exact
level: rationals for the first kind; balls of 300 bits (python-flint) for the second, which decide the gap itself rather
than Hoeffding's bound.

Proof of soundness at float level. A sum of k products has error at most gamma_(k+2) sum |terms|, with
gamma_k = k u / (1 - k u); exp and log are taken to be within 4 ulp, as every libm in use is; what is of second order is
covered by doubling.
"""

from fractions import Fraction
from time import perf_counter

import numpy as np

from mdplab.certify.case import POLICY_SUM
from mdplab.certify.rational import fraction, number
from mdplab.certify.report import CheckReport, Refused
from mdplab.models import MatrixGame, PreferenceGame, Solution

_UNIT = 2.0**-53
_PRECISION = 300


def check_game(
    game: PreferenceGame | MatrixGame, solution: Solution, *, level: str = "float", tau: float | None = None
) -> CheckReport:
    """Whether the gap that a solution's certificate states is an upper bound of its duality gap.

    Parameters
    ----------
    game, solution
        Problem and answer; of the certificate only `kind`, `gap` and `data` are read.
    level
        "float", or "exact": no rounding.
    tau
        For kind "regularized-gap", the temperature that the certificate must be about; the one it states by default.

    Returns
    -------
    CheckReport
        `gap` is the referee's own upper bound of the duality gap, infinite if the certificate is refused.

    Raises
    ------
    ValueError
        Another kind of game, or an unknown `level`.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplab.models import Certificate
    >>> game = PreferenceGame([[0.5, 1.0], [0.0, 0.5]])
    >>> best = Solution(np.array([0.5]), np.array([1.0, 0.0]), Certificate("exploitability", 1e-12), "by hand", 0, 0.0)
    >>> bool(check_game(game, best, level="exact"))
    True
    """
    start = perf_counter()
    kind = solution.certificate.kind
    if not isinstance(game, PreferenceGame | MatrixGame):
        raise ValueError(f"game is a {type(game).__name__}; expected a PreferenceGame or a MatrixGame")
    if level not in ("float", "exact"):
        raise ValueError(f"level is {level!r}; expected 'float' or 'exact'")
    try:
        if tau is not None and tau != solution.certificate.data.get("tau"):
            raise Refused(f"tau is {solution.certificate.data.get('tau')} in the certificate, expected {tau}")
        if kind not in ("exploitability", "regularized-gap"):
            raise Refused(f"kind is {kind!r}; expected 'exploitability' or 'regularized-gap'")
        # An overflow leaves an infinite bound or none; a warning would say nothing more.
        with np.errstate(over="ignore", invalid="ignore"):
            gap = _GAPS[kind, level](game, solution)
        claimed = solution.certificate.gap
        if not isinstance(claimed, int | float):
            raise Refused(f"gap is {claimed!r}, no number")
        if not gap <= claimed:
            raise Refused(f"gap is {claimed!r}, but the duality gap is only known to be at most {float(gap)!r}")
        _require_value(game, solution, level)
        ok, reason, out = True, "", float(np.nextafter(float(gap), np.inf))
    except Refused as refusal:
        ok, reason, out = False, str(refusal), np.inf
    except (TypeError, ValueError) as malformed:
        ok, reason, out = False, f"an entry of the answer is no number: {malformed}", np.inf
    return CheckReport(ok, kind, level, out, reason, repr(game), perf_counter() - start)


def exploitability(game: PreferenceGame | MatrixGame, x: np.ndarray, y: np.ndarray | None = None) -> float:
    """An upper bound, rounding included, of max_p p . A y - min_q x . A q; the largest over contexts.

    Parameters
    ----------
    game
        Zero-sum.
    x
        Strategy of the first player, (n,) or (m, n).
    y
        Strategy of the second; x for a preference game.
    """
    if isinstance(game, PreferenceGame):
        x = _strategy("policy", x, game.mu.shape)
        K, p = game.K.reshape(-1, game.n, game.n), x.reshape(-1, game.n)
        top = np.einsum("myz,mz->my", K, p).max(axis=1) / p.sum(axis=1)
        return float(2 * top.max()) + 4 * (game.n + 4) * _UNIT
    bottom, top = _payoffs(game, x, y)
    return (top - bottom) * (1 + 4 * _UNIT)


def _payoffs(game: MatrixGame, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """A lower bound of min_q x . A q and an upper bound of max_p p . A y, rounding included."""
    _require_zero_sum(game)
    x, y = _strategy("policy", x, game.A.shape[:1]), _strategy("column", y, game.A.shape[1:])
    top, bottom = (game.A @ y).max() / y.sum(), (x @ game.A).min() / x.sum()
    # The last term covers products that underflow.
    allowance = 2 * (sum(game.A.shape) + 4) * (_UNIT * float(np.abs(game.A).max()) + 2.0**-1070)
    return float(bottom) - allowance, float(top) + allowance


def _require_value(game: PreferenceGame | MatrixGame, solution: Solution, level: str) -> None:
    """The value returned is within the claimed gap of the game's value; exact, but for the payoffs at float level."""
    size = game.m if isinstance(game, PreferenceGame) else 1
    value = np.asarray(solution.value, dtype=np.float64)
    if value.shape != (size,) or not np.isfinite(value).all():
        raise Refused(f"value has shape {value.shape} or is not finite; expected ({size},) numbers")
    if isinstance(game, PreferenceGame):
        bottom = top = Fraction(1, 2)
    elif level == "float":
        bottom, top = _payoffs(game, solution.policy, solution.certificate.data.get("column"))
    else:
        x, y, A, minus_transposed = _exact_game(game, solution)
        bottom, top = -_largest(minus_transposed, x), _largest(A, y)
    claimed = solution.certificate.gap
    if claimed == float("inf"):
        return
    if not (np.isfinite(float(bottom)) and np.isfinite(float(top))):
        raise Refused("the payoffs overflow")
    for context, v in enumerate(value.tolist()):
        if max(Fraction(v) - Fraction(bottom), Fraction(top) - Fraction(v)) > Fraction(claimed):
            raise Refused(
                f"value[{context}] is {v!r}, the game's is in [{float(bottom)!r}, {float(top)!r}]: not shown to be "
                f"within the claimed gap {claimed!r}"
            )


def regularized_gap_bound(game: PreferenceGame, log_policy: np.ndarray, tau: float) -> float:
    """An upper bound, rounding included, of the regularised gap of softmax(log_policy); the largest over contexts."""
    logits = _logits(game, log_policy)
    tau = _temperature(tau)
    spread = float(np.ptp(logits, axis=-1).max())
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    pi = weights / weights.sum(axis=-1, keepdims=True)
    log_mu = np.log(game.mu)
    x = log_mu + np.matmul(game.K, pi[..., None])[..., 0] / tau - logits
    # |K| <= 1/2; pi has relative error (n + 8 + spread) u, the product n u, K itself u; log and the sums the rest.
    error = (2 * game.n + 12 + spread) / (2 * tau) + 6 * float(np.abs(log_mu).max() + np.abs(logits).max())
    span = np.ptp(x, axis=-1) + 4 * _UNIT * error
    return float((0.25 * tau * span**2).max()) * (1 + 8 * _UNIT)


def log_policy_error(game: PreferenceGame, log_policy: np.ndarray, tau: float) -> float:
    """A bound on the span of log_policy - log pi*, pi* the regularised equilibrium; for a game without contexts.

    Notes
    -----
    The equation log pi = log mu + K pi / tau - x + const holds for softmax(log_policy) with its residual x, and for pi*
    with x = 0. Hence the span is at most sp(x) + |pi - pi*|_1 / tau, because |K| <= 1/2; and |pi - pi*|_1 is at most
    sqrt(gap / tau) by the certificate and Pinsker's inequality, with the gap enclosed by balls.
    """
    span = 2 * np.sqrt(regularized_gap_bound(game, log_policy, tau) / tau)
    gap = float(gap_enclosure(game.P, game.mu, log_policy, tau)[1])
    return float(span + np.sqrt(max(gap, 0.0) / tau) / tau) * (1 + 8 * _UNIT)


def _exploitability_float(game: PreferenceGame | MatrixGame, solution: Solution) -> float:
    return exploitability(game, solution.policy, solution.certificate.data.get("column"))


def _exploitability_exact(game: PreferenceGame | MatrixGame, solution: Solution) -> Fraction:
    if isinstance(game, PreferenceGame):
        policy = _strategy("policy", solution.policy, game.mu.shape).reshape(-1, game.n)
        games = game.P.reshape(-1, game.n, game.n)
        return max(2 * _largest(_skew(P), p) for P, p in zip(games, policy))
    x, y, A, minus_transposed = _exact_game(game, solution)
    return _largest(A, y) + _largest(minus_transposed, x)


def _exact_game(game: MatrixGame, solution: Solution) -> tuple[np.ndarray, np.ndarray, list, list]:
    """Both strategies, A, and minus its transpose in rationals."""
    _require_zero_sum(game)
    x = _strategy("policy", solution.policy, game.A.shape[:1])
    y = _strategy("column", solution.certificate.data.get("column"), game.A.shape[1:])
    A = [[number(a) for a in row] for row in game.A.tolist()]
    return x, y, A, [[-A[i][j] for i in range(len(A))] for j in range(len(A[0]))]


def _skew(P: np.ndarray) -> list[list]:
    """(P - P^T) / 2 in rationals."""
    exact = [[number(p) for p in row] for row in P.tolist()]
    return [[(exact[y][z] - exact[z][y]) / 2 for z in range(len(exact))] for y in range(len(exact))]


def _largest(A: list[list], p: np.ndarray) -> Fraction:
    """max_y (A p)_y / sum(p), exactly."""
    weights = [number(w) for w in p.tolist()]
    total = sum(weights, number(0))
    return fraction(max(sum((a * w for a, w in zip(row, weights)), number(0)) for row in A) / total)


def _regularized_float(game: PreferenceGame, solution: Solution) -> float:
    logits = _same_policy(game, solution)
    return regularized_gap_bound(game, logits, _stated(solution, "tau"))


def _regularized_exact(game: PreferenceGame, solution: Solution) -> Fraction:
    logits, tau = _same_policy(game, solution).reshape(-1, game.n), _temperature(_stated(solution, "tau"))
    games, references = game.P.reshape(-1, game.n, game.n), game.mu.reshape(-1, game.n)
    return max(gap_enclosure(*each, tau)[1] for each in zip(games, references, logits))


def gap_enclosure(P: np.ndarray, mu: np.ndarray, logits: np.ndarray, tau: float) -> tuple[Fraction, Fraction]:
    """Rational lower and upper bound of the regularised duality gap of softmax(logits), by ball arithmetic.

    Parameters
    ----------
    P, mu, logits : arrays (n, n), (n,), (n,)
        One context, the stored floats read as exact numbers.
    tau : float
        Temperature.
    """
    import flint

    def ball(x: float) -> "flint.arb":
        top, bottom = float(x).as_integer_ratio()
        return flint.arb(top) / bottom

    before = flint.ctx.prec
    try:
        flint.ctx.prec = _PRECISION
        n, t = len(mu), ball(tau)
        K = [[(ball(P[y, z]) - ball(P[z, y])) / 2 for z in range(n)] for y in range(n)]
        ell = [ball(value) for value in logits]
        weights = [(value - ell[0]).exp() for value in ell]
        total = sum(weights, flint.arb(0))
        pi = [w / total for w in weights]
        x = [ball(mu[y]).log() + sum((K[y][z] * pi[z] for z in range(n)), flint.arb(0)) / t - ell[y] for y in range(n)]
        mean = sum((p * value for p, value in zip(pi, x)), flint.arb(0))
        moment = sum((p * (value - mean).exp() for p, value in zip(pi, x)), flint.arb(0))
        gap = 2 * t * moment.log()
        if not gap.is_finite():
            raise Refused("the duality gap overflows balls of finite radius")
        return _rational(gap.lower()), _rational(gap.upper())
    finally:
        flint.ctx.prec = before


def _rational(ball: object) -> Fraction:
    """An exact arb (radius 0) as a fraction."""
    mantissa, exponent = ball.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def _strategy(name: str, values: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    if values is None or np.shape(values) != shape:
        raise Refused(f"{name} has shape {None if values is None else np.shape(values)}, expected {shape}")
    array = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(array) & (array >= 0)).all():
        raise Refused(f"{name} has an entry that is negative or not finite")
    # Also what bounds rounding: sums near one neither overflow nor vanish among subnormal numbers.
    if not (array.max(initial=0.0) <= 2 and (np.abs(array.sum(axis=-1) - 1) <= POLICY_SUM).all()):
        raise Refused(f"{name} does not sum to 1 within {POLICY_SUM:g}")
    return array


def _logits(game: PreferenceGame, values: np.ndarray) -> np.ndarray:
    if np.shape(values) != game.mu.shape:
        raise Refused(f"log_policy has shape {np.shape(values)}, expected {game.mu.shape}")
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise Refused("log_policy has an entry that is not finite")
    return array


def _stated(solution: Solution, name: str) -> np.ndarray:
    if name not in solution.certificate.data:
        raise Refused(f"the certificate has no {name!r}")
    return solution.certificate.data[name]


def _same_policy(game: PreferenceGame, solution: Solution) -> np.ndarray:
    """The logits that the certificate speaks about; the policy returned is theirs, up to the rounding of exp."""
    if not isinstance(game, PreferenceGame):
        raise Refused(f"a regularised gap of {game!r}; it is defined for preference games")
    logits = _logits(game, _stated(solution, "log_policy"))
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    pi = weights / weights.sum(axis=-1, keepdims=True)
    # What two evaluations of softmax differ by: rounding of the exponents, of exp, of the sum and of the quotient.
    near = 4 * (game.n + 16 + np.ptp(logits, axis=-1).max()) * _UNIT
    if np.shape(solution.policy) != pi.shape or not np.allclose(solution.policy, pi, rtol=near, atol=1e-300):
        raise Refused("policy is not softmax(log_policy)")
    return logits


def _temperature(tau: float) -> float:
    if not (np.isfinite(tau) and tau > 0):
        raise Refused(f"tau is {tau}; expected a finite number above 0")
    return float(tau)


def _require_zero_sum(game: MatrixGame) -> None:
    if not game.is_zero_sum:
        raise Refused("the game is general-sum; exploitability is defined for zero-sum games here")


_GAPS = {
    ("exploitability", "float"): _exploitability_float,
    ("exploitability", "exact"): _exploitability_exact,
    ("regularized-gap", "float"): _regularized_float,
    ("regularized-gap", "exact"): _regularized_exact,
}
