"""FixPO: gradients against differences, Adam against its definition, what the fixup phase leaves, and bad input."""

import numpy as np
import pytest
from bad_input import array, at_least, count, marks, positive

from mdplab.algorithms.policy_gradient.fixpo import RULES, fixpo, fixup_phase, kl_and_gradient
from mdplab.algorithms.policy_gradient.trpo_step import policy_quantities
from mdplab.instances import garnet
from mdplab.kernels.softmax import kl_divergence, log_softmax, softmax
from mdplab.models import MDP


def problem(key, S=6, A=3, gamma=0.9):
    return garnet(S, A, 3, gamma=gamma, rng=np.random.default_rng([91, key])).replace(mu=np.full(S, 1 / S))


def differences(f, theta, h=1e-5):
    out = np.empty_like(theta)
    for i in np.ndindex(theta.shape):
        step = np.zeros_like(theta)
        step[i] = h
        out[i] = (f(theta + step) - f(theta - step)) / (2 * h)
    return out


@pytest.mark.parametrize("reverse", [False, True])
def test_divergence_and_its_gradient(reverse):
    rng = np.random.default_rng([91, 1])
    theta, log_old = rng.standard_normal((4, 3)), log_softmax(rng.standard_normal((4, 3)))

    def total(x):
        return kl_divergence(x, log_old).sum() if reverse else kl_divergence(log_old, x).sum()

    kl, gradient = kl_and_gradient(theta, log_old, reverse=reverse)
    assert kl.sum() == pytest.approx(total(theta), rel=1e-13)  # rounding
    # Central differences: h^2 and rounding over h.
    np.testing.assert_allclose(gradient, differences(total, theta), atol=1e-9)


def test_adam_is_adam():
    """Against the sums that its recursions stand for."""
    gradients = np.random.default_rng([91, 2]).standard_normal((7, 5))
    change = RULES["adam"](0.3)
    for t in range(1, 8):
        got = change(gradients[t - 1])
        fade = np.arange(t)[::-1, None]
        mean = 0.1 * np.sum(0.9**fade * gradients[:t], axis=0) / (1 - 0.9**t)
        square = 0.001 * np.sum(0.999**fade * gradients[:t] ** 2, axis=0) / (1 - 0.999**t)
        np.testing.assert_allclose(got, -0.3 * mean / (np.sqrt(square) + 1e-8), rtol=1e-12)  # another order of sums
    np.testing.assert_allclose(RULES["adam"](0.3)(gradients[0]), -0.3 * np.sign(gradients[0]), rtol=1e-5)  # 1e-8 / |g|


@pytest.mark.parametrize("reverse", [False, True])
def test_primary_steps_descend_the_printed_loss(reverse):
    mdp = problem(3)
    how = {"eps_kl": 0.05, "num_iters": 1, "rate": 0.7, "rule": "gradient", "fixup": "off", "reverse": reverse}
    start = np.random.default_rng([91, 3]).standard_normal((6, 3))
    known = policy_quantities(mdp, softmax(start))
    d = 0.1 * known.occupancy
    beta = 2.0
    first, second = (fixpo(mdp, epochs=n, theta0=start, beta0=beta, beta_rate=0.0, **how)["theta"][1] for n in (1, 2))

    def loss(x):
        kl = kl_divergence(x, start) if reverse else kl_divergence(start, x)
        return -d @ np.sum(softmax(x) * known.advantage, axis=1) + beta * d @ kl

    for before, after in ((start, first), (first, second)):
        # Central differences of sums of size ten.
        np.testing.assert_allclose(after - before, -0.7 * differences(loss, before), atol=1e-8)


def test_beta_falls_where_there_is_room_and_rises_where_there_is_none():
    mdp = problem(4)
    how = {"num_iters": 1, "epochs": 1, "beta_rule": "sign", "beta_rate": 0.25, "fixup": "off"}
    # At the first step KL is 0.
    assert fixpo(mdp, eps_kl=0.05, beta0=1.0, **how)["beta"].tolist() == [1.0, 0.75]
    assert fixpo(mdp, eps_kl=0.05, beta0=0.1, **how)["beta"].tolist() == [0.1, 0.0]
    # A long first step leaves the region a third of eps_kl large, hence down, then up.
    run = fixpo(mdp, eps_kl=0.05, beta0=1.0, rate=1.0, **(how | {"epochs": 2}))
    assert 3 * run["kl_primary"][1] > 0.05 and run["beta"][1] == 1.0


