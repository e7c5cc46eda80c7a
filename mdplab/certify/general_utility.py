r"""The general-utility kind: how far a policy is from the largest concave utility of an occupancy, by Fenchel duality.

    F(lambda) = <R, lambda> + w sum_k f(x_k),    x = M lambda + b,    w >= 0,

f concave as in `mdplab.models.utility`. The certificate of a `UtilityMDP` has `occupancy` `(S, A)`, `slopes` `(K,)` and
`h` `(S,)`; the value is `(1,)`. Rows as stored, `gamma sigma < 1`, the policy read divided by its row sums.

Upper bound. For any numbers `s_k` let `c(s) = sup_y f(y) - s y`: `s^2 / 2` (quadratic), `-log s - 1` for `s > 0` (log),
`exp(-1 - s)` (entropy), the last two infinite where s exceeds the slope at a positive floor. So `f(x_k) <= s_k x_k +
c(s_k)`, and with `r = R + w M^T s` and any `h >= r + gamma P h`, the occupancy of every policy has

    F(lambda') <= <r, lambda'> + w sum_k (s_k b_k + c(s_k)) <= mu . h + w sum_k (s_k b_k + c(s_k)) = U.

With `s = f'(x)` and `r = grad F(lambda)` this is `F(lambda) + mu . h - <r, lambda>`, the tangent's bound; errors of s
enter it squared, so s need not be exact.

Lower bound. Let x >= 0 be the certificate's occupancy, y the same flow out of each state divided as the policy does,
`D = |x - y|_1` and xi the defect of x, `sum_a x - gamma x P - mu`. That of y is at most `|xi|_1 + gamma sigma D`, and y
is the occupancy of the policy started from mu plus it; so the policy's own occupancy is within `e = (|xi|_1 + D) / (1 -
gamma sigma)` of x in l1. Its arguments are within `max_j |M_kj| e` of those of x, a concave f is least at an end of
that interval, and `<R, .>` moves by at most `e max |R|`. That gives L with `L <= F(policy) <= F* <= U`. The gap is at
least `max(U, value) - min(L, value)`: it bounds the policy's loss and the value's error.

With floor 0, f is minus infinity (log) or 0 (entropy) at the argument 0, and minus infinity below. An argument whose
row and shift are not negative is not negative either; so an entropy's that may be 0 but is at most 1 has `f >= 0`. Any
other argument that is not shown to be positive is refused.

At the exact level sums are rational; log and exp are enclosed in balls, with more digits until the gap is decided. The
float level assumes that NumPy's `exp` and `log` are accurate to 8 units in the last place.
"""

import time
from fractions import Fraction
from typing import Any

import numpy as np

from mdplab.certify import rational
from mdplab.certify.case import Case, finite, first, require_sign
from mdplab.certify.enclosure import Arbs, Balls, FloatBalls, Rationals
from mdplab.certify.ragged import upward, weights_of
from mdplab.certify.report import CheckReport, Refused
from mdplab.models import Solution, Utility, UtilityMDP

_KIND = "general-utility"
_BITS = (128, 512)


def check_utility(problem: UtilityMDP, solution: Solution, *, level: str = "float") -> CheckReport:
    """Whether no policy has a utility that is larger by more than the gap than that of an answer's policy.

    Parameters
    ----------
    problem, solution
        Problem and answer; of the certificate only `kind`, `gap` and `data` are read.
    level
        "float", with a proved bound of its own rounding, or "exact", in rational and ball arithmetic; the latter, for
        log and entropy utilities, needs python-flint.

    Returns
    -------
    CheckReport
        `gap` is `max(U, value) - min(L, value)` of the module, rounded up; infinite if the certificate is refused.

    Raises
    ------
    ValueError
        Unknown `level`.

    Examples
    --------
    >>> from mdplab.models import MDP, Certificate
    >>> from mdplab.models.utility import log_utility
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5, mu=[1.0])
    >>> problem = UtilityMDP(mdp, log_utility([[1.0, 0.5]], shift=0.5))
    >>> data = {"occupancy": np.array([[2.0, 0.0]]), "slopes": np.array([0.4]), "h": np.array([0.8])}
    >>> answer = Solution([np.log(2.5)], [0], Certificate("general-utility", 1e-12, {}, data), "by hand", 0, 0.0)
    >>> bool(check_utility(problem, answer, level="exact"))
    True
    """
    if level not in ("float", "exact"):
        raise ValueError(f"level is {level!r}; expected 'float' or 'exact'")
    start = time.perf_counter()
    kind, gap, reason = str(solution.certificate.kind), float("inf"), ""
    try:
        if kind != _KIND:
            raise Refused(f"kind is {kind!r}; a UtilityMDP needs {_KIND!r}")
        # An overflow in floats leaves an infinite radius or raises; a warning would say nothing more.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            gap = _gap(problem, Case(problem.mdp, solution, level))
    except Refused as refusal:
        reason = str(refusal)
    except (OverflowError, ValueError) as overflow:
        reason = f"a sum is beyond the range of floats: {overflow}"
    about = f"{problem!r}, the stored floats, rows as stored, rewards of the MDP not read"
    return CheckReport(not reason, kind, level, gap, reason, about, time.perf_counter() - start)


