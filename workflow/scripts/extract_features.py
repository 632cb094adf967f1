from pathlib import Path

from mammoshift.execution.job import job_log
from mammoshift.radiomics.extract import extract_features

with job_log(snakemake.log[0]):
    extract_features(
        Path(snakemake.input[0]),
        snakemake.wildcards.features,
        snakemake.params.code,
        Path(snakemake.output[0]),
    )
