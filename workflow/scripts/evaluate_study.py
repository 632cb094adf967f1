from pathlib import Path

from mammoshift.configuration.judged import EvaluationSettings
from mammoshift.contracts.results import write_metrics
from mammoshift.evaluation.evaluate import evaluate_study
from mammoshift.evaluation.load import load_grid
from mammoshift.evaluation.rows import MetricRow, as_table
from mammoshift.execution.job import running

with running(snakemake):
    settings = EvaluationSettings.model_validate(snakemake.params.settings)
    files = snakemake.input
    grid = load_grid(settings, list(map(Path, files.cases)), list(map(Path, files.predictions)))
    rows = evaluate_study(settings, grid)
    write_metrics(as_table(rows, MetricRow), Path(snakemake.output[0]))
