"""
Scoring the source's held-out patients and every target with the trained models of one arm.

One job scores all datasets with the models of all seeds, since starting costs more than scoring
a small one, and an image is read once. Each table is kept under a key, so that a new target or
seed does not score the old ones again.

audit_predictions   the split and all predictions -> proof that no model was judged on an image
                    that it was trained on; fails on one that was
"""

for study in PROJECT.studies:

    rule:
        name:
            f"infer_{study}"
        input:
            models=arm_files(study, "model.safetensors"),
            recipes=arm_files(study, "model.json"),
            split=f"<results>/{study}/split.parquet",
            audit=f"<results>/{study}/audit.csv",
            manifests=manifests_of(study),
            pixels=lambda wildcards, study=study: scored_pixels(study, wildcards.arm),
        output:
            [
                path
                for dataset in PROJECT.studies[study].datasets
                for path in arm_files(study, f"{dataset}/predictions.parquet")
            ],
        log:
            f"<logs>/{study}/{{arm}}/infer.log",
        conda:
            ENVIRONMENT
        resources:
            gpu=1,
        params:
            scoring=lambda wildcards, study=study: leaves.scoring_leaves(
                PROJECT, study, wildcards.arm
            ),
            code=code("infer_targets.py"),
        script:
            "../workflow/scripts/infer_targets.py"


rule audit_predictions:
    input:
        split="<results>/{study}/split.parquet",
        predictions=predictions_of,
    output:
        "<results>/{study}/predictions_audit.csv",
    log:
        "<logs>/{study}/audit_predictions.log",
    conda:
        ENVIRONMENT
    params:
        datasets=lambda wildcards: leaves.audit_leaves(PROJECT, wildcards.study)["datasets"],
        code=code("audit_predictions.py"),
    script:
        "../workflow/scripts/audit_predictions.py"
