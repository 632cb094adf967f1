"""The features of every image of a pixel store: what the rule `extract_features` does.

They are kept with the hash of the array that they are of, so that after a new image those of one
image are computed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift import registry
from mammoshift.contracts.features import IDENTITY, read_features, write_features
from mammoshift.errors import DamagedFileError, TableError
from mammoshift.files import atomic_path
from mammoshift.pixelstore.reader import PixelStore
from mammoshift.pixelstore.receipt import checked_folders, read_receipt
from mammoshift.provenance.planned_code import check_code
from mammoshift.provenance.sealed import read_sealed, write_sealed
from mammoshift.provenance.versions import made_here, made_in_all, may_be_kept, note_kept
from mammoshift.radiomics.breast import breast_region
from mammoshift.radiomics.openbreast.region import Region
from mammoshift.radiomics.settings import SETS

_SECONDS_BETWEEN_LINES = 60.0


class FeatureSet(Protocol):
    """What the module of a set of features offers."""

    NAMES: tuple[str, ...]

    def compute(self, region: Region) -> NDArray[np.float64]:
        """Return the features of `NAMES`; NaN where one is not defined."""
        ...


@dataclass(frozen=True)
class Kept:
    """Where features outlive Snakemake's bookkeeping: a table, and the code that made it.

    With the code stand the versions of the libraries, the time and the machines.
    """

    table: Path
    code: Path

    @classmethod
    def beside(cls, output: Path) -> Kept:
        """Return the kept files of an output."""
        folder = output.parent / "kept"
        return cls(folder / output.name, folder / f"{output.stem}.json")


def extract_features(
    store_file: Path, feature_set: str, code: Mapping[str, str], output: Path
) -> None:
    """Write the features of all images of a store; those of unchanged images are kept.

    An image without a breast has no value.

    Parameters
    ----------
    store_file
        Receipt of the store.
    feature_set
        Name of a module of `mammoshift.radiomics.sets`.
    code
        Fingerprint of the code: other code keeps nothing.
    """
    features: FeatureSet = registry.load(SETS, feature_set)  # type: ignore[assignment]
    dataset = read_receipt(store_file).dataset
    store = PixelStore.open(checked_folders(store_file))
    index = store.index.sort_values("item_id")
    spacing = index[["pixel_spacing_down_mm", "pixel_spacing_along_mm"]].mean(axis=1, skipna=False)
    kept = Kept.beside(output)
    known = _known(kept, code, features.NAMES)
    rows, computed, without, said = [], 0, 0, time.monotonic()
    for item, pixels, distance in zip(
        index["item_id"], index["pixel_hash"], spacing.astype(float), strict=True
    ):
        key = (pixels, None if np.isnan(distance) else distance)
        values = known.get(key)
        if values is None:
            region = breast_region(store.read(item), key[1])
            empty = np.full(len(features.NAMES), np.nan)
            values = empty if region is None else features.compute(region)
            computed += 1
        without += bool(np.isnan(values).all())
        rows.append((item, *key, *values))
        if time.monotonic() - said > _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            print(f"{dataset}: {len(rows)} of {len(index)} images")
    table = pd.DataFrame(rows, columns=[*IDENTITY, *features.NAMES])
    write_features(table, features.NAMES, dataset, output)
    if computed:
        made_here(0.0)
    _keep(kept, code, output)
    print(
        f"{dataset}, {feature_set}: {computed} images computed, {len(rows) - computed} kept, "
        f"{without} without a breast"
    )


def _known(
    kept: Kept, code: Mapping[str, str], names: tuple[str, ...]
) -> dict[tuple[str, float | None], NDArray[np.float64]]:
    """Return the features that hold, by the hash of the array and its spacing."""
    try:
        record = read_sealed(kept.code)
        if record is None or record["code"] != dict(code) or not may_be_kept(record["made"]):
            return {}
        table = read_features(kept.table)[1]
    except (OSError, KeyError, TableError, DamagedFileError):
        return {}
    note_kept(record["made"])
    distances = [None if np.isnan(d) else d for d in table["spacing_mm"].astype(float)]
    values = table[list(names)].to_numpy(dtype=np.float64)
    return dict(zip(zip(table["pixel_hash"], distances, strict=True), values, strict=True))


def _keep(kept: Kept, code: Mapping[str, str], output: Path) -> None:
    check_code()
    kept.code.unlink(missing_ok=True)
    with atomic_path(kept.table) as temporary:
        temporary.write_bytes(output.read_bytes())
    write_sealed(kept.code, {"code": dict(code), "made": made_in_all()})
