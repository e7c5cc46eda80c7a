"""Performative decision problems: the deployed policy changes the rewards and transitions that it meets."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mdplab.models.mdp import MDP
from mdplab.models.validation import ROW_SUM_TOLERANCE

# Flow through a state that is no flow. In the published gridworld any value from 1e-14 to 1e-8 gives the same iterates.
NEGLIGIBLE = 1e-10

Response = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def occupancy(
    P: np.ndarray, mu: np.ndarray, gamma: float, policy: np.ndarray, *, exits: np.ndarray | None = None
) -> np.ndarray:
    """Unnormalised occupancy `d(s, a) = sum_t gamma^t Pr(s_t = s, a_t = a)` of a policy.

    Parameters
    ----------
    P : array (S, A, S)
        Transition probabilities.
    mu : array (S,)
        Start distribution.
    gamma : float in [0, 1)
        Discount factor.
    policy : array (..., S, A)
        Rows sum to 1.
    exits : bool array (S,), optional
        Terminal states that are left out: d is 0 there.

    Returns
    -------
    array (..., S, A)
        Sums to `1 / (1 - gamma)` if there are no exits.

    Examples
    --------
    >>> occupancy(np.ones((1, 2, 1)), np.ones(1), 0.5, np.array([[0.25, 0.75]])).tolist()
    [[0.5, 1.5]]
    """
    S = len(mu)
    system = np.eye(S) - gamma * np.einsum("...sa,...sat->...ts", policy, P)
    start = np.array(mu, dtype=np.float64)
    if exits is not None and exits.any():
        system[..., exits, :] = np.eye(S)[exits]
        start[exits] = 0.0
    visits = np.linalg.solve(system, np.broadcast_to(start, system.shape[:-1])[..., None])
    return visits * policy


@dataclass(frozen=True, eq=False, slots=True)
class PerformativeMDP:
    """A discounted problem whose transitions and rewards answer to the deployed policy.

    Parameters
    ----------
    base : MDP
        Dense, discounted, with a start distribution `mu`: it fixes sizes, `gamma`, `mu`, the available actions and the
        terminal states. Its own `P` and `r` are those of some reference policy.
    response : callable
        `policy (S, A) -> (P (S, A, S), r (S, A))`. A response with memory also has `step(policy, previous)`, where
        `previous` is the environment `(P, r)` that the last policy met, see `MixedResponse`.
    name : str
        For tables.
    lam : float > 0, optional
        Regularisation of the problem, where a solver is not told another.
    reward_sensitivity, transition_sensitivity : float, optional
        Constants `eps_r`, `eps_p` that the author of the problem vouches for, see `sensitivity_bounds`.
    sensitivity_kind : {"proved", "estimated"}, optional
        What these constants are; required with them.

    Raises
    ------
    ValueError
        Names the argument and the value.

    Notes
    -----
    Terminal states of `base` are left out of every occupancy: they have no flow constraint and `d = 0` there, as in the
    published code. They must stay terminal in every response.

    Source
    ------
    Mandal, Triantafyllou, Radanovic (2023), performative reinforcement learning.

    Examples
    --------
    >>> base = MDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5, mu=[1.0])
    >>> problem = PerformativeMDP(base, lambda policy: (base.P, base.r - policy))
    >>> problem.at(np.array([[1.0, 0.0]])).r.tolist()
    [[0.0, 0.0]]
    """

    base: MDP
    response: Response
    name: str = field(default="", kw_only=True)
    lam: float | None = field(default=None, kw_only=True)
    reward_sensitivity: float | None = field(default=None, kw_only=True)
    transition_sensitivity: float | None = field(default=None, kw_only=True)
    sensitivity_kind: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.base, MDP):
            raise ValueError(f"base is a {type(self.base).__name__}; expected an MDP")
        if not self.base.gamma < 1 or self.base.horizon is not None:
            raise ValueError(f"base has gamma {self.base.gamma:g} and horizon {self.base.horizon}; expected discounted")
        if self.base.mu is None:
            raise ValueError("base has no start distribution mu")
        if not callable(self.response):
            raise ValueError(f"response is a {type(self.response).__name__}; expected a function of the policy")
        if self.lam is not None and not 0 < self.lam < np.inf:
            raise ValueError(f"lam is {self.lam!r}; expected a positive number")
        object.__setattr__(self, "base", self.base.dense())
        constants = (self.reward_sensitivity, self.transition_sensitivity)
        names = ("reward_sensitivity", "transition_sensitivity")
        for name, value in zip(names, constants):
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value!r}; expected a finite number of at least 0")
        if (constants[0] is None) != (constants[1] is None):
            raise ValueError("reward_sensitivity and transition_sensitivity come together")
        if (self.sensitivity_kind is None) != (constants[0] is None):
            raise ValueError(f"sensitivity_kind is {self.sensitivity_kind!r} with reward_sensitivity {constants[0]!r}")
        if self.sensitivity_kind not in (None, "proved", "estimated"):
            raise ValueError(f"sensitivity_kind is {self.sensitivity_kind!r}; expected 'proved' or 'estimated'")

    @property
    def S(self) -> int:
        """Number of states."""
        return self.base.S

    @property
    def A(self) -> int:
        """Number of actions."""
        return self.base.A

    @property
    def gamma(self) -> float:
        """Discount factor."""
        return self.base.gamma

    @property
    def mu(self) -> np.ndarray:
        """Start distribution (S,)."""
        return self.base.mu

    @property
    def exits(self) -> np.ndarray:
        """Terminal states (S,), which occupancies leave out."""
        return self.base.terminal

    @property
    def available(self) -> np.ndarray:
        """Pairs (S, A) that may carry flow: available actions of states that are not terminal."""
        return self.base.actions & ~self.base.terminal[:, None]

    def policy_of(self, d: np.ndarray) -> np.ndarray:
        """The policy (S, A) proportional to `d` in each state, uniform over available actions where d vanishes.

        A flow of at most `NEGLIGIBLE` through a state counts as none: a solver's residual does not tell it from zero,
        and a response may listen to the policy there all the same.
        """
        d = np.where(self.base.actions, d, 0.0)
        total = d.sum(axis=1, keepdims=True)
        uniform = self.base.actions / self.base.actions.sum(axis=1, keepdims=True)
        seen = total > NEGLIGIBLE
        return np.where(seen, d / np.where(seen, total, 1.0), uniform)

    def respond(
        self,
        policy: np.ndarray,
        *,
        round: int | None = None,
        previous: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The environment `(P, r)` that a policy (S, A) meets, checked but not copied.

        Parameters
        ----------
        policy : array (S, A)
            Rows sum to 1.
        round : int, optional
            Named in errors.
        previous : (P, r), optional
            The environment of the round before, for responses with memory; others ignore it.

        Raises
        ------
        ValueError
            A policy that is none; a response of another shape, with an entry that is not finite, or whose row is no
            distribution: the round, state, action and row sum are named.
        """
        where = "the response" if round is None else f"round {round}: the response"
        self._check_policy(policy, where)
        step = getattr(self.response, "step", None)
        answer = self.response(policy) if previous is None or step is None else step(policy, previous)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise ValueError(f"{where} is a {type(answer).__name__}; expected a pair (P, r)")
        P, r = answer
        P, r = np.asarray(P, dtype=np.float64), np.asarray(r, dtype=np.float64)
        S, A = self.base.r.shape
        if P.shape != (S, A, S) or r.shape != (S, A):
            raise ValueError(
                f"{where} has P of shape {P.shape} and r of shape {r.shape}, expected {(S, A, S)}, {(S, A)}"
            )
        sums = P.sum(axis=2)
        # NaN and infinity poison the sum.
        bad = self.base.actions & ~((np.abs(sums - 1) <= ROW_SUM_TOLERANCE) & (P.min(axis=2) >= 0))
        if bad.any():
            s, a = np.argwhere(bad)[0]
            least = P[s, a].min()
            raise ValueError(
                f"{where} is no kernel at state {s}, action {a}: row sum {sums[s, a]:.12g}, least entry {least:g}"
            )
        bad = self.base.actions & ~np.isfinite(r)
        if bad.any():
            s, a = np.argwhere(bad)[0]
            raise ValueError(f"{where} has reward {r[s, a]} at state {s}, action {a}")
        out = np.flatnonzero(self.exits)
        if len(out):
            leaves = self.base.actions[out] & ((P[out, :, out] < 1 - 2 * ROW_SUM_TOLERANCE) | (r[out] != 0))
            if leaves.any():
                s, a = np.argwhere(leaves)[0]
                raise ValueError(f"{where} makes the terminal state {out[s]} not terminal at action {a}")
        return P, r

    def at(
        self,
        policy: np.ndarray,
        *,
        round: int | None = None,
        previous: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> MDP:
        """The MDP that a policy (S, A) meets; arguments and errors are those of `respond`."""
        P, r = self.respond(np.asarray(policy, dtype=np.float64), round=round, previous=previous)
        return self.base.replace(P=P, r=r)

    def occupancy(self, policy: np.ndarray) -> np.ndarray:
        """Occupancy (S, A) of a policy in the environment that it meets itself, terminal states left out."""
        P, _ = self.respond(policy)
        return occupancy(P, self.mu, self.gamma, policy, exits=self.exits)

    def _check_policy(self, policy: np.ndarray, where: str) -> None:
        if np.shape(policy) != self.base.r.shape:
            raise ValueError(f"{where} is asked for a policy of shape {np.shape(policy)}, expected {self.base.r.shape}")
        bad = ~((policy >= 0) & (policy < np.inf)) | ((policy > 0) & ~self.base.actions)
        bad = bad.any(axis=1) | ~(np.abs(policy.sum(axis=1) - 1) <= ROW_SUM_TOLERANCE)
        if bad.any():
            s = int(np.argmax(bad))
            raise ValueError(
                f"{where} is asked for a policy with row {policy[s].tolist()} at state {s}: no distribution"
            )

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        kind = type(self.response).__name__
        return f"PerformativeMDP({name}S={self.S}, A={self.A}, gamma={self.gamma:g}, response={kind})"
