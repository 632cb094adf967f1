"""
What several stages need: the checked configuration, and the functions that look things up in it.

Nothing here does work; a rule sees only the leaves of the configuration that it reads, so that
a change makes nothing else invalid.
"""

import gc
import os
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

import mammoshift
from mammoshift.archives.state import archive_state, file_state
from mammoshift.configuration.gallery import gallery_arms
from mammoshift.configuration.load import load_project
from mammoshift.configuration import audit_leaves, choices, leaves, result_leaves
from mammoshift.configuration.printed import printed_configuration
from mammoshift.contracts.run import RUN_PATTERN, Run
from mammoshift.errors import MammoshiftError
from mammoshift.execution.gpu_claim import local_gpu_identifiers
from mammoshift.execution.job import prepare_jobs
from mammoshift.provenance.accepted import described_changes, read_accepted
from mammoshift.provenance.fingerprint import file_hashes
from mammoshift.provenance.finished import Fingerprints
from mammoshift.provenance.keys import code_name
from mammoshift.provenance.planned_code import VARIABLE, hand_on
from mammoshift.provenance.versions import SETTING as VERSIONS_SETTING

ENVIRONMENT = "../envs/mammoshift.yaml"
LIBRARY = Path(mammoshift.__file__).parent.parent
# However a folder is spelt (`results/`, `./results`), its files have one name in plans and keys.
# Only `..` stays, since it may lead through a link.
workflow.pathvars.items.update(
    {name: str(Path(folder)) for name, folder in workflow.pathvars.items.items()}
)
RESULTS = workflow.pathvars.get("results")

CODE_MEMORY = Path(".snakemake") / "mammoshift" / "code.json"
CODES = {}  # name of a fingerprint -> the script and the modules that it is of

# Of this workflow, which is not that of the whole where another one uses it as a module.
HOME = Path(workflow.current_basedir).parent
TEMPLATES = HOME / "workflow" / "report"
RUN = f"<results>/{{study}}/{RUN_PATTERN}"
SEARCH = "<results>/{study}/{arm}/search/fold-{fold}"

prepare_jobs(LIBRARY)

# What has been read so far stays as long as the process: no search for garbage goes through it.
gc.freeze()

try:
    PROJECT = load_project(config, Path(workflow.basedir), HOME)
    # Changes that were declared to be without effect (`mammoshift accept`).
    ACCEPTED = read_accepted(Path(RESULTS))
except MammoshiftError as error:
    raise WorkflowError(str(error))

if PROJECT.settings.versions:
    os.environ[VERSIONS_SETTING] = PROJECT.settings.versions


wildcard_constraints:
    study="|".join(PROJECT.studies),
    dataset="|".join(PROJECT.datasets),
    backbone="|".join(PROJECT.backbones),
    arm="[a-z][a-z0-9_]*",
    domain="[a-z][a-z0-9_]*",
    seed=r"\d+",
    fold=r"\d+",
    bundle=r"\d+",
    features="[a-z][a-z0-9_]*",
    trial=r"\d+",
    lineage="[0-9a-f]{8}",
    input="[a-z0-9_]+",


if not workflow.non_local_exec and "gpu" not in workflow.global_resources:
    # One job for each GPU of this machine; without any, jobs run on the CPU and are not limited.
    if gpus := local_gpu_identifiers():
        workflow.register_resource("gpu", len(gpus))


SCRIPTS = HOME / "workflow" / "scripts"
FINGERPRINTS = Fingerprints(SCRIPTS, LIBRARY, CODE_MEMORY.parent)

# A process that only runs a job of the plan, on another node, leaves it what the plan was.
PLANS = workflow.is_main_process or VARIABLE not in os.environ


@cache
def fingerprint(script, modules):
    """Return the fingerprint of all first-party code that a script and some modules reach."""
    result = FINGERPRINTS.of(script, modules)
    CODES[code_name(result)] = (SCRIPTS / script, modules)
    if PLANS:
        hand_on(SCRIPTS, FINGERPRINTS.planned())
    return result


def code(script, modules=None):
    """Return the fingerprint of a script; with modules chosen by name, a params function for it."""
    if modules is None:
        return fingerprint(script, ())
    return lambda wildcards: fingerprint(script, modules(wildcards))


def adapter_module(wildcards):
    """Return the module of a dataset's adapter."""
    return (f"mammoshift.archives.adapters.{PROJECT.datasets[wildcards.dataset].adapter}",)


def twin_module(wildcards):
    """Return the modules that draw a dataset's twin: its layout's, and that of another scanner."""
    return leaves.twin_modules(PROJECT, wildcards.dataset)


