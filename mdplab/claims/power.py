"""What a claim's runs can decide, judged from a pilot: the first replicates of its main arm.

The truth is put where the claim says it must be told apart: a rate at its margin on either side of the threshold, a
failure probability at delta and at twice delta, a late slope that equals the early one. Orderings and means have no
margin; for them the pilot's own effect is taken for the truth. Levels are those that Holm leaves the least lucky claim
of the run. Nothing here touches a verdict: a claim that lies further from its threshold than the margin needs fewer
runs, and is decided with them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from mdplab.claims.decision import ACCEPT_LEVEL, REFUTE_LEVEL
from mdplab.claims.planner import LEAST_POWER, power, sum_of_squares, t_power
from mdplab.claims.relation import Relation, shared
from mdplab.claims.relations import BoundHP, BoundMean, LinearRate, Ordering, Rate, Regret, SequentialRate, WorstRate
from mdplab.claims.rules import bounds, linear, ordering, rates, regret, window
from mdplab.claims.rules.checks import at_least_two
from mdplab.claims.rules.e_process import bernoulli_log_path, mean_log_path

# Replicates of a pilot (fewer where the card has fewer).
PILOT = 4
WINDOW, GUARD_LEVEL = 4, 0.05
# A plan that asks for more than this is told so rather than obeyed.
MOST = 1_000_000
# E-processes are simulated: so many paths, so many runs long at most. The error of a power of .8 is then 2 %.
PATHS, LONGEST = 400, 8192


@dataclass(frozen=True, slots=True)
class Power:
    """What the card's runs can decide.

    Parameters
    ----------
    power
        Probability of a decision with them, in [0, 1].
    at
        For which truth.
    sigma
        The pilot's noise in the units of the rule: of log error over seeds for rates (NaN where a replicate has one
        seed), of log-ratios, slopes, relative errors or differences elsewhere; NaN where the rule needs none.
    instances, seeds
        The card's replicates, and the runs within each.
    needed
        (instances, seeds) for 80 % power; None if no number of runs reaches it.
    why
        Why none does, empty otherwise.
    """

    power: float
    at: str
    sigma: float
    instances: int
    seeds: int
    needed: tuple[int, int] | None
    why: str = ""

    @property
    def enough(self) -> bool:
        """Whether the card's runs have at least 80 % power."""
        return self.power >= LEAST_POWER

    def __str__(self) -> str:
        have = f"{self.instances} instances x {self.seeds} runs"
        if self.enough:
            return f"{self.power:.0%} power for {self.at} with {have}"
        start = f"cannot reach {LEAST_POWER:.0%} power for {self.at} with {have} ({self.power:.0%})"
        return f"{start}: {self.why}" if self.needed is None else f"{start}: {self.needed[0]} x {self.needed[1]} would"


@dataclass(frozen=True, slots=True)
class _Curve:
    """Power as a function of the number that a card can raise: of instances, or of runs within each."""

    at: str
    sigma: float
    seeds: int
    reached: Callable[[int], float]
    within: bool = False
    why: str = "no number of runs does"


def predict(relation: Relation, pilot: Mapping[str, np.ndarray], instances: int, *, claims: int = 1) -> Power:
    """The power of `instances` replicates.

    Parameters
    ----------
    relation
        Statistical.
    pilot
        Arrays of the pilot's replicates, stacked along the leading axis.
    instances
        The card's replicates, at least 1.
    claims
        Statistical decisions that share the error budget of the run, at least 1.

    Raises
    ------
    ValueError
        A deterministic relation, or arrays that its rule does not take.

    Examples
    --------
    >>> from mdplab.claims.relations import BoundHP
    >>> print(predict(BoundHP(0.1), {"violated": np.zeros((2, 50), dtype=bool)}, 3))
    87% power for failures at 0.1 and at 0.2 with 3 instances x 50 runs
    """
    if type(relation) not in _CURVES:
        raise ValueError(f"{relation.rule} spends no error probability; it has no power to predict")
    if claims < 1 or instances < 1:
        raise ValueError(f"claims is {claims} and instances {instances}; expected at least 1")
    alpha, beta = REFUTE_LEVEL / claims, ACCEPT_LEVEL / claims
    curve = _CURVES[type(relation)](relation, pilot, instances, alpha, beta)
    have = curve.seeds if curve.within else instances
    least = _least(curve.reached, have)
    needed = None if least is None else (instances, least) if curve.within else (least, curve.seeds)
    why = "" if least is not None else curve.why
    return Power(curve.reached(have), curve.at, curve.sigma, instances, curve.seeds, needed, why)


def _least(reached: Callable[[int], float], start: int) -> int | None:
    """Least number with 80 % power, by doubling from `start` and bisection; None if even very many have less."""
    high = max(start, 2)
    while reached(high) < LEAST_POWER:
        if high >= MOST:
            return None
        high = min(2 * high, MOST)
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= LEAST_POWER else (middle, high)
    return high


