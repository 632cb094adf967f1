"""
Metrics of every arm, seed and domain.

Required inputs: the cases of all domains and all prediction tables of a study.
Output: one tidy table.
"""


rule evaluate_study:
    input:
        cases=judged_cases,
        predictions=all_predictions,
    output:
        report(
            "<results>/{study}/tables/metrics.csv",
            caption="../workflow/report/captions/metrics.rst",
            category="Tables",
            subcategory="{study}",
            labels={"table": "metrics"},
        ),
    log:
        "<logs>/{study}/evaluate_study.log",
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: leaves.plain(
            result_leaves.evaluation_settings(PROJECT, wildcards.study)
        ),
        code=code("evaluate_study.py"),
    script:
        "../workflow/scripts/evaluate_study.py"
