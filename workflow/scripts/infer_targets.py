import itertools
from pathlib import Path

from mammoshift.execution.job import job_log
from mammoshift.scoring.run import ScoringJob, run_scoring

with job_log(snakemake.log[0]):
    settings = snakemake.params.scoring
    indexes = [Path(path) for path in snakemake.input.pixels if path.endswith("index.parquet")]
    pixels = {
        dataset: [path.parent for path in indexes if path.parts[-4] == dataset]
        for dataset in settings["datasets"]
    }
    folders = [Path(path).parent for path in snakemake.input.models]
    job = ScoringJob(
        settings=settings,
        code=snakemake.params.code,
        models=dict(zip(settings["seeds"], folders, strict=True)),
        split=Path(snakemake.input.split),
        manifests=tuple(Path(path) for path in snakemake.input.manifests),
        pixels=pixels,
        threads=snakemake.threads,
    )
    tables = itertools.product(settings["datasets"], settings["seeds"])
    outputs = zip(tables, snakemake.output, strict=True)
    run_scoring(job, {(seed, dataset): Path(path) for (dataset, seed), path in outputs})
