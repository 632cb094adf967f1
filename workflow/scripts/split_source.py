from pathlib import Path

from mammoshift.splits.patient_split import split_source

from mammoshift.configuration.study import Source
from mammoshift.contracts.manifest import read_manifest
from mammoshift.contracts.split import write_split
from mammoshift.provenance.job import job_log

with job_log(snakemake.log[0]):
    manifest = read_manifest(Path(snakemake.input[0]))
    split = split_source(manifest, Source.model_validate(snakemake.params.source))
    write_split(split, Path(snakemake.output[0]))
