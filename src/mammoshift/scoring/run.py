"""From an arm's trained models to its prediction tables: the rules `infer_*`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.cases.task import task_labels
from mammoshift.contracts.manifest import read_manifest
from mammoshift.contracts.predictions import write_predictions
from mammoshift.contracts.split import read_split
from mammoshift.errors import TableError
from mammoshift.execution.gpu_claim import claim_gpu, default_claim_folder, local_gpu_identifiers
from mammoshift.pixelstore.reader import PixelStore
from mammoshift.provenance.reuse import keep, restore, result_key

CARRIED = ("patient_id", "laterality", "view", "density", "lesion_types")
BATCH_SIZE = 32
FILE = "predictions.parquet"


@dataclass(frozen=True)
class ScoringJob:
    """The files and settings of scoring all datasets of a study with the models of one arm.

    Attributes
    ----------
    settings
        The leaves `task`, `source`, `datasets`, `shards` and `input`.
    code
        Fingerprint of the code.
    models
        Seed -> folder of the model that was trained with it.
    split
        The source's split.
    manifests
        One for each dataset, in the order of `datasets`.
    pixels
        Dataset -> folders of its pixel store.
    threads
        CPU threads.
    """

    settings: Mapping[str, Any]
    code: Mapping[str, str]
    models: Mapping[int, Path]
    split: Path
    manifests: tuple[Path, ...]
    pixels: Mapping[str, list[Path]]
    threads: int


def run_scoring(job: ScoringJob, outputs: Mapping[tuple[int, str], Path]) -> None:
    """Write one prediction table for each seed and dataset; one that is still valid is restored.

    Finished tables are kept under their keys beside the models. An image is read once for the
    models of all seeds.
    """
    manifests = dict(zip(job.settings["datasets"], job.manifests, strict=True))
    keys = {(seed, name): _key(job, seed, name, manifests[name]) for seed, name in outputs}
    missing: dict[str, list[int]] = {}
    for (seed, dataset), key in keys.items():
        if restore(_kept(job, seed, dataset), key, {FILE: outputs[seed, dataset]}):
            print(f"{dataset}, seed {seed}: restored")
        else:
            missing.setdefault(dataset, []).append(seed)
    tables = {dataset: _cases(job, dataset, manifests[dataset]) for dataset in missing}
    for dataset, seed, logits in _logits(job, missing, tables) if missing else ():
        output = outputs[seed, dataset]
        write_predictions(tables[dataset].assign(logit=logits), output)
        keep(_kept(job, seed, dataset), keys[seed, dataset], {FILE: output})
        print(f"{dataset}, seed {seed}: scored {len(logits)} images")


def _logits(
    job: ScoringJob, missing: Mapping[str, list[int]], tables: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[str, int, NDArray[np.float64]]]:
    """Yield dataset, seed and the logits of the dataset's cases, for all that is missing.

    On a machine with several GPUs one is claimed, before torch first looks for it. Torch takes
    seconds to import, so that a job with nothing to score does without.
    """
    from mammoshift.execution.determinism import deterministic_torch
    from mammoshift.execution.device import choose_device
    from mammoshift.models.saved_model import load_model
    from mammoshift.scoring.score import score_with

    with claim_gpu(local_gpu_identifiers(), default_claim_folder()):
        device = choose_device("auto")
        with deterministic_torch(device, job.threads):
            seeds = sorted({seed for own in missing.values() for seed in own})
            models = {seed: load_model(job.models[seed], device) for seed in seeds}
            for dataset, own in missing.items():
                pixels = PixelStore.open(job.pixels[dataset])
                image_ids = tables[dataset]["image_id"].tolist()
                classifiers = [models[seed][0] for seed in own]
                size = models[own[0]][1].arm.input.size
                logits = score_with(classifiers, size, pixels, image_ids, BATCH_SIZE, device)
                yield from ((dataset, seed, row) for seed, row in zip(own, logits, strict=True))


def _kept(job: ScoringJob, seed: int, dataset: str) -> Path:
    return job.models[seed] / "kept_predictions" / dataset


def _key(job: ScoringJob, seed: int, dataset: str, manifest: Path) -> str:
    is_source = dataset == job.settings["source"]
    indexes = [folder / "index.parquet" for folder in job.pixels[dataset]]
    model = [job.models[seed] / "model.safetensors", job.models[seed] / "model.json"]
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
    other = table["density_scale"].notna() & (table["density_scale"] != "birads")
    # `d` is dense on the MIAS scale and extremely dense on that of BI-RADS.
    table.loc[other, "density"] = table["density_scale"] + "_" + table["density"]
    return table[["image_id", *CARRIED, "subset", "label"]]
