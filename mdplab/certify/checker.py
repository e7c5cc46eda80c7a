"""The referee's entry: from a problem and an answer alone, is the answer's error bound true?"""

import time
from typing import Any

import numpy as np

from mdplab.certify import kinds, occupancy, return_laws, risk, robust, soft, statistics, stock
from mdplab.certify.case import Case
from mdplab.certify.games import check_game
from mdplab.certify.general_utility import check_utility
from mdplab.certify.linear import check_linear
from mdplab.certify.markov_games import check_markov_game
from mdplab.certify.performative import check_performative, regularized_occupancy
from mdplab.certify.polymatrix import check_logit
from mdplab.certify.report import CheckReport, Refused
from mdplab.models import (
    MDP,
    ConstrainedMDP,
    LinearMDP,
    MarkovGame,
    MatrixGame,
    PerformativeMDP,
    PolymatrixGame,
    PreferenceGame,
    RobustLinearMDP,
    RobustMDP,
    Solution,
    StockMDP,
    UtilityMDP,
)

LEVELS = ("float", "exact")

_KINDS = {
    "discounted": kinds.discounted,
    "evaluation": kinds.evaluation,
    "finite-horizon": kinds.finite_horizon,
    "total": kinds.total,
    "average": kinds.average,
    "soft": soft.soft,
    "occupancy": occupancy.occupancy,
    "regularized-occupancy": regularized_occupancy,
    "robust": robust.robust,
    "robust-evaluation": robust.robust_evaluation,
}
_ROBUST = ("robust", "robust-evaluation")
# Of outcomes, of an MDP or a StockMDP; and of stocks, only of the latter.
_LAWS = {
    "return-laws": return_laws.return_laws,
    "policy-statistic": statistics.policy_statistic,
    "entropic": risk.entropic,
    "evar": risk.evar,
}
_STOCKS = {"stock": stock.stock, "static-cvar": stock.static_cvar, "static-ocvar": stock.static_ocvar}
_AS_PROBABILITIES = ("total", "average", *_ROBUST, *_LAWS, *_STOCKS)


def check(
    problem: MDP | StockMDP | ConstrainedMDP | RobustMDP | MatrixGame | PreferenceGame | MarkovGame | PolymatrixGame,
    solution: Solution,
    *,
    level: str = "float",
    tau: float | None = None,
    reference: Any = None,
) -> CheckReport:
    """Re-derive the certificate of an answer; `mdplab.certify` lists the conditions of each kind.

    Parameters
    ----------
    problem
        The problem that the answer should solve; never read from the answer.
    solution
        An answer with a certificate, from any source.
    level : {"float", "exact"}
        `"float"`: double precision with a proved bound of its own rounding; it may refuse what is true by less than
        that. `"exact"`: rational arithmetic without any tolerance (for kind `"soft"` and logarithmic utilities ball
        arithmetic, which needs python-flint).
    tau, reference
        For kind `"soft"` and linear problems: the temperature and the reference that the certificate must be about.
        Without them they are taken from the certificate, and `speaks_about` says so.

    Returns
    -------
    CheckReport
        True if and only if every condition was established. A certificate that is incomplete, malformed or of an
        unknown kind is refused with a reason, not raised.

    Raises
    ------
    ValueError
        Unknown `level`, or a problem or answer of another type.

    Source
    ------
    Inductive bounds: Puterman (1994), theorem 6.2.2; Hartmanns and Kaminski (2020). Rounding: Higham (2002), section
    3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from mdplab.models import MDP, Certificate, Solution
    >>> mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    >>> evidence = {"lo": np.array([1.99]), "hi": np.array([2.01])}
    >>> bool(check(mdp, Solution([2.0], [1], Certificate("discounted", 0.05, {}, evidence), "by hand", 0, 0.0)))
    True
    >>> check(mdp, Solution([2.0], [0], Certificate("discounted", 0.05, {}, evidence), "by hand", 0, 0.0)).reason
    'lo <= T_pi lo fails at state 0, action 0: slack -0.995, rounding radius 4.42e-16'
    """
    if level not in LEVELS:
        raise ValueError(f"level is {level!r}; expected one of {LEVELS}")
    if not isinstance(solution, Solution):
        raise ValueError(f"solution is a {type(solution).__name__}; expected a Solution")
    if isinstance(problem, MatrixGame | PreferenceGame):
        return check_game(problem, solution, level=level)
    if isinstance(problem, MarkovGame):
        return check_markov_game(problem, solution, level=level)
    if isinstance(problem, PerformativeMDP):
        return check_performative(problem, solution, level=level)
    if isinstance(problem, UtilityMDP):
        return check_utility(problem, solution, level=level)
    if isinstance(problem, PolymatrixGame):
        return check_logit(problem, solution, level=level)
    if isinstance(problem, LinearMDP | RobustLinearMDP):
        return check_linear(problem, solution, level=level, tau=tau, reference=reference)
    if not isinstance(problem, MDP | StockMDP | ConstrainedMDP | RobustMDP):
        expected = "an MDP, a StockMDP, a ConstrainedMDP, a RobustMDP, a PerformativeMDP, a UtilityMDP or a game"
        raise ValueError(f"problem is a {type(problem).__name__}; expected {expected}")
    start = time.perf_counter()
    kind = str(solution.certificate.kind)
    hostile = isinstance(problem, RobustMDP)
    mdp = problem if isinstance(problem, MDP) else problem.nominal if hostile else problem.mdp
    case = Case(mdp, solution, level)
    gap, reason = float("inf"), ""
    try:
        if kind not in _KINDS | _LAWS | _STOCKS:
            raise Refused(f"unknown kind {kind!r}; the referee knows {sorted(_KINDS | _LAWS | _STOCKS)}")
        if kind != "occupancy" and isinstance(problem, ConstrainedMDP):
            raise Refused(f"kind {kind!r} says nothing about limits on costs; a ConstrainedMDP needs 'occupancy'")
        if (kind in _ROBUST) is not hostile:
            raise Refused(f"kind {kind!r} says nothing about {'a robust' if hostile else 'this'} problem")
        if isinstance(problem, StockMDP) and kind in _KINDS:
            raise Refused(f"kind {kind!r} says nothing about a StockMDP")
        if kind in _STOCKS and not isinstance(problem, StockMDP):
            raise Refused(f"kind {kind!r} says nothing about a {type(problem).__name__}")
        # An overflow in floats leaves an infinite radius or raises; a warning would say nothing more.
        with np.errstate(over="ignore", invalid="ignore"):
            if kind == "soft":
                gap = soft.soft(case, tau, reference)
            elif kind == "occupancy":
                gap = occupancy.occupancy(case, problem)
            elif hostile:
                gap = _KINDS[kind](case, problem)
            elif kind not in _KINDS:
                gap = (_LAWS | _STOCKS)[kind](case, problem)
            else:
                gap = _KINDS[kind](case)
    except Refused as refusal:
        reason = str(refusal)
    except (OverflowError, ValueError) as overflow:
        reason = f"a sum is beyond the range of floats: {overflow}"
    rows = "rows divided by their sums" if kind in _AS_PROBABILITIES else "rows as stored"
    about = "; ".join([f"the stored floats, {rows}", *case.about])
    return CheckReport(not reason, kind, level, gap, reason, about, time.perf_counter() - start)
