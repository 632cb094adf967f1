"""
The card beside each trained model: how its logit is read, and what it may be used for.

Required inputs: the records of the arm's seeds in one fold, the cases of the arm's own domain and
the predictions for them. Output: `model_card.json` beside the model. Nothing waits for it.

A new seed writes the cards of its arm anew: each says as well how the mean logit of all seeds is
read, which is a part of what `mammoshift predict` knows of a folder of seeds.
"""


rule write_card:
    input:
        records=records_of_fold,
        cases=lambda wildcards: own_domain_file(wildcards, "cases.parquet"),
        predictions=own_predictions,
    output:
        f"{RUN}/model_card.json",
    log:
        f"<logs>/{{study}}/{RUN_PATTERN}/write_card.log",
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: leaves.plain(
            result_leaves.card_settings(PROJECT, wildcards.study, wildcards.arm)
        ),
        code=code("write_card.py"),
    script:
        "../workflow/scripts/write_card.py"
