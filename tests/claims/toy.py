"""A toy paper whose claims reach every verdict."""

from pathlib import Path

MODULE = '''
"""Toy claims about numbers that are known."""

import os
import time
from dataclasses import dataclass

import numpy as np

from mdplab.claims import (
    Bound, BoundHP, Evidence, Identity, LinearRate, NotApplicable, Ordering, Rate, Witness, claim,
)


@dataclass(frozen=True)
class Params:
    scale: float
    pause: float = 0.0


N = 64 * 2 ** np.arange(9)


def decay(exponent, floor=0.0):
    def arm(p, rng):
        time.sleep(p.pause + float(os.environ.get("TOY_NAP", "0")))
        noise = np.exp(0.05 * rng.standard_normal((8, N.size)))
        return Evidence(n=N, error=p.scale * N**-exponent * noise + floor)
    return arm


def doubled(p, rng):
    evidence = small(p, rng)
    return Evidence(measured=4 * evidence["measured"], bound=evidence["bound"])


@claim("Lemma 1", r"x \\le 1", relation=Bound(), falsifiers={"doubled": doubled}, title="Numbers are small")
def small(p, rng):
    time.sleep(p.pause)
    return Evidence(measured=rng.uniform(0.5, 1.0, 5), bound=np.ones(5))


@claim("Lemma 2", r"x \\le 1", relation=Bound(), falsifiers={"doubled": doubled})
def too_small(p, rng):
    return Evidence(measured=[1.0 + rng.random()], bound=[1.0])


@claim("Theorem 1", r"e_n = O(n^{-1/2})", relation=Rate(0.5), falsifiers={"slow": decay(0.4)},
       controls={"faster": decay(0.6)})
def rate(p, rng):
    return decay(0.5)(p, rng)


@claim("Theorem 2", r"e_n = O(n^{-1/2})", relation=Rate(0.5), falsifiers={"slow": decay(0.2)})
def slower_rate(p, rng):
    return decay(0.35)(p, rng)


def flip(p, rng):
    return Evidence(left=[1.0], right=[0.0])


@claim("Theorem 3", r"a < b", relation=Ordering(), falsifiers={"flip": flip})
def unclear(p, rng):
    return Evidence(left=rng.standard_normal(4), right=rng.standard_normal(4))


@claim("Example 1", r"1 + 1 = 2", relation=Witness(scope="the integers 1 and 1"),
       falsifiers={"three": lambda p, rng: Evidence(holds=[1 + 1 == 3])})
def sum_of_ones(p, rng):
    return Evidence(holds=[1 + 1 == 2])


@claim("Theorem 4", r"x \\le 1", relation=Bound(), falsifiers={"doubled": doubled})
def out_of_scope(p, rng):
    raise NotApplicable("x is even")


@claim("Theorem 5", r"x \\le 1", relation=Bound(),
       falsifiers={"true_one": lambda p, rng: Evidence(measured=rng.uniform(0.5, 1.0, 5), bound=np.ones(5))})
def toothless(p, rng):
    return Evidence(measured=rng.uniform(0.5, 1.0, 5), bound=np.ones(5))


@claim("Theorem 6", r"x \\le 1", relation=Bound(), falsifiers={"doubled": doubled})
def broken(p, rng):
    raise RuntimeError("no such number")
'''

CARD = """
[paper]
key = "{key}"
title = "On numbers"
authors = ["A. Author"]
year = 2000

[profiles.quick]
scale = 1.0
pause = 0.0

[profiles.full]
scale = 2.0
pause = {pause}
"""

CLAIM = """
[claims.{name}]
expect.verdict = "{verdict}"
replicates = {{ quick = {quick}, full = {full} }}
"""

VERDICTS = {
    "small": "verified",
    "too_small": "refuted",
    "rate": "consistent",
    "slower_rate": "refuted",
    "unclear": "inconclusive",
    "sum_of_ones": "proved",
    "out_of_scope": "not-applicable",
    "toothless": "invalid-check",
    "broken": "invalid-check",
}


def write_paper(
    folder: Path, *, key: str = "toy2000", module: str = MODULE, pause: float = 0.0, card: str = ""
) -> Path:
    """Write the toy paper's module and card; `card` replaces the claims' sections."""
    (folder / f"{key}.py").write_text(module)
    claims = [
        CLAIM.format(name=name, verdict=verdict, quick=12 if "rate" in name or name == "unclear" else 3, full=12)
        for name, verdict in VERDICTS.items()
    ]
    (folder / f"{key}.toml").write_text(CARD.format(key=key, pause=pause) + (card or "".join(claims)))
    return folder
