from pathlib import Path

from mammoshift.archives.adapter import ingest_archive
from mammoshift.archives.counts import counts_of, differences, warnings
from mammoshift.archives.ingest import check_receipt, remember_archive, write_ingested
from mammoshift.archives.memory import NAME, ContentMemory
from mammoshift.archives.registry import load_adapter
from mammoshift.configuration.dataset import Dataset
from mammoshift.execution.job import running

with running(snakemake):
    root = Path(snakemake.params.root)
    dataset = Dataset.model_validate(snakemake.params.record)
    manifest = Path(snakemake.output.manifest)
    if snakemake.input:
        check_receipt(Path(snakemake.input[0]), root)
    memory = ContentMemory.read(manifest.with_name(NAME))
    try:
        result = ingest_archive(snakemake.wildcards.dataset, dataset, root, memory)
        if not snakemake.input:
            remember_archive(memory, root, dataset.options.links_may_leave)
    finally:
        memory.save(manifest.with_name(NAME))
    write_ingested(
        result,
        manifest=manifest,
        annotations=Path(snakemake.output.annotations),
        excluded=Path(snakemake.output.excluded),
        files=Path(snakemake.output.files),
    )
    for warning in warnings(result):
        print(f"warning: {warning}")
    published = load_adapter(dataset.adapter).published_counts(dataset.options)
    if published and not snakemake.input:
        for difference in differences(counts_of(result), published):
            print(f"warning: {difference}")
