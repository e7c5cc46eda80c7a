import cvxpy as cp
import numpy as np
import pytest

from mdplab.certify.games import check_game
from mdplab.exact.games import (
    best_response,
    constant_step_limit,
    gap_bound,
    nash_equilibrium,
    regularized_gap,
    regularized_nash,
)
from mdplab.instances.games import FAMILIES, p3, random_preferences, three_cycle, three_cycle_nash
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.models import MatrixGame, PreferenceGame, SolverFailure

# P3: regularised equilibrium, exploitability in the unregularised game, D(pi* || mu), gap of mu. Derivation: the fixed
# point of log pi = log mu + K pi / tau + const, found by Newton and confirmed below by two other methods.
GOLDEN = {
    0.05: (
        (0.2824884302331, 0.33001048376614, 0.38750108600077),
        (0.031507735412452, 0.030242874148168, 0.047045861030067),
    ),
    0.5: (
        (0.19955974133872, 0.33868879608269, 0.46175146257859),
        (0.117403084476173, 0.003896120967038, 0.004308020306843),
    ),
}


def random_games(key: int, count: int, largest: int = 20):
    for i in range(count):
        rng = np.random.default_rng([41, key, i])
        family = FAMILIES[i % len(FAMILIES)]
        game = random_preferences(int(rng.integers(2, largest + 1)), rng=rng, family=family, spread=1.5)
        yield game, float(10 ** rng.uniform(-2, 0.5)), rng


def extragradient(game: PreferenceGame, tau: float, steps: int) -> np.ndarray:
    """Long EGPO at eta = 1 / (tau + 1/2): D(pi* || pi) contracts by 1 - eta tau a step."""
    eta = 1 / (tau + 0.5)
    log_pi = game.log_mu
    for _ in range(steps):
        base = (1 - eta * tau) * log_pi + eta * tau * game.log_mu
        half = log_softmax(base + eta * game.K @ softmax(log_pi))
        log_pi = log_softmax(base + eta * game.K @ softmax(half))
    return log_pi


@pytest.mark.parametrize("tau", list(GOLDEN))
def test_p3(tau):
    game = p3()
    policy, (exploitability, divergence, gap) = GOLDEN[tau]
    solution = regularized_nash(game, tau=tau)
    digits = 1e-14  # the table has 12 to 15 digits after the point
    np.testing.assert_allclose(solution.policy, policy, atol=digits)
    assert 2 * float((game.K @ solution.policy).max()) == pytest.approx(exploitability, abs=digits)
    assert float(kl_divergence(solution.extras["log_policy"], game.log_mu)) == pytest.approx(divergence, abs=digits)
    assert float(regularized_gap(game, game.log_mu, tau=tau)) == pytest.approx(gap, abs=digits)


def test_newton_solves_the_fixed_point_and_certifies_at_rounding_level():
    for game, tau, _ in random_games(1, 40, largest=60):
        solution = regularized_nash(game, tau=tau)
        response = best_response(game, solution.extras["log_policy"], tau=tau)
        # Rounding of K pi / tau, with room for the spread of logits.
        np.testing.assert_allclose(response, solution.extras["log_policy"], atol=1e-11 / tau)
        assert solution.certificate.gap < 1e-19
        assert check_game(game, solution) and check_game(game, solution, level="exact")


def test_newton_converges_at_the_smallest_temperature_on_large_games():
    for i, family in enumerate(FAMILIES):
        game = random_preferences(100, rng=np.random.default_rng([41, 2, i]), family=family)
        assert regularized_nash(game, tau=1e-3).certificate.gap < 1e-16


def test_newton_agrees_with_extragradient():
    for game, tau, _ in random_games(3, 12, largest=12):
        tau = max(tau, 0.1)
        target = regularized_nash(game, tau=tau).extras["log_policy"]
        # (1 - eta tau)^200 <= (5/6)^200 = 1.5e-16 of a divergence of at most a few units.
        assert float(kl_divergence(target, extragradient(game, tau, 200))) < 1e-14


def test_newton_agrees_with_the_convex_program():
    """min tau logsumexp(log mu + K pi / tau) + tau D(pi || mu) has value 0, half the gap, at the equilibrium."""
    for game, tau, _ in random_games(4, 6, largest=8):
        tau = max(tau, 0.05)
        pi = cp.Variable(game.n)
        response = tau * cp.log_sum_exp(game.log_mu + game.K @ pi / tau)
        program = cp.Problem(cp.Minimize(response + tau * cp.sum(cp.kl_div(pi, game.mu))), [cp.sum(pi) == 1])
        program.solve(solver=cp.CLARABEL)
        # The objective is flat: Clarabel's 1e-8 in value is about 1e-4 / sqrt(tau) in the policy.
        np.testing.assert_allclose(pi.value, regularized_nash(game, tau=tau).policy, atol=1e-3)
        assert program.value == pytest.approx(0.0, abs=1e-6)  # Clarabel's default accuracy


