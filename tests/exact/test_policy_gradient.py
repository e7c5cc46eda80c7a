import numpy as np
import pytest

from mdplab.exact import policy_gradient as exact
from mdplab.instances.policy_gradient import fnd_logit, qchain, random_bump_chain, random_quadratic_chain
from mdplab.models import MDP, SolverFailure

CHAINS = [
    qchain(),
    fnd_logit(),
    random_quadratic_chain(3, rng=np.random.default_rng([63, 1])),
    random_bump_chain(4, rng=np.random.default_rng([63, 2])),
]
H = 1e-5
# Central differences at h = 1e-5: h^2 times third derivatives of at most some tens, and rounding 1e-15 / h.
DIFFERENCES = 3e-9


@pytest.mark.parametrize("horizon", [None, 1, 6])
@pytest.mark.parametrize("chain", CHAINS, ids=["qchain", "fnd_logit", "quadratic", "bump"])
def test_location_derivatives_are_those_of_the_value(chain, horizon):
    rng = np.random.default_rng([63, 3])
    theta, u = rng.uniform(-3, 3, (4, chain.S)), rng.standard_normal((4, chain.S))
    gradient, product = exact.location_hvp(chain, theta, u, horizon=horizon)
    rise = [
        exact.location_value(chain, theta + H * e, horizon=horizon)
        - exact.location_value(chain, theta - H * e, horizon=horizon)
        for e in np.eye(chain.S)
    ]
    np.testing.assert_allclose(gradient, np.stack(rise, axis=-1) / (2 * H), rtol=0, atol=DIFFERENCES)
    ahead, behind = (exact.location_gradient(chain, theta + h * u, horizon=horizon) for h in (H, -H))
    np.testing.assert_allclose(product, (ahead - behind) / (2 * H), rtol=0, atol=DIFFERENCES)


def _model(seed):
    rng = np.random.default_rng([63, seed])
    P, r = rng.dirichlet(np.ones(3), (3, 2)), rng.random((3, 2))
    return MDP(P, r, 0.8, mu=rng.dirichlet(np.ones(3))), rng.standard_normal((3, 2)), rng.standard_normal((3, 2))


def _objective(mdp, theta, horizon):
    """J by summing over steps, a route that shares nothing with the solver."""
    pi = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
    p, total = mdp.mu, 0.0
    for t in range(horizon):
        total += mdp.gamma**t * p @ (pi * mdp.r).sum(axis=1)
        p = p @ np.einsum("sa,sat->st", pi, mdp.P)
    return total


@pytest.mark.parametrize("horizon", [None, 3])
def test_softmax_derivatives_are_those_of_the_value(horizon):
    mdp, theta, u = _model(4)
    # .8^200 = 4e-20: two hundred steps are the infinite horizon.
    steps = horizon or 200
    gradient, product = exact.softmax_hvp(mdp, theta, u, horizon=horizon)
    for i in range(theta.size):
        e = H * np.eye(theta.size)[i].reshape(theta.shape)
        rise = _objective(mdp, theta + e, steps) - _objective(mdp, theta - e, steps)
        assert abs(gradient.flat[i] - rise / (2 * H)) < DIFFERENCES
    ahead, behind = (exact.softmax_gradient(mdp, theta + h * u, horizon=horizon) for h in (H, -H))
    np.testing.assert_allclose(product, (ahead - behind) / (2 * H), rtol=0, atol=DIFFERENCES)


def test_softmax_hessian_is_symmetric_and_blind_to_shifts_of_a_row():
    mdp, theta, u = _model(5)
    _, Hu = exact.softmax_hvp(mdp, theta, u)
    v = np.random.default_rng([63, 6]).standard_normal(theta.shape)
    _, Hv = exact.softmax_hvp(mdp, theta, v)
    # Sums of six products of numbers of at most some units.
    assert abs((v * Hu).sum() - (u * Hv).sum()) < 1e-13
    shift = np.zeros_like(theta)
    shift[1] = 1.0
    # Adding a number to a row of logits changes no policy: a null direction, so never Fisher-non-degenerate.
    np.testing.assert_allclose(exact.softmax_hvp(mdp, theta, shift)[1], 0, atol=1e-14)


def test_truncated_gradients_tend_to_the_full_one():
    chain = fnd_logit()
    full = exact.location_gradient(chain, chain.theta0)
    gap = [np.abs(exact.location_gradient(chain, chain.theta0, horizon=h) - full).max() for h in (10, 20, 40)]
    # The remainder is of order H gamma^H with gamma = .7.
    assert gap[0] > 10 * gap[1] > 100 * gap[2]
    assert gap[2] < 40 * 0.7**40


