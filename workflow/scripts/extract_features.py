from pathlib import Path

from mammoshift.execution.job import running
from mammoshift.radiomics.extract import extract_features

with running(snakemake):
    extract_features(
        Path(snakemake.input[0]),
        snakemake.wildcards.features,
        snakemake.params.code,
        Path(snakemake.output[0]),
    )
