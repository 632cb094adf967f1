"""All figures of a report, in its order."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from mammoshift.configuration.judged import ReportSettings
from mammoshift.report.figure_data import (
    decision_data,
    difference_data,
    drop_data,
    learning_data,
    reliability_data,
    roc_data,
    seed_data,
    subgroup_data,
    summary_data,
    temperatures_of,
)
from mammoshift.report.figures.comparisons import (
    drop_heat_map,
    forest_plot,
    seed_strip,
    subgroup_plot,
    summary_strip,
)
from mammoshift.report.figures.curves import (
    decision_panels,
    learning_panels,
    reliability_panels,
    roc_panels,
)
from mammoshift.report.figures.style import ReportFigure, house_style
from mammoshift.report.formatting import is_null, typographic
from mammoshift.report.inputs import ReportData
from mammoshift.report.names import Names, names_of
from mammoshift.report.rows import (
    estimate_cell,
    of_arm,
    select,
    summarised,
)

PAGE_ORDER = (
    "summary",
    "roc",
    "seeds",
    "transfer_drop",
    "differences",
    "decision",
    "reliability",
    "subgroups",
    "learning",
)
"""Captions in the order in which the page shows their figures."""


def all_figures(data: ReportData) -> tuple[ReportFigure, ...]:
    """Draw every figure that the study has content for."""
    names = names_of(data.settings)
    with house_style():
        figures = (
            *_interval_figures(data, names),
            *_curve_figures(data, names),
            *_training_figures(data, names),
        )
    return tuple(sorted(figures, key=lambda figure: PAGE_ORDER.index(figure.caption)))


def _interval_figures(data: ReportData, names: Names) -> list[ReportFigure]:
    settings = data.settings
    figures: list[ReportFigure] = []
    for table, draw in (
        (summary_data(data), summary_strip),
        (difference_data(data), forest_plot),
        (drop_data(data), drop_heat_map),
        (seed_data(data), seed_strip),
    ):
        if len(table):
            figures.append(_of(table, draw(names.of(table))))
    density = subgroup_data(data, "density")
    for domain, subset in settings.cohorts:
        rows = density[(density["domain"] == domain) & (density["subset"] == subset)]
        if len(rows):
            key = f"density_{_stem(settings, domain, subset)}"
            cohort = names.cohort(domain, subset)
            figures.append(_of(rows, subgroup_plot(names.of(rows), key, cohort, "breast density")))
    return figures


def _curve_figures(data: ReportData, names: Names) -> list[ReportFigure]:
    settings = data.settings
    temperatures = temperatures_of(data)
    pairs = (pair for family in settings.families for pair in family.on_one_domain)
    reference = next((names.arm(pair.reference) for pair in pairs), None)
    figures: list[ReportFigure] = []
    for domain, subset in settings.cohorts:
        cell = data.grid.cells.get((domain, subset))
        if cell is None:
            continue
        cohort = names.cohort(domain, subset)
        stem = _stem(settings, domain, subset)
        roc = roc_data(cell)
        if len(roc):
            texts = _auc_texts(data, domain, subset, names)
            drawn = roc_panels(
                names.of(roc), f"roc_{stem}", cohort, texts, reference, settings.specificity
            )
            figures.append(_of(roc, drawn))
        for caption, draw, table in (
            ("reliability", reliability_panels, reliability_data(cell, temperatures)),
            ("decision", decision_panels, decision_data(cell, temperatures)),
        ):
            figures.append(_of(table, draw(names.of(table), f"{caption}_{stem}", cohort)))
    return figures


def _training_figures(data: ReportData, names: Names) -> list[ReportFigure]:
    epochs = learning_data(data) if data.runs else None
    if epochs is None or epochs.empty:
        return []
    return [_of(epochs, learning_panels(names.of(epochs)))]


def _of(table: pd.DataFrame, drawn: ReportFigure) -> ReportFigure:
    """Return a figure that was drawn by names with its table by keys."""
    return replace(drawn, data=table)


def _auc_texts(data: ReportData, domain: str, subset: str, names: Names) -> dict[str, str]:
    rows = select(data.metrics, metric="auc")
    texts: dict[str, str] = {}
    for arm in data.settings.arm_names:
        found = summarised(of_arm(rows, domain, subset, arm))
        if len(found) and not is_null(found.iloc[0]["value"]):
            texts[names.arm(arm)] = "AUC " + typographic(estimate_cell(found.iloc[0], decimals=2))
    return texts


def _stem(settings: ReportSettings, domain: str, subset: str) -> str:
    """Return a cohort's name as a safe part of a file name; the leading one is its domain's."""
    name = domain if settings.domain(domain).subsets[0] == subset else f"{domain}_{subset}"
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)