def test_the_loss_of_beta_has_the_printed_slope():
    """Plain steps of beta, which see more than the sign of eps_kl - c_beta max KL; theta moves before beta does."""
    mdp = problem(4)
    how = {"num_iters": 1, "beta_rule": "gradient", "beta_rate": 0.5, "fixup": "off", "eps_kl": 0.05, "c_beta": 2.0}
    one, two, three = (fixpo(mdp, epochs=n, **how) for n in (1, 2, 3))
    # Slopes are those before the step in theta: 0, then what the first and the second step left.
    for before, after, kl in (
        (1.0, one, 0.0),
        (one["beta"][1], two, one["kl"][1]),
        (two["beta"][1], three, two["kl"][1]),
    ):
        assert after["beta"][1] == pytest.approx(before - 0.5 * (0.05 - 2 * kl), abs=1e-15)  # a few roundings
    start = np.array([[1.0, -1.0]])
    how = {"weights": np.ones(1), "eps_kl": 0.1, "rate": 1.0, "beta_rule": "gradient", "beta_rate": 0.5, "c_beta": 2.0}
    once = fixup_phase(start, np.zeros((1, 2)), beta=0.0, max_sweeps=1, **how)
    assert np.array_equal(once.theta, start)
    assert once.beta == pytest.approx(-0.5 * (0.1 - 2 * once.kl[0, 0]), abs=1e-15)  # a few roundings


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"c_beta": 1.0, "beta_rule": "sign", "reset": True},
        {"batches": 3, "fixup": "epoch", "epochs": 5},
        {"rule": "gradient", "rate": 4.0},
    ],
)
def test_every_state_is_within_the_region_and_steps_add_up(how):
    mdp = problem(5)
    run = fixpo(mdp, eps_kl=0.03, num_iters=20, rng=np.random.default_rng([91, 5]), **how)
    moved = kl_divergence(run["theta"][:-1], run["theta"][1:]).max(axis=1)
    assert run.status == "ok" and moved.max() <= 0.03 and run["fixup_steps"][-1] > 0
    np.testing.assert_allclose(run["kl"][1:], moved, atol=1e-14)  # the textbook formula's rounding
    assert run["primary_steps"].tolist() == [how.get("epochs", 20) * how.get("batches", 1) * k for k in range(21)]
    acted = np.diff(run["fixup_steps"]) > 0
    if how.get("fixup") != "epoch":
        assert np.array_equal(acted, run["kl_primary"][1:] > 0.03) and np.array_equal(acted, run["sweeps"][1:] > 1)
    assert run["objective"][-1] > run["objective"][0] + 1
    best = policy_quantities(mdp, softmax(run["theta"][7])).objective
    assert run["objective"][7] == pytest.approx(best, rel=1e-14)  # the same solve


def test_ablations_differ_only_where_they_act():
    mdp = problem(6)
    wide = {"eps_kl": 10.0, "num_iters": 4}
    off = fixpo(mdp, fixup="off", **wide)["theta"]
    assert np.array_equal(off, fixpo(mdp, **wide)["theta"])
    reset = fixpo(mdp, reset=True, **wide)["theta"]
    assert np.array_equal(off[1], reset[1]) and not np.array_equal(off[2], reset[2])
    # Held against the mean, the region is left by the largest.
    mean = fixpo(mdp, eps_kl=0.03, num_iters=10, statistic="mean")
    assert mean.status == "ok" and mean["kl"].max() > 0.03


def test_reset_forgets_the_moments_of_theta_only():
    how = {"eps_kl": 0.03, "num_iters": 6, "rule": "gradient", "rate": 1.0}
    kept, reset = (fixpo(problem(6), reset=reset, **how) for reset in (False, True))
    # Plain steps have no moments, and those of beta stay.
    assert np.array_equal(kept["beta"], reset["beta"]) and np.unique(kept["beta"]).size > 2


