from pathlib import Path

from mammoshift.configuration.judged import ComparisonSettings
from mammoshift.contracts.results import write_comparisons
from mammoshift.evaluation.combine import combine_seeds
from mammoshift.evaluation.load import load_grid
from mammoshift.evaluation.rows import ComparisonRow, as_table
from mammoshift.execution.job import running

with running(snakemake):
    settings = ComparisonSettings.model_validate(snakemake.params.settings)
    files = snakemake.input
    grid = load_grid(settings, list(map(Path, files.cases)), list(map(Path, files.predictions)))
    rows = combine_seeds(settings, grid)
    write_comparisons(as_table(rows, ComparisonRow), Path(snakemake.output[0]))
