"""Random streams and identifiers that depend on nothing but their own key.

Each knob of each patient has a stream of its own. Another scanner therefore images the same
anatomy, and one more patient changes no other.
"""

from __future__ import annotations

import hashlib

import numpy as np

Key = str | int


def stream(seed: int, *key: Key) -> np.random.Generator:
    """Return the random generator of one knob.

    Parameters
    ----------
    seed
        Seed of the twin, at least 0.
    key
        What the numbers are for, e.g. ``("patient", 12, "age")``. Equal keys give equal streams;
        the text "1" and the number 1 are different keys.
    """
    return np.random.Generator(np.random.PCG64(_digest(seed, key)))


def synthetic_uid(seed: int, *key: Key) -> str:
    """Return a DICOM UID under the root 2.25 (DICOM PS3.5 B.2), at most 44 characters."""
    return f"2.25.{_digest(seed, key)}"


def _digest(seed: int, key: tuple[Key, ...]) -> int:
    """Return 128 bits that are a function of the seed and the key."""
    return int.from_bytes(hashlib.sha256(repr((seed, *key)).encode()).digest()[:16], "big")