def split_module(wildcards):
    """Return the module of a domain's split method, none without a split."""
    method = leaves.split_name(PROJECT.studies[wildcards.study], wildcards.domain)
    return () if method is None else (f"mammoshift.cases.splits.{method}",)


def of_kind(wildcards, *names):
    """Return definitions of the module of an arm's kind."""
    kind = PROJECT.studies[wildcards.study].arms[wildcards.arm].kind
    return tuple(f"mammoshift.kinds.{kind}:{name}" for name in names)


def fitting(wildcards):
    """Return what a training reaches of an arm's kind, and the modules that its settings name."""
    arm = PROJECT.studies[wildcards.study].arms[wildcards.arm]
    return (*of_kind(wildcards, "fit", "CASE_COLUMNS"), *choices.of_training(arm))


def scoring(wildcards):
    """Return what a scoring reaches of an arm's kind, and what the models are built with."""
    kind = of_kind(wildcards, "score", "SCORED_COLUMNS", "SCORES_UNITS")
    return (*kind, *choices.of_models(PROJECT.studies[wildcards.study], wildcards.arm))


def preprocessing(wildcards):
    """Return the modules that the recipe of a pixel store names."""
    return choices.of_recipe(leaves.recipe_of(PROJECT, wildcards.dataset, wildcards.input))


def weights_module(wildcards):
    """Return the module of the head that comes with a backbone's weights, none without one."""
    return choices.of_weights(PROJECT, wildcards.backbone)


def check_planned():
    """Raise an error that lists what the planned jobs need and is absent or wrong."""
    from mammoshift.project import SAMPLE
    from mammoshift.project.findings import Planned, errors_of

    planned = [(job.rule.name, job.wildcards) for job in workflow.dag.needrun_jobs()]

    def chosen(rule, *names):
        found = [tuple(getattr(w, name) for name in names) for name_, w in planned if name_ == rule]
        return dict.fromkeys(found)

    needed = Planned(
        datasets=[dataset for (dataset,) in chosen("ingest_dataset", "dataset")],
        weights=[backbone for (backbone,) in chosen("convert_weights", "backbone")],
        arms=chosen("train_arm", "study", "arm"),
        domains=chosen("make_cases", "study", "domain"),
    )
    errors = errors_of(PROJECT, needed, SAMPLE)
    if errors:
        raise WorkflowError("Nothing was started. " + "\n".join(errors))


def accepted_changes(study):
    """Return what was accepted of a study's results and of what they are made from."""
    resolved = PROJECT.studies[study]
    arms = (getattr(arm, "backbone", None) for arm in resolved.arms.values())
    own = {"study": {study}, "dataset": {*resolved.datasets}, "backbone": {*arms}}
    return described_changes(ACCEPTED, own)


def study_reports(wildcards=None):
    """Return the page of each study's report."""
    return expand("<results>/{study}/report/index.html", study=PROJECT.studies)


def overview():
    """Return the page over all reports, where there are several."""
    return ["<results>/index.html"] if len(PROJECT.studies) > 1 else []


def report_message():
    """Return where the reports are, of those studies that have one."""
    pages = [Path(RESULTS, study, "report", "index.html") for study in PROJECT.studies]
    if overview():
        pages.append(Path(RESULTS, "index.html"))
    return "\n".join(f"Report: {page}" for page in pages if page.is_file())


def archive_root(dataset):
    """Return the folder of a dataset's raw archive."""
    return str(PROJECT.archive_root(dataset, Path(RESULTS)))


def kept_store():
    """Return the folder in which expensive results are kept, and the size that it may have."""
    return PROJECT.settings.kept(RESULTS)


def twin_receipt(wildcards):
    """Return the receipt of a dataset's twin, nothing for a real archive."""
    twin = PROJECT.datasets[wildcards.dataset].twin
    return f"<results>/archives/{wildcards.dataset}.json" if twin else []


def bundle_receipts(wildcards):
    """Return the receipts of all bundles of one pixel store."""
    return expand(
        "<results>/pixels/{dataset}/{input}/bundles/{bundle}.json",
        dataset=wildcards.dataset,
        input=wildcards.input,
        bundle=range(leaves.bundles(PROJECT, wildcards.dataset)),
    )


def store(dataset, input, file="store.json"):
    """Return one file of a dataset's pixel store."""
    return f"<results>/pixels/{dataset}/{input}/{file}"


def features_module(wildcards):
    """Return the module of a set of features."""
    return (f"mammoshift.radiomics.sets.{wildcards.features}",)


def contact_sheets(wildcards):
    """Return the records of the contact sheets of a study's datasets."""
    found = leaves.sheet_inputs(PROJECT, wildcards.study)
    return [store(dataset, name, "contact_sheet.json") for dataset, name in found.items()]


