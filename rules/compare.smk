"""
Paired comparisons of arms, per seed, and transfer drops.

Required input: all prediction tables of a study.
Output: one tidy table.
"""


rule compare_arms:
    input:
        predictions_of,
    output:
        "<results>/{study}/tables/comparisons.csv",
    log:
        "<logs>/{study}/compare_arms.log",
    conda:
        ENVIRONMENT
    params:
        study=lambda wildcards: leaves.evaluation_leaves(PROJECT, wildcards.study, "compare"),
        code=code("compare_arms.py"),
    script:
        "../workflow/scripts/compare_arms.py"
