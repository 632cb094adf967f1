"""The publication tables: what is in them, what is hidden, and nulls that say why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from fabricated_study import Recipe, fabricate

from mammoshift.contracts.results import read_comparisons, read_metrics, write_metrics
from mammoshift.contracts.run import Run
from mammoshift.contracts.trials import TRIAL_COLUMNS
from mammoshift.errors import TableError
from mammoshift.report.findings import findings
from mammoshift.report.inputs import ReportData, ReportInputs, load_report_data
from mammoshift.report.publication import PublicationTable, write_table
from mammoshift.report.rows import summarised
from mammoshift.report.tables.comparisons import combined_comparison_table
from mammoshift.report.tables.every import all_tables
from mammoshift.report.tables.operation import budget_table
from mammoshift.report.vocabulary import criterion_words, method_key


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    recipe = Recipe(targets=("cmmd", "dmid"), patients=40)
    return fabricate(tmp_path_factory.mktemp("tables"), recipe)


@pytest.fixture(scope="module")
def data(inputs: ReportInputs) -> ReportData:
    return load_report_data(inputs)


@pytest.fixture(scope="module")
def tables(data: ReportData) -> dict[str, PublicationTable]:
    return {table.key: table for table in all_tables(data)}


def test_no_cell_of_any_table_is_a_nan_or_empty_by_accident(
    tables: dict[str, PublicationTable],
) -> None:
    assert len(tables) >= 15
    for table in tables.values():
        text = table.cells.astype(str)
        assert not set(text.to_numpy().ravel().tolist()) & {"nan", "NaN", "None", "<NA>"}, table.key
        assert "" not in text.iloc[:, : table.row_headers].to_numpy(), table.key


def test_the_cohort_counts_patients_images_and_what_was_left_out(
    tables: dict[str, PublicationTable],
) -> None:
    table = tables["cohort"].cells
    cells = table.set_index(["Characteristic", "Level"]).to_dict(orient="index")
    assert cells["Patients", "all"]["cmmd"] == "34"
    assert cells["Images", "all"]["cmmd"] == "68"
    parts = [f"cbis_ddsm ({subset})" for subset in ("train", "validation", "test")]
    assert sum(int(cells["Patients", "all"][part]) for part in parts) == 40
    assert cells["Files left out of the dataset", "all"]["dmid"] == "1"
    assert cells["Manufacturer", "GE MEDICAL SYSTEMS"]["cmmd"] == "68 (100%)"


def test_the_headline_leads_and_naive_stouffer_is_labelled(
    tables: dict[str, PublicationTable],
) -> None:
    assert len(tables["comparisons"].cells) == 6
    every = tables["comparisons_all_methods"].cells
    for _, rows in every.groupby(["Domain", "Arm minus reference"], sort=False):
        assert rows["Method"].iloc[0].startswith("Obuchowski-Rockette")
    naive = every["Method"].str.startswith("Naive Stouffer")
    assert naive.any()
    assert every.loc[naive, "Method"].str.contains("not valid over seeds").all()


@pytest.mark.parametrize(
    ("df", "text"), [(7.04, "7.0"), (1000.0, "1000.0"), (238736478.9, ">1000"), (None, "")]
)
def test_degrees_of_freedom_beyond_counting_are_a_bound(
    data: ReportData, df: float | None, text: str
) -> None:
    comparisons = data.comparisons.assign(df=df)
    table = combined_comparison_table(replace(data, comparisons=comparisons))
    assert table is not None
    shown = set(table.cells["df"]) if "df" in table.cells else {""}
    assert shown == {text}


def test_an_undefined_value_shows_its_reason(tables: dict[str, PublicationTable]) -> None:
    cells = tables["calibration"].cells
    wrong = cells[(cells["Domain"] == "dmid") & (cells["Arm"] == "resnet")]
    assert (wrong["Slope"] == "not computed: separated classes").all()


def test_small_subgroups_are_hidden(data: ReportData, tables: dict[str, PublicationTable]) -> None:
    cells = tables["subgroups"].cells
    counts = cells["Pos. / neg."].str.split(" / ", expand=True).astype(int)
    small = counts.min(axis=1) < 10
    assert small.any()
    assert cells.loc[small, "AUC (95% CI)"].str.startswith("not shown").all()
    assert not cells.loc[~small, "AUC (95% CI)"].str.startswith("not shown").any()


def test_operating_points_say_where_the_threshold_is_from(
    tables: dict[str, PublicationTable],
) -> None:
    cells = tables["operating_points"].cells
    assert set(cells["Threshold"]) == {"transferred", "re-estimated"}
    assert (cells["Criterion"] == "95% specificity").all()
    assert cells["Sensitivity, mean over seeds"].str.contains(r"\[").all()


def test_files_hold_the_cells(tables: dict[str, PublicationTable], tmp_path: Path) -> None:
    path = write_table(tables["auc"], tmp_path)
    again = pd.read_csv(path, dtype=str)
    pd.testing.assert_frame_equal(again, tables["auc"].cells.astype("str"), check_dtype=False)


def test_several_seeds_without_a_summary_are_not_passed_off_as_one(data: ReportData) -> None:
    rows = data.metrics[data.metrics["metric"] == "auc"]
    seeds = rows[rows["seed"].isin({"0", "1"})]
    assert summarised(seeds).empty
    assert len(summarised(seeds[seeds["seed"] == "0"])) == len(seeds) / 2


def test_sentences_follow_the_numbers(data: ReportData) -> None:
    found = findings(data)
    supported = " ".join(f.text for f in found if f.kind == "supported")
    assert "In 5 of 6 pairs of arm and target" in supported
    assert "is lower than that of resnet" in supported
    unsupported = " ".join(f.text for f in found if f.kind == "not_supported")
    assert "for efficientnet on cmmd" in unsupported
    assert "no evidence of equality" in unsupported
    cautions = " ".join(f.text for f in found if f.kind == "caution")
    assert "synthetic twins" in cautions
    assert "naive Stouffer" in cautions
    assert "2 numbers could not be computed" in cautions


def test_no_drop_is_called_supported_when_every_interval_holds_zero(data: ReportData) -> None:
    tests = data.comparisons.copy()
    drops = tests["family"] == "transfer_drops"
    tests.loc[drops, ["ci_low", "ci_high"]] = [-0.1, 0.5]
    found = findings(replace(data, comparisons=tests))
    assert not any("lower than at the source" in f.text for f in found)
    assert any("In 6 of 6 pairs" in f.text for f in found if f.kind == "not_supported")


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        ((0.45, 0.7), "The interval of resnet does not exclude chance (0.5)."),
        ((0.2, 0.4), "The interval of resnet lies below chance (0.5)."),
        ((float("nan"), float("nan")), "The interval of resnet is undefined."),
    ],
)
def test_chance_is_judged_by_the_whole_interval(
    data: ReportData, interval: tuple[float, float], sentence: str
) -> None:
    metrics = data.metrics.copy()
    chosen = (metrics["metric"] == "auc") & (metrics["arm"] == "resnet")
    metrics.loc[chosen & (metrics["subset"] == "test"), ["ci_low", "ci_high"]] = interval
    (accuracy,) = (
        f.text
        for f in findings(replace(data, metrics=metrics))
        if f.text.startswith("On held-out patients")
    )
    assert accuracy.endswith(sentence)


def test_an_unknown_arm_is_refused(inputs: ReportInputs, tmp_path: Path) -> None:
    metrics = read_metrics(inputs.metrics[0])
    metrics.loc[3, "arm"] = "densenet"
    write_metrics(metrics, tmp_path / "metrics.csv")
    with pytest.raises(TableError, match=r"metrics\.csv: arm 'densenet' is not part"):
        load_report_data(replace(inputs, metrics=(tmp_path / "metrics.csv",)))


def test_a_missing_prediction_table_is_named(inputs: ReportInputs) -> None:
    with pytest.raises(TableError, match="no prediction table of arm 'resnet' on domain 'cbis"):
        load_report_data(replace(inputs, predictions=inputs.predictions[1:]))


def test_the_order_of_files_does_not_matter(inputs: ReportInputs, data: ReportData) -> None:
    turned = replace(
        inputs,
        cases=inputs.cases[::-1],
        predictions=inputs.predictions[::-1],
        manifests=inputs.manifests[::-1],
        runs=inputs.runs[::-1],
    )
    again = load_report_data(turned)
    pd.testing.assert_frame_equal(again.cohort, data.cohort)
    assert [trained.run for trained in again.runs] == [trained.run for trained in data.runs]
    for key, cell in data.grid.cells.items():
        assert (cell.logits == again.grid.cells[key].logits).all()


def test_a_run_of_another_study_is_refused(inputs: ReportInputs) -> None:
    first = inputs.runs[0]
    with pytest.raises(TableError, match="vgg, seed 0, fold 0 is not part of the study"):
        load_report_data(replace(inputs, runs=(replace(first, run=Run("vgg", 0)),)))
    with pytest.raises(TableError, match="resnet, seed 0, fold 0 is given twice"):
        load_report_data(replace(inputs, runs=(first, first)))


def test_a_dataset_without_its_manifest_is_named(inputs: ReportInputs) -> None:
    with pytest.raises(TableError, match="no manifest of the dataset 'cmmd'"):
        load_report_data(replace(inputs, manifests=(inputs.manifests[0], inputs.manifests[2])))


def test_rows_of_another_study_are_left_out(inputs: ReportInputs, tmp_path: Path) -> None:
    metrics = read_metrics(inputs.metrics[0]).assign(study="another")
    write_metrics(metrics, tmp_path / "other.csv")
    both = load_report_data(replace(inputs, metrics=(*inputs.metrics, tmp_path / "other.csv")))
    assert len(both.metrics) == len(metrics)
    with pytest.raises(TableError, match="no row belongs to the study"):
        load_report_data(replace(inputs, metrics=(tmp_path / "other.csv",)))


def test_a_file_lost_in_two_inputs_counts_once(inputs: ReportInputs) -> None:
    doubled = replace(inputs, exclusions=inputs.exclusions * 2)
    counts = load_report_data(doubled).exclusions
    assert counts["files"].sum() == 3


def test_comparisons_read_from_two_files_are_one_table(inputs: ReportInputs) -> None:
    twice = load_report_data(replace(inputs, comparisons=inputs.comparisons * 2))
    assert len(twice.comparisons) == 2 * len(read_comparisons(inputs.comparisons[0]))


def test_the_state_before_any_local_label_stands_beside_every_method(data: ReportData) -> None:
    rows = data.metrics[data.metrics["labelled_patients"] == 10]
    none = {"recalibration": "none", "fitted_on": "", "labelled_patients": 0}
    before = rows.assign(value=0.25, ci_low=float("nan"), **none)
    platt = rows.assign(recalibration="platt", labelled_patients=25)
    metrics = pd.concat([data.metrics, before, platt], ignore_index=True)
    table = budget_table(replace(data, metrics=metrics))
    assert table is not None
    assert set(table.cells["Restored by"]) == {"temperature", "platt"}
    assert set(table.cells["no local patient"]) == {"0.250"}
    assert set(table.cells.loc[table.cells["Restored by"] == "platt", "10 patients"]) == {
        "not drawn"
    }


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        ("specificity_0.95", "95% specificity"),
        ("specificity_0.975", "97.5% specificity"),
        ("youden", "largest Youden index"),
        ("g_mean", "largest G-mean"),
    ],
)
def test_a_criterion_is_put_into_words(criterion: str, words: str) -> None:
    assert criterion_words(criterion) == words


def test_methods_are_known_without_their_counts() -> None:
    assert method_key("patient_bootstrap_2000") == "patient_bootstrap"
    assert method_key("15_equal_width_bins") == "equal_width_bins"
    assert method_key("logit_t_delong") == "logit_t_delong"


def test_the_trials_of_a_search_stand_in_the_order_of_the_arms(
    inputs: ReportInputs, tmp_path: Path
) -> None:
    arms = inputs.settings.arm_names[:2]
    head = ",".join(TRIAL_COLUMNS)
    rows = {
        arms[1]: ["0,0,complete,True,3,validation_auc,0.81234567,training.stages.0.lr,0.00123456"],
        arms[0]: [
            "0,0,pruned,False,1,validation_auc,0.5,training.stages.0.lr,0.1",
            "0,0,pruned,False,1,validation_auc,0.5,loss.name,focal",
            "0,1,complete,True,1200,validation_auc,0.7,training.stages.0.lr,0.01",
            "0,1,complete,True,1200,validation_auc,0.7,loss.name,bce",
        ],
    }
    paths = []
    for arm, own in rows.items():
        paths.append(tmp_path / f"{len(paths)}.csv")
        paths[-1].write_text("\n".join([head, *(f'"{arm}",{row}' for row in own)]))
    searched = load_report_data(replace(inputs, searches=tuple(paths)))
    found = {table.key: table for table in all_tables(searched)}["search"].cells
    assert found.to_dict(orient="records") == [
        {
            "Arm": arms[0],
            "Trial": "0",
            "Settings": "stages.0.lr 0.1; loss.name focal",
            "Measure": "validation auc",
            "Best value": "0.5000",
            "Epochs": "1",
            "Outcome": "given up",
        },
        {
            "Arm": arms[0],
            "Trial": "1",
            "Settings": "stages.0.lr 0.01; loss.name bce",
            "Measure": "validation auc",
            "Best value": "0.7000",
            "Epochs": "1,200",
            "Outcome": "chosen",
        },
        {
            "Arm": arms[1],
            "Trial": "0",
            "Settings": "stages.0.lr 0.001235",
            "Measure": "validation auc",
            "Best value": "0.8123",
            "Epochs": "3",
            "Outcome": "chosen",
        },
    ]
    paths[0].write_text(f"{head}\nnobody,{rows[arms[1]][0]}")
    with pytest.raises(TableError, match="'nobody' is not part of the study"):
        load_report_data(replace(inputs, searches=tuple(paths)))
