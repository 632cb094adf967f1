"""
Scoring the source's held-out patients and every target with the trained models of one arm.

One job scores all datasets with the models of all seeds, since starting costs more than scoring
a small one, and an image is read once. Each table is kept under a key, so that a new target or
seed does not score the old ones again.
"""

for study in PROJECT.studies:

    rule:
        name:
            f"infer_{study}"
        input:
            models=arm_files(study, "model.safetensors"),
            recipes=arm_files(study, "model.json"),
            split=f"<results>/{study}/split.parquet",
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
