"""Laws of returns: true certificates are accepted, and nothing that is accepted is false."""

from fractions import Fraction

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.models import MDP, FiniteLaw
from tests.certify.laws_by_hand import answer, coin_or_safe, distance, edited, random_model, true_law


def staged(mdp, policy, gap=1e-12):
    """The true laws, rounded to floats."""
    x, p, sizes, value = [], [], [0], np.zeros((mdp.horizon + 1, mdp.S))
    for t in range(mdp.horizon + 1):
        for s in range(mdp.S):
            law = true_law(mdp, policy, s, t)
            atoms = sorted(law)
            x += [float(a) for a in atoms]
            p += [float(law[a]) for a in atoms]
            sizes.append(len(atoms))
            value[t, s] = float(sum(a * law[a] for a in atoms))
    return answer("return-laws", value, policy, gap, indptr=np.cumsum(sizes), x=np.array(x), p=np.array(p))


def is_true(mdp, policy, claim):
    """Whether all laws and means of the claim are as near to the truth as it says."""
    ptr, x, p = (claim.certificate.data[name] for name in ("indptr", "x", "p"))
    gap = Fraction(claim.certificate.gap)
    for t in range(mdp.horizon + 1):
        for s in range(mdp.S):
            part = slice(ptr[t * mdp.S + s], ptr[t * mdp.S + s + 1])
            masses = [Fraction(q) for q in p[part].tolist()]
            law = {Fraction(a): q / sum(masses) for a, q in zip(x[part].tolist(), masses)}
            truth = true_law(mdp, policy, s, t)
            mean = sum(a * q for a, q in truth.items())
            if distance(law, truth) > gap or abs(Fraction(float(claim.value[t, s])) - mean) > gap:
                return False
    return True


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng([41, 1])
    mdp = random_model(rng, gamma=0.75)
    policy = rng.integers(2, size=(3, 2))
    return mdp, policy, staged(mdp, policy)


@pytest.mark.parametrize("level", ["float", "exact"])
def test_the_laws_themselves_are_accepted(case, level):
    mdp, _, good = case
    report = check(mdp, good, level=level)
    assert report, report.reason
    assert report.gap <= good.certificate.gap


def test_nothing_false_is_accepted(case):
    mdp, policy, good = case
    rng = np.random.default_rng([41, 2])
    data, accepted = good.certificate.data, 0
    for trial in range(300):
        x, p, value, gap = (np.array(a) for a in (data["x"], data["p"], good.value, good.certificate.gap))
        size = 10.0 ** -rng.integers(1, 17)
        target = (x, p, value.reshape(-1))[trial % 3]
        target[rng.integers(len(target))] += size * rng.choice([-1, 1])
        claim = edited(good, x=x, p=p, value=value, gap=float(rng.choice([gap, size, 0.5 * size, 3 * size, 1e-15])))
        for level in ("float", "exact"):
            if check(mdp, claim, level=level):
                accepted += 1
                assert is_true(mdp, policy, claim), trial
    # The test has power only if some of them pass.
    assert accepted >= 100


def test_the_exact_residual_is_the_least_gap(case):
    mdp, policy, good = case
    claim = edited(good, x=np.array(good.certificate.data["x"]) + 0.125)
    derived = check(mdp, edited(claim, gap=100.0), level="exact").gap
    assert check(mdp, edited(claim, gap=derived), level="exact")
    assert not check(mdp, edited(claim, gap=np.nextafter(derived, 0.0)), level="exact")
    assert is_true(mdp, policy, edited(claim, gap=derived))


def stationary(gap):
    """Wins 1 or loses 1, then ends; laws of a fixed point."""
    mdp = MDP([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], [[[0.0, 1.0, -1.0]], [[0.0] * 3], [[0.0] * 3]], 0.5)
    data = {"indptr": np.array([0, 2, 3, 4]), "x": np.array([-1.0, 1.0, 0.0, 0.0]), "p": np.array([0.5, 0.5, 1, 1])}
    return mdp, answer("return-laws", np.zeros(3), [0, 0, 0], gap, **data)


def test_stationary_error_is_the_residual_over_one_minus_gamma():
    # A self-loop of reward 1: the return is 2. The law of 1 has residual 1 / 2, and is 1 = (1 / 2) / (1 - 1 / 2) away.
    mdp = MDP([[[1.0]]], [[1.0]], 0.5)
    data = {"indptr": np.array([0, 1]), "x": np.array([1.0]), "p": np.array([1.0])}
    claim = answer("return-laws", [1.0], [0], 1.0, **data)
    assert check(mdp, claim, level="exact")
    assert not check(mdp, edited(claim, gap=np.nextafter(1.0, 0)), level="exact")
    assert check(mdp, edited(claim, gap=1 + 1e-12))
    assert not check(mdp, edited(claim, gap=0.5))


