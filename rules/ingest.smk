"""
From a raw archive to its manifest.

Required input: the archive, or the receipt of its twin.
Outputs: the manifest (one row for each usable image), annotated regions, the table of what was
left out and why, and the list of files that preprocessing reads.
"""


rule ingest_dataset:
    input:
        twin_receipt,
    output:
        manifest="<results>/datasets/{dataset}/manifest.parquet",
        annotations="<results>/datasets/{dataset}/annotations.parquet",
        excluded="<results>/datasets/{dataset}/exclusions.csv",
        files="<results>/datasets/{dataset}/files.parquet",
    log:
        "<logs>/ingest/{dataset}.log",
    conda:
        ENVIRONMENT
    params:
        dataset=lambda wildcards: leaves.ingest_leaves(PROJECT, wildcards.dataset),
        state=lambda wildcards: archive_state(PROJECT, wildcards.dataset),
        code=code("ingest_dataset.py", adapter_module),
        # Uses `output`, so that Snakemake does not follow it: where files lie is no result.
        root=lambda wildcards, output: archive_root(wildcards.dataset),
        record=lambda wildcards, output: leaves.whole_dataset(PROJECT, wildcards.dataset),
    script:
        "../workflow/scripts/ingest_dataset.py"
