"""
What several stages need: the checked configuration, and the functions that look things up in it.

Nothing here does work; a rule sees only the leaves of the configuration that it reads, so that
a change makes nothing else invalid.
"""

from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

import mammoshift
from mammoshift.archives.state import archive_state, file_state
from mammoshift.configuration.load import load_project
from mammoshift.configuration import leaves
from mammoshift.errors import MammoshiftError
from mammoshift.provenance.fingerprint import code_fingerprint, file_hashes
from mammoshift.execution.job import prepare_jobs
from mammoshift.execution.gpu_claim import local_gpu_identifiers

ENVIRONMENT = "../envs/mammoshift.yaml"
LIBRARY = Path(mammoshift.__file__).parent.parent
RESULTS = workflow.pathvars.get("results")

TEMPLATES = Path(workflow.basedir) / "workflow" / "report"

prepare_jobs(LIBRARY)

try:
    PROJECT = load_project(config, Path(workflow.basedir))
except MammoshiftError as error:
    raise WorkflowError(str(error))


wildcard_constraints:
    study="|".join(PROJECT.studies),
    dataset="|".join(PROJECT.datasets),
    backbone="|".join(PROJECT.backbones),
    arm="[a-z][a-z0-9_]*",
    seed=r"\d+",
    shard=r"\d+",
    input="[a-z0-9_]+",


if not workflow.non_local_exec and "gpu" not in workflow.global_resources:
    # One job for each GPU of this machine; without any, jobs run on the CPU and are not limited.
    if gpus := local_gpu_identifiers():
        workflow.register_resource("gpu", len(gpus))


def code(script):
    """Return a params function: the fingerprint of all first-party code that a script reaches."""
    path = Path(workflow.basedir) / "workflow" / "scripts" / script
    memory = Path(".snakemake") / "mammoshift" / "code.json"
    fingerprint = cache(lambda: code_fingerprint(path, LIBRARY, memory))
    return lambda wildcards: fingerprint()


def report_message():
    """Return where the reports are, of those studies that have one."""
    pages = [Path(RESULTS, study, "report", "index.html") for study in PROJECT.studies]
    return "\n".join(f"Report: {page}" for page in pages if page.is_file())


def archive_root(dataset):
    """Return the folder of a dataset's raw archive."""
    return str(PROJECT.archive_root(dataset, Path(RESULTS)))


def shard_files(dataset, recipe, files):
    """Return the named files of every shard of one dataset's pixel store."""
    return expand(
        "<results>/pixels/{dataset}/{input}/{shard}/{file}",
        dataset=dataset,
        input=leaves.input_name(recipe),
        shard=range(PROJECT.datasets[dataset].shards),
        file=files,
    )


def study_shards(study, files):
    """Return the named files of all pixel stores that a study uses."""
    recipes = {leaves.input_name(arm.input): arm.input for arm in PROJECT.arms[study].values()}
    return [
        path
        for recipe in recipes.values()
        for dataset in PROJECT.studies[study].datasets
        for path in shard_files(dataset, recipe, files)
    ]


def audited_shards(study, datasets):
    """Return the indexes that an audit compares: those of the first arm's input."""
    recipe = next(iter(PROJECT.arms[study].values())).input
    return [path for dataset in datasets for path in shard_files(dataset, recipe, "index.parquet")]


def audited_source_shards(wildcards):
    """Return the indexes of a study's source that are compared with each other."""
    return audited_shards(wildcards.study, [PROJECT.studies[wildcards.study].source.dataset])


def scored_pixels(study, arm):
    """Return the pixel stores that one arm of a study is applied to."""
    recipe = PROJECT.arms[study][arm].input
    files = ["shard.npy", "index.parquet"]
    datasets = PROJECT.studies[study].datasets
    return [path for dataset in datasets for path in shard_files(dataset, recipe, files)]


def source_manifest(wildcards):
    """Return the manifest of a study's source."""
    source = PROJECT.studies[wildcards.study].source.dataset
    return f"<results>/datasets/{source}/manifest.parquet"


def source_pixels(wildcards):
    """Return the pixel store that an arm is trained on."""
    source = PROJECT.studies[wildcards.study].source.dataset
    recipe = PROJECT.arms[wildcards.study][wildcards.arm].input
    return shard_files(source, recipe, ["shard.npy", "index.parquet"])


def start_of(wildcards):
    """Return the file an arm starts from: none, converted weights, or another arm's model."""
    arm = PROJECT.arms[wildcards.study][wildcards.arm]
    if arm.initialisation == "random":
        return []
    if arm.initialisation == "pretrained":
        return f"<results>/weights/{arm.backbone}.safetensors"
    first = arm.initialisation.arm
    return f"<results>/{wildcards.study}/{first}/seed-{wildcards.seed}/model.safetensors"


def weights_path(backbone):
    """Return where the third party's weights file of a backbone should be."""
    weights = PROJECT.backbones[backbone].weights
    return str(Path(PROJECT.settings.weights).expanduser() / weights.file)


def manifests_of(study):
    """Return the manifests of a study's datasets, the source first."""
    datasets = PROJECT.studies[study].datasets
    return expand("<results>/datasets/{dataset}/manifest.parquet", dataset=datasets)


def exclusions_of(study):
    """Return the tables of what a study's datasets lost, at ingestion and at decoding."""
    datasets = PROJECT.studies[study].datasets
    ingested = expand("<results>/datasets/{dataset}/exclusions.csv", dataset=datasets)
    return ingested + study_shards(study, ["exclusions.csv"])


def arm_files(study, file):
    """Return one file of every seed of an arm, the arm a wildcard."""
    return expand(
        "<results>/{study}/{{arm}}/seed-{seed}/{file}",
        study=study,
        seed=PROJECT.studies[study].seeds,
        file=file,
    )


def run_files(study, file):
    """Return one file of every run of a study: arms x seeds."""
    return [path.format(arm=arm) for arm in PROJECT.arms[study] for path in arm_files(study, file)]


def predictions_of(wildcards):
    """Return every prediction table of a study: arms x seeds x datasets."""
    datasets = PROJECT.studies[wildcards.study].datasets
    return [
        path
        for dataset in datasets
        for path in run_files(wildcards.study, f"{dataset}/predictions.parquet")
    ]
