from pathlib import Path

from mammoshift.contracts.results import write_comparisons
from mammoshift.evaluation.compare import compare_study
from mammoshift.evaluation.grid import load_grid
from mammoshift.evaluation.rows import ComparisonRow, as_table
from mammoshift.execution.job import job_log

with job_log(snakemake.log[0]):
    study = snakemake.params.study
    rows = compare_study(study, load_grid(study, snakemake.input))
    write_comparisons(as_table(rows, ComparisonRow), Path(snakemake.output[0]))