def _gap(problem: UtilityMDP, case: Case) -> float:
    """The gap derived, if every condition holds and the claim is not smaller."""
    mdp, utility, K = case.mdp, problem.utility, problem.utility.shift.size
    # What the proof takes from the utility: f concave, F a sum with a weight that is not negative.
    if utility.kind not in ("linear", "quadratic", "log", "entropy"):
        raise Refused(f"the referee does not know that a utility of kind {utility.kind!r} is concave")
    for name, number in (("weight", utility.weight), ("floor", utility.floor)):
        if not 0 <= number < np.inf:
            raise Refused(f"the utility's {name} is {number}; it is concave for finite ones of at least 0")
    x, s, h = case.array("occupancy", mdp.r.shape), case.array("slopes", (K,)), case.array("h", (mdp.S,))
    value = finite("value", case.solution.value, (1,))
    require_sign("occupancy >= 0", x < 0, x)
    require_sign("occupancy = 0 at unavailable actions", (x != 0) & ~mdp.actions, x)
    pi = weights_of(case.policy(), mdp.A)
    room = 1 - case.rows.require_contraction(mdp.gamma)
    ar = FloatBalls() if case.level == "float" else Rationals()
    tilted = _above(ar, _rewards(ar, utility, s)).reshape(mdp.r.shape)
    case.rows.require("h >= r + gamma P h", -1, h, [(1, tilted)], mdp.actions, gamma=mdp.gamma)
    e = upward((case.rows.flow_defect(x, mdp.mu, mdp.gamma) + _ends(_apart(ar, x, pi))[1]) / room)

    def derived(ar: Any) -> float:
        upper, lower = _upper(ar, utility, s, mdp.mu, h), _lower(ar, utility, x, e, mdp.actions)
        v = Fraction(float(value[0]))
        return case.claims_gap(upward(max(_ends(upper)[1], v) - min(_ends(lower)[0], v)))

    if case.level == "float" or utility.kind in ("linear", "quadratic"):
        return derived(ar)
    if rational.flint is None:
        raise Refused(f"the exact level of {utility.kind} utilities needs python-flint, which is not installed")
    context = rational.flint.ctx
    before = context.prec
    try:
        for context.prec in _BITS:
            try:
                return derived(Arbs())
            except Refused:
                if context.prec == _BITS[-1]:
                    raise
    finally:
        context.prec = before


def _rewards(ar: Any, utility: Utility, s: np.ndarray) -> Any:
    """R + w M^T s, flat (S * A,)."""
    R = ar.of(utility.reward.ravel())
    if utility.kind == "linear":
        return R
    matrix = utility.matrix
    row = np.repeat(np.arange(s.size), np.diff(matrix.indptr))
    order = np.argsort(matrix.indices, kind="stable")
    ends = np.cumsum(np.bincount(matrix.indices, minlength=matrix.shape[1]))
    products = ar.of(matrix.data[order]) * ar.of(s[row[order]])
    return R + _runs(ar, products, np.concatenate([[0], ends])) * ar.of(np.full(ends.size, utility.weight))


def _upper(ar: Any, utility: Utility, s: np.ndarray, mu: np.ndarray, h: np.ndarray) -> Any:
    """U."""
    top = ar.total(ar.of(mu) * ar.of(h))
    if s.size == 0 or utility.kind == "linear":
        return top
    terms = ar.of(s) * ar.of(utility.shift) + _conjugate(ar, utility, s)
    return top + ar.total(terms * ar.of(np.full(s.size, utility.weight)))


def _lower(ar: Any, utility: Utility, x: np.ndarray, e: float, actions: np.ndarray) -> Any:
    """L, where the policy's occupancy is within e of x."""
    K, R = utility.shift.size, utility.reward
    steepest = float(np.abs(R[actions]).max())
    low = ar.total(ar.of(R.ravel()) * ar.of(x.ravel())) - (ar.of(np.full(1, e)) * ar.of(np.full(1, steepest)))[0]
    if K == 0 or utility.kind == "linear":
        return low
    matrix = utility.matrix
    at = _runs(ar, ar.of(matrix.data) * ar.of(x.ravel()[matrix.indices]), matrix.indptr) + ar.of(utility.shift)
    size, least = np.zeros(K), utility.shift.copy()
    row = np.repeat(np.arange(K), np.diff(matrix.indptr))
    np.maximum.at(size, row, np.abs(matrix.data))
    np.minimum.at(least, row, matrix.data)
    move = ar.of(size) * ar.of(np.full(K, e))
    ends = _f(ar, utility, at - move, least >= 0), _f(ar, utility, at + move, least >= 0)
    return low + ar.total(ar.minimum(*ends) * ar.of(np.full(K, utility.weight)))


