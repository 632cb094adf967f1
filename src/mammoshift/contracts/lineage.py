"""What a model was made from: every domain and subset that it or an ancestor has seen."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mammoshift.configuration.model import Name, Strict


class LearnedFrom(Strict):
    """One training: the domain, its fold, and the subsets that weights or choices depend on."""

    domain: Name
    fold: Annotated[int, Field(ge=0)] = 0
    subsets: tuple[str, ...] = ("train", "validation")


class Lineage(Strict):
    """All trainings behind a model, its own and those of its ancestors.

    `third_party` names the adapters of the archives that weights from elsewhere were trained on,
    `recipes` by dataset the hashes of how the images that were learned from became arrays.
    """

    steps: tuple[LearnedFrom, ...] = ()
    third_party: tuple[str, ...] = ()
    recipes: dict[str, tuple[str, ...]] | None = None
