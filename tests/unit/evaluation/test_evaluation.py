"""From prediction tables to the tidy tables of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mammoshift.contracts.predictions import read_predictions, write_predictions
from mammoshift.contracts.results import (
    METRIC_COLUMNS,
    read_comparisons,
    read_metrics,
    write_comparisons,
    write_metrics,
)
from mammoshift.errors import TableError
from mammoshift.evaluation.calibrate import calibrate_study
from mammoshift.evaluation.combine import combine_seeds
from mammoshift.evaluation.compare import compare_study
from mammoshift.evaluation.evaluate import evaluate_study
from mammoshift.evaluation.grid import load_grid
from mammoshift.evaluation.rows import ComparisonRow, MetricRow, as_table
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import detectable_difference
from mammoshift.statistics.meta_analysis import weighted_stouffer


def test_the_grid_is_aligned_and_split_by_subset(study: dict[str, Any], paths: list[str]) -> None:
    grid = load_grid(study, paths)
    assert list(grid.cells) == [
        ("film", "validation"),
        ("film", "test"),
        ("digital", "target"),
        ("other", "target"),
    ]
    assert grid.test.logits.shape == (2, 3, 160)
    first = read_predictions(Path(paths[4])).set_index("image_id")["logit"]
    shown = grid.test.logits[1, 1]
    assert np.array_equal(shown, first[grid.test.cases["image_id"]].to_numpy())
    assert len(np.unique(grid.test.clusters)) == 80


def test_tables_of_other_images_are_refused(study: dict[str, Any], paths: list[str]) -> None:
    table = read_predictions(Path(paths[3])).iloc[1:]
    write_predictions(table, Path(paths[3]))
    with pytest.raises(TableError, match="other images or labels"):
        load_grid(study, paths)


@pytest.mark.parametrize("combine", ["mean", "max"])
def test_images_are_combined_to_breasts(
    study: dict[str, Any], paths: list[str], combine: str
) -> None:
    study["aggregation"] = {"unit": "breast", "combine": combine}
    cell = load_grid(study, paths).cells["digital", "target"]
    table = read_predictions(Path(paths[6]))
    expected = table[table["patient_id"] == "p000"]["logit"].agg(combine)
    position = cell.cases["image_id"].tolist().index("p000/left")
    assert cell.logits.shape[2] == 120
    assert cell.logits[0, 0, position] == pytest.approx(expected)
    assert pd.isna(cell.cases["view"].iloc[position])


def test_metrics_hold_what_the_statistics_say(
    study: dict[str, Any], paths: list[str], tmp_path: Path
) -> None:
    grid = load_grid(study, paths)
    path = tmp_path / "metrics.csv"
    write_metrics(as_table(evaluate_study(study, grid), MetricRow), path)
    metrics = read_metrics(path)
    whole = metrics[metrics["subgroup"] == "all"].set_index(
        ["dataset", "subset", "arm", "seed", "metric", "variant"]
    )
    cell = grid.test
    direct = auc_covariance(cell.labels, cell.logits[1, 2], cell.clusters)
    row = whole.loc["film", "test", "better", "2", "auc", ""]
    assert row["value"] == pytest.approx(direct.auc[0], abs=1e-9)
    assert row["se"] == pytest.approx(direct.se[0], abs=1e-9)
    assert row["n_clusters"] == 80
    drop = whole.loc["other", "target", "plain", "mean", "transfer_drop", ""]
    means = [
        whole.loc[d, s, "plain", "mean", "auc", ""]["value"]
        for d, s in (("film", "test"), ("other", "target"))
    ]
    assert drop["value"] == pytest.approx(means[0] - means[1], abs=1e-8)
    assert drop["ci_low"] > 0.0
    point = whole.sort_index().loc["digital", "target", "better", "ensemble"]
    reached = point.loc["specificity", "spec95_reestimated"]["value"]
    assert reached >= 0.95
    counts = point.xs("spec95_transferred", level="variant")["value"]
    assert counts["tp"] + counts["fn"] == point.loc["auc", ""]["n_pos"]
    assert counts["sensitivity"] == pytest.approx(counts["tp"] / (counts["tp"] + counts["fn"]))


def test_subgroups_have_their_own_rows_and_one_interaction(
    study: dict[str, Any], paths: list[str]
) -> None:
    table = as_table(evaluate_study(study, load_grid(study, paths)), MetricRow)
    density = table[(table["subgroup"] == "density") & (table["dataset"] == "digital")]
    areas = density[(density["metric"] == "auc") & (density["arm"] == "plain")]
    assert areas["subgroup_value"].tolist() == ["a", "b", "c", "d"]
    assert areas["n"].sum() == 240
    interactions = density[density["metric"] == "interaction_p"]
    assert sorted(zip(interactions["arm"], interactions["variant"], strict=True)) == [
        ("better", ""),
        ("better", "plain"),
        ("plain", ""),
    ]
    assert interactions["value"].between(0.0, 1.0).all()


def test_comparisons_are_adjusted_within_their_family_and_method(
    study: dict[str, Any], paths: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "comparisons.csv"
    rows = compare_study(study, load_grid(study, paths))
    write_comparisons(as_table(rows, ComparisonRow), path)
    table = read_comparisons(path)
    delong = table[table["method"] == "delong_paired"]
    sizes = delong.groupby("family")["family_size"].first()
    assert sizes.to_dict() == {"away": "6", "home": "3"}
    assert (delong["p_adjusted"] >= delong["p"]).all()
    assert set(table["method"]) == {"delong_paired", "difference_of_drops"}


def test_seeds_are_combined_and_then_targets(study: dict[str, Any], paths: list[str]) -> None:
    table = as_table(combine_seeds(study, load_grid(study, paths)), ComparisonRow)
    headline = table[table["headline"]]
    assert set(headline["method"]) == {"obuchowski_rockette_nested"}
    assert headline["dataset"].tolist() == ["film", "digital", "other"]
    over = table[table["dataset"] == "all_targets"]
    assert set(over["method"]) == {"weighted_stouffer", "random_effects"}
    at_home = table[table["dataset"] == "film"].set_index("method")
    naive, exact = at_home.loc["stouffer_naive"], at_home.loc["exact_fixed"]
    assert abs(naive["statistic"]) > abs(exact["statistic"])
    assert "correlation between seeds" in naive["note"]


def test_one_seed_has_the_exact_test_as_its_headline(
    study: dict[str, Any], paths: list[str]
) -> None:
    study["seeds"] = [0]
    single = [path for path in paths if path.endswith("-0.parquet")]
    table = as_table(combine_seeds(study, load_grid(study, single)), ComparisonRow)
    assert set(table.loc[table["headline"], "method"]) == {"exact_fixed"}


def test_the_detectable_difference_counts_the_degrees_of_freedom(
    study: dict[str, Any], paths: list[str]
) -> None:
    table = as_table(combine_seeds(study, load_grid(study, paths)), ComparisonRow)
    rows = table[table["headline"]]
    assert rows["df"].notna().all()
    for _, row in rows.iterrows():
        expected = detectable_difference(row["se"], df=row["df"])
        assert row["detectable_difference"] == pytest.approx(expected)
        assert expected > detectable_difference(row["se"])


def test_targets_are_combined_by_the_differences_of_these_checkpoints(
    study: dict[str, Any], paths: list[str]
) -> None:
    table = as_table(combine_seeds(study, load_grid(study, paths)), ComparisonRow)
    away = table[(table["family"] == "away") & (table["method"] == "exact_fixed")]
    expected = weighted_stouffer(away["estimate"].tolist(), away["se"].tolist())
    found = table[table["method"] == "weighted_stouffer"].iloc[0]
    assert found["se"] == pytest.approx(expected.se)
    assert found["p"] == pytest.approx(expected.p)
    over = table[table["dataset"] == "all_targets"]
    assert over["note"].str.contains("these checkpoints").all()


def test_a_breast_has_the_lesions_of_all_its_images(
    study: dict[str, Any], paths: list[str]
) -> None:
    for path in paths:
        table = read_predictions(Path(path))
        lesions = np.where(table["view"] == "CC", "mass", "calcification+mass")
        table["lesion_types"] = np.where(table["label"] == 1, lesions, "asymmetry")
        write_predictions(table, Path(path))
    study["aggregation"] = {"unit": "breast", "combine": "mean"}
    cell = load_grid(study, paths).cells["digital", "target"]
    assert set(cell.cases.loc[cell.labels == 1, "lesion_types"]) == {"calcification+mass"}
    parts = cell.subgroups("lesion_type")
    assert {name: set(part.labels.tolist()) for name, part in parts.items()} == {
        "asymmetry": {0},
        "calcification": {1},
        "mass": {1},
    }


def test_every_interval_of_unknown_patients_says_so(
    study: dict[str, Any], paths: list[str]
) -> None:
    for path in paths:
        table = read_predictions(Path(path))
        table.loc[table["subset"] == "target", "patient_id"] = None
        write_predictions(table, Path(path))
    grid = load_grid(study, paths)
    rows = [*evaluate_study(study, grid), *calibrate_study(study, grid)]
    table = as_table(rows, MetricRow).dropna(subset=["ci_low"])
    said = table["note"].str.contains("independence assumed")
    assert {"auc", "sensitivity", "transfer_drop", "brier"} <= set(table.loc[said, "metric"])
    assert said.equals(table["subset"] == "target")


def test_a_mean_of_seeds_without_variance_has_no_interval(
    study: dict[str, Any], paths: list[str]
) -> None:
    for path in paths:
        table = read_predictions(Path(path))
        separated = 0.0 if path.endswith("-0.parquet") else table["label"] * 2.0 - 1.0
        write_predictions(table.assign(logit=separated), Path(path))
    table = as_table(evaluate_study(study, load_grid(study, paths)), MetricRow)
    means = table[(table["metric"] == "auc") & (table["seed"] == "mean")]
    assert means["value"].to_numpy() == pytest.approx(2.5 / 3.0)
    assert means["ci_low"].isna().all()
    assert means["note"].str.contains("degenerate").all()


def test_a_prediction_table_without_a_label_is_refused(paths: list[str], tmp_path: Path) -> None:
    table = pq.read_table(paths[0])
    labels = table.column("label").to_pylist()
    place = table.column_names.index("label")
    field = pa.field("label", pa.int8())
    broken = table.set_column(place, field, pa.array([None, *labels[1:]], pa.int8()))
    pq.write_table(broken, tmp_path / "broken.parquet")
    with pytest.raises(TableError, match=r"broken\.parquet: column label: has rows without"):
        read_predictions(tmp_path / "broken.parquet")


@pytest.mark.parametrize(
    ("content", "message"), [("", "not a readable CSV"), ("x", "value: holds")]
)
def test_a_broken_result_table_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "metrics.csv"
    row = dict.fromkeys(METRIC_COLUMNS, "") | {"value": content}
    text = pd.DataFrame([row]).to_csv(index=False) if content else ""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=rf"metrics\.csv: .*{message}"):
        read_metrics(path)
