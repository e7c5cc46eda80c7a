"""Statistics of the return of a given policy, enclosed from the problem and the policy alone, without simulation.

The policy's law is propagated with an account of what is lost (`mdplab.certify.propagation`). With atoms within e of
those of a law and masses within a factor `1 +- q` of its masses:

    mean, CVaR, OCVaR, quantiles and entropic risk move by at most e with the atoms, since they are monotone and
    translate with the law; the standard deviation by at most e;
    the mean and CVaR by at most `2 q D / tau`, D the spread of the atoms (tau = 1: the mean), with the masses; the
    entropic risk by at most `-log(1 - q) / |beta|`; `F` by a factor `1 +- q`, so quantiles lie between those of the
    levels `tau / (1 +- q)`; the variance by at most `4 q D^2`.

CVaR, the entropic risk of beta > 0 and mean minus variance are concave in the convex order: the `spread` law bounds
them from below, the `contract` law from above; the variance, OCVaR and the entropic risk of beta < 0 the other way
round. For quantiles, and for policies that look at their stock, the `near` law with its shift is used.

Rounding: sums of n products `p x` with `sum p` about 1 are off by at most `(n + 8) u` times the sum of magnitudes;
NumPy's `exp`, `log`, `expm1` and `log1p` are taken to be accurate to 8 units in the last place. Both levels use this.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from mdplab.certify.case import Case
from mdplab.certify.propagation import KnownLaw, Moves, Player, propagate
from mdplab.certify.ragged import OutcomeRows, weights_of
from mdplab.certify.report import Refused
from mdplab.certify.rows import UNIT
from mdplab.models import MDP, Certificate, CVaR, EntropicRisk, OCVaR, Solution, StockMDP, check_distribution

_CAPS = (1 << 11, 1 << 13, 1 << 15)
_PARAMETERS = {
    "mean": None,
    "variance": None,
    "cvar": "level",
    "ocvar": "level",
    "quantile": "level",
    "entropic": "beta",
    "mean-variance": "weight",
}
# Lower bound by this law, upper bound by that one.
_ORDER = {"cvar": ("spread", "contract"), "mean-variance": ("spread", "contract"), "mean": ("contract", "contract")}
_ORDER |= {"ocvar": ("contract", "spread"), "variance": ("contract", "spread")}


def policy_statistic(case: Case, problem: MDP | StockMDP) -> float:
    """`lo <=` the statistic of the policy's return `<= hi`; returns the gap."""
    name = str(case.data.get("statistic"))
    parameter = case.number("parameter") if _PARAMETERS.get(name) else None
    start = _start_of(problem, None)
    lo, hi = case.number("lo"), case.number("hi")
    value = np.asarray(case.solution.value, dtype=np.float64)
    if value.size != 1 or value.ndim > 1 or not lo <= float(value.ravel()[0]) <= hi:
        raise Refused(f"value has shape {value.shape} or is outside [{lo:.9g}, {hi:.9g}]")
    rows = OutcomeRows.of(problem)
    weights, horizon = _markov(case)
    for cap in _CAPS:
        ends = _enclosed(rows, start, weights, horizon, name, parameter, (hi - lo) / 8, cap)
        if lo <= ends[0] and ends[1] <= hi:
            case.about.append(f"{name} from the problem's start; enclosed in [{ends[0]:.9g}, {ends[1]:.9g}]")
            return case.claims_gap(float(np.nextafter(hi - lo, np.inf)))
        if ends[1] < lo or ends[0] > hi:
            break
    raise Refused(f"[{lo:.12g}, {hi:.12g}] does not hold the referee's enclosure [{ends[0]:.12g}, {ends[1]:.12g}]")


