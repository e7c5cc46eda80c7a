"""EGPO and its relatives against the definitions of their updates, and against tables computed once in another way."""

import numpy as np
import pytest

from mdplab.algorithms.games.egpo import egpo, egpo_step, egpo_steps, safe_step
from mdplab.algorithms.games.mpo import mpo
from mdplab.algorithms.games.nash_md import nash_md
from mdplab.algorithms.games.nash_mp import nash_mp, nash_mp_step, proximal_step
from mdplab.algorithms.games.nash_pg import best_response_pg, nash_ema_pg, nash_md_pg, self_play_pg
from mdplab.algorithms.games.omwu import omwu
from mdplab.algorithms.games.self_play import inpo, inpo_loss, inpo_regression_loss, inpo_step, mmd, omd, omd_step
from mdplab.exact.games import best_response, constant_step_limit, regularized_gap, regularized_nash
from mdplab.instances.games import FAMILIES, p3, random_preferences, three_cycle
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.models import MatrixGame, PreferenceGame

# P3, EGPO from mu at eta = 1 / (tau + 1/2): D(pi* || pi_t) at 1, 10, 20; gap_tau, sp(log pi_t - log pi*) at 1, 10.
EGPO_P3 = {
    0.05: (
        (2.21487246069e-2, 1.21588574573e-3, 4.70454053e-5),
        (3.28593064509e-2, 1.88906164268e-3),
        (0.528373758710, 0.112349808997),
    ),
    0.5: (
        (8.9559905411e-4, 1.472205300e-9, 5.48368e-16),
        (1.00414802621e-3, 1.65594834585e-9),
        (0.0947632692, 1.49239405e-4),
    ),
}


@pytest.mark.parametrize("tau", list(EGPO_P3))
def test_egpo_on_p3(tau):
    divergences, gaps, spans = EGPO_P3[tau]
    star = regularized_nash(p3(), tau=tau).extras["log_policy"]
    log_pi = egpo(p3(), tau=tau, eta=1 / (tau + 0.5), num_iters=20, checkpoints=[1, 10, 20])["log_pi"]
    # Six digits or more given.
    np.testing.assert_allclose(kl_divergence(star, log_pi), divergences, rtol=2e-6)
    np.testing.assert_allclose(regularized_gap(p3(), log_pi[:2], tau=tau), gaps, rtol=1e-11)  # twelve digits given
    np.testing.assert_allclose(np.ptp(log_pi[:2] - star, axis=-1), spans, rtol=1e-8)  # nine digits given


def test_nash_md_on_p3_with_the_constant_step():
    """eta tau = .2 has a limit at tau = .5; at tau = .05 the fixed point is unstable (1.0044) and the run goes on."""
    point, level = (0.197229214467, 0.3403222073204, 0.4624485782126), 2.0376246925797e-5
    log_fixed, modulus = constant_step_limit(p3(), tau=0.5, weight=0.2)
    last = nash_md(p3(), tau=0.5, eta=0.4, num_iters=500, checkpoints=[500])["log_pi"][-1]
    for log_pi in (log_fixed, last):
        np.testing.assert_allclose(np.exp(log_pi), point, atol=1e-12)  # 13 digits given
        assert float(regularized_gap(p3(), log_pi, tau=0.5)) == pytest.approx(level, rel=1e-10)  # conditioning
    log_fixed, other = constant_step_limit(p3(), tau=0.05, weight=0.2)
    late = nash_md(p3(), tau=0.05, eta=4.0, num_iters=6000, checkpoints=[*range(5000, 6001)])["log_pi"]
    assert modulus < 1 < other
    assert kl_divergence(late, log_fixed).min() > 1e-3 and np.ptp(late[:, 0]) > 0.1


def test_a_constant_step_of_nash_md_stops_where_egpo_does_not():
    tau = 0.05
    ours = egpo(p3(), tau=tau, eta=0.2 / tau / 2, num_iters=400, checkpoints=[400])["log_pi"][-1]
    theirs = nash_md(p3(), tau=tau, eta=0.2 / tau, num_iters=400, checkpoints=[400])["log_pi"][-1]
    assert float(regularized_gap(p3(), ours, tau=tau)) < 1e-10 < 1e-3 < float(regularized_gap(p3(), theirs, tau=tau))


