"""
From raw images to arrays of fixed size.

Required input: the file list of one shard of a dataset.
Outputs: the shard's arrays, their index with hashes, and what could not be read.
"""


rule preprocess_shard:
    input:
        "<results>/datasets/{dataset}/shards/{shard}.parquet",
    output:
        pixels="<results>/pixels/{dataset}/{input}/{shard}/shard.npy",
        index="<results>/pixels/{dataset}/{input}/{shard}/index.parquet",
        excluded="<results>/pixels/{dataset}/{input}/{shard}/exclusions.csv",
    log:
        "<logs>/preprocess/{dataset}/{input}/{shard}.log",
    conda:
        ENVIRONMENT
    params:
        recipe=lambda wildcards: leaves.recipe_leaves(PROJECT, wildcards.dataset, wildcards.input),
        code=code("preprocess_shard.py"),
        # Uses `output`, so that Snakemake does not follow it: where files lie is no result.
        root=lambda wildcards, output: archive_root(wildcards.dataset),
    script:
        "../workflow/scripts/preprocess_shard.py"
