"""Bad input to every public function of the folder: one line that names the argument, and index and value if any.

Nothing here compiles a kernel: arguments are looked at before that.
"""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from bad_input import array, at_least, count, entries, marks, positive, schedule

from mdplab.algorithms import policy_gradient
from mdplab.instances.ecrm import random_ecrm
from mdplab.instances.episodic import deep_sea_episodic
from mdplab.instances.policy_gradient import qchain
from mdplab.models import MDP, LinearMDP
from mdplab.models.utility import linear_utility

RNG = np.random.default_rng([640])
S, A = 3, 2
MODEL = MDP(RNG.dirichlet(np.ones(S), (S, A)), RNG.random((S, A)), 0.8, mu=np.full(S, 1 / S))
NO_START = MDP(MODEL.P, MODEL.r, 0.8)
MASKED = MODEL.replace(actions=[[True, True], [True, False], [True, True]])
# Without discounting a model needs an end.
UNDISCOUNTED = MDP(np.eye(S)[np.full((S, A), S - 1)], [[1.0, 0.0]] * (S - 1) + [[0.0, 0.0]], 1.0, mu=MODEL.mu)
EPISODIC = MDP(MODEL.P, MODEL.r, 0.8, mu=MODEL.mu, horizon=4)
ECRM = random_ecrm(2, 2, num_costs=2, gamma=0.5, weight=0.5, tail=0.4, rng=RNG)
UNIFORM, LOGITS, NAN = np.full((S, A), 1 / A), np.zeros((S, A)), np.full((S, A), np.nan)
STATES, ACTIONS = np.array([[0, 1, 2], [2, 2, 0]]), np.array([[0, 1, 1], [1, 0, 0]])
FIRST, LATER = np.full((2, 2, 2), 1 / 4), np.full((2, 2, 2, 2), 1 / 4)


def parts(module):
    return importlib.import_module(f"mdplab.algorithms.policy_gradient.{module}")


def models(*, start=True, discount=True, name="mdp"):
    out = [({name: MASKED}, r"^mdp\.actions\[1, 1\] is False; ")]
    if start:
        out.append(({name: NO_START}, r"^mdp\.mu is None; "))
    if discount:
        out += [({name: UNDISCOUNTED}, "^mdp has gamma 1 "), ({name: EPISODIC}, "^mdp has gamma 0.8 and horizon 4; ")]
    return out


def steps_of(**others):
    """Given trajectories: states and actions in range and of one shape."""
    bad = [
        ({"states": np.where(STATES == 2, 3, STATES)}, r"^states\[0, 2\] is 3; "),
        ({"actions": np.where(ACTIONS == 1, -1, ACTIONS)}, r"^actions\[0, 1\] is -1; "),
        ({"actions": ACTIONS[:, :2]}, r"^actions has shape \(2, 2\)"),
    ]
    return bad + [fault for name, shape in others.items() for fault in array(name, shape)]