def test_rock_paper_scissors_tells_the_methods_apart():
    """0/1 preferences, tau = .01: EGPO contracts by .7436 a step, OMD with that step stays far; its edge: .2397."""
    game, tau = three_cycle(0.5, 0.5, 0.5), 0.01
    omega = np.sqrt(3) / 6
    eta = safe_step(game, tau)
    q = 1 - eta * tau
    predicted = abs(q + 1j * q * eta * omega - (eta * omega) ** 2) ** 2
    assert predicted == pytest.approx(0.74355, abs=1e-5)  # digits given
    start = np.array([0.3, 0.0, -0.3])
    D = kl_divergence(np.zeros(3), egpo(game, tau=tau, eta=eta, num_iters=150, log_pi0=start)["log_pi"])
    assert (D[120] / D[20]) ** 0.01 == pytest.approx(predicted, rel=2e-3)  # oscillation over 100 steps
    far = omd(game, tau=tau, eta=eta, num_iters=5000, log_pi0=start, checkpoints=[5000])["log_pi"]
    assert float(regularized_gap(game, far[-1], tau=tau)) > 0.5
    edge = 2 * tau / (tau**2 + omega**2)
    assert edge == pytest.approx(0.23971, abs=1e-5)  # digits given
    for fraction, converges in ((0.5, True), (1.1, False)):
        last = omd(game, tau=tau, eta=fraction * edge, num_iters=10_000, log_pi0=start, checkpoints=[0, 10_000])
        first, final = regularized_gap(game, last["log_pi"], tau=tau)
        assert (final < 1e-3 * first) == converges


def test_tail_slopes_are_those_of_the_linearised_update():
    """Random games, D between 1e-24 and 1e-5: the factor is rho^2, not the theorem's q."""
    for i in range(4):
        rng = np.random.default_rng([86, 1, i])
        game, tau = random_preferences(10, rng=rng), (0.3, 0.1)[i % 2]
        solution = regularized_nash(game, tau=tau)
        pi, star = solution.policy, solution.extras["log_policy"]
        eta = 0.5
        D = kl_divergence(star, egpo(game, tau=tau, eta=eta, num_iters=1500)["log_pi"])
        window = np.flatnonzero((D < 1e-9) & (D > 1e-24))
        slope = np.polyfit(window, np.log(D[window]), 1)[0]
        modes = np.linalg.eigvals(game.K @ (np.diag(pi) - np.outer(pi, pi)))
        modes = np.delete(modes, np.argmin(np.abs(modes)))
        q = 1 - eta * tau
        rho = np.abs(q + q * eta * modes + eta**2 * modes**2).max()
        assert np.exp(slope) == pytest.approx(rho**2, rel=1e-2)  # other modes and oscillation in the window


@pytest.mark.parametrize("family", FAMILIES)
def test_updates_are_their_definitions(family):
    rng = np.random.default_rng([86, 2])
    game, tau, eta = random_preferences(5, rng=rng, family=family), 0.4, 0.7
    log_pi = log_softmax(rng.standard_normal((3, 5)))
    half, full = egpo_steps(game, log_pi, tau=tau, eta=eta)
    for got, opponent in ((half, log_pi), (full, half)):
        for row, nu, base in zip(got, opponent, log_pi):
            weights = softmax(base) ** (1 - eta * tau) * game.mu ** (eta * tau) * np.exp(eta * game.P @ softmax(nu))
            np.testing.assert_allclose(np.exp(row), weights / weights.sum(), atol=1e-14)  # rounding
    np.testing.assert_array_equal(egpo_step(game, log_pi, tau=tau, eta=eta), full)
    # (log pi + eta tau log mu + eta K pi) / (1 + eta tau)
    moved = mmd(game, tau=tau, eta=eta, num_iters=1, log_pi0=log_pi)["log_pi"][1]
    direct = log_softmax((log_pi + eta * tau * game.log_mu + eta * softmax(log_pi) @ game.K.T) / (1 + eta * tau))
    np.testing.assert_allclose(moved, direct, atol=1e-14)  # rounding
    np.testing.assert_allclose(inpo_step(game, log_pi, tau=tau, eta=1 / eta), half, atol=1e-14)  # rounding


def test_omwu_is_its_recursion_and_asks_once_an_update():
    game, tau, eta = random_preferences(4, rng=np.random.default_rng([86, 3])), 0.3, 0.5
    trace = omwu(game, tau=tau, eta=eta, num_iters=20)
    base, w = game.log_mu, game.log_mu
    for t in range(20):
        np.testing.assert_allclose(trace["log_pi"][t], base, atol=1e-13)  # rounding, twenty updates
        w = log_softmax((1 - eta * tau) * base + eta * tau * game.log_mu + eta * game.K @ softmax(w))
        base = log_softmax((1 - eta * tau) * base + eta * tau * game.log_mu + eta * game.K @ softmax(w))
    np.testing.assert_array_equal(trace["queries"], np.arange(21) + 1)


