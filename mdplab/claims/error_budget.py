"""One family-wise error budget over a run: refutations share alpha, acceptances share beta.

Deterministic claims are outside both families: a witness spends no error probability. Falsifiers and controls are
tested one by one at the same levels, because they gate a check and are no statements about the theory.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mdplab.claims.decision import ACCEPT_LEVEL, REFUTE_LEVEL, Decision
from mdplab.claims.rules.checks import numbers, raise_first


def _p_values(p: np.ndarray) -> np.ndarray:
    p = numbers("p", p, (1,))
    raise_first("p", p, (p < 0) | (p > 1), "in [0, 1]")
    return p


def _e_values(e: np.ndarray) -> np.ndarray:
    e = np.asarray(e, dtype=np.float64)
    if e.ndim != 1 or e.size == 0:
        raise ValueError(f"e has shape {e.shape}; expected one axis, not empty")
    raise_first("e", e, np.isnan(e) | (e < 0), "at least 0")
    return e


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values: reject those at most alpha, and P(any false rejection) <= alpha, in any dependence.

    Parameters
    ----------
    p
        `(m,)` in [0, 1].

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    p = _p_values(p)
    order = np.argsort(p, kind="stable")
    out = np.empty_like(p)
    out[order] = np.minimum(np.maximum.accumulate(p[order] * (p.size - np.arange(p.size))), 1.0)
    return out


def e_bonferroni(e: np.ndarray) -> np.ndarray:
    """Adjusted e-values `e / m`: reject those of at least 1 / alpha, each e-value being at its own stopping time.

    Examples
    --------
    >>> e_bonferroni(np.array([300.0, 30.0, 3.0])).tolist()
    [100.0, 10.0, 1.0]
    """
    e = _e_values(e)
    return e / e.size


def e_holm(e: np.ndarray) -> np.ndarray:
    """Closed testing with averages of e-values: reject adjusted values of at least 1 / alpha.

    The average over any set of true nulls is an e-value whatever their dependence, if each is taken at its own
    stopping time (a running maximum is no e-value). The adjusted value of a claim is its smallest average over all
    sets that contain it; the worst set adds the smallest others, one by one.

    Source
    ------
    Vovk and Wang 2021, E-values: calibration, combination and applications, section 6 (adjusted e-values).

    Examples
    --------
    >>> e_holm(np.array([300.0, 200.0, 1.0])).round(2).tolist()
    [150.5, 100.5, 1.0]
    """
    e = _e_values(e)
    order = np.argsort(e, kind="stable")
    sorted_e = e[order]
    out = np.empty_like(e)
    for rank, place in enumerate(order):
        below = np.concatenate([[0.0], np.cumsum(sorted_e[:rank])])
        out[place] = float(((sorted_e[rank] + below) / np.arange(1, rank + 2)).min())
    return out


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a claim's decision amounts to within its suite.

    Parameters
    ----------
    outcome
        `"refuted"`, `"accepted"` or `"undecided"`.
    reason
        Why it is undecided, one of `mdplab.claims.decision.REASONS`; empty otherwise.
    adjusted_refute, adjusted_accept
        Family-wise adjusted p-values; those of a deterministic decision are its own 0 or 1.
    """

    outcome: str
    reason: str
    adjusted_refute: float
    adjusted_accept: float


def _adjusted(decisions: list[Decision], side: str) -> np.ndarray:
    e_values = [getattr(decision, f"e_{side}") for decision in decisions]
    if all(e is not None for e in e_values):
        # A closed test over e-values alone rejects whatever Bonferroni on them would, and often more.
        return np.minimum(1 / np.maximum(e_holm(np.array(e_values)), 1.0), 1.0)
    return holm(np.array([getattr(decision, f"p_{side}") for decision in decisions]))


def rule_on(
    decisions: Mapping[str, Decision], *, alpha: float = REFUTE_LEVEL, beta: float = ACCEPT_LEVEL
) -> dict[str, Ruling]:
    """Spend one budget on all decisions of a run.

    Parameters
    ----------
    decisions
        By claim.
    alpha, beta
        Family-wise levels of the refutations and of the acceptances.

    Returns
    -------
    A ruling per claim. The statistical claims form one family on each side: Holm on p-values, to which sequential
    rules contribute their anytime-valid ones, or e-Holm where all of the family are sequential. Withheld sides stay
    in the family, which is conservative.

    Examples
    --------
    >>> d = {name: Decision("RATE-G1", False, p, 1.0) for name, p in [("a", 0.006), ("b", 0.004)]}
    >>> [ruling.outcome for ruling in rule_on(d).values()]
    ['refuted', 'refuted']
    >>> [ruling.outcome for ruling in rule_on({**d, "c": Decision("RATE-G1", False, 1.0, 1.0)}).values()]
    ['undecided', 'undecided', 'undecided']
    """
    statistical = [name for name, decision in decisions.items() if not decision.deterministic]
    adjusted = {name: (decision.p_refute, decision.p_accept) for name, decision in decisions.items()}
    if statistical:
        family = [decisions[name] for name in statistical]
        adjusted |= dict(zip(statistical, zip(_adjusted(family, "refute"), _adjusted(family, "accept"))))
    out = {}
    for name, decision in decisions.items():
        refute, accept = (float(p) for p in adjusted[name])
        inside = Decision(
            decision.rule,
            decision.deterministic,
            refute,
            accept,
            decision.withhold_refute,
            decision.withhold_accept,
            undecided=decision.undecided,
        )
        out[name] = Ruling(inside.outcome(alpha, beta), inside.reason(alpha, beta), refute, accept)
    return out
