"""
Scoring one domain with the models of one arm, all its runs in one job.

score_arm           models and cases -> one table of logits; the runs of seeds that were scored
                    before are restored
lend_scores         models and cases -> the logits of all cases of a domain that the models have not
                    seen, for an arm that reads them
audit_predictions   cases, all predictions and the records of the models -> proof that no model was
                    judged on what it had learned from, and that each is of the run in whose place
                    it lies; fails otherwise
"""


rule score_arm:
    input:
        models=applied_models,
        cases="<results>/{study}/domains/{domain}/cases.parquet",
        stores=lambda wildcards: scored(wildcards, stores),
        features=lambda wildcards: scored(wildcards, features),
        scores=lambda wildcards: scored(wildcards, lent_scores),
        audit=lineage_audit,
    output:
        "<results>/{study}/{arm}/{domain}/predictions.parquet",
    log:
        "<logs>/{study}/{arm}/{domain}/score_arm.log",
    benchmark:
        "<results>/{study}/{arm}/{domain}/score_arm.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
    params:
        scoring=lambda wildcards: leaves.scoring_leaves(
            PROJECT, wildcards.study, wildcards.arm, wildcards.domain
        ),
        code=code("score_arm.py", scoring),
        # Uses `output`, so that Snakemake does not follow it: what is kept decides no result.
        store=lambda wildcards, output: kept_store(),
    script:
        "../workflow/scripts/score_arm.py"


rule lend_scores:
    input:
        models=applied_models,
        cases="<results>/{study}/domains/{domain}/cases.parquet",
        stores=lambda wildcards: scored(wildcards, stores),
        audit=lineage_audit,
    output:
        "<results>/{study}/{arm}/{domain}/scores.parquet",
    log:
        "<logs>/{study}/{arm}/{domain}/lend_scores.log",
    benchmark:
        "<results>/{study}/{arm}/{domain}/lend_scores.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
    params:
        scoring=lambda wildcards: leaves.lending_leaves(
            PROJECT, wildcards.study, wildcards.arm, wildcards.domain
        ),
        code=code("lend_scores.py", scoring),
        # Uses `output`, so that Snakemake does not follow it: what is kept decides no result.
        store=lambda wildcards, output: kept_store(),
    script:
        "../workflow/scripts/lend_scores.py"


rule audit_predictions:
    input:
        cases=all_cases,
        predictions=all_predictions,
        records=lambda wildcards: run_files(wildcards, "model.json"),
    output:
        "<results>/{study}/predictions_audit.csv",
    log:
        "<logs>/{study}/audit_predictions.log",
    conda:
        ENVIRONMENT
    params:
        audit=lambda wildcards: audit_leaves.study_audit_leaves(PROJECT, wildcards.study),
        code=code("audit_predictions.py"),
    script:
        "../workflow/scripts/audit_predictions.py"
