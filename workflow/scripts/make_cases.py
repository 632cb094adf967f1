from pathlib import Path

from mammoshift.cases.make import make_cases
from mammoshift.configuration.domain import DomainSettings
from mammoshift.contracts.annotations import annotations_by_dataset
from mammoshift.contracts.cases import cases_by_domain, write_cases
from mammoshift.contracts.manifest import read_manifest
from mammoshift.execution.job import running
from mammoshift.pixelstore.reader import items_by_dataset

with running(snakemake):
    domain = DomainSettings.model_validate(snakemake.params.cases["domain"])
    tables = [read_manifest(Path(path)) for path in snakemake.input.manifests]
    manifests = {str(table["dataset"].iloc[0]): table for table in tables}
    patches = domain.patches is not None
    cases, notes = make_cases(
        snakemake.wildcards.domain,
        domain,
        manifests,
        annotations_by_dataset(snakemake.input.annotations, domain.datasets),
        items_by_dataset(snakemake.input.stores) if patches else None,
        cases_by_domain(snakemake.input.get("others", [])),
    )
    for note in notes:
        print(note)
    write_cases(cases, Path(snakemake.output[0]))
