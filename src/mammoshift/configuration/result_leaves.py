"""The leaves that the statistics and the report read, as the typed settings of each stage."""

from __future__ import annotations

from collections.abc import Mapping

from mammoshift.configuration.domain import same_patient_groups
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
from mammoshift.configuration.leaves import Leaves, array_hashes, leak_of, plain
from mammoshift.configuration.load import Project
from mammoshift.configuration.recipes import archive_hash
from mammoshift.configuration.resolved import ResolvedStudy


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
                archive_hash=archive_hash(project.datasets[name]),
                array_hashes=tuple(array_hashes(project, study, [name])[name]),
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
