"""Fabricated prediction tables of a small study."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammoshift.contracts.predictions import write_predictions

STUDY: dict[str, Any] = {
    "study": "fabricated",
    "arms": ["plain", "better"],
    "seeds": [0, 1, 2],
    "datasets": ["film", "digital", "other"],
    "aggregation": {"unit": "image", "combine": "mean"},
    "subgroups": ["density", "view", "lesion_type"],
    "specificity": 0.95,
    "bootstrap_resamples": 200,
    "budget_sizes": [10, 25],
    "calibration": [
        "temperature_source",
        "temperature_target_crossfit",
        "platt_target_crossfit",
        "prior_shift",
        "budget",
    ],
    "comparisons": [
        {"family": "home", "on": "source", "reference": "plain", "arms": None, "correct": "bh"},
        {"family": "away", "on": "targets", "reference": "plain", "arms": None, "correct": "holm"},
    ],
}
STRENGTH = {"film": 1.8, "digital": 1.0, "other": 0.5}


@pytest.fixture
def study() -> dict[str, Any]:
    return {**STUDY}


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Write one table for each dataset, arm and seed; every patient has two views."""
    written = []
    for dataset in STUDY["datasets"]:
        generator = np.random.default_rng(len(dataset))
        cases = _cases(dataset, generator)
        signal = STRENGTH[dataset] * (2.0 * cases["label"].to_numpy() - 1.0)
        shared = generator.normal(size=len(cases))
        for arm, seed in itertools.product(STUDY["arms"], STUDY["seeds"]):
            own = generator.normal(size=len(cases))
            gain = 0.6 if arm == "better" else 0.0
            table = cases.assign(logit=signal * (1.0 + gain) + shared + own)
            path = tmp_path / dataset / f"{arm}-{seed}.parquet"
            write_predictions(table, path)
            written.append(str(path))
    return written


def _cases(dataset: str, generator: np.random.Generator) -> pd.DataFrame:
    patients = 120
    subsets = np.where(np.arange(patients) % 3 == 0, "validation", "test")
    label = generator.integers(0, 2, patients)
    density = generator.choice(list("abcd"), patients)
    rows = [
        {
            "image_id": f"{dataset}-{p:03}-{view}",
            "patient_id": f"p{p:03}",
            "laterality": "left",
            "view": view,
            "density": density[p],
            "lesion_types": "mass" if label[p] else None,
            "subset": subsets[p] if dataset == "film" else "target",
            "label": label[p],
        }
        for p in range(patients)
        for view in ("CC", "MLO")
    ]
    return pd.DataFrame(rows)
