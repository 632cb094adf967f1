from pathlib import Path

from mammoshift.contracts.run import Run
from mammoshift.execution.job import running
from mammoshift.kinds._inputs import InputFiles
from mammoshift.pixelstore.receipt import stores_by_dataset
from mammoshift.provenance.reuse import Store
from mammoshift.scoring.run import ScoringJob, run_scoring

with running(snakemake):
    settings = snakemake.params.scoring
    folders = {Run.of_path(Path(path).parent): Path(path).parent for path in snakemake.input.models}
    models = {
        Run(settings["arm"], run["seed"], run["fold"]): folders[Run.of_path(Path(run["model"]))]
        for run in settings["runs"]
    }
    job = ScoringJob(
        settings=settings,
        code=snakemake.params.code,
        models=models,
        cases=Path(snakemake.input.cases),
        inputs=InputFiles(
            stores_by_dataset(snakemake.input.get("stores", [])),
            features=list(map(Path, snakemake.input.get("features", []))),
            scores=list(map(Path, snakemake.input.get("scores", []))),
        ),
        store=Store.of(snakemake.params.store),
    )
    run_scoring(job, Path(snakemake.output[0]))
