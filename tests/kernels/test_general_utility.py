import numpy as np

from mdplab.algorithms.policy_gradient import general_utility as estimates
from mdplab.algorithms.policy_gradient.n_vr_pg import global_schedule, n_vr_pg
from mdplab.kernels import general_utility as kernels
from mdplab.kernels.softmax import log_softmax, softmax
from mdplab.models import MDP
from mdplab.models.utility import (
    entropy_utility,
    imitation_utility,
    linear_utility,
    log_utility,
    quadratic_utility,
)


def _model(rng, S=3, A=2):
    P = rng.dirichlet(np.ones(S), (S, A))
    P[0, 0] = [0.0, 0.3, 0.7]
    return MDP(P, rng.random((S, A)), 0.7, mu=[0.0, 0.5, 0.5])


def test_utility_gradients_are_those_of_the_model():
    rng = np.random.default_rng([93, 1])
    mdp = _model(rng)
    for utility in (
        linear_utility(mdp.r),
        log_utility(mdp.r, shift=0.1),
        entropy_utility(3, 2, 0.7, floor=0.3),
        quadratic_utility(rng.standard_normal((2, 6)), [0.3, 0.4], (3, 2)),
        imitation_utility(mdp.r, rng.uniform(0.1, 1.0, (3, 2)), weight=0.5, floor=0.2),
    ):
        lam, out = rng.uniform(0.0, 1.0, (3, 2)), np.empty(6)
        clipped = kernels.utility_gradient(*estimates.utility_arguments(utility, mdp), lam.ravel(), out)
        # Sums of six terms in another order.
        np.testing.assert_allclose(out.reshape(3, 2), utility.gradient(lam), rtol=1e-13)
        below = (utility.arguments(lam) < utility.floor).sum() if utility.floor else 0
        assert clipped == below


def test_softmax_rows():
    theta = np.array([800.0, 0.0, -3.0, 1.0])
    log_pi, pi = np.empty((2, 4))
    kernels.softmax_rows(theta, 2, log_pi, pi)
    # Same formulas, another libm.
    np.testing.assert_allclose(log_pi.reshape(2, 2), log_softmax(theta.reshape(2, 2)), rtol=1e-15)
    np.testing.assert_allclose(pi.reshape(2, 2), softmax(theta.reshape(2, 2)), rtol=1e-15)


def test_trajectories_follow_the_model_and_never_the_impossible():
    rng = np.random.default_rng([93, 2])
    mdp, N, H = _model(rng), 20000, 3
    model = estimates.sampling_arguments(mdp, H)
    pi = softmax(rng.standard_normal((3, 2)))
    pairs = np.empty((N, H), dtype=np.int64)
    for row in pairs:
        kernels.trajectory(*model[:3], pi.ravel(), 2, rng, row)
    p = mdp.mu
    for t in range(H):
        expected = (p[:, None] * pi).ravel()
        counts = np.bincount(pairs[:, t], minlength=6) / N
        # Six standard errors of each of 18 frequencies: false alarm 4e-8.
        assert (np.abs(counts - expected) <= 6 * np.sqrt(expected * (1 - expected) / N)).all()
        p = np.einsum("s,sa,sat->t", p, pi, mdp.P)
    after = pairs[:, 1][pairs[:, 0] == 0] // 2
    assert not (after == 0).any() and not (pairs[:, 0] < 2).any()


def test_a_run_is_the_printed_recursion():
    """A NumPy loop of the printed formulas on the same random numbers."""
    rng = np.random.default_rng([93, 3])
    mdp, T, H = _model(rng), 60, 6
    utility = imitation_utility(mdp.r, rng.uniform(0.1, 1.0, (3, 2)), weight=0.5, floor=0.05)
    eta, step = global_schedule(T, 0.4)
    run = n_vr_pg(mdp, utility, horizon=H, eta=eta, step=step, checkpoints=np.arange(T), rng=np.random.default_rng(5))
    stream = np.random.default_rng(5).spawn(1)[0]
    model = estimates.sampling_arguments(mdp, H)
    theta = previous = np.zeros((3, 2))
    pairs, top = np.empty(H, dtype=np.int64), 0.0
    for t in range(T):
        kernels.trajectory(*model[:3], softmax(theta).ravel(), 2, stream, pairs)
        s, a = pairs // 2, pairs % 2
        tau = estimates.occupancy_estimate(s, a, 0.7, (3, 2))
        if t == 0:
            lam = tau
            r = r_old = utility.gradient(lam)
            d = estimates.pseudo_gradient(theta, s, a, r, 0.7)
        else:
            w = estimates.importance_weight(previous, theta, s, a)
            top = max(top, np.log(w))
            g = estimates.pseudo_gradient(theta, s, a, r, 0.7)
            v = g - w * estimates.pseudo_gradient(previous, s, a, r_old, 0.7)
            lam = eta[t] * tau + (1 - eta[t]) * (lam + tau * (1 - w))
            d = eta[t] * g + (1 - eta[t]) * (d + v)
            r, r_old = utility.gradient(lam), r
        for name, mine in (("theta", theta), ("occupancy", lam), ("d", d)):
            # Sixty steps of rounding, amplified by slopes of at most 1 / 0.05.
            np.testing.assert_allclose(run[name][0, t], mine, rtol=0, atol=1e-10)
        assert abs(run["log_weight"][0, t] - top) < 1e-11
        previous, theta = theta, theta + step[t] * d / np.linalg.norm(d)
