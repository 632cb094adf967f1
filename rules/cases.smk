"""
What is trained on and judged, and the proof that nothing leaks.

make_cases     manifests and annotations -> the cases of a domain with label, unit and subset
audit_domain   a domain's split against its own pixels; no training on it before it has passed
audit_lineage  what models learned from against what they are judged on; no scoring before
audit_study    the same for all models and domains at once, for the report

Training and scoring wait for an audit as for any input and not through `ancient`: of a job
behind an ancient input whose maker runs, Snakemake (9.27) does not ask whether the job itself is
invalid. A training that started for a repeated audit alone restores what it kept.
"""


rule make_cases:
    input:
        manifests=lambda wildcards: of_datasets(
            PROJECT.studies[wildcards.study].domains[wildcards.domain].datasets, "manifest.parquet"
        ),
        annotations=lambda wildcards: of_datasets(
            PROJECT.studies[wildcards.study].domains[wildcards.domain].datasets,
            "annotations.parquet",
        ),
        stores=patch_stores,
        others=needed_cases,
    output:
        "<results>/{study}/domains/{domain}/cases.parquet",
    log:
        "<logs>/{study}/domains/{domain}/make_cases.log",
    conda:
        ENVIRONMENT
    params:
        cases=lambda wildcards: leaves.cases_leaves(PROJECT, wildcards.study, wildcards.domain),
        code=code("make_cases.py", split_module),
    script:
        "../workflow/scripts/make_cases.py"


rule audit_domain:
    input:
        cases="<results>/{study}/domains/{domain}/cases.parquet",
        stores=lambda wildcards: audited_stores(
            wildcards.study,
            PROJECT.studies[wildcards.study].domains[wildcards.domain].datasets,
            audit_leaves.domain_input(PROJECT, wildcards.study, wildcards.domain),
        ),
        files=lambda wildcards: of_datasets(
            PROJECT.studies[wildcards.study].domains[wildcards.domain].datasets, "files.parquet"
        ),
    output:
        summary="<results>/{study}/domains/{domain}/audit.csv",
        findings="<results>/{study}/domains/{domain}/audit_findings.csv",
    log:
        "<logs>/{study}/domains/{domain}/audit_domain.log",
    conda:
        ENVIRONMENT
    params:
        audit=lambda wildcards: audit_leaves.domain_audit_leaves(
            PROJECT, wildcards.study, wildcards.domain
        ),
        code=code("audit_domain.py"),
    script:
        "../workflow/scripts/audit_domain.py"


rule audit_lineage:
    input:
        cases=lambda wildcards: [cases(wildcards.study, name) for name in audited_names(wildcards)],
        stores=lambda wildcards: audited_stores(
            wildcards.study,
            datasets_of(wildcards.study, audited_names(wildcards)),
            audit_leaves.lineage_input(
                PROJECT, wildcards.study, wildcards.domain, wildcards.lineage
            ),
        ),
        files=lambda wildcards: of_datasets(
            datasets_of(wildcards.study, audited_names(wildcards)), "files.parquet"
        ),
    output:
        summary="<results>/{study}/domains/{domain}/lineages/{lineage}.csv",
        findings="<results>/{study}/domains/{domain}/lineages/{lineage}_findings.csv",
    log:
        "<logs>/{study}/domains/{domain}/audit_{lineage}.log",
    conda:
        ENVIRONMENT
    params:
        audit=lambda wildcards: audit_leaves.lineage_audit_leaves(
            PROJECT, wildcards.study, wildcards.domain, wildcards.lineage
        ),
        code=code("audit_study.py"),
    script:
        "../workflow/scripts/audit_study.py"


rule audit_study:
    input:
        cases=all_cases,
        stores=lambda wildcards: audited_stores(
            wildcards.study, PROJECT.studies[wildcards.study].datasets
        ),
        files=lambda wildcards: of_datasets(
            PROJECT.studies[wildcards.study].datasets, "files.parquet"
        ),
    output:
        summary="<results>/{study}/audit.csv",
        findings="<results>/{study}/audit_findings.csv",
    log:
        "<logs>/{study}/audit_study.log",
    conda:
        ENVIRONMENT
    params:
        audit=lambda wildcards: audit_leaves.study_audit_leaves(PROJECT, wildcards.study),
        code=code("audit_study.py"),
    script:
        "../workflow/scripts/audit_study.py"
