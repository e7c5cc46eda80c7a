import numpy as np
import pytest

from mdplab.algorithms.games.mirror_descent import mirror_descent, tuned_step
from mdplab.algorithms.games.nash_md import mixture, nash_md, nash_md_sampled, nash_md_step
from mdplab.exact.games import best_response, regularized_gap, regularized_nash
from mdplab.instances.games import FAMILIES, nash_md_tight, p3, random_preferences
from mdplab.kernels.softmax import kl_divergence, log_softmax, logsumexp, softmax
from mdplab.models import PreferenceGame


def test_p3_on_the_schedule():
    """D(pi* || pi_T), T = 1, 10, 100, from mu: the recursion written out once more in 30 digits gave these."""
    golden = {
        0.05: (0.440680516917, 0.245559442523, 1.18282114e-3),
        0.5: (4.6638205734e-4, 3.8757287385e-5, 5.346586584e-7),
    }
    for tau, expected in golden.items():
        star = regularized_nash(p3(), tau=tau).extras["log_policy"]
        trace = nash_md(p3(), tau=tau, num_iters=100, checkpoints=[1, 10, 100])
        np.testing.assert_allclose(
            kl_divergence(star, trace["log_pi"]), expected, rtol=1e-8
        )  # nine digits or more given


def test_constant_step_on_p3():
    """log pi = log mu + K m / tau with m the equilibrium at temperature tau / (1 - eta tau)."""
    trace = nash_md(p3(), tau=0.5, eta=0.4, num_iters=500, checkpoints=[500])
    np.testing.assert_allclose(
        np.exp(trace["log_pi"][-1]), (0.197229214467, 0.3403222073204, 0.4624485782126), atol=1e-12
    )  # 1e-13 given
    plateau = float(regularized_gap(p3(), trace["log_pi"][-1], tau=0.5))
    assert plateau == pytest.approx(2.0376246925797e-5, rel=1e-11)  # conditioning of a gap of 1e-5


def test_constant_step_fixed_point_may_be_unstable():
    """P3, tau = .05, eta tau = .2: (1 - eta tau)^2 (1 + eta^2 w^2) = 1.0088: the iteration leaves the fixed point."""
    game, tau, weight = p3(), 0.05, 0.2
    m = regularized_nash(game, tau=tau / (1 - weight))
    fixed = best_response(game, m.extras["log_policy"], tau=tau)
    # Newton's accuracy times 1 / tau.
    np.testing.assert_allclose(nash_md_step(game, fixed, tau=tau, eta=weight / tau), fixed, atol=1e-13)
    omega = np.abs(np.linalg.eigvals(game.K @ (np.diag(m.policy) - np.outer(m.policy, m.policy)))).max()
    modulus = (1 - weight) * np.sqrt(1 + (weight / tau * omega) ** 2)
    assert modulus == pytest.approx(1.00439, abs=1e-5)  # digits given
    start = fixed + np.array([1e-6, 0.0, -1e-6])
    trace = nash_md(game, tau=tau, eta=weight / tau, num_iters=4000, log_pi0=start)
    distance = kl_divergence(trace["log_pi"], fixed)
    assert distance[3500:].min() > 1e-3
    early = np.log(distance[1000] / distance[200]) / 800
    assert early == pytest.approx(2 * np.log(modulus), rel=0.02)  # oscillation averaged over 30 periods


def test_the_first_step_of_the_schedule_forgets_the_start():
    game = random_preferences(6, rng=np.random.default_rng([61, 1]))
    starts = 5 * np.random.default_rng([61, 2]).standard_normal((4, 6))
    trace = nash_md(game, tau=0.3, num_iters=1, log_pi0=starts)
    assert trace["log_pi"].shape == (2, 4, 6)
    # 0 times the start is exactly 0.
    np.testing.assert_array_equal(trace["log_pi"][1], np.tile(trace["log_pi"][1, 0], (4, 1)))


def test_step_is_the_maximiser():
    """Against its definition: eta <pi, P m> - D(pi || m) at the step beats random policies."""
    rng = np.random.default_rng([61, 3])
    game, tau, eta = random_preferences(5, rng=rng), 0.4, 1.1
    log_pi = log_softmax(rng.standard_normal(5))
    log_m = mixture(game, log_pi, eta * tau)

    def objective(log_p):
        return eta * np.exp(log_p) @ game.P @ np.exp(log_m) - kl_divergence(log_p, log_m)

    best = nash_md_step(game, log_pi, tau=tau, eta=eta)
    nearby = log_softmax(best + 0.1 * rng.standard_normal((300, 5)))
    assert max(objective(row) for row in nearby) < objective(best)


