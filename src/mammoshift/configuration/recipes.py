"""Hashes by which two groups see that they read an archive, and made arrays of it, alike.

They depend on what is declared alone, not on the code or on the files: the adapter and its
options, defaults filled in, and for arrays the input recipe as it applies to the dataset.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from mammoshift.configuration.dataset import DatasetRecord
from mammoshift.configuration.model import InputRecipe

_DIGITS = 12


def archive_hash(dataset: DatasetRecord) -> str:
    """Return 12 digits for how an archive becomes labelled images: its adapter and options."""
    return _digits(_of_archive(dataset))


def array_hash(dataset: DatasetRecord, recipe: InputRecipe) -> str:
    """Return 12 digits for how it becomes arrays: the same, tone and geometry.

    `recipe` is that of the dataset, its own tone included.
    """
    plain = recipe.model_dump(mode="json", exclude_none=True)
    return _digits({**_of_archive(dataset), "input": plain})


def _of_archive(dataset: DatasetRecord) -> dict[str, Any]:
    options = dataset.options.model_dump(mode="json", exclude_none=True)
    return {"adapter": dataset.adapter, "options": options}


def _digits(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]
