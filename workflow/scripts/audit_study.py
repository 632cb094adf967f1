from pathlib import Path

from mammoshift.cases.findings import write_audit
from mammoshift.cases.study_audit import (
    audit_study_files,
    case_files,
    lineages_of,
    stored_datasets,
    taken_splits,
)
from mammoshift.execution.job import running

with running(snakemake):
    audit = snakemake.params.audit
    leaks = {name: domain["leak"] for name, domain in audit["domains"].items() if domain["leak"]}
    report = audit_study_files(
        lineages_of(audit["lineages"]),
        case_files(snakemake.input.cases),
        stored_datasets(snakemake.input.stores, snakemake.input.files, audit["maximum_lost_share"]),
        same_patients=audit["same_patients"],
        adapters=audit["adapters"],
        splits=taken_splits(audit["domains"]),
        leaks=leaks,
        judged_on=audit["judged"],
    )
    write_audit(report, Path(snakemake.output.summary), Path(snakemake.output.findings))
