from pathlib import Path

from mammoshift.archives.adapter import ingest_archive
from mammoshift.archives.ingest import check_receipt, write_ingested
from mammoshift.configuration.dataset import Dataset
from mammoshift.execution.job import job_log

with job_log(snakemake.log[0]):
    root = Path(snakemake.params.root)
    if snakemake.input:
        check_receipt(Path(snakemake.input[0]), root)
    dataset = Dataset.model_validate(snakemake.params.dataset)
    result = ingest_archive(snakemake.params.name, dataset, root)
    write_ingested(
        result,
        manifest=Path(snakemake.output.manifest),
        excluded=Path(snakemake.output.excluded),
        shards=[Path(path) for path in snakemake.output.shards],
    )
