"""Models from and to the formats of the ecosystem."""

from mdplab.io.dispatch import load, save
from mdplab.io.logs import EstimatedModel, estimate

__all__ = ["EstimatedModel", "estimate", "load", "save"]
