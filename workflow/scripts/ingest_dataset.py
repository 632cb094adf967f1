from pathlib import Path

from mammoshift.archives.adapter import ingest_archive
from mammoshift.archives.ingest import check_receipt, write_ingested
from mammoshift.configuration.dataset import Dataset
from mammoshift.execution.job import job_log

with job_log(snakemake.log[0]):
    root = Path(snakemake.params.root)
    if snakemake.input:
        check_receipt(Path(snakemake.input[0]), root)
    dataset = Dataset.model_validate(snakemake.params.record)
    result = ingest_archive(snakemake.wildcards.dataset, dataset, root)
    write_ingested(
        result,
        manifest=Path(snakemake.output.manifest),
        annotations=Path(snakemake.output.annotations),
        excluded=Path(snakemake.output.excluded),
        files=Path(snakemake.output.files),
    )
