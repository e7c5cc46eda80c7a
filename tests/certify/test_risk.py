"""Exponential risk, and statistics of a given policy: true certificates are accepted, and nothing false is."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from mdplab.certify import check, enclose_statistic
from mdplab.certify.propagation import Moves, Player, propagate
from mdplab.certify.ragged import OutcomeRows
from mdplab.certify.statistics import bounds_of
from mdplab.models import MDP, CVaR, FiniteLaw, StockMDP, cvar, entropic_risk, evar, functional, mean_variance, ocvar
from tests.certify.laws_by_hand import answer, coin_or_safe, edited, random_model, true_law

LEVELS = ("float", "exact")


def law_of(mdp, policy, s=0):
    law = true_law(mdp, policy, s)
    atoms = sorted(law)
    return FiniteLaw([float(x) for x in atoms], [float(law[x]) for x in atoms])


def policies(mdp):
    """All deterministic policies by stage and state, which are enough for entropic risk."""
    shape = (mdp.horizon, mdp.S)
    for actions in itertools.product(range(mdp.A), repeat=mdp.horizon * mdp.S):
        yield np.array(actions).reshape(shape)


@pytest.fixture(scope="module")
def short():
    """A problem of two decisions, and the largest entropic risk of both states by brute force."""
    mdp = random_model(np.random.default_rng([43, 1]), gamma=0.75, horizon=2)
    return mdp


def entropic_claim(mdp, beta, margin=1e-10):
    """Backward induction by the formula, a margin a stage."""
    H, S = mdp.horizon, mdp.S
    v, policy = np.zeros((H + 1, S)), np.zeros((H, S), dtype=np.int64)
    for t in range(H - 1, -1, -1):
        b = beta * mdp.gamma**t
        q = -np.log((mdp.P * np.exp(-b * (mdp.r_next + mdp.gamma * v[t + 1]))).sum(axis=2)) / b
        policy[t], v[t] = q.argmax(axis=1), q.max(axis=1)
    room = margin * np.arange(H + 1, 0, -1)[:, None]
    return answer("entropic", v[0], policy, 3 * (H + 1) * margin, beta=beta, lo=v - room, hi=v + room)


@pytest.mark.parametrize("beta", [1e-3, 0.5, 4.0])
def test_entropic_risk_by_the_formula(short, beta):
    good = entropic_claim(short, beta)
    for level in LEVELS:
        report = check(short, good, level=level)
        assert report, report.reason
    best = max(entropic_risk(law_of(short, pi), beta) for pi in policies(short))
    assert good.certificate.data["lo"][0, 0] <= best <= good.certificate.data["hi"][0, 0]


def test_no_false_entropic_risk_is_accepted(short):
    rng, beta, accepted = np.random.default_rng([43, 2]), 0.5, 0
    good = entropic_claim(short, beta)
    best = [max(entropic_risk(law_of(short, pi, s), beta) for pi in policies(short)) for s in range(2)]
    for trial in range(200):
        parts = {n: np.array(good.certificate.data[n]) for n in ("lo", "hi")}
        policy, size, what = np.array(good.policy), 10.0 ** -rng.integers(1, 13), ("lo", "hi", "policy")[trial % 3]
        if what == "policy":
            policy[rng.integers(2), rng.integers(2)] ^= 1
        else:
            parts[what][rng.integers(3), rng.integers(2)] += size * rng.choice([-1, 1])
        claim = edited(good, **parts, policy=policy, gap=float(rng.choice([1.0, size, good.certificate.gap])))
        for level in LEVELS:
            report = check(short, claim, level=level)
            if not report:
                continue
            accepted += 1
            for s in range(2):
                # Rounding of the formulas here is below 1e-14, the smallest edit 1e-12.
                own = entropic_risk(law_of(short, policy, s), beta)
                assert parts["lo"][0, s] <= own + 1e-13
                assert best[s] <= parts["hi"][0, s] + 1e-13
                assert best[s] - own <= claim.certificate.gap + 1e-13
    assert accepted >= 40


@pytest.mark.parametrize("beta", [0.5, 1e-140])
def test_entropic_solver_on_an_infinite_horizon(beta):
    from mdplab.exact.risk import entropic_risk_dp

    mdp = random_model(np.random.default_rng([43, 3]), gamma=0.75, horizon=None)
    claim = entropic_risk_dp(mdp, beta, tol=1e-3)
    for level in LEVELS:
        report = check(mdp, claim, level=level)
        assert report, report.reason
    data = claim.certificate.data
    for name, sign, row in (("lo", 1, 0), ("lo", 1, -1), ("hi", -1, 0), ("hi", -1, -1), ("mean_lo", 1, 0)):
        table = np.array(data[name])
        table[row] += sign * 0.01
        assert not check(mdp, edited(claim, **{name: table}, gap=1.0)), (name, row)
    low = np.array(data["mean_hi"]) - 0.01
    hi = np.array(data["hi"])
    hi[-1] = np.maximum(low, data["lo"][-1])
    assert "mean_hi" in check(mdp, edited(claim, mean_hi=low, hi=hi, gap=1.0)).reason


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"beta": 0.0}, "beta"),
        ({"beta": np.nan}, "beta"),
        ({"beta": -0.5}, "beta"),
        ({"beta": 0.6}, "fails"),
        ({"lo": np.zeros((2, 2))}, "shape"),
        ({"lo": np.full((3, 2), np.nan)}, "nan"),
        ({"policy": np.zeros((3, 2), dtype=np.int64)}, "shape"),
        ({"policy": np.full((2, 2), 2)}, "action"),
        ({"value": np.array([9.0, 9.0])}, "value"),
        ({"gap": 0.0}, "smaller"),
        ({"drop": ("hi",)}, "'hi'"),
    ],
)
def test_refusals_of_entropic_risk_have_reasons(short, change, word):
    report = check(short, edited(entropic_claim(short, 0.5), **change))
    assert not report
    assert word in report.reason


def test_an_upper_bound_must_be_inductive(short):
    good = entropic_claim(short, 0.5)
    lo, hi = np.array(good.certificate.data["lo"]), np.array(good.certificate.data["hi"])
    lo[0], hi[0] = lo[0] - 0.02, hi[0] - 0.01
    for level in LEVELS:
        assert "T hi <= hi" in check(short, edited(good, lo=lo, hi=hi, value=lo[0], gap=1.0), level=level).reason


@pytest.mark.parametrize("beta", [0.7, -0.7])
def test_few_atoms_are_used_on_the_right_side(beta, monkeypatch):
    monkeypatch.setattr("mdplab.certify.statistics._CAPS", (6,))
    mdp = random_model(np.random.default_rng([43, 20]), gamma=0.75, horizon=5)
    policy = np.random.default_rng(20).integers(2, size=(5, 2))
    lo, hi = enclose_statistic(mdp, policy, "entropic", parameter=beta)
    assert lo <= entropic_risk(law_of(mdp, policy), beta) <= hi


def test_tails_of_an_end_must_be_covered(short):
    good = entropic_claim(short, 0.5)
    for name, sign in (("lo", 1), ("hi", -1)):
        table = np.array(good.certificate.data[name])
        table[-1] = sign * 1e-3
        assert "T]" in check(short, edited(good, **{name: table}, gap=1.0)).reason


@pytest.mark.parametrize("horizon", [2, None])
def test_evar_solver(horizon):
    from mdplab.exact.evar import evar_dp

    mdp = random_model(np.random.default_rng([43, 5]), gamma=0.5, horizon=horizon)
    claim = evar_dp(mdp, 0.3, tol=0.02)
    for level in LEVELS:
        report = check(mdp, claim, level=level)
        assert report, report.reason
    data = claim.certificate.data
    if horizon:
        best = max(evar(law_of(mdp, pi), 0.3) for pi in policies(mdp))
        assert abs(best - claim.value[0]) <= report.gap
        assert best - evar(law_of(mdp, claim.policy), 0.3) <= report.gap
    # Fewer risk aversions leave wider cells, and the bound follows; half a bound is not believed.
    K = len(data["betas"])
    ptr = data["stage_ptr"]
    keep = [0, K - 1] if data["best"] in (0, K - 1) else [0, int(data["best"]), K - 1]
    blocks = [data["hi"][ptr[k] : ptr[k + 1]] for k in keep]
    few = {"betas": data["betas"][keep], "hi": np.concatenate(blocks), "best": keep.index(int(data["best"]))}
    few["stage_ptr"] = np.cumsum([0, *map(len, blocks)])
    assert "smaller" in check(mdp, edited(claim, **few)).reason
    assert check(mdp, edited(claim, **few, gap=10.0)).gap > report.gap
    if horizon:
        mean = np.array(data["mean_hi"])
        mean[0] -= 0.5
        assert "mean_hi" in check(mdp, edited(claim, mean_hi=mean, gap=99.0)).reason
    for change in (
        {"level": 0.2},
        {"level": 0.0},
        {"level": 1.5, "gap": 99.0},
        {"start": np.array([0.5, 0.6])},
        {"start": np.eye(2)[1], "gap": 1e-6},
        {"betas": data["betas"][::-1].copy()},
        {"hi": data["hi"] - 0.1},
        {"lo": data["lo"] + 0.1},
        {"mean_hi": data["mean_hi"] - 0.5},
        {"stage_ptr": ptr + 1},
        {"best": K},
        {"value": claim.value + 0.1},
        {"gap": 0.5 * report.gap},
    ):
        assert not check(mdp, edited(claim, **change)), change.keys()


STATISTICS = {
    "mean": (None, lambda law, _: law.mean),
    "variance": (None, lambda law, _: law.variance),
    "cvar": (0.3, cvar),
    "ocvar": (0.3, ocvar),
    "quantile": (0.3, lambda law, tau: law.quantile(tau)),
    "entropic": (0.7, entropic_risk),
    "mean-variance": (0.2, mean_variance),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_enclosures_hold_the_statistic(name):
    parameter, truth = STATISTICS[name]
    for seed in range(4):
        mdp = random_model(np.random.default_rng([43, 10, seed]), gamma=(1.0, 0.75)[seed % 2], horizon=4)
        policy = np.random.default_rng(seed).integers(2, size=(4, 2))
        lo, hi = enclose_statistic(mdp, policy, name, parameter=parameter)
        value = truth(law_of(mdp, policy), parameter)
        # The truth is rounded, too: a few units of numbers below 10.
        assert lo - 1e-13 <= value <= hi + 1e-13
        assert hi - lo < 1e-9


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("cap", [6, 24])
def test_bounds_hold_with_few_atoms(name, cap):
    """Bins are wide: spread and contraction must bracket, and say by how much means moved."""
    parameter, truth = STATISTICS[name]
    mdp = random_model(np.random.default_rng([43, 20]), gamma=0.75, horizon=5)
    policy = np.random.default_rng(20).integers(2, size=(5, 2))
    value = truth(law_of(mdp, policy), parameter)
    rows, known = OutcomeRows.of(mdp), {}
    player = Player(lambda t: Moves.of_policy(rows, np.eye(2)[policy[t]]), lambda t, s, k, y: s, lambda t, k, r, y: k)
    for mode in ("near", "spread", "contract"):
        known[mode] = propagate(rows, np.eye(2)[0], player, horizon=5, mode=mode, cap=cap, cut=0.0)
        assert len(known[mode].x) <= 8 * cap
    lo, hi = bounds_of(known["near"], name, parameter)
    assert lo <= value <= hi
    if name in ("cvar", "mean-variance", "entropic"):
        assert (
            bounds_of(known["spread"], name, parameter)[0] <= value <= bounds_of(known["contract"], name, parameter)[1]
        )
    if name in ("ocvar", "variance"):
        assert (
            bounds_of(known["contract"], name, parameter)[0] <= value <= bounds_of(known["spread"], name, parameter)[1]
        )
    if name == "mean":
        assert np.ptp(bounds_of(known["contract"], name, None)) < 1e-12  # means of bins are kept but for rounding


def test_infinite_horizons_are_cut_with_an_account():
    mdp = MDP([[[1.0]]], [[1.0]], 0.5, mu=[1.0])
    for name, value in (("mean", 2.0), ("cvar:0.5", 2.0), ("variance", 0.0)):
        lo, hi = enclose_statistic(mdp, [0], name, tol=1e-6)
        assert lo <= value <= hi <= lo + 1e-6
    rng = np.random.default_rng([43, 30])
    mdp = random_model(rng, S=3, gamma=0.75, horizon=None)
    P, r = mdp.P.mean(axis=1), (mdp.P * mdp.r_next).sum(axis=2).mean(axis=1)
    lo, hi = enclose_statistic(mdp, np.full((3, 2), 0.5), "mean", tol=1e-3)
    assert lo <= np.linalg.solve(np.eye(3) - 0.75 * P, r)[0] <= hi <= lo + 1e-3


def test_a_policy_that_never_ends_is_refused():
    mdp = MDP([[[1.0, 0.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 1.0)
    with pytest.raises(ValueError, match="terminated"):
        enclose_statistic(mdp, [0, 0], "mean", start=0)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"objective": "median"}, "objective"),
        ({"objective": "cvar"}, "parameter"),
        ({"objective": "mean", "parameter": 1.0}, "parameter"),
        ({"objective": "cvar:0"}, "level"),
        ({"objective": "cvar:1.5"}, "level"),
        ({"objective": "entropic:0"}, "beta"),
        ({"objective": "mean", "tol": 0.0}, "tol"),
        ({"objective": "mean", "start": 7}, "start"),
        ({"objective": "mean", "policy": [5, 0]}, "action"),
    ],
)
def test_bad_arguments_are_named(arguments, word):
    problem = coin_or_safe(functional("mean"))
    policy = arguments.pop("policy", [0, 0])
    with pytest.raises(ValueError, match=word):
        enclose_statistic(problem, policy, **arguments)


def test_certificates_of_statistics():
    problem = coin_or_safe(CVaR(0.25))
    lo, hi = enclose_statistic(problem, [1, 0], CVaR(0.75))
    assert lo <= 2 / 3 <= hi
    good = answer(
        "policy-statistic", [(lo + hi) / 2], [1, 0], 2 * (hi - lo), statistic="cvar", parameter=0.75, lo=lo, hi=hi
    )
    for level in LEVELS:
        report = check(problem, good, level=level)
        assert report, report.reason
    for change in (
        {"hi": 0.6},
        {"lo": 0.7},
        {"parameter": 0.5},
        {"statistic": "ocvar"},
        {"statistic": "nothing"},
        {"policy": [0, 0]},
        {"policy": [9, 0]},
        {"value": [2.0]},
        {"gap": 1e-18},
        {"drop": ("parameter",)},
    ):
        assert not check(problem, edited(good, **change)), change
    assert Fraction(lo) < Fraction(hi)
    assert not check(StockMDP(problem.mdp, functional("mean")), good)
