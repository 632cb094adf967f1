"""
From raw images to arrays of fixed size.

preprocess_bundle   a dataset's list of files -> the arrays of one bundle of it, in shards; the
                    output is a receipt with the hash of each shard's files
collect_bundles     the receipts of all bundles -> the receipt of the store
draw_contact_sheet  the images of a store to look at first, as they are stored and as arrays

A receipt stands for the arrays, which are no declared outputs: a shard that is still valid is
kept by the job, so that after a new image one shard is made again.
"""


rule preprocess_bundle:
    input:
        files="<results>/datasets/{dataset}/files.parquet",
        annotations="<results>/datasets/{dataset}/annotations.parquet",
    output:
        "<results>/pixels/{dataset}/{input}/bundles/{bundle}.json",
    log:
        "<logs>/preprocess/{dataset}/{input}/{bundle}.log",
    conda:
        ENVIRONMENT
    params:
        recipe=lambda wildcards: leaves.recipe_leaves(PROJECT, wildcards.dataset, wildcards.input),
        bundles=lambda wildcards: leaves.bundles(PROJECT, wildcards.dataset),
        code=code("preprocess_bundle.py", preprocessing),
        # Uses `output`, so that Snakemake does not follow it: where files lie is no result.
        root=lambda wildcards, output: archive_root(wildcards.dataset),
    script:
        "../workflow/scripts/preprocess_bundle.py"


rule collect_bundles:
    input:
        bundle_receipts,
    output:
        receipt="<results>/pixels/{dataset}/{input}/store.json",
        excluded="<results>/pixels/{dataset}/{input}/exclusions.csv",
    log:
        "<logs>/preprocess/{dataset}/{input}/collect.log",
    conda:
        ENVIRONMENT
    params:
        code=code("collect_bundles.py"),
    script:
        "../workflow/scripts/collect_bundles.py"


rule draw_contact_sheet:
    input:
        files="<results>/datasets/{dataset}/files.parquet",
        annotations="<results>/datasets/{dataset}/annotations.parquet",
        store="<results>/pixels/{dataset}/{input}/store.json",
    output:
        picture=report(
            "<results>/pixels/{dataset}/{input}/contact_sheet.jpg",
            caption="../workflow/report/captions/contact_sheet.rst",
            category="Images",
            labels={"dataset": "{dataset}", "input": "{input}"},
        ),
        record="<results>/pixels/{dataset}/{input}/contact_sheet.json",
    log:
        "<logs>/preprocess/{dataset}/{input}/contact_sheet.log",
    conda:
        ENVIRONMENT
    params:
        recipe=lambda wildcards: leaves.recipe_leaves(PROJECT, wildcards.dataset, wildcards.input),
        code=code("draw_contact_sheet.py", preprocessing),
        # Uses `output`, so that Snakemake does not follow it: where files lie is no result.
        root=lambda wildcards, output: archive_root(wildcards.dataset),
    script:
        "../workflow/scripts/draw_contact_sheet.py"
