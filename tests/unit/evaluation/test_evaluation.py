"""From prediction tables to the tidy tables of a study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fabricated_tables import LONG, Fabricated, fabricate
from mammoshift.configuration.judged import ComparisonSettings
from mammoshift.contracts.cases import read_cases, write_cases
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
from mammoshift.evaluation.grid import Grid
from mammoshift.evaluation.rows import ComparisonRow, MetricRow, as_table
from mammoshift.evaluation.thresholds import operating_points
from mammoshift.report.rows import spread_cell
from mammoshift.statistics.auc import auc_covariance
from mammoshift.statistics.comparisons import detectable_difference
from mammoshift.statistics.meta_analysis import weighted_stouffer
from mammoshift.statistics.recalibration import fit_temperature
from mammoshift.statistics.thresholds import threshold_at_specificity


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Fabricated:
    """The long study, which no test of this module changes."""
    return fabricate(LONG, tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def grid(chain: Fabricated) -> Grid:
    return chain.grid()


@pytest.fixture(scope="module")
def metrics(chain: Fabricated, grid: Grid) -> pd.DataFrame:
    return as_table(evaluate_study(chain.evaluation(subgroups=["density"]), grid), MetricRow)


@pytest.fixture(scope="module")
def losses(chain: Fabricated, grid: Grid) -> pd.DataFrame:
    settings = chain.losses(margins={"transfer_drop_auc": 0.05})
    return as_table(compare_study(settings, grid), ComparisonRow)


@pytest.fixture(scope="module")
def calibration(chain: Fabricated, grid: Grid) -> pd.DataFrame:
    return as_table(calibrate_study(chain.calibration(), grid), MetricRow)


def test_metrics_hold_what_the_statistics_say(short: Fabricated, tmp_path: Path) -> None:
    grid = short.grid()
    path = tmp_path / "metrics.csv"
    write_metrics(as_table(evaluate_study(short.evaluation(), grid), MetricRow), path)
    metrics = read_metrics(path)
    whole = metrics[metrics["subgroup"] == "all"].set_index(
        ["domain", "subset", "arm", "seed", "metric", "criterion", "threshold_from"]
    )
    cell = grid.cells["film", "test"]
    direct = auc_covariance(cell.labels, cell.logits[1, 2], cell.clusters)
    row = whole.loc["film", "test", "better", "2", "auc", "", ""]
    assert row["value"] == pytest.approx(direct.auc[0], abs=1e-9)
    assert row["se"] == pytest.approx(direct.se[0], abs=1e-9)
    assert row["n_clusters"] == 80
    point = whole.sort_index().loc["digital", "target", "better", "ensemble"]
    reached = point.loc["specificity", "specificity_0.95", "reestimated"]["value"]
    assert reached >= 0.95
    counts = point.xs(("specificity_0.95", "own_validation"), level=(1, 2))["value"]
    assert counts["tp"] + counts["fn"] == point.loc["auc", "", ""]["n_pos"]
    assert counts["sensitivity"] == pytest.approx(counts["tp"] / (counts["tp"] + counts["fn"]))


def test_one_half_is_a_threshold_and_the_best_of_the_test_is_optimistic(short: Fabricated) -> None:
    grid = short.grid()
    metrics = as_table(evaluate_study(short.evaluation(), grid), MetricRow)
    cell = grid.cells["film", "test"]
    mine = metrics[
        (metrics["subgroup"] == "all")
        & (metrics[["domain", "subset", "arm", "seed"]] == ["film", "test", "plain", "0"]).all(
            axis=1
        )
    ]
    half = mine[mine["criterion"] == "probability_0.5"].set_index("metric")["value"]
    called = cell.of("plain")[0] >= 0.0
    assert half["accuracy"] == pytest.approx(np.mean(called == cell.labels))
    best = mine[mine["criterion"] == "g_mean"]
    rates = best.pivot_table(index="threshold_from", columns="metric", values="value")
    g_means = rates["sensitivity"] * rates["specificity"]
    assert set(g_means.index) == {"judged_cases", "own_validation"}
    assert g_means["judged_cases"] == g_means.max()
    notes = best.loc[best["threshold_from"] == "judged_cases", "note"]
    assert notes.str.contains("optimistic").all()


def test_a_measure_that_a_seed_does_not_have_has_no_mean_over_the_seeds(short: Fabricated) -> None:
    grid = short.grid()
    cell = grid.cells["film", "test"]
    logits = cell.logits.copy()
    logits[cell.arms.index("plain"), 0] = -5.0 - np.arange(len(cell.labels))
    silent = replace(cell, logits=logits)
    metrics = as_table(operating_points(short.evaluation(), grid, silent), MetricRow)
    half = metrics[(metrics["criterion"] == "probability_0.5") & (metrics["arm"] == "plain")]
    precision = half[half["metric"] == "precision"]
    assert precision.loc[precision["seed"] == "ensemble", "value"].isna().sum() == 0
    assert spread_cell(precision.fillna({"note": ""})) == "not computed: only 2 of 3 seeds"
    recall = half[half["metric"] == "sensitivity"].set_index("seed")["value"]
    assert recall["mean"] == pytest.approx(recall[["0", "1", "2"]].mean())


def test_without_a_variance_nothing_was_tested(short: Fabricated) -> None:
    grid = short.grid()
    cells = {
        key: replace(cell, logits=np.repeat(cell.logits[:1], len(cell.arms), axis=0))
        for key, cell in grid.cells.items()
    }
    same = replace(grid, cells=cells)
    rows = as_table(compare_study(short.losses(), same), ComparisonRow)
    rows = rows[(rows["from_domain"] == "") & (rows["method"] == "checkpoints_fixed")]
    brier = rows[(rows["metric"] == "brier") & (rows["subgroup"] == "all")]
    assert len(brier) and (brier["estimate"] == 0.0).all()
    assert brier[["p", "p_adjusted", "statistic", "ci_low", "ci_high"]].isna().all(axis=None)
    assert brier["note"].str.contains("no variance to test it by").all()
    assert not rows["note"].str.contains("rank").any()


def test_subgroups_have_their_own_rows_and_one_interaction(short: Fabricated) -> None:
    table = as_table(evaluate_study(short.evaluation(), short.grid()), MetricRow)
    density = table[(table["subgroup"] == "density") & (table["domain"] == "digital")]
    areas = density[(density["metric"] == "auc") & (density["arm"] == "plain")]
    assert areas["subgroup_value"].tolist() == ["a", "b", "c", "d"]
    assert areas["n"].sum() == 240
    interactions = density[density["metric"] == "interaction_p"]
    assert sorted(zip(interactions["arm"], interactions["reference"], strict=True)) == [
        ("better", ""),
        ("better", "plain"),
        ("plain", ""),
    ]
    assert interactions["value"].between(0.0, 1.0).all()


def test_comparisons_are_adjusted_within_their_family_and_method(
    short: Fabricated, tmp_path: Path
) -> None:
    path = tmp_path / "comparisons.csv"
    rows = compare_study(short.losses(), short.grid())
    write_comparisons(as_table(rows, ComparisonRow), path)
    table = read_comparisons(path)
    delong = table[table["method"] == "delong_paired"]
    sizes = delong.groupby("family")["family_size"].first()
    assert sizes.to_dict() == {"away": "6", "home": "3"}
    assert (delong["p_adjusted"] >= delong["p"]).all()
    assert set(table["method"]) == {"delong_paired", "seeds_random", "checkpoints_fixed"}
    operating = table[(table["metric"] == "sensitivity") & (table["family"] == "away")]
    assert set(operating["family_size"]) == {"2"}


def test_seeds_are_combined_and_then_targets(short: Fabricated) -> None:
    table = as_table(combine_seeds(short.comparison(), short.grid()), ComparisonRow)
    headline = table[table["headline"]]
    assert headline["domain"].tolist() == ["film", "digital", "other", "all_targets"]
    assert headline["method"].tolist() == ["obuchowski_rockette_nested"] * 3 + ["seeds_random"]
    over = table[table["domain"] == "all_targets"]
    assert over["method"].tolist() == [
        "seeds_random",
        "equal_weights_t",
        "weighted_stouffer",
        "random_effects",
    ]
    at_home = table[table["domain"] == "film"].set_index("method")
    naive, exact = at_home.loc["stouffer_naive"], at_home.loc["exact_fixed"]
    assert abs(naive["statistic"]) > abs(exact["statistic"])
    assert "correlation between seeds" in naive["note"]


def test_one_seed_has_the_exact_test_as_its_headline(short: Fabricated) -> None:
    short.edit_predictions(lambda table: table[table["seed"] == 0])
    settings = short.comparison().model_copy(update={"seeds": (0,)})
    table = as_table(combine_seeds(settings, short.grid(seeds=[0])), ComparisonRow)
    rows = table[table["headline"] & (table["domain"] != "all_targets")]
    assert set(rows["method"]) == {"exact_fixed"}
    assert rows["note"].str.contains("a statement about these models alone").all()


def test_the_detectable_difference_counts_the_degrees_of_freedom(short: Fabricated) -> None:
    table = as_table(combine_seeds(short.comparison(), short.grid()), ComparisonRow)
    rows = table[table["headline"] & (table["domain"] != "all_targets")]
    fixed = table[table["method"] == "exact_fixed"].set_index("domain")["se"]
    assert rows["df"].notna().all()
    for _, row in rows.iterrows():
        se = max(row["se"], fixed[row["domain"]])
        expected = detectable_difference(se, df=row["df"])
        assert row["detectable_difference"] == pytest.approx(expected)
        assert expected > detectable_difference(se)


def test_targets_are_combined_by_the_differences_of_these_checkpoints(short: Fabricated) -> None:
    table = as_table(combine_seeds(short.comparison(), short.grid()), ComparisonRow)
    away = table[(table["family"] == "away") & (table["method"] == "exact_fixed")]
    expected = weighted_stouffer(away["estimate"].tolist(), away["se"].tolist())
    found = table[table["method"] == "weighted_stouffer"].iloc[0]
    assert found["se"] == pytest.approx(expected.se)
    assert found["p"] == pytest.approx(expected.p)
    over = table[table["domain"] == "all_targets"].set_index("method")
    random = over.loc["seeds_random"]
    assert over.drop(index="seeds_random")["note"].str.contains("these checkpoints").all()
    assert "these checkpoints" not in random["note"]
    assert "the mean over these 2 domains" in random["note"]
    assert random["estimate"] == pytest.approx(over.loc["equal_weights_t", "estimate"])


def test_every_interval_of_unknown_patients_says_so(short: Fabricated) -> None:
    short.edit_cases(lambda table: table.assign(patient_id=None), ["digital", "other"])
    grid = short.grid()
    rows = [*evaluate_study(short.evaluation(), grid), *calibrate_study(short.calibration(), grid)]
    losses = as_table(compare_study(short.losses(subgroups=[]), grid), ComparisonRow)
    assert losses.loc[losses["domain"] != "film", "note"].str.contains("independence assumed").all()
    table = as_table(rows, MetricRow).dropna(subset=["ci_low"])
    said = table["note"].str.contains("independence assumed")
    assert {"auc", "sensitivity", "brier"} <= set(table.loc[said, "metric"])
    assert said.equals(table["subset"] == "target")


def test_seeds_without_variance_over_patients_have_a_wide_interval(short: Fabricated) -> None:
    labels = pd.concat([read_cases(path) for path in short.cases.values()])
    known = labels.set_index("case_id")["label"]

    def separated(table: pd.DataFrame) -> pd.DataFrame:
        logit = known[table["case_id"]].to_numpy() * 2.0 - 1.0
        return table.assign(logit=logit * (table["seed"] > 0))

    short.edit_predictions(separated)
    table = as_table(evaluate_study(short.evaluation(), short.grid()), MetricRow)
    means = table[(table["metric"] == "auc") & (table["seed"] == "mean")]
    assert means["value"].to_numpy() == pytest.approx(2.5 / 3.0)
    assert (means["ci_low"] < 0.5).all()
    assert (means["ci_high"] > 0.95).all()
    assert means["note"].str.contains("degenerate").all()


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


def test_each_column_of_a_calibration_row_has_one_meaning(
    short: Fabricated, tmp_path: Path
) -> None:
    path = tmp_path / "calibration.csv"
    rows = calibrate_study(short.calibration(), short.grid())
    write_metrics(as_table(rows, MetricRow), path)
    table = read_metrics(path)
    drawn = table["labelled_patients"].notna()
    maps = table[~drawn][["recalibration", "fitted_on"]].drop_duplicates()
    assert sorted(maps.itertuples(index=False, name=None)) == [
        ("none", ""),
        ("platt", "cross_fitted"),
        ("prior_shift", "prevalence"),
        ("temperature", "cross_fitted"),
        ("temperature", "own_validation"),
    ]
    keys = ["labelled_patients", "recalibration", "fitted_on", "criterion", "threshold_from"]
    spent = table[drawn & (table["labelled_patients"] < 20)][keys].drop_duplicates()
    at = "specificity_0.95"
    assert sorted(spent.itertuples(index=False, name=None)) == [
        (0, "none", "", "", ""),
        (0, "none", "", at, "own_validation"),
        (10, "none", "", at, "labelled_patients"),
        (10, "platt", "labelled_patients", "", ""),
        (10, "temperature", "labelled_patients", "", ""),
    ]


def test_thresholds_and_temperatures_come_from_the_own_domain_of_each_arm(
    grid: Grid, metrics: pd.DataFrame, calibration: pd.DataFrame
) -> None:
    at = metrics[(metrics["criterion"] == "specificity_0.95") & (metrics["seed"] == "0")]
    at = at[(at["threshold_from"] == "own_validation") & (at["metric"] == "threshold")]
    film = at[at["domain"] == "film"].set_index("arm")["value"]
    for arm in ("on_film", "on_clinic"):
        validation = grid.validation_of(arm)
        assert validation is not None
        expected = threshold_at_specificity(validation.labels, validation.of(arm)[0], 0.95)
        assert film[arm] == pytest.approx(expected.value)
    fitted = calibration[(calibration["metric"] == "temperature") & (calibration["seed"] == "1")]
    fitted = fitted[fitted["fitted_on"] == "own_validation"]
    of_arm = fitted[fitted["arm"] == "on_clinic"].set_index("domain")["value"]
    validation = grid.validation_of("on_clinic")
    assert validation is not None
    expected = fit_temperature(validation.of("on_clinic")[1], validation.labels).temperature
    assert of_arm["film"] == of_arm["clinic"] == pytest.approx(expected)


def test_an_arm_that_is_not_judged_at_home_has_reasons_in_place_of_numbers(
    metrics: pd.DataFrame, calibration: pd.DataFrame
) -> None:
    table = pd.concat([metrics, calibration], ignore_index=True)
    own = table[(table["arm"] == "imported") & (table["domain"] == "clinic")]
    missing = own[own["value"].isna()]
    assert missing["note"].str.contains("not judged on its own domain elsewhere").all()
    assert {
        ("sensitivity", "own_validation", "", ""),
        ("ece", "", "temperature", "own_validation"),
        ("ece", "", "prior_shift", "prevalence"),
    } <= set(
        missing[["metric", "threshold_from", "recalibration", "fitted_on"]].itertuples(
            index=False, name=None
        )
    )
    assert own.loc[own["threshold_from"] == "reestimated", "value"].notna().all()


def test_a_drop_goes_from_the_own_domain_to_every_other_one(
    metrics: pd.DataFrame, losses: pd.DataFrame
) -> None:
    table = metrics[metrics["subgroup"] == "all"]
    drops = losses[(losses["family"] == "transfer_drops") & (losses["metric"] == "auc")]
    unknown = drops[drops["arm"] == "imported"]
    assert unknown["estimate"].isna().all()
    assert unknown["note"].str.contains("not judged on its own domain elsewhere").all()
    drops = drops[drops["estimate"].notna() & (drops["method"] == "seeds_random")]
    assert set(zip(drops["arm"], drops["domain"], strict=True)) == {
        ("on_film", "clinic"),
        ("on_film", "crops"),
        ("on_film", "rows"),
        ("applied", "clinic"),
        ("on_clinic", "film"),
        ("on_rows", "crops"),
    }
    means = table[(table["metric"] == "auc") & (table["seed"] == "mean")]
    auc = means.set_index(["arm", "domain", "subset"])["value"]
    drop = drops.set_index(["arm", "domain"])["estimate"]
    expected = auc["on_clinic", "clinic", "out_of_fold"] - auc["on_clinic", "film", "test"]
    assert drop["on_clinic", "film"] == pytest.approx(expected)


def test_numbers_of_a_declared_leak_say_so_and_lead_nowhere(
    chain: Fabricated, grid: Grid, metrics: pd.DataFrame, losses: pd.DataFrame
) -> None:
    of_leak = losses[(losses["domain"] == "rows") | (losses["from_domain"] == "rows")]
    known = of_leak[of_leak["estimate"].notna()]
    assert known["note"].str.contains("declared leak: split by rows").all()
    assert not of_leak["headline"].any()
    assert not (of_leak["verdict"] != "").any()
    said = metrics["note"].str.contains("declared leak: split by rows")
    assert said[metrics["domain"] == "rows"].all()
    of_leaky = metrics[(metrics["arm"] == "on_rows") & (metrics["domain"] == "crops")]
    drawn_from_it = of_leaky["metric"].eq("sensitivity")
    seeds = of_leaky["seed"].isin({"0", "1", "ensemble"})
    transferred = of_leaky["threshold_from"] == "own_validation"
    assert said[of_leaky.index][drawn_from_it & seeds & transferred].all()
    assert not said[metrics["domain"] == "film"].any()
    combined = as_table(combine_seeds(chain.comparison(), grid), ComparisonRow)
    assert set(combined.loc[combined["headline"], "domain"]) == {"clinic"}
    leaky = combined[combined["domain"] == "rows"]
    assert len(leaky) > 0
    assert leaky["note"].str.contains("declared leak: split by rows").all()


def test_a_factor_is_tested_reference_by_reference(losses: pd.DataFrame) -> None:
    table = losses
    pairs = table[table["method"] == "delong_paired"][["domain", "arm", "reference"]]
    assert list(dict.fromkeys(pairs.itertuples(index=False, name=None))) == [
        ("clinic", "applied", "on_film"),
        ("clinic", "on_clinic", "on_film"),
        ("clinic", "of_patients", "imported"),
        ("rows", "on_rows", "imported"),
    ]
    joint = table[table["method"] == "omnibus"]
    assert joint[["domain", "reference"]].to_numpy().tolist() == [["clinic", "on_film"]]
    assert set(table.loc[table["method"] == "delong_paired", "family_size"]) == {8}


def test_drops_are_compared_where_arm_and_reference_have_one_own_domain(
    losses: pd.DataFrame,
) -> None:
    drops = losses[(losses["from_domain"] != "") & (losses["reference"] != "")]
    drops = drops[drops["method"] == "seeds_random"]
    assert drops[["domain", "arm", "reference"]].to_numpy().tolist() == [
        ["clinic", "applied", "on_film"]
    ]


def test_domains_are_combined_where_they_are_foreign_to_both_arms(
    chain: Fabricated, grid: Grid
) -> None:
    families = [
        {
            "family": "every",
            "domains": ["film", "clinic", "rows"],
            "pairs": [{"arm": "applied", "reference": "on_film"}],
        }
    ]
    settings = ComparisonSettings.model_validate(chain.settings(families=families))
    table = as_table(combine_seeds(settings, grid), ComparisonRow)
    assert set(table["domain"]) == {"film", "clinic"}


# Domains that hold the same patients


def _again(tables: Fabricated) -> tuple[Fabricated, Grid]:
    """Declare that `film` and `digital`, whose patients have the same names, are the same."""
    domains = [dict(domain) for domain in tables.judged["domains"]]
    domains[0]["same_patients_as"], domains[1]["same_patients_as"] = ["digital"], ["film"]
    declared = Fabricated({**tables.judged, "domains": domains}, tables.cases, tables.predictions)
    return declared, declared.grid()


def _drops(tables: Fabricated, grid: Grid) -> pd.DataFrame:
    settings = tables.losses(families=[], subgroups=[], bootstrap_resamples=100)
    table = as_table(compare_study(settings, grid), ComparisonRow)
    table = table[(table["metric"] == "auc") & (table["method"] == "checkpoints_fixed")]
    return table.set_index(["arm", "domain"]).drop(columns=["p_adjusted", "p_adjusted_all"])


def test_a_drop_between_the_same_patients_counts_their_covariance(short: Fabricated) -> None:
    digital, film = (short.cases[name] for name in ("digital", "film"))
    labels = read_cases(film).set_index("image_id")["label"].to_numpy()
    same = read_cases(digital).assign(label=labels, unit_label=labels)
    write_cases(same, digital)
    for arm in ("plain", "better"):
        own = read_predictions(short.predictions[arm, "film"])
        logit = dict(zip(zip(own["seed"], own["case_id"], strict=True), own["logit"], strict=True))
        path = short.predictions[arm, "digital"]
        foreign = read_predictions(path)
        generator = np.random.default_rng(1)
        foreign["logit"] = [
            logit.get((seed, case.replace("digital", "film")), 0.0) + 0.5 * generator.normal()
            for seed, case in zip(foreign["seed"], foreign["case_id"], strict=True)
        ]
        write_predictions(foreign, path)
    before = _drops(short, short.grid())
    after = _drops(*_again(short))
    here = ("plain", "digital")
    assert after.loc[here, "estimate"] == pytest.approx(before.loc[here, "estimate"])
    assert after.loc[here, "se"] < 0.8 * before.loc[here, "se"]
    elsewhere = ("plain", "other")
    pd.testing.assert_series_equal(after.loc[elsewhere], before.loc[elsewhere])


def test_the_same_patients_are_not_combined_as_independent(short: Fabricated) -> None:
    domains = [dict(domain) for domain in short.judged["domains"]]
    domains[1]["same_patients_as"], domains[2]["same_patients_as"] = ["other"], ["digital"]
    declared = Fabricated({**short.judged, "domains": domains}, short.cases, short.predictions)
    table = as_table(combine_seeds(declared.comparison(), declared.grid()), ComparisonRow)
    over = table[table["domain"] == "all_targets"]
    methods = ["seeds_random", "equal_weights_t", "weighted_stouffer", "random_effects"]
    assert over["headline"].tolist() == [True, False, False, False]
    assert over["method"].tolist() == methods
    assert over[["estimate", "statistic", "p", "p_adjusted"]].isna().all(axis=None)
    assert over["note"].str.contains("digital and other hold the same patients").all()
    before = as_table(combine_seeds(short.comparison(), short.grid()), ComparisonRow)
    assert before.loc[before["domain"] == "all_targets", "p"].notna().all()


def test_patients_of_several_datasets_are_the_same_as_in_another_domain(
    short: Fabricated,
) -> None:
    def prefixed(table: pd.DataFrame) -> pd.DataFrame:
        named = {
            column: table["dataset"] + "/" + table[column] for column in ("case_id", "patient_id")
        }
        return table.assign(**named, unit_id=table["dataset"] + "/" + table["unit_id"])

    short.edit_cases(prefixed, ["digital"])
    for arm in ("plain", "better"):
        path = short.predictions[arm, "digital"]
        table = read_predictions(path)
        write_predictions(table.assign(case_id="digital/" + table["case_id"]), path)
    _, grid = _again(short)
    film, digital = grid.cells["film", "test"], grid.cells["digital", "target"]
    assert set(film.cases["cluster"]) <= set(digital.cases["cluster"])
