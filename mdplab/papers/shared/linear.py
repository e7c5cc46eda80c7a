"""The published simulated process with other constants and radii, random processes that uniform actions cover."""

import numpy as np

from mdplab.claims import NotApplicable
from mdplab.instances.linear import random_linear_mdp, simulated_linear_mdp, simulated_test_kernels
from mdplab.models import LinearMDP


def drawn_process(rng: np.random.Generator) -> LinearMDP:
    """A simulated process with other constants."""
    return simulated_linear_mdp(float(rng.uniform(0.25, 0.35)), float(rng.uniform(0.1, 0.2)))


def on_the_last(size: float) -> np.ndarray:
    """Size for factor 4 of the simulated process at the first stage, 0 elsewhere, (3, 4)."""
    out = np.zeros((3, 4))
    out[0, 3] = size
    return out


def return_on_test(policy: np.ndarray, q: float) -> float:
    """Exact return of a policy (3, 5) of the simulated process under the kernels of the published test."""
    kernels, r, v = simulated_test_kernels(q), simulated_linear_mdp().rewards(), np.zeros(5)
    for h in (2, 1, 0):
        v = np.array([r[h, s, a] + kernels[h, s, a] @ v for s, a in enumerate(policy[h])])
    return float(v[0])


def covered_process(rng: np.random.Generator) -> LinearMDP:
    """A random process with uniform start; NotApplicable where kappa, by expectation, is below 1/100."""
    drawn = random_linear_mdp(6, 4, 3, 3, rng=rng)
    linear = LinearMDP(drawn.phi, drawn.mu, drawn.theta, 3, start=np.full(6, 1 / 6))
    P, here = linear.kernels(), linear.start
    for h in range(3):
        second = np.einsum("s,sai,saj->ij", here, linear.phi, linear.phi) / linear.A
        if np.linalg.eigvalsh(second)[0] < 0.01:
            raise NotApplicable("kappa > 0: uniform actions cover all directions of the features")
        here = np.einsum("s,sat->t", here, P[h]) / linear.A
    return linear
