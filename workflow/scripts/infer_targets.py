from pathlib import Path

from mammoshift.inference.run import ScoringJob, run_scoring
from mammoshift.provenance.job import job_log

with job_log(snakemake.log[0]):
    settings = snakemake.params.scoring
    indexes = [Path(path) for path in snakemake.input.pixels if path.endswith("index.parquet")]
    pixels = {
        dataset: [path.parent for path in indexes if path.parts[-4] == dataset]
        for dataset in settings["datasets"]
    }
    model = Path(snakemake.input.model).parent
    job = ScoringJob(
        settings=settings,
        code=snakemake.params.code,
        model=model,
        split=Path(snakemake.input.split),
        manifests=tuple(Path(path) for path in snakemake.input.manifests),
        pixels=pixels,
        kept=model / "kept_predictions",
        threads=snakemake.threads,
    )
    outputs = dict(zip(settings["datasets"], map(Path, snakemake.output), strict=True))
    run_scoring(job, outputs)
