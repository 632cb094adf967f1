"""All 33 features of OpenBreast: `openbreast32` and the fractal dimension."""

from __future__ import annotations

import numpy as np

from mammoshift.radiomics.openbreast import fractal
from mammoshift.radiomics.openbreast.region import Floats, Region
from mammoshift.radiomics.sets import openbreast32

NAMES = (*openbreast32.NAMES, *fractal.NAMES)


def compute(region: Region) -> Floats:
    """Return the features of `NAMES`; NaN where one is not defined."""
    return np.concatenate([openbreast32.compute(region), fractal.fractal_features(region)])
