"""
Paired comparisons of arms, per seed, and transfer drops.

Required inputs: the cases of all domains and all prediction tables of a study.
Output: one tidy table.
"""


rule compare_arms:
    input:
        cases=judged_cases,
        predictions=all_predictions,
    output:
        report(
            "<results>/{study}/tables/comparisons.csv",
            caption="../workflow/report/captions/comparisons.rst",
            category="Tables",
            subcategory="{study}",
            labels={"table": "comparisons"},
        ),
    log:
        "<logs>/{study}/compare_arms.log",
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: leaves.plain(
            result_leaves.loss_settings(PROJECT, wildcards.study)
        ),
        code=code("compare_arms.py"),
    script:
        "../workflow/scripts/compare_arms.py"
