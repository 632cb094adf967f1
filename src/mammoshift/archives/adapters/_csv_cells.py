"""What the cells of a user's own table may hold, column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mammoshift.archives.vocabulary import (
    birads_of,
    density_of,
    finite_number,
    side_of,
    view_of,
    whole_years,
)
from mammoshift.contracts.vocabulary import BIRADS, VIEWS

_SPLITS = {"train": "train", "training": "train", "test": "test", "both": "both"}

_SIDES = {
    **dict.fromkeys(("links", "li", "gauche", "g", "izquierda", "izquierdo", "izq", "i"), "left"),
    **dict.fromkeys(("rechts", "re", "droite", "droit", "d", "derecha", "derecho", "der"), "right"),
}
"""Sides in German, French, Spanish and Dutch."""

_BOTH = ("beide", "beidseits", "bilateral", "les deux", "ambas", "ambos")


@dataclass(frozen=True)
class Meaning:
    """How the cells of a column are read: `parse` gives None for what is not `allowed`."""

    parse: Callable[[str], Any]
    allowed: str


def _lesion_side(text: str) -> str | None:
    word = text.strip().lower()
    return "both" if word in {"both", "b", *_BOTH} else _side(text)


def _side(text: str) -> str | None:
    return side_of(text) or _SIDES.get(text.strip().lower())


def _spacing(text: str) -> float | None:
    spacing = finite_number(text)
    return spacing if spacing is not None and 0.0 < spacing <= 10.0 else None


MEANINGS: Mapping[str, Meaning] = {
    "lesion_side": Meaning(_lesion_side, "left, right, both, L, R or empty"),
    "laterality": Meaning(_side, "left, right, L, R or empty"),
    "view": Meaning(view_of, f"{', '.join(VIEWS)} or empty"),
    "density": Meaning(density_of, "A to D, 1 to 4 or empty"),
    "birads": Meaning(birads_of, f"{', '.join(BIRADS)} or empty"),
    "age": Meaning(whole_years, "whole years from 0 to 120 or empty"),
    "official_split": Meaning(lambda text: _SPLITS.get(text.lower()), "train, test, both or empty"),
    "pixel_spacing_mm": Meaning(_spacing, "a number of mm above 0 and up to 10, or empty"),
}
"""The columns whose cells are more than text."""
