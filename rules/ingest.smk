"""
From a raw archive to its manifest.

Required input: the archive, or the receipt of its twin.
Outputs: the manifest (one row for each usable image), the table of what was left out and why,
and for each shard the list of files that preprocessing reads.

After a new image Snakemake starts the job of every shard, but only those whose list of files
changed do any work; the others restore what they kept.
"""

for dataset in PROJECT.used_datasets:

    rule:
        name:
            f"ingest_{dataset}"
        input:
            expand("<results>/archives/{dataset}.json", dataset=dataset)
            if PROJECT.datasets[dataset].twin
            else [],
        output:
            manifest=f"<results>/datasets/{dataset}/manifest.parquet",
            excluded=f"<results>/datasets/{dataset}/exclusions.csv",
            shards=expand(
                "<results>/datasets/{dataset}/shards/{shard}.parquet",
                dataset=dataset,
                shard=range(PROJECT.datasets[dataset].shards),
            ),
        log:
            f"<logs>/ingest/{dataset}.log",
        conda:
            ENVIRONMENT
        params:
            name=dataset,
            dataset=leaves.ingest_leaves(PROJECT, dataset),
            state=lambda wildcards, dataset=dataset: archive_state(PROJECT, dataset),
            code=code("ingest_dataset.py"),
            # Uses `output`, so that Snakemake does not follow it: where files lie is no result.
            root=lambda wildcards, output, dataset=dataset: archive_root(dataset),
        script:
            "../workflow/scripts/ingest_dataset.py"
