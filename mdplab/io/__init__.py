"""Models from and to the formats of the ecosystem."""

from mdplab.io.dispatch import load, save

__all__ = ["load", "save"]