def test_beta_is_carried_on_from_the_fixup_phase():
    how = {"eps_kl": 0.01, "num_iters": 1, "beta_rule": "sign", "beta_rate": 1 / 64}
    off, run = (fixpo(problem(6), fixup=fixup, **how) for fixup in ("off", "iteration"))
    # Every step of the phase raises it, as C_beta is 3; sixty-fourths are exact.
    assert run["beta"][1] == off["beta"][1] + run["fixup_steps"][1] / 64 > off["beta"][1]


def test_fixup_after_each_pass():
    how = {"eps_kl": 0.01, "num_iters": 1, "rate": 0.5}
    first = fixpo(problem(6), epochs=1, **how)["fixup_steps"][1]
    end, each = (fixpo(problem(6), epochs=2, fixup=fixup, **how) for fixup in ("iteration", "epoch"))
    # The pass in between is mended too, as if it were the last.
    assert 0 < first < each["fixup_steps"][1] and not np.array_equal(end["theta"], each["theta"])


def test_minibatches_are_drawn_and_mended_apart():
    how = {"eps_kl": 0.03, "num_iters": 2, "batches": 3}
    runs = [fixpo(problem(6), rng=np.random.default_rng([91, key]), **how)["theta"] for key in (1, 1, 2)]
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])
    # Plain steps, with a state a batch: the first sweep takes one step for each state that is outside.
    how = {"eps_kl": 0.002, "num_iters": 1, "epochs": 1, "batches": 6, "rule": "gradient", "rate": 1.0}
    off, once = (
        fixpo(problem(6), rng=np.random.default_rng([91, 3]), **how, **changes)
        for changes in ({"fixup": "off"}, {"max_sweeps": 1})
    )
    outside = kl_divergence(*off["theta"]) > 0.002
    assert once["fixup_steps"][1] == outside.sum() and 1 < outside.sum() < 6
    # A state of another batch, of weight 0, may be as far off as it likes.
    start, how = np.array([[0.1, 0.0], [9.0, 0.0]]), {"eps_kl": 0.1, "beta": 1.0, "rate": 1.0}
    done = fixup_phase(start, np.zeros((2, 2)), weights=np.array([1.0, 0.0]), **how)
    assert done.clean and done.steps == 0 and done.kl.max() > 1


def test_states_that_are_never_visited_stay():
    P = np.zeros((2, 2, 2))
    P[:, :, 0] = 1
    mdp = MDP(P, [[1.0, 0.0], [0.0, 1.0]], 0.5, mu=[1.0, 0.0])
    run = fixpo(mdp, eps_kl=0.01, num_iters=5, batches=3, rng=np.random.default_rng([91, 7]))
    assert np.ptp(run["theta"][:, 1]) == 0 and run["theta"][-1, 0, 0] > 0.1
    # One visited state makes one minibatch.
    assert run["primary_steps"][-1] == 100


def test_giving_up_is_reported():
    run = fixpo(problem(8), eps_kl=0.03, num_iters=30, max_sweeps=1, checkpoints=[0, 30])
    last = run.t[-1]
    assert run.status.startswith(f"fixup gave up at t={last} after 1 sweeps: KL ")
    assert run.t.tolist() == [0, last] and last < 30 and run["kl"][-1] > 0.03


def test_checkpoints_pick_rows():
    how = {"eps_kl": 0.05, "num_iters": 6}
    full, some = fixpo(problem(9), **how), fixpo(problem(9), checkpoints=[2, 5], **how)
    for name in full.columns:
        assert np.array_equal(full[name][[2, 5]], some[name])


def test_the_fixup_phase_cycles_at_four_log_three():
    lead = np.log(3)
    start = np.array([[lead / 2, -lead / 2]])
    done = fixup_phase(
        start, np.zeros((1, 2)), weights=np.ones(1), eps_kl=0.14, beta=1.0, beta_rate=0.0, rate=4 * lead, max_sweeps=9
    )
    # The cycle repels: an error grows by half a step.
    np.testing.assert_allclose(done.kl, np.log(4 / 3) / 2, atol=1e-13)
    np.testing.assert_allclose(done.theta, -start, atol=1e-13)
    assert not done.clean and done.steps == 9


