r"""Performative problems: regularised occupancies, and points that reproduce themselves.

regularized-occupancy
    For an MDP with `mu` and `gamma < 1`: `d >= 0` `(S, A)`, `h` `(S,)`, `lam > 0`, `exits` (terminal states, which are
    left out: `d = 0`, `h = 0`, no flow constraint), `value_gap`. With `xi = mu - A d` off the exits and `sigma = h -
    gamma P h - r + lam d`, let kappa be sigma where `d > 0` and at one pair of least sigma of every state without
    flow, and `max(0, -sigma)` elsewhere; `delta = |xi|_1 / (1 - gamma max row sum)`. Then

        |d - d*|_2 <= 2 delta + |kappa|_2 / lam <= gap.

    Proof. Let pi choose in proportion to d, and the pair of least sigma where a state has no flow. Then d is the
    occupancy of pi started from the signed measure mu - xi; let d'' be the one started from mu, so that `|d'' - d|_1
    <= delta`. With `sigma'' = sigma + lam (d'' - d)`, move r by what sigma'' lacks: all of it on the support of d'',
    its negative part elsewhere; that is at most `|kappa|_2 + lam delta` in norm. The pair (d'', h) is then optimal: d''
    is feasible, sigma'' is not negative, and it vanishes on the support. So d'' is the projection on the flow polytope
    of a target that is `|kappa|_2 / lam + delta` away from `r / lam`, and projections do not expand.

    The value returned is h, within `value_gap` of the optimal value function of `r - lam d*`: `max_s |min_a sigma| /
    (1 - gamma)` from that of `r - lam d`, which is within `lam gap / (1 - gamma)` of it.
performative-stability
    For a `PerformativeMDP`: `d`, the policy's occupancy, and `next`, `h`, `lam`, `exits`, `value_gap`, where (`next`,
    `h`) are as above for the MDP that the policy of d meets, computed by the problem's own response. The gap is at
    least that bound plus `|d - next|_2`, and so bounds `|d - F(d)|_2`, F one round of repeated optimisation: d
    reproduces itself up to the gap. If `distance` is among the data and finite, also `|d - d_S|_2 <= distance` for any
    stable point d_S. For that the referee derives q < 1, the `contraction_factor` of `mdplab.models`, with `|F(d) -
    d_S| <= q |d^pi - d_S|`, `d^pi` the occupancy of d's policy in what it meets. With d' the policy times the flow of
    d, `|d^pi - d|_1 <= delta(d') + |d - d'|_1`; if that is e, `distance >= (gap + q e) / (1 - q)` is enough.

The policy is d in proportion, any distribution where there is no flow; for a `PerformativeMDP` its `policy_of(d)`.
Float level: sums carry `gamma_n` allowances. Exact level: all but the response is rational.
"""

from fractions import Fraction
from math import fsum
from time import perf_counter

import numpy as np

from mdplab.certify.case import Case, finite, first, require_sign
from mdplab.certify.performative_optimum import performative_optimum
from mdplab.certify.rational import fraction, number, numbers, row_of
from mdplab.certify.report import CheckReport, Refused
from mdplab.certify.rows import UNIT
from mdplab.models import MDP, PerformativeMDP, Solution, contraction_factor


def regularized_occupancy(case: Case) -> float:
    """Derive the distance of the certificate's d from the optimum; it is at most the gap claimed."""
    d = case.array("d", (case.mdp.S, case.mdp.A))
    gap, _ = _distance(case, "d")
    _policy_of_flow(case, d)
    return case.claims_gap(_up(gap))


