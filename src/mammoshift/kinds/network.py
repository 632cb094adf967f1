"""Networks: a backbone with its heads, trained by gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammoshift.configuration.model import Arm
from mammoshift.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from mammoshift.kinds._protocol import FitRequest, ScoreRequest
    from mammoshift.training.request import Cases

ARM = Arm
CASE_COLUMNS = ("label", "density")
SCORED_COLUMNS: tuple[str, ...] = ()
SCORES_UNITS = False
BATCH_SIZE = 32


def fit(request: FitRequest) -> None:
    """Train one run, or go on with an unfinished training, and write its artefacts.

    On a machine with several GPUs one is claimed for as long as the training lasts.

    Raises
    ------
    TrainingError
        If another process still trains in the same run folder.
    """
    from mammoshift.cases.tasks import class_names
    from mammoshift.execution.gpu_claim import (
        claim_gpu,
        default_claim_folder,
        local_gpu_identifiers,
    )
    from mammoshift.execution.lock import alone_in
    from mammoshift.training.artefacts import write_artefacts
    from mammoshift.training.loop import train_arm
    from mammoshift.training.observers import make_observers, tell_all
    from mammoshift.training.request import Execution, TrainingRequest

    arm = request.arm
    if not isinstance(arm, ARM) or request.backbone is None or request.pixels is None:
        raise TrainingError(f"{request.run}: a network needs a backbone and images")
    with (
        alone_in(request.run_folder),
        claim_gpu(local_gpu_identifiers(), default_claim_folder()) as gpu,
    ):
        print("no GPU was claimed" if gpu is None else f"GPU {gpu}")
        training = TrainingRequest(
            arm=arm,
            backbone=request.backbone,
            seed=request.run.seed,
            training=_subset(request.cases, "train"),
            validation=_subset(request.cases, "validation"),
            pixels=request.pixels,
            execution=Execution(request.run_folder),
            start=request.start,
            label=request.task,
            classes=class_names(request.task),
            data_key=request.key,
            lineage=dict(request.lineage),
            given_up=request.given_up,
        )
        observers = make_observers(arm.training.observers or (), request.folder, str(request.run))
        result = train_arm(training, progress=print)
        tell_all(observers, result.history)
        write_artefacts(request.folder, training, result)


def score(request: ScoreRequest) -> NDArray[np.float64]:
    """Return logits, shape (models, cases); each image is read once for all models.

    On a machine with several GPUs one is claimed, before torch first looks for it.
    """
    from mammoshift.execution.gpu_claim import (
        claim_gpu,
        default_claim_folder,
        local_gpu_identifiers,
    )

    with claim_gpu(local_gpu_identifiers(), default_claim_folder()):
        return _scored(request)


def _scored(request: ScoreRequest) -> NDArray[np.float64]:
    from mammoshift.execution.compilation import compile_in_place, compiler_named
    from mammoshift.execution.determinism import deterministic_torch
    from mammoshift.execution.device import choose_device
    from mammoshift.models.saved_model import load_model, read_record
    from mammoshift.scoring.score import score_closely

    if request.pixels is None:
        raise TrainingError("a network needs images")
    device = choose_device("auto")
    arm = read_record(request.models[0]).arm
    training = arm.training
    with (
        deterministic_torch(device, training.threads, training.determinism),
        compiler_named(f"arm {arm.name}"),
    ):
        models = [load_model(folder, device)[0] for folder in request.models]
        if training.compile:
            compile_in_place(models, training.determinism)
        case_ids = request.cases["case_id"].tolist()
        scored = score_closely(models, arm.input.size, request.pixels, case_ids, BATCH_SIZE, device)
    if scored.again.any():
        print(
            f"{int(scored.again.sum())} of {scored.again.size} logits were not finite in "
            f"{arm.applied_precision} and were computed again in float32"
        )
    if scored.batch_size < BATCH_SIZE:
        print(
            f"{BATCH_SIZE} images at once do not fit into the memory of the GPU; "
            f"{scored.batch_size} were scored at once, which changes logits by rounding"
        )
    return scored.logits


def _subset(cases: pd.DataFrame, subset: str) -> Cases:
    """Return the cases of a subset; only BI-RADS densities are known to the density head."""
    from mammoshift.training.request import Cases

    own = cases[cases["subset"] == subset]
    print(f"{subset}: {len(own)} cases, {int(own['label'].sum())} positive")
    return Cases.make(own["case_id"].tolist(), own["label"].to_numpy(), own["density"].tolist())