@pytest.mark.parametrize(("c_beta", "clean"), [(0.5, False), (1.0, True)])
def test_a_small_coefficient_is_a_deadlock(c_beta, clean):
    start = np.array([[1.0, -1.0]])
    eps_kl = float(kl_divergence(np.zeros(2), start[0])) / 1.5
    done = fixup_phase(
        start, np.zeros((1, 2)), weights=np.ones(1), eps_kl=eps_kl, beta=0.0, rate=1.0, c_beta=c_beta, max_sweeps=200
    )
    assert done.clean is clean and (done.beta > 0) is clean
    if not clean:
        assert np.array_equal(done.theta, start) and len(done.kl) == 200


FIXPO_FAULTS = [
    *(fault for name in ("eps_kl", "rate", "c_beta") for fault in positive(name)),
    *(fault for name in ("beta0", "beta_rate") for fault in at_least(name)),
    *(fault for name in ("epochs", "batches", "max_sweeps") for fault in count(name)),
    *count("num_iters", 0),
    *marks(1),
    *array("theta0", (6, 3)),
    ({"batches": 2}, "^rng is None; batches is 2"),
    *(({name: "median"}, f"^{name} is 'median'; ") for name in ("rule", "beta_rule", "fixup", "statistic")),
]


@pytest.mark.parametrize(("changes", "message"), FIXPO_FAULTS)
def test_bad_input_is_named(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        fixpo(problem(10), **({"eps_kl": 0.05, "num_iters": 1} | changes))
    assert "\n" not in str(caught.value)


PHASE_FAULTS = [
    *(fault for name in ("eps_kl", "rate", "c_beta") for fault in positive(name)),
    *(fault for name in ("beta", "beta_rate") for fault in at_least(name)),
    *count("max_sweeps"),
    *array("theta", (1, 2))[:1],
    *array("log_old", (1, 2)),
    ({"log_old": [[0.0, -np.inf]]}, r"^log_old\[0, 1\] is -inf; "),
    ({"theta": np.zeros(2)}, r"^theta has shape \(2,\)"),
    ({"weights": np.ones(2) / 2}, r"^weights has shape \(2,\)"),
    ({"weights": [np.nan]}, r"^weights\[0\] is nan; "),
    ({"weights": [2.0]}, "^the sum of weights is 2.0; "),
    ({"theta": np.zeros((2, 2)), "log_old": np.zeros((2, 2)), "weights": [1.5, -0.5]}, r"^weights\[1\] is -0.5; "),
    *(({name: "sgd"}, f"^{name} is 'sgd'; ") for name in ("rule", "beta_rule")),
]


@pytest.mark.parametrize(("changes", "message"), PHASE_FAULTS)
def test_bad_input_to_the_phase_is_named(changes, message):
    good = {"theta": np.zeros((1, 2)), "log_old": np.zeros((1, 2)), "weights": np.ones(1), "eps_kl": 0.1, "beta": 1.0}
    with pytest.raises(ValueError, match=message):
        fixup_phase(**(good | {"rate": 1.0} | changes))


def test_bad_problems_and_tables_are_named():
    with pytest.raises(ValueError, match="mu"):
        fixpo(garnet(3, 2, 2, gamma=0.9, rng=np.random.default_rng([91])), eps_kl=0.1, num_iters=1)
    mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0], actions=[[True, False]])
    with pytest.raises(ValueError, match=r"^mdp.actions\[0, 1\] is False; "):
        fixpo(mdp, eps_kl=0.1, num_iters=1)
    for changes, message in [*array("log_old", (1, 2)), ({"theta": np.zeros(2)}, r"^theta has shape \(2,\)")]:
        with pytest.raises(ValueError, match=message):
            kl_and_gradient(**({"theta": np.zeros((1, 2)), "log_old": np.log([[0.5, 0.5]])} | changes))


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_logits_that_overflow_are_not_within_the_region():
    """Their divergence is nan, which compares as nothing at all."""
    how = {"weights": np.ones(1), "eps_kl": 0.1, "beta": 1e300, "rate": 1e300, "max_sweeps": 3}
    done = fixup_phase(np.array([[2.0, 0.0]]), np.zeros((1, 2)), **how)
    assert np.isnan(done.kl[-1]).all() and not done.clean
    with pytest.raises(ValueError, match=r"^rate is 1e\+308; .* overflow in iteration 1$"):
        fixpo(problem(10), eps_kl=0.05, num_iters=2, rate=1e308, beta0=1e3, rule="gradient", max_sweeps=3)
