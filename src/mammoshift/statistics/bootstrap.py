"""Patient bootstrap by counts: a resample says how often each patient was drawn.

Patients are drawn with replacement within three strata: patients with positive cases only, with
negative cases only, and mixed patients (such as one cancerous and one healthy breast). Each
stratum keeps its number of patients, so a resample always holds both classes; with mixed
patients or several images per patient the numbers of cases vary, as they would in a new sample.
Without patient identifiers every case counts as its own patient.

References
----------
Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13 (clusters,
percentile interval). Rutter 2000, Academic Radiology 7:413 (patient bootstrap of ROC measures).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammoshift.errors import StatisticsError
from mammoshift.statistics.inputs import FloatArray, IntArray, checked_cases, cluster_codes
from mammoshift.statistics.proportions import checked_level

DEFAULT_RESAMPLES = 2000
CountArray = NDArray[np.int32]
_CHUNK_ELEMENTS = 150_000
"""Cases times resamples that are held at once: counts that stay in a processor's cache."""
_SMALLEST_CHUNK, _LARGEST_CHUNK = 8, 128


@dataclass(frozen=True)
class Strata:
    """The patients of one set of cases, grouped as they are resampled.

    Attributes
    ----------
    positive
        [N], the class of each case.
    codes
        [N], the patient of each case as 0 .. n_patients - 1.
    members
        Patient codes of each stratum that is not empty: positive only, negative only, mixed.
    n_patients
        Number of patients.
    clustered
        False when every patient has one case.
    """

    positive: NDArray[np.bool_]
    codes: IntArray
    members: tuple[IntArray, ...]
    n_patients: int
    clustered: bool

    @property
    def note(self) -> str:
        """Say when a stratum of one patient makes the interval too narrow; else empty."""
        alone = sum(1 for group in self.members if group.size == 1)
        return (
            f"{alone} stratum of the patient bootstrap has one patient, who never varies"
            if alone
            else ""
        )


def strata_of(labels: ArrayLike, patients: ArrayLike | None = None) -> Strata:
    """Group the patients of N cases for resampling.

    Parameters
    ----------
    labels
        [N], 0 or 1.
    patients
        [N], identifiers; None when every case is its own patient.

    Raises
    ------
    StatisticsError
        If a label is neither 0 nor 1, a class is empty, or a patient is missing.
    """
    positive, _ = checked_cases(labels, np.zeros(np.shape(labels)))
    N = positive.size
    for present, name in ((positive.any(), "positive"), ((~positive).any(), "negative")):
        if not present:
            raise StatisticsError(f"bootstrap: there is no {name} case among {N}")
    codes = np.arange(N, dtype=np.intp) if patients is None else cluster_codes(patients, N)
    size = int(codes.max()) + 1
    has_positive = np.bincount(codes[positive], minlength=size) > 0
    has_negative = np.bincount(codes[~positive], minlength=size) > 0
    groups = (
        has_positive & ~has_negative,
        has_negative & ~has_positive,
        has_positive & has_negative,
    )
    members = tuple(np.flatnonzero(group) for group in groups if group.any())
    return Strata(positive, codes, members, size, size < N)


def multiplicities(
    strata: Strata, resamples: int, rng: np.random.Generator
) -> Iterator[CountArray]:
    """Yield chunks [n_patients, b] of how often each patient is drawn; the b sum to `resamples`.

    Each stratum has its own child of `rng`, so the draws do not depend on the size of a chunk.
    Memory is bounded, whatever the number of patients and resamples.
    """
    if resamples < 1:
        raise StatisticsError(f"bootstrap: {resamples} resamples; at least one is needed")
    streams = rng.spawn(len(strata.members))
    width = min(_LARGEST_CHUNK, max(_SMALLEST_CHUNK, _CHUNK_ELEMENTS // strata.codes.size))
    for start in range(0, resamples, width):
        count = min(width, resamples - start)
        drawn = np.empty((strata.n_patients, count), dtype=np.int32)
        for group, stream in zip(strata.members, streams, strict=True):
            drawn[group] = _drawn_counts(group.size, count, stream)
        yield drawn


def bootstrap_sums(
    strata: Strata,
    values: FloatArray,
    rng: np.random.Generator,
    *,
    resamples: int = DEFAULT_RESAMPLES,
) -> FloatArray:
    """Return the sums of case values over each resample.

    Parameters
    ----------
    values
        [N, J], for instance indicators of the four cells of a confusion matrix.

    Returns
    -------
    NDArray
        [B, J].
    """
    by_patient = np.stack(
        [
            np.bincount(strata.codes, weights=column, minlength=strata.n_patients)
            for column in values.T
        ]
    ).astype(np.float64, copy=False)
    return np.concatenate(
        [(by_patient @ drawn).T for drawn in multiplicities(strata, resamples, rng)]
    )


def percentile_interval(
    replicates: FloatArray, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the percentile interval along the last axis (Efron and Tibshirani 1993, eq. 13.5)."""
    tail = (1.0 - checked_level(level)) / 2.0
    low, high = np.quantile(replicates, [tail, 1.0 - tail], axis=-1)
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def is_degenerate(replicates: FloatArray) -> bool:
    """Return whether all replicates agree, so that their spread says nothing."""
    return bool(np.ptp(replicates) <= 1e-12)


def resamples_text(resamples: int) -> str:
    """Return the name of the method for a result table, such as `patient_bootstrap_2000`."""
    return f"patient_bootstrap_{resamples}"


def _drawn_counts(size: int, count: int, rng: np.random.Generator) -> CountArray:
    """Return [size, count]: draws with replacement of `size` members, counted, `count` times."""
    picked = rng.integers(0, size, size=(count, size))
    picked += (np.arange(count) * size)[:, None]
    counted = np.bincount(picked.ravel(), minlength=size * count)
    return counted.reshape(count, size).T.astype(np.int32)
