"""Fabricated studies in the contracts of the study machine: cases and prediction tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mammoshift.configuration.judged import (
    CalibrationSettings,
    ComparisonSettings,
    EvaluationSettings,
    LossSettings,
)
from mammoshift.contracts.cases import CASES_SCHEMA, read_cases, write_cases
from mammoshift.contracts.predictions import read_predictions, write_predictions
from mammoshift.evaluation.grid import Grid
from mammoshift.evaluation.load import load_grid

Edit = Callable[[pd.DataFrame], pd.DataFrame]
OPTIONS: dict[str, dict[str, Any]] = {
    "evaluation": {
        "subgroups": ["density", "view", "lesion_type"],
        "specificity": 0.95,
        "bootstrap_resamples": 200,
        "references": ["plain"],
    },
    "losses": {
        "subgroups": ["density"],
        "specificity": 0.95,
        "bootstrap_resamples": 200,
    },
    "calibration": {
        "calibration": [
            "temperature_source",
            "temperature_target_crossfit",
            "platt_target_crossfit",
            "prior_shift",
            "budget",
        ],
        "specificity": 0.95,
        "bootstrap_resamples": 200,
        "budget_sizes": [10, 25],
    },
}
SHORT: dict[str, Any] = {
    "study": "fabricated",
    "domains": [
        {"name": "film", "subsets": ["test"]},
        {"name": "digital", "subsets": ["target"]},
        {"name": "other", "subsets": ["target"]},
    ],
    "arms": [
        {"name": name, "own_domain": "film", "judged_on": ["film", "digital", "other"]}
        for name in ("plain", "better")
    ],
    "seeds": [0, 1, 2],
    "families": [
        {
            "family": "home",
            "domains": ["film"],
            "pairs": [{"arm": "better", "reference": "plain"}],
        },
        {
            "family": "away",
            "domains": ["digital", "other"],
            "pairs": [{"arm": "better", "reference": "plain"}],
            "correct": "holm",
        },
    ],
}
"""The short form: one source with a single split, and two targets."""

LONG: dict[str, Any] = {
    "study": "chain",
    "domains": [
        {"name": "film", "subsets": ["test"]},
        {"name": "clinic", "unit": "patient", "combine": "max", "subsets": ["out_of_fold"]},
        {"name": "crops", "unit": "patch", "subsets": ["target"]},
        {"name": "rows", "subsets": ["test"], "leak": "by_row"},
    ],
    "arms": [
        {"name": "on_film", "own_domain": "film", "judged_on": ["film", "clinic", "crops", "rows"]},
        {"name": "applied", "own_domain": "film", "judged_on": ["film", "clinic"]},
        {"name": "on_clinic", "own_domain": "clinic", "judged_on": ["film", "clinic"]},
        {"name": "of_patients", "own_domain": "clinic", "judged_on": ["clinic"]},
        {"name": "imported", "own_domain": "elsewhere", "judged_on": ["clinic", "rows"]},
        {"name": "on_rows", "own_domain": "rows", "judged_on": ["rows", "crops"]},
    ],
    "seeds": [0, 1],
    "families": [
        {
            "family": "mask",
            "domains": ["clinic", "rows"],
            "factor": "input.mask",
            "pairs": [
                {"arm": "applied", "reference": "on_film"},
                {"arm": "on_clinic", "reference": "on_film"},
                {"arm": "of_patients", "reference": "imported"},
                {"arm": "on_rows", "reference": "imported"},
            ],
        }
    ],
}
"""Two trained domains besides one with a leak, an applied arm, folds, patients and patches."""

FOLDS = {"on_clinic": 3, "of_patients": 3}
STRENGTH = {"film": 1.8, "digital": 1.0, "other": 0.5, "clinic": 1.2, "crops": 0.8, "rows": 1.5}


@dataclass(frozen=True)
class Fabricated:
    """A study with its tables on disk."""

    judged: Mapping[str, Any]
    cases: Mapping[str, Path]
    predictions: Mapping[tuple[str, str], Path]

    def settings(self, **changes: Any) -> dict[str, Any]:
        named = ("study", "domains", "arms", "seeds")
        return {key: self.judged[key] for key in named} | changes

    def evaluation(self, **changes: Any) -> EvaluationSettings:
        return EvaluationSettings.model_validate(self.settings(**OPTIONS["evaluation"]) | changes)

    def calibration(self) -> CalibrationSettings:
        return CalibrationSettings.model_validate(self.settings(**OPTIONS["calibration"]))

    def comparison(self, **changes: Any) -> ComparisonSettings:
        families = {"families": self.judged["families"]}
        return ComparisonSettings.model_validate(self.settings(**families) | changes)

    def losses(self, **changes: Any) -> LossSettings:
        options = OPTIONS["losses"] | {"families": self.judged["families"]}
        return LossSettings.model_validate(self.settings(**options) | changes)

    def grid(self, **changes: Any) -> Grid:
        return load_grid(
            self.evaluation(**changes), [*self.cases.values()], [*self.predictions.values()]
        )

    def edit_cases(self, change: Edit, domains: Sequence[str] | None = None) -> None:
        for domain in domains or self.cases:
            write_cases(change(read_cases(self.cases[domain])), self.cases[domain])

    def edit_predictions(self, change: Edit) -> None:
        for path in self.predictions.values():
            write_predictions(change(read_predictions(path)), path)


def fabricate(judged: Mapping[str, Any], folder: Path) -> Fabricated:
    cases, predictions = {}, {}
    for domain in judged["domains"]:
        name = domain["name"]
        generator = np.random.default_rng(len(name))
        table = fabricated_cases(name, domain.get("unit", "image"), generator)
        cases[name] = folder / f"{name}.parquet"
        write_cases(table, cases[name])
        shared = generator.normal(size=len(table))
        for arm in judged["arms"]:
            if name not in arm["judged_on"]:
                continue
            own = arm["own_domain"] == name
            table_of_arm = _predictions(arm["name"], table, own, shared, judged, generator)
            predictions[arm["name"], name] = folder / f"{arm['name']}-{name}.parquet"
            write_predictions(table_of_arm, predictions[arm["name"], name])
    return Fabricated(judged, cases, predictions)


def fabricated_cases(domain: str, unit: str, generator: np.random.Generator) -> pd.DataFrame:
    patients = 120
    label = generator.integers(0, 2, patients)
    density = generator.choice(list("abcd"), patients)
    age = generator.integers(40, 70, patients)
    rows = [
        {
            "case_id": f"{domain}-{p:03}-{view}",
            "domain": domain,
            "dataset": domain,
            "image_id": f"{domain}-{p:03}-{'CC' if unit == 'patch' else view}",
            "item_id": f"{domain}-{p:03}-{view}",
            "patient_id": f"p{p:03}",
            "laterality": "left",
            "view": view,
            "density": density[p],
            "lesion_types": "mass" if label[p] else None,
            "age": age[p],
            "pixel_spacing_mm": 0.05 if p % 2 else 0.0700001,
            "unit_id": f"p{p:03}" if unit == "patient" else f"{domain}-{p:03}-{view}",
            "unit_label": label[p],
            "label": label[p] if view == "CC" or unit != "patient" else 0,
            "subsets": _subsets(domain, p),
        }
        for p in range(patients)
        for view in ("CC", "MLO")
    ]
    return pd.DataFrame(rows).reindex(columns=CASES_SCHEMA.names)


def _subsets(domain: str, patient: int) -> tuple[str, ...]:
    if domain in {"film", "rows"}:
        return ("validation" if patient % 3 == 0 else "test",)
    if domain == "clinic":
        parts = ("out_of_fold", "validation", "validation" if patient < 30 else "train")
        return tuple(parts[(patient + fold) % 3] for fold in range(3))
    return ("target",)


def _predictions(
    arm: str,
    cases: pd.DataFrame,
    own: bool,
    shared: np.ndarray,
    judged: Mapping[str, Any],
    generator: np.random.Generator,
) -> pd.DataFrame:
    strength = STRENGTH[cases["domain"].iloc[0]]
    signal = strength * (2.0 * cases["unit_label"].to_numpy() - 1.0)
    gain = 0.6 if arm == "better" else 0.0
    parts = []
    for seed, fold in itertools.product(judged["seeds"], range(FOLDS.get(arm, 1))):
        noise = generator.normal(size=len(cases))
        if own:
            subset = [subsets[fold % len(subsets)] for subsets in cases["subsets"]]
        else:
            folds = (set(subsets) - {"train", "validation"} for subsets in cases["subsets"])
            subset = [min(found, default="validation") for found in folds]
        table = pd.DataFrame(
            {
                "arm": arm,
                "seed": seed,
                "fold": fold,
                "domain": cases["domain"],
                "subset": subset,
                "case_id": cases["unit_id" if arm == "of_patients" else "case_id"],
                "logit": signal * (1.0 + gain) + shared + noise,
            }
        ).drop_duplicates("case_id")
        scored = {"validation", "test", "out_of_fold"} if own else {"test", "out_of_fold", "target"}
        parts.append(table[table["subset"].isin(scored)])
    return pd.concat(parts, ignore_index=True)
