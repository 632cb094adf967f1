"""Features of the histogram of a region: moments, percentiles, entropy, balance."""

from __future__ import annotations

import numpy as np

from mammoshift.radiomics.openbreast.region import Floats, Region

NAMES = (
    "imin",
    "imax",
    "iavg",
    "ient",
    "istd",
    "ip05",
    "ip95",
    "iba1",
    "iba2",
    "ip30",
    "ip70",
    "iske",
    "ikur",
    "iran",
)
BINS = 256
EPS = float(np.finfo(np.float64).eps)


def intensity_features(region: Region) -> Floats:
    """Return the features of `NAMES`, in units of the pixels where they have one.

    Percentiles lie between the middles of the ordered pixels (Hazen), the standard deviation
    divides by N - 1, skewness and kurtosis are the biased ones, 3 for a normal distribution.
    Of pixels that are all alike the last two are not defined (NaN).
    """
    x = region.values
    low, high, mean = float(x.min()), float(x.max()), float(x.mean())
    p05, p30, p70, p95 = np.percentile(x, (5, 30, 70, 95), method="hazen").tolist()
    centred = x - mean
    squared = centred * centred
    variance = float(squared.mean())
    with np.errstate(invalid="ignore"):
        skewness = float(np.float64((squared * centred).mean()) / np.float64(variance) ** 1.5)
        kurtosis = float(np.float64((squared * squared).mean()) / np.float64(variance) ** 2)
    return np.array(
        [
            low,
            high,
            mean,
            histogram_entropy(x),
            float(np.sqrt(squared.sum() / (x.size - 1))) if x.size > 1 else 0.0,
            p05,
            p95,
            (p95 - mean + EPS) / (mean - p05 + EPS),
            (p70 - mean + EPS) / (mean - p30 + EPS),
            p30,
            p70,
            skewness,
            kurtosis,
            high - low,
        ]
    )


def histogram_entropy(x: Floats) -> float:
    """Return the entropy in bits of a histogram of 256 equal bins from the least to the largest.

    A bin holds its upper end and not its lower, but for the first.
    """
    inner = np.linspace(x.min(), x.max(), BINS + 1)[1:-1]
    counts = np.bincount(np.searchsorted(inner, x, side="left"), minlength=BINS)
    return entropy(counts)


def entropy(counts: np.ndarray) -> float:
    """Return the entropy in bits of counts of any shape."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
