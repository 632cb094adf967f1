"""What the report says of means over pairs and of what a declared leak is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from fabricated_study import COMPARISON_DEFAULTS, Recipe, fabricate

from mammoshift.configuration.judged import Family, Pair
from mammoshift.contracts.results import read_comparisons, write_comparisons
from mammoshift.report.figure_data import learning_data
from mammoshift.report.findings import findings
from mammoshift.report.inputs import ReportData, ReportInputs, load_report_data
from mammoshift.report.tables.comparisons import domain_difference_table, headline_comparison_table
from mammoshift.report.tables.operation import classification_table
from mammoshift.report.tables.training import AS_IT_IS, training_table

COUNTS = {"n": 90, "n_pos": 40, "n_neg": 50, "n_clusters": 60}
MEAN = COMPARISON_DEFAULTS | {
    "study": "cross_sensor",
    "family": "mask",
    "domain": "cbis_ddsm",
    "subset": "test",
    "arm": "mean_breast",
    "reference": "mean_none",
    "pairs": 2,
    "method": "checkpoints_fixed",
    "estimate": 0.007,
    "se": 0.011,
    "ci_low": -0.014,
    "ci_high": 0.029,
    "statistic": 0.64,
    "p": 0.52,
    "p_adjusted": 0.52,
    "correction": "bh",
    "family_size": 1,
    "headline": True,
    **COUNTS,
}
LEAK = MEAN | {
    "family": "leak",
    "domain": "cmmd",
    "subset": "target",
    "arm": "resnet",
    "reference": "efficientnet",
    "reference_domain": "cbis_ddsm",
    "pairs": None,
    "metric": "accuracy",
    "criterion": "probability_0.5",
    "threshold_from": "fixed",
    "estimate": 0.041,
    "ci_low": 0.012,
    "ci_high": 0.07,
    "headline": False,
    "note": "declared leak: split by patches",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    recipe = Recipe(targets=("cmmd",), patients=40, seeds=(0,))
    found = fabricate(tmp_path_factory.mktemp("means"), recipe)
    arms = ("resnet", "efficientnet"), ("resnet_density_focal_0p1", "resnet")
    pairs = tuple(
        Pair(arm=arm, reference=reference, value="breast", reference_value="none")
        for arm, reference in arms
    )
    mask = Family(family="mask", domains=("cbis_ddsm",), pairs=pairs, factor="input.mask")
    domains = tuple(
        domain.model_copy(update={"leak": "by_patch"}) if domain.name == "cmmd" else domain
        for domain in found.settings.domains
    )
    changed = {"families": (*found.settings.families, mask), "domains": domains}
    return replace(found, settings=found.settings.model_copy(update=changed))


@pytest.fixture(scope="module")
def data(inputs: ReportInputs) -> ReportData:
    path = inputs.comparisons[0]
    ranked = LEAK | {"metric": "auc", "criterion": "", "threshold_from": "", "estimate": 0.02}
    more = pd.concat([read_comparisons(path), pd.DataFrame([MEAN, LEAK, ranked])])
    write_comparisons(more, path)
    return load_report_data(inputs)


def test_a_mean_over_pairs_is_named_in_words_and_is_no_single_difference(data: ReportData) -> None:
    table = headline_comparison_table(data)
    assert table is not None
    mean = table.cells[table.cells["Family"] == "mask"].iloc[0]
    assert mean["Arm minus reference"] == "mean of 2 pairs: breast - none"
    assert mean["Difference (95% CI)"] == "0.007 (-0.014 to 0.029)"
    said = [finding for finding in findings(data) if "on average" in finding.text]
    assert len(said) == 1
    assert said[0].kind == "not_supported"
    assert "mean of 2 pairs" in said[0].text
    assert not any("In the family mask (m" in finding.text for finding in findings(data))


def test_what_a_leak_is_worth_is_a_caution_and_a_table_of_its_own(data: ReportData) -> None:
    (said,) = [finding for finding in findings(data) if "What the leak is worth" in finding.text]
    assert said.kind == "caution"
    assert "resnet on cmmd minus efficientnet on cbis_ddsm" in said.text
    assert "Accuracy at probability 0.5 0.041 (0.012 to 0.070)" in said.text
    table = domain_difference_table(data)
    assert table is not None
    assert set(table.cells["Arm minus reference"]) == {"resnet - efficientnet on cbis_ddsm"}
    assert table.cells[["Measure", "Threshold"]].to_numpy().tolist() == [
        ["AUC", ""],
        ["Accuracy", "probability 0.5 (fixed)"],
    ]
    assert table.cells.columns.tolist().index("Threshold") == 4
    headline = headline_comparison_table(data)
    assert headline is not None
    assert "leak" not in set(headline.cells["Family"])


def test_other_labels_of_a_judged_domain_are_a_caution(data: ReportData) -> None:
    described = tuple(
        domain.model_copy(update={"task": "abnormal_vs_normal"})
        if domain.name == "cmmd"
        else domain
        for domain in data.settings.described_domains
    )
    settings = data.settings.model_copy(update={"described_domains": described})
    said = {finding.text: finding.kind for finding in findings(replace(data, settings=settings))}
    (text,) = [text for text in said if "what is positive differs" in text]
    assert said[text] == "caution"
    assert "are judged by abnormal_vs_normal on cmmd" in text


def test_accuracy_and_its_parts_stand_at_one_half(data: ReportData) -> None:
    assert classification_table(data) is None
    rows = data.metrics[data.metrics["metric"] == "sensitivity"].head(1)
    rows = rows.assign(criterion="probability_0.5", threshold_from="fixed", seed="0")
    rows = pd.concat([rows.assign(metric=metric) for metric in ("accuracy", "f1")])
    rows = rows.assign(value=[0.75, 0.5], ci_low=0.4, ci_high=0.8)
    table = classification_table(replace(data, metrics=pd.concat([data.metrics, rows])))
    assert table is not None
    assert table.cells["Accuracy"].tolist() == ["0.750 (0.400-0.800)"]
    assert table.cells["F1"].tolist() == ["0.500 (0.400-0.800)"]


def test_training_has_its_time_and_accuracies_where_they_are_known(data: ReportData) -> None:
    plain = training_table(data)
    assert plain is not None
    assert "Training accuracy" not in plain.cells
    first = data.runs[0]
    known = first.history.assign(seconds=60.0, train_accuracy=0.5, validation_accuracy=0.25)
    table = training_table(replace(data, runs=(replace(first, history=known), *data.runs[1:])))
    assert table is not None
    cells = table.cells.iloc[0]
    assert cells["Training accuracy"] == "0.500"
    assert cells["Validation accuracy"] == "0.250"
    assert cells["Time"] == f"{len(known)} min"


def test_a_model_of_a_file_has_no_epoch(data: ReportData) -> None:
    first, *others = data.runs
    applied = replace(
        first,
        history=first.history.iloc[:0],
        model=replace(first.model, selected_epoch=0),
    )
    table = training_table(replace(data, runs=(applied, *others)))
    assert table is not None
    cells = table.cells.iloc[0]
    assert (cells["Epochs"], cells["Kept epoch"]) == ("0", AS_IT_IS)
    assert cells["Validation loss"] == ""
    drawn = learning_data(replace(data, runs=(applied, *others)))
    assert first.run.arm not in set(drawn["arm"])


def test_the_tables_are_read_back_as_they_were_written(data: ReportData, tmp_path: Path) -> None:
    write_comparisons(data.comparisons, tmp_path / "again.csv")
    again = read_comparisons(tmp_path / "again.csv")
    assert again["pairs"].dropna().tolist() == [2]
    assert again["reference_domain"].tolist()[-1] == "cbis_ddsm"