def _slopes(relation: Rate, pilot: Mapping[str, np.ndarray]) -> tuple[float, float, int] | str:
    """Standard deviations of slopes over seeds (NaN with one seed) and over instances, and seeds; or what is wrong."""
    data = window.checked_window(
        pilot["error"], shared(pilot, "n"), relation.exponent, relation.margin, relation.log_power,
        pilot.get("floor", 0.0), relation.functional, WINDOW,
    )  # fmt: skip
    if data.last < WINDOW:
        return f"only {max(data.last, 0)} doublings of the pilot lie above the floor, and the window has {WINDOW}"
    of_instances = float(data.slopes(data.aggregate).var(ddof=1))
    seeds = data.log_error.shape[1]
    if seeds == 1:
        return float("nan"), float(np.sqrt(of_instances)), seeds
    of_seeds = float(data.slopes(data.log_error).var(axis=1, ddof=1).mean())
    return float(np.sqrt(of_seeds)), float(np.sqrt(max(of_instances - of_seeds / seeds, 0.0))), seeds


def _rate(relation: Rate, pilot: Mapping[str, np.ndarray], instances: int, alpha: float, beta: float) -> _Curve:
    at = f"margin {relation.margin:g}"
    found = _slopes(relation, pilot)
    if isinstance(found, str):
        return _Curve(at, np.nan, pilot["error"].shape[1], lambda _: 0.0, why=found)
    of_seeds, of_instances, seeds = found
    # The formula speaks of independent errors at every n; a learning curve's are not, so its slopes are measured.
    sigma = of_seeds * np.sqrt(sum_of_squares(WINDOW))

    def reached(I: int, S: int = seeds) -> float:
        if I < 2:
            return 0.0
        noise = 0.0 if np.isnan(sigma) else sigma
        return power(noise, I, S, margin=relation.margin, slope_sd=of_instances, window=WINDOW, level=alpha)

    if not isinstance(relation, WorstRate):
        return _Curve(at, sigma, seeds, reached)

    def everywhere(S: int) -> float:
        """One bad instance must be seen by its own seeds; if none is bad, the average must accept."""
        if S < 2:
            return 0.0
        shift = relation.margin / max(of_seeds / np.sqrt(S), window.ROUNDING)
        level = rates.INSTANCE_SHARE * alpha / instances
        return min(reached(instances, S), (1 - GUARD_LEVEL) * t_power(shift, S - 1, level))

    why = f"slopes differ over instances by {of_instances:.3g}, which more seeds do not resolve"
    return _Curve(f"one instance at {at}", sigma, seeds, everywhere, within=True, why=why)


def _crossed(log_paths: np.ndarray, level: float, per_instance: int) -> Callable[[int], float]:
    """Share of simulated paths (PATHS, LONGEST) that have crossed `1 / level` after so many instances."""
    above = log_paths >= np.log(1 / level)
    first = np.where(above.any(axis=1), above.argmax(axis=1) + 1, np.inf)
    return lambda I: float((first <= I * per_instance).mean())


def _paths(draw: Callable[[np.random.Generator], np.ndarray]) -> np.ndarray:
    """Log e-processes, a few at a time for the sake of memory; keyed, so that a plan can be repeated."""
    rng = np.random.default_rng([0x506C616E])
    return np.concatenate([draw(rng) for _ in range(8)])


