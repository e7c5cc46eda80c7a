"""A decision turns p-values and guards into an outcome, in one order."""

import numpy as np
import pytest

from mdplab.claims.decision import REASONS, Decision


@pytest.mark.parametrize(
    ("p_refute", "p_accept", "withhold_refute", "withhold_accept", "outcome", "reason"),
    [
        (0.001, 0.9, "", "", "refuted", ""),
        (0.001, 0.001, "", "", "refuted", ""),
        (0.001, 0.001, "", "decelerating", "refuted", ""),
        (0.9, 0.01, "", "", "accepted", ""),
        (0.02, 0.01, "pre-asymptotic", "", "accepted", ""),
        (0.001, 0.9, "pre-asymptotic", "", "undecided", "pre-asymptotic"),
        (0.001, 0.001, "pre-asymptotic", "", "undecided", "pre-asymptotic"),
        (0.9, 0.01, "", "decelerating", "undecided", "decelerating"),
        (0.9, 0.06, "", "decelerating", "undecided", "underpowered"),
        (0.5, 0.5, "", "", "undecided", "underpowered"),
    ],
)
def test_guards_withhold_and_a_refutation_has_precedence(
    p_refute, p_accept, withhold_refute, withhold_accept, outcome, reason
):
    decision = Decision("RATE-G1", False, p_refute, p_accept, withhold_refute, withhold_accept)
    assert (decision.outcome(0.01, 0.05), decision.reason(0.01, 0.05)) == (outcome, reason)


def test_deterministic_decisions_ignore_the_levels():
    assert Decision("BOUND-D", True, 0.0, 1.0).outcome(1e-300, 1e-300) == "refuted"
    assert Decision("BOUND-D", True, 1.0, 0.0).outcome(1e-300, 1e-300) == "accepted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(p_refute=float("nan"), p_accept=1.0), "p_refute is nan"),
        (dict(p_refute=1.0, p_accept=1.5), "p_accept is 1.5"),
        (dict(p_refute=1.0, p_accept=1.0, withhold_accept="tired"), "withhold_accept is 'tired'"),
        (dict(p_refute=1.0, p_accept=1.0, undecided=""), "undecided is ''"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Decision("RATE-G1", False, **arguments)


def test_a_decision_is_frozen():
    decision = Decision("RATE-G1", False, np.float64(0.5), 1, statistics={"exponent": 0.5})
    assert type(decision.p_refute) is float
    with pytest.raises(TypeError):
        decision.statistics["exponent"] = 1.0
    with pytest.raises(AttributeError):
        decision.p_refute = 0.0
    assert len(set(REASONS)) == len(REASONS)
