from pathlib import Path

from mammoshift.pixelstore.writer import write_shard

from mammoshift.configuration.model import InputRecipe
from mammoshift.provenance.job import job_log

with job_log(snakemake.log[0]):
    write_shard(
        Path(snakemake.input[0]),
        Path(snakemake.params.root),
        InputRecipe.model_validate(snakemake.params.recipe),
        destination=Path(snakemake.output.pixels).parent,
        dataset=snakemake.wildcards.dataset,
        workers=snakemake.threads,
    )
