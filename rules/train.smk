"""
Training one arm with one seed.

Required inputs: the source's split and pixel store; a weights file or another arm's model where
the arm starts from one. The split's audit must have passed.
Outputs: the model with everything needed to apply it, and its training history. State for
resuming lies in the undeclared folder `run`, since a declared output is deleted on failure.
"""


rule train_arm:
    input:
        split="<results>/{study}/split.parquet",
        manifest=source_manifest,
        pixels=source_pixels,
        weights=start_of,
        audit="<results>/{study}/split_audit.csv",
    output:
        model="<results>/{study}/{arm}/seed-{seed}/model.safetensors",
        recipe="<results>/{study}/{arm}/seed-{seed}/model.json",
        history="<results>/{study}/{arm}/seed-{seed}/history.csv",
    log:
        "<logs>/{study}/{arm}/seed-{seed}/train_arm.log",
    benchmark:
        "<results>/{study}/{arm}/seed-{seed}/train_arm.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
    params:
        arm=lambda wildcards: leaves.arm_leaves(PROJECT, wildcards.study, wildcards.arm),
        code=code("train_arm.py"),
    script:
        "../workflow/scripts/train_arm.py"