def test_gap_is_the_difference_of_best_payoffs():
    """Against its definition: twice the best regularised payoff, by softmax and by random search from below."""
    for game, tau, rng in random_games(5, 20, largest=6):
        log_pi = log_softmax(rng.standard_normal(game.n))

        def payoff(log_p, log_q, game=game, tau=tau):
            own, other = kl_divergence(log_p, game.log_mu), kl_divergence(log_q, game.log_mu)
            return np.exp(log_p) @ game.K @ np.exp(log_q) - tau * own + tau * other

        best = payoff(best_response(game, log_pi, tau=tau), log_pi)
        gap = float(regularized_gap(game, log_pi, tau=tau))
        assert gap == pytest.approx(2 * best, abs=1e-12)  # rounding of payoffs of order 1 and tau D of a few units
        tried = [payoff(log_softmax(2 * rng.standard_normal(game.n)), log_pi) for _ in range(200)]
        assert max(tried) <= best + 1e-12
        assert gap <= float(gap_bound(game, log_pi, tau=tau))


def test_a_posteriori_certificate_and_its_identity():
    """P_tau(pi* > pi) - 1/2 = tau D(pi || pi*), hence D(pi || pi*) <= gap / (2 tau)."""
    for game, tau, rng in random_games(6, 40):
        star = regularized_nash(game, tau=tau).extras["log_policy"]
        log_pi = log_softmax(2 * rng.standard_normal(game.n))
        divergence = float(kl_divergence(log_pi, star))
        payoff = np.exp(star) @ game.K @ np.exp(log_pi)
        payoff -= tau * (kl_divergence(star, game.log_mu) - kl_divergence(log_pi, game.log_mu))
        # Rounding of divergences of up to a few hundred.
        assert float(payoff) == pytest.approx(tau * divergence, rel=1e-9, abs=1e-12)
        assert divergence <= float(regularized_gap(game, log_pi, tau=tau)) / (2 * tau) * (1 + 1e-9)


def test_contexts_decouple():
    game = random_preferences(5, rng=np.random.default_rng([41, 7]), contexts=3)
    together = regularized_nash(game, tau=0.2)
    for c in range(3):
        alone = regularized_nash(PreferenceGame(game.P[c], game.mu[c]), tau=0.2)
        # The same Newton steps; matrix products of another shape may round differently.
        np.testing.assert_allclose(together.policy[c], alone.policy, atol=1e-13)
    assert check_game(game, together) and check_game(game, nash_equilibrium(game))


def test_linear_program_finds_the_closed_form_of_a_cycle():
    from fractions import Fraction

    for a, b, c in ((4, 3, 3), (1, 2, 5), (5, 5, 5)):
        game = three_cycle(a / 10, b / 10, c / 10)
        exact = three_cycle_nash(Fraction(a, 10), Fraction(b, 10), Fraction(c, 10))
        solution = nash_equilibrium(game)
        # The vertex of a 3 x 3 system with entries above 0.1.
        np.testing.assert_allclose(solution.policy, [float(x) for x in exact], atol=1e-12)
        assert solution.certificate.gap < 1e-12 and check_game(game, solution)


def test_linear_program_on_random_games():
    for game, _, _ in random_games(8, 20, largest=40):
        solution = nash_equilibrium(game)
        assert 2 * float((game.K @ solution.policy).max()) <= solution.certificate.gap <= 1e-9
        assert check_game(game, solution)


def test_zero_sum_matrix_game():
    """Matching pennies with a bonus: value 1/5 at (2/5, 3/5) for both players, by equalising rows and columns."""
    game = MatrixGame([[2.0, -1.0], [-1.0, 1.0]])
    solution = nash_equilibrium(game)
    np.testing.assert_allclose(solution.policy, [0.4, 0.6], atol=1e-12)  # a 2 x 2 vertex
    np.testing.assert_allclose(solution.extras["column"], [0.4, 0.6], atol=1e-12)  # likewise
    assert solution.value[0] == pytest.approx(0.2, abs=1e-12)  # likewise
    assert check_game(game, solution) and check_game(game, nash_equilibrium(game, tol=1e-6), level="exact")
    with pytest.raises(ValueError, match="general-sum"):
        nash_equilibrium(MatrixGame([[1.0]], [[1.0]]))


