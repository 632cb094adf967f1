"""The leaves of the configuration that each rule of the work reads, and nothing beside them.

A rule's params decide what makes its output invalid: a changed title must not retrain a model.
Every function returns plain values that can be compared and written as JSON. Values of None are
left out, so that a new optional field, whose default is None, appears only where it is set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal

from mammoshift.configuration.load import Project
from mammoshift.configuration.model import ArmBase, Backbone, InputRecipe, Strict
from mammoshift.configuration.recipes import array_hash
from mammoshift.configuration.resolved import ResolvedStudy
from mammoshift.configuration.search import Search
from mammoshift.contracts.run import Run
from mammoshift.phantoms.registry import twin_module

Leaves = dict[str, Any]

NOT_IN_A_KEY = frozenset({"name", "label", "train_on", "judged_on", "search"})
"""Settings of an arm that change nothing of its model: names, and where it is applied.

Which data it learned from, what it started from and what a search chose is in the key by content.
"""
NOT_OF_TRAINING = frozenset({"checkpoint_minutes", "observers"})


def plain(record: Strict, leave_out: Iterable[str] = ()) -> Leaves:
    """Return a record as plain values without those that are None."""
    return record.model_dump(mode="json", exclude_none=True, exclude=set(leave_out))


def input_name(recipe: InputRecipe) -> str:
    """Return the folder name of an input recipe: a few of its values, and a hash of all."""
    rows, columns = recipe.size
    digest = hashlib.sha256(json.dumps(plain(recipe), sort_keys=True).encode()).hexdigest()
    return f"{rows}x{columns}_{recipe.tone}_mask_{recipe.mask}_{digest[:8]}"


def twin_leaves(project: Project, dataset: str) -> Leaves:
    """Return what a synthetic archive is made from."""
    record = project.datasets[dataset]
    assert record.twin is not None
    return {"layout": record.layout, "twin": plain(record.twin, ["layout"])}


def twin_modules(project: Project, dataset: str) -> tuple[str, ...]:
    """Return the modules that a dataset's twin is drawn by; none for a real archive."""
    record = project.datasets[dataset]
    if record.twin is None:
        return ()
    layouts = (record.layout, record.twin.scanner.like)
    return tuple(twin_module(layout) for layout in layouts if layout is not None)


def ingest_leaves(project: Project, dataset: str) -> Leaves:
    """Return what the ingestion of a dataset reads: its adapter, that one's options, the limit."""
    record = project.datasets[dataset]
    return {
        "adapter": record.adapter,
        "options": plain(record.options),
        "maximum_lost_share": record.maximum_lost_share,
    }


def whole_dataset(project: Project, dataset: str) -> Leaves:
    """Return the record of a dataset."""
    return plain(project.datasets[dataset])


def bundles(project: Project, dataset: str) -> int:
    """Return the number of jobs that a dataset's preprocessing is divided into."""
    return project.datasets[dataset].bundles


@cache
def input_of(project: Project, study: str, arm: str, domain: str) -> str | None:
    """Return the name of the input as which an arm takes the images of a domain, None without."""
    recipe = project.recipe(study, arm, domain)
    return None if recipe is None else input_name(recipe)


def array_hashes(project: Project, study: str, datasets: Iterable[str]) -> dict[str, list[str]]:
    """Return, for some datasets, the hashes of how each becomes arrays in a study."""
    inputs = inputs_of_study(project, study)
    return {
        name: [
            array_hash(project.datasets[name], project.of_dataset(name, recipe))
            for recipe in inputs.get(name, {}).values()
        ]
        for name in datasets
    }


def inputs_of(project: Project, dataset: str) -> Mapping[str, InputRecipe]:
    """Return every input recipe that a study makes of a dataset's images, by its name."""
    return {
        name: recipe
        for study in project.studies
        for name, recipe in inputs_of_study(project, study).get(dataset, {}).items()
    }


@cache
def inputs_of_study(project: Project, study: str) -> dict[str, dict[str, InputRecipe]]:
    """Return the input recipes of each dataset by name, in the order of arms and domains."""
    resolved = project.studies[study]
    found: dict[str, dict[str, InputRecipe]] = {}
    for arm in resolved.arms:
        for domain in resolved.applied_to(arm):
            recipe = project.recipe(study, arm, domain)
            if recipe is None:
                continue
            name = input_name(recipe)
            for dataset in resolved.domains[domain].datasets:
                found.setdefault(dataset, {})[name] = recipe
    return found


def sheet_inputs(project: Project, study: str) -> dict[str, str]:
    """Return, for each dataset of a study that may be shown, the input its contact sheet is of.

    It is the first in the order of arms and domains; a dataset that no arm takes as images has
    none.
    """
    return {
        dataset: next(iter(found))
        for dataset, found in inputs_of_study(project, study).items()
        if project.datasets[dataset].may_be_shown
    }


@cache
def recipe_of(project: Project, dataset: str, name: str) -> InputRecipe:
    """Return the input recipe called `name` as it applies to `dataset`."""
    return project.of_dataset(dataset, inputs_of(project, dataset)[name])


def recipe_leaves(project: Project, dataset: str, name: str) -> Leaves:
    """Return the input recipe called `name` as it applies to `dataset`, as plain values."""
    return plain(recipe_of(project, dataset, name))


def cases_leaves(project: Project, study: str, domain: str) -> Leaves:
    """Return what the cases of a domain are made by."""
    record = project.studies[study].domains[domain]
    return {"domain": plain(record, ["same_patients_as", "expected_patches"])}


