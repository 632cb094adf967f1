from pathlib import Path

from mammoshift.execution.job import job_log
from mammoshift.provenance.reuse import keep, restore, result_key

with job_log(snakemake.log[0]):
    files = Path(snakemake.input[0])
    outputs = {Path(path).name: Path(path) for path in snakemake.output}
    folder = Path(snakemake.output.pixels).parent
    recipe = snakemake.params.recipe
    key = result_key({"recipe": recipe, "code": snakemake.params.code}, [files])
    if restore(folder / "kept", key, outputs):
        print(f"restored the finished shard {key}")
    else:
        import pandas as pd

        from mammoshift.configuration.model import InputRecipe
        from mammoshift.pixelstore.writer import write_shard

        report = write_shard(
            pd.read_parquet(files),
            Path(snakemake.params.root),
            InputRecipe.model_validate(recipe),
            destination=folder,
            workers=snakemake.threads,
        )
        print(f"{report.images} images stored, {len(report.exclusions)} unreadable")
        keep(folder / "kept", key, outputs)