def enclose_statistic(
    problem: MDP | StockMDP,
    policy: Any,
    objective: Any,
    *,
    tol: float = 1e-6,
    start: Any = None,
    parameter: float | None = None,
) -> tuple[float, float]:
    """Bounds of a statistic of a policy's return, from the problem and the policy alone: no simulation, no solver.

    Parameters
    ----------
    problem : MDP or StockMDP
        gamma < 1, a finite horizon, or a policy that terminates for sure. Of a StockMDP its outcomes are used.
    policy : array
        `(S,)` actions or `(S, A)` weights; over a horizon H also with a leading axis H.
    objective : str, CVaR, OCVaR or EntropicRisk
        `"mean"`, `"variance"`, `"cvar"`, `"ocvar"`, `"quantile"`, `"entropic"`, `"mean-variance"`, the last five with
        `parameter` (tau, tau, level, beta, weight of the variance) or as in `"cvar:0.1"`.
    tol : float > 0
        Width asked for; what is returned holds in any case, and is as narrow as the largest number of atoms allows.
    start : int or array (S,), optional
        First state or its distribution; the problem's by default.

    Returns
    -------
    lo, hi : float
        The statistic lies between them, rounding included.

    Raises
    ------
    ValueError
        Unknown statistic, parameter out of range, no start, or no policy of the problem.

    Source
    ------
    Convex order and its closure under mixtures and sums of independent variables: Shaked and Shanthikumar (2007),
    theorems 3.A.12 and 3.A.36 for risk measures.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> coin = MDP([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], [[0.0], [1.0], [-1.0]], 0.5)
    >>> lo, hi = enclose_statistic(coin, [0, 0, 0], "cvar:0.75", start=0)
    >>> lo <= -1 / 3 <= hi, hi - lo < 1e-6
    (True, True)
    """
    if isinstance(objective, CVaR | OCVaR | EntropicRisk):
        parameter = objective.beta if isinstance(objective, EntropicRisk) else objective.tau
        objective = objective.name.partition(":")[0]
    name, _, rest = str(objective).partition(":")
    if name not in _PARAMETERS:
        raise ValueError(f"objective is {objective!r}; expected one of {sorted(_PARAMETERS)}")
    if rest:
        parameter = float(rest)
    if (parameter is None) is not (_PARAMETERS[name] is None):
        raise ValueError(f"parameter is {parameter!r}; {name} takes {_PARAMETERS[name] or 'none'}")
    if not 0 < tol < np.inf:
        raise ValueError(f"tol is {tol!r}; expected a positive number")
    answer = Solution([0.0], policy, Certificate("policy-statistic", np.inf), "given", 0, 0.0)
    mdp = problem.mdp if isinstance(problem, StockMDP) else problem
    try:
        case = Case(mdp, answer, "float")
        law = _start_of(problem, start)
        rows, (weights, horizon) = OutcomeRows.of(problem), _markov(case)
        best = (-np.inf, np.inf)
        for cap in _CAPS:
            ends = _enclosed(rows, law, weights, horizon, name, parameter, tol / 8, cap)
            best = max(best[0], ends[0]), min(best[1], ends[1])
            if best[1] - best[0] <= tol:
                break
    except Refused as refusal:
        raise ValueError(str(refusal)) from None
    return best


def _start_of(problem: MDP | StockMDP, start: Any) -> np.ndarray:
    """The first state's distribution (S,)."""
    mdp = problem.mdp if isinstance(problem, StockMDP) else problem
    if start is None:
        start = problem.start if isinstance(problem, StockMDP) else problem.mu
    if start is None:
        raise Refused("the problem has no start")
    if np.ndim(start) == 0:
        if int(start) != start or not 0 <= start < mdp.S:
            raise Refused(f"start is {start!r}; expected a state below {mdp.S} or a distribution")
        return (np.arange(mdp.S) == int(start)).astype(np.float64)
    return check_distribution("start", start, mdp.S)


def _markov(case: Case) -> tuple[Callable[[int], np.ndarray], int | None]:
    """Weights (S, A) of each stage, and the horizon."""
    mdp = case.mdp
    policy = np.asarray(case.solution.policy)
    if mdp.horizon is None:
        weights = weights_of(case.policy(), mdp.A)
        if mdp.gamma == 1:
            case.about.append("until termination")
        return (lambda t: weights), None
    stationary = policy.shape in ((mdp.S,), (mdp.S, mdp.A)) and not (
        policy.ndim == 2 and np.issubdtype(policy.dtype, np.integer)
    )
    if stationary:
        weights = weights_of(case.policy(), mdp.A)
        return (lambda t: weights), mdp.horizon
    staged = weights_of(case.policy(stages=mdp.horizon), mdp.A)
    return (lambda t: staged[t]), mdp.horizon


def _enclosed(
    rows: OutcomeRows,
    start: np.ndarray,
    weights: Callable[[int], np.ndarray],
    horizon: int | None,
    name: str,
    parameter: float | None,
    cut: float,
    cap: int,
) -> tuple[float, float]:
    if name not in _PARAMETERS:
        raise Refused(f"unknown statistic {name!r}; the referee knows {sorted(_PARAMETERS)}")
    kind = _PARAMETERS[name]
    if kind == "level" and not 0 < parameter <= 1:
        raise Refused(f"the level is {parameter!r}; it must be in (0, 1]")
    if kind == "beta" and (parameter == 0 or not np.isfinite(parameter)):
        raise Refused(f"beta is {parameter!r}; it must be finite and not 0")
    if kind == "weight" and not 0 <= parameter < np.inf:
        raise Refused(f"the weight is {parameter!r}; it must be at least 0")
    if name == "quantile":
        modes = ("near", "near")
    elif name == "entropic":
        modes = ("spread", "contract") if parameter > 0 else ("contract", "spread")
    else:
        modes = _ORDER[name]
    player = _markov_player(rows, weights, horizon)
    # A horizon is never cut; a cut of nothing would never come.
    room = max(cut, 1e-13 * (1 + float(np.abs(rows.outcomes.reward).max())))
    law = {m: propagate(rows, start, player, horizon=horizon, mode=m, cap=cap, cut=room) for m in dict.fromkeys(modes)}
    return bounds_of(law[modes[0]], name, parameter)[0], bounds_of(law[modes[1]], name, parameter)[1]


