"""Small-Gain Nash: certificates of contraction for gradient play in a metric that weights the players.

`small_gain(game)` proposes a certificate, the referee (`mdplab.certify.small_gain`) decides.

Source: Sharma 2025, "Small-Gain Nash", arXiv:2512.06791; what the modules call derived is not in the paper.
"""

from mdplab.algorithms.games.small_gain.constants import (
    Constants,
    block_constants,
    enclosed_constants,
    grid_constants,
    sampled_constants,
)
from mdplab.algorithms.games.small_gain.discretisation import (
    euler_factor,
    euler_limit,
    exact_rk4_step,
    largest_step,
    metric_norm,
    printed_rk4_step,
    rk4_linear_factor,
    rk4_polynomial,
    rk4_smooth_factor,
    spectral_step,
)
from mdplab.algorithms.games.small_gain.dynamics import euler_step, gradient_play, metric_length, rk4_step
from mdplab.algorithms.games.small_gain.entropic import (
    EntropicCertificate,
    FisherCertificate,
    entropic_certificate,
    entropic_play,
    entropic_step,
    fisher_certificate,
    fisher_normalised,
)
from mdplab.algorithms.games.small_gain.pipeline import (
    SmallGainPromises,
    certificate_of,
    invariance_radius,
    promises,
    small_gain,
)
from mdplab.algorithms.games.small_gain.programs import geometric_program_weights, lmi_weights, step_weights
from mdplab.algorithms.games.small_gain.weights import (
    is_feasible,
    lipschitz,
    margin,
    optimal_margin,
    perron_weights,
    scan_ratios,
    timescale_band,
)

__all__ = [
    "Constants",
    "EntropicCertificate",
    "FisherCertificate",
    "SmallGainPromises",
    "block_constants",
    "certificate_of",
    "enclosed_constants",
    "entropic_certificate",
    "entropic_play",
    "entropic_step",
    "euler_factor",
    "euler_limit",
    "euler_step",
    "exact_rk4_step",
    "fisher_certificate",
    "fisher_normalised",
    "geometric_program_weights",
    "gradient_play",
    "grid_constants",
    "invariance_radius",
    "is_feasible",
    "largest_step",
    "lipschitz",
    "lmi_weights",
    "margin",
    "metric_length",
    "metric_norm",
    "optimal_margin",
    "perron_weights",
    "printed_rk4_step",
    "promises",
    "rk4_linear_factor",
    "rk4_polynomial",
    "rk4_smooth_factor",
    "rk4_step",
    "sampled_constants",
    "scan_ratios",
    "small_gain",
    "spectral_step",
    "step_weights",
    "timescale_band",
]
