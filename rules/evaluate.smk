"""
Metrics of every arm, seed and dataset.

Required input: all prediction tables of a study.
Output: one tidy table.
"""


rule evaluate_study:
    input:
        predictions_of,
    output:
        "<results>/{study}/tables/metrics.csv",
    log:
        "<logs>/{study}/evaluate_study.log",
    conda:
        ENVIRONMENT
    params:
        study=lambda wildcards: leaves.evaluation_leaves(PROJECT, wildcards.study, "evaluate"),
        code=code("evaluate_study.py"),
    script:
        "../workflow/scripts/evaluate_study.py"
