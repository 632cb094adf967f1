"""
Scoring the source's held-out patients and every target with one trained model.

One job scores all datasets, since starting costs more than scoring a small one; each dataset's
table is kept under a key, so that a new target does not score the old ones again.
"""

for study in PROJECT.studies:

    rule:
        name:
            f"infer_{study}"
        input:
            model=f"<results>/{study}/{{arm}}/seed-{{seed}}/model.safetensors",
            recipe=f"<results>/{study}/{{arm}}/seed-{{seed}}/model.json",
            split=f"<results>/{study}/split.parquet",
            manifests=manifests_of(study),
            pixels=lambda wildcards, study=study: scored_pixels(study, wildcards.arm),
        output:
            expand(
                "<results>/{study}/{{arm}}/seed-{{seed}}/{dataset}/predictions.parquet",
                study=study,
                dataset=PROJECT.studies[study].datasets,
            ),
        log:
            f"<logs>/{study}/{{arm}}/seed-{{seed}}/infer.log",
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
