from pathlib import Path

from mammoshift.cases.study_audit import audit_study_predictions, write_audit
from mammoshift.execution.job import job_log

with job_log(snakemake.log[0]):
    datasets = snakemake.params.datasets
    files = [Path(path) for path in snakemake.input.predictions]
    predictions = {
        dataset: [path for path in files if path.parent.name == dataset] for dataset in datasets
    }
    report = audit_study_predictions(Path(snakemake.input.split), datasets[0], predictions)
    write_audit(report, Path(snakemake.output[0]))
