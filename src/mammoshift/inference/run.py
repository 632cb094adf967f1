"""From a trained model to the prediction tables of a study's datasets: the rules `infer_*`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mammoshift.contracts.manifest import read_manifest
from mammoshift.contracts.predictions import write_predictions
from mammoshift.contracts.split import read_split
from mammoshift.errors import TableError
from mammoshift.pixelstore.reader import PixelStore
from mammoshift.provenance.reuse import keep, restore, result_key
from mammoshift.splits.task import task_labels
from mammoshift.training.gpu_claim import claim_gpu, default_claim_folder, local_gpu_identifiers

CARRIED = ("patient_id", "laterality", "view", "density", "lesion_types")
BATCH_SIZE = 32
FILE = "predictions.parquet"


@dataclass(frozen=True)
class ScoringJob:
    """The files and settings of scoring one model on all datasets of a study.

    Attributes
    ----------
    settings
        The leaves `task`, `source`, `datasets`, `shards` and `input`.
    code
        Fingerprint of the code.
    model
        Folder of the trained model.
    split
        The source's split.
    manifests
        One for each dataset, in the order of `datasets`.
    pixels
        Dataset -> folders of its pixel store.
    kept
        Where finished tables are kept under their keys.
    threads
        CPU threads.
    """

    settings: Mapping[str, Any]
    code: Mapping[str, str]
    model: Path
    split: Path
    manifests: tuple[Path, ...]
    pixels: Mapping[str, list[Path]]
    kept: Path
    threads: int


def run_scoring(job: ScoringJob, outputs: Mapping[str, Path]) -> None:
    """Write one prediction table for each dataset; a table that is still valid is restored."""
    manifests = dict(zip(job.settings["datasets"], job.manifests, strict=True))
    keys = {dataset: _key(job, dataset, path) for dataset, path in manifests.items()}
    missing = []
    for dataset, key in keys.items():
        if restore(job.kept / dataset, key, {FILE: outputs[dataset]}):
            print(f"{dataset}: restored")
        else:
            missing.append(dataset)
    tables = {dataset: _cases(job, dataset, manifests[dataset]) for dataset in missing}
    if tables:
        _score(job, tables)
    for dataset, table in tables.items():
        write_predictions(table, outputs[dataset])
        keep(job.kept / dataset, keys[dataset], {FILE: outputs[dataset]})
        print(f"{dataset}: scored {len(table)} images")


def _score(job: ScoringJob, tables: Mapping[str, pd.DataFrame]) -> None:
    """Add the column `logit` to each dataset's table, with the model loaded once.

    On a machine with several GPUs one is claimed, before torch first looks for it. Torch takes
    seconds to import, so that a job with nothing to score does without.
    """
    from mammoshift.inference.score import score_with
    from mammoshift.training.determinism import deterministic_torch
    from mammoshift.training.device import choose_device
    from mammoshift.training.saved_model import load_model

    with claim_gpu(local_gpu_identifiers(), default_claim_folder()):
        device = choose_device("auto")
        with deterministic_torch(device, job.threads):
            classifier, record = load_model(job.model, device)
            for dataset, table in tables.items():
                pixels = PixelStore.open(job.pixels[dataset])
                image_ids = table["image_id"].tolist()
                table["logit"] = score_with(
                    classifier, record, pixels, image_ids, BATCH_SIZE, device
                )


def _key(job: ScoringJob, dataset: str, manifest: Path) -> str:
    is_source = dataset == job.settings["source"]
    indexes = [folder / "index.parquet" for folder in job.pixels[dataset]]
    model = [job.model / "model.safetensors", job.model / "model.json"]
    split = [job.split] if is_source else []
    parameters = {"task": job.settings["task"], "source": is_source, "code": dict(job.code)}
    return result_key(parameters, [*model, manifest, *split, *indexes])


def _cases(job: ScoringJob, dataset: str, manifest: Path) -> pd.DataFrame:
    """Return the labelled and decoded images of a dataset; of the source, the held-out ones.

    Raises
    ------
    TableError
        If no image is left.
    """
    table = read_manifest(manifest)
    if dataset == job.settings["source"]:
        split = read_split(job.split)
        held_out = split.loc[split["subset"] != "train", ["image_id", "subset", "label"]]
        table = table.merge(held_out, on="image_id", validate="1:1")
    else:
        table["subset"] = "target"
        table["label"] = task_labels(table, job.settings["task"])
    stored = set(PixelStore.open(job.pixels[dataset]).image_ids)
    table = table[table["label"].notna() & table["image_id"].isin(stored)]
    if table.empty:
        raise TableError(
            f"{manifest}: no image of {dataset} is labelled for the task "
            f"{job.settings['task']} and could be decoded"
        )
    table = table.sort_values("image_id").reset_index(drop=True)
    return table[["image_id", *CARRIED, "subset", "label"]]
