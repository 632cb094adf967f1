from pathlib import Path

from mammoshift.cases.findings import write_audit
from mammoshift.cases.study_audit import (
    audit_prediction_files,
    case_files,
    lineages_of,
    taken_splits,
)
from mammoshift.execution.job import running

with running(snakemake):
    audit = snakemake.params.audit
    report = audit_prediction_files(
        lineages_of(audit["lineages"]),
        case_files(snakemake.input.cases),
        [Path(path) for path in snakemake.input.predictions],
        taken_splits(audit["domains"]),
        audit.get("chosen_on"),
        records=[Path(path) for path in snakemake.input.records],
        own_domains=audit["own_domains"],
    )
    write_audit(report, Path(snakemake.output[0]))
