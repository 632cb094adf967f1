"""
What is trained on and judged, and the proof that nothing leaks.

make_cases     manifests and annotations -> the cases of a domain with label, unit and subset
audit_domain   a domain's split against its own pixels; no training on it before it has passed
audit_study    what every model learned from against what it is judged on; no scoring before

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
            wildcards.study, PROJECT.studies[wildcards.study].domains[wildcards.domain].datasets
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
        audit=lambda wildcards: leaves.domain_audit_leaves(
            PROJECT, wildcards.study, wildcards.domain
        ),
        code=code("audit_domain.py"),
    script:
        "../workflow/scripts/audit_domain.py"


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
        audit=lambda wildcards: leaves.study_audit_leaves(PROJECT, wildcards.study),
        code=code("audit_study.py"),
    script:
        "../workflow/scripts/audit_study.py"