def _distance(case: Case, name: str) -> tuple[Fraction, np.ndarray]:
    """Bound of the distance of the array `name` from the optimum of the case's MDP, and the exits."""
    mdp = case.mdp
    if mdp.gamma >= 1 or mdp.horizon is not None or mdp.mu is None:
        raise Refused(f"kind {case.solution.certificate.kind!r} needs gamma below 1, no horizon, and mu")
    d, h = case.array(name, (mdp.S, mdp.A)), case.array("h", (mdp.S,))
    lam = case.number("lam")
    if not lam > 0:
        raise Refused(f"lam is {lam!r}, not positive")
    case.about.append(f"lam = {lam:.17g}, as the certificate states")
    exits = np.asarray(case.data.get("exits", mdp.terminal))
    if exits.shape != (mdp.S,) or exits.dtype != bool:
        raise Refused(f"exits has shape {exits.shape} and dtype {exits.dtype}, expected ({mdp.S},) bool")
    if (exits & ~mdp.terminal).any():
        raise Refused(f"exits: state {int(np.argmax(exits & ~mdp.terminal))} is not terminal")
    _require_flow(name, d, mdp.actions & ~exits[:, None])
    require_sign("h = 0 at exits", (h != 0) & exits, h)
    value = finite("value", case.solution.value, (mdp.S,))
    if not np.array_equal(value, h):
        raise Refused("value is not the certificate's h")
    top = case.rows.require_contraction(mdp.gamma)
    sums = _exact_sums if case.level == "exact" else _float_sums
    defect, kappa, off = sums(mdp, lam, exits, d, h)
    gap = 2 * defect / (1 - top) + _root_up(kappa) / Fraction(lam)
    error = (off + Fraction(lam) * gap) / (1 - top)
    if error > Fraction(case.number("value_gap")):
        raise Refused(f"value_gap {case.number('value_gap'):.17g} is smaller than the derived {_up(error):.17g}")
    if exits.any():
        case.about.append(f"{int(exits.sum())} terminal states left out of the occupancy")
    return gap, exits


def _require_flow(name: str, d: np.ndarray, allowed: np.ndarray) -> None:
    require_sign(f"{name} >= 0", d < 0, d)
    require_sign(f"{name} = 0 at exits and unavailable actions", (d != 0) & ~allowed, d)


def check_performative(problem: PerformativeMDP, solution: Solution, *, level: str = "float") -> CheckReport:
    """Whether an occupancy reproduces itself up to its certificate's gap, and lies that near the stable point.

    Parameters
    ----------
    problem : PerformativeMDP
        Its response is called once, at the policy of the certificate's d.
    solution : Solution
        Certificate of kind `"performative-stability"`, see the module, or `"performative-optimum"`, see
        `mdplab.certify.performative_optimum`.
    level : {"float", "exact"}
        The response is a float function at both levels: what is exact is all that follows it.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplab.models import MDP, Certificate
    >>> base = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> problem = PerformativeMDP(base, lambda policy: (base.P, base.r))
    >>> data = {"d": np.array([[1.5, 0.5]]), "h": np.array([-1.0]), "lam": 1.0, "value_gap": 1e-9}
    >>> data["next"] = data["d"]
    >>> evidence = Certificate("performative-stability", 1e-10, {}, data)
    >>> bool(check_performative(problem, Solution([-1.0], [[0.75, 0.25]], evidence, "by hand", 0, 0.0)))
    True
    """
    start = perf_counter()
    kind = str(solution.certificate.kind)
    gap, reason, about = float("inf"), "", []
    try:
        if kind == "performative-optimum":
            gap, about = performative_optimum(problem, solution, level)
            return CheckReport(True, kind, level, gap, "", "; ".join(about), perf_counter() - start)
        if kind != "performative-stability":
            raise Refused(f"kind {kind!r} says nothing about a performative problem")
        shape = problem.base.r.shape
        d = finite("d", solution.certificate.data.get("d", np.nan), shape)
        _require_flow("d", d, problem.available)
        try:
            environment = problem.at(problem.policy_of(d))
        except ValueError as invalid:
            raise Refused(f"the environment of d is invalid: {invalid}") from None
        case = Case(environment, solution, level)
        if problem.lam is not None and case.number("lam") != problem.lam:
            raise Refused(f"lam is {case.number('lam'):.17g} in the certificate, {problem.lam:.17g} in the problem")
        if not np.array_equal(np.asarray(case.data.get("exits", problem.exits)), problem.exits):
            raise Refused("exits are not the terminal states of the problem")
        with np.errstate(over="ignore", invalid="ignore"):
            bound, _ = _distance(case, "next")
            apart = _root_up(sum((x * x for x in _differences(d, case.array("next", shape))), Fraction(0)))
            policy = problem.policy_of(d)
            if not np.array_equal(case.policy(), policy):
                raise Refused("the policy is not the problem's policy_of(d)")
            derived = case.claims_gap(_up(bound + apart))
        about = ["one round of the response as computed in floats", *case.about]
        if "distance" in case.data and np.isfinite(float(case.data["distance"])):
            about.append(_near_the_stable_point(problem, case, d, policy))
        gap = derived
    except Refused as refusal:
        reason = str(refusal)
    except (OverflowError, ValueError, TypeError) as malformed:
        reason = f"an entry of the answer is no number in range: {malformed}"
    return CheckReport(not reason, kind, level, gap, reason, "; ".join(about), perf_counter() - start)


