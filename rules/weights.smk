"""
From a third party's weights file to safetensors with this project's names.

Required input: the file that the backbones file names, below the setting `weights`.
"""


rule convert_weights:
    input:
        weights_file,
    output:
        "<results>/weights/{backbone}.safetensors",
    log:
        "<logs>/convert_weights/{backbone}.log",
    conda:
        ENVIRONMENT
    params:
        backbone=lambda wildcards: leaves.backbone_leaves(PROJECT, wildcards.backbone),
        code=code("convert_weights.py"),
    script:
        "../workflow/scripts/convert_weights.py"