def test_terminal_states_return_nothing():
    mdp, good = stationary(1e-12)
    assert check(mdp, good)
    claim = edited(good, x=np.array([-1.0, 1.0, 0.0, 0.25]), gap=0.2)
    assert "smaller" in check(mdp, claim).reason


def test_noise_of_a_stock_problem_is_read():
    from mdplab.models import functional

    problem = coin_or_safe(functional("mean"))
    data = {"indptr": np.array([0, 2, 3]), "x": np.array([0.0, 2.0, 0.0]), "p": np.array([0.5, 0.5, 1.0])}
    claim = answer("return-laws", [1.0, 0.0], [1, 0], 1e-12, **data)
    assert check(problem, claim)
    # The mean model pays 1 for sure.
    assert not check(problem.mdp, claim)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"x": np.array([1.0, -1.0, 0.0, 0.0])}, "increase"),
        ({"x": np.array([1.0, 1.0, 0.0, 0.0])}, "increase"),
        ({"x": np.array([-1.0, np.nan, 0.0, 0.0])}, "nan"),
        ({"x": np.array([-1.0, 1.0, 0.0])}, "masses"),
        ({"p": np.array([0.5, 0.4, 1.0, 1.0])}, "mass 0.9"),
        ({"p": np.array([1.5, -0.5, 1.0, 1.0])}, "positive"),
        ({"p": np.array([1.0, 0.0, 1.0, 1.0])}, "positive"),
        ({"indptr": np.array([0, 2, 2, 4])}, "no atoms"),
        ({"indptr": np.array([0, 3, 2, 4])}, "rise"),
        ({"indptr": np.array([0.0, 2.0, 3.0, 4.0])}, "integers"),
        ({"indptr": np.array([0, 2, 4])}, "law 1"),
        ({"value": np.array([0.0, 0.0])}, "value"),
        ({"value": np.array([0.0, np.nan, 0.0])}, "value"),
        ({"value": np.array([0.1, 0.0, 0.0])}, "smaller"),
        ({"policy": np.array([1, 0, 0])}, "no action"),
        ({"policy": np.array([[0.5], [1.0], [1.0]])}, "sums"),
        ({"gap": np.nan}, "smaller"),
        ({"drop": ("p",)}, "'p'"),
    ],
)
def test_refusals_have_reasons(change, word):
    mdp, good = stationary(1e-12)
    for level in ("float", "exact"):
        report = check(mdp, edited(good, **change), level=level)
        assert not report
        assert word in report.reason


def test_laws_without_stages_need_a_discount():
    mdp, good = stationary(1e-12)
    assert "gamma" in check(mdp.replace(gamma=1.0), good).reason
    assert "horizon 2" in check(mdp.replace(horizon=2), good).reason


def test_randomised_policies_mix_their_actions():
    mdp = MDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5, horizon=1)
    data = {"indptr": np.array([0, 2, 3]), "x": np.array([0.0, 1.0, 0.0]), "p": np.array([0.25, 0.75, 1.0])}
    claim = answer("return-laws", [[0.75], [0.0]], [[[0.25, 0.75]]], 1e-12, **data)
    assert check(mdp, claim)
    assert check(mdp, claim, level="exact")
    assert not check(mdp, edited(claim, policy=[[[0.75, 0.25]]]))


def test_the_last_stage_is_compared_with_nothing():
    mdp = MDP([[[1.0]]], [[1.0]], 1.0, horizon=1)
    data = {"indptr": np.array([0, 1, 2]), "x": np.array([1.5, 0.5]), "p": np.ones(2)}
    claim = answer("return-laws", [[1.5], [0.5]], [[0]], 0.4, **data)
    assert not check(mdp, claim)
    assert check(mdp, edited(claim, gap=0.5 + 1e-9))
    # An error of the stage before adds to it: the law of 2 is 1 away from the true one.
    claim = edited(claim, x=np.array([2.0, 0.5]), value=[[2.0], [0.5]], gap=0.9)
    assert not check(mdp, claim)
    assert check(mdp, edited(claim, gap=1 + 1e-9))


def test_solvers_are_accepted():
    from mdplab.exact.distributional import categorical_evaluation, return_laws

    rng = np.random.default_rng([41, 3])
    mdp = random_model(rng, S=4, gamma=0.75, horizon=None)
    for claim in (
        return_laws(mdp, [0, 1, 0, 1], horizon=4),
        categorical_evaluation(mdp, [0, 1, 0, 1], np.linspace(-4, 8, 25), tol=1e-6),
    ):
        report = check(mdp, claim)
        assert report, report.reason
    law = claim.extras["laws"][0]
    assert isinstance(law, FiniteLaw)
    assert not check(mdp, edited(claim, gap=0.9 * report.gap))