def _differences(x: np.ndarray, y: np.ndarray) -> list[Fraction]:
    """x - y, exactly."""
    return [Fraction(a) - Fraction(b) for a, b in zip(x.ravel().tolist(), y.ravel().tolist())]


def _near_the_stable_point(problem: PerformativeMDP, case: Case, d: np.ndarray, policy: np.ndarray) -> str:
    """The distance claimed follows from the gap claimed and a Lipschitz constant below 1 that is derived here."""
    distance = Fraction(case.number("distance"))
    found = contraction_factor(problem, case.number("lam"))
    if not (found.proved and found.factor < 1):
        raise Refused(f"no contraction is proved (factor {found.factor:.6g}): {found.reason or 'it is not below 1'}")
    q = Fraction(found.factor)
    sums = _exact_sums if case.level == "exact" else _float_sums
    top = case.rows.require_contraction(case.mdp.gamma)
    flow = d.sum(axis=1, keepdims=True)
    deployed = np.where(problem.available, flow * policy, 0.0)
    defect = sums(case.mdp, case.number("lam"), problem.exits, deployed, case.array("h", (case.mdp.S,)))[0]
    # Rows of policy and proportions of deployed differ by at most 2 (A + 4) u in l1; that is carried on for ever.
    rounding = Fraction(4 * (problem.A + 8) * UNIT * float(flow.sum()) * (1 + problem.S * UNIT))
    shift = sum((abs(x) for x in _differences(d, deployed)), Fraction(0)) + (defect + rounding) / (1 - top)
    needed = (Fraction(float(case.solution.certificate.gap)) + q * shift) / (1 - q)
    if distance < needed:
        raise Refused(f"distance {float(distance):.17g} is smaller than (gap + q e) / (1 - q) = {_up(needed):.17g}")
    assumed = "" if found.derived else " (sensitivity as stated by the problem)"
    return f"within {float(distance):.3g} of any stable point, contraction factor {found.factor:.6g}{assumed}"


def _float_sums(
    mdp: MDP, lam: float, exits: np.ndarray, d: np.ndarray, h: np.ndarray
) -> tuple[Fraction, Fraction, Fraction]:
    """Upper bounds of |xi|_1, |kappa|_2^2 and max |min_a sigma|, from floats with allowances."""
    S, A = mdp.S, mdp.A
    P = mdp.dense().P.reshape(S * A, S)
    n = (S * A + 16) * UNIT
    into, out = mdp.gamma * (d.ravel() @ P), d.sum(axis=1)
    xi = np.abs(mdp.mu + into - out) + n / (1 - n) * (mdp.mu + into + out)
    defect = Fraction(fsum(np.where(exits, 0.0, xi)) * (1 + 16 * UNIT) + S * 2.0**-1040)
    ahead = mdp.gamma * (P @ h).reshape(S, A)
    sigma = h[:, None] - ahead - mdp.r + lam * d
    size = np.abs(h)[:, None] + mdp.gamma * (P @ np.abs(h)).reshape(S, A) + np.abs(mdp.r) + lam * d
    m = (S + 16) * UNIT
    # The last term covers products that underflow.
    slip = m / (1 - m) * size + 2.0**-1040
    if not (np.isfinite(sigma).all() and np.isfinite(slip).all()):
        raise Refused("a sum is beyond the range of floats")
    square, off = Fraction(0), Fraction(0)
    for s in np.flatnonzero(~exits):
        a, total = _least(mdp, s, sigma[s]), 0.0
        for b in np.flatnonzero(mdp.actions[s]):
            lacks = abs(sigma[s, b]) if d[s, b] > 0 or (out[s] == 0 and b == a) else max(0.0, -sigma[s, b])
            lacks = lacks + slip[s, b] if lacks or sigma[s, b] < slip[s, b] else 0.0
            total += lacks * lacks
        square += Fraction(total * (1 + 8 * (A + 4) * UNIT) + 2.0**-1040)
        off = max(off, Fraction(float(abs(sigma[s, a]) + slip[s][mdp.actions[s]].max())))
    return defect, square, off


