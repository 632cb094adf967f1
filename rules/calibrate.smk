"""
Calibration before and after recalibration.

Required inputs: the cases of all domains and all prediction tables of a study.
Output: one tidy table.
"""


rule calibrate_study:
    input:
        cases=judged_cases,
        predictions=all_predictions,
    output:
        report(
            "<results>/{study}/tables/calibration.csv",
            caption="../workflow/report/captions/calibration.rst",
            category="Tables",
            subcategory="{study}",
            labels={"table": "calibration"},
        ),
    log:
        "<logs>/{study}/calibrate_study.log",
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: leaves.plain(
            result_leaves.calibration_settings(PROJECT, wildcards.study)
        ),
        code=code("calibrate_study.py"),
    script:
        "../workflow/scripts/calibrate_study.py"
