"""The record of how and where numbers were made; neither names of hosts and users nor folders enter it."""

import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import mdplab
from mdplab.claims import seeds
from mdplab.claims.decision import ACCEPT_LEVEL, REFUTE_LEVEL
from mdplab.claims.registration import versions
from mdplab.models import MDP

_CHECKOUT = Path(mdplab.__file__).resolve().parent.parent


def instance_hash(mdp: MDP) -> str:
    """SHA-256 over the little-endian float64 bytes of P, r and gamma; as evidence `instance=instance_hash(mdp)`.

    Examples
    --------
    >>> from mdplab.models import MDP
    >>> one = MDP(np.ones((1, 1, 1)), np.zeros((1, 1)), 0.5)
    >>> instance_hash(one) == instance_hash(MDP(np.ones((1, 1, 1)), np.zeros((1, 1)), 0.9))
    False
    """
    hasher = hashlib.sha256()
    for part in (mdp.P, mdp.r, mdp.gamma):
        dense = part.toarray() if hasattr(part, "toarray") else part
        hasher.update(np.ascontiguousarray(dense, dtype="<f8").tobytes())
    return hasher.hexdigest()


@cache
def _git() -> dict[str, Any]:
    """The commit of the checkout that this package lies in, and whether it was edited since."""
    git = shutil.which("git")
    if git is None or not (_CHECKOUT / ".git").exists():
        return {"commit": None, "dirty": None}

    def ask(*arguments: str) -> str | None:
        done = subprocess.run([git, "-C", str(_CHECKOUT), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    status = ask("status", "--porcelain", "--untracked-files=no")
    return {"commit": ask("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}


@cache
def _machine() -> dict[str, Any]:
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "simd": config.get("SIMD Extensions", {}).get("found", []),
        "os": f"{platform.system()} {platform.release()}",
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
    }


def manifest(*, profile: str, workers: int, scheduler: str | None, cpu_seconds: float, reused: int) -> dict[str, Any]:
    """What a run's record says of its surroundings.

    Parameters
    ----------
    profile, workers
        As asked for.
    scheduler
        None for local processes; of an address only its scheme is recorded.
    cpu_seconds
        Spent by all tasks whose arrays were scored, in this run or before.
    reused
        Tasks that were in the store already.
    """
    return {
        "mdplab": mdplab.__version__,
        **_git(),
        "versions": versions(),
        "machine": _machine(),
        "threads": {"blas": 1, "numba": 1, "fastmath": False, "threading_layer": "one thread, none used"}
        if workers or scheduler
        else "those of the calling process",
        "where": f"cluster ({scheduler.split(':')[0]})"
        if scheduler
        else "local processes"
        if workers
        else "the calling process",
        "workers": None if scheduler else workers,
        "profile": profile,
        "suite_entropy": seeds.SUITE,
        "levels": {"refute": REFUTE_LEVEL, "accept": ACCEPT_LEVEL, "correction": "Holm, over the run"},
        "cpu_seconds": cpu_seconds,
        "tasks_reused": reused,
    }
