"""
Tables, figures and the HTML report of a study, and a page over the reports of several.

Required inputs: the result tables, cases and predictions (for curves), manifests, audits,
exclusions, training histories and contact sheets.
"""


rule report_study:
    input:
        metrics="<results>/{study}/tables/metrics.csv",
        calibration="<results>/{study}/tables/calibration.csv",
        comparisons="<results>/{study}/tables/comparisons.csv",
        combined="<results>/{study}/tables/combined.csv",
        cases=judged_cases,
        predictions=all_predictions,
        histories=lambda wildcards: run_files(wildcards, "history.csv"),
        records=lambda wildcards: run_files(wildcards, "model.json"),
        audits=expand("<results>/{{study}}/{file}", file=["audit.csv", "predictions_audit.csv"]),
        manifests=lambda wildcards: of_datasets(
            PROJECT.studies[wildcards.study].datasets, "manifest.parquet"
        ),
        excluded=exclusions_of,
        sheets=contact_sheets,
        searches=search_tables,
    output:
        "<results>/{study}/report/index.html",
    log:
        "<logs>/{study}/report_study.log",
    conda:
        ENVIRONMENT
    params:
        settings=lambda wildcards: leaves.plain(
            result_leaves.report_settings(PROJECT, wildcards.study)
        ),
        code=code("report_study.py"),
        templates=file_hashes(TEMPLATES),
        accepted=lambda wildcards: accepted_changes(wildcards.study),
        # Uses `output`, so that Snakemake does not follow it: where files lie is no result.
        assets=lambda wildcards, output: str(TEMPLATES),
        results=lambda wildcards, output: str(RESULTS),
    script:
        "../workflow/scripts/report_study.py"


rule link_reports:
    input:
        study_reports,
    output:
        "<results>/index.html",
    log:
        "<logs>/link_reports.log",
    conda:
        ENVIRONMENT
    params:
        code=code("link_reports.py"),
        templates=file_hashes(TEMPLATES),
        # Uses `output`, so that Snakemake does not follow it: where files lie is no result.
        assets=lambda wildcards, output: str(TEMPLATES),
    script:
        "../workflow/scripts/link_reports.py"
