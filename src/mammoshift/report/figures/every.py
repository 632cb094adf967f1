"""All figures of a report, in its order."""

from __future__ import annotations

import re

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
from mammoshift.report.rows import (
    cohort_name,
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
    with house_style():
        figures = (
            *_interval_figures(data),
            *_curve_figures(data),
            *_training_figures(data),
        )
    return tuple(sorted(figures, key=lambda figure: PAGE_ORDER.index(figure.caption)))


def _interval_figures(data: ReportData) -> list[ReportFigure]:
    settings = data.settings
    figures: list[ReportFigure] = []
    if len(summary := summary_data(data)):
        figures.append(summary_strip(summary))
    if len(differences := difference_data(data)):
        figures.append(forest_plot(differences))
    if len(drops := drop_data(data)):
        figures.append(drop_heat_map(drops))
    if len(seeds := seed_data(data)):
        figures.append(seed_strip(seeds))
    density = subgroup_data(data, "density")
    for domain, subset in settings.cohorts:
        rows = density[(density["domain"] == domain) & (density["subset"] == subset)]
        if len(rows):
            key = f"density_{_stem(settings, domain, subset)}"
            cohort = cohort_name(domain, subset)
            figures.append(subgroup_plot(rows, key, cohort, "breast density"))
    return figures


def _curve_figures(data: ReportData) -> list[ReportFigure]:
    settings = data.settings
    temperatures = temperatures_of(data)
    pairs = (pair for family in settings.families for pair in family.on_one_domain)
    reference = next((pair.reference for pair in pairs), None)
    figures: list[ReportFigure] = []
    for domain, subset in settings.cohorts:
        cell = data.grid.cells.get((domain, subset))
        if cell is None:
            continue
        cohort = cohort_name(domain, subset)
        stem = _stem(settings, domain, subset)
        roc = roc_data(cell)
        if len(roc):
            texts = _auc_texts(data, domain, subset)
            figures.append(
                roc_panels(roc, f"roc_{stem}", cohort, texts, reference, settings.specificity)
            )
        reliability = reliability_data(cell, temperatures)
        figures.append(reliability_panels(reliability, f"reliability_{stem}", cohort))
        decision = decision_data(cell, temperatures)
        figures.append(decision_panels(decision, f"decision_{stem}", cohort))
    return figures


def _training_figures(data: ReportData) -> list[ReportFigure]:
    epochs = learning_data(data) if data.runs else None
    return [learning_panels(epochs)] if epochs is not None and len(epochs) else []


def _auc_texts(data: ReportData, domain: str, subset: str) -> dict[str, str]:
    rows = select(data.metrics, metric="auc")
    texts: dict[str, str] = {}
    for arm in data.settings.arm_names:
        found = summarised(of_arm(rows, domain, subset, arm))
        if len(found) and not is_null(found.iloc[0]["value"]):
            texts[arm] = "AUC " + typographic(estimate_cell(found.iloc[0], decimals=2))
    return texts


def _stem(settings: ReportSettings, domain: str, subset: str) -> str:
    """Return a cohort's name as a safe part of a file name; the leading one is its domain's."""
    name = domain if settings.domain(domain).subsets[0] == subset else f"{domain}_{subset}"
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)
