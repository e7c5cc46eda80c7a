"""Kernels as the robust solvers store them, and sets whose bounds are far beyond any probability."""

import numpy as np
import pytest
import scipy.sparse as sp

from mdplab.certify import check, robust_polytopes
from mdplab.certify.robust_transport import Wasserstein
from mdplab.exact.robust import robust_policy_evaluation, robust_policy_iteration, robust_value_iteration
from mdplab.models import (
    MDP,
    Certificate,
    CVaRSet,
    KLBall,
    L1Ball,
    LinfBall,
    ModelSet,
    RobustMDP,
    Solution,
    WassersteinBall,
)


def ring(S, gamma=0.9):
    """Stay or go on, with reward 1 in state 0; stored sparsely."""
    P = np.zeros((S, 2, S))
    for s in range(S):
        P[s, 0, s], P[s, 1, (s + 1) % S], P[s, 1, s] = 1.0, 0.75, 0.25
    r = np.zeros((S, 2))
    r[0] = 1.0
    return MDP(sp.csr_array(P.reshape(2 * S, S)), r, gamma)


def stored(solution, kernel):
    data = {**solution.certificate.data, "kernel": kernel}
    certificate = Certificate(solution.certificate.kind, solution.certificate.gap, {}, data)
    return Solution(solution.value, solution.policy, certificate, solution.method, 1, 0.0)


@pytest.mark.parametrize("rectangularity", ["sa", "s"])
@pytest.mark.parametrize("level", ["float", "exact"])
def test_sparse_kernels_are_read(rectangularity, level):
    problem = RobustMDP(ring(4), L1Ball(0.2, rectangularity=rectangularity, support="nominal"))
    answer = robust_value_iteration(problem)
    kernel = sp.csr_array(answer.extras["kernel"].reshape(8, 4))
    report = check(problem, stored(answer, kernel), level=level)
    assert report, report.reason
    assert report.gap == check(problem, answer, level=level).gap


def test_large_sparse_models_are_certified():
    problem = RobustMDP(ring(1500), L1Ball(0.2, support="nominal"))
    answer = robust_policy_evaluation(problem, np.zeros(1500, dtype=np.int64))
    assert sp.issparse(answer.certificate.data["kernel"])
    report = check(problem, answer)
    assert report, report.reason


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda K: K[:, :3], "shape"),
        (lambda K: K[:4], "shape"),
        (lambda K: sp.csr_array(np.where(K.toarray() > 0, np.nan, 0.0)), "nan"),
        (lambda K: 2 * K, "sums to"),
        (lambda K: sp.csr_array(np.eye(8, 4) - np.eye(8, 4, 1)), "negative"),
        (lambda K: sp.csr_array(np.roll(K.toarray(), 1, axis=1)), "off the nominal support"),
        (lambda K: sp.csr_array(ring(4).P), "T hi <= hi"),
    ],
)
def test_wrong_sparse_kernels_are_refused(spoil, reason):
    problem = RobustMDP(ring(4), L1Ball(0.4, support="nominal"))
    answer = robust_value_iteration(problem)
    report = check(problem, stored(answer, spoil(sp.csr_array(answer.extras["kernel"].reshape(8, 4)))))
    assert not report
    assert reason in report.reason


@pytest.mark.parametrize("uncertainty", [CVaRSet(1e-6), LinfBall(1e6)])
def test_bounds_beyond_probabilities_do_not_magnify_rounding(uncertainty):
    rng = np.random.default_rng([8610, 1])
    mdp = MDP(rng.dirichlet(np.ones(3), (3, 2)), 100 * rng.normal(size=(3, 2)), 0.5)
    problem = RobustMDP(mdp, uncertainty)
    answer = robust_value_iteration(problem)
    report = check(problem, answer)
    assert report, report.reason


def test_what_all_successors_have_in_common_passes_by_the_doubt_of_a_row():
    # A tiny radius: relative entropy is known to about the radius itself, and values are 1e4 times their range.
    P = [[[0.73826759, 0.26173241]], [[0.18459259, 0.81540741]]]
    problem = RobustMDP(MDP(P, [[3.5e7], [4.5e6]], 0.9999), KLBall(1e-12, rectangularity="s"))
    answer = robust_policy_iteration(problem, tol=4e4)
    report = check(problem, answer)
    assert report, report.reason


def test_plans_do_not_leave_the_support():
    cost = np.array([[0.0, 5.0, 1.0], [5.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    family = Wasserstein(RobustMDP(ring(3), WassersteinBall(1.0, cost, support="nominal")))
    p, q, z = np.array([0.75, 0.25, 0.0]), np.array([0.5, 0.5, 0.0]), np.array([1.0, 0.0, np.inf])
    sources, targets, share = family._everything(p, q, z)
    assert sources.tolist() == targets.tolist() == [0, 1]
    # The program's own accuracy.
    assert np.abs(p[:2] @ share - q[:2]).max() < 1e-9


def test_an_optimiser_that_gives_up_is_no_error(monkeypatch):
    def gives_up(*_):
        raise RuntimeError("Maximum number of iterations reached.")

    P = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    problem = RobustMDP(MDP(P, [[1.0, 0.0], [0.0, 2.0]], 0.5), ModelSet([P, P[:, ::-1]], rectangularity="s"))
    answer = robust_value_iteration(problem)
    assert check(problem, answer)
    mixed = stored(answer, 0.25 * P + 0.75 * P[:, ::-1])
    monkeypatch.setattr(robust_polytopes, "nnls", gives_up)
    assert "lie outside the set" in check(problem, mixed).reason