@pytest.mark.parametrize("family", FAMILIES)
def test_energy_identity_and_sharp_one_step_bound(family):
    """D(pi*||pi+) = (1-h) (D(pi*||pi) - D(m||pi)) - h D(m||pi*) + log E_m e^(eta K m); the last is <= eta^2 / 24."""
    rng = np.random.default_rng([61, 4])
    for n in (2, 3, 10):
        for tau in (0.01, 0.3, 3.0):
            game = random_preferences(n, rng=rng, family=family)
            star = regularized_nash(game, tau=tau).extras["log_policy"]
            log_pi = log_softmax(3 * rng.standard_normal((20, n)))
            for h in (0.05, 0.9, 1.0):
                eta = h / tau
                log_m = mixture(game, log_pi, h)
                moment = logsumexp(log_m + eta * np.matmul(game.K, softmax(log_m)[..., None])[..., 0])
                left = kl_divergence(star, nash_md_step(game, log_pi, tau=tau, eta=eta))
                right = (1 - h) * (kl_divergence(star, log_pi) - kl_divergence(log_m, log_pi)) + moment
                right -= h * kl_divergence(log_m, star)
                # 60 units of rounding of terms of up to 1 / tau, which Newton's error multiplies once more.
                np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-12 / tau)
                assert np.all(moment <= eta**2 / 24 + 1e-12 * eta)


def test_the_constant_24_is_attained_in_the_limit():
    game, log_pi = nash_md_tight(100, 1e-18)
    tau, eta = 1e-9, 0.05
    star = regularized_nash(game, tau=tau).extras["log_policy"]
    excess = kl_divergence(star, nash_md_step(game, log_pi, tau=tau, eta=eta)) - (1 - eta * tau) * kl_divergence(
        star, log_pi
    )
    # 1 - 1/n^2 - eta^2/120 - 24 tau log(1/eps)/eta; the excess 1e-4 is a difference of numbers near 40.
    assert excess / (eta**2 / 24) == pytest.approx(1 - 1e-4 - eta**2 / 120 - 24 * tau * np.log(1e18) / eta, abs=1e-4)


def test_contexts_decouple():
    game = random_preferences(4, rng=np.random.default_rng([61, 5]), contexts=2)
    trace = nash_md(game, tau=0.5, num_iters=30)
    for c in range(2):
        alone = nash_md(PreferenceGame(game.P[c], game.mu[c]), tau=0.5, num_iters=30)
        # The same operations in another matrix shape.
        np.testing.assert_allclose(trace["log_pi"][:, c], alone["log_pi"], atol=1e-13)


def test_sampled_update_is_unbiased():
    """The mean first logit step is that of the exact update: 20000 runs, 5 standard errors (false alarm 1e-6)."""
    game, runs = p3(), 20000
    trace = nash_md_sampled(game, tau=1.0, num_iters=1, runs=runs, rng=np.random.default_rng([61, 6]), checkpoints=[1])
    # At t = 0, m = mu and eta = 1 / tau: log pi_1 = log mu + outcomes + const.
    logits = trace["log_pi"][:, 0] - game.log_mu
    mean = (logits - logits[:, :1]).mean(axis=0)
    expected = game.P @ game.mu - (game.P @ game.mu)[0]
    np.testing.assert_allclose(mean, expected, atol=5 * np.sqrt(0.5 / runs))


def test_mirror_descent_is_its_recursion_and_keeps_its_regret_bound():
    """log pi_(t+1) = log pi_t + eta g_t + const, against a best response with errors; regret <= sqrt(T log(n) / 2)."""
    P, T, runs = random_preferences(4, rng=np.random.default_rng([61, 7])).P, 40, 3
    draws = np.random.default_rng([61, 8]).integers(4, size=(T, runs))
    eta, seen, played = tuned_step(4, T), [], []

    def opponent(t, pi):
        seen.append(pi)
        played.append(np.where(draws[t] == 0, draws[t], np.argmin(pi @ P, axis=1)))
        return played[-1]

    regret = mirror_descent(P, opponent, eta=eta, num_rounds=T, runs=runs)
    log_pi, earned = np.zeros((runs, 4)) - np.log(4), np.zeros(runs)
    for t in range(T):
        # Sums of at most 40 terms.
        np.testing.assert_allclose(seen[t], np.exp(log_pi), atol=1e-13)
        earned += (np.exp(log_pi) * P[:, played[t]].T).sum(axis=1)
        log_pi = log_softmax(log_pi + eta * P[:, played[t]].T)
    best = P[:, np.array(played)].sum(axis=1).max(axis=0)
    np.testing.assert_allclose(regret, best - earned, atol=1e-12)  # likewise
    assert np.all(regret <= np.sqrt(T * np.log(4) / 2)) and np.all(regret > 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tau": 0.5, "eta": 2.1}, r"eta tau is 1\.05"),
        ({"tau": 0.0}, r"tau is 0"),
        ({"tau": 1.0, "num_iters": -1}, r"num_iters is -1"),
        ({"tau": 1.0, "checkpoints": [0, 11]}, r"checkpoints is \[0, 11\]"),
        ({"tau": 1.0, "log_pi0": np.zeros(2)}, r"log_pi0 has shape \(2,\)"),
        ({"tau": 1.0, "log_pi0": np.array([0.0, -np.inf, 0.0])}, r"not finite"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        nash_md(p3(), **{"num_iters": 10, **arguments})
