"""Random streams that belong to a name, so that no result depends on the order of the work."""

from __future__ import annotations

import hashlib

import numpy as np

from mammoshift.errors import StatisticsError


def generator_for(*parts: str) -> np.random.Generator:
    """Return the random generator of the cell that `parts` name.

    The seed is the SHA-256 of the parts (UTF-8, each preceded by its length, so that
    `("a", "bc")` and `("ab", "c")` differ). A cell such as (dataset, arm, seed, metric) thus draws
    the same numbers alone, in any order, and on any machine.

    Parameters
    ----------
    parts
        One or more names.

    Raises
    ------
    StatisticsError
        If there is no part, which would give every caller the same stream.
    """
    if not parts:
        raise StatisticsError("a random stream needs at least one name, such as the dataset's")
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return np.random.default_rng(int.from_bytes(digest.digest(), "big"))
