"""
From a third party's weights file to safetensors with this project's names.

Required input: the file that the backbones file names, below the setting `weights`.
"""


rule convert_weights:
    output:
        "<results>/weights/{backbone}.safetensors",
    log:
        "<logs>/convert_weights/{backbone}.log",
    conda:
        ENVIRONMENT
    params:
        backbone=lambda wildcards: leaves.backbone_leaves(PROJECT, wildcards.backbone),
        code=code("convert_weights.py", weights_module),
        state=lambda wildcards: file_state(weights_path(wildcards.backbone)),
        # Use `output`, so that Snakemake does not follow them: where files lie and what is said
        # of them is no result.
        path=lambda wildcards, output: weights_path(wildcards.backbone),
        record=lambda wildcards, output: leaves.whole_backbone(PROJECT, wildcards.backbone),
    script:
        "../workflow/scripts/convert_weights.py"
