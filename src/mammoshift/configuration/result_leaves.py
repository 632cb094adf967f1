"""The leaves that the statistics and the report read, as the typed settings of each stage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from mammoshift.configuration.domain import same_patient_groups, split_origin
from mammoshift.configuration.judged import (
    CalibrationSettings,
    CardSettings,
    ComparisonSettings,
    DescribedArm,
    DescribedDataset,
    DescribedDomain,
    EvaluationSettings,
    JudgedArm,
    JudgedDomain,
    JudgedStudy,
    JudgedSubset,
    LossSettings,
    ReportSettings,
)
from mammoshift.configuration.leaves import Leaves, array_hashes, leak_of, plain, settings_of
from mammoshift.configuration.load import Project
from mammoshift.configuration.model import InputRecipe
from mammoshift.configuration.recipes import archive_hash
from mammoshift.configuration.resolved import ResolvedStudy


def judged_domains(study: ResolvedStudy) -> tuple[JudgedDomain, ...]:
    """Return the domains that results are reported for."""
    own = (study.own_domain(arm) for arm in study.arms)
    wanted = {*(study.record.judged_on or study.domains), *own}
    several_tasks = len({study.domains[name].task for name in wanted}) > 1
    same = {
        name: tuple(other for other in study.domains if other in group and other != name)
        for group in _same_patients(study)
        for name in group
    }
    return tuple(
        JudgedDomain(
            name=name,
            task=domain.task if several_tasks else None,
            unit=domain.unit,
            combine=domain.combine,
            subsets=_judged_subsets(study, name),
            leak=leak_of(study, name),
            same_patients_as=same.get(name),
            shares_datasets_with=None if name in same else _shares_datasets(study, name),
        )
        for name, domain in study.domains.items()
        if name in wanted
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
    pairs = (pair for family in resolved.families for pair in family.on_one_domain)
    references = {pair.reference for pair in pairs}
    return EvaluationSettings(
        **_judged(project, study),
        subgroups=resolved.record.subgroups,
        specificity=resolved.record.specificity,
        bootstrap_resamples=resolved.record.bootstrap_resamples,
        references=tuple(arm for arm in resolved.arms if arm in references),
        case_mix=resolved.record.case_mix,
    )


def comparison_settings(project: Project, study: str) -> ComparisonSettings:
    """Return what the table of comparisons of a study that combines seeds is made with."""
    resolved = project.studies[study]
    return ComparisonSettings(
        **_judged(project, study), families=resolved.families, margins=resolved.record.margins
    )


def loss_settings(project: Project, study: str) -> LossSettings:
    """Return what the table of all other comparisons of a study, with its losses, is made with."""
    record = project.studies[study].record
    return LossSettings(
        **dict(comparison_settings(project, study)),
        subgroups=record.subgroups,
        specificity=record.specificity,
        bootstrap_resamples=record.bootstrap_resamples,
        case_mix=record.case_mix,
    )


@cache
def card_settings(project: Project, study: str, arm: str) -> CardSettings:
    """Return what the cards of an arm's models are made with."""
    resolved = project.studies[study]
    own = resolved.own_domain(arm)
    judged = _judged(project, study)
    steps = resolved.learned_from(resolved.runs(arm)[0])
    learned = dict.fromkeys(d for step in steps for d in resolved.domains[step.domain].datasets)
    return CardSettings(
        study=study,
        domains=tuple(
            domain.model_copy(update={"task": None})
            for domain in judged["domains"]
            if domain.name == own
        ),
        arms=(JudgedArm(name=arm, own_domain=own, judged_on=(own,)),),
        seeds=judged["seeds"],
        task=resolved.domains[own].task,
        label=resolved.arms[arm].label,
        specificity=resolved.record.specificity,
        datasets=tuple(_described(project, name) for name in learned),
    )


def gallery_leaves(project: Project, study: str, arm: str) -> Leaves:
    """Return what the gallery of an arm is drawn from."""
    resolved = project.studies[study]
    gallery = resolved.record.gallery
    assert gallery is not None
    recipes = gallery_recipes(project, study, arm)
    return {
        "per_domain": gallery.per_domain,
        "recipes": {dataset: plain(recipe) for dataset, recipe in recipes.items()},
        "runs": [
            {"seed": run.seed, "fold": run.fold, "model": resolved.model_of(run).path}
            for run in sorted(resolved.runs(arm))
        ],
    }


