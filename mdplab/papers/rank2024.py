r"""Rank, Triantafyllou, Mandal, Radanovic (UAI 2024): performative reinforcement learning in gradually shifting worlds.

From the abstract and the authors' released code; the paper's text was not read. The environment moves a share w of the
way to its answer with every deployment. Repeated retraining (RR) learns after each, delayed retraining (DRR) after
every k, mixed delayed retraining (MDRR) after every k from samples of them all.

Derived here: all of them rest where repeated optimisation rests. Where only rewards respond, with q = eps_r / lam, a
retraining after k deployments contracts by exactly 1 - (1 - q)(1 - (1 - w)^k): delay saves retrainings, most where w is
small, and costs deployments, if rewards attract. If they repel the number is (1 - w)^k - q (1 - (1 - w)^k), and delay
may save both: it damps the overshoot. What mixing buys is less noise: at rest, n trajectories of each of k deployments
are worth nearly k n.
"""

from dataclasses import dataclass

import numpy as np

from mdplab.algorithms.performative import delayed_retraining, mixed_delayed_retraining, repeated_optimization
from mdplab.claims import Bound, Evidence, Identity, NotApplicable, Ordering, claim, variant
from mdplab.instances.performative import (
    SHIFTING_GRID,
    linear_reward_witness,
    random_linear_response,
    random_softmax_follower,
    two_agent_gridworld,
)
from mdplab.models import MDP, LinearRewardResponse, PerformativeMDP, sensitivity_bounds


@dataclass(frozen=True)
class Params:
    """Sizes: `states`, `actions` of random problems, `retrainings` of each run, `runs` with samples."""

    states: int
    actions: int
    retrainings: int
    runs: int


def _follower(p, rng, lam):
    """A problem whose follower moves rewards and transitions, and its stable occupancy."""
    problem = random_softmax_follower(p.states, p.actions, 2, gamma=0.8, beta=1.0, influence=0.3, rng=rng)
    d = repeated_optimization(problem, lam, num_rounds=200)["d"]
    if np.linalg.norm(d[-1] - d[-2]) > 1e-12:
        raise NotApplicable("repeated optimisation does not come to rest")
    return problem, d[-1]


def _rest(p, rng, retrainings=None):
    left, right = [], []
    for w in (0.15, 0.5, 1.0):
        lam = float(10 ** rng.uniform(-1, 1))
        problem, stable = _follower(p, rng, lam)
        options = {"w": w, "num_retrainings": 200 if retrainings is None else retrainings}
        runs = [delayed_retraining(problem, lam, k=k, **options) for k in (1, 3)]
        runs.append(mixed_delayed_retraining(problem, lam, k=3, v=1.5, **options))
        left += [run["d"][-1].ravel() for run in runs]
        right += [stable.ravel()] * 3
    return Evidence(left=left, right=right, tolerance=np.full(np.shape(left), 1e-9))


@claim(
    "Fixed points (derived)",
    r"d = \lim_t d_t^{RR} = \lim_t d_t^{DRR} = \lim_t d_t^{MDRR} = d_S \quad \text{for every } w",
    relation=Identity(),
    assumptions=("the responses are weak enough for all of them to converge",),
    falsifiers={"early": variant(_rest, "After two retrainings.", retrainings=2)},
    lemmas=("rank2024:fixed_points",),
    words="How fast the environment shifts and how often one retrains changes the way, not the end.",
    title="Same stable point",
)
def fixed_points(p: Params, rng: np.random.Generator) -> Evidence:
    """w of .15, .5 and 1; retraining after one, after three, and after three with mixed environments."""
    return _rest(p, rng)


def _one_state(weight, lam, rng, n=3):
    """One state, rewards r0 + weight d, with a stable point where all occupancies are near 2 / n, and that point."""
    c = rng.uniform(-0.1, 0.1, n)
    base = MDP(np.ones((1, n, 1)), [(lam - weight) * (c - c.mean()) + 1.0], 0.5, mu=[1.0])
    base = base.replace(r=base.r - weight * 2 / n)
    return PerformativeMDP(base, LinearRewardResponse(base, np.eye(n), weight)), (2 / n + c - c.mean())[None]


def factor(q: float, w: float, k: int) -> float:
    """Contraction of the environment's distance from rest by one retraining after k deployments.

    Examples
    --------
    >>> factor(0.5, 1.0, 3), factor(0.5, 0.5, 1)
    (0.5, 0.75)
    """
    return 1 - (1 - q) * (1 - (1 - w) ** k)