RUN = {"eta": np.r_[1.0, 0.5 * np.ones(4)], "step": np.ones(5), "checkpoints": [4], "rng": RNG}
RUN_FAULTS = [
    *entries("eta", 5, 1),
    *entries("step", 5),
    *marks(4),
    *count("seeds"),
    ({"step": np.ones(6)}, r"^eta has shape \(5,\)"),
]
START = array("theta0", (S, A))
ORACLE = {"oracle": policy_gradient.SoftmaxTrajectory(MODEL, 3)}
ONE_STEP = [f for f in RUN_FAULTS + START if "eta" not in f[0] and f[1] != r"^eta has shape \(5,\)"]
SAMPLED = {"horizon": 4, "batch": 2, "num_iters": 5, "checkpoints": [5], "rng": RNG}
SAMPLED_FAULTS = [*count("horizon"), *count("batch"), *count("num_iters"), *count("seeds"), *marks(5)]
ITERATED = {"mdp": MODEL, "num_iters": 3, "checkpoints": [3]}
ITERATED_FAULTS = [*count("num_iters", 0), *marks(3)]
POLYAK = {"oracle": lambda x: (0.0, x), "num_iters": 5, "checkpoints": [5]}
POLYAK_FAULTS = [*count("num_iters"), *marks(5)]
RULE = [*positive("c"), *positive("cap", inf=False)]
PATHS = {"scores": np.ones((2, 3, 6)), "rewards": np.ones((2, 3)), "gamma": 0.8}
PATHS_FAULTS = [
    ({"rewards": np.ones((2, 4))}, "^scores and rewards have shapes"),
    ({"gamma": 1.5}, "^gamma is 1.5; "),
    ({"gamma": np.nan}, "^gamma is nan; "),
]
GIVEN = {"theta": LOGITS, "states": STATES, "actions": ACTIONS}
NPG = {"mdp": MODEL, "features": np.eye(S * A).reshape(S, A, -1), "theta": np.zeros(S * A)}
NPG_FAULTS = [
    *models(),
    ({"features": np.ones((S, A, 2))}, "^features and theta have shapes"),
    ({"theta": np.full(S * A, np.inf)}, r"^theta\[0\] is inf; "),
]
TOO_FEW = ({"starts": (LOGITS,)}, "^starts has 1 entries; ")
STARTS = [
    TOO_FEW,
    ({"starts": (LOGITS, NAN)}, r"^starts\[1\]\[0, 0\] is nan; "),
    ({"starts": (LOGITS, LOGITS[:2])}, r"^starts\[1\] has shape \(2, 2\)"),
]
MU = (np.full(2, 1 / 6), np.full((2, 2), 1 / 6))
PAIR = [
    ({"mu": (np.ones(3), MU[1])}, r"^mu\[0\] has shape \(3,\)"),
    ({"mu": (MU[0], np.ones(2))}, r"^mu\[1\] has shape"),
]
ECRM_RUN = {"problem": ECRM, "num_iters": 5, "checkpoints": [5], "mu": MU}
ECRM_FAULTS = [*count("num_iters"), *marks(5), *positive("step")]
AUGMENTED = [({"mu": np.ones(6)}, "^mu"), ({"mu": np.full(5, 0.2)}, "^mu has")]
REGRESSION = {"mdp": MODEL, "features": np.ones((S, A, 1)), "horizon": 3, "rng": RNG}
REGRESSION_FAULTS = [
    *models(discount=False),
    *count("horizon"),
    *positive("beta"),
    *array("features", (S, A, 1))[:1],
    ({"features": np.ones((2, A, 1))}, "^features has shape"),
    ({"states": np.ones(S)}, "^states"),
]
STREAM = {"features": np.ones((3, 1)), "uniforms": np.zeros(3), "scale": 1.0}
STREAM_FAULTS = [
    *array("features", (3, 1))[:1],
    *array("uniforms", (3,)),
    *positive("scale"),
    *positive("ridge"),
    *marks(3, 1),
    ({"features": np.ones(3)}, r"^features has shape \(3,\)"),
    ({"features": np.ones((3, 0))}, r"^features has shape \(3, 0\)"),
    ({"uniforms": [0.0, 1.0, 0.0]}, r"^uniforms\[1\] is 1\.0; "),
    ({"uniforms": [0.0, 0.0, -0.5]}, r"^uniforms\[2\] is -0\.5; "),
    ({"growth": 1.0}, r"^growth is 1\.0; "),
    ({"growth": np.nan}, "^growth is nan; "),
    ({"rule": "best"}, "^rule is 'best'; "),
    ({"ridge": 1e-11}, r"^ridge is 1e-11; .*, 1$"),
]
SEA = deep_sea_episodic(3)
LPO = {"problem": SEA, "episodes": 5, "C": 1.0, "bonus": 0.5, "eta": 1.0, "num_steps": 2, "rng": RNG}
LPO_FAULTS = [
    *count("episodes"),
    *count("num_steps"),
    *count("seeds"),
    *positive("C"),
    *positive("eta"),
    *positive("v_max"),
    *positive("ridge"),
    *at_least("bonus"),
    *at_least("growth", 1.0),
    *marks(4),
    ({"problem": LinearMDP([[[1.0]]], [[1.0]], [1.0], 2)}, r"^problem\.start is None; "),
    ({"problem": LinearMDP(1e6 * SEA.phi, SEA.mu / 1e6, SEA.theta / 1e6, 3, start=0)}, r"^ridge is 1\.0; .*, 1e\+12$"),
]
GRAM = {"phi": np.ones(2), "gram": np.eye(2), "beta": 1.0, "radius": 1.0}
GRAM_FAULTS = [
    *positive("beta"),
    *positive("radius"),
    *array("gram", (2, 2)),
    ({"phi": [1.0, np.nan]}, r"^phi\[1\] is nan; "),
    ({"phi": np.ones((1, 2))}, r"^phi has shape \(1, 2\)"),
    ({"gram": [[1.0, 0.5], [0.0, 1.0]]}, r"^gram\[0, 1\] is 0\.5 and gram\[1, 0\] 0\.0; "),
    ({"gram": np.diag([1.0, -0.5])}, r"^gram has the eigenvalue -0\.5; "),
]
FIXPO = {"mdp": MODEL, "eps_kl": 0.1, "num_iters": 2}
FIXPO_FAULTS = [
    *models(discount=False),
    *positive("eps_kl"),
    *positive("rate"),
    *count("num_iters", 0),
    *marks(2),
    *START,
]
FIXUP = {"theta": LOGITS, "log_old": LOGITS, "weights": np.full(S, 1 / S), "eps_kl": 0.1, "beta": 1.0, "rate": 1.0}
CHAIN = {"P": MODEL.P, "pi": UNIFORM, "table": np.ones((S, A, 1)), "T": 2, "N": 2}
CHAIN |= {"start": MODEL.mu, "replicates": 2, "rng": RNG}
UTILITY = [({"utility": linear_utility(np.ones((2, 2)))}, r"^utility\.reward has shape \(2, 2\)")]

