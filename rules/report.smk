"""
What people read: tables, figures and the HTML report of a study, a page over several reports, and
the hits and misses of an arm with heat maps.

Required inputs: the result tables, cases and predictions (for curves), manifests, audits,
exclusions, training histories and contact sheets; for a gallery the models, predictions and raw
files of an arm that a study names.
"""


rule draw_gallery:
    input:
        models=applied_models,
        cases=lambda wildcards: [cases(wildcards.study, name) for name in shown_domains(wildcards)],
        predictions=lambda wildcards: expand(
            "<results>/{{study}}/{{arm}}/{domain}/predictions.parquet",
            domain=shown_domains(wildcards),
        ),
        files=lambda wildcards: of_datasets(shown_recipes(wildcards), "files.parquet"),
    output:
        "<results>/{study}/{arm}/gallery/gallery.json",
    log:
        "<logs>/{study}/{arm}/draw_gallery.log",
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
    params:
        gallery=lambda wildcards: result_leaves.gallery_leaves(
            PROJECT, wildcards.study, wildcards.arm
        ),
        code=code("draw_gallery.py", explaining),
        # Uses `output`, so that Snakemake does not follow it: where files lie is no result.
        roots=lambda wildcards, output: {
            name: archive_root(name) for name in shown_recipes(wildcards)
        },
    script:
        "../workflow/scripts/draw_gallery.py"


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
        galleries=galleries,
    output:
        report(
            "<results>/{study}/report/index.html",
            caption="../workflow/report/captions/report.rst",
            category="Studies",
            labels={"study": "{study}"},
        ),
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
        # These use `output`, so that Snakemake does not follow them: where files lie, and how a
        # run was called, is no result.
        assets=lambda wildcards, output: str(TEMPLATES),
        results=lambda wildcards, output: str(RESULTS),
        told=lambda wildcards, output: how_it_is_run(wildcards.study),
    script:
        "../workflow/scripts/report_study.py"


rule link_reports:
    input:
        study_reports,
    output:
        report(
            "<results>/index.html",
            caption="../workflow/report/captions/overview.rst",
            category="Studies",
            labels={"study": "all"},
        ),
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
