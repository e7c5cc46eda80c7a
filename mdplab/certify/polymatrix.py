r"""Logit equilibria of polymatrix games, judged by each player's gain from a best response.

With x_i = softmax of the player's part of `log_policy` and r_i = log mu_i + sum_j A_ij x_j / tau_i - log x_i, the best
response gains tau_i D(x_i || BR_i) = tau_i (log E_{x_i} e^(r_i) - E_{x_i} r_i), by Hoeffding's lemma at most
tau_i sp(r_i)^2 / 8. The certificate (kind `"logit-equilibrium"`, data `log_policy`) states an upper bound `gap` of
every player's gain. The value of player i is x_i . sum_j A_ij x_j - tau_i D(x_i || mu_i), and must be within the gap
plus a rounding bound of what the referee computes.

Rounding: a sum of k products has error at most gamma_(k+2) sum |terms|; exp and log are taken to be within 4 ulp.
Probabilities and products below 2^-1022 lose up to `_DUST` each besides, which payoffs may make large.
"""

from time import perf_counter

import numpy as np

from mdplab.certify.report import CheckReport, Refused
from mdplab.certify.rows import UNIT
from mdplab.models import PolymatrixGame, Solution

KIND = "logit-equilibrium"
# More than a few units of the subnormal numbers.
_DUST = 2.0**-1070


def gain_bounds(game: PolymatrixGame, log_policy: np.ndarray) -> np.ndarray:
    """Upper bounds (N,), rounding included, of what each player gains by its best response to softmax(log_policy).

    Parameters
    ----------
    game
        Payoffs, temperatures, references.
    log_policy : array (sum n_i,)
        Finite logits, the players' parts side by side.

    Examples
    --------
    >>> game = PolymatrixGame([[None, [[1.0, 0.0], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 1.0]], None]], [1.0, 2.0])
    >>> bool(gain_bounds(game, np.zeros(4)).max() < 1e-25)
    True
    """
    logits, policies, gains = _play(game, log_policy)
    magnitudes = game.split(np.abs(game.payoff_matrix()) @ np.concatenate(policies))
    lost = game.split((np.abs(game.payoff_matrix()).sum(axis=1) + sum(game.sizes)) * _DUST)
    out = np.empty(game.players)
    for i, (part, gain, mu, tau) in enumerate(zip(logits, gains, game.references, game.taus)):
        residual = np.log(mu) + gain / tau - part
        widest = max(float(np.ptp(other)) for other in logits)
        # softmax has relative error (n + 8 + spread) u, the product n u; the rest is logarithms and sums.
        error = (2 * sum(game.sizes) + 16 + widest) * float(magnitudes[i].max()) / tau
        error += 8 * float(np.abs(np.log(mu)).max() + np.abs(part).max())
        span = float(np.ptp(residual)) + 4 * UNIT * error + 4 * float(lost[i].max()) / tau
        out[i] = tau * span**2 / 8
    return out * (1 + 8 * UNIT) + _DUST


def check_logit(game: PolymatrixGame, solution: Solution, *, level: str = "float") -> CheckReport:
    """Whether no player gains more than the stated gap by a best response.

    Parameters
    ----------
    game, solution
        Problem and answer; `solution.policy` has the players' distributions side by side, `value` (N,).
    level
        Only "float" is known for logarithms of policies; "exact" is refused.
    """
    start, bound, reason = perf_counter(), float("inf"), ""
    try:
        certificate = solution.certificate
        if level != "float":
            raise Refused(f"level is {level!r}; a logit equilibrium is checked at the float level only")
        if certificate.kind != KIND:
            raise Refused(f"kind is {certificate.kind!r}; expected {KIND!r}")
        if "log_policy" not in certificate.data:
            raise Refused("the certificate has no 'log_policy'")
        log_policy = np.asarray(certificate.data["log_policy"], dtype=np.float64)
        total = sum(game.sizes)
        if log_policy.shape != (total,) or not np.isfinite(log_policy).all():
            raise Refused(f"log_policy has shape {log_policy.shape} or is not finite; expected ({total},) numbers")
        # An overflow leaves an infinite bound or none; a warning would say nothing more.
        with np.errstate(over="ignore", invalid="ignore"):
            found = float(gain_bounds(game, log_policy).max())
            if not found <= certificate.gap:
                raise Refused(f"gap is {certificate.gap!r}; some player is only known to gain at most {found!r}")
            _require_policy_and_value(game, solution, log_policy)
        bound = float(certificate.gap)
    except Refused as refusal:
        reason = str(refusal)
    except (TypeError, ValueError) as malformed:
        reason = f"log_policy is no array of numbers: {malformed}"
    return CheckReport(not reason, KIND, level, bound, reason, repr(game), perf_counter() - start)


def _play(game: PolymatrixGame, log_policy: np.ndarray) -> tuple[list, list, list]:
    """Logits, policies and payoff vectors of the players."""
    logits = game.split(np.asarray(log_policy, dtype=np.float64))
    policies = []
    for part in logits:
        weights = np.exp(part - part.max())
        policies.append(weights / weights.sum())
    return logits, policies, game.split(game.payoff_matrix() @ np.concatenate(policies))


def _require_policy_and_value(game: PolymatrixGame, solution: Solution, log_policy: np.ndarray) -> None:
    logits, policies, gains = _play(game, log_policy)
    x = np.concatenate(policies)
    near = 4 * (x.size + 16 + max(float(np.ptp(part)) for part in logits)) * UNIT
    if np.shape(solution.policy) != x.shape or not np.allclose(solution.policy, x, rtol=near, atol=_DUST):
        raise Refused("policy is not softmax(log_policy)")
    if np.shape(solution.value) != (game.players,):
        raise Refused(f"value has shape {np.shape(solution.value)}; expected ({game.players},)")
    for i, (pi, gain, mu, tau) in enumerate(zip(policies, gains, game.references, game.taus)):
        ratio = np.log(pi, out=np.zeros_like(pi), where=pi > 0) - np.log(mu)
        payoff = float(pi @ gain - tau * (pi @ ratio))
        size = float(np.abs(gain).max() + tau * (np.abs(ratio).max() + 1))
        if not abs(solution.value[i] - payoff) <= solution.certificate.gap + 4 * near * size:
            raise Refused(f"value[{i}] is {solution.value[i]!r}; the player's payoff is {payoff!r}")
