"""A study whose tables are made up, plausible enough to lay a report out by."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.contracts.cases import CASES_SCHEMA, write_cases
from mammoshift.contracts.manifest import (
    MANIFEST_SCHEMA,
    Exclusion,
    write_exclusions,
    write_manifest,
)
from mammoshift.contracts.predictions import write_predictions
from mammoshift.contracts.results import (
    COMPARISON_COLUMNS,
    METRIC_COLUMNS,
    write_comparisons,
    write_metrics,
)
from mammoshift.contracts.run import Run
from mammoshift.report.inputs import ReportInputs, TrainingRun

REPOSITORY = Path(__file__).resolve().parents[3]
ASSETS = REPOSITORY / "workflow" / "report"
SOURCE = "cbis_ddsm"
AT = {"criterion": "specificity_0.95"}
COMPARISON_DEFAULTS = dict.fromkeys(COMPARISON_COLUMNS, "") | {
    "metric": "auc",
    "subgroup": "all",
    "subgroup_value": "all",
    "seed": "all",
    "headline": False,
}
SCALED = {"recalibration": "temperature", "fitted_on": "own_validation"}


@dataclass(frozen=True)
class Recipe:
    """What to fabricate."""

    arms: tuple[str, ...] = ("resnet", "efficientnet", "resnet_density_focal_0p1")
    targets: tuple[str, ...] = ("cmmd", "dmid", "mias", "cdd_cesm")
    seeds: tuple[int, ...] = (0, 1)
    patients: int = 60
    study: str = "cross_sensor"
    title: str = "Does a classifier trained on film survive another sensor and population?"
    synthetic: bool = True


def fabricate(folder: Path, recipe: Recipe = Recipe()) -> ReportInputs:
    """Write all tables of a made-up study into `folder` and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = report_settings(recipe)
    rng = np.random.default_rng(7)
    manifests, tables, predictions = [], [], []
    metrics: list[dict[str, object]] = []
    for position, domain in enumerate(settings.domain_names):
        cases = _cases(domain, recipe.patients - 6 * position, rng, domain == SOURCE)
        manifests.append(folder / f"manifest_{domain}.parquet")
        write_manifest(_manifest(cases), manifests[-1])
        tables.append(folder / f"cases_{domain}.parquet")
        write_cases(_case_table(cases), tables[-1])
        cases = cases[cases["subset"] != "train"]
        strength = 1.9 if position == 0 else 1.1 - 0.25 * position
        for number, arm in enumerate(recipe.arms):
            common = rng.normal(size=len(cases))
            parts = []
            for seed in recipe.seeds:
                own = rng.normal(size=len(cases))
                separation = strength - 0.15 * number + 0.1 * rng.normal()
                logit = 1.8 * (separation * cases["label"] + 0.9 * common + 0.4 * own) - 1.0
                named = {"arm": arm, "seed": seed, "fold": 0, "domain": domain}
                scored = cases[["subset"]].assign(case_id=cases["image_id"], logit=logit, **named)
                parts.append(scored)
            predictions.append(folder / f"{arm_file(arm)}-{domain}.parquet")
            write_predictions(pd.concat(parts), predictions[-1])
        evaluated = cases[cases["subset"].isin({"test", "target"})]
        for number, arm in enumerate(recipe.arms):
            metrics += _metrics(recipe, domain, arm, number, position, evaluated, rng)
    _write_metrics(pd.DataFrame(metrics), folder / "metrics.csv")
    rows = [*_comparisons(recipe, rng), *_drops(recipe)]
    comparisons = pd.DataFrame([COMPARISON_DEFAULTS | row for row in rows])
    comparisons = comparisons.reindex(columns=list(COMPARISON_COLUMNS))
    write_comparisons(comparisons, folder / "comparisons.csv")
    write_exclusions(
        [
            Exclusion(SOURCE, "Mass-Training_P_00001/1.dcm", "ingest", "duplicate film"),
            Exclusion(SOURCE, "Mass-Training_P_00002/1.dcm", "ingest", "duplicate film"),
            Exclusion(settings.domain_names[-1], "D1-0001/1.dcm", "decode", "truncated pixel data"),
        ],
        folder / "excluded.csv",
    )
    audit = pd.DataFrame(
        {
            "check": ["patient_in_one_subset", "pixels_in_one_subset", "near_duplicates"],
            "outcome": ["pass", "pass", "listed"],
            "detail": [
                "patients in two subsets: 60 examined, 0 found",
                "equal pixels in two subsets: 420 examined, 0 found",
                "pictures that look alike: 420 examined, 3 found",
            ],
        }
    )
    audit.to_csv(folder / "audit.csv", index=False)
    return ReportInputs(
        settings=settings,
        metrics=(folder / "metrics.csv",),
        comparisons=(folder / "comparisons.csv",),
        manifests=tuple(manifests),
        cases=tuple(tables),
        predictions=tuple(predictions),
        runs=tuple(_run(folder, arm, seed, rng) for arm in recipe.arms for seed in recipe.seeds),
        exclusions=(folder / "excluded.csv",),
        audits=(folder / "audit.csv",),
        assets=ASSETS,
    )


