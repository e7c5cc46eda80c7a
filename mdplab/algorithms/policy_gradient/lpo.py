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

from mdplab.kernels.sensitivity import ROOT, SENSITIVITY, UNIFORM, lpo_run, sample_stream
from mdplab.models import LinearMDP, Trace

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
        beta or radius not above 0, or shapes that do not fit.

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
    phi, gram = np.asarray(phi, dtype=np.float64), np.asarray(gram, dtype=np.float64)
    for name, value in (("beta", beta), ("radius", radius)):
        _above_zero(name, value)
    if phi.ndim != 1 or gram.shape != (phi.size, phi.size):
        raise ValueError(f"phi has shape {phi.shape} and gram {gram.shape}; expected (d,) and (d, d)")
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
        L at first is ridge I.
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
    features, uniforms = np.array(features, dtype=np.float64, order="C"), np.array(uniforms, dtype=np.float64)
    if features.ndim != 2 or 0 in features.shape or uniforms.shape != features.shape[:1]:
        raise ValueError(f"features has shape {features.shape}, uniforms {uniforms.shape}; expected (T, d) and (T,)")
    bad = np.argwhere(~np.isfinite(features))
    if bad.size:
        raise ValueError(f"features{bad[0].tolist()} is {features[tuple(bad[0])]:g}; expected a finite number")
    bad = np.flatnonzero(~((uniforms >= 0) & (uniforms < 1)))
    if bad.size:
        raise ValueError(f"uniforms[{bad[0]}] is {uniforms[bad[0]]:g}; expected a number in [0, 1)")
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}; expected one of {sorted(RULES)}")
    _check_sampler(scale, ridge, growth)
    T, d = features.shape
    marks = np.array([T] if checkpoints is None else checkpoints, dtype=np.int64)
    if not marks.size or marks[0] < 1 or marks[-1] > T or np.any(np.diff(marks) <= 0):
        raise ValueError(f"checkpoints are {marks.tolist()[:5]}...; expected increasing numbers in [1, {T}]")
    out = {name: np.zeros(marks.size, dtype=np.int64) for name in ("kept", "switches")}
    out |= {name: np.zeros(marks.size) for name in ("log_det", "potential", "probability")}
    out |= {name: np.zeros((marks.size, d, d)) for name in ("sampled", "full")}
    how = (RULES[rule], float(scale), float(ridge), bool(weighted), float(np.log(growth)))
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
    v_max = float(H if v_max is None else v_max)
    for name, value in (("C", C), ("eta", eta), ("v_max", v_max)):
        _above_zero(name, value)
    if not (np.isfinite(bonus) and bonus >= 0):
        raise ValueError(f"bonus is {bonus:g}; expected a finite number of at least 0")
    for name, value in (("episodes", episodes), ("num_steps", num_steps), ("seeds", seeds)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    if growth != 1:
        _check_sampler(1.0, ridge, growth)
    _above_zero("ridge", ridge)
    if problem.start is None:
        raise ValueError("problem has no start; episodes need a first state or its distribution")
    t = np.arange(episodes) if checkpoints is None else np.array(checkpoints, dtype=np.int64)
    if not t.size or t[0] < 0 or t[-1] >= episodes or np.any(np.diff(t) <= 0):
        raise ValueError(f"checkpoints are {t.tolist()[:5]}...; expected increasing episodes in [0, {episodes})")
    policy, log_det = np.empty((seeds, t.size, H, S, A)), np.empty((seeds, t.size))
    kept, switches = np.empty((2, seeds, t.size), dtype=np.int64)
    draws = (problem.phi, problem.rewards(), np.cumsum(problem.kernels(), axis=3), np.cumsum(problem.start))
    # One episode alone has no logarithm.
    scale = C * float(np.log(max(episodes, 2)))
    how = (scale, float(bonus), float(eta), int(num_steps), float(ridge), v_max, bool(weighted), float(np.log(growth)))
    for i in range(seeds):
        lpo_run(*draws, *how, t, rng, policy[i], kept[i], switches[i], log_det[i])
    return Trace(t, {"policy": policy, "kept": kept, "switches": switches, "log_det": log_det})


def _above_zero(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value:g}; expected a finite number above 0")


def _check_sampler(scale: float, ridge: float, growth: float) -> None:
    _above_zero("scale", scale)
    _above_zero("ridge", ridge)
    if not (np.isfinite(growth) and growth > 1):
        raise ValueError(f"growth is {growth:g}; expected a finite number above 1")
