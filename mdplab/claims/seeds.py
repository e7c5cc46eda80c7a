"""Random streams keyed by what they are for, so that adding a claim changes no other claim's numbers.

All arms of a claim share its streams (common random numbers): a falsifier that is turned into the true algorithm
produces the very data of the main arm.
"""

import hashlib

import numpy as np

# Part of every key; changing it redraws the whole suite.
SUITE = 20260101


def entropy(claim_id: str) -> tuple[int, int]:
    """The suite's constant and the first 128 bits of the hash of the claim's id."""
    return SUITE, int.from_bytes(hashlib.sha256(claim_id.encode()).digest()[:16], "little")


def stream(claim_id: str, replicate: int, stream: int = 0) -> np.random.Generator:
    """The generator of one replicate of one claim.

    Parameters
    ----------
    claim_id
        Such as "munos2023:last_iterate".
    replicate
        At least 0.
    stream
        At least 0; the runner hands stream 0 to the claim's function, which may `spawn` from it.

    Examples
    --------
    >>> a, b = stream("key:name", 3), stream("key:name", 3)
    >>> bool(a.random() == b.random())
    True
    """
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence(entropy=entropy(claim_id), spawn_key=(replicate, stream)))
    )
