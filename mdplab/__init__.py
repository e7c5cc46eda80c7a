"""mdplab: the laboratory in which the theory of reinforcement learning is checked by machine.

Public names are loaded when they are first used, so that `import mdplab` costs no solver and no compiler.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "MDP": "mdplab.models",
    "Certificate": "mdplab.models",
    "Solution": "mdplab.models",
    "SolverFailure": "mdplab.models",
    "Trace": "mdplab.models",
    "solve": "mdplab.exact",
    "check": "mdplab.certify",
    "load": "mdplab.io",
}
_FOLDERS = ("algorithms", "certify", "claims", "exact", "instances", "io", "kernels", "models", "papers", "report")

__all__ = [*_HOME, *_FOLDERS]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _FOLDERS:
        return import_module(f"mdplab.{name}")
    raise AttributeError(f"module 'mdplab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
