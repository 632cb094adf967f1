from pathlib import Path

from mammoshift.cases.findings import write_audit
from mammoshift.cases.study_audit import audit_domain_files, stored_datasets
from mammoshift.execution.job import running

with running(snakemake):
    audit = snakemake.params.audit
    datasets = stored_datasets(
        snakemake.input.stores, snakemake.input.files, audit["maximum_lost_share"]
    )
    report = audit_domain_files(
        snakemake.wildcards.domain, Path(snakemake.input.cases), datasets, audit["leak"]
    )
    write_audit(report, Path(snakemake.output.summary), Path(snakemake.output.findings))
