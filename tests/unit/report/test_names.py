"""Figures and sentences call arms and domains by their display names, files by their keys."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest
from fabricated_study import ASSETS, Recipe, fabricate

from mammoshift.configuration.judged import ReportSettings
from mammoshift.report.figure_data import roc_data
from mammoshift.report.figures.comparisons import summary_strip
from mammoshift.report.figures.every import all_figures
from mammoshift.report.figures.style import ReportFigure
from mammoshift.report.findings import findings
from mammoshift.report.html import load_assets, render_report
from mammoshift.report.inputs import ReportData, load_report_data
from mammoshift.report.names import domain_titles, names_of, with_names_of_arms
from mammoshift.report.tables.every import all_tables

ARMS = ("net_none", "net_breast", "vit")
LABELS = {"net_none": "ResNet-50", "net_breast": "ResNet-50", "vit": "ViT & <small>"}
NAMES = ("ResNet-50, none", "ResNet-50, breast", "ViT & <small>")


def labelled(settings: ReportSettings, labels: dict[str, str]) -> ReportSettings:
    arms = tuple(
        arm.model_copy(update={"settings": {**arm.settings, "label": labels.get(arm.name)}})
        for arm in settings.described_arms
    )
    datasets = tuple(
        one.model_copy(update={"title": f"{one.name.upper()} (somewhere, film)"})
        for one in settings.datasets
    )
    return settings.model_copy(update={"described_arms": arms, "datasets": datasets})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    recipe = Recipe(arms=ARMS, targets=("cmmd",), patients=30)
    data = load_report_data(fabricate(tmp_path_factory.mktemp("names"), recipe))
    return replace(data, settings=labelled(data.settings, LABELS))


def test_arms_of_one_label_are_told_apart_by_what_their_keys_differ_in(data: ReportData) -> None:
    names = names_of(data.settings)
    assert tuple(map(names.arm, ARMS)) == NAMES
    assert names.cohort("cmmd", "target") == "CMMD"
    assert names.cohort("cbis_ddsm", "test") == "CBIS_DDSM (test)"


def test_a_label_that_is_the_key_of_another_arm_is_not_used(data: ReportData) -> None:
    settings = labelled(data.settings, {"vit": "net_none", "net_breast": "R"})
    assert [names_of(settings).arm(arm) for arm in ARMS] == ["net_none", "R", "vit"]


@pytest.fixture(scope="module")
def figures(data: ReportData) -> dict[str, ReportFigure]:
    return {figure.key: figure for figure in all_figures(data)}


def test_figures_show_names_and_their_files_keys(
    data: ReportData, figures: dict[str, ReportFigure]
) -> None:
    for key in ("summary", "differences", "seeds", "learning", "roc_cmmd", "decision_cmmd"):
        assert set(figures[key].data["arm"]) <= set(ARMS)
        text = figures[key].drawing.svg
        assert "ViT &amp; &lt;small&gt;" in text
        assert "net_" not in text
    assert "cmmd" not in figures["summary"].drawing.svg
    assert figures["roc_cmmd"].cohort == "CMMD"
    # The band is drawn from a stream that the key names, whatever an arm is called.
    assert figures["roc_cmmd"].data.equals(roc_data(data.grid.cells["cmmd", "target"]))


def test_sentences_and_tables_show_names(
    data: ReportData, figures: dict[str, ReportFigure]
) -> None:
    found = findings(with_names_of_arms(data, names_of(data.settings)))
    said = " ".join(finding.text for finding in found)
    assert all(name in said for name in NAMES)
    assert not re.search(r"\b(net_\w+|vit)\b", said)
    page = render_report(
        data, load_assets(ASSETS), all_tables(data), tuple(figures.values()), found
    )
    assert "<span>cmmd</span> <small>CMMD (somewhere, film)</small>" in page
    titles = {"cbis_ddsm": "Cbis ddsm", "cmmd": "CMMD (film)"}
    datasets = tuple(
        one.model_copy(update={"title": titles[one.name]}) for one in data.settings.datasets
    )
    settings = data.settings.model_copy(update={"datasets": datasets})
    assert domain_titles(settings) == {"cmmd": "CMMD (film)"}
    assert "<span>vit</span> <small>ViT &amp; &lt;small&gt;</small>" in page


def test_names_of_domains_do_not_reach_into_the_summary_figure() -> None:
    names = ["Low-energy images of a large hospital", "film"]
    rows = [
        {"domain": name, "subset": "test", "own": False, "leak": False, "arm": "a"}
        | {"value": 0.7, "ci_low": 0.6, "ci_high": 0.8}
        for name in names
    ]
    figure = summary_strip(pd.DataFrame(rows)).drawing.figure
    figure.canvas.draw()
    plot = figure.axes[0].get_window_extent().x0
    written = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(written) > len(names)
    assert all(not box.x0 < plot < box.x1 for box in written)