def test_inpo_schedule_forgets_the_start_and_its_losses_agree():
    rng = np.random.default_rng([86, 4])
    game, tau, eta = random_preferences(4, rng=rng), 0.5, 0.8
    starts = 3 * rng.standard_normal((2, 4))
    # eta_0 = tau: the reference has all the weight, but the payoff is the start's.
    first = inpo(game, tau=tau, num_iters=1, log_pi0=starts)["log_pi"][1]
    expected = log_softmax(game.log_mu + softmax(starts) @ game.K.T / tau)
    np.testing.assert_allclose(first, expected, atol=1e-14)  # rounding
    log_pi, others = starts[0], rng.standard_normal((5, 4))
    arguments = {"tau": tau, "eta": eta}
    spread = [
        inpo_loss(game, x, log_pi, **arguments) - inpo_regression_loss(game, x, log_pi, **arguments) for x in others
    ]
    assert np.ptp(spread) < 1e-12  # rounding of sums of 16 squares
    assert inpo_regression_loss(game, inpo_step(game, log_pi, **arguments), log_pi, **arguments) < 1e-25
    uniform = {"pairs": np.full((4, 4), 1 / 16), **arguments}
    spread = [inpo_loss(game, x, log_pi, **uniform) - inpo_regression_loss(game, x, log_pi, **uniform) for x in others]
    assert np.ptp(spread) > 1e-3


def test_magnets_approach_the_equilibrium_without_regularisation():
    """D(pi0 || mu_(k+1)) <= D(pi0 || mu_k) - D(mu_(k+1) || mu_k), pi0 the equilibrium of the cycle."""
    game, tau = three_cycle(0.4, 0.3, 0.2, [0.6, 0.3, 0.1]), 0.3
    target = np.log(np.array([0.3, 0.2, 0.4]) / 0.9)
    magnets = mpo(game, tau=tau, eta=4 * tau, num_iters=200, inner_iters=150)["log_pi"]
    D, moved = kl_divergence(target, magnets), kl_divergence(magnets[1:], magnets[:-1])
    # Inner solutions are exact to rounding.
    assert np.all(D[1:] <= D[:-1] - moved + 1e-13)
    assert D[-1] < 1e-6 * D[0]
    exact = regularized_nash(game.replace(mu=softmax(magnets[7])), tau=tau).extras["log_policy"]
    np.testing.assert_allclose(magnets[8], exact, atol=1e-12)  # 150 contractions by 0.74 or better


@pytest.mark.parametrize("mixture", [0.0, 0.25, 0.5, 1.0])
def test_policy_gradients_share_the_fixed_point_of_constant_steps(mixture):
    game, tau = random_preferences(4, rng=np.random.default_rng([86, 5])), 0.6
    last = nash_md_pg(game, tau=tau, eta=1.0, mixture=mixture, num_iters=4000, checkpoints=[4000])["log_pi"][-1]
    if mixture == 0:
        target = regularized_nash(game, tau=tau).extras["log_policy"]
        same = self_play_pg(game, tau=tau, eta=1.0, num_iters=4000, checkpoints=[4000])
    elif mixture == 1:
        target = best_response(game, game.log_mu, tau=tau)
        same = best_response_pg(game, tau=tau, eta=1.0, num_iters=4000, checkpoints=[4000])
    else:
        target, _ = constant_step_limit(game, tau=tau, weight=mixture)
        same = nash_md_pg(game, tau=tau, eta=1.0, mixture=mixture, num_iters=4000, checkpoints=[4000])
    np.testing.assert_allclose(last, target, atol=1e-10)  # rounding, over the least probability times tau
    np.testing.assert_array_equal(same["log_pi"][-1], last)


def test_averaged_opponents():
    """b = 0 is self-play; b = 1 and the anchored form with b = 1 play against the start for ever."""
    game = random_preferences(4, rng=np.random.default_rng([86, 6]))
    arguments = {"tau": 0.5, "eta": 1.0, "num_iters": 30}
    own = self_play_pg(game, **arguments)["log_pi"]
    np.testing.assert_allclose(nash_ema_pg(game, mixture=0.0, **arguments)["log_pi"], own, atol=1e-14)  # rounding
    fixed = best_response_pg(game, **arguments)["log_pi"]
    for anchored in (False, True):
        run = nash_ema_pg(game, mixture=1.0, anchored=anchored, **arguments)
        np.testing.assert_allclose(run["log_pi"], fixed, atol=1e-13)  # rounding
    recursion = nash_ema_pg(game, mixture=0.5, **arguments)
    expected = log_softmax(0.5 * recursion["log_pi"][2] + 0.5 * recursion["log_average"][1])
    np.testing.assert_allclose(recursion["log_average"][2], expected, atol=1e-14)  # rounding
    anchored = nash_ema_pg(game, mixture=0.5, anchored=True, **arguments)
    expected = log_softmax(0.5 * anchored["log_pi"][2] + 0.5 * game.log_mu)
    np.testing.assert_allclose(anchored["log_average"][2], expected, atol=1e-14)  # rounding


