"""From prediction tables to the tidy tables of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammoshift.contracts.predictions import read_predictions, write_predictions
from mammoshift.contracts.results import (
    read_comparisons,
    read_metrics,
    write_comparisons,
    write_metrics,
)
from mammoshift.errors import TableError
from mammoshift.evaluation.combine import combine_seeds
from mammoshift.evaluation.compare import compare_study
from mammoshift.evaluation.evaluate import evaluate_study
from mammoshift.evaluation.grid import load_grid
from mammoshift.evaluation.rows import ComparisonRow, MetricRow, as_table
from mammoshift.statistics.auc import auc_covariance


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
