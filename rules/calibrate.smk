"""
Calibration before and after recalibration.

Required input: all prediction tables of a study.
Output: one tidy table.
"""


rule calibrate_study:
    input:
        predictions_of,
    output:
        "<results>/{study}/tables/calibration.csv",
    log:
        "<logs>/{study}/calibrate_study.log",
    conda:
        ENVIRONMENT
    params:
        study=lambda wildcards: leaves.evaluation_leaves(PROJECT, wildcards.study, "calibrate"),
        code=code("calibrate_study.py"),
    script:
        "../workflow/scripts/calibrate_study.py"
