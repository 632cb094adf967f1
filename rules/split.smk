"""
Which patients are for training, validation and test, and the proof that nothing leaks.

split_source   source manifest -> subset of each labelled image
audit_split    the split against the source's pixels; no training starts before it has passed
audit_study    the split against the pixels of all datasets; no scoring before it has passed

Training and scoring wait for an audit as for any input and not through `ancient`: of a job
behind an ancient input whose maker runs, Snakemake (9.27) does not ask whether the job itself is
invalid. A training that started for a repeated audit alone restores what it kept.
"""


rule split_source:
    input:
        source_manifest,
    output:
        "<results>/{study}/split.parquet",
    log:
        "<logs>/{study}/split_source.log",
    conda:
        ENVIRONMENT
    params:
        source=lambda wildcards: leaves.source_leaves(PROJECT, wildcards.study),
        code=code("split_source.py"),
    script:
        "../workflow/scripts/split_source.py"


rule audit_split:
    input:
        split="<results>/{study}/split.parquet",
        manifests=lambda wildcards: [source_manifest(wildcards)],
        indexes=audited_source_shards,
    output:
        summary="<results>/{study}/split_audit.csv",
        findings="<results>/{study}/split_audit_findings.csv",
    log:
        "<logs>/{study}/audit_split.log",
    conda:
        ENVIRONMENT
    params:
        datasets=lambda wildcards: leaves.source_audit_leaves(PROJECT, wildcards.study),
        code=code("audit_study.py"),
    script:
        "../workflow/scripts/audit_study.py"


rule audit_study:
    input:
        split="<results>/{study}/split.parquet",
        manifests=lambda wildcards: manifests_of(wildcards.study),
        indexes=lambda wildcards: audited_shards(
            wildcards.study, PROJECT.studies[wildcards.study].datasets
        ),
    output:
        summary="<results>/{study}/audit.csv",
        findings="<results>/{study}/audit_findings.csv",
    log:
        "<logs>/{study}/audit_study.log",
    conda:
        ENVIRONMENT
    params:
        datasets=lambda wildcards: leaves.audit_leaves(PROJECT, wildcards.study),
        code=code("audit_study.py"),
    script:
        "../workflow/scripts/audit_study.py"
