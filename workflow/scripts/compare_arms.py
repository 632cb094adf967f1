from pathlib import Path

from mammoshift.configuration.judged import LossSettings
from mammoshift.contracts.results import write_comparisons
from mammoshift.evaluation.compare import compare_study
from mammoshift.evaluation.load import load_grid
from mammoshift.evaluation.rows import ComparisonRow, as_table
from mammoshift.execution.job import running

with running(snakemake):
    settings = LossSettings.model_validate(snakemake.params.settings)
    files = snakemake.input
    grid = load_grid(settings, list(map(Path, files.cases)), list(map(Path, files.predictions)))
    rows = compare_study(settings, grid)
    write_comparisons(as_table(rows, ComparisonRow), Path(snakemake.output[0]))
