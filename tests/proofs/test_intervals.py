"""Enclosures that decide, and false inequalities of the same shape, which are refused."""

from fractions import Fraction

import pytest
import sympy
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from proofs_check.checked import Refused
from proofs_check.intervals import compiled, enclose, lower_bound

X, Y = sympy.symbols("x y", real=True)
P, Q = sympy.symbols("p q", positive=True)
KL = P * sympy.log(P / Q) + (1 - P) * sympy.log((1 - P) / (1 - Q))
INNER = {P: ("1/20", "19/20"), Q: ("1/20", "19/20")}


def test_a_minimum_is_enclosed():
    lo, hi = lower_bound(sympy.exp(X) - X - Fraction(1, 2), {X: (-2, 2)})
    assert 0 < lo <= Fraction(1, 2) <= hi


def test_dependence_needs_the_mean_value_form():
    # (x - 1/3)^2 + 1/10^6 written out: naive intervals need boxes of width 1e-6 near 1/3
    f = X**2 - 2 * X / 3 + Fraction(1, 9) + Fraction(1, 10**6)
    lo, hi = lower_bound(f, {X: (-1, 1)}, max_boxes=2_000)
    assert 0 < lo <= Fraction(1, 10**6) <= hi


@pytest.mark.parametrize(
    "false",
    [
        sympy.exp(X) - X - Fraction(101, 100),  # the wrong constant: negative near 0
        sympy.log(1 + X**2) - X**2 / 2,  # fails for large |x| only
        X - sympy.sinh(X) + Fraction(1, 10**3),  # the wrong sign
        sympy.cosh(X) - 1 - X**2 / 2 - Fraction(1, 10**12),  # by a hair
    ],
)
def test_false_inequalities_are_refused(false):
    with pytest.raises(Refused, match=r"negative at|undecided"):
        lower_bound(false, {X: (-3, 3)}, max_boxes=4_000)


def test_a_zero_without_an_argument_is_undecided():
    with pytest.raises(Refused, match="undecided"):
        lower_bound(sympy.cosh(X) - 1, {X: (-1, "1001/1000")}, max_boxes=500)


def test_a_zero_with_its_argument():
    f = sympy.cosh(X) - 1
    assert lower_bound(f, {X: (-1, 1)}, touching=(X, 0))[0] == 0
    assert lower_bound(f - X**2 / 2, {X: (-1, 1)}, touching=(X, 0), order=4)[0] == 0
    assert lower_bound(sympy.sinh(X) - X, {X: (0, 1)}, touching=(X, 0), order=3)[0] == 0


@pytest.mark.parametrize(
    ("f", "box", "touching", "order", "message"),
    [
        (sympy.sinh(X) - X, {X: (-1, 1)}, (X, 0), 3, "negative at"),  # an odd order on both sides
        (sympy.cosh(X) - 1 - Fraction(51, 100) * X**2, {X: (-1, 1)}, (X, 0), 2, "negative at"),
        (sympy.cosh(X) - 1, {X: (-1, 1)}, (X, Fraction(1, 2)), 2, "derivative 0"),  # no zero there
        (sympy.exp(X) - 1, {X: (-1, 1)}, (X, 0), 2, "derivative 1"),  # a zero, and a sign change
        (sympy.cosh(X) - 1, {X: (-1, 1)}, (X, X), 2, "is none"),
        (KL - Fraction(21, 10) * (P - Q) ** 2, INNER, (P, Q), 2, "negative at"),
        (KL - 2 * (P - Q) ** 2, INNER, (P, Q), 2, "undecided"),  # true, of higher order at (1/2, 1/2): not by this
    ],
)
def test_false_and_faulty_arguments_are_refused(f, box, touching, order, message):
    with pytest.raises(Refused, match=message):
        lower_bound(f, box, touching=touching, order=order, max_boxes=3_000)


def test_a_surface_of_zeros():
    f = KL - Fraction(19, 10) * (P - Q) ** 2
    assert lower_bound(f, INNER, touching=(P, Q))[0] == 0


@pytest.mark.parametrize("f", [X + sympy.Float("0.5"), sympy.gamma(X), X ** sympy.Rational(1, 3), X * Y, sympy.Abs(X)])
def test_what_has_no_enclosure_is_refused(f):
    with pytest.raises(Refused, match=r"no enclosure|no value"):
        lower_bound(f, {X: (1, 2)})


@pytest.mark.parametrize(
    ("x", "f"),
    [
        (P, lambda p: sympy.Rational(1, 2) + p - sympy.sqrt(p**2)),  # at p = -1 it is -3/2; sympy makes it 1/2
        (sympy.Symbol("n", negative=True), lambda n: sympy.Rational(1, 2) - n - sympy.sqrt(n**2)),
        (sympy.Symbol("k", integer=True), lambda k: sympy.cos(sympy.pi * k) ** 2 - sympy.Rational(1, 2)),
    ],
)
def test_a_box_beyond_what_is_assumed_is_refused(x, f):
    with pytest.raises(Refused, match="less than the box"):
        lower_bound(f(x), {x: (-1, 1)})


def test_floats_and_empty_boxes_are_refused():
    with pytest.raises(TypeError, match="not an exact number"):
        lower_bound(X, {X: (0.5, 1)})
    with pytest.raises(Refused, match="no value"):
        lower_bound(X, {X: (2, 1)})
    with pytest.raises(Refused, match="no finite value"):
        enclose(sympy.log(X), {X: -1})


FORM = (X**2 - 3 * X * Y) / (1 + Y**2) + sympy.exp(-X) - sympy.log(2 + Y) * sympy.sqrt(3 + X) + sympy.tanh(X * Y) ** -2


@given(st.fractions(-1, 1, max_denominator=50), st.fractions(-1, 1, max_denominator=50))
def test_balls_hold_the_values(x, y):
    """A ball around the box holds the value at every point of it."""
    box = {X: arb(0, 1), Y: arb(0, 1)}
    point = {X: arb(x.numerator) / x.denominator, Y: arb(y.numerator) / y.denominator}
    for part in [*FORM.args, FORM]:
        whole, inside = compiled(part)(box), compiled(part)(point)
        # a ball that is not finite claims nothing
        assert whole.overlaps(inside) or not (whole.is_finite() and inside.is_finite())
