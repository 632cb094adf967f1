"""
Which patients are for training, validation and test, and the proof that nothing leaks.

split_source   source manifest -> subset of each labelled image
audit_study    split, manifests and pixel hashes -> findings; fails on a leak
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


rule audit_study:
    input:
        split="<results>/{study}/split.parquet",
        manifests=lambda wildcards: manifests_of(wildcards.study),
        indexes=lambda wildcards: audited_shards(wildcards.study),
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
