"""A publication's numbers stand beside those of the run, only where they are of the same thing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fabricated_study import Recipe, fabricate

from mammoshift.configuration.published import PublishedStudy
from mammoshift.report.inputs import ReportData, load_report_data
from mammoshift.report.tables.published import contradiction_table, published_table

PUBLISHED = PublishedStudy.model_validate(
    {
        "citation": "Somebody 2020",
        "numbers": [
            {"page": "p. 1", "what": "same", "arm": "the_arm", "domain": "home", "metric": "auc",
             "value": 0.8, "low": 0.7, "high": 0.9},
            {"page": "p. 2", "what": "nobody's", "metric": "auc", "low": 0.1, "high": 0.2},
            {"page": "p. 3", "what": "cases", "domain": "home", "metric": "n", "value": 1528},
            {"page": "p. 5", "what": "best epoch", "arm": "the_arm", "domain": "home",
             "metric": "selected_epoch", "value": 95},
            {"page": "p. 6", "what": "time", "arm": "the_arm", "domain": "home",
             "metric": "training_hours", "value": 1.5},
            {"page": "p. 7", "what": "loss", "arm": "the_arm", "domain": "home", "metric": "loss",
             "subset": "train", "value": 0.5},
            {"page": "p. 8", "what": "a net elsewhere", "arm": "absent", "domain": "home",
             "metric": "loss", "subset": "train", "value": 0.5},
            {"page": "p. 9", "what": "its size", "arm": "the_arm", "metric": "n_parameters",
             "part": "total", "value": 67797505},
            {"page": "p. 4", "what": "a net", "arm": "absent", "domain": "home", "metric": "auc",
             "value": 0.91234},
        ],
        "contradictions": ["One and one are three."],
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    recipe = Recipe(targets=("cmmd",), patients=40)
    return load_report_data(fabricate(tmp_path_factory.mktemp("published"), recipe))


def with_publication(data: ReportData) -> ReportData:
    arm, (domain, _) = data.settings.arm_names[0], data.settings.cohorts[0]
    text = PUBLISHED.model_dump_json().replace("the_arm", arm).replace("home", domain)
    published = PublishedStudy.model_validate_json(text)
    return replace(data, settings=data.settings.model_copy(update={"published": published}))


def test_a_study_that_repeats_nothing_has_no_such_table(data: ReportData) -> None:
    assert published_table(data) is None
    assert contradiction_table(data) is None


def test_numbers_of_the_same_thing_stand_side_by_side(data: ReportData) -> None:
    whole = with_publication(data)
    table = published_table(whole)
    assert table is not None
    cells = table.cells.set_index("Page")
    assert cells.loc["p. 1", "Published"] == "0.800 (0.700-0.900)"
    arm, (domain, subset) = whole.settings.arm_names[0], whole.settings.cohorts[0]
    rows = whole.metrics[
        (whole.metrics[["arm", "domain", "subset"]] == [arm, domain, subset]).all(axis=1)
        & (whole.metrics["metric"] == "auc")
        & (whole.metrics["subgroup"] == "all")
    ]
    mean = rows[rows["seed"] == "mean"].iloc[0]
    assert str(cells.loc["p. 1", "This run (95% CI)"]).startswith(f"{mean['value']:.3f}")
    assert "does not say" in str(cells.loc["p. 2", "This run (95% CI)"])
    assert cells.loc["p. 2", "Published"] == "0.100 to 0.200"
    assert cells.loc["p. 3", "This run (95% CI)"] == str(int(mean["n"]))
    assert cells.loc["p. 3", "Published"] == "1,528"
    assert "not computed here" in str(cells.loc["p. 4", "This run (95% CI)"])
    assert cells.loc["p. 4", "Published"] == "0.91234"


def test_what_training_printed_is_compared_with_the_histories(data: ReportData) -> None:
    whole = with_publication(data)
    runs = tuple(
        replace(trained, history=trained.history.assign(seconds=1800.0)) for trained in whole.runs
    )
    table = published_table(replace(whole, runs=runs))
    assert table is not None
    cells = table.cells.set_index("Page")["This run (95% CI)"]
    own = [trained for trained in runs if trained.run.arm == whole.settings.arm_names[0]]
    epochs = [trained.model.selected_epoch or 0 for trained in own]
    assert str(cells["p. 5"]).startswith(f"{sum(epochs) / len(epochs):.0f} [{min(epochs)}-")
    hours = [len(trained.history) / 2 for trained in own]
    assert str(cells["p. 6"]).startswith(f"{sum(hours) / len(hours):.3f}")
    kept = [t.history.loc[t.history["epoch"] == t.model.selected_epoch, "train_loss"] for t in own]
    mean = sum(float(value.iloc[0]) for value in kept) / len(kept)
    assert str(cells["p. 7"]).startswith(f"{mean:.3f}")
    assert "not computed here" in str(cells["p. 8"])


def test_parameters_are_counted_without_weights(data: ReportData) -> None:
    whole = with_publication(data)
    record = {
        "arm": {"head": {"kind": "flatten_dense"}, "input": {"size": [144, 144]}},
        "backbone": {
            "architecture": "mobilenetv2_100",
            "channels": 1,
            "mean": [0.3],
            "std": [0.25],
        },
    }
    for recorded, said in ((record, "67,797,505"), ({}, "not computed: not computed here")):
        runs = tuple(
            replace(trained, model=replace(trained.model, record=recorded))
            for trained in whole.runs
        )
        table = published_table(replace(whole, runs=runs))
        assert table is not None
        assert table.cells.set_index("Page").loc["p. 9", "This run (95% CI)"] == said


def test_contradictions_are_listed(data: ReportData) -> None:
    table = contradiction_table(with_publication(data))
    assert table is not None
    assert table.cells["Contradiction"].tolist() == ["One and one are three."]


def test_every_file_is_named_by_its_study() -> None:
    studies = Path(__file__).parents[3] / "config" / "studies"
    for file in (studies / "published").glob("*.yaml"):
        text = (studies / file.name).read_text(encoding="utf-8")
        assert f"published: published/{file.name}" in text
