"""The one way to compile a kernel, and where its machine code is kept.

Numba's cache notices an edit of the file that defines a kernel, but not of another file whose kernels it calls: it then
returns the old machine code. The cache folder is therefore named by a hash of every file under `mdplab/kernels` and of
the defining file, so that an edit anywhere underneath gives a new folder.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba
from numba.core import config

_HERE = Path(__file__).parent


@cache
def _leaves_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(_HERE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _cache_root() -> Path:
    """The package's own folder where it can be written, else the user's cache folder, else a temporary one."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mdplab"
    for root in (_HERE.parent / "__pycache__", user):
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                return root
        except OSError:
            continue
    return Path(tempfile.gettempdir()) / "mdplab"


def _cache_folder(filename: str) -> str:
    digest = hashlib.sha256(_leaves_digest().encode() + Path(filename).read_bytes()).hexdigest()[:16]
    return str(_cache_root() / f"numba-{digest}")


def kernel(function: Callable) -> Callable:
    """Compile a leaf: no Python objects, no global interpreter lock, IEEE arithmetic (never `fastmath`)."""
    if config.DISABLE_JIT:
        return function
    before = config.CACHE_DIR
    try:
        # Numba reads the folder when the decorator runs; what others compile keeps its own place.
        config.CACHE_DIR = before or _cache_folder(function.__code__.co_filename)
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before