def arm_file(arm: str) -> str:
    """Return a name of an arm, which may hold any character, as a part of a file name."""
    return "".join(letter if letter.isalnum() else "-" for letter in arm)


def report_settings(recipe: Recipe) -> ReportSettings:
    """Return what the report knows of the made-up study beside its numbers."""
    titles = {SOURCE: "CBIS-DDSM, digitised film", "cmmd": "CMMD, full-field digital"}
    names = (SOURCE, *recipe.targets)
    pairs = [{"arm": arm, "reference": recipe.arms[0]} for arm in recipe.arms[1:]]
    return ReportSettings.model_validate(
        {
            "study": recipe.study,
            "title": recipe.title,
            "question": "Models are trained on one archive and tested on others.",
            "domains": [
                {"name": name, "subsets": ["test" if name == SOURCE else "target"]}
                for name in names
            ],
            "arms": [
                {"name": arm, "own_domain": SOURCE, "judged_on": names} for arm in recipe.arms
            ],
            "seeds": recipe.seeds,
            "datasets": [
                {
                    "name": name,
                    "title": titles.get(name, name.upper()),
                    "licence": "synthetic" if recipe.synthetic else "CC BY 4.0",
                    "synthetic": recipe.synthetic,
                }
                for name in names
            ],
            "described_domains": [
                {
                    "name": name,
                    "datasets": [name],
                    "task": "malignant_vs_rest",
                    "split": {"method": "patient_stratified", "split_seed": "0"}
                    if name == SOURCE
                    else None,
                }
                for name in names
            ],
            "described_arms": [
                {"name": arm, "kind": "classifier", "settings": _arm_settings(arm, i)}
                for i, arm in enumerate(recipe.arms)
            ],
            "families": [
                {"family": "in_distribution", "domains": [SOURCE], "pairs": pairs},
                {"family": "transfer", "domains": recipe.targets, "pairs": pairs},
            ],
            "subgroups": ["density"],
            "calibration": ["temperature_source", "temperature_target_crossfit"],
            "specificity": 0.95,
            "bootstrap_resamples": 500,
        }
    )


def _arm_settings(arm: str, number: int) -> dict[str, Any]:
    return {
        "name": arm,
        "backbone": "tiny_resnet",
        "initialisation": "random",
        "input": {"mask": "none", "tone": "dicom_voi", "size": [160, 96], "fit": "pad"},
        "loss": {"name": "bce" if number < 2 else "density_aware_focal", "gamma": 2.0},
        "training": {
            "batch_size": 16,
            "stages": [{"train": "all", "epochs": 14, "lr": 0.002}],
        },
    }


