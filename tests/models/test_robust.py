"""RobustMDP and its sets: what is accepted and kept, and what is refused with which words."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from mdplab.models import (
    MDP,
    BurgBall,
    Chi2Ball,
    Contamination,
    CVaRSet,
    IntervalSet,
    KLBall,
    L1Ball,
    L2Ball,
    LinfBall,
    ModelSet,
    NoiseSet,
    RobustMDP,
    SoftChi2,
    SoftKL,
    SoftTV,
    TVBall,
    WassersteinBall,
    WeightedL1Ball,
)
from mdplab.models.uncertainty import SETS

P = np.array([[[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]] * 2])
NOMINAL = MDP(P, np.zeros((3, 2)), 0.9)
BALLS = [L1Ball, TVBall, LinfBall, L2Ball, KLBall, BurgBall, Chi2Ball, Contamination, NoiseSet]
RADII = [
    *BALLS,
    lambda x, **o: WeightedL1Ball(x, np.ones(3), **o),
    lambda x, **o: WassersteinBall(x, 1 - np.eye(3), **o),
]
PRICES = [SoftTV, SoftKL, SoftChi2]
JOINT = {"l1", "tv", "weighted_l1", "l2", "kl", "burg", "chi2", "wasserstein", "models", "noise"}
FREE = {"l1", "tv", "weighted_l1", "linf", "l2", "burg", "wasserstein", "contamination", "noise", "soft_tv"}


def refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def fitted(one, mdp=NOMINAL):
    return lambda: RobustMDP(mdp, one)


def some(name):
    """A set of the name, with its defaults."""
    if name == "interval":
        return lambda **o: IntervalSet(np.zeros((3, 2, 3)), np.ones((3, 2, 3)), **o)
    if name == "models":
        return lambda **o: ModelSet(P[None], **o)
    if name == "cvar":
        return lambda **o: CVaRSet(level=0.5, **o)
    if name.startswith("soft_"):
        return lambda **o: SETS[name](temperature=0.5, **o)
    if name == "weighted_l1":
        return lambda **o: WeightedL1Ball(0.1, np.ones(3), **o)
    if name == "wasserstein":
        return lambda **o: WassersteinBall(0.1, np.zeros((3, 3)), **o)
    return lambda **o: SETS[name](0.1, **o)


@pytest.mark.parametrize("name", SETS)
def test_each_set_has_the_rectangularities_and_supports_it_should(name):
    make = some(name)
    assert make().name == name and make().rectangularity == "sa"
    assert make().support == ("all" if name in FREE | {"interval", "models"} else "nominal")
    owner = type(make()).__name__
    if name in JOINT:
        assert make(rectangularity="s").rectangularity == "s"
    else:
        refused(lambda: make(rectangularity="s"), f"rectangularity is 's'; for {owner} it is 'sa'")
    if name in FREE:
        assert make(support="nominal").support == "nominal" and make(support="all").support == "all"
    else:
        other = "nominal" if name in ("interval", "models") else "all"
        refused(lambda: make(support=other), f"support is {other!r}; for {owner} it is")
    refused(lambda: make(rectangularity="as"), "rectangularity is 'as'")
    refused(lambda: make(support="none"), "support is 'none'")


@pytest.mark.parametrize("make", RADII)
def test_radii(make):
    assert make(0.0).radius == 0
    refused(lambda: make(-0.1), "radius is -0.1; expected")
    refused(lambda: make([0.1, -1e-300, 0.1]), "radius[1] is -1e-300; expected")
    refused(lambda: make(np.nan), "radius is nan; expected")
    refused(lambda: make([[0.1, 0.2], [np.inf, 0.1], [0.1, 0.1]]), "radius[1, 0] is inf; expected")
    refused(lambda: make("wide"), "radius is 'wide'; expected a number or an array of numbers")
    kept = make([0.1, 0.2, 0.3])
    assert not kept.radius.flags.writeable


@pytest.mark.parametrize("make", PRICES)
def test_temperatures(make):
    assert make(temperature=0.5).temperature == 0.5
    for value in (0.0, -1.0, np.inf, np.nan):
        refused(lambda value=value: make(temperature=value), f"temperature is {value:g}; expected finite and above 0")
    refused(lambda: make(temperature=[1.0, 0.0, 1.0]), "temperature[1] is 0; expected finite and above 0")


def test_levels_and_shares():
    assert CVaRSet(level=1.0).level == 1
    for value in (0.0, 1.5, np.nan):
        refused(lambda value=value: CVaRSet(level=value), f"level is {value:g}; expected at most 1 and above 0")
    refused(lambda: Contamination(1.1), "radius is 1.1; expected at most 1 and at least 0")
    for order in (0, 3, -1, "2"):
        refused(lambda order=order: NoiseSet(0.1, order=order), f"order is {order!r}; expected 1, 2 or inf")


def test_sizes_of_rows_and_states():
    by_row = np.arange(6.0).reshape(3, 2) / 10
    assert_array_equal(L1Ball(0.1).radii(3, 2), np.full((3, 2), 0.1))
    assert_array_equal(L1Ball([0.1, 0.2, 0.3]).radii(3, 2), [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])
    assert_array_equal(L1Ball(by_row).radii(3, 2), by_row)
    assert_array_equal(L1Ball([0.1, 0.2, 0.3], rectangularity="s").radii(3, 2), [0.1, 0.2, 0.3])
    assert_array_equal(CVaRSet(level=by_row + 0.1).radii(3, 2), by_row + 0.1)
    refused(fitted(L1Ball([0.1, 0.2])), "radius has shape (2,); expected a number or (3,) or (3, 2) for S=3, A=2")
    refused(
        fitted(L1Ball(by_row, rectangularity="s")), "radius has shape (3, 2); expected a number or (3,) for S=3, A=2"
    )
    refused(fitted(L1Ball(np.ones((2, 3)))), "radius has shape (2, 3); expected")
    refused(fitted(CVaRSet(level=[0.1, 0.2])), "level has shape (2,); expected")
    refused(fitted(SoftKL(temperature=np.ones((2, 3)))), "temperature has shape (2, 3); expected")


def test_weights():
    refused(lambda: WeightedL1Ball(0.1, [1.0, 0.0, 1.0]), "weights[1] is 0; expected finite and above 0")
    refused(lambda: WeightedL1Ball(0.1, [1.0, np.inf, 1.0]), "weights[1] is inf; expected finite and above 0")
    for shape in ((2,), (3, 2), (2, 3, 3), ()):
        one = WeightedL1Ball(0.1, np.ones(shape))
        refused(fitted(one), f"weights has shape {shape}; expected (3,) or (3, 2, 3)")
    assert RobustMDP(NOMINAL, WeightedL1Ball(0.1, np.ones((3, 2, 3)), rectangularity="s")).S == 3


def test_ground_costs():
    cost = 1 - np.eye(3)
    bad = cost + np.diag([0.0, 0.25, 0.0])
    refused(lambda: WassersteinBall(0.1, bad), "cost[1, 1] is 0.25; the diagonal is 0: to stay is free")
    refused(lambda: WassersteinBall(0.1, -cost), "cost[0, 1] is -1; expected finite and at least 0")
    refused(lambda: WassersteinBall(0.1, np.ones(3)), "cost has shape (3,); expected (S, S)")
    refused(lambda: WassersteinBall(0.1, np.zeros((2, 3))), "cost has shape (2, 3); expected (S, S)")
    refused(fitted(WassersteinBall(0.1, 1 - np.eye(2))), "cost has shape (2, 2); expected (3, 3)")
    refused(fitted(WassersteinBall([0.1, 0.1], cost)), "radius has shape (2,); expected")


def test_intervals():
    lo, hi = np.maximum(P - 0.1, 0), np.minimum(P + 0.1, 1)
    assert RobustMDP(NOMINAL, IntervalSet(lo, hi)).uncertainty.name == "interval"

    def with_entry(array, index, x):
        out = array.copy()
        out[index] = x
        return out

    refused(lambda: IntervalSet(lo - 1, hi), "lo[0, 0, 0] is -0.6; expected at most 1 and at least 0")
    refused(lambda: IntervalSet(lo, with_entry(hi, (0, 0, 1), 1.5)), "hi[0, 0, 1] is 1.5; expected at most 1")
    refused(fitted(IntervalSet(lo[0], hi)), "lo has shape (2, 3); expected (3, 2, 3)")
    refused(fitted(IntervalSet(lo, hi[..., :2])), "hi has shape (3, 2, 2); expected (3, 2, 3)")
    refused(fitted(IntervalSet(with_entry(lo, (1, 0, 2), 0.7), hi)), "lo[1, 0, 2] is 0.7, above hi there, 0.6")
    everything = np.ones((3, 2, 3))
    refused(fitted(IntervalSet(0.4 * everything, everything)), "lo[0, 0] sums to 1.2: no distribution lies between")
    refused(fitted(IntervalSet(0 * lo, 0.3 * everything)), "hi[0, 0] sums to 0.9: no distribution lies between")
    # Rows of unavailable actions are nobody's business.
    masked = MDP(P, np.zeros((3, 2)), 0.9, actions=[[True, False]] * 3)
    assert RobustMDP(masked, IntervalSet(with_entry(lo, (0, 1), 1.0), hi)).A == 2


def test_finite_sets_of_models():
    assert RobustMDP(NOMINAL, ModelSet([P, P[:, ::-1]], rectangularity="s")).uncertainty.kernels.shape == (2, 3, 2, 3)
    refused(lambda: ModelSet([P, P[:2]]), "kernels have shapes [(3, 2, 3), (2, 2, 3)]; expected K arrays of one shape")
    refused(lambda: ModelSet(P), "kernels has shape (3, 2, 3); expected (K, S, A, S) with K at least 1")
    refused(lambda: ModelSet(np.zeros((0, 3, 2, 3))), "kernels has shape (0, 3, 2, 3)")
    refused(fitted(ModelSet(np.full((1, 2, 2, 2), 0.5))), "kernels has shape (1, 2, 2, 2); expected (K, 3, 2, 3)")
    refused(fitted(ModelSet([P, 0.9 * P])), "kernels[1, 0, 0] sums to 0.9, not 1")
    bad = P.copy()
    bad[2, 1] = [-0.5, 0.5, 1.0]
    refused(fitted(ModelSet([bad])), "kernels[0, 2, 1, 0] is -0.5; probabilities are finite and at least 0")
    masked = MDP(P, np.zeros((3, 2)), 0.9, actions=[[True, True], [True, True], [True, False]])
    assert RobustMDP(masked, ModelSet([bad])).S == 3
    # An algorithm multiplies such rows by 0, which is NaN.
    bad[2, 1] = np.nan
    refused(lambda: ModelSet([P, bad]), "kernels[1, 2, 1, 0] is nan; expected finite, available or not")


@pytest.mark.parametrize(("order", "most"), [(1, 0.5), (2, np.sqrt(2 / 3)), (np.inf, 1.0)])
def test_noise_may_make_no_entry_negative(order, most):
    inner = MDP(np.full((3, 2, 3), 1 / 3), np.zeros((3, 2)), 0.9)
    # The most that one entry of three loses to noise of norm 1; one part in 1e9 on either side of the limit.
    limit = 1 / (3 * most)
    assert RobustMDP(inner, NoiseSet(limit * (1 - 1e-9), order=order)).S == 3
    refused(fitted(NoiseSet(limit * (1 + 1e-9), order=order), inner), "P[0, 0, 0] is 0.333333, and noise of radius")
    refused(fitted(NoiseSet(0.1, order=order)), "P[0, 0, 2] is 0, and noise of radius 0.1 may take")
    # Zeros do not matter where mass may not go, and a lone successor keeps all of its mass.
    assert RobustMDP(NOMINAL, NoiseSet(0.1, order=order, support="nominal")).S == 3
    refused(
        fitted(NoiseSet([0.1, 1.0, 0.1], order=order, support="nominal")), "P[1, 0, 0] is 0.25, and noise of radius 1"
    )
    refused(lambda: NoiseSet(0.1, order=np.array([1, 2])), "order is array([1, 2]); expected 1, 2 or inf")
    sparse = NOMINAL.sparse()
    assert RobustMDP(sparse, NoiseSet(0.1, order=order, support="nominal")).S == 3


def test_the_nominal_model():
    ball = L1Ball(0.1)
    refused(lambda: RobustMDP(P, ball), "nominal is a ndarray, expected an MDP")
    refused(lambda: RobustMDP(NOMINAL, 0.1), "uncertainty is a float, expected an UncertaintySet such as L1Ball(0.1)")
    end = MDP(P, np.zeros((3, 2)), 1.0)
    refused(lambda: RobustMDP(end, ball), "nominal has gamma 1 and horizon None; a robust value needs gamma < 1 and no")
    refused(lambda: RobustMDP(NOMINAL.replace(horizon=3), ball), "nominal has gamma 0.9 and horizon 3; a robust value")
    # A row that is no distribution is refused by the nominal model itself.
    refused(lambda: MDP(0.98 * P, np.zeros((3, 2)), 0.9), "P[0, 0] sums to 0.98, not 1")


def test_what_a_robust_model_says_of_itself():
    problem = RobustMDP(NOMINAL, TVBall([0.1, 0.2, 0.3], rectangularity="s", support="nominal"))
    assert (problem.S, problem.A, problem.gamma) == (3, 2, 0.9)
    text = "RobustMDP(S=3, A=2, uncertainty='tv', rectangularity='s', support='nominal', gamma=0.9)"
    assert repr(problem) == text
    assert "tv, s-rectangular, support: nominal" in problem._repr_html_()
    with pytest.raises(AttributeError):
        problem.nominal = NOMINAL


def test_sets_keep_their_own_copy():
    mine = np.array([0.1, 0.2, 0.3])
    one = L1Ball(mine)
    mine[0] = -1
    assert one.radius[0] == 0.1
