r"""Online sensitivity sampling with linear features, and the low-switching policy gradient with a bonus that uses it.

A feature phi is kept with probability p and then counts 1 / p times,

    x = phi' L^{-1} phi,   p = min(1, scale min(1, x)),   L <- L + phi phi' / p,   L = ridge I at first,

scale = C log T. x is the sensitivity of phi: the largest share that phi can have of the squared distance of two
functions of the class, over what is kept. With f = w . phi, |w| <= R, and slack beta,

    sup over f, f' of (f - f')^2(phi) / (|f - f'|^2_L0 + beta) = phi' (L0 + beta / (2 R)^2 I)^{-1} phi:

the ridge has the diameter 2 R of the class, for two functions of norm R may be 2 R apart.

LPO keeps its policy until det L has doubled. Then it fits critics anew to what is kept, with weights 1 / p, adds the
bonus b = min(v_max, bonus sqrt(x)), and takes K steps of natural policy gradient from the uniform policy,

    Q_h = clip(r_h + P_h V_{h+1} + b_h),   V_h = <pi_h, Q_h>,   pi_h <- pi_h exp(eta Q_h) / sum.

Source: Li, Wang, Cheng, Yang (2023), "Low-switching policy gradient with exploration via online sensitivity sampling",
arXiv:2306.09554, of which the abstract was visible; there the function class is general and has a bounded eluder
dimension. Structure from memory, the linear instance our specification, 6.3. Here episodes have stages, each with its
own critic; the features of all stages together are one linear instance, whose det L is the product over stages. The
last policy is played, not a mixture of all K. Cost of a step d^2, of a switch H (d^2 + S A d) S + K H S^2 A.
"""

from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import check_array, check_checkpoints, check_count, check_number
from mdplab.kernels.sensitivity import ROOT, SENSITIVITY, UNIFORM, lpo_run, sample_stream
from mdplab.models import LinearMDP, Trace

# Rounding of sums, against the largest entry of a matrix. The least ridge, against the largest |phi|^2: inverses that
# are updated lose digits like T |phi|^2 / ridge, and at 1e-12 the log det of 300 features is off by .001.
_ROUNDED, _LEAST_RIDGE = 1e-9, 1e-10

RULES = {"sensitivity": SENSITIVITY, "root": ROOT, "uniform": UNIFORM}


def sensitivity(phi: np.ndarray, gram: np.ndarray, *, beta: float, radius: float) -> float:
    """Largest (f - f')^2(phi) / (|f - f'|^2 + beta) over linear f, f' of norm at most `radius`.

    Parameters
    ----------
    phi : array (d,)
        The feature asked about.
    gram : array (d, d)
        Weighted sum of phi phi' over what is kept; symmetric, not negative. |f - f'|^2 is (w - w')' gram (w - w').
    beta, radius : float > 0
        Slack, and the bound on the norm of each function's parameters.

    Raises
    ------
    ValueError
        beta or radius not above 0, shapes that do not fit, numbers that are not finite, a gram that is not symmetric
        or has a negative eigenvalue, both to rounding.

    Notes
    -----
    The ratio grows with the length of w - w', at most 2 radius: there beta = beta / (2 radius)^2 |w - w'|^2, and what
    is left is Cauchy and Schwarz, attained in the direction of (gram + ridge I)^{-1} phi.

    Source
    ------
    Derived; our specification, 6.3, has beta / radius^2, which is right for a class of diameter `radius`.

    Examples
    --------
    >>> sensitivity(np.array([1.0, 0.0]), np.zeros((2, 2)), beta=1.0, radius=1.0)
    4.0
    """
    beta, radius = check_number("beta", beta, above=True), check_number("radius", radius, above=True)
    if np.ndim(phi) != 1 or not np.size(phi):
        raise ValueError(f"phi has shape {np.shape(phi)}; expected (d,)")
    phi = check_array("phi", phi, np.shape(phi))
    gram = check_array("gram", gram, (phi.size, phi.size))
    off = np.abs(gram - gram.T) > _ROUNDED * np.abs(gram).max()
    if off.any():
        i, j = np.argwhere(off)[0].tolist()
        raise ValueError(f"gram[{i}, {j}] is {gram[i, j]} and gram[{j}, {i}] {gram[j, i]}; expected a symmetric matrix")
    least = np.linalg.eigvalsh(gram)[0]
    if least < -_ROUNDED * np.abs(gram).max():
        raise ValueError(f"gram has the eigenvalue {least}; expected none below 0")
    return float(phi @ np.linalg.solve(gram + beta / (2 * radius) ** 2 * np.eye(phi.size), phi))


