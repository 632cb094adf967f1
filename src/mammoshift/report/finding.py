"""A sentence of the answer, and what kind of statement it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["verdict", "supported", "these_models", "not_supported", "caution"]
KINDS: tuple[Kind, ...] = ("verdict", "supported", "these_models", "not_supported", "caution")


@dataclass(frozen=True)
class Finding:
    """One sentence or two.

    `verdict` answers the study's question, `supported` holds for an arm whatever its seed,
    `these_models` for the trained models alone. `table` is the key of the table that says more.
    """

    kind: Kind
    text: str
    table: str = ""
