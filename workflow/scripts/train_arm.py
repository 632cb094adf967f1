from pathlib import Path

from mammoshift.execution.job import job_log
from mammoshift.provenance.reuse import keep, restore, result_key

with job_log(snakemake.log[0]):
    outputs = {Path(path).name: Path(path) for path in snakemake.output}
    folder = Path(snakemake.output.model).parent
    indexes = [Path(path) for path in snakemake.input.pixels if path.endswith("index.parquet")]
    starts = [Path(path) for path in [snakemake.input.get("weights", [])] if path]
    records = [path.with_name("model.json") for path in starts]
    tables = [Path(snakemake.input.split), Path(snakemake.input.manifest)]
    settings = {"seed": int(snakemake.wildcards.seed), **snakemake.params.arm}
    made_from = [*tables, *indexes, *starts, *(path for path in records if path.is_file())]
    key = result_key({**settings, "code": snakemake.params.code}, made_from)
    if restore(folder / "kept", key, outputs):
        print(f"restored the finished training {key}")
    else:
        from mammoshift.training.run import TrainingJob, run_training

        run_training(
            TrainingJob(
                settings=settings,
                split=tables[0],
                manifest=tables[1],
                pixels=[path.parent for path in indexes],
                start=starts[0] if starts else None,
                run_folder=folder / "run",
                key=key,
                threads=snakemake.threads,
            ),
            folder,
        )
        keep(folder / "kept", key, outputs)
