"""All figures of a report, in its order."""

from __future__ import annotations

import re

from mammoshift.evaluation.grid import Cell, load_grid
from mammoshift.report.facts import StudyFacts
from mammoshift.report.figure_data import (
    decision_data,
    difference_data,
    drop_data,
    learning_data,
    reliability_data,
    roc_data,
    seed_data,
    subgroup_data,
    temperatures_of,
)
from mammoshift.report.figures.comparisons import (
    drop_heat_map,
    forest_plot,
    seed_strip,
    subgroup_plot,
)
from mammoshift.report.figures.curves import (
    decision_panels,
    learning_panels,
    reliability_panels,
    roc_panels,
)
from mammoshift.report.figures.style import ReportFigure, house_style
from mammoshift.report.formatting import is_null, typographic
from mammoshift.report.inputs import ReportData, ReportInputs
from mammoshift.report.rows import (
    cohort_name,
    estimate_cell,
    evaluated_cohorts,
    of_arm,
    select,
    summarised,
)

PAGE_ORDER = (
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


def all_figures(inputs: ReportInputs, data: ReportData) -> tuple[ReportFigure, ...]:
    """Draw every figure that the study has content for; predictions are read by dataset."""
    with house_style():
        figures = (
            *_interval_figures(data),
            *_curve_figures(inputs, data),
            *_training_figures(data),
        )
    return tuple(sorted(figures, key=lambda figure: PAGE_ORDER.index(figure.caption)))


def _interval_figures(data: ReportData) -> list[ReportFigure]:
    facts = data.facts
    figures: list[ReportFigure] = []
    if len(differences := difference_data(data)):
        figures.append(forest_plot(differences))
    if len(drops := drop_data(data)):
        figures.append(drop_heat_map(drops))
    if len(seeds := seed_data(data)):
        figures.append(seed_strip(seeds, facts.source))
    density = subgroup_data(data, "density")
    for dataset, subset in evaluated_cohorts(facts):
        rows = density[(density["dataset"] == dataset) & (density["subset"] == subset)]
        if len(rows):
            key = f"density_{_stem(dataset)}"
            cohort = cohort_name(facts, dataset, subset)
            figures.append(subgroup_plot(rows, key, cohort, "breast density"))
    return figures


def _curve_figures(inputs: ReportInputs, data: ReportData) -> list[ReportFigure]:
    facts = data.facts
    temperatures = temperatures_of(data)
    reference = next((family.reference for family in facts.families), None)
    figures: list[ReportFigure] = []
    for dataset, subset in evaluated_cohorts(facts):
        cell = _cell(inputs, dataset, subset)
        if cell is None:
            continue
        cohort = cohort_name(facts, dataset, subset)
        stem = _stem(dataset)
        roc = roc_data(cell)
        if len(roc):
            texts = _auc_texts(data, dataset, subset)
            figures.append(
                roc_panels(roc, f"roc_{stem}", cohort, texts, reference, facts.specificity)
            )
        reliability = reliability_data(cell, temperatures)
        figures.append(reliability_panels(reliability, f"reliability_{stem}", cohort))
        decision = decision_data(cell, temperatures)
        figures.append(decision_panels(decision, f"decision_{stem}", cohort))
    return figures


def _training_figures(data: ReportData) -> list[ReportFigure]:
    return [learning_panels(learning_data(data))] if data.runs else []


def _cell(inputs: ReportInputs, dataset: str, subset: str) -> Cell | None:
    """Return the aligned predictions of one cohort, or None when it has no case."""
    study = grid_leaves(inputs.facts, dataset)
    paths = [str(path) for path in inputs.predictions_of(dataset)]
    return load_grid(study, paths).cells.get((dataset, subset))


def grid_leaves(facts: StudyFacts, dataset: str) -> dict[str, object]:
    """Return what is needed to align the predictions for one dataset."""
    return {
        "datasets": [dataset],
        "arms": facts.arm_names,
        "seeds": facts.seeds,
        "aggregation": {"unit": facts.unit, "combine": facts.combine},
    }


def _auc_texts(data: ReportData, dataset: str, subset: str) -> dict[str, str]:
    rows = select(data.metrics, metric="auc", variant="")
    texts: dict[str, str] = {}
    for arm in data.facts.arm_names:
        found = summarised(of_arm(rows, dataset, subset, arm))
        if len(found) and not is_null(found.iloc[0]["value"]):
            texts[arm] = "AUC " + typographic(estimate_cell(found.iloc[0], decimals=2))
    return texts


def _stem(dataset: str) -> str:
    """Return a dataset's name as a safe part of a file name."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", dataset)
