"""
Training one run: an arm with one seed and one fold.

Required inputs: the cases of the arm's domain with their pixel stores, or their features and the
scores of the arms that it reads; a weights file or another run's model where it starts from one; the
values that a search has chosen, where it has one. The audit of the domain must have passed.
Outputs: the model with everything needed to apply it, and its training history. State for
resuming lies in the undeclared folder `run`, since a declared output is deleted on failure.
"""


def chosen_values(wildcards):
    """Return the file of the values that an arm's search has chosen, none without a search."""
    if not leaves.is_searched(PROJECT, wildcards.study, wildcards.arm):
        return []
    return f"<results>/{wildcards.study}/{wildcards.arm}/search/fold-{wildcards.fold}/chosen.json"


rule train_arm:
    input:
        cases=lambda wildcards: own_domain_file(wildcards, "cases.parquet"),
        stores=lambda wildcards: trained(wildcards, stores),
        features=lambda wildcards: trained(wildcards, features),
        scores=lambda wildcards: trained(wildcards, lent_scores),
        start=start_of,
        chosen=chosen_values,
        audit=lambda wildcards: own_domain_file(wildcards, "audit.csv"),
    output:
        model=f"{RUN}/model.safetensors",
        record=f"{RUN}/model.json",
        history=f"{RUN}/history.csv",
    log:
        f"<logs>/{{study}}/{RUN_PATTERN}/train_arm.log",
    benchmark:
        f"{RUN}/train_arm.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
    params:
        arm=lambda wildcards: leaves.arm_leaves(PROJECT, wildcards.study, wildcards.arm),
        code=code("train_arm.py", fitting),
        # Uses `output`, so that Snakemake does not follow it: `arm` has what decides the result.
        settings=lambda wildcards, output: leaves.training_settings(
            PROJECT, wildcards.study, run_of(wildcards)
        ),
        # Uses `output`, so that Snakemake does not follow it: what is kept decides no result.
        store=lambda wildcards, output: kept_store(),
    script:
        "../workflow/scripts/train_arm.py"
