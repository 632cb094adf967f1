"""The images of a domain's cases, from the pixel stores of its datasets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.errors import TableError
from mammoshift.pixelstore.reader import PixelStore
from mammoshift.pixelstore.receipt import checked_folders


class CasePixels:
    """Reads the image of a case by its `case_id`; a pixel source for training and scoring."""

    def __init__(self, stores: Mapping[str, PixelStore], cases: pd.DataFrame) -> None:
        self._stores = dict(stores)
        columns = zip(cases["case_id"], cases["dataset"], cases["item_id"], strict=True)
        self._places = {case: (dataset, item) for case, dataset, item in columns}

    @classmethod
    def open(cls, stores: Mapping[str, Path], cases: pd.DataFrame) -> CasePixels:
        """Open the stores, by dataset, whose receipts are given; every file is checked.

        Raises
        ------
        DamagedFileError
            If a file of a store is not what was written.
        TableError
            If a dataset of a case has no store.
        """
        absent = set(cases["dataset"]) - set(stores)
        if absent:
            raise TableError(f"there is no pixel store of the dataset {sorted(absent)[0]}")
        opened = {name: PixelStore.open(checked_folders(path)) for name, path in stores.items()}
        return cls(opened, cases)

    def stored(self, cases: pd.DataFrame) -> NDArray[np.bool_]:
        """Tell for each case whether its image could be decoded and is in a store."""
        pairs = zip(cases["dataset"], cases["item_id"], strict=True)
        return np.array([item in self._stores[dataset] for dataset, item in pairs], dtype=bool)

    def hashes(self, cases: pd.DataFrame) -> list[str]:
        """Return the hash of each case's pixels; every case must be stored."""
        known = {
            name: dict(zip(store.index["item_id"], store.index["pixel_hash"], strict=True))
            for name, store in self._stores.items()
        }
        pairs = zip(cases["dataset"], cases["item_id"], strict=True)
        return [known[dataset][item] for dataset, item in pairs]

    def read(self, case_id: str) -> NDArray[np.uint16]:
        """Return a copy of one case's image: uint16, shape (rows, columns).

        Raises
        ------
        TableError
            If the case or its image is not there.
        """
        place = self._places.get(case_id)
        if place is None:
            raise TableError(f"{case_id}: not a case of this domain")
        return self._stores[place[0]].read(place[1])
