"""Problems on which the assumptions of policy-gradient theorems can be checked: finite states, one real action.

The policy has one parameter a state, the location of its action: a = theta_s + scale * z. Smoothed rewards and moves,
hence values, gradients and Hessians, are then known to rounding. Two kinds:

| policy | noise z | reward of a in s | next state |
|---|---|---|---|
| "gaussian" | normal | -amplitude_s (a - centre_s)^2 / 2 | still_s, whatever a |
| "logistic" | logistic | amplitude_s w((a - centre_s) / width) | moved_s with probability W, else still_s |

with w(x) = 1 / (1 + x^2) and W = w((a - switch_s) / width). The first kind has a constant Hessian, so that corrections
of first order are exact. The second is Fisher-non-degenerate with bounded scores and bounded rewards: every assumption
of the theorems holds.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from mdplab.models.solution import frozen_array

# The trapezoid rule on the line converges like exp(-2 pi y / h) for integrands analytic in a strip of half-width y;
# here y = pi (the logistic density), so h = 1/4 is exact to exp(-79), and the tails beyond 40 weigh exp(-40).
_NODES = np.arange(-160, 161) / 4.0
_WEIGHTS = 0.25 * np.exp(-np.abs(_NODES)) / (1 + np.exp(-np.abs(_NODES))) ** 2


@dataclass(frozen=True, eq=False, slots=True)
class Smoothed:
    """Rewards and moves averaged over the policy's noise, with derivatives in theta_s.

    `r`, `dr`, `ddr` have shape (..., S), `P`, `dP`, `ddP` (..., S, S); row s depends on theta_s alone.
    """

    r: np.ndarray
    dr: np.ndarray
    ddr: np.ndarray
    P: np.ndarray
    dP: np.ndarray
    ddP: np.ndarray


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class LocationChain:
    """A finite chain with one real action and a location policy; see the module for the two kinds.

    Parameters
    ----------
    policy : {"gaussian", "logistic"}
        Law of the noise, and with it of rewards and moves.
    still, moved : array (S, S)
        Rows of probabilities; `moved` is not used under "gaussian".
    rho : array (S,)
        Start distribution, every entry above 0.
    gamma : float in [0, 1)
        Discount factor.
    amplitude, centre, switch : array (S,)
        As in the module's table; amplitudes above 0.
    scale, width : float > 0
        Of the noise, and of the bumps.
    theta0 : array (S,)
        Where runs start.

    Raises
    ------
    ValueError
        A shape, a row sum or a range that is not as above.
    """

    policy: str
    still: np.ndarray
    rho: np.ndarray
    gamma: float
    amplitude: np.ndarray
    centre: np.ndarray
    theta0: np.ndarray
    scale: float = 0.5
    width: float = 3.0
    moved: np.ndarray = None
    switch: np.ndarray = None

    def __post_init__(self) -> None:
        if self.policy not in ("gaussian", "logistic"):
            raise ValueError(f"policy is {self.policy!r}; expected 'gaussian' or 'logistic'")
        if self.policy == "gaussian":
            object.__setattr__(self, "moved", self.still)
            object.__setattr__(self, "switch", self.centre)
        S = np.size(self.rho)
        for name in ("rho", "amplitude", "centre", "switch", "theta0"):
            self._array(name, (S,))
        for name in ("still", "moved"):
            self._array(name, (S, S))
            rows = getattr(self, name)
            # Rounding of S additions of numbers of at most 1.
            bad = np.flatnonzero((rows < 0).any(axis=1) | (np.abs(rows.sum(axis=1) - 1) > 1e-15 * 4 * S))
            if bad.size:
                raise ValueError(f"{name}[{bad[0]}] is {rows[bad[0]]}; expected probabilities that sum to 1")
        if self.rho.min() <= 0 or abs(self.rho.sum() - 1) > 1e-15 * 4 * S:
            raise ValueError(f"rho is {self.rho}; expected probabilities above 0 that sum to 1")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma is {self.gamma}; expected a number in [0, 1)")
        for name in ("scale", "width"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number above 0")
        if self.amplitude.min() <= 0:
            s = int(np.argmin(self.amplitude))
            raise ValueError(f"amplitude[{s}] is {self.amplitude[s]}; expected a number above 0")

    def _array(self, name: str, shape: tuple[int, ...]) -> None:
        array = np.asarray(getattr(self, name), dtype=np.float64)
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has an entry that is not finite")
        object.__setattr__(self, name, frozen_array(array))

    @property
    def S(self) -> int:
        """Number of states, and of parameters."""
        return self.rho.size

    def digest(self) -> str:
        """SHA-256 of the chain's numbers in little-endian order."""
        out = hashlib.sha256(f"{self.policy} {self.gamma!r} {self.scale!r} {self.width!r}".encode())
        for array in (self.still, self.moved, self.rho, self.amplitude, self.centre, self.switch, self.theta0):
            out.update(array.astype("<f8").tobytes())
        return out.hexdigest()

    def smoothed(self, theta: np.ndarray) -> Smoothed:
        """Averages over the policy's noise at theta (..., S), with first and second derivatives.

        Examples
        --------
        >>> qchain().smoothed(np.array([0.6, -0.8])).r.tolist()
        [-0.125, -0.125]
        """
        theta = np.asarray(theta, dtype=np.float64)
        if self.policy == "gaussian":
            off = theta - self.centre
            P = np.broadcast_to(self.still, (*theta.shape, self.S))
            zero = np.zeros_like(P)
            r = -0.5 * self.amplitude * (off**2 + self.scale**2)
            return Smoothed(r, -self.amplitude * off, np.broadcast_to(-self.amplitude, theta.shape), P, zero, zero)
        a = theta[..., None] + self.scale * _NODES
        r = [self.amplitude * part for part in _bump(a, self.centre, self.width)]
        w, dw, ddw = (part[..., None] for part in _bump(a, self.switch, self.width))
        step = self.moved - self.still
        return Smoothed(*r, self.still + w * step, dw * step, ddw * step)

    def at(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reward (..., S) and moves (..., S, S) of the deterministic actions a (..., S)."""
        if self.policy == "gaussian":
            r = -0.5 * self.amplitude * (a - self.centre) ** 2
            return r, np.broadcast_to(self.still, (*np.shape(a), self.S))
        w = 1 / (1 + ((a - self.switch) / self.width) ** 2)
        r = self.amplitude / (1 + ((a - self.centre) / self.width) ** 2)
        return r, self.still + w[..., None] * (self.moved - self.still)

    def score(self, a: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """d/d theta_s log pi(a_s | s), (..., S): the one non-zero coordinate of the score in each state."""
        z = (np.asarray(a) - theta) / self.scale
        return (z if self.policy == "gaussian" else np.tanh(z / 2)) / self.scale

    @property
    def fisher(self) -> float:
        """E score^2 in every state: the Fisher matrix is this number times the diagonal of the occupancy."""
        return 1 / self.scale**2 if self.policy == "gaussian" else 1 / (3 * self.scale**2)

    @property
    def occupancy(self) -> np.ndarray:
        """Discounted occupancy (S,) of a "gaussian" chain, the same for all policies; sums to 1 / (1 - gamma)."""
        if self.policy != "gaussian":
            raise ValueError("policy is 'logistic': the occupancy depends on theta")
        return np.linalg.solve((np.eye(self.S) - self.gamma * self.still).T, self.rho)


def _bump(a: np.ndarray, centre: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Averages over the nodes of w((a - centre) / width) and of its first and second derivatives, (..., S)."""
    x = (a - centre[:, None]) / width
    w = 1 / (1 + x * x)
    dw = -2 * x * w**2 / width
    ddw = (6 * x * x - 2) * w**3 / width**2
    return w @ _WEIGHTS, dw @ _WEIGHTS, ddw @ _WEIGHTS


def qchain() -> LocationChain:
    """QChain: two states, quadratic rewards, moves that no action changes; J is a quadratic of known Hessian.

    J = -1/2 sum_s D_s ((theta_s - m_s)^2 + sigma^2) with occupancy D and m = (.6, -.8), so the gradient is
    -D (theta - m) and the Hessian -diag(D).

    Source
    ------
    mdplab, built for Fatkhullin, Barakat, Kireeva, He (2023). The Gaussian score is not bounded, so the paper's
    assumption A1 fails here: QChain serves for identities and for runs with a noise that is given.

    Examples
    --------
    >>> qchain().occupancy.round(4).tolist()
    [1.5702, 1.7631]
    """
    return LocationChain(
        policy="gaussian",
        still=np.array([[0.3, 0.7], [0.6, 0.4]]),
        rho=np.array([0.5, 0.5]),
        gamma=0.7,
        amplitude=np.ones(2),
        centre=np.array([0.6, -0.8]),
        theta0=np.array([2.0, -2.5]),
    )


def fnd_logit() -> LocationChain:
    """FND-Logit: two states, bumps for rewards and moves, a logistic policy; exactly Fisher-non-degenerate.

    M_g = 1 / b, M_h = 1 / (2 b^2) and mu_F = (1 - gamma) min rho / (3 b^2) with b = 1/2.

    Source
    ------
    mdplab, built for Fatkhullin, Barakat, Kireeva, He (2023), all of whose assumptions on the policy it satisfies. The
    best location policy is theta = (.51856, -1.13508) with J = 2.577794; the best policy of all has 2.80472.

    Examples
    --------
    >>> chain = fnd_logit()
    >>> chain.policy, float(chain.fisher)
    ('logistic', 1.3333333333333333)
    """
    return LocationChain(
        policy="logistic",
        still=np.array([[0.3, 0.7], [0.6, 0.4]]),
        moved=np.array([[0.9, 0.1], [0.2, 0.8]]),
        rho=np.array([0.5, 0.5]),
        gamma=0.7,
        amplitude=np.array([1.0, 0.6]),
        centre=np.array([0.6, -0.8]),
        switch=np.array([0.2, 0.5]),
        theta0=np.array([2.0, -2.5]),
    )


def random_quadratic_chain(S: int, *, rng: np.random.Generator) -> LocationChain:
    """A chain like QChain: Dirichlet(1) rows, gamma in [.5, .8], targets in [-1, 1], start 1 to 2 away in each state.

    Examples
    --------
    >>> random_quadratic_chain(3, rng=np.random.default_rng(0)).S
    3
    """
    centre = rng.uniform(-1, 1, S)
    return LocationChain(
        policy="gaussian",
        still=_rows(S, rng),
        rho=_start(S, rng),
        gamma=rng.uniform(0.5, 0.8),
        amplitude=np.ones(S),
        centre=centre,
        theta0=_away(centre, rng),
    )


def random_bump_chain(S: int, *, rng: np.random.Generator) -> LocationChain:
    """A chain like FND-Logit: Dirichlet(1) rows, gamma in [.5, .8], amplitudes in [.5, 1], centres in [-1, 1].

    Examples
    --------
    >>> random_bump_chain(3, rng=np.random.default_rng(0)).policy
    'logistic'
    """
    centre = rng.uniform(-1, 1, S)
    return LocationChain(
        policy="logistic",
        still=_rows(S, rng),
        moved=_rows(S, rng),
        rho=_start(S, rng),
        gamma=rng.uniform(0.5, 0.8),
        amplitude=rng.uniform(0.5, 1, S),
        centre=centre,
        switch=rng.uniform(-1, 1, S),
        theta0=_away(centre, rng),
    )


def _rows(S: int, rng: np.random.Generator) -> np.ndarray:
    return rng.dirichlet(np.ones(S), S)


def _start(S: int, rng: np.random.Generator) -> np.ndarray:
    """Half uniform, so that no state is out of reach and mu_F stays away from 0."""
    return 0.5 / S + 0.5 * rng.dirichlet(np.ones(S))


def _away(centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return centre + rng.choice([-1.0, 1.0], centre.size) * rng.uniform(1, 2, centre.size)
