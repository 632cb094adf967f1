"""Datasets that read one archive hold the same patients, whether a study says so or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from mammoshift.configuration.dataset import Dataset
from mammoshift.configuration.resolved import ResolvedStudy
from mammoshift.errors import ConfigurationError


def with_shared_archives(
    study: ResolvedStudy, datasets: Mapping[str, Dataset], file: str
) -> ResolvedStudy:
    """Return a study whose domains name all others of the same archives in `same_patients_as`.

    CDD-CESM's low-energy and subtracted images are two datasets of one folder, as are two choices
    of any archive: who is in both is audited, and compared in pairs, as where it is declared.

    Raises
    ------
    ConfigurationError
        If one domain has several datasets of one archive, whose patients it would take for
        different ones.
    """
    archives = {name: _archive(datasets[name]) for name in study.datasets}
    read = {
        name: {archives[dataset]: dataset for dataset in domain.datasets}
        for name, domain in study.domains.items()
    }
    for name, domain in study.domains.items():
        if len(read[name]) < len(domain.datasets):
            raise ConfigurationError(
                f"{file}: domains.{name}.datasets: {' and '.join(domain.datasets)} read one "
                "archive, whose patients would be taken for different ones; make one dataset of "
                "them, or a domain of each"
            )
    domains = {}
    for name, domain in study.domains.items():
        others = [
            other
            for other in study.domains
            if other not in (name, *domain.same_patients_as)
            and any(
                archive in read[other] and read[other][archive] != dataset
                for archive, dataset in read[name].items()
            )
        ]
        same = (*domain.same_patients_as, *others)
        domains[name] = domain.model_copy(update={"same_patients_as": same}) if others else domain
    return replace(study, domains=domains)


def _archive(dataset: Dataset) -> tuple[str, ...]:
    """Return what tells an archive from others: its folder, or what a twin's patients hang on."""
    if dataset.twin is None:
        return ("root", dataset.adapter, str(PurePosixPath(dataset.root or "")))
    return ("twin", dataset.layout, str(dataset.twin.seed))
