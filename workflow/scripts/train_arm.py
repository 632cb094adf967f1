import json
from pathlib import Path

from mammoshift.contracts.run import Run
from mammoshift.execution.job import running
from mammoshift.kinds._inputs import InputFiles
from mammoshift.pixelstore.receipt import stores_by_dataset
from mammoshift.provenance.reuse import Store
from mammoshift.training.run import TrainingJob, run_training

with running(snakemake):
    folder = Path(snakemake.output.model).parent
    chosen = snakemake.input.get("chosen", None)
    starts = [Path(path) for path in [snakemake.input.get("start", [])] if path]
    run_training(
        TrainingJob(
            run=Run.of_path(folder),
            settings=snakemake.params.settings,
            leaves=snakemake.params.arm,
            code=snakemake.params.code,
            cases=Path(snakemake.input.cases),
            inputs=InputFiles(
                stores_by_dataset(snakemake.input.get("stores", [])),
                features=list(map(Path, snakemake.input.get("features", []))),
                scores=list(map(Path, snakemake.input.get("scores", []))),
            ),
            start=starts[0] if starts else None,
            folder=folder,
            chosen=json.loads(Path(chosen).read_bytes()) if chosen else None,
            log=Path(snakemake.log[0]),
            store=Store.of(snakemake.params.store),
        )
    )