def test_inner_gradient_steps_solve_the_proximal_step():
    rng = np.random.default_rng([86, 7])
    game, tau, lam = random_preferences(5, rng=rng), 0.3, 0.5
    log_pi, log_nu = log_softmax(rng.standard_normal((2, 5)))
    exact = proximal_step(game, log_pi, log_nu, tau=tau, lam=lam)
    errors = [
        np.ptp(proximal_step(game, log_pi, log_nu, tau=tau, lam=lam, inner_steps=k) - exact) for k in (1, 20, 400)
    ]
    assert errors[0] > errors[1] > 1e3 * errors[2]
    star = regularized_nash(game, tau=tau).extras["log_policy"]
    for inner_steps in (None, 2):
        still = nash_mp(game, tau=tau, num_iters=1, log_pi0=star, inner_steps=inner_steps)["log_pi"][1]
        np.testing.assert_allclose(still, star, atol=1e-13)  # rounding over tau
    np.testing.assert_allclose(
        nash_mp_step(game, log_pi, tau=tau, lam=lam),
        nash_mp(game, tau=tau, lam=lam, num_iters=1, log_pi0=log_pi)["log_pi"][1],
        atol=1e-15,
    )  # the same operations


@pytest.mark.parametrize("method", [egpo, omd, mmd, omwu, nash_mp, inpo])
def test_contexts_and_batches_decouple(method):
    rng = np.random.default_rng([86, 8])
    game = random_preferences(4, rng=rng, contexts=2)
    arguments = {"tau": 0.5, "num_iters": 10} | ({} if method in (nash_mp, inpo) else {"eta": 0.8})
    start = rng.standard_normal((3, 2, 4))
    together = method(game, log_pi0=start, **arguments)["log_pi"]
    for c in range(2):
        alone = PreferenceGame(game.P[c], game.mu[c])
        for b in range(3):
            expected = method(alone, log_pi0=start[b, c], **arguments)["log_pi"]
            np.testing.assert_allclose(together[:, b, c], expected, atol=1e-13)  # other shapes of the same sums


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: egpo(p3(), tau=0.5, eta=2.1, num_iters=1), r"eta tau is 1\.05 with eta=2\.1, tau=0\.5"),
        (lambda: egpo(p3(), tau=0.5, eta=2.0000001, num_iters=1), r"eta tau is 1\.00000005 with eta=2\.0000001"),
        (lambda: egpo(MatrixGame([[1.0]]), tau=0.5, eta=1.0, num_iters=1), "game is a MatrixGame"),
        (lambda: egpo(p3(), tau=0.5, eta=1.0, num_iters=1.5), r"num_iters is 1\.5; expected an integer"),
        (lambda: egpo(p3(), tau=0.5, eta=1.0, num_iters=3, checkpoints=[0.5, 1]), r"checkpoints is \[0\.5, 1\.0\]"),
        (lambda: omd(p3(), tau=0.5, eta=0.0, num_iters=1), r"eta tau is 0"),
        (lambda: omd_step(p3(), np.zeros(3), tau=-1.0, eta=-1.0), r"eta is -1"),
        (lambda: omwu(p3(), tau=-1.0, eta=0.1, num_iters=1), r"tau is -1"),
        (lambda: mmd(p3(), tau=0.5, eta=-1.0, num_iters=1), r"eta is -1"),
        (lambda: nash_mp(p3(), tau=0.5, lam=0.0, num_iters=1), r"lam is 0"),
        (lambda: nash_mp(p3(), tau=0.5, inner_steps=0, num_iters=1), r"inner_steps is 0"),
        (lambda: nash_mp(p3(), tau=0.5, inner_eta=-1.0, num_iters=1), r"inner_eta is -1"),
        (lambda: inpo(p3(), tau=0.5, eta=0.4, num_iters=1), r"eta is 0\.4 with tau=0\.5"),
        (lambda: mpo(p3(), tau=0.5, eta=1.0, num_iters=1, inner_iters=0), r"inner_iters is 0"),
        (lambda: nash_md_pg(p3(), tau=0.5, eta=1.0, mixture=1.5, num_iters=1), r"mixture is 1\.5"),
        (lambda: nash_md(p3(), tau=0.5, opponent_weight=-0.1, num_iters=1), r"opponent_weight is -0\.1"),
        (lambda: egpo(p3(), tau=0.5, eta=1.0, num_iters=3, checkpoints=[2, 2]), r"checkpoints is \[2, 2\]"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
