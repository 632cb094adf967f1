"""The leaves of the configuration that each rule reads, and nothing beside them.

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

from mammoshift.configuration.domain import same_patient_groups, split_origin
from mammoshift.configuration.judged import (
    CalibrationSettings,
    ComparisonSettings,
    DescribedArm,
    DescribedDataset,
    DescribedDomain,
    EvaluationSettings,
    JudgedArm,
    JudgedDomain,
    JudgedStudy,
    JudgedSubset,
    ReportSettings,
)
from mammoshift.configuration.load import Project
from mammoshift.configuration.model import ArmBase, Backbone, InputRecipe, Strict
from mammoshift.configuration.resolved import ResolvedStudy
from mammoshift.contracts.run import Run

Leaves = dict[str, Any]

NOT_IN_A_KEY = frozenset({"name", "label", "train_on", "judged_on"})
"""Settings of an arm that change nothing of its model: names, and where it is applied.

Which data it learned from, and what it started from, is in the key by content.
"""
NOT_OF_TRAINING = frozenset({"checkpoint_minutes"})


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
    return {"layout": record.adapter, "twin": plain(record.twin)}


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


def inputs_of(project: Project, dataset: str) -> Mapping[str, InputRecipe]:
    """Return every input recipe that a study makes of a dataset's images, by its name."""
    return {
        name: recipe
        for study in project.studies
        for name, recipe in _inputs_of_study(project, study).get(dataset, {}).items()
    }


@cache
def _inputs_of_study(project: Project, study: str) -> dict[str, dict[str, InputRecipe]]:
    """Return the input recipes of each dataset by name, in the order of arms and domains."""
    resolved = project.studies[study]
    found: dict[str, dict[str, InputRecipe]] = {}
    for arm in resolved.arms:
        for domain in resolved.judged_on(arm):
            recipe = project.recipe(study, arm, domain)
            if recipe is None:
                continue
            name = input_name(recipe)
            for dataset in resolved.domains[domain].datasets:
                found.setdefault(dataset, {})[name] = recipe
    return found


def recipe_leaves(project: Project, dataset: str, name: str) -> Leaves:
    """Return the input recipe called `name` as it applies to `dataset`."""
    return plain(project.of_dataset(dataset, inputs_of(project, dataset)[name]))


def cases_leaves(project: Project, study: str, domain: str) -> Leaves:
    """Return what the cases of a domain are made by."""
    record = project.studies[study].domains[domain]
    return {"domain": plain(record, ["same_patients_as"])}


def audited_inputs(
    project: Project, study: str, datasets: Iterable[str], input: str | None
) -> dict[str, str]:
    """Return the input whose pixels an audit compares, for each dataset that a study makes it of.

    Pixels can be compared within one input alone; where a dataset is not made to it, the audit
    compares raw files. `input` is that of the arm that is audited; None for the input that most
    of the datasets have.
    """
    names = list(datasets)
    made = {name: list(_inputs_of_study(project, study).get(name, {})) for name in names}
    if input is None:
        every = [found for name in names for found in made[name]]
        input = max(dict.fromkeys(every), key=every.count, default=None)
    return {name: input for name in names if input is not None and input in made[name]}


def domain_input(project: Project, study: str, domain: str) -> str | None:
    """Return the input that a domain is audited with: that of the first arm trained on it."""
    resolved = project.studies[study]
    arms = [arm for arm in resolved.arms if resolved.own_domain(arm) == domain]
    recipes = [project.recipe(study, arm, domain) for arm in arms]
    return next((input_name(recipe) for recipe in recipes if recipe is not None), None)


def lineage_input(project: Project, study: str, domain: str, lineage: str) -> str | None:
    """Return the input that a lineage is audited with: how its first arm takes the domain."""
    resolved = project.studies[study]
    recipes = [
        project.recipe(study, arm, domain)
        for arm in resolved.arms
        if lineage_name(project, study, arm) == lineage and domain in resolved.judged_on(arm)
    ]
    return next((input_name(recipe) for recipe in recipes if recipe is not None), None)


def domain_audit_leaves(project: Project, study: str, domain: str) -> Leaves:
    """Return what the audit of one domain reads: the share that each dataset may lose."""
    names = project.studies[study].domains[domain].datasets
    return {
        "maximum_lost_share": {name: project.datasets[name].maximum_lost_share for name in names},
        "split": split_name(project.studies[study], domain),
        "leak": leak_of(project.studies[study], domain),
    }