def _exact_sums(
    mdp: MDP, lam: float, exits: np.ndarray, d: np.ndarray, h: np.ndarray
) -> tuple[Fraction, Fraction, Fraction]:
    """|xi|_1, |kappa|_2^2 and max |min_a sigma|, exactly."""
    g, weight, exact_h = number(mdp.gamma), number(lam), numbers(h)
    xi, out = numbers(mdp.mu), d.sum(axis=1)
    square, off = number(0), number(0)
    for s in np.flatnonzero(~exits):
        sigma, flows = {}, {}
        for a in np.flatnonzero(mdp.actions[s]):
            columns, values = row_of(mdp, s, a)
            p, flow = numbers(values), number(d[s, a])
            ahead = sum((w * exact_h[j] for w, j in zip(p, columns.tolist())), number(0))
            sigma[a] = exact_h[s] - g * ahead - number(mdp.r[s, a]) + weight * flow
            flows[a] = flow
            if d[s, a] > 0:
                xi[s] -= flow
                for w, j in zip(p, columns.tolist()):
                    xi[j] += g * flow * w
        least = min(sigma, key=sigma.__getitem__)
        off = max(off, abs(sigma[least]))
        for a, y in sigma.items():
            if y < 0 or flows[a] > 0 or (out[s] == 0 and a == least):
                square += y * y
    defect = sum((abs(xi[s]) for s in np.flatnonzero(~exits)), number(0))
    return fraction(defect), fraction(square), fraction(off)


def _least(mdp: MDP, s: int, sigma: np.ndarray) -> int:
    return int(np.argmin(np.where(mdp.actions[s], sigma, np.inf)))


def _policy_of_flow(case: Case, d: np.ndarray) -> None:
    """The policy is d conditioned on the state up to its own rounding, where there is flow."""
    pi = case.policy()
    if pi.ndim == 1:
        pi = (pi[:, None] == np.arange(case.mdp.A)).astype(np.float64)
    flow = d.sum(axis=1, keepdims=True)
    bad = ~(np.abs(pi * flow - d) <= (8 + 2 * (case.mdp.A + 4)) * UNIT * flow)
    if bad.any():
        raise Refused(f"policy{list(first(bad))} is {pi[first(bad)]:.17g}, not the flow's own proportion")


def _root_up(square: Fraction) -> Fraction:
    """A rational upper bound of a square root, tight to about 2^-40."""
    if square == 0:
        return Fraction(0)
    # Scaled by an even power of two so that tiny squares do not underflow.
    shift = 2 * ((square.denominator.bit_length() - square.numerator.bit_length()) // 2)
    scaled = square * Fraction(2) ** shift
    root = Fraction(float(scaled) ** 0.5 * (1 + 2.0**-40))
    if root * root < scaled:
        raise Refused("a square root could not be bounded")
    return root / Fraction(2) ** (shift // 2)


def _up(x: Fraction) -> float:
    """The least float or its successor that is at least x."""
    y = float(x)
    return y if Fraction(y) >= x else float(np.nextafter(y, np.inf))
