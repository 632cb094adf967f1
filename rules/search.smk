"""
Settings of an arm chosen by trials on its own validation cases, for each fold by itself.

search_trial   a training with the values of one trial -> its record. Trials of a round run beside
               each other; they wait for the round before, so that the search is always the same
choose_trial   all trials of a fold -> the values of the best, and a table of the search

Required inputs of a trial are those of `train_arm`, with the study's first seed.
"""

SEARCH = "<results>/{study}/{arm}/search/fold-{fold}"


def first_run(wildcards):
    """Return the run whose seed the trials of a fold have."""
    seed = PROJECT.studies[wildcards.study].record.seeds[0]
    return Run(wildcards.arm, seed, int(wildcards.fold))


def search_records(wildcards, trials):
    """Return the records of some trials of a fold."""
    search = SEARCH.format(study=wildcards.study, arm=wildcards.arm, fold=wildcards.fold)
    return [f"{search}/trial-{trial}.json" for trial in trials]


def earlier_records(wildcards):
    """Return the records of the trials that a trial learns from."""
    search = leaves.search_of(PROJECT, wildcards.study, wildcards.arm)
    return search_records(wildcards, search.earlier(int(wildcards.trial)))


def all_records(wildcards):
    """Return the records of all trials of a fold."""
    search = leaves.search_of(PROJECT, wildcards.study, wildcards.arm)
    return search_records(wildcards, range(search.trials))


rule search_trial:
    input:
        cases=lambda wildcards: own_domain_file(wildcards, "cases.parquet"),
        stores=lambda wildcards: trained(wildcards, stores),
        start=lambda wildcards: start_of_run(wildcards.study, first_run(wildcards)),
        audit=lambda wildcards: own_domain_file(wildcards, "audit.csv"),
        earlier=earlier_records,
    output:
        f"{SEARCH}/trial-{{trial}}.json",
    log:
        "<logs>/{study}/{arm}/search/fold-{fold}/trial-{trial}.log",
    benchmark:
        f"{SEARCH}/trial-{{trial}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=1,
    params:
        search=lambda wildcards: leaves.trial_leaves(PROJECT, wildcards.study, wildcards.arm),
        code=code("search_trial.py", fitting),
        # Uses `output`, so that Snakemake does not follow it: `search` has what decides the result.
        settings=lambda wildcards, output: leaves.training_settings(
            PROJECT, wildcards.study, first_run(wildcards)
        ),
        seed=lambda wildcards: first_run(wildcards).seed,
    script:
        "../workflow/scripts/search_trial.py"


rule choose_trial:
    input:
        trials=all_records,
    output:
        chosen=f"{SEARCH}/chosen.json",
        journal=f"{SEARCH}/journal.log",
        table=f"{SEARCH}/trials.csv",
    log:
        "<logs>/{study}/{arm}/search/fold-{fold}/choose_trial.log",
    conda:
        ENVIRONMENT
    params:
        search=lambda wildcards: leaves.plain(
            leaves.search_of(PROJECT, wildcards.study, wildcards.arm)
        ),
        code=code("choose_trial.py"),
    script:
        "../workflow/scripts/choose_trial.py"
