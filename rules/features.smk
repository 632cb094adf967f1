"""
From stored arrays to features of images.

extract_features   the pixel store of a dataset's input -> one row of features for each image;
                   those of unchanged images are kept
"""


rule extract_features:
    input:
        "<results>/pixels/{dataset}/{input}/store.json",
    output:
        "<results>/features/{dataset}/{input}/{features}.parquet",
    log:
        "<logs>/features/{dataset}/{input}/{features}.log",
    benchmark:
        "<results>/features/{dataset}/{input}/{features}.tsv"
    conda:
        ENVIRONMENT
    params:
        code=code("extract_features.py", features_module),
    script:
        "../workflow/scripts/extract_features.py"
