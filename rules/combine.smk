"""
Comparisons combined over seeds and over domains.

Required inputs: the cases of all domains and all prediction tables of a study.
Output: one tidy table.
"""


rule combine_seeds:
    input:
        cases=judged_cases,
        predictions=all_predictions,
    output:
        report(
            "<results>/{study}/tables/combined.csv",
            caption="../workflow/report/captions/combined.rst",
            category="Tables",
            subcategory="{study}",
            labels={"table": "combined"},
        ),
    log:
        "<logs>/{study}/combine_seeds.log",
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: leaves.plain(
            result_leaves.comparison_settings(PROJECT, wildcards.study)
        ),
        code=code("combine_seeds.py"),
    script:
        "../workflow/scripts/combine_seeds.py"
