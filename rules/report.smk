"""
Tables, figures and the HTML report of a study.

Required inputs: the result tables, the predictions (for curves), manifests, split, audit,
exclusions and training histories.
"""


rule report_study:
    input:
        metrics="<results>/{study}/tables/metrics.csv",
        calibration="<results>/{study}/tables/calibration.csv",
        comparisons="<results>/{study}/tables/comparisons.csv",
        combined="<results>/{study}/tables/combined.csv",
        predictions=predictions_of,
        histories=lambda wildcards: run_files(wildcards.study, "history.csv"),
        recipes=lambda wildcards: run_files(wildcards.study, "model.json"),
        split="<results>/{study}/split.parquet",
        audits=expand("<results>/{{study}}/{file}", file=["audit.csv", "predictions_audit.csv"]),
        manifests=lambda wildcards: manifests_of(wildcards.study),
        excluded=lambda wildcards: exclusions_of(wildcards.study),
    output:
        "<results>/{study}/report/index.html",
    log:
        "<logs>/{study}/report_study.log",
    conda:
        ENVIRONMENT
    params:
        study=lambda wildcards: leaves.report_leaves(PROJECT, wildcards.study),
        code=code("report_study.py"),
        templates=file_hashes(TEMPLATES),
        # Uses `output`, so that Snakemake does not follow it: where files lie is no result.
        assets=lambda wildcards, output: str(TEMPLATES),
    script:
        "../workflow/scripts/report_study.py"
