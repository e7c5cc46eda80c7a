"""Newton, the convex program and extragradient find the same equilibrium (games.md 1.2), each certified."""

import numpy as np
import pytest

from mdplab.certify import check
from mdplab.exact.games import regularized_gap, regularized_nash
from mdplab.instances.games import FAMILIES, p3, random_preferences
from mdplab.models import SolverFailure

# Section 1.5 of the specification; derivations in test_games.
P3_TEMPERATURES = (0.05, 0.5)


def game(i: int, largest: int):
    """Game i: n from 2 to `largest` on a logarithmic scale, tau in [1e-3, 1], four families."""
    rng = np.random.default_rng([75, i])
    n = round(2 * (largest / 2) ** rng.random())
    return random_preferences(n, rng=rng, family=FAMILIES[i % len(FAMILIES)], spread=1.5), float(
        10 ** rng.uniform(-3, 0)
    )


def disagreements(i: int, largest: int) -> dict[str, float]:
    """Measured Newton gap and distances of the other two methods from Newton; asserts what certificates promise."""
    instance, tau = game(i, largest)
    newton, convex, mirror = (
        regularized_nash(instance, tau=tau, method=method) for method in ("newton", "convex", "extragradient")
    )
    for answer in (newton, convex, mirror):
        assert check(instance, answer), f"game {i}"
    out = {"newton_gap": float(regularized_gap(instance, newton.extras["log_policy"], tau=tau))}
    for name, other in (("convex", convex), ("extragradient", mirror)):
        out[name] = float(np.abs(newton.policy - other.policy).sum())
        # Pinsker and D(pi || pi*) <= gap / (2 tau), for both; the last term is rounding of n probabilities.
        promised = np.sqrt(newton.certificate.gap / tau) + np.sqrt(other.certificate.gap / tau) + 1e-15
        assert out[name] <= promised, f"game {i}: {name} is {out[name]:.3g} away, certificates allow {promised:.3g}"
    return out


def worst(count: int, largest: int) -> dict[str, float]:
    found = [disagreements(i, largest) for i in range(count)]
    return {name: max(each[name] for each in found) for name in found[0]}


def require_agreement(found: dict[str, float]) -> None:
    # What the specification measured, an order above what these games reach.
    assert found["newton_gap"] <= 3e-28
    # Extragradient stops where rounding hides its residual: 1e-10 in logits at tau = 1e-3, less in probabilities.
    assert found["extragradient"] <= 1e-11
    # Clarabel stops at 1e-12 in a value that is quadratic in the policy, or short of it where it makes no progress.
    assert found["convex"] <= 1e-5


def test_three_methods_agree():
    require_agreement(worst(60, 24))


@pytest.mark.full
def test_three_methods_agree_on_200_games_up_to_100_actions():
    found = worst(200, 100)
    print(found)
    require_agreement(found)


def test_large_games_at_the_ends_of_the_tested_range():
    for i, tau in enumerate((1e-3, 1.0)):
        instance = random_preferences(100, rng=np.random.default_rng([76, i]))
        newton = regularized_nash(instance, tau=tau)
        assert float(regularized_gap(instance, newton.extras["log_policy"], tau=tau)) <= 3e-28  # the specification's
        mirror = regularized_nash(instance, tau=tau, method="extragradient")
        np.testing.assert_allclose(mirror.policy, newton.policy, atol=1e-12)  # both at rounding level


@pytest.mark.parametrize("tau", P3_TEMPERATURES)
@pytest.mark.parametrize("method", ["convex", "extragradient"])
def test_p3_by_the_other_methods(method, tau):
    newton = regularized_nash(p3(), tau=tau)
    other = regularized_nash(p3(), tau=tau, method=method)
    # Extragradient to rounding; Clarabel's 1e-12 in the value is 1e-6 / sqrt(tau) in the policy at worst.
    np.testing.assert_allclose(other.policy, newton.policy, atol=1e-13 if method == "extragradient" else 1e-5)


def test_contexts_and_failures():
    instance = random_preferences(4, rng=np.random.default_rng([76, 9]), contexts=3)
    newton = regularized_nash(instance, tau=0.3)
    for method in ("convex", "extragradient"):
        other = regularized_nash(instance, tau=0.3, method=method)
        assert other.policy.shape == (3, 4) and check(instance, other)
        np.testing.assert_allclose(other.policy, newton.policy, atol=1e-5)  # Clarabel's, as above
    with pytest.raises(ValueError, match="method is 'simplex'; expected one of newton, convex, extragradient"):
        regularized_nash(instance, tau=0.3, method="simplex")
    with pytest.raises(SolverFailure, match=r"extragradient reached a duality gap of .* in 6 steps"):
        regularized_nash(instance, tau=0.3, method="extragradient", max_iters=2)
