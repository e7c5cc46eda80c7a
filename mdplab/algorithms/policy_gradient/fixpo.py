r"""FixPO: policy steps penalised by KL, then fixed up until every state is within the trust region; in tables, exact.

With d the normalised occupancy and Adv the advantages of the old policy, an iteration has two phases. Primary: steps on

    -sum_s d(s) <pi_theta(s), Adv(s)> + beta sum_s d(s) KL(s),    KL(s) = KL(pi_old(s) || pi_theta(s))

the exact mean of ratio times advantage, each followed by a step on beta (eps_kl - c_beta max_s KL(s)) in beta, which
raises beta where c_beta max KL > eps_kl, and is cut off at 0. Fixup: sweeps over the minibatches, with a step on beta
mean KL and one in beta wherever a state has KL(s) > eps_kl, until a whole sweep finds none. It is this last sweep that
guarantees the trust region; that it comes is no theorem for long steps or Adam, hence `max_sweeps` and a status.

Source: Zentner, Puri, Huang, Sukhatme 2023, "Guaranteed trust region optimization via two-phase KL penalization",
arXiv:2312.05405 (abstract read), and the authors' code for the order of steps and its defaults. There Adam keeps its
moments for ever; with function approximation only stored states are covered, here all that are visited. In a
table states share nothing but Adam's clock and beta. Cost: an iteration is a linear system of S unknowns and steps of
S A operations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdplab.algorithms.policy_gradient.arguments import (
    check_actions,
    check_array,
    check_checkpoints,
    check_count,
    check_number,
    check_rows,
)
from mdplab.algorithms.policy_gradient.trpo_step import policy_quantities
from mdplab.kernels.softmax import log_softmax
from mdplab.models import MDP, Trace

# gradient -> change of the parameters, remembering what it needs.
Rule = Callable[[Any], Any]


def _adam(rate: float) -> Rule:
    mean, square, t = 0.0, 0.0, 0

    def change(gradient: Any) -> Any:
        nonlocal mean, square, t
        t += 1
        mean = 0.9 * mean + 0.1 * gradient
        # Not a power, which raises where a number overflows.
        square = 0.999 * square + 0.001 * (gradient * gradient)
        return -rate * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)

    return change


RULES: dict[str, Callable[[float], Rule]] = {
    "adam": _adam,
    "gradient": lambda rate: lambda gradient: -rate * gradient,
    "sign": lambda rate: lambda gradient: -rate * np.sign(gradient),
}


def kl_and_gradient(theta: np.ndarray, log_old: np.ndarray, *, reverse: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """KL of the old policy from softmax(theta), or the reverse, and its gradient in theta: (S, A)^2 -> (S,), (S, A).

    `log_old` is normalised. Both are finite; a ValueError names what is not.

    Examples
    --------
    >>> kl, gradient = kl_and_gradient(np.log([[0.75, 0.25]]), np.log([[0.5, 0.5]]))
    >>> gradient.round(12).tolist()  # new - old
    [[0.25, -0.25]]
    """
    theta, log_old = _tables(theta, log_old)
    return _divergence(theta, log_old, np.exp(log_old), reverse)[:2]


def _divergence(
    theta: np.ndarray, log_old: np.ndarray, old: np.ndarray, reverse: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """KL (S,), its gradient (S, A) and softmax(theta)."""
    log_new = log_softmax(theta)
    new, ratio = np.exp(log_new), log_new - log_old
    if reverse:
        kl = np.sum(new * ratio, axis=1)
        return kl, new * (ratio - kl[:, None]), new
    return -np.sum(old * ratio, axis=1), new - old, new


@dataclass(frozen=True, eq=False, slots=True)
class Fixup:
    """What a fixup phase did.

    Parameters
    ----------
    theta : array (S, A)
        Logits at its end.
    beta : float
        Multiplier at its end.
    steps : int
        Gradient steps.
    kl : array (sweeps, S)
        Divergence of each state at the start of each sweep.
    clean : bool
        Whether the last sweep found no violation; if not, the cap on sweeps ended the phase.
    """

    theta: np.ndarray
    beta: float
    steps: int
    kl: np.ndarray
    clean: bool


@dataclass(frozen=True, slots=True)
class _Penalty:
    """The rules that both phases share."""

    eps_kl: float
    c_beta: float
    statistic: str
    reverse: bool

    def level(self, kl: np.ndarray, weights: np.ndarray) -> float:
        """The divergence that is held against eps_kl: the largest or the mean over states of positive weight."""
        return float(kl[weights > 0].max() if self.statistic == "max" else weights @ kl)

    def next_beta(self, beta: float, level: float, move: Rule) -> float:
        return max(0.0, beta + float(move(self.eps_kl - self.c_beta * level)))

    def fixup(
        self,
        theta: np.ndarray,
        log_old: np.ndarray,
        batches: Sequence[np.ndarray],
        beta: float,
        move: Rule,
        move_beta: Rule,
        max_sweeps: int,
    ) -> Fixup:
        old = np.exp(log_old)
        found, steps = [], 0
        for _ in range(max_sweeps):
            clean = True
            for number, weights in enumerate(batches):
                kl, slope, _ = _divergence(theta, log_old, old, self.reverse)
                if number == 0:
                    found.append(kl)
                level = self.level(kl, weights)
                # Logits that have overflown, whose divergence is nan, are not within the region either.
                if not level <= self.eps_kl:
                    clean, steps = False, steps + 1
                    theta = theta + move(beta * weights[:, None] * slope)
                    beta = self.next_beta(beta, level, move_beta)
            if clean:
                break
        return Fixup(theta, beta, steps, np.array(found), clean)


def fixup_phase(
    theta: np.ndarray,
    log_old: np.ndarray,
    *,
    weights: np.ndarray,
    eps_kl: float,
    beta: float,
    rate: float,
    rule: str = "gradient",
    beta_rate: float = 0.01,
    beta_rule: str = "sign",
    c_beta: float = 3.0,
    max_sweeps: int = 1000,
) -> Fixup:
    """One fixup phase over the whole table, from fresh rules.

    Parameters
    ----------
    theta, log_old : array (S, A)
        Logits to be mended, and the logits of the old policy.
    weights : array (S,)
        Those of the mean over states, at least 0, their sum 1. States of weight 0 are not looked at.
    eps_kl, rate : float > 0
        Radius, and the length of steps.
    beta, beta_rate : float >= 0
        Multiplier at the start, and the length of its steps.
    rule, beta_rule : {"adam", "gradient", "sign"}
    c_beta : float > 0
    max_sweeps : int >= 1

    Notes
    -----
    KL(old || softmax(theta)) is convex with gradient pi - old and a Hessian of at most 1/2, so that steps of
    h = rate beta weight < 4 of "gradient" lower it. For h at most 2 it is at most |theta_0 - log old|^2 / (4 (1 + h k))
    after k of them (Drori and Teboulle 2014, Theorem 3.1), whence a bound on the sweeps. At h = 4 log 3 from even
    odds there is a cycle.

    Examples
    --------
    >>> done = fixup_phase(np.array([[2.0, 0.0]]), np.zeros((1, 2)), weights=np.ones(1), eps_kl=0.1, beta=1.0, rate=1.0)
    >>> done.steps, done.kl.round(3).ravel().tolist(), done.clean
    (2, [0.434, 0.181, 0.057], True)
    """
    theta, log_old = _tables(theta, log_old)
    log_old, weights = log_softmax(log_old), check_rows("weights", weights, theta.shape[:1])
    _check_numbers(eps_kl, rate, c_beta, beta_rate)
    beta, max_sweeps = check_number("beta", beta), check_count("max_sweeps", max_sweeps)
    move, move_beta = _rule("rule", rule)(rate), _rule("beta_rule", beta_rule)(beta_rate)
    penalty = _Penalty(eps_kl, c_beta, "max", False)
    return penalty.fixup(theta, log_old, [weights], beta, move, move_beta, max_sweeps)


def fixpo(
    mdp: MDP,
    *,
    eps_kl: float,
    num_iters: int,
    epochs: int = 20,
    batches: int = 1,
    c_beta: float = 3.0,
    beta0: float = 1.0,
    beta_rate: float = 0.01,
    beta_rule: str = "adam",
    rate: float = 0.05,
    rule: str = "adam",
    reset: bool = False,
    fixup: str = "iteration",
    statistic: str = "max",
    reverse: bool = False,
    max_sweeps: int = 1000,
    theta0: np.ndarray | None = None,
    checkpoints: Any = None,
    rng: np.random.Generator | None = None,
) -> Trace:
    """FixPO on a softmax table with exact advantages, each state weighted by its occupancy.

    Parameters
    ----------
    mdp
        Discounted, with `mu` and every action available.
    eps_kl : float > 0
        Radius of the trust region.
    num_iters, epochs : int >= 0, >= 1
        Policies after the first, and passes over the states for each of them.
    batches : int >= 1
        Minibatches of visited states a pass, drawn anew for each.
    c_beta, beta0, beta_rate : float
        Factor of KL in beta's loss (> 0), first multiplier and length of its steps (>= 0; 0 keeps it).
    rate : float > 0
        Length of the steps in theta.
    rule, beta_rule : {"adam", "gradient", "sign"}
        How gradients become steps.
    reset : bool
        Forget the moments of `rule` at each iteration; the authors' code does not.
    fixup : {"iteration", "epoch", "off"}
        After the last pass, after each (as in the authors' code), or never (an ablation).
    statistic : {"max", "mean"}
        What is held against eps_kl; "mean" is an ablation.
    reverse : bool
        KL(new || old) throughout, an ablation.
    max_sweeps : int >= 1
        Sweeps after which a fixup phase gives up.
    theta0 : array (S, A), optional
        First logits; 0 by default.
    checkpoints : ints (K,), optional
        Iterations in [0, num_iters], increasing; all by default.
    rng
        Draws minibatches; required if `batches` is above 1.

    Returns
    -------
    Trace
        `theta` (K, S, A) and `objective` (K,) of the policies; on the iteration that led to them `kl_primary` and `kl`
        (K,), the largest KL(old || new) before the last fixup phase and at the end, `sweeps` (K,), those of the
        longest phase, and `beta` (K,); `primary_steps` and `fixup_steps` (K,) from the start. The status says where a
        fixup phase gave up; the policy it left is the last recorded.

    Raises
    ------
    ValueError
        Names the argument and the value; also where steps are so long that the logits overflow.

    Examples
    --------
    >>> mdp = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> run = fixpo(mdp, eps_kl=0.01, num_iters=60)
    >>> bool(run["objective"][-1] > 1.9), bool(run["kl"].max() <= 0.01), run.status
    (True, True, 'ok')
    """
    check_actions(mdp)
    _check_numbers(eps_kl, rate, c_beta, beta_rate)
    beta, max_sweeps = check_number("beta0", beta0), check_count("max_sweeps", max_sweeps)
    num_iters, epochs, batches = (
        check_count("num_iters", num_iters, 0),
        check_count("epochs", epochs),
        check_count("batches", batches),
    )
    _one_of("fixup", fixup, ("iteration", "epoch", "off"))
    _one_of("statistic", statistic, ("max", "mean"))
    if batches > 1 and rng is None:
        raise ValueError(f"rng is None; batches is {batches}, and minibatches are drawn")
    kept = check_checkpoints(checkpoints, num_iters)
    theta = check_array("theta0", np.zeros((mdp.S, mdp.A)) if theta0 is None else theta0, (mdp.S, mdp.A))
    penalty = _Penalty(eps_kl, c_beta, statistic, reverse)
    move, move_beta = _rule("rule", rule)(rate), _rule("beta_rule", beta_rule)(beta_rate)
    primary_steps, fixup_steps = 0, 0
    rows: list[dict[str, Any]] = []
    known = policy_quantities(mdp, np.exp(log_softmax(theta)))
    row = {"theta": theta, "objective": known.objective, "kl_primary": 0.0, "kl": 0.0, "sweeps": 0, "beta": beta}
    rows.append(row | {"primary_steps": 0, "fixup_steps": 0})
    status = "ok"
    for k in range(num_iters):
        if reset:
            move = RULES[rule](rate)
        log_old = log_softmax(theta)
        old = np.exp(log_old)
        sweeps, clean = 0, True
        for epoch in range(epochs):
            if epoch == 0 or batches > 1:
                parts = _minibatches(known.occupancy, batches, rng)
            for weights in parts:
                kl, slope, new = _divergence(theta, log_old, old, reverse)
                gain = new * (known.advantage - np.sum(new * known.advantage, axis=1, keepdims=True))
                theta = theta + move(weights[:, None] * (beta * slope - gain))
                beta = penalty.next_beta(beta, penalty.level(kl, weights), move_beta)
                primary_steps += 1
            last = epoch == epochs - 1
            if last:
                kl_primary = float(_divergence(theta, log_old, old, False)[0].max())
            if fixup == "epoch" or (fixup == "iteration" and last):
                done = penalty.fixup(theta, log_old, parts, beta, move, move_beta, max_sweeps)
                theta, beta, fixup_steps = done.theta, done.beta, fixup_steps + done.steps
                sweeps, clean = max(sweeps, len(done.kl)), done.clean
                if not clean:
                    break
        if not np.isfinite(theta).all():
            raise ValueError(f"rate is {rate}; steps of that length make the logits overflow in iteration {k + 1}")
        known = policy_quantities(mdp, np.exp(log_softmax(theta)))
        largest = float(_divergence(theta, log_old, old, False)[0].max())
        row = {"theta": theta, "objective": known.objective, "kl_primary": kl_primary if clean else largest}
        row |= {"kl": largest, "sweeps": sweeps, "beta": beta}
        rows.append(row | {"primary_steps": primary_steps, "fixup_steps": fixup_steps})
        if not clean:
            status = f"fixup gave up at t={k + 1} after {max_sweeps} sweeps: KL {largest:.3g}, eps_kl {eps_kl:.3g}"
            kept = np.union1d(kept[kept <= k + 1], k + 1)
            break
    return Trace(kept, {name: np.array([rows[t][name] for t in kept]) for name in rows[0]}, status)


def _minibatches(occupancy: np.ndarray, batches: int, rng: np.random.Generator | None) -> list[np.ndarray]:
    """Weights (S,) of each minibatch of visited states, in proportion to their occupancy and of sum 1."""
    visited = np.flatnonzero(occupancy > 0)
    parts = [visited] if batches == 1 else np.array_split(rng.permutation(visited), min(batches, visited.size))
    out = []
    for part in parts:
        weights = np.zeros_like(occupancy)
        weights[part] = occupancy[part] / occupancy[part].sum()
        out.append(weights)
    return out


def _rule(name: str, value: str) -> Callable[[float], Rule]:
    _one_of(name, value, tuple(RULES))
    return RULES[value]


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(allowed)}")


def _tables(theta: Any, log_old: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two finite tables (S, A)."""
    if np.ndim(theta) != 2:
        raise ValueError(f"theta has shape {np.shape(theta)}; expected (S, A)")
    theta = check_array("theta", theta, np.shape(theta))
    return theta, check_array("log_old", log_old, theta.shape)


def _check_numbers(eps_kl: float, rate: float, c_beta: float, beta_rate: float) -> None:
    for name, value in (("eps_kl", eps_kl), ("rate", rate), ("c_beta", c_beta)):
        check_number(name, value, above=True)
    check_number("beta_rate", beta_rate)