def stores(study, arm, domain):
    """Return the receipts of the pixel stores that an arm reads a domain's cases from."""
    name = leaves.input_of(PROJECT, study, arm, domain)
    if name is None or not PROJECT.studies[study].arms[arm].takes_pixels:
        return []
    return [store(dataset, name) for dataset in PROJECT.studies[study].domains[domain].datasets]


def features(study, arm, domain):
    """Return the tables of features that an arm takes of a domain's images, none without."""
    resolved = PROJECT.studies[study]
    chosen = resolved.arms[arm].feature_set
    if chosen is None:
        return []
    name = leaves.input_of(PROJECT, study, arm, domain)
    datasets = resolved.domains[domain].datasets
    return [f"<results>/features/{dataset}/{name}/{chosen}.parquet" for dataset in datasets]


def lent_scores(study, arm, domain):
    """Return the scores of a domain's cases by the arms that an arm reads."""
    arms = PROJECT.studies[study].arms[arm].reads
    return [f"<results>/{study}/{read}/{domain}/scores.parquet" for read in arms]


def trained(wildcards, files):
    """Return the files of an arm on the domain that it is trained on."""
    domain = PROJECT.studies[wildcards.study].own_domain(wildcards.arm)
    return files(wildcards.study, wildcards.arm, domain)


def scored(wildcards, files):
    """Return the files of an arm on a domain that it is applied to."""
    return files(wildcards.study, wildcards.arm, wildcards.domain)


def audited_stores(study, datasets, input=None):
    """Return the receipts of the pixel stores that an audit compares, one for each dataset."""
    inputs = audit_leaves.audited_inputs(PROJECT, study, datasets, input)
    return [store(name, found) for name, found in inputs.items()]


def audited_names(wildcards):
    """Return the domains that an audit of one domain against one lineage reads."""
    return audit_leaves.audited_domains(
        PROJECT, wildcards.study, wildcards.domain, wildcards.lineage
    )


def datasets_of(study, domains):
    """Return the datasets of some domains, each once."""
    found = (d for name in domains for d in PROJECT.studies[study].domains[name].datasets)
    return list(dict.fromkeys(found))


def lineage_audit(wildcards):
    """Return the audit that an arm must have passed before it scores a domain."""
    name = audit_leaves.lineage_name(PROJECT, wildcards.study, wildcards.arm)
    return f"<results>/{wildcards.study}/domains/{wildcards.domain}/lineages/{name}.csv"


def patch_stores(wildcards):
    """Return the receipts that say where a domain's patches lie, none where images are whole.

    Where patches lie is the domain's choice: any arm with images gives the same.
    """
    study = PROJECT.studies[wildcards.study]
    if study.domains[wildcards.domain].patches is None:
        return []
    arms = study.arms_on(wildcards.domain)
    found = (stores(wildcards.study, arm, wildcards.domain) for arm in arms)
    return next(filter(None, found), [])


def of_datasets(names, file):
    """Return one file of ingestion for each of some datasets."""
    return expand("<results>/datasets/{dataset}/{file}", dataset=names, file=file)


def cases(study, domain):
    """Return the table of a domain's cases."""
    return f"<results>/{study}/domains/{domain}/cases.parquet"


def needed_cases(wildcards):
    """Return the cases that a domain's split is taken from."""
    domain = PROJECT.studies[wildcards.study].domains[wildcards.domain]
    return [cases(wildcards.study, needed) for needed in domain.needs]


def all_cases(wildcards):
    """Return the cases of all domains of a study."""
    return [cases(wildcards.study, name) for name in PROJECT.studies[wildcards.study].domains]


def judged_cases(wildcards):
    """Return the cases of those domains of a study that results are reported for."""
    names = [
        domain.name for domain in result_leaves.judged_domains(PROJECT.studies[wildcards.study])
    ]
    return [cases(wildcards.study, name) for name in names]


def own_domain_file(wildcards, file):
    """Return a file of the domain that an arm is trained on."""
    domain = PROJECT.studies[wildcards.study].own_domain(wildcards.arm)
    return f"<results>/{wildcards.study}/domains/{domain}/{file}"


def run_of(wildcards):
    """Return the run that the wildcards of a rule name."""
    return Run(wildcards.arm, int(wildcards.seed), int(wildcards.fold))


def start_of_run(study, run):
    """Return the file a run starts from: none, converted weights, or another run's record."""
    resolved = PROJECT.studies[study]
    arm = resolved.arms[run.arm]
    if arm.initialisation == "pretrained":
        return f"<results>/weights/{arm.backbone}.safetensors"
    start = resolved.start_of(run)
    if start is None:
        return []
    return f"<results>/{study}/{resolved.model_of(start).path}/model.json"


