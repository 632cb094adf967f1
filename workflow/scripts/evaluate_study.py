from pathlib import Path

from mammoshift.contracts.results import write_metrics
from mammoshift.evaluation.evaluate import evaluate_study
from mammoshift.evaluation.grid import load_grid
from mammoshift.evaluation.rows import MetricRow, as_table
from mammoshift.execution.job import job_log

with job_log(snakemake.log[0]):
    study = snakemake.params.study
    rows = evaluate_study(study, load_grid(study, snakemake.input))
    write_metrics(as_table(rows, MetricRow), Path(snakemake.output[0]))
