"""The tidy table behind each figure; what is drawn can be read, checked and drawn again from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.contracts.cases import JUDGED_SUBSETS
from mammoshift.evaluation.grid import Cell
from mammoshift.report.curves import (
    FALSE_POSITIVE_GRID,
    cell_generator,
    pooled_reliability,
    roc_band,
)
from mammoshift.report.inputs import ReportData
from mammoshift.report.rows import (
    SUMMARIES,
    drops,
    first_of_each,
    headline,
    in_study_order,
    of_arm,
    select,
    summarised,
)
from mammoshift.report.tables.comparisons import comparisons_in_order
from mammoshift.report.tables.subgroups import hidden_reason
from mammoshift.statistics.decision_curves import decision_curve

DECISION_THRESHOLDS: NDArray[np.float64] = np.round(np.linspace(0.01, 0.60, 60), 2)
CALIBRATIONS_DRAWN = ("none", "temperature")


def difference_data(data: ReportData) -> pd.DataFrame:
    """Return the headline comparisons, one row for each point of the forest plot."""
    columns = ["family", "domain", "subset", "arm", "reference", "estimate", "ci_low", "ci_high"]
    columns += ["p", "p_adjusted", "correction", "family_size", "method", "note"]
    rows = comparisons_in_order(headline(data.comparisons), data.settings)
    return rows[columns].reset_index(drop=True)


def drop_data(data: ReportData) -> pd.DataFrame:
    """Return the transfer drops, one row for each cell of the heat map."""
    rows = first_of_each(drops(data.comparisons)).rename(columns={"estimate": "value"})
    columns = ["domain", "subset", "arm", "value", "ci_low", "ci_high", "note"]
    return in_study_order(rows, data.settings)[columns].reset_index(drop=True)


def seed_data(data: ReportData) -> pd.DataFrame:
    """Return the AUC of every seed and of their mean on the reported cohorts."""
    rows = select(data.metrics, metric="auc")
    rows = rows[rows["subset"].isin(JUDGED_SUBSETS) & (rows["seed"] != "ensemble")]
    columns = ["domain", "subset", "arm", "seed", "value", "ci_low", "ci_high"]
    return in_study_order(rows, data.settings)[columns].reset_index(drop=True)


def summary_data(data: ReportData) -> pd.DataFrame:
    """Return the AUC of every arm on the leading subset of each domain, its own first."""
    settings = data.settings
    rows = select(data.metrics, metric="auc")
    records = []
    for arm in settings.arms:
        own = arm.own_domain
        for domain in sorted(settings.domains, key=lambda domain: domain.name != own):
            found = summarised(of_arm(rows, domain.name, domain.subsets[0], arm.name))
            if found.empty:
                continue
            row = found.iloc[0]
            numbers = {name: row[name] for name in ("value", "ci_low", "ci_high")}
            place = {"domain": domain.name, "subset": domain.subsets[0]}
            place |= {"own": domain.name == own, "leak": domain.leak is not None}
            records.append({"arm": arm.name, **place, **numbers})
    columns = ["arm", "domain", "subset", "own", "leak", "value", "ci_low", "ci_high"]
    return pd.DataFrame(records, columns=columns)


def subgroup_data(data: ReportData, subgroup: str) -> pd.DataFrame:
    """Return the AUC in the values of one subgroup; null where a class has too few cases.

    `interaction_p` is the p value of the arm's own interaction over all values, where given.
    """
    metrics = data.metrics[
        (data.metrics["subgroup"] == subgroup) & data.metrics["subset"].isin(JUDGED_SUBSETS)
    ]
    aucs = metrics[metrics["metric"] == "auc"]
    keys = ["domain", "subset", "arm", "subgroup_value"]
    parts = [summarised(part).iloc[:1] for _, part in aucs.groupby(keys, sort=True)]
    rows = in_study_order(pd.concat([aucs.iloc[:0], *parts]), data.settings).copy()
    if len(rows):
        rows["note"] = [hidden_reason(row) or row["note"] for _, row in rows.iterrows()]
        hidden = rows["note"].str.startswith("not shown")
        rows.loc[hidden, ["value", "ci_low", "ci_high"]] = np.nan
    tests = metrics[(metrics["metric"] == "interaction_p") & (metrics["subgroup_value"] == "all")]
    cell = ["domain", "subset", "arm"]
    parts = [summarised(part) for _, part in tests.groupby([*cell, "reference"], sort=True)]
    tests = pd.concat([tests.iloc[:0], *parts]).drop_duplicates(cell, keep="last")
    tests = tests[[*cell, "reference", "value"]].rename(
        columns={"value": "interaction_p", "reference": "interaction_with"}
    )
    columns = [*keys, "value", "ci_low", "ci_high", "n_pos", "n_neg", "note"]
    return rows[columns].merge(tests, on=cell, how="left")


def learning_data(data: ReportData) -> pd.DataFrame:
    """Return every epoch of every run; `kept` marks the epoch whose model was kept.

    With the accuracies where that of the training images was asked for.
    """
    columns = ["epoch", "train_loss", "validation_loss", "validation_auc"]
    accuracies = ["train_accuracy", "validation_accuracy"]
    if any(t.history.reindex(columns=accuracies[:1]).notna().any(axis=None) for t in data.runs):
        columns += accuracies
    parts = []
    for trained in data.runs:
        part = trained.history.reindex(columns=columns)
        for place, name in enumerate(("arm", "seed", "fold")):
            part.insert(place, name, getattr(trained.run, name))
        part["kept"] = part["epoch"] == trained.model.selected_epoch
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def roc_data(cell: Cell) -> pd.DataFrame:
    """Return the ROC curves of one cohort on a common grid: every seed, and `mean` with limits."""
    parts = []
    for position, arm in enumerate(cell.arms):
        rng = cell_generator("roc band", cell.domain, cell.subset, arm)
        band = roc_band(cell.labels, cell.logits[position], cell.clusters, rng)
        if band is None:
            continue
        for seed, curve in zip(cell.seeds, band.seeds, strict=True):
            parts.append(_curve(arm, str(seed), curve))
        parts.append(_curve(arm, "mean", band.mean, band.low, band.high))
    empty = _curve("", "", np.zeros(FALSE_POSITIVE_GRID.size)).iloc[:0]
    return pd.concat([empty, *parts], ignore_index=True).round(5)


def reliability_data(cell: Cell, temperatures: Mapping[tuple[str, int], float]) -> pd.DataFrame:
    """Return the reliability bins of one cohort before and after temperature scaling.

    `temperatures` gives T by (arm, seed); an arm without one for each seed is drawn before only.
    """
    parts = []
    for arm, recalibration, logits in _calibrated(cell, temperatures):
        bins = pooled_reliability(cell.labels, logits)
        parts.append(
            pd.DataFrame(
                {
                    "arm": arm,
                    "recalibration": recalibration,
                    "bin_low": bins.bin_low,
                    "bin_high": bins.bin_high,
                    "count": bins.count,
                    "predicted": bins.predicted,
                    "observed": bins.observed,
                    "ci_low": bins.low,
                    "ci_high": bins.high,
                }
            )
        )
    return pd.concat(parts, ignore_index=True).round(5)


def decision_data(cell: Cell, temperatures: Mapping[tuple[str, int], float]) -> pd.DataFrame:
    """Return the net benefit of one cohort by threshold, with those of treating all and none."""
    parts = []
    for arm, recalibration, logits in _calibrated(cell, temperatures):
        curves = [decision_curve(seed, cell.labels, DECISION_THRESHOLDS) for seed in logits]
        parts.append(
            pd.DataFrame(
                {
                    "arm": arm,
                    "recalibration": recalibration,
                    "threshold": DECISION_THRESHOLDS,
                    "net_benefit": np.mean([curve.net_benefit for curve in curves], axis=0),
                    "treat_all": curves[0].treat_all,
                    "treat_none": 0.0,
                }
            )
        )
    return pd.concat(parts, ignore_index=True).round(5)


def temperatures_of(data: ReportData) -> dict[tuple[str, int], float]:
    """Return the temperature fitted on the own validation patients, by arm and seed."""
    rows = select(data.metrics, metric="temperature", fitted_on="own_validation")
    rows = rows[~rows["seed"].isin(SUMMARIES) & rows["value"].notna()]
    return {
        (row["arm"], int(row["seed"])): float(row["value"])
        for _, row in rows.iterrows()
        if row["seed"].isdigit() and row["value"] > 0
    }


def _curve(
    arm: str,
    seed: str,
    curve: NDArray[np.float64],
    low: NDArray[np.float64] | None = None,
    high: NDArray[np.float64] | None = None,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": arm,
            "seed": seed,
            "false_positive_rate": FALSE_POSITIVE_GRID,
            "true_positive_rate": curve,
            "ci_low": np.nan if low is None else low,
            "ci_high": np.nan if high is None else high,
        }
    )


def _calibrated(
    cell: Cell, temperatures: Mapping[tuple[str, int], float]
) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Return (arm, recalibration, logits of shape seeds x cases)."""
    found = []
    for position, arm in enumerate(cell.arms):
        logits = cell.logits[position]
        found.append((arm, CALIBRATIONS_DRAWN[0], logits))
        known = [temperatures.get((arm, seed)) for seed in cell.seeds]
        values = np.array([t for t in known if t is not None])
        if len(values) == len(known):
            found.append((arm, CALIBRATIONS_DRAWN[1], logits / values[:, np.newaxis]))
    return found