def start_of(wildcards):
    """Return the file that the run of the wildcards starts from; see `start_of_run`."""
    return start_of_run(wildcards.study, run_of(wildcards))


def applied_models(wildcards):
    """Return the records of the models that an arm applies, one for each of its runs."""
    study = PROJECT.studies[wildcards.study]
    runs = dict.fromkeys(study.model_of(run) for run in study.runs(wildcards.arm))
    return [f"<results>/{wildcards.study}/{run.path}/model.json" for run in runs]


def weights_path(backbone):
    """Return where the third party's weights file of a backbone should be."""
    weights = PROJECT.backbones[backbone].weights
    return str(Path(PROJECT.settings.weights).expanduser() / weights.file)


def exclusions_of(wildcards):
    """Return the tables of what a study's datasets lost, at ingestion and at decoding."""
    study = PROJECT.studies[wildcards.study]
    decoded = [
        store(dataset, name, "exclusions.csv")
        for arm in study.arms
        for domain in study.judged_on(arm)
        if (name := leaves.input_of(PROJECT, wildcards.study, arm, domain)) is not None
        for dataset in study.domains[domain].datasets
    ]
    return [*of_datasets(study.datasets, "exclusions.csv"), *dict.fromkeys(decoded)]


def run_files(wildcards, file):
    """Return one file of every trained run of a study."""
    study = PROJECT.studies[wildcards.study]
    return [f"<results>/{wildcards.study}/{run.path}/{file}" for run in study.trained_runs]


def records_of_fold(wildcards):
    """Return the records of an arm's models in one fold, one for each seed."""
    study = PROJECT.studies[wildcards.study]
    runs = [run for run in study.runs(wildcards.arm) if run.fold == int(wildcards.fold)]
    return [f"<results>/{wildcards.study}/{run.path}/model.json" for run in runs]


def own_predictions(wildcards):
    """Return the predictions of an arm for the domain that it was trained on."""
    domain = PROJECT.studies[wildcards.study].own_domain(wildcards.arm)
    return f"<results>/{wildcards.study}/{wildcards.arm}/{domain}/predictions.parquet"


def all_cards():
    """Return the card of every trained model of all studies."""
    return [
        f"<results>/{name}/{run.path}/model_card.json"
        for name, study in PROJECT.studies.items()
        for run in study.trained_runs
    ]


def all_predictions(wildcards):
    """Return every prediction table of a study: one for each arm and domain."""
    study = PROJECT.studies[wildcards.study]
    return [
        f"<results>/{wildcards.study}/{arm}/{domain}/predictions.parquet"
        for arm in study.arms
        for domain in study.judged_on(arm)
    ]


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


def search_tables(wildcards):
    """Return the tables of trials of a study's searches, one for each arm and fold."""
    study = PROJECT.studies[wildcards.study]
    return [
        f"{SEARCH.format(study=wildcards.study, arm=arm, fold=fold)}/trials.csv"
        for arm in study.arms
        if leaves.is_searched(PROJECT, wildcards.study, arm)
        for fold in range(study.folds(study.own_domain(arm)))
    ]


def chosen_values(wildcards):
    """Return the file of the values that an arm's search has chosen, none without a search."""
    if not leaves.is_searched(PROJECT, wildcards.study, wildcards.arm):
        return []
    return f"<results>/{wildcards.study}/{wildcards.arm}/search/fold-{wildcards.fold}/chosen.json"


def how_it_is_run(study):
    """Return what the report says of the run itself; no part of it decides a result."""
    return {
        "command": sys.argv if workflow.is_main_process else [],
        "configuration_files": [str(file) for file in workflow.configfiles],
        "configuration": printed_configuration(PROJECT, study),
        "project": str(HOME),
    }


def galleries(wildcards):
    """Return the galleries of a study's arms, none where it asks for none."""
    arms = gallery_arms(PROJECT.studies[wildcards.study])
    return [f"<results>/{wildcards.study}/{arm}/gallery/gallery.json" for arm in arms]


def shown_domains(wildcards):
    """Return the domains in an arm's gallery."""
    return result_leaves.gallery_domains(PROJECT, wildcards.study, wildcards.arm)


def shown_recipes(wildcards):
    """Return the recipes of the datasets in an arm's gallery, by name."""
    return result_leaves.gallery_recipes(PROJECT, wildcards.study, wildcards.arm)


def explaining(wildcards):
    """Return the modules that the recipes and models of an arm's gallery name."""
    recipes = shown_recipes(wildcards).values()
    models = choices.of_models(PROJECT.studies[wildcards.study], wildcards.arm)
    return (*dict.fromkeys(n for recipe in recipes for n in choices.of_recipe(recipe)), *models)
