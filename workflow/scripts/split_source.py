from pathlib import Path

from mammoshift.cases.patient_split import split_patients
from mammoshift.cases.task import task_labels
from mammoshift.configuration.study import Source
from mammoshift.contracts.manifest import read_manifest
from mammoshift.contracts.split import write_split
from mammoshift.execution.job import job_log

with job_log(snakemake.log[0]):
    source = Source.model_validate(snakemake.params.source)
    manifest = read_manifest(Path(snakemake.input[0]))
    result = split_patients(
        manifest,
        task_labels(manifest, source.task),
        source.shares.model_dump(),
        source.split_seed,
        method=source.split,
    )
    print(f"{len(result.images_without_patient)} images without a patient")
    print(f"{len(result.patients_moved_to_train)} patients in both official parts: now in train")
    write_split(result.split, Path(snakemake.output[0]))