def sensitivity_sampling(
    features: np.ndarray,
    uniforms: np.ndarray,
    *,
    scale: float,
    ridge: float = 1.0,
    rule: str = "sensitivity",
    weighted: bool = True,
    growth: float = 2.0,
    checkpoints: Any = None,
) -> Trace:
    """Pass once over a stream of features and keep feature t where uniforms[t] is below its probability.

    Parameters
    ----------
    features : array (T, d)
    uniforms : array (T,)
        In [0, 1), such as `rng.random(T)`.
    scale : float > 0
        C log T, or what `rule` says.
    ridge : float > 0
        L at first is ridge I. At least 1e-10 of the largest |phi|^2, below which updates lose their digits.
    rule : {"sensitivity", "root", "uniform"}
        Probability min(1, scale min(1, x)); min(1, scale / sqrt(t)) at the t-th feature; min(1, scale).
    weighted : bool
        Whether what is kept counts 1 / p times; otherwise once.
    growth : float > 1
        Factor of det L that is a switch.
    checkpoints : array of ints, optional
        Numbers of features (K,) in 1..T, increasing, after which the run is recorded; T alone by default.

    Returns
    -------
    Trace
        At the checkpoints: `kept`, `switches` (K,), `log_det` (K,) of L / ridge, `potential` (K,) the sum of
        min(1, x), `probability` (K,) of the last feature, `sampled` (K, d, d) L itself, `full` (K, d, d) what it
        stands for, the ridge and all features once.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> run = sensitivity_sampling(rng.standard_normal((1000, 2)), rng.random(1000), scale=np.log(1000))
    >>> bool(run["kept"][0] < 150)
    True
    """
    if np.ndim(features) != 2 or not np.size(features):
        raise ValueError(f"features has shape {np.shape(features)}; expected (T, d)")
    T, d = np.shape(features)
    features, uniforms = check_array("features", features, (T, d)), check_array("uniforms", uniforms, (T,))
    bad = np.flatnonzero((uniforms < 0) | (uniforms >= 1))
    if bad.size:
        raise ValueError(f"uniforms[{bad[0]}] is {uniforms[bad[0]]}; expected a number in [0, 1)")
    # A list, for what cannot be hashed.
    if rule not in list(RULES):
        raise ValueError(f"rule is {rule!r}; expected one of {sorted(RULES)}")
    scale, growth = check_number("scale", scale, above=True), check_number("growth", growth, 1, above=True)
    ridge = _check_ridge(ridge, features)
    marks = check_checkpoints([T] if checkpoints is None else checkpoints, T, 1)
    out = {name: np.zeros(marks.size, dtype=np.int64) for name in ("kept", "switches")}
    out |= {name: np.zeros(marks.size) for name in ("log_det", "potential", "probability")}
    out |= {name: np.zeros((marks.size, d, d)) for name in ("sampled", "full")}
    how = (RULES[rule], scale, ridge, bool(weighted), float(np.log(growth)))
    sample_stream(features, uniforms, *how, marks, *out.values())
    return Trace(marks, out)


def lpo(
    problem: LinearMDP,
    *,
    episodes: int,
    C: float,
    bonus: float,
    eta: float,
    num_steps: int,
    rng: np.random.Generator,
    ridge: float = 1.0,
    v_max: float | None = None,
    weighted: bool = True,
    growth: float = 2.0,
    checkpoints: Any = None,
    seeds: int = 1,
) -> Trace:
    """Run low-switching policy gradient with a bonus for some seeds on the one generator.

    Parameters
    ----------
    problem
        With `start`; its features and draws of episodes and rewards are used.
    episodes : int >= 1
    C : float > 0
        Features are kept with probability min(1, C log(episodes) min(1, x)).
    bonus : float >= 0
        Weight of the bonus.
    eta : float > 0
        Step of the natural policy gradient.
    num_steps : int >= 1
        Its steps after each switch.
    rng
        Source of every draw.
    ridge : float > 0
        At least 1e-10 of the largest |phi|^2.
    v_max : float > 0, optional
        Largest value, and largest bonus; the horizon by default.
    weighted : bool
        Whether what is kept counts 1 / p times, in L and in the critic; otherwise once.
    growth : float >= 1
        Factor of det L after which the policy is computed anew; 1 means after every episode that adds to it.
    checkpoints : array of ints, optional
        Episodes (K,), increasing, before which the run is recorded; all by default.
    seeds : int >= 1

    Returns
    -------
    Trace
        At the checkpoints: `policy` (seeds, K, H, S, A), `kept` and `switches` (seeds, K) so far, `log_det` (seeds, K)
        of L / ridge, all stages together.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Examples
    --------
    >>> from mdplab.instances.episodic import deep_sea_episodic
    >>> how = {"episodes": 200, "C": 1.0, "bonus": 0.5, "eta": 20.0, "num_steps": 20, "v_max": 1.02}
    >>> run = lpo(deep_sea_episodic(4), **how, rng=np.random.default_rng(0))
    >>> bool(run["policy"][0, -1, 0, 0, 1] > 0.9)
    True
    """
    H, S, A = problem.horizon, problem.S, problem.A
    episodes, num_steps = check_count("episodes", episodes), check_count("num_steps", num_steps)
    seeds, t = check_count("seeds", seeds), check_checkpoints(checkpoints, episodes - 1)
    C, eta = check_number("C", C, above=True), check_number("eta", eta, above=True)
    bonus, v_max = check_number("bonus", bonus), check_number("v_max", H if v_max is None else v_max, above=True)
    growth, ridge = check_number("growth", growth, 1), _check_ridge(ridge, problem.phi)
    if problem.start is None:
        raise ValueError("problem.start is None; expected a first state or its distribution")
    policy, log_det = np.empty((seeds, t.size, H, S, A)), np.empty((seeds, t.size))
    kept, switches = np.empty((2, seeds, t.size), dtype=np.int64)
    draws = (problem.phi, problem.rewards(), np.cumsum(problem.kernels(), axis=3), np.cumsum(problem.start))
    # One episode alone has no logarithm.
    scale = C * float(np.log(max(episodes, 2)))
    how = (scale, bonus, eta, num_steps, ridge, v_max, bool(weighted), float(np.log(growth)))
    for i in range(seeds):
        lpo_run(*draws, *how, t, rng, policy[i], kept[i], switches[i], log_det[i])
    return Trace(t, {"policy": policy, "kept": kept, "switches": switches, "log_det": log_det})


def _check_ridge(ridge: float, features: np.ndarray) -> float:
    ridge, largest = check_number("ridge", ridge, above=True), float((features**2).sum(axis=-1).max())
    if ridge < _LEAST_RIDGE * largest:
        raise ValueError(f"ridge is {ridge}; expected at least {_LEAST_RIDGE} of the largest |phi|^2, {largest:g}")
    return ridge