def lineage_leaves(project: Project, study: str, run: Run) -> Leaves:
    """Return what a run's model and its ancestors learned from."""
    resolved = project.studies[study]
    steps = resolved.learned_from(run)
    third_party = {
        name
        for ancestor in _ancestry(resolved, run.arm)
        for name in _third_party(project, resolved.arms[ancestor])
    }
    return {"steps": [plain(step) for step in steps], "third_party": sorted(third_party)}


def backbone_leaves(project: Project, backbone: str) -> Leaves:
    """Return what decides the network of a backbone; texts about its weights do not."""
    record = plain(project.backbones[backbone], ["weights"])
    weights = project.backbones[backbone].weights
    return record if weights is None else {**record, "format": weights.format}


def whole_backbone(project: Project, backbone: str) -> Leaves:
    """Return the record of a backbone with all that is said of its weights."""
    return plain(project.backbones[backbone])


def arm_leaves(project: Project, study: str, arm: str) -> Leaves:
    """Return what training one arm reads: the resolved arm and its backbone."""
    resolved = project.studies[study]
    record = resolved.arms[arm]
    settings = settings_of(record, NOT_IN_A_KEY)
    if record.parent is not None:
        start = settings["initialisation"]
        settings["initialisation"] = {k: v for k, v in start.items() if k not in {"arm", "fold"}}
    backbone = backbone_of(project, record)
    task = resolved.domains[resolved.own_domain(arm)].task
    leaves = {"arm": settings, "task": task}
    return leaves if backbone is None else {**leaves, "backbone": backbone}


def settings_of(arm: ArmBase, leave_out: Iterable[str] = ()) -> Leaves:
    """Return an arm as plain values, without the settings of training that change no result."""
    settings = plain(arm, leave_out)
    if "training" in settings:
        training = settings["training"]
        settings["training"] = {k: training[k] for k in training if k not in NOT_OF_TRAINING}
    return settings


def trial_leaves(project: Project, study: str, arm: str) -> Leaves:
    """Return what a trial of an arm's search reads: what training reads, and the search.

    More trials leave those that there are as they are.
    """
    record = plain(search_of(project, study, arm), ["trials"])
    return {**arm_leaves(project, study, arm), "search": record}


def search_of(project: Project, study: str, arm: str) -> Search:
    """Return the search of an arm that has one."""
    record = getattr(project.studies[study].arms[arm], "search", None)
    assert record is not None
    return record


def is_searched(project: Project, study: str, arm: str) -> bool:
    """Return whether an arm has a search."""
    return getattr(project.studies[study].arms[arm], "search", None) is not None


def training_settings(project: Project, study: str, run: Run) -> Leaves:
    """Return everything that training a run is told, in its key or not."""
    resolved = project.studies[study]
    record = resolved.arms[run.arm]
    backbone = getattr(record, "backbone", None)
    return {
        "arm": plain(record),
        "backbone": None if backbone is None else whole_backbone(project, backbone),
        "task": resolved.domains[resolved.own_domain(run.arm)].task,
        "lineage": {
            **lineage_leaves(project, study, run),
            "recipes": array_hashes(
                project, study, resolved.domains[resolved.own_domain(run.arm)].datasets
            ),
        },
    }


def scoring_leaves(project: Project, study: str, arm: str, domain: str) -> Leaves:
    """Return what scoring a domain with the models of one arm reads."""
    resolved = project.studies[study]
    return {
        "arm": arm,
        "kind": resolved.arms[arm].kind,
        "domain": domain,
        "own": resolved.own_domain(arm) == domain,
        "own_fold": resolved.share_split(resolved.own_domain(arm), domain),
        "runs": [
            {"seed": run.seed, "fold": run.fold, "model": resolved.model_of(run).path}
            for run in sorted(resolved.runs(arm))
        ],
    }


def lending_leaves(project: Project, study: str, arm: str, domain: str) -> Leaves:
    """Return what scoring a domain reads, for another arm to learn from the scores.

    Of a domain that the arm's models have seen, or one with its split, only those cases are
    scored that are judged; of others all, `whole`.
    """
    resolved = project.studies[study]
    learned = {step.domain for run in resolved.runs(arm) for step in resolved.learned_from(run)}
    whole = not any(resolved.share_split(name, domain) for name in learned)
    return {**scoring_leaves(project, study, arm, domain), "whole": whole}


def backbone_of(project: Project, arm: ArmBase) -> Leaves | None:
    """Return the leaves of an arm's backbone, None for a kind without one."""
    name = getattr(arm, "backbone", None)
    return None if name is None else backbone_leaves(project, name)


def split_name(study: ResolvedStudy, domain: str) -> str | None:
    """Return the method of a domain's split, None without one."""
    split = study.domains[domain].split
    return None if split is None else split.method


def leak_of(study: ResolvedStudy, domain: str) -> Literal["by_row", "by_patch"] | None:
    """Return the name of the leak that a domain's split declares, None without one."""
    return study.domains[domain].leak


def _ancestry(study: ResolvedStudy, arm: str) -> tuple[str, ...]:
    record = study.arms[arm]
    before = () if record.parent is None else _ancestry(study, record.parent.arm)
    read = (name for other in record.reads for name in _ancestry(study, other))
    return tuple(dict.fromkeys((*before, *read, arm)))


def _third_party(project: Project, arm: ArmBase) -> tuple[str, ...]:
    """Return the archives that the third party's weights of an arm were trained on."""
    name = getattr(arm, "backbone", None)
    if arm.initialisation != "pretrained" or name is None:
        return ()
    backbone: Backbone = project.backbones[name]
    return (backbone.weights.trained_on or ()) if backbone.weights else ()