# module: {function: (valid arguments, [(what is changed, message)])}.
# fmt: off
TABLE = {
    "ascent": {
        "ascend": (ORACLE | RUN, [*RUN_FAULTS, *START, *array("look_ahead", (5,)), *array("carry", (5,))]),
    },
    "vanilla": {
        "vanilla_schedule": schedule(("gamma0", 1.0)),
        "policy_gradient": (ORACLE | {k: v for k, v in RUN.items() if k != "eta"}, ONE_STEP),
        "normalized_policy_gradient": (ORACLE | {k: v for k, v in RUN.items() if k != "eta"}, ONE_STEP),
    },
    "normalized_momentum": {
        "momentum_schedule": schedule(("gamma0", 1.0)),
        "normalized_momentum": (ORACLE | RUN, RUN_FAULTS + START),
    },
    "n_pg_igt": {
        "igt_schedule": schedule(("gamma0", 1.0)),
        "look_ahead": (None, []),
        "n_pg_igt": (ORACLE | RUN, RUN_FAULTS + START),
    },
    "harpg": {
        "harpg_schedule": schedule(("gamma0", 0.1)),
        "n_harpg_schedule": schedule(("gamma0", 1.0)),
        "harpg": (ORACLE | RUN, RUN_FAULTS + START),
        "n_harpg": (ORACLE | RUN, RUN_FAULTS + START),
    },
    "ablations": {name: (ORACLE | {"num_iters": 5, "gamma0": 1.0, "checkpoints": [4], "rng": RNG}, [*count("num_iters"),
        *positive("gamma0"), *marks(4), *count("seeds"), *START]) for name in ("transport", "momentum", "longer",
        "hessian_aided", "hessian_aided_free", "no_look_ahead", "one_over_eta", "next_eta", "backwards", "two_fifths",
        "constant", "no_correction", "correction_backwards", "correction_undamped", "hessian_aided_slow", "vanilla",
        "normalised")},
    "estimators": {
        "softmax_score": (GIVEN, steps_of(theta=(S, A))[:4]),
        "softmax_bend": ({"theta": LOGITS, "states": STATES, "u": LOGITS}, [steps_of()[0], *array("u", (S, A)),
            ({"theta": np.ones(3)}, r"^theta has shape \(3,\)")]),
        "reinforce": (PATHS, PATHS_FAULTS),
        "gpomdp": (PATHS, PATHS_FAULTS),
        "hessian_vector": (PATHS | {"bends": PATHS["scores"], "u": np.ones(6)}, [*PATHS_FAULTS, *array("u", (6,)),
            ({"bends": np.ones((2, 3, 5))}, r"^bends has shape \(2, 3, 5\)")]),
        "likelihood_ratio": (GIVEN | {"drawn_at": LOGITS}, steps_of(drawn_at=(S, A))),
        "NoisyGradient": ({"chain": qchain(), "noise": 0.1}, [*at_least("noise")]),
        "SingleTrajectory": ({"chain": qchain(), "horizon": 3}, count("horizon")),
        "SoftmaxTrajectory": ({"mdp": MODEL, "horizon": 3}, [*count("horizon"), *models(discount=False)]),
    },
    "general_utility": {
        "occupancy_estimate": ({"states": STATES, "actions": ACTIONS, "gamma": 0.8, "shape": (S, A)}, [*steps_of(),
            ({"gamma": 1.5}, "^gamma is 1.5")]),
        "pseudo_gradient": (GIVEN | {"r": LOGITS, "gamma": 0.8}, [*steps_of(), ({"gamma": -0.5}, "^gamma is -0.5; ")]),
        "importance_weight": (GIVEN | {"theta_new": LOGITS}, steps_of(theta_new=(S, A))),
        "sampling_arguments": ({"mdp": MODEL, "horizon": 3}, [*count("horizon"), *models(discount=False)]),
        "utility_arguments": ({"utility": linear_utility(LOGITS), "mdp": MODEL}, UTILITY),
        "check_schedule": ({"step": np.ones(5), "eta": np.ones(5)}, [*entries("step", 5), *entries("eta", 5, 1)]),
        "check_logits": ({"name": "theta0", "theta": LOGITS, "mdp": MODEL}, [({"theta": NAN},
            r"^theta0\[0, 0\] is nan; ")]),
        "raise_fault": (None, []),
    },
    "n_vr_pg": {
        "global_schedule": schedule(("alpha0", 1.0)),
        "stationary_schedule": schedule(("alpha0", 1.0)),
        "n_vr_pg": (RUN | {"mdp": MODEL, "utility": linear_utility(LOGITS), "horizon": 3}, [*RUN_FAULTS, *START,
            *models(discount=False), *count("horizon"), *UTILITY, ({"eta": np.full(5, 0.5)}, r"^eta\[0\] is 0\.5; "),
            ({"turn": np.nan}, "^turn is nan; ")]),
        "corrected_estimates": ({"model": (np.ones(3),), "theta": LOGITS, "previous": LOGITS, "pairs": np.zeros((2, 3),
            int), "eta": 0.5, "lam": LOGITS, "d": LOGITS, "r": LOGITS, "r_old": LOGITS}, [({"pairs": np.full((2, 3),
            6)}, r"^pairs\[0, 0\] is 6; "), *positive("eta"), *array("r", (S, A)), *array("previous", (S, A))]),
    },
    "occupancy_regression": {
        "regress_occupancy": (REGRESSION | {"theta": LOGITS, "checkpoints": [2]}, [*REGRESSION_FAULTS,
            *marks(np.iinfo(np.int64).max, 1), *array("theta", (S, A))]),
        "occupancy_regression_pg": (REGRESSION | {"utility": linear_utility(LOGITS), "step": np.ones(5),
            "regression_steps": 1, "batch": 1, "checkpoints": [4]}, [*REGRESSION_FAULTS, *entries("step", 5),
            *count("regression_steps"), *count("batch"), *marks(4), *count("seeds"), *START, *UTILITY]),
    },
    "npg": {
        "tabular_features": (None, []),
        **{name: (NPG, NPG_FAULTS) for name in ("fisher_direction", "compatible_direction", "paired_direction")},
        "npg": (ITERATED | {"eta": 0.1, "features": NPG["features"]}, [*ITERATED_FAULTS, *models(), *positive("eta"),
            ({"features": np.ones((2, A, 2))}, "^features and theta have shapes"), ({"theta0": np.full(S * A, np.nan)},
            r"^theta\[0\] is nan; "), ({"direction": "steepest"}, "^direction is 'steepest'; ")]),
    },
    "mdpo": {
        "annealed_steps": ({"num_iters": 3}, count("num_iters")),
        "mdpo_step": ({"pi": UNIFORM, "gain": LOGITS, "step": 0.1}, [*positive("step"), *at_least("tau"), *array("gain",
            (S, A)), ({"pi": 2 * UNIFORM}, r"^the sum of pi\[0\] is 2\.0; ")]),
        "inner_steps": ({"log_pi": np.log(UNIFORM), "advantage": LOGITS, "step": 0.1, "rate": 0.1, "num_steps": 2},
            [*positive("step"), *positive("rate"), *count("num_steps", 0), *array("advantage", (S, A)),
            *array("weights", (S,)), ({"log_pi": NAN}, r"^log_pi\[0, 0\] is nan; ")]),
        "mdpo": (ITERATED | {"step": 0.1}, [*ITERATED_FAULTS, *models(start=False), *positive("step"), *entries("step",
            3)[2:], *at_least("tau"), *array("log_pi0", (S, A)), ({"step": np.ones(4)}, r"^step has shape \(4,\)")]),
    },
    "md_vi": {
        "md_vi_step": ({"log_pi": LOGITS, "q": LOGITS, "lam": 1.0}, [*at_least("lam"), *at_least("tau"), ({"q":
            LOGITS[:2]}, r"^log_pi has shape \(3, 2\)")]),
        "regularized_value": (None, []),
        "md_vi": (ITERATED | {"lam": 1.0, "tau": 0.0}, [*ITERATED_FAULTS, *models(start=False), *at_least("lam"),
            *at_least("tau"), *array("q0", (S, A)), *array("errors", (3, S, A))]),
    },
    "munchausen": {name: (ITERATED | {"alpha": 0.5, "tau": 0.1} | extra, [*ITERATED_FAULTS, *models(start=False),
        *positive("tau"), *at_least("alpha"), *array("m0", (S, A)), *array("errors", (3, S, A)), ({"alpha": 1.5},
        "^alpha is 1.5; "), *(positive("q") if extra else [])]) for name, extra in (("munchausen_vi", {}),
        ("general_munchausen_vi", {"q": 2.0}))},
    "tsallis": {
        "log_q": (None, []),
        "exp_q": (None, []),
        "tsallis_kl": (None, []),
        "tsallis_greedy": ({"Q": LOGITS, "mu": UNIFORM, "tau": 0.1, "q": 2.0}, [*positive("tau"), *positive("q"), ({"Q":
            NAN}, r"^Q\[0, 0\] is nan; "), ({"mu": -UNIFORM}, r"^mu\[0, 0\] is -0\.5; "), ({"mu": LOGITS},
            r"^mu\[0\] has no positive"), ({"mu": UNIFORM[:2]}, "^Q and mu have shapes")]),
        "tsallis_vi": (ITERATED | {"tau": 0.1, "q": 2.0}, [*ITERATED_FAULTS, *models(start=False), *positive("tau"),
            *positive("q"), *array("q0", (S, A)), *array("errors", (3, S, A))]),
    },
    "trpo_step": {
        "policy_quantities": ({"mdp": MODEL, "pi": UNIFORM}, [*array("pi", (S, A)), ({"pi": 2 * UNIFORM},
            r"^the sum of pi\[0\] is 2\.0; "), ({"pi": -UNIFORM}, r"^pi\[0, 0\] is -0\.5; "), *models()[1:], ({"mdp":
            MASKED}, r"^pi\[1, 1\] is 0\.5; the action is not available")]),
        "surrogate": (None, []),
        "mixing_step": ({"mdp": MODEL, "pi": UNIFORM}, [*array("pi", (S, A)), *positive("constant"), *models()[1:]]),
    },
    "polyak": {
        "polyak_step": ({"shortfall": 1.0, "gradient": np.ones(2)}, RULE),
        "polyak_gradient": (POLYAK | {"theta0": np.ones(2), "best": 0.0}, [*POLYAK_FAULTS, *RULE, ({"best": np.nan},
            "^best is nan; "), ({"best": np.inf}, "^best is inf; "), ({"theta0": [np.nan]}, r"^theta0\[0\] is nan; ")]),
        "constant_gradient": (POLYAK | {"theta0": np.ones(2), "step": 0.1}, [*POLYAK_FAULTS, *positive("step")]),
        "twin_gradient": (POLYAK | {"starts": (LOGITS, LOGITS)}, [*POLYAK_FAULTS, *RULE, *STARTS]),
    },
    "sampled_polyak": {
        "sampled_polyak": (SAMPLED | {"mdp": MODEL, "best": 1.0}, [*SAMPLED_FAULTS, *RULE, *at_least("tau"), *START,
            *models(discount=False), ({"best": np.nan}, "^best is nan; "), ({"best": np.inf}, "^best is inf; ")]),
        "sampled_twins": (SAMPLED | {"mdp": MODEL, "starts": (LOGITS, LOGITS)}, [*SAMPLED_FAULTS, *RULE,
            *at_least("tau"), *STARTS, *models(discount=False)]),
        "path_estimates": ({"mdp": MODEL, "log_pi": LOGITS, "paths": np.zeros((2, 3), int)}, [*array("log_pi", (S, A)),
            *at_least("tau"), *models(discount=False), ({"paths": np.full((2, 3), 6)}, r"^paths\[0, 0\] is 6; "),
            ({"paths": np.zeros(3, int)}, r"^paths has shape \(3,\)")]),
    },
    "sampled_ecrm": {
        "sampled_barrier": (SAMPLED | {"problem": ECRM, "barrier": 0.1, "step": 1.0}, [*SAMPLED_FAULTS,
            *positive("step"), *at_least("barrier"), *AUGMENTED]),
        "sampled_projected": (SAMPLED | {"problem": ECRM, "mixing": 0.1, "step": 1.0}, [*SAMPLED_FAULTS,
            *positive("step"), *AUGMENTED, *positive("mixing"),
            *(({"mixing": x}, f"^mixing is {x!r}; ") for x in (1.0, "a"))]),
        "sampled_natural": (SAMPLED | {"problem": ECRM, "tau": 0.1, "step": 1.0}, [*SAMPLED_FAULTS, *positive("step"),
            *at_least("tau"), *at_least("critic_tau"), ({"shrink": np.nan}, "^shrink is nan; ")]),
    },
    "batches": {
        "check_batches": ({"batch": 2, "num_iters": 5, "checkpoints": [5]}, [*count("batch"), *count("num_iters"),
            *marks(5)]),
        "run_seeds": ({"run": None, "arguments": (), "kept": np.arange(2), "rng": RNG, "seeds": 1}, count("seeds")),
    },
    "lpo": {
        "sensitivity": (GRAM, GRAM_FAULTS),
        "sensitivity_sampling": (STREAM, STREAM_FAULTS),
        "lpo": (LPO, LPO_FAULTS),
    },
    # More of these two in files of their own.
    "fixpo": {
        "kl_and_gradient": ({"theta": LOGITS, "log_old": LOGITS}, array("log_old", (S, A))),
        "fixup_phase": (FIXUP, [*positive("eps_kl"), *positive("rate"), *at_least("beta"), *count("max_sweeps")]),
        "fixpo": (FIXPO, FIXPO_FAULTS),
    },
    "many_actions": {
        "score_table": ({"pi": UNIFORM, "q": LOGITS}, array("q", (S, A))),
        "many_actions_gradient": (CHAIN, [*count("T"), *count("N"), *count("replicates"), *array("P", (S, A, S))]),
    },
    "ecrm": {
        "uniform_policies": (None, []),
        "softmax_gradients": (None, []),
        "cost_range": (None, []),
        "projected_step": ({"problem": ECRM}, [({"problem": ECRM.replace(gamma=0.0)}, "^gamma is 0.0, ")]),
        "barrier_step": ({"problem": ECRM, "barrier": 0.1}, at_least("barrier")),
        "barrier_gradients": (None, []),
        "ecrm_quantities": ({"problem": ECRM, "first": FIRST, "later": LATER}, [*array("first", (2, 2, 2)),
            *array("later", (2, 2, 2, 2)), *at_least("tau"), *PAIR]),
        "projected_gradient": (ECRM_RUN, [*ECRM_FAULTS, *PAIR]),
        "barrier_gradient": (ECRM_RUN | {"barrier": 0.1}, [*ECRM_FAULTS, *at_least("barrier"), *PAIR]),
        "natural_gradient": ({k: v for k, v in ECRM_RUN.items() if k != "mu"} | {"tau": 0.1, "step": 0.1},
            [*ECRM_FAULTS, *at_least("tau"), *at_least("error"), ({"error": 0.1}, "^error is 0.1 and rng is None; "),
            ({"shrink": np.inf}, "^shrink is inf; ")]),
    },
}
# fmt: on
CASES = [
    pytest.param(module, name, changes, message, id=f"{name}-{'-'.join(changes)}-{i}")
    for module, functions in TABLE.items()
    for name, (_, faults) in functions.items()
    for i, (changes, message) in enumerate(faults)
]