def _sequential(
    relation: SequentialRate, pilot: Mapping[str, np.ndarray], instances: int, alpha: float, beta: float
) -> _Curve:
    change = np.log(pilot["error_hi"]) - np.log(pilot["error_lo"])
    per_instance = int(change[0].size)
    sigma = float(change.std(ddof=1))
    step = relation.margin * float(np.log(np.ravel(pilot["ratio"])[0]))
    rates.rate_e1(**relation._named(pilot), **relation.parameters)
    up = float(special.ndtr(-step / max(sigma, window.ROUNDING)))
    paths = _paths(lambda rng: bernoulli_log_path((rng.random((PATHS // 8, LONGEST)) < up).astype(float), 0.5, -1))
    reached = _crossed(paths, alpha, per_instance)
    why = f"{LONGEST} pairs do not"
    return _Curve(f"margin {relation.margin:g}", sigma, per_instance, reached, why=why)


def _bound_hp(relation: BoundHP, pilot: Mapping[str, np.ndarray], instances: int, alpha: float, beta: float) -> _Curve:
    per_instance, delta = int(pilot["violated"][0].size), relation.delta

    def reached(I: int) -> float:
        m = I * per_instance
        # Fewest violations that refute, most that accept: quantiles of the two binomials.
        refuting = int(special.bdtrik(1 - alpha, m, delta)) + 1
        while refuting <= m and special.bdtrc(refuting - 1, m, delta) > alpha:
            refuting += 1
        accepting = int(max(special.bdtrik(beta, m, 2 * delta), 0)) if (1 - 2 * delta) ** m <= beta else -1
        while accepting >= 0 and special.bdtr(accepting, m, 2 * delta) > beta:
            accepting -= 1
        seen = float(special.bdtrc(refuting - 1, m, 2 * delta)) if refuting <= m else 0.0
        return min(seen, float(special.bdtr(accepting, m, delta)) if accepting >= 0 else 0.0)

    return _Curve(f"failures at {delta:g} and at {2 * delta:g}", np.nan, per_instance, reached)


def _bound_mean(
    relation: BoundMean, pilot: Mapping[str, np.ndarray], instances: int, alpha: float, beta: float
) -> _Curve:
    error = pilot["error"].reshape(len(pilot["error"]), -1)
    bound = np.broadcast_to(np.reshape(pilot["bound"], (len(error), -1)), error.shape)
    bounds.bound_e(error, bound, relation.cap)
    ratio, seeds = error / bound, error.shape[1]
    at, sigma = f"the pilot's mean, {ratio.mean():.3g} of the bound", float(ratio.std(ddof=1))
    if np.isinf(relation.cap):
        return _Curve(at, sigma, seeds, lambda _: 0.0, why="an error without a cap has no level")
    side = -1 if ratio.mean() <= 1 else +1
    x, b = np.ravel(error) / relation.cap, np.minimum(np.ravel(bound) / relation.cap, bounds.LARGEST_MEAN)

    def draw(rng: np.random.Generator) -> np.ndarray:
        picked = rng.integers(x.size, size=(PATHS // 8, LONGEST))
        return mean_log_path(x[picked], b[picked], side)

    reached = _crossed(_paths(draw), beta if side < 0 else alpha, seeds)
    return _Curve(at, sigma, seeds, reached, why=f"{LONGEST} runs do not")


def _linear(relation: LinearRate, pilot: Mapping[str, np.ndarray], instances: int, alpha: float, beta: float) -> _Curve:
    decision = linear.lin_1(**relation._named(pilot), threshold=relation.threshold)
    at = "a decrease that stays geometric"
    if decision.withhold_accept or "ratio_last_half" not in decision.statistics:
        return _Curve(at, np.nan, 1, lambda _: 0.0, why=f"the pilot is {decision.reason() or decision.withhold_accept}")
    sigma = max(float(np.std(decision.statistics["ratio_last_half"], ddof=1)), window.ROUNDING)
    shift = (1 - relation.threshold) / sigma
    return _Curve(at, sigma, 1, lambda I: 0.0 if I < 3 else t_power(shift * np.sqrt(I), I - 1, beta))


def _ordering(relation: Ordering, pilot: Mapping[str, np.ndarray], instances: int, alpha: float, beta: float) -> _Curve:
    d = pilot["left"] - pilot["right"]
    at_least_two("left", d, 0, "instances")
    mean, seeds = d.mean(axis=1), d.shape[1]
    if relation.every_instance:
        at_least_two("left", d, 1, "runs")
        sd = np.maximum(d.std(axis=1, ddof=1), window.ROUNDING)

        def on_each(S: int) -> float:
            if S < 2:
                return 0.0
            if (mean >= 0).any():
                # Refuted by the instance on which it fails most clearly (Holm over instances).
                return t_power(float((mean / sd).max()) * np.sqrt(S), S - 1, alpha / instances)
            each = [t_power(float(-m / s) * np.sqrt(S), S - 1, beta) for m, s in zip(mean, sd)]
            return float(np.prod(each) ** (instances / len(each)))

        return _Curve("the pilot's differences", float(sd.mean()), seeds, on_each, within=True)
    sd, level = float(mean.std(ddof=1)), beta if mean.mean() < 0 else alpha
    effect = abs(float(mean.mean())) / max(sd, window.ROUNDING)

    def reached(I: int) -> float:
        # A sign-flip test of I instances has no p-value below 2^-I, or below 2^-16 where patterns are drawn.
        if I < 2 or 2.0 ** -min(I, ordering.LARGEST_EXACT) > level:
            return 0.0
        return t_power(effect * np.sqrt(I), I - 1, level)

    why = "a sign-flip test has no p-value that small" if level < 2.0**-ordering.LARGEST_EXACT else "it is all noise"
    return _Curve("the pilot's mean difference", sd, seeds, reached, why=why)


def _regret(relation: Regret, pilot: Mapping[str, np.ndarray], instances: int, alpha: float, beta: float) -> _Curve:
    decision = regret.reg_1(
        **relation._named(pilot) | {"horizons": shared(pilot, "horizons")}, **relation.parameters
    )  # fmt: skip
    at, runs = f"margin {relation.margin:g}", int(pilot["estimate"].shape[-1])
    if decision.withhold_refute:
        return _Curve(at, np.nan, runs, lambda _: 0.0, why="the pilot's mean regret is not above 0")
    # Replicates join the envelope: only one instance a horizon is measured, and only its own runs narrow the slope.
    sigma = decision.statistics["se"] * np.sqrt(runs)
    critical = float(special.ndtri(1 - alpha))

    def reached(m: int) -> float:
        return float(special.ndtr(relation.margin * np.sqrt(m) / sigma - critical))

    return _Curve(at, float(sigma), runs, reached, within=True)


_CURVES: Mapping[type, Callable[..., _Curve]] = {
    Rate: _rate,
    WorstRate: _rate,
    SequentialRate: _sequential,
    BoundHP: _bound_hp,
    BoundMean: _bound_mean,
    LinearRate: _linear,
    Ordering: _ordering,
    Regret: _regret,
}