def _markov_player(rows: OutcomeRows, weights: Callable[[int], np.ndarray], horizon: int | None) -> Player:
    known: dict[int, Moves] = {}

    def moves(t: int) -> Moves:
        key = id(weights(t)) if horizon is None else t
        if key not in known:
            known.clear()
            known[key] = Moves.of_policy(rows, weights(t))
        return known[key]

    return Player(moves, lambda t, s, k, y: s, lambda t, k, r, y: k)


def bounds_of(law: KnownLaw, name: str, parameter: float | None) -> tuple[float, float]:
    """Bounds of the statistic of every law that is as near to `law` as it says."""
    x, p, e, q = law.x, law.p, law.shift, law.slip
    n, spread = len(x), float(law.x[-1] - law.x[0])
    if law.lost > 0:
        spread = max(spread, 2 * law.reach)
    size = float(np.abs(x).max())
    # Relative error of a mass, and of any sum of products with them.
    q = q + (n + 8) * UNIT + law.lost
    if not q < 0.1:
        return -np.inf, np.inf
    if name == "quantile":
        levels = np.cumsum(p)
        last = n - 1
        low = x[min(int(np.searchsorted(levels * (1 + 2 * q) + law.lost, parameter)), last)]
        high = x[min(int(np.searchsorted(levels * (1 - 2 * q) - law.lost, parameter)), last)]
        if law.lost > 0:
            # Levels that close to 0 and 1 may belong to what was lost.
            low = -law.reach if parameter <= law.lost else low
            high = law.reach if parameter > levels[-1] * (1 - 2 * q) - law.lost else high
        return _outward(float(low) - e, float(high) + e, size)
    if name == "entropic":
        out = law.lost * np.exp(min(abs(parameter) * spread, 700.0)) if abs(parameter) * spread < 700 else np.inf
        return _entropic(x, p, parameter, e, q, size, out if law.lost > 0 else 0.0)
    mean = float(x[0] + p @ (x - x[0]))
    if name in ("variance", "mean-variance"):
        m = mean
        square = float(p @ (x - m) ** 2)
        slack = 8 * q * spread**2
        # The variance about a mean that is off by d is too large by d^2.
        low = max(0.0, np.sqrt(max(0.0, square - slack)) - e) ** 2
        high = (np.sqrt(square + slack) + e) ** 2
        if name == "variance":
            return max(0.0, low * (1 - 16 * UNIT)), high * (1 + 16 * UNIT)
        off = e + 4 * q * spread
        return _outward(
            mean - off - parameter * high * (1 + 16 * UNIT),
            mean + off - parameter * low * (1 - 16 * UNIT),
            size + parameter * high,
        )
    if name == "mean":
        return _outward(mean - e - 4 * q * spread, mean + e + 4 * q * spread, size)
    if name == "ocvar":
        low, high = _tail(-x[::-1], p[::-1], parameter)
        low, high = -high, -low
    else:
        low, high = _tail(x, p, parameter)
    off = e + 8 * q * spread / parameter
    return _outward(low - off, high + off, size)


def _tail(x: np.ndarray, p: np.ndarray, tau: float) -> tuple[float, float]:
    """The CVaR of sorted atoms, twice: masses are taken from below until tau."""
    taken = np.diff(np.minimum(np.cumsum(p), tau), prepend=0.0)
    taken[-1] += max(0.0, tau - taken.sum())
    out = float(x[0] + taken @ (x - x[0]) / tau)
    return out, out


def _entropic(
    x: np.ndarray, p: np.ndarray, beta: float, e: float, q: float, size: float, out: float
) -> tuple[float, float]:
    anchor = x[0] if beta > 0 else x[-1]
    z = -beta * (x - anchor)
    # exp of z <= 0, off by 8 units and by that of z.
    small = p * np.expm1(z)
    lost = float(small.sum())
    off_lost = (q + 32 * UNIT) * float(np.abs(small).sum()) + 4 * UNIT * float(p @ (np.abs(z) * np.exp(z)))
    off_lost += out
    whole = float(p @ np.exp(z))
    off_whole = (q + 32 * UNIT) * whole + 4 * UNIT * float(p @ (np.abs(z) * np.exp(z)))
    off_whole += out
    ends = []
    for sign in (-1, 1):
        candidates = []
        if whole - off_whole > 0:
            candidates.append(np.log(whole + sign * off_whole) + sign * 32 * UNIT * (1 + abs(np.log(whole))))
        if 1 + lost - off_lost > 0:
            got = np.log1p(lost + sign * off_lost)
            candidates.append(got + sign * 32 * UNIT * abs(got))
        if not candidates:
            return -np.inf, np.inf
        ends.append(min(candidates) if sign > 0 else max(candidates))
    values = sorted(-end / beta for end in ends)
    room = 16 * UNIT * (abs(values[0]) + abs(values[1]))
    return _outward(float(anchor) + values[0] - e - room, float(anchor) + values[1] + e + room, size)


def _outward(low: float, high: float, size: float) -> tuple[float, float]:
    room = 32 * UNIT * (size + abs(low) + abs(high)) + 2.0**-900
    return float(low - room), float(high + room)