@pytest.mark.parametrize(("module", "name", "changes", "message"), CASES)
def test_bad_input_is_named_in_one_line(module, name, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        getattr(parts(module), name)(**TABLE[module][name][0] | changes)
    assert "\n" not in str(caught.value)


def is_checked(value):
    """Functions, and classes that look at their arguments."""
    return inspect.isfunction(value) or (inspect.isclass(value) and hasattr(value, "__post_init__"))


def test_every_public_function_is_in_the_table():
    """But for `arguments` itself, whose checks are what is tested here."""
    found = {module.name for module in pkgutil.iter_modules(policy_gradient.__path__)} - {"arguments"}
    assert found == set(TABLE)
    for module, functions in TABLE.items():
        public = {
            name
            for name, value in vars(parts(module)).items()
            if not name.startswith("_") and is_checked(value) and value.__module__ == parts(module).__name__
        }
        assert public == set(functions), module


@pytest.mark.parametrize(
    ("module", "name", "changes", "message"),
    [
        ("lpo", "lpo", {"C": "one"}, "^C is 'one'; "),
        ("lpo", "lpo", {"ridge": None}, "^ridge is None; "),
        ("lpo", "sensitivity_sampling", {"uniforms": [[0.0], [0.0, 0.5]]}, "^uniforms has rows of different lengths"),
        ("lpo", "sensitivity_sampling", {"features": [["a"], ["b"], ["c"]]}, "^features is of type <U1; "),
        ("lpo", "sensitivity_sampling", {"rule": ["root"]}, r"^rule is \['root'\]; "),
        ("sampled_polyak", "sampled_polyak", {"best": "V"}, "^best is 'V'; "),
        ("sampled_polyak", "sampled_polyak", {"cap": None}, "^cap is None; "),
        ("sampled_polyak", "path_estimates", {"paths": [["a", "b"]]}, "^paths is of type <U1; "),
        ("sampled_ecrm", "sampled_natural", {"checkpoints": ["5"]}, "^checkpoints is of type <U1; "),
        ("vanilla", "policy_gradient", {"step": ["a"] * 5}, "^step is of type <U1; "),
        ("mdpo", "mdpo_step", {"gain": LOGITS + 1j}, "^gain is of type complex128; "),
    ],
)
def test_what_is_no_number_is_named(module, name, changes, message):
    with pytest.raises(ValueError, match=message):
        getattr(parts(module), name)(**TABLE[module][name][0] | changes)
