"""What of its cases a kind of arm is given: pixels, features, and the scores of other arms."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.contracts.features import features_by_dataset, features_of_cases, read_scores
from mammoshift.pixelstore.case_pixels import CasePixels


@dataclass(frozen=True)
class InputFiles:
    """The files that a job reads beside its cases and models.

    Attributes
    ----------
    stores
        Dataset -> receipt of its pixel store.
    features
        Tables of features, one for each dataset.
    scores
        Tables of scores, one for each arm that is read.
    """

    stores: Mapping[str, Path]
    features: Sequence[Path] = ()
    scores: Sequence[Path] = ()


@dataclass(frozen=True)
class CaseInputs:
    """What is known of the images of some cases; what a job is not given is None or empty.

    `scores` has the logits of the arms that are read, by seed.
    """

    pixels: CasePixels | None
    features: pd.DataFrame | None
    scores: Mapping[int, pd.DataFrame]

    @classmethod
    def open(
        cls, files: InputFiles, cases: pd.DataFrame, domain: str, seeds: Sequence[int]
    ) -> CaseInputs:
        """Open what a job is given of the cases of a domain.

        Raises
        ------
        DamagedFileError
            If a file is not what was written.
        TableError
            If a dataset, an arm or a seed is missing.
        """
        pixels = CasePixels.open(files.stores, cases) if files.stores else None
        features = None
        if files.features:
            features = features_of_cases(features_by_dataset(files.features), cases)
        scores = {}
        if files.scores:
            scores = {seed: read_scores(files.scores, domain, seed) for seed in seeds}
        return cls(pixels, features, scores)

    def known(self, cases: pd.DataFrame) -> NDArray[np.bool_]:
        """Tell for each case whether its image could be decoded."""
        if self.pixels is not None:
            return self.pixels.stored(cases)
        found = (
            self.features if self.features is not None else next(iter(self.scores.values()), None)
        )
        if found is None:
            return np.ones(len(cases), dtype=bool)
        return cases["case_id"].isin(found.index).to_numpy(dtype=bool)

    def hashes(self, cases: pd.DataFrame, seed: int) -> list[str]:
        """Return hashes of all that a result for known cases and a seed depends on."""
        found = [] if self.pixels is None else self.pixels.hashes(cases)
        for table in (self.features, self.scores.get(seed)):
            if table is not None:
                own = table.reindex(cases["case_id"])
                found.append(" ".join(map(str, own.columns)))
                values = np.ascontiguousarray(own.to_numpy(dtype="<f8"))
                found.append(hashlib.sha256(values.tobytes()).hexdigest())
        return found