def test_failures_are_loud():
    with pytest.raises(ValueError, match=r"tau is -1"):
        regularized_nash(p3(), tau=-1.0)
    with pytest.raises(SolverFailure, match="duality gap of"):
        regularized_nash(p3(), tau=0.05, max_iters=1)
    with pytest.raises(SolverFailure, match="duality gap of"):
        nash_equilibrium(p3(), tol=1e-18)
    for tau in (5e-324, 1e-300):
        with pytest.raises(SolverFailure, match="duality gap of"):
            regularized_nash(p3(), tau=tau)
    with pytest.raises(ValueError, match=r"log_pi has shape \(4,\); its last axes must be \(3,\)"):
        best_response(p3(), np.zeros(4), tau=1.0)
    two = PreferenceGame(np.stack([p3().P, p3().P]))
    with pytest.raises(ValueError, match="game has 2 contexts"):
        constant_step_limit(two, tau=0.5, weight=0.5)


def test_p3_without_regularisation():
    """Table of 1.5: Nash (.3, .3, .4), L = 1/4, and the frequencies +-i sqrt(det minors) of K A at the equilibrium."""
    game = p3()
    pi = nash_equilibrium(game).policy
    np.testing.assert_allclose(pi, [0.3, 0.3, 0.4], atol=1e-12)  # a 3 x 3 vertex
    assert game.operator_constant() == pytest.approx(0.25, abs=1e-15)  # rounding of four numbers
    eigenvalues = np.linalg.eigvals(game.K @ (np.diag(pi) - np.outer(pi, pi)))
    assert np.abs(eigenvalues.real).max() < 1e-8  # a nearly defective zero: half of the digits
    # Here K pi = 0, so K A = K diag(pi), whose characteristic polynomial is x^3 + w x with the weight w of 2-cycles.
    frequency = np.sqrt(0.4**2 * 0.3 * 0.3 + 0.3**2 * 0.3 * 0.4 + 0.3**2 * 0.3 * 0.4)
    assert frequency == pytest.approx(0.1897366596101, abs=1e-13)  # the table's digits
    np.testing.assert_allclose(np.sort(eigenvalues.imag), [-frequency, 0, frequency], atol=1e-8)  # as above


def test_bias_of_regularisation():
    """gap_0(pi) <= gap_tau(pi) + 2 tau (max log 1/mu - D(pi || mu)) for every pi; 2 tau log n at pi*, mu uniform."""
    closest = 0.0
    for game, tau, rng in random_games(9, 60):
        for log_pi in (regularized_nash(game, tau=tau).extras["log_policy"], log_softmax(rng.standard_normal(game.n))):
            gap = 2 * float((game.K @ np.exp(log_pi)).max())
            room = float(-game.log_mu.min()) - float(kl_divergence(log_pi, game.log_mu))
            bound = float(regularized_gap(game, log_pi, tau=tau)) + 2 * tau * room
            assert gap <= bound + 1e-12  # rounding of numbers below 30
            closest = max(closest, gap / bound)
        even = game.replace(mu=None)
        pi = regularized_nash(even, tau=tau).policy
        assert 2 * float((even.K @ pi).max()) <= 2 * tau * np.log(game.n) + 1e-12  # as above
    # Neither vacuous nor off by a factor: the term 2 tau alone would be refuted.
    assert closest > 0.5


def test_gap_from_above_by_the_divergence():
    """gap_tau(pi) <= 2 tau D(pi || pi*) + sp(K d)^2 / (4 tau) <= 2 tau D(pi || pi*) + 2 L^2 D(pi* || pi) / tau."""
    closest = 0.0
    for game, tau, rng in random_games(10, 60):
        star = regularized_nash(game, tau=tau).extras["log_policy"]
        log_pi = log_softmax(star + 10 ** rng.uniform(-3, 1) * rng.standard_normal(game.n))
        difference = np.exp(log_pi) - np.exp(star)
        own = 2 * tau * float(kl_divergence(log_pi, star))
        span = np.ptp(game.K @ difference) ** 2 / (4 * tau)
        gap = float(regularized_gap(game, log_pi, tau=tau))
        assert own * (1 - 1e-9) <= gap <= (own + span) * (1 + 1e-9) + 1e-15  # rounding of divergences
        other = 2 * game.operator_constant() ** 2 / tau * float(kl_divergence(star, log_pi))
        assert span <= other * (1 + 1e-9) + 1e-15  # likewise
        closest = max(closest, gap / (own + span))
    assert closest > 0.9


def test_the_certificate_refutes_a_step_that_forgets_the_reference():
    """Mutant: (1 - eta tau) log pi + eta K pi without eta tau log mu has another fixed point, of visible gap."""
    game, tau = p3(), 0.5
    eta, log_pi = 1 / (tau + 0.5), game.log_mu
    for _ in range(200):
        half = log_softmax((1 - eta * tau) * log_pi + eta * game.K @ softmax(log_pi))
        log_pi = log_softmax((1 - eta * tau) * log_pi + eta * game.K @ softmax(half))
    assert float(regularized_gap(game, log_pi, tau=tau)) > 1e-2
    assert float(regularized_gap(game, extragradient(game, tau, 200), tau=tau)) < 1e-25  # 1.5e-16 twice: rounding level
