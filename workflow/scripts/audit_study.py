from pathlib import Path

from mammoshift.cases.study_audit import AuditedDataset, audit_study, write_audit
from mammoshift.execution.job import job_log

with job_log(snakemake.log[0]):
    shards = [Path(path).parent for path in snakemake.input.indexes]
    settings = snakemake.params.datasets
    datasets = [
        AuditedDataset(
            name, Path(manifest), tuple(s for s in shards if s.parts[-3] == name), maximum
        )
        for name, manifest, maximum in zip(
            settings["datasets"],
            snakemake.input.manifests,
            settings["maximum_lost_share"],
            strict=True,
        )
    ]
    report = audit_study(Path(snakemake.input.split), datasets)
    write_audit(report, Path(snakemake.output.summary), Path(snakemake.output.findings))