def _f(ar: Any, utility: Utility, y: Any, nonnegative: np.ndarray) -> Any:
    """f of numbers; 0 for an entropy's argument that may be 0, and is at most 1."""
    n = nonnegative.size
    if utility.kind == "quadratic":
        return -(y * y) * ar.of(np.full(n, 0.5))
    one, floor = ar.of(np.ones(n)), ar.of(np.full(n, utility.floor))
    if utility.floor == 0:
        positive = _positive(y)
        small = nonnegative & ar.shown(one - y) if utility.kind == "entropy" else np.zeros(n, dtype=bool)
        bad = ~positive & ~small
        if bad.any():
            k = first(bad)[0]
            raise Refused(f"argument {k} of the {utility.kind} utility is not shown to be above 0, and its floor is 0")
        # -1 log 1 = 0.
        top, rest = ar.pick(positive, y, one), None
    else:
        # Below the floor the tangent: f(max(y, floor)) + f'(floor) min(y - floor, 0).
        top, rest = ar.maximum(y, floor), ar.minimum(y - floor, ar.of(np.zeros(n)))
    if utility.kind == "log":
        return ar.log(top) if rest is None else ar.log(top) + rest / floor
    out = -(top * ar.log(top))
    return out if rest is None else out + (-ar.log(floor) - one) * rest


def _conjugate(ar: Any, utility: Utility, s: np.ndarray) -> Any:
    """c(s) = sup f(y) - s y; Refused where it is infinite or not shown to be finite."""
    slopes, one, floor = ar.of(s), ar.of(np.ones(s.size)), ar.of(np.full(s.size, utility.floor))
    if utility.kind == "quadratic":
        return slopes * slopes * ar.of(np.full(s.size, 0.5))
    if utility.kind == "log":
        require_sign("slopes > 0", s <= 0, s)
        room = one - slopes * floor
    else:
        room = -one - slopes - ar.log(floor) if utility.floor > 0 else one
    bad = ~ar.shown(room)
    if bad.any():
        k = first(bad)[0]
        raise Refused(f"slopes[{k}] is {s[k]:.17g}, not shown to be at most the slope at the floor {utility.floor:g}")
    return -ar.log(slopes) - one if utility.kind == "log" else ar.exp(-one - slopes)


def _apart(ar: Any, x: np.ndarray, pi: np.ndarray) -> Any:
    """D = |x - y|_1."""
    flow, weights = ar.of(x), ar.of(pi)
    share = weights / ar.total(weights)[:, None]
    return ar.total(ar.total(ar.absolute(flow - share * ar.total(flow)[:, None])))


def _runs(ar: Any, terms: Any, indptr: np.ndarray) -> Any:
    """Sums of `terms` from each of `indptr` to the next, 0 where there are none."""
    filled = np.flatnonzero(np.diff(indptr))
    if filled.size == 0:
        return ar.of(np.zeros(indptr.size - 1))
    return ar.scattered(ar.grouped(terms, indptr[filled]), filled, indptr.size - 1)


def _positive(y: Any) -> np.ndarray:
    return y.mid > y.rad if isinstance(y, Balls) else np.asarray(y > 0, dtype=bool)


def _above(ar: Any, r: Any) -> np.ndarray:
    """Floats that are at least r, or r itself in fractions."""
    if isinstance(r, Balls):
        up = np.where(r.rad > 0, np.nextafter(r.mid + r.rad, np.inf), r.mid)
        if not np.isfinite(up).all():
            raise Refused("R + weight M^T slopes is beyond the range of floats")
        return up
    return np.frompyfunc(rational.fraction, 1, 1)(r)


def _ends(x: Any) -> tuple[Fraction, Fraction]:
    """The ends of what encloses a number."""
    if isinstance(x, Balls):
        if not np.isfinite(x.rad + np.abs(x.mid)):
            raise Refused("a sum, a logarithm or an exponential is beyond the range of floats")
        mid, rad = Fraction(float(x.mid)), Fraction(float(x.rad))
        return mid - rad, mid + rad
    if hasattr(x, "man_exp"):
        if not x.is_finite():
            raise Refused("a logarithm or an exponential has no finite enclosure")
        return _exactly(x.lower()), _exactly(x.upper())
    number = rational.fraction(x)
    return number, number


def _exactly(ball: Any) -> Fraction:
    """An arb of radius 0 as a fraction."""
    mantissa, exponent = ball.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