@cache
def lineage_name(project: Project, study: str, arm: str) -> str:
    """Return a name that all arms share which learned from the same domains and folds."""
    text = json.dumps(arm_lineages(project, study, arm), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def arm_lineages(project: Project, study: str, arm: str) -> list[Leaves]:
    """Return what an arm's models learned from, fold by fold; seeds share it."""
    resolved = project.studies[study]
    return [
        {"fold": fold, **lineage_leaves(project, study, Run(arm, seed, fold))}
        for seed, fold in _folds(resolved, arm)
    ]


def lineage_audit_leaves(project: Project, study: str, domain: str, lineage: str) -> Leaves:
    """Return what the audit of one domain against one lineage reads."""
    resolved = project.studies[study]
    arm = _first_with(project, study, lineage)
    folds = [{"arm": "models", **step} for step in arm_lineages(project, study, arm)]
    domains = (*_learned_domains(resolved, arm), domain)
    return _audited(project, study, folds, domains, {"models": [domain]})


def audited_domains(project: Project, study: str, domain: str, lineage: str) -> tuple[str, ...]:
    """Return the domains that the audit of one domain against one lineage reads."""
    resolved = project.studies[study]
    arm = _first_with(project, study, lineage)
    return tuple(dict.fromkeys((*_learned_domains(resolved, arm), domain)))


def study_audit_leaves(project: Project, study: str) -> Leaves:
    """Return what the audit of a study reads: who learned from what, and who is who."""
    resolved = project.studies[study]
    folds = [
        {"arm": arm, **step} for arm in resolved.arms for step in arm_lineages(project, study, arm)
    ]
    judged = {arm: list(resolved.judged_on(arm)) for arm in resolved.arms}
    return _audited(project, study, folds, resolved.domains, judged)


def _first_with(project: Project, study: str, lineage: str) -> str:
    arms = project.studies[study].arms
    return next(arm for arm in arms if lineage_name(project, study, arm) == lineage)


def _audited(
    project: Project,
    study: str,
    lineages: list[Leaves],
    domains: Iterable[str],
    judged: Mapping[str, list[str]],
) -> Leaves:
    """Return what an audit of some lineages on some domains reads: who is who, and the limits."""
    resolved = project.studies[study]
    names = tuple(dict.fromkeys(domains))
    datasets = dict.fromkeys(d for name in names for d in resolved.domains[name].datasets)
    groups = same_patient_groups(resolved.domains)
    return {
        "lineages": lineages,
        "domains": {name: _audited_domain(resolved, name) for name in names},
        "judged": dict(judged),
        "same_patients": [
            own for group in groups if len(own := [name for name in group if name in names]) > 1
        ],
        "adapters": {name: project.datasets[name].adapter for name in datasets},
        "maximum_lost_share": {
            name: project.datasets[name].maximum_lost_share for name in datasets
        },
    }


def _audited_domain(study: ResolvedStudy, name: str) -> Leaves:
    origin = split_origin(study.domains, name)
    record = {"datasets": list(study.domains[name].datasets), "leak": leak_of(study, name)}
    return record if origin == name else {**record, "split_of": origin}


def _learned_domains(study: ResolvedStudy, arm: str) -> tuple[str, ...]:
    return tuple(step.domain for run in study.runs(arm) for step in study.learned_from(run))


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
    settings = plain(record, NOT_IN_A_KEY)
    if "training" in settings:
        training = settings["training"]
        settings["training"] = {k: training[k] for k in training if k not in NOT_OF_TRAINING}
    if record.parent is not None:
        start = settings["initialisation"]
        settings["initialisation"] = {k: v for k, v in start.items() if k not in {"arm", "fold"}}
    backbone = backbone_of(project, record)
    task = resolved.domains[resolved.own_domain(arm)].task
    leaves = {"arm": settings, "task": task}
    return leaves if backbone is None else {**leaves, "backbone": backbone}


def training_settings(project: Project, study: str, run: Run) -> Leaves:
    """Return everything that training a run is told, in its key or not."""
    resolved = project.studies[study]
    record = resolved.arms[run.arm]
    backbone = getattr(record, "backbone", None)
    return {
        "arm": plain(record),
        "backbone": None if backbone is None else whole_backbone(project, backbone),
        "task": resolved.domains[resolved.own_domain(run.arm)].task,
        "lineage": lineage_leaves(project, study, run),
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


def backbone_of(project: Project, arm: ArmBase) -> Leaves | None:
    """Return the leaves of an arm's backbone, None for a kind without one."""
    name = getattr(arm, "backbone", None)
    return None if name is None else backbone_leaves(project, name)


def judged_domains(study: ResolvedStudy) -> tuple[JudgedDomain, ...]:
    """Return the domains that results are reported for."""
    wanted = study.record.judged_on or tuple(study.domains)
    same = {
        name: tuple(other for other in group if other != name)
        for group in same_patient_groups(study.domains)
        for name in group
    }
    return tuple(
        JudgedDomain(
            name=name,
            unit=domain.unit,
            combine=domain.combine,
            subsets=_judged_subsets(study, name),
            leak=leak_of(study, name),
            same_patients_as=same.get(name),
        )
        for name, domain in study.domains.items()
        if name in wanted or name in {study.own_domain(arm) for arm in study.arms}
    )


def calibration_settings(project: Project, study: str) -> CalibrationSettings:
    """Return what the calibration table of a study is made with."""
    record = project.studies[study].record
    return CalibrationSettings(
        **_judged(project, study),
        calibration=record.calibration,
        specificity=record.specificity,
        bootstrap_resamples=record.bootstrap_resamples,
        budget_sizes=record.budget_sizes,
    )


def evaluation_settings(project: Project, study: str) -> EvaluationSettings:
    """Return what the metric table of a study is made with."""
    resolved = project.studies[study]
    references = {pair.reference for family in resolved.families for pair in family.pairs}
    return EvaluationSettings(
        **_judged(project, study),
        subgroups=resolved.record.subgroups,
        specificity=resolved.record.specificity,
        bootstrap_resamples=resolved.record.bootstrap_resamples,
        references=tuple(arm for arm in resolved.arms if arm in references),
    )


def comparison_settings(project: Project, study: str) -> ComparisonSettings:
    """Return what the tables of comparisons of a study are made with."""
    return ComparisonSettings(**_judged(project, study), families=project.studies[study].families)


def report_settings(project: Project, study: str) -> ReportSettings:
    """Return what the report of a study prints beside the numbers."""
    resolved = project.studies[study]
    record = resolved.record
    return ReportSettings(
        **_judged(project, study),
        title=record.title,
        question=record.question,
        datasets=tuple(
            DescribedDataset(
                name=name,
                title=project.datasets[name].title,
                licence=project.datasets[name].licence,
                synthetic=project.datasets[name].twin is not None,
            )
            for name in resolved.datasets
        ),
        described_domains=tuple(
            DescribedDomain(
                name=name,
                datasets=domain.datasets,
                task=domain.task,
                split=None if domain.split is None else _printed(plain(domain.split)),
            )
            for name, domain in resolved.domains.items()
        ),
        described_arms=tuple(
            DescribedArm(name=name, kind=arm.kind, settings=plain(arm))
            for name, arm in resolved.arms.items()
        ),
        families=resolved.families,
        subgroups=record.subgroups,
        calibration=record.calibration,
        specificity=record.specificity,
        bootstrap_resamples=record.bootstrap_resamples,
    )


def split_name(study: ResolvedStudy, domain: str) -> str | None:
    """Return the method of a domain's split, None without one."""
    split = study.domains[domain].split
    return None if split is None else split.method


def leak_of(study: ResolvedStudy, domain: str) -> Literal["by_row", "by_patch"] | None:
    """Return the name of the leak that a domain's split declares, None without one."""
    return study.domains[domain].leak


def _judged(project: Project, study: str) -> Leaves:
    """Return the fields of `JudgedStudy`."""
    resolved = project.studies[study]
    arms = tuple(
        JudgedArm(name=arm, own_domain=resolved.own_domain(arm), judged_on=resolved.judged_on(arm))
        for arm in resolved.arms
    )
    shared = JudgedStudy(
        study=study,
        domains=judged_domains(resolved),
        arms=arms,
        seeds=tuple(sorted(resolved.record.seeds)),
    )
    return {name: getattr(shared, name) for name in JudgedStudy.model_fields}


def _judged_subsets(study: ResolvedStudy, domain: str) -> tuple[JudgedSubset, ...]:
    """Return the subsets of a domain that are reported, the leading one first."""
    split = study.domains[domain].split
    if split is None:
        return ("target",)
    if study.folds(domain) == 1:
        return ("test",)
    held_out = float(getattr(split, "test_share", 0.0)) > 0.0
    return ("out_of_fold", "test") if held_out else ("out_of_fold",)


def _folds(study: ResolvedStudy, arm: str) -> list[tuple[int, int]]:
    """Return (seed, fold) of the runs of an arm's first seed: seeds share their data."""
    first = study.record.seeds[0]
    return [(run.seed, run.fold) for run in study.runs(arm) if run.seed == first]


def _ancestry(study: ResolvedStudy, arm: str) -> tuple[str, ...]:
    parent = study.arms[arm].parent
    return (arm,) if parent is None else (*_ancestry(study, parent.arm), arm)


def _third_party(project: Project, arm: ArmBase) -> tuple[str, ...]:
    """Return the archives that the third party's weights of an arm were trained on."""
    name = getattr(arm, "backbone", None)
    if arm.initialisation != "pretrained" or name is None:
        return ()
    backbone: Backbone = project.backbones[name]
    return (backbone.weights.trained_on or ()) if backbone.weights else ()


def _printed(values: Leaves) -> dict[str, str]:
    """Return settings as texts: nested ones joined, lists with commas."""
    texts: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            texts |= {f"{key} of {inner}": f"{v}" for inner, v in value.items()}
        elif isinstance(value, list):
            texts[key] = ", ".join(map(str, value))
        else:
            texts[key] = str(value)
    return texts