def test_fnd_logit_has_the_known_optima():
    chain = fnd_logit()
    theta = exact.location_optimum(chain)
    # The numbers are known to the digits printed.
    np.testing.assert_allclose(theta, [0.51856, -1.13508], rtol=0, atol=5e-6)
    assert abs(exact.location_value(chain, theta) - 2.577794) < 5e-7
    hessian = exact.location_hvp(chain, np.tile(theta, (2, 1)), np.eye(2))[1]
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian), [-0.3712, -0.1120], rtol=0, atol=5e-5)  # digits printed
    best = exact.best_actions(chain, grid=np.linspace(-4, 4, 801))
    r, P = chain.at(best)
    assert abs(chain.rho @ np.linalg.solve(np.eye(2) - 0.7 * P, r) - 2.80472) < 1e-5


def test_best_actions_beat_every_other_pair_on_the_grid():
    chain, grid = random_bump_chain(2, rng=np.random.default_rng([63, 7])), np.linspace(-2, 2, 9)

    def value(a):
        r, P = chain.at(np.array(a))
        return chain.rho @ np.linalg.solve(np.eye(2) - chain.gamma * P, r)

    best = value(exact.best_actions(chain, grid=grid))
    assert best == max(value((a, b)) for a in grid for b in grid)


def test_arguments_are_checked_and_failure_is_said():
    mdp, theta, u = _model(8)
    with pytest.raises(ValueError, match="start distribution"):
        exact.softmax_gradient(mdp.replace(mu=None), theta)
    with pytest.raises(ValueError, match=r"u has shape \(2, 3\)"):
        exact.softmax_hvp(mdp, theta, u.T)
    with pytest.raises(SolverFailure, match="Newton"):
        exact.location_optimum(fnd_logit(), tol=1e-30)


CHAIN, LOGITS = qchain(), np.zeros((3, 2))
MODEL = MDP(np.full((3, 2, 3), 1 / 3), np.ones((3, 2)), 0.8, mu=np.full(3, 1 / 3))
# Without discounting a model needs an end.
ENDING = MDP(np.eye(3)[np.full((3, 2), 2)], [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], 1.0, mu=MODEL.mu)
MASKED = MODEL.replace(actions=[[True, True], [True, False], [True, True]])
EXACT = [
    (exact.location_value, (CHAIN, [0.0]), {}, r"^theta has shape \(1,\)"),
    (exact.location_value, (CHAIN, [0.0, np.nan]), {}, r"^theta\[1\] is nan; "),
    (exact.location_value, (CHAIN, [0.0, 0.0]), {"horizon": 0}, "^horizon is 0; "),
    (exact.location_gradient, (CHAIN, [0.0, np.inf]), {}, r"^theta\[1\] is inf; "),
    (exact.location_hvp, (CHAIN, [0.0, 0.0], [1.0]), {}, r"^u has shape \(1,\)"),
    (exact.best_actions, (CHAIN,), {"grid": []}, r"^grid has shape \(0,\)"),
    (exact.location_optimum, (CHAIN,), {"tol": 0.0}, "^tol is 0.0; "),
    (exact.softmax_gradient, (MODEL, LOGITS), {"horizon": 2.5}, "^horizon is 2.5; "),
    (exact.softmax_gradient, (MODEL, LOGITS), {"horizon": -1}, "^horizon is -1; "),
    (exact.softmax_gradient, (MODEL, 0 * LOGITS + np.nan), {}, r"^theta\[0, 0\] is nan; "),
    (exact.softmax_gradient, (MODEL, LOGITS[:2]), {}, r"^theta has shape \(2, 2\)"),
    (exact.softmax_gradient, (MODEL.replace(mu=None), LOGITS), {}, r"^mdp\.mu is None; "),
    (exact.softmax_gradient, (MASKED, LOGITS), {}, r"^mdp\.actions\[1, 1\] is False; "),
    (exact.softmax_gradient, (ENDING, LOGITS), {}, "^horizon is None and gamma 1; "),
    (exact.softmax_hvp, (MODEL, LOGITS, 0 * LOGITS + np.nan), {}, r"^u\[0, 0\] is nan; "),
]


@pytest.mark.parametrize(("function", "arguments", "options", "message"), EXACT)
def test_exact_gradients_name_theirs(function, arguments, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_without_discounting_a_horizon_is_enough():
    assert np.isfinite(exact.softmax_gradient(ENDING, LOGITS, horizon=5)).all()