def _cases(domain: str, patients: int, rng: np.random.Generator, source: bool) -> pd.DataFrame:
    """Return two images of each patient, with everything a manifest or a prediction needs."""
    number = np.repeat(np.arange(patients), 2)
    positive = np.repeat(rng.random(patients) < 0.4, 2)
    density = np.repeat(rng.choice(list("abcd"), patients, p=[0.1, 0.4, 0.4, 0.1]), 2)
    subsets = np.where(np.arange(patients) % 5 < 2, "test", "train")
    subsets = np.where(np.arange(patients) % 5 == 2, "validation", subsets)
    return pd.DataFrame(
        {
            "image_id": [f"{domain}-{p:04d}-{v}" for p, v in zip(number, itertools.cycle("01"))],
            "dataset": domain,
            "patient_id": [f"{domain}-{p:04d}" for p in number],
            "laterality": np.repeat(rng.choice(["left", "right"], patients), 2),
            "view": ["CC", "MLO"] * patients,
            "density": density,
            "lesion_types": ["mass" if p else None for p in positive],
            "label": positive.astype(np.int8),
            "subset": np.repeat(subsets, 2) if source else "target",
            "age": np.repeat(rng.integers(35, 80, patients), 2),
        }
    )


def _manifest(cases: pd.DataFrame) -> pd.DataFrame:
    manifest = cases.drop(columns=["label", "subset"]).assign(
        exam_id=None,
        pair_id=None,
        site=None,
        patient_pathology=None,
        pathology=np.where(cases["label"] == 1, "malignant", "benign"),
        density_scale="birads",
        birads=None,
        official_split=None,
        manufacturer="GE MEDICAL SYSTEMS" if cases["dataset"].iloc[0] == "cmmd" else None,
        detector=None,
        pixel_spacing_mm=0.094,
        bits=12,
        rows=287,
        columns=239,
        path=cases["image_id"] + ".dcm",
        content_key="0",
    )
    return manifest[MANIFEST_SCHEMA.names]


def _case_table(cases: pd.DataFrame) -> pd.DataFrame:
    ids = dict.fromkeys(("case_id", "item_id", "unit_id"), cases["image_id"])
    subsets = [(subset,) for subset in cases["subset"]]
    table = cases.assign(domain=cases["dataset"], unit_label=cases["label"], subsets=subsets, **ids)
    return table.reindex(columns=CASES_SCHEMA.names)


