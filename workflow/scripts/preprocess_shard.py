from pathlib import Path

import pandas as pd

from mammoshift.configuration.model import InputRecipe
from mammoshift.pixelstore.writer import write_shard
from mammoshift.provenance.job import job_log

with job_log(snakemake.log[0]):
    report = write_shard(
        pd.read_parquet(snakemake.input[0]),
        Path(snakemake.params.root),
        InputRecipe.model_validate(snakemake.params.recipe),
        destination=Path(snakemake.output.pixels).parent,
        workers=snakemake.threads,
    )
    print(f"{report.images} images stored, {len(report.exclusions)} unreadable")
