from pathlib import Path

from mammoshift.contracts.run import Run
from mammoshift.execution.job import running
from mammoshift.kinds._inputs import InputFiles
from mammoshift.pixelstore.receipt import stores_by_dataset
from mammoshift.search.run import TrialJob, run_trial
from mammoshift.training.run import TrainingJob

with running(snakemake):
    result, wildcards = Path(snakemake.output[0]), snakemake.wildcards
    starts = [Path(path) for path in [snakemake.input.get("start", [])] if path]
    run_trial(
        TrialJob(
            number=int(wildcards.trial),
            training=TrainingJob(
                run=Run(wildcards.arm, snakemake.params.seed, int(wildcards.fold)),
                settings=snakemake.params.settings,
                leaves=snakemake.params.search,
                code=snakemake.params.code,
                cases=Path(snakemake.input.cases),
                inputs=InputFiles(stores_by_dataset(snakemake.input.get("stores", []))),
                start=starts[0] if starts else None,
                folder=result.with_suffix(""),
            ),
            earlier=[Path(path) for path in snakemake.input.get("earlier", [])],
            result=result,
        )
    )
