"""The 32 features of OpenBreast that the UIS thesis of 2025 used."""

from __future__ import annotations

import numpy as np

from mammoshift.radiomics.openbreast import cooccurrence, intensity, runs, sharpness
from mammoshift.radiomics.openbreast.region import Floats, Region

NAMES = (*intensity.NAMES, *cooccurrence.NAMES, *runs.NAMES, *sharpness.NAMES)


def compute(region: Region) -> Floats:
    """Return the features of `NAMES`; NaN where one is not defined."""
    return np.concatenate(
        [
            intensity.intensity_features(region),
            cooccurrence.cooccurrence_features(region),
            runs.run_features(region),
            sharpness.sharpness_features(region),
        ]
    )
