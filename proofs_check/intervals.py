"""Inequalities over a box, by branch and bound with ball arithmetic (Arb, through python-flint).

An expression of sympy is evaluated on boxes with rational ends; every rounding is outward, so that "positive on the
box" is a theorem. Boxes that do not decide are bisected. Where the expression is zero, at a point or along a surface
x = at, no subdivision decides; there Taylor's formula does: if f and df/dx vanish at x = at and the second derivative
is positive in between, then f >= 0.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction

import sympy
from flint import arb, ctx, fmpq

from proofs_check.checked import Refused
from proofs_check.rational import exact

Box = Mapping[sympy.Symbol, tuple]
_BITS = 96
_SHORTEST = Fraction(1, 2**40)
_FUNCTIONS = {sympy.exp: arb.exp, sympy.log: arb.log, sympy.tanh: arb.tanh, sympy.cosh: arb.cosh, sympy.sinh: arb.sinh}


def lower_bound(
    f: sympy.Expr,
    box: Box,
    *,
    touching: tuple[sympy.Symbol, sympy.Expr] | None = None,
    order: int = 2,
    pin: tuple[Mapping[sympy.Symbol, object], object] | None = None,
    max_boxes: int = 20_000,
) -> tuple[Fraction, Fraction]:
    """Ends (lo, hi) with 0 <= lo <= min f <= hi over the box, or Refused.

    Parameters
    ----------
    f
        Built from rationals, symbols, + - * /, integer and half-integer powers, exp, log, sinh, cosh, tanh, pi.
    box
        Symbol -> (low, high), exact numbers.
    touching
        (x, at): f is zero where x = at. Then lo = 0, and a box is settled as well when the derivative of this order in
        x is positive from the box to x = at, those of lower order being 0 there.
    order
        Even; or odd, if x >= at on the whole box.
    pin
        (point, value): f is within 10^-6 above the value there, or a bound that holds is refused all the same. It pins
        the statement down: a wrong sign in f that made it trivially true would move the value.
    max_boxes
        Boxes to look at before refusing.

    Raises
    ------
    Refused
        f is negative somewhere, or is not shown to be positive; the surface x = at is not one of zeros; a symbol
        without a side of the box, or whose side has numbers that its assumptions exclude; a float, or a function that
        is not known.

    Examples
    --------
    >>> x, y = sympy.symbols("x y", positive=True)
    >>> lo, hi = lower_bound(x - sympy.log(x), {x: ("1/2", 2)})
    >>> bool(0 < lo <= 1 <= hi)
    True
    >>> lower_bound(x - 1 - sympy.log(x), {x: ("1/10", 3)}, touching=(x, sympy.Integer(1)))[0]
    Fraction(0, 1)
    >>> lower_bound(x - Fraction(11, 10) - sympy.log(x), {x: ("1/10", 3)})
    Traceback (most recent call last):
    proofs_check.checked.Refused: negative at x = 33/40
    """
    symbols = list(box)
    root = {x: (exact(low), exact(high)) for x, (low, high) in box.items()}
    if any(low > high for low, high in root.values()) or not sympy.sympify(f).free_symbols <= set(box):
        raise Refused(f"{f} has no value on the box {root}")
    for x, ends in root.items():
        # sympy has simplified f by what is assumed of x: sqrt(x^2) is x only where x >= 0.
        if not _allows(x, *ends):
            raise Refused(f"{x} is assumed to be less than the box {ends} has in it")
    value, slopes = compiled(f), [compiled(sympy.diff(f, x)) for x in symbols]
    bend = None if touching is None else _taylor(f, root, *touching, order)
    lo, hi, stack = None, None, [root]
    with ctx.workprec(_BITS):
        for _ in range(max_boxes):
            if not stack:
                if pin is not None:
                    pinned(f, *pin)
                return (lo if touching is None else Fraction(0), hi)
            part = stack.pop()
            middle = {x: (low + high) / 2 for x, (low, high) in part.items()}
            at_middle = value({x: _ball(m, m) for x, m in middle.items()})
            if at_middle < 0:
                raise Refused("negative at " + ", ".join(f"{x} = {m}" for x, m in middle.items()))
            if at_middle.is_finite():
                above = _end(at_middle.upper())
                hi = above if hi is None else min(hi, above)
            low_end = _below(value, slopes, part, middle, at_middle)
            if low_end is not None and low_end > 0:
                lo = low_end if lo is None else min(lo, low_end)
            elif bend is None or not bend(part):
                stack += _halves(part, root)
    raise Refused(f"undecided after {max_boxes} boxes")


def _allows(x: sympy.Symbol, low: Fraction, high: Fraction) -> bool:
    """Whether what sympy assumes of x holds all over [low, high], but for zero, which is left to continuity."""
    if low == high:
        number = sympy.Rational(low.numerator, low.denominator)
        return all(getattr(number, f"is_{fact}") in (said, None) for fact, said in x.assumptions0.items())
    signs = not (x.is_extended_nonnegative and low < 0) and not (x.is_extended_nonpositive and high > 0)
    return signs and x.is_extended_real is not False and x.is_rational is None


def enclose(f: sympy.Expr, point: Mapping[sympy.Symbol, object] | None = None) -> tuple[Fraction, Fraction]:
    """Rational ends around the value of f at a rational point; Refused if it is not defined there.

    Examples
    --------
    >>> lo, hi = enclose(sympy.log(2))
    >>> lo < Fraction(693148, 10**6) and Fraction(693147, 10**6) < hi
    True
    """
    with ctx.workprec(_BITS):
        out = compiled(f)({x: _ball(exact(at), exact(at)) for x, at in (point or {}).items()})
        if not out.is_finite():
            raise Refused(f"{f} has no finite value at {point}")
        return _end(out.lower()), _end(out.upper())


def pinned(f: sympy.Expr, point: Mapping[sympy.Symbol, object], value: object) -> Fraction:
    """A rational lower end of f at a point, which lies in [value, value + 10^-6]; Refused if it does not.

    Examples
    --------
    >>> pinned(sympy.log(2), {}, "0.693147") > 0
    True
    """
    lo, hi = enclose(f, point)
    if not exact(value) <= lo <= hi <= exact(value) + Fraction(1, 10**6):
        raise Refused(f"the value at {point} is not {value}, but {lo.numerator / lo.denominator:.9g}")
    return lo


def compiled(f: sympy.Expr) -> Callable[[dict], arb]:
    """A function from balls for the symbols to a ball that contains every value of f; Refused where f has a float.

    Examples
    --------
    >>> x = sympy.Symbol("x")
    >>> 0.25 in compiled(x**2)({x: arb("0.5")})
    True
    """
    f = sympy.sympify(f)
    if isinstance(f, sympy.Symbol):
        return lambda env: env[f]
    if isinstance(f, sympy.Rational):
        p, q = int(f.p), int(f.q)
        return lambda env: arb(fmpq(p, q))
    if f is sympy.pi:
        return lambda env: arb.pi()
    parts = [compiled(part) for part in f.args]
    if isinstance(f, sympy.Add | sympy.Mul):
        return _fold(parts, isinstance(f, sympy.Add))
    if isinstance(f, sympy.Pow) and (2 * f.exp).is_Integer:
        return _power(parts[0], Fraction(int(f.exp.p), int(f.exp.q)))
    if type(f) in _FUNCTIONS:
        function = _FUNCTIONS[type(f)]
        return lambda env: function(parts[0](env))
    if f is sympy.E:
        return lambda env: arb(1).exp()
    raise Refused(f"no enclosure of {f} of type {type(f).__name__}")


def _fold(parts: list, add: bool) -> Callable[[dict], arb]:
    def total(env: dict) -> arb:
        out = parts[0](env)
        for part in parts[1:]:
            out = out + part(env) if add else out * part(env)
        return out

    return total


def _power(base: Callable, exponent: Fraction) -> Callable[[dict], arb]:
    def raised(env: dict) -> arb:
        x = base(env)
        if exponent.denominator == 2:
            x = x.sqrt()
        n = abs(exponent.numerator)
        # An even power of a ball around 0 is non-negative, which the product of two balls does not know; and the power
        # of python-flint, which goes through the logarithm, is undefined there.
        base_ball, out = abs(x) if n % 2 == 0 else x, arb(1)
        for _ in range(n):
            out = out * base_ball
        return out if exponent > 0 else 1 / out

    return raised


def _ball(low: Fraction, high: Fraction) -> arb:
    ends = [arb(fmpq(end.numerator, end.denominator)) for end in (low, high)]
    return ends[0].union(ends[1])


def _end(x: arb) -> Fraction:
    """The number of a ball of radius 0."""
    mantissa, exponent = (int(part) for part in x.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def _below(value: Callable, slopes: list, part: dict, middle: dict, at_middle: arb) -> Fraction | None:
    """The better lower bound of the natural enclosure and of the mean-value form; None if neither is finite."""
    env = {x: _ball(*ends) for x, ends in part.items()}
    plain = value(env)
    if plain > 0:
        return _end(plain.lower())
    mean = at_middle
    for x, slope in zip(part, slopes, strict=True):
        mean = mean + slope(env) * (env[x] - _ball(middle[x], middle[x]))
    ends = [_end(ball.lower()) for ball in (plain, mean) if ball.is_finite()]
    return max(ends, default=None)


def _halves(part: dict, root: dict) -> list[dict]:
    """The box cut in the middle of its relatively longest side."""

    def length(x: sympy.Symbol) -> Fraction:
        whole = root[x][1] - root[x][0]
        return (part[x][1] - part[x][0]) / whole if whole else Fraction(0)

    x = max(part, key=length)
    if length(x) < _SHORTEST:
        raise Refused("undecided near " + ", ".join(f"{y} = {low}" for y, (low, _) in part.items()))
    low, high = part[x]
    middle = (low + high) / 2
    return [{**part, x: (low, middle)}, {**part, x: (middle, high)}]


def _taylor(f: sympy.Expr, root: dict, x: sympy.Symbol, at: sympy.Expr, order: int) -> Callable[[dict], bool]:
    """Whether f >= 0 follows on a part of the box from the sign of d^order f / dx^order between it and x = at."""
    at = sympy.sympify(at)
    if at.has(x) or order < 1:
        raise Refused(f"the surface {x} = {at} with order {order} is none")
    for k in range(order):
        left = sympy.simplify(sympy.diff(f, x, k).subs(x, at))
        if left != 0:
            raise Refused(f"derivative {k} in {x} at {x} = {at} is {left}, not 0")
    value, derivative, surface = compiled(f), compiled(sympy.diff(f, x, order)), compiled(at)

    def settled(part: dict) -> bool:
        env = {y: _ball(*ends) for y, ends in part.items()}
        zero = surface(env)
        if order % 2 and not env[x] >= zero:
            # Below the surface an odd power is negative; a part may touch it with an exact end.
            if not (at.is_Rational and part[x][0] >= Fraction(int(at.p), int(at.q))):
                return False
        env[x] = env[x].union(zero)
        # Taylor's formula needs f on the whole segment, not only its derivative.
        return bool(value(env).is_finite() and derivative(env) > 0)

    return settled
