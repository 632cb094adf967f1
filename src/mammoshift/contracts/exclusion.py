"""What did not become an image, and why: one row of the quality-control table.

Standard library only: adapters, which the configuration reads, use it.
"""

from __future__ import annotations

from dataclasses import dataclass

QC_COLUMNS = ("dataset", "path", "stage", "reason")


@dataclass(frozen=True)
class Exclusion:
    """One file or table row that did not become an image, and why.

    `stage` is `ingest` or `preprocess` for a loss, and `selection` for what was left out on
    purpose, such as a second copy of a film; only losses count towards `maximum_lost_share`.
    """

    dataset: str
    path: str
    stage: str
    reason: str
