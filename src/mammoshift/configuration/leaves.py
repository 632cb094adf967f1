"""The leaves of the configuration that each rule reads, and nothing beside them.

A rule's params decide what makes its output invalid: a changed title must not retrain a model.
Every function returns plain values that can be compared and written as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mammoshift.configuration.load import Project
from mammoshift.configuration.model import InputRecipe

Leaves = dict[str, Any]


def input_name(recipe: InputRecipe) -> str:
    """Return the folder name of an input recipe: its values, joined."""
    rows, columns = recipe.size
    parts = (
        recipe.unit,
        f"mask_{recipe.mask}",
        f"crop_{recipe.crop}",
        recipe.tone,
        f"{rows}x{columns}",
        recipe.fit,
        recipe.orientation,
    )
    return "_".join(parts)


def twin_leaves(project: Project, dataset: str) -> Leaves:
    """Return what a synthetic archive is made from."""
    record = project.datasets[dataset]
    assert record.twin is not None
    return {"layout": record.adapter, "twin": record.twin.model_dump(mode="json")}


def ingest_leaves(project: Project, dataset: str) -> Leaves:
    """Return the dataset's record with all that its ingestion does not read made void."""
    void = {"title": "", "licence": "", "root": ".", "twin": None, "tone": None}
    record = project.datasets[dataset].model_copy(update={**void, "expected_images": None})
    return record.model_dump(mode="json")


def recipe_leaves(project: Project, dataset: str, name: str) -> Leaves:
    """Return the input recipe called `name` as it applies to `dataset`."""
    recipes = (arm.input for arms in project.arms.values() for arm in arms.values())
    recipe = next(recipe for recipe in recipes if input_name(recipe) == name)
    return project.recipe(dataset, recipe).model_dump(mode="json")


def source_leaves(project: Project, study: str) -> Leaves:
    """Return what the split of a study's source reads."""
    return project.studies[study].source.model_dump(mode="json")


def audit_leaves(project: Project, study: str) -> Leaves:
    """Return what the audit reads: the datasets' order and the share each may lose."""
    return _audited(project, project.studies[study].datasets)


def source_audit_leaves(project: Project, study: str) -> Leaves:
    """Return what the audit of the split alone reads."""
    return _audited(project, [project.studies[study].source.dataset])


def _audited(project: Project, names: Iterable[str]) -> Leaves:
    return {
        "datasets": list(names),
        "maximum_lost_share": [project.datasets[name].maximum_lost_share for name in names],
    }


def backbone_leaves(project: Project, backbone: str) -> Leaves:
    """Return the record of a backbone."""
    return project.backbones[backbone].model_dump(mode="json")


def arm_leaves(project: Project, study: str, arm: str) -> Leaves:
    """Return what training one arm reads: the resolved arm, its backbone, the task."""
    record = project.arms[study][arm]
    return {
        "arm": record.model_dump(mode="json"),
        "backbone": backbone_leaves(project, record.backbone),
        "task": project.studies[study].source.task,
    }


def scoring_leaves(project: Project, study: str, arm: str) -> Leaves:
    """Return what scoring the datasets of a study with the models of one arm reads."""
    record = project.studies[study]
    shards = {name: project.datasets[name].shards for name in record.datasets}
    return {
        "task": record.source.task,
        "source": record.source.dataset,
        "datasets": list(record.datasets),
        "seeds": list(record.seeds),
        "shards": shards,
        "input": input_name(project.arms[study][arm].input),
    }


def evaluation_leaves(project: Project, study: str, stage: str) -> Leaves:
    """Return what one of the statistics stages of a study reads.

    `stage` is `calibrate`, `evaluate`, `compare` or `combine`.
    """
    record = project.studies[study]
    shared = {
        "study": study,
        "arms": list(project.arms[study]),
        "seeds": list(record.seeds),
        "datasets": list(record.datasets),
        "aggregation": record.aggregation.model_dump(mode="json"),
    }
    own: dict[str, set[str]] = {
        "calibrate": {"calibration", "specificity", "bootstrap_resamples", "budget_sizes"},
        "evaluate": {"subgroups", "specificity", "bootstrap_resamples", "comparisons"},
        "compare": {"comparisons"},
        "combine": {"comparisons"},
    }
    return shared | record.model_dump(mode="json", include=own[stage])


def report_leaves(project: Project, study: str) -> Leaves:
    """Return what the report prints beside the numbers."""
    record = project.studies[study]
    return {
        "study": record.model_dump(mode="json", exclude={"arms", "input", "training", "loss"})
        | {"name": study},
        "arms": {name: arm.model_dump(mode="json") for name, arm in project.arms[study].items()},
        "datasets": {
            name: {
                "title": project.datasets[name].title,
                "licence": project.datasets[name].licence,
                "synthetic": project.datasets[name].twin is not None,
            }
            for name in record.datasets
        },
    }
