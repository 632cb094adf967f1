"""What is refused of arms that read the scores of others, and of those that score patients."""

from __future__ import annotations

from mammoshift.configuration.arms import key_of_reads
from mammoshift.configuration.domain import same_patient_groups
from mammoshift.configuration.resolved import ResolvedStudy
from mammoshift.errors import ConfigurationError


def check_readers(study: ResolvedStudy, where: str) -> None:
    """Check the arms of a study that read others or score patients.

    Raises
    ------
    ConfigurationError
        If an arm that is read has learned from patients of the domain that its reader learns
        from, or an arm that scores patients is trained or judged where they are not the unit.
    """
    for name in study.arms:
        _check_unit(study, name, f"{where}: arms.{name}")
        for read in study.arms[name].reads:
            key = key_of_reads(study.arms[name])
            _check_read(study, name, read, f"{where}: arms.{name}.{key}")


def _check_unit(study: ResolvedStudy, arm: str, key: str) -> None:
    unit = study.arms[arm].unit
    for domain in study.judged_on(arm) if unit is not None else ():
        if study.domains[domain].unit != unit:
            at = "train_on" if domain == study.own_domain(arm) else "judged_on"
            raise ConfigurationError(
                f"{key}.{at}: the arm scores a {unit} as one, and the unit of the domain {domain} "
                f"is the {study.domains[domain].unit}; name a domain with unit: {unit}"
            )


def _check_read(study: ResolvedStudy, arm: str, read: str, key: str) -> None:
    own = study.own_domain(arm)
    for step in (step for run in study.runs(read) for step in study.learned_from(run)):
        shared = _shared_patients(study, step.domain, own)
        if shared:
            raise ConfigurationError(
                f"{key}: {read} learned from the domain {step.domain}, and {shared} the domain "
                f"{own}, which {arm} learns from: its scores there are of patients that it has "
                "seen; read an arm that learned from other patients"
            )


def _shared_patients(study: ResolvedStudy, learned: str, own: str) -> str:
    """Return why two domains may hold the same patients, empty where they are declared apart."""
    if learned == own:
        return "that is"
    common = set(study.domains[learned].datasets) & set(study.domains[own].datasets)
    if common:
        return f"the dataset {sorted(common)[0]} of it is also in"
    together = any({learned, own} <= set(group) for group in same_patient_groups(study.domains))
    return "it holds patients of" if together else ""