def _contraction(p, rng, scale=1.0, forgotten=False):
    measured, bound = [], []
    for w in (0.15, 0.5):
        for k in (1, 3):
            q, lam = float(rng.uniform(0.3, 0.9)), float(10 ** rng.uniform(-1, 1))
            problem, stable = _one_state(q * lam, lam, rng)
            move = rng.standard_normal(3) * 1e-2
            cases = [(problem, lam, stable + move - move.mean(), stable, q)]
            random = random_linear_response(p.states, p.actions, gamma=0.9, eps=q * lam, rng=rng)
            eps = sensitivity_bounds(random).reward
            end = repeated_optimization(random, lam, num_rounds=int(40 / np.log(1 / q)))["d"][-1]
            cases.append((random, lam, None, end, eps / lam))
            for instance, weight, start, target, ratio in cases:
                run = delayed_retraining(instance, weight, w=w, k=k, num_retrainings=20, start=start)
                off = np.linalg.norm(run["d"] - target, axis=(1, 2))
                measured.append(off[1:])
                # The first environment answers the start, so that the first retraining gains q at once.
                rate = factor(ratio, 1.0 if forgotten else w, k)
                bound.append(scale * ratio * rate ** np.arange(off.size - 1) * off[0])
    # The stable point and each iterate are known to about 1e-12; the bound is attained with one state.
    radius = 1e-11
    return Evidence(measured=measured, bound=np.array(bound) + 2 * radius, radius=np.full(np.shape(measured), radius))


@claim(
    "Rate of delayed retraining (derived)",
    r"\|d_T - d_S\|_2 \le q\, \big(1 - (1-q)(1 - (1-w)^k)\big)^{T-1} \|d_0 - d_S\|_2,\quad q = \epsilon_r / \lambda",
    relation=Bound(),
    assumptions=(
        r"$\epsilon_p = 0$",
        r"$\epsilon_r$ proved from the closed form",
        "the first environment answers $d_0$",
    ),
    falsifiers={
        "smaller": variant(_contraction, "2 % less.", scale=0.98),
        "prompt": variant(_contraction, "The rate of an environment that answers at once, w = 1.", forgotten=True),
    },
    lemmas=("rank2024:retraining_factor", "rank2024:k_deployments"),
    words="A retraining after k deployments closes a share (1 - q)(1 - (1 - w)^k) of the distance.",
    title="Contraction by retraining",
)
def delayed_rate(p: Params, rng: np.random.Generator) -> Evidence:
    """Distances over twenty retrainings; attained with one state."""
    return _contraction(p, rng)


def _shifting(beta=1.0):
    return two_agent_gridworld(beta, grid=SHIFTING_GRID)


def _needed(run, target, delta):
    """Retrainings until the distance stays below delta times the start's; NotApplicable if the run is too short."""
    off = np.linalg.norm(run["d"] - target, axis=(1, 2))
    above = np.flatnonzero(off > delta * off[0])
    if above[-1] == off.size - 1:
        raise NotApplicable(f"{off.size - 1} retrainings do not bring the distance to {delta:g} of the start's")
    return int(above[-1]) + 1