def gallery_recipes(project: Project, study: str, arm: str) -> dict[str, InputRecipe]:
    """Return how the images of each dataset in an arm's gallery become its input."""
    return {
        dataset: project.of_dataset(dataset, recipe)
        for domain in gallery_domains(project, study, arm)
        if (recipe := project.recipe(study, arm, domain)) is not None
        for dataset in project.studies[study].domains[domain].datasets
        if project.datasets[dataset].may_be_shown
    }


def gallery_domains(project: Project, study: str, arm: str) -> tuple[str, ...]:
    """Return the domains in an arm's gallery: judged ones of whole images that may be shown."""
    resolved = project.studies[study]
    judged = {domain.name for domain in judged_domains(resolved)}
    return tuple(
        name
        for name in resolved.judged_on(arm)
        if name in judged
        and resolved.domains[name].patches is None
        and any(
            project.datasets[dataset].may_be_shown for dataset in resolved.domains[name].datasets
        )
    )


def report_settings(project: Project, study: str) -> ReportSettings:
    """Return what the report of a study prints beside the numbers."""
    resolved = project.studies[study]
    record = resolved.record
    real = all(project.datasets[name].twin is None for name in resolved.datasets)
    return ReportSettings(
        **_judged(project, study),
        title=record.title,
        question=record.question,
        datasets=tuple(
            _described(project, name).model_copy(
                update={
                    "archive_hash": archive_hash(project.datasets[name]),
                    "array_hashes": tuple(array_hashes(project, study, [name])[name]),
                }
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
            DescribedArm(name=name, kind=arm.kind, settings=settings_of(arm))
            for name, arm in resolved.arms.items()
        ),
        families=resolved.families,
        subgroups=record.subgroups,
        calibration=record.calibration,
        specificity=record.specificity,
        bootstrap_resamples=record.bootstrap_resamples,
        margins=record.margins,
        case_mix=record.case_mix,
        published=project.published.get(study) if real else None,
    )


@cache
def _judged(project: Project, study: str) -> Mapping[str, Any]:
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


def _described(project: Project, dataset: str) -> DescribedDataset:
    record = project.datasets[dataset]
    return DescribedDataset(
        name=dataset,
        title=record.title,
        licence=record.licence,
        synthetic=record.twin is not None,
    )


def _judged_subsets(study: ResolvedStudy, domain: str) -> tuple[JudgedSubset, ...]:
    """Return the subsets of a domain that are reported, the leading one first."""
    if study.domains[domain].split is None:
        return ("target",)
    if study.folds(domain) == 1:
        return ("test",)
    origin = study.domains[split_origin(study.domains, domain)].split
    # Patients that a taken split does not know are test patients of every fold, if it says so.
    strangers = getattr(study.domains[domain].split, "unknown", None) == "test"
    held_out = strangers or float(getattr(origin, "test_share", 0.0)) > 0.0
    return ("out_of_fold", "test") if held_out else ("out_of_fold",)


def _same_patients(study: ResolvedStudy) -> tuple[frozenset[str], ...]:
    """Return the groups of domains that are declared to hold the same patients.

    A domain that shares a dataset with one of a group belongs to it, since patients of a group are
    told by the names that the archives give them, and of other domains by their dataset as well.
    """
    groups = [frozenset(group) for group in same_patient_groups(study.domains)]
    for name in study.domains:
        near = {name, *(_shares_datasets(study, name) or ())}
        touched = [group for group in groups if group & near]
        if touched:
            groups = [group for group in groups if group not in touched]
            groups.append(frozenset(near).union(*touched))
    return tuple(groups)


def _shares_datasets(study: ResolvedStudy, domain: str) -> tuple[str, ...] | None:
    """Return the other domains with images of the same datasets, None without any."""
    own = set(study.domains[domain].datasets)
    found = tuple(
        name
        for name, other in study.domains.items()
        if name != domain and own & set(other.datasets)
    )
    return found or None


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