def _metrics(
    recipe: Recipe,
    domain: str,
    arm: str,
    number: int,
    position: int,
    cases: pd.DataFrame,
    rng: np.random.Generator,
) -> list[dict[str, object]]:
    n_pos = int(cases["label"].sum())
    base = {
        "study": recipe.study,
        "domain": domain,
        "subset": "test" if position == 0 else "target",
        "arm": arm,
        "n": len(cases),
        "n_pos": n_pos,
        "n_neg": len(cases) - n_pos,
        "n_clusters": cases["patient_id"].nunique(),
    }
    auc = (0.86 if position == 0 else 0.74 - 0.05 * position) - 0.02 * number
    rows: list[dict[str, object]] = []

    def add(metric: str, value: float, half: float | None = None, **other: object) -> None:
        limits = {} if half is None else {"ci_low": value - half, "ci_high": value + half}
        rows.append(base | {"seed": "mean", "metric": metric, "value": value} | limits | other)

    for seed in recipe.seeds:
        add("auc", auc + 0.02 * rng.normal(), 0.07, seed=str(seed), method="score_obuchowski")
        add(
            "temperature",
            1.6 + 0.1 * number,
            seed=str(seed),
            recalibration="temperature",
            fitted_on="own_validation",
        )
        for name, value in (("threshold", 0.4), ("tp", 11), ("fp", 4), ("tn", 30), ("fn", 9)):
            add(name, value, seed=str(seed), **AT, threshold_from="own_validation")
    over_seeds = "seeds_random_" if len(recipe.seeds) > 1 else ""
    add("auc", auc, 0.06, method=f"{over_seeds}score_obuchowski")
    add("auc", auc + 0.01, 0.06, seed="ensemble", method="score_obuchowski")
    add("seed_sd", 0.021)
    add("temperature", 1.6 + 0.1 * number, recalibration="temperature", fitted_on="own_validation")
    for threshold_from, sensitivity, specificity in (
        ("own_validation", 0.42 - 0.05 * position, 0.95 - 0.08 * position),
        ("reestimated", 0.38 - 0.06 * position, 0.95),
    ):
        method = f"patient_bootstrap_{500}"
        at = AT | {"threshold_from": threshold_from}
        for metric, value, half in (
            ("sensitivity", sensitivity, 0.12),
            ("specificity", specificity, 0.04),
        ):
            add(metric, value, method="mean_of_seeds", **at)
            add(metric, value, half, seed="ensemble", method=method, **at)
            for seed in recipe.seeds:
                shifted = value + 0.01 * seed
                add(metric, shifted, half, seed=str(seed), method=method, **at)
    for recalibration, fitted_on, gain in (
        ("none", "", 1.0),
        ("temperature", "own_validation", 0.6),
    ):
        of = {"recalibration": recalibration, "fitted_on": fitted_on}
        ece = gain * (0.08 + 0.04 * position)
        add("ece", ece, method="mean_of_seeds", **of)
        for seed in recipe.seeds:
            add("ece", ece + 0.01 * seed, seed=str(seed), **of)
        add("ece_null", 0.05, ci_low=0.0, ci_high=0.09, **of)
        add("brier", 0.18 + 0.01 * position, **of)
        add("nll", 0.55 + 0.05 * position, **of)
        add("calibration_intercept", -0.2 * position, 0.3, **of)
        if (number, position) == (0, 2):
            add("calibration_slope", np.nan, note="separated classes", **of)
        else:
            add("calibration_slope", gain * 1.2, 0.4, **of)
    for k in (10, 25, 50):
        spent = {"recalibration": "temperature", "fitted_on": "labelled_patients"}
        spent |= {"labelled_patients": k, "seed": "ensemble"}
        add("ece", 0.2 / np.sqrt(k), 0.01, **spent)
    for value, part in cases.groupby("density"):
        positives = int(part["label"].sum())
        counts = {"n_pos": positives, "n_neg": len(part) - positives}
        add(
            "auc",
            auc + 0.03 * "abcd".index(str(value)) - 0.04,
            0.12,
            subgroup="density",
            subgroup_value=value,
            **counts,
        )
    add("interaction_p", 0.31, subgroup="density", reference=recipe.arms[0] if number else "")
    return rows


def _write_metrics(metrics: pd.DataFrame, path: Path) -> None:
    texts = ("criterion", "threshold_from", "recalibration", "fitted_on", "reference")
    defaults = {"subgroup": "all", "subgroup_value": "all", "method": "", "note": ""}
    defaults |= dict.fromkeys(texts, "")
    for column, value in defaults.items():
        metrics[column] = metrics[column].fillna(value) if column in metrics else value
    for column in METRIC_COLUMNS:
        if column not in metrics:
            metrics[column] = np.nan
    write_metrics(metrics, path)