def _counts(p, rng, w=0.15, k=3):
    """(RR, DRR) retrainings on the published small gridworld, on the witness, and on random problems."""
    lam, out = 0.1, []
    cases = [(_shifting(), lam), (linear_reward_witness(1.0, -1), 2.0), (linear_reward_witness(1.0, 1), 2.0)]
    for _ in range(2):
        weight = float(10 ** rng.uniform(-1, 1))
        cases.append((_follower(p, rng, weight)[0], weight))
    for problem, weight in cases:
        target = repeated_optimization(problem, weight, num_rounds=80)["d"][-1]
        runs = [delayed_retraining(problem, weight, w=w, k=j, num_retrainings=p.retrainings // 2) for j in (1, k)]
        out.append([_needed(run, target, 1e-3) for run in runs])
    return np.array(out, dtype=float)


def _fewer(p, rng, **options):
    prompt, delayed = _counts(p, rng, **options).T
    return Evidence(measured=delayed, bound=prompt - 1)


@claim(
    "Retrainings (abstract)",
    r"w = 0.15,\ k = 3: \quad N_{DRR} < N_{RR}",
    relation=Bound(),
    assumptions=("retrainings until the distance from $d_S$ is a thousandth of the start's", "known environments"),
    falsifiers={
        "prompt_environment": variant(_fewer, "w = 1: nothing is gained by waiting.", w=1.0),
        "no_delay": variant(_fewer, "k = 1 against itself.", k=1),
    },
    lemmas=("rank2024:retraining_factor",),
    words="Where the environment shifts slowly, waiting between retrainings saves retrainings.",
    title="Delay saves retrainings",
)
def fewer_retrainings(p: Params, rng: np.random.Generator) -> Evidence:
    """The released 4 x 4 gridworld, the notes' witness, and random followers."""
    return _fewer(p, rng)


def _dearer(p, rng, exchanged=False, sign=1):
    measured, bound, k = [], [], 3
    cases = [(linear_reward_witness(1.0, sign), 2.0, np.full((2, 2), 2.5))]
    for q in rng.uniform(0.3, 0.6, 3):
        lam = float(10 ** rng.uniform(-1, 1))
        problem, stable = _one_state(sign * q * lam, lam, rng)
        cases.append((problem, lam, stable + 1e-2 * np.array([[1.0, -1.0, 0.0]])))
    for problem, lam, start in cases:
        target = repeated_optimization(problem, lam, num_rounds=80, start=start)["d"][-1]
        options = {"w": 0.15, "num_retrainings": p.retrainings, "start": start}
        runs = [delayed_retraining(problem, lam, k=j, **options) for j in (1, k)]
        pair = [_needed(run, target, 1e-5) for run in runs]
        measured.append(pair[0] if not exchanged else k * pair[1])
        bound.append(k * pair[1] if not exchanged else pair[0])
    return Evidence(measured=np.array(measured, dtype=float), bound=np.array(bound, dtype=float))


@claim(
    "Deployments (derived)",
    r"r_\pi = r_0 + \epsilon d^\pi,\ w = 0.15,\ k = 3: \quad N_{RR} \le k N_{DRR}",
    relation=Bound(),
    assumptions=("rewards attract", "deployments until the distance from $d_S$ is $10^{-5}$ of the start's"),
    falsifiers={
        "exchanged": variant(_dearer, "Delay saves deployments.", exchanged=True),
        "repelling": variant(_dearer, "Rewards that repel: delay damps the overshoot.", sign=-1),
    },
    lemmas=("rank2024:deployments_or_retrainings", "rank2024:retraining_factor"),
    words="Where rewards attract, what waiting saves in retrainings it costs in deployments.",
    title="Delay costs deployments",
)
def more_deployments(p: Params, rng: np.random.Generator) -> Evidence:
    """The notes' witness and problems with one state."""
    return _dearer(p, rng)


def _noise(p, rng, share=1.0, w=0.5, k=3):
    lam = 1.0
    problem, stable = _follower(p, rng, lam)
    errors = []
    for mixed in (True, False):
        options = {"w": w, "k": k, "num_retrainings": 2, "start": stable, "length": 20, "rng": rng}
        n = 40
        for _ in range(p.runs):
            if mixed:
                number = max(1, int(share * n))
                run = mixed_delayed_retraining(problem, lam, v=1.1, num_trajectories=number, **options)
            else:
                run = delayed_retraining(problem, lam, num_trajectories=n, **options)
            errors.append(np.linalg.norm(run["d"][-1] - stable))
    return Evidence(left=errors[: p.runs], right=errors[p.runs :])


@claim(
    "Mixed samples (abstract)",
    r"n \text{ trajectories a deployment}: \quad E \|d^{MDRR} - d_S\|_2 < E \|d^{DRR} - d_S\|_2",
    relation=Ordering(),
    assumptions=(r"$w = 0.5$, $k = 3$, $v = 1.1$", "both start at $d_S$", "40 trajectories of 20 steps a deployment"),
    falsifiers={"few": variant(_noise, "MDRR with an eighth of the trajectories.", share=1 / 8)},
    words="Learning from all deployments since the last retraining lowers the noise of learning from the last.",
    title="Mixing lowers noise",
)
def mixing_helps(p: Params, rng: np.random.Generator) -> Evidence:
    """Distance from the stable point after two retrainings, started there."""
    return _noise(p, rng)


def figure_retrainings(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Distance from the stable point over retrainings on the released 4 x 4 gridworld: w and k."""
    problem, lam = _shifting(), 0.1
    target = repeated_optimization(problem, lam, num_rounds=100)["d"][-1]
    table = {"t": np.arange(41)}
    for w in (0.15, 0.5):
        for k in (1, 3):
            d = delayed_retraining(problem, lam, w=w, k=k, num_retrainings=40)["d"]
            off = np.linalg.norm(d - target, axis=(1, 2)) / np.linalg.norm(target)
            table[f"w_{w:g}_k_{k}"] = np.where(off > 1e-12, off, np.nan)
    return table


def figure_deployments(p: Params, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Retrainings and deployments that the derived factor needs for three digits, over k, q = 1/2."""
    k = np.arange(1, 31)
    table = {"k": k}
    for w in (0.05, 0.15, 0.5):
        needed = np.log(1e-3) / np.log([factor(0.5, w, int(j)) for j in k])
        table |= {f"retrainings_{w:g}": needed, f"deployments_{w:g}": k * needed}
    return table


def draw_deployments(ax, table) -> None:
    """Retrainings solid, deployments dashed, one colour a speed of the environment."""
    for w, colour in ((0.05, "#0072B2"), (0.15, "#D55E00"), (0.5, "#009E73")):
        ax.plot(table["k"], table[f"retrainings_{w:g}"], color=colour, label=f"$w = {w:g}$: retrainings")
        ax.plot(table["k"], table[f"deployments_{w:g}"], color=colour, linestyle="--", label="deployments")
    ax.set(xscale="log", yscale="log", xlabel="deployments between retrainings $k$", ylabel="needed for three digits")
    ax.legend(ncols=3, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.0))
    ax.set_ylim(5, 2000)
