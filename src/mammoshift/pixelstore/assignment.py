"""Which shard an image belongs to: by its patient, for good, whatever else is in the archive."""

from __future__ import annotations

import hashlib


def shard_of(key: str, shards: int) -> int:
    """Return the shard, 0 to `shards` - 1, of a patient (or of an image without a patient).

    The number depends on `key` and `shards` only, so that a new image changes one shard and the
    images of a patient stay together.

    Raises
    ------
    ValueError
        If `shards` is not positive.
    """
    if shards < 1:
        raise ValueError(f"the number of shards is {shards}; it must be at least 1")
    digest = hashlib.blake2b(key.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards
