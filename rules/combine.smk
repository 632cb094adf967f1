"""
Comparisons combined over seeds and over datasets.

Required input: all prediction tables of a study.
Output: one tidy table.
"""


rule combine_seeds:
    input:
        predictions_of,
    output:
        "<results>/{study}/tables/combined.csv",
    log:
        "<logs>/{study}/combine_seeds.log",
    conda:
        ENVIRONMENT
    params:
        study=lambda wildcards: leaves.evaluation_leaves(PROJECT, wildcards.study, "combine"),
        code=code("combine_seeds.py"),
    script:
        "../workflow/scripts/combine_seeds.py"