def _comparisons(recipe: Recipe, rng: np.random.Generator) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    methods = ("obuchowski_rockette_nested", "exact_fixed", "ensemble", "stouffer_naive")
    for family, names in (("in_distribution", (SOURCE,)), ("transfer", recipe.targets)):
        size = len(names) * (len(recipe.arms) - 1)
        for domain, arm in itertools.product(names, recipe.arms[1:]):
            estimate = (-0.06 if domain == SOURCE else -0.01) + 0.01 * rng.normal()
            se = 0.024
            base = {
                "study": recipe.study,
                "family": family,
                "domain": domain,
                "subset": "test" if domain == SOURCE else "target",
                "arm": arm,
                "reference": recipe.arms[0],
                "estimate": estimate,
                "se": se,
                "ci_low": estimate - 1.96 * se,
                "ci_high": estimate + 1.96 * se,
                "statistic": estimate / se,
                "n_pos": 40,
                "n_neg": 60,
                "correction": "bh",
                "family_size": size,
                "detectable_difference": 0.067,
            }
            for method in methods:
                p = 0.004 if method == "stouffer_naive" else 0.18 if family == "transfer" else 0.011
                rows.append(
                    base
                    | {
                        "seed": "all",
                        "method": method,
                        "df": 3.4 if "rockette" in method else np.nan,
                        "p": p,
                        "p_adjusted": min(1.0, 1.4 * p),
                        "p_adjusted_all": min(1.0, 1.7 * p),
                        "headline": method == methods[0],
                    }
                )
            per_seed = {"method": "delong_paired", "p": 0.2, "headline": False}
            rows += [base | per_seed | {"seed": str(seed)} for seed in recipe.seeds]
            if domain != SOURCE:
                rows.append(
                    base
                    | {
                        "from_domain": SOURCE,
                        "method": "seeds_random",
                        "p": 0.4,
                        "p_adjusted": 0.6,
                    }
                )
    return rows


def _drops(recipe: Recipe) -> list[dict[str, Any]]:
    """Return what each arm loses, with the seeds as random and, of several seeds, held fixed."""
    rows = []
    for position, domain in enumerate(recipe.targets, start=1):
        for number, arm in enumerate(recipe.arms):
            drop = 0.86 - 0.74 + 0.05 * position
            drop = drop - 0.13 if (number, position) == (1, 1) else drop
            methods = ("seeds_random", "checkpoints_fixed")
            for method, half in zip(methods[-len(recipe.seeds) :], (0.09, 0.06), strict=False):
                row = {
                    "study": recipe.study,
                    "family": "transfer_drops",
                    "domain": domain,
                    "subset": "target",
                    "from_domain": SOURCE,
                    "arm": arm,
                    "method": method,
                    "estimate": drop,
                    "se": half / 2,
                    "ci_low": drop - half,
                    "ci_high": drop + half,
                    "p": 0.01,
                    "p_adjusted": 0.02,
                    "correction": "bh",
                    "family_size": len(recipe.targets) * len(recipe.arms),
                    "n_pos": 40,
                    "n_neg": 60,
                    "headline": method == methods[-len(recipe.seeds) :][0],
                }
                rows.append(row)
    return rows


def _run(folder: Path, arm: str, seed: int, rng: np.random.Generator) -> TrainingRun:
    epochs = np.arange(1, 15)
    history = pd.DataFrame(
        {
            "epoch": epochs,
            "stage": 1,
            "train_loss": 0.7 * np.exp(-0.12 * epochs),
            "validation_loss": 0.65 * np.exp(-0.06 * epochs) + 0.02 * rng.normal(size=14),
            "validation_auc": 0.85 - 0.3 * np.exp(-0.3 * epochs) + 0.01 * rng.normal(size=14),
            "lr": 1e-3,
        }
    )
    path = folder / "runs" / f"{arm_file(arm)}-{seed}.csv"
    path.parent.mkdir(exist_ok=True)
    history.to_csv(path, index=False)
    record = path.with_suffix(".json")
    record.write_text(
        json.dumps(
            {
                "selected_epoch": int(history["validation_auc"].to_numpy().argmax()) + 1,
                "training_cases": 48,
                "training_positives": 20,
                "start_sha256": None,
                "licence": None,
                "versions": {"mammoshift": "0.1.0", "torch": "2.15.0", "timm": "1.0.31"},
            }
        ),
        encoding="utf-8",
    )
    return TrainingRun(Run(arm, seed), path, record)
