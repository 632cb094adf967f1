"""From the files of a study to one finished training: what the rule `train_arm` does."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammoshift.cases.task import class_names
from mammoshift.configuration.model import Arm, Backbone, FromArm
from mammoshift.contracts.manifest import read_manifest
from mammoshift.contracts.split import read_split
from mammoshift.errors import TrainingError
from mammoshift.execution.gpu_claim import claim_gpu, default_claim_folder, local_gpu_identifiers
from mammoshift.pixelstore.reader import PixelStore
from mammoshift.training.artefacts import write_artefacts
from mammoshift.training.loop import train_arm
from mammoshift.training.request import Cases, Execution, TrainingRequest

KNOWN_DENSITY_SCALE = "birads"


@dataclass(frozen=True)
class TrainingJob:
    """The files and settings of one training.

    Attributes
    ----------
    settings
        The leaves `arm`, `backbone` and `task`, and the `seed`.
    split, manifest
        Tables of the source.
    pixels
        Folders of the source's pixel store.
    start
        Converted weights, or the model file of another arm; None for random weights.
    run_folder
        State of an unfinished training; removed when it is finished.
    key
        Of everything that decides the result.
    threads
        CPU threads.
    """

    settings: Mapping[str, Any]
    split: Path
    manifest: Path
    pixels: list[Path]
    start: Path | None
    run_folder: Path
    key: str
    threads: int


def run_training(job: TrainingJob, folder: Path) -> None:
    """Train, or go on with an unfinished training, and write the artefacts into `folder`.

    On a machine with several GPUs one is claimed for as long as the training lasts.

    Raises
    ------
    TrainingError
        If another process still trains in the same run folder.
    """
    arm = Arm.model_validate(job.settings["arm"])
    store = PixelStore.open(job.pixels)
    cases = {subset: _cases(job, store, subset) for subset in ("train", "validation")}
    start = job.start
    if start is not None and isinstance(arm.initialisation, FromArm):
        start = start.parent
    with (
        _alone_in(job.run_folder),
        claim_gpu(local_gpu_identifiers(), default_claim_folder()) as gpu,
    ):
        print("no GPU was claimed" if gpu is None else f"GPU {gpu}")
        request = TrainingRequest(
            arm=arm,
            backbone=Backbone.model_validate(job.settings["backbone"]),
            seed=job.settings["seed"],
            training=cases["train"],
            validation=cases["validation"],
            pixels=store,
            execution=Execution(job.run_folder),
            start=start,
            label=job.settings["task"],
            classes=class_names(job.settings["task"]),
            data_key=job.key,
        )
        result = train_arm(request, progress=print)
        write_artefacts(folder, request, result)
        shutil.rmtree(job.run_folder)


@contextmanager
def _alone_in(run_folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder, so that no two processes write one training's state.

    A job that outlived its Snakemake may still be training when the next Snakemake starts
    another. The kernel drops the lock when its holder ends. Some network file systems have no
    locks; there the training goes on without.
    """
    run_folder.parent.mkdir(parents=True, exist_ok=True)
    path = run_folder.with_name(f".{run_folder.name}.lock")
    with path.open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"{run_folder}: another process trains here, perhaps a job that outlived its "
                "Snakemake; wait for its end or cancel it, then run again"
            ) from None
        except OSError as error:
            print(
                f"{run_folder}: its file system has no locks ({error.strerror}); "
                "make sure that no other process trains here"
            )
        yield


def _cases(job: TrainingJob, store: PixelStore, subset: str) -> Cases:
    """Return the labelled images of a subset that could be decoded.

    Only densities on the BI-RADS scale are known to the density head; `d` is dense on the MIAS
    scale and extremely dense on this one.
    """
    split = read_split(job.split)
    manifest = read_manifest(job.manifest).set_index("image_id")
    density = manifest["density"].where(manifest["density_scale"] == KNOWN_DENSITY_SCALE)
    stored = set(store.image_ids)
    own = split[(split["subset"] == subset) & split["image_id"].isin(stored)]
    own = own.sort_values("image_id")
    print(f"{subset}: {len(own)} images, {int(own['label'].sum())} positive")
    return Cases.make(
        own["image_id"].tolist(), own["label"].to_numpy(), density.reindex(own["image_id"]).tolist()
    )
