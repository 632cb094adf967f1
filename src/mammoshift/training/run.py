"""From the files of a study to one finished run: what the rule `train_arm` does.

A finished run is kept under a key of all that decides it: the arm's settings, the code, the seed,
the cases with their labels and the hashes of their pixels, and the model that it starts from. A
job whose key is known restores its run instead of training again.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mammoshift.configuration.arms import arm_classes
from mammoshift.configuration.model import Arm, ArmBase, Backbone
from mammoshift.configuration.search import Value
from mammoshift.contracts.cases import cases_digest, learned_cases, read_cases
from mammoshift.contracts.fitted import RECORD_NAME, WEIGHTS_NAME, name_run, seal_record
from mammoshift.contracts.run import Run
from mammoshift.errors import TrainingError
from mammoshift.execution.lock import alone_in
from mammoshift.kinds._inputs import CaseInputs, InputFiles
from mammoshift.kinds._protocol import FitRequest, kind_of
from mammoshift.provenance.reuse import Store, result_key

if TYPE_CHECKING:
    from mammoshift.training.request import EpochRecord

OUTPUTS = (WEIGHTS_NAME, RECORD_NAME, "history.csv")


@dataclass(frozen=True)
class TrainingJob:
    """The files and settings of one run.

    Attributes
    ----------
    run
        The arm, seed and fold.
    settings
        Everything that the run is told: `arm`, `backbone`, `task` and `lineage`.
    leaves, code
        What of it decides the result, and the fingerprint of the code.
    cases
        Table of the arm's domain.
    inputs
        What is read of the cases' images.
    start
        Converted weights, or the record `model.json` of the run to start from; None without.
    folder
        Where the run's files are written.
    chosen
        Values of settings, by their paths, that a search has chosen; None without one.
    given_up
        Is asked after every epoch, with the history so far, whether the training ends with it.
    store
        Where finished runs are kept; None for a folder `kept` beside them.
    log
        The file that everything printed goes to; None without.
    divided
        Says anew which of the run's cases are of `train` and which of `validation`; None for the
        domain's split.
    """

    run: Run
    settings: Mapping[str, Any]
    leaves: Mapping[str, Any]
    code: Mapping[str, str]
    cases: Path
    inputs: InputFiles
    start: Path | None
    folder: Path
    chosen: Mapping[str, Value] | None = None
    given_up: Callable[[Sequence[EpochRecord]], bool] | None = None
    store: Store | None = None
    log: Path | None = None
    divided: Callable[[pd.DataFrame], pd.Series[str]] | None = None


def run_training(job: TrainingJob) -> None:
    """Train, go on with an unfinished training, or restore a finished one.

    Raises
    ------
    TrainingError
        If the domain has no training case that could be decoded.
    """
    arm = arm_classes()[job.settings["arm"]["kind"]].model_validate(job.settings["arm"])
    if job.chosen is not None and isinstance(arm, Arm):
        arm = arm.with_chosen(job.chosen)
    table = learned_cases(read_cases(job.cases), job.run.fold)
    cases, inputs = _learnable(job, table)
    kind = kind_of(arm.kind)
    outputs = {name: job.folder / name for name in OUTPUTS}
    key = result_key(
        {
            "leaves": job.leaves,
            "code": job.code,
            "seed": job.run.seed,
            "cases": _digest(cases, kind.CASE_COLUMNS, inputs.hashes(cases, job.run.seed)),
            **({} if job.chosen is None else {"chosen": dict(job.chosen)}),
        },
        _files_of_start(job.start),
    )
    store = job.store or Store(job.folder / "kept")
    is_kept = store.once(
        key, outputs, lambda: _fit(job, arm, cases, inputs, key), f"training of {job.run}", job.log
    )
    # What is kept may have been of another fold with the same cases.
    name_run(job.folder, job.run, cases_digest(table))
    if is_kept:
        _drop_state(_run_folder(job))


def _run_folder(job: TrainingJob) -> Path:
    """Return where the state of an unfinished training lies."""
    return job.folder / "run"


def _drop_state(run_folder: Path) -> None:
    """Remove the state of a training that is finished, unless another process trains there."""
    if not run_folder.is_dir():
        return
    with contextlib.suppress(TrainingError), alone_in(run_folder):
        shutil.rmtree(run_folder)


def _fit(job: TrainingJob, arm: ArmBase, cases: pd.DataFrame, inputs: CaseInputs, key: str) -> None:
    backbone = job.settings["backbone"]
    kind_of(arm.kind).fit(
        FitRequest(
            arm=arm,
            run=job.run,
            backbone=None if backbone is None else Backbone.model_validate(backbone),
            task=job.settings["task"],
            cases=cases,
            pixels=inputs.pixels,
            features=inputs.features,
            scores=inputs.scores.get(job.run.seed),
            start=_start(job.start),
            folder=job.folder,
            run_folder=_run_folder(job),
            key=key,
            lineage=job.settings["lineage"],
            given_up=job.given_up,
        )
    )
    seal_record(job.folder)


def _learnable(job: TrainingJob, table: pd.DataFrame) -> tuple[pd.DataFrame, CaseInputs]:
    """Return those of the run's cases that could be decoded."""
    domain = str(table["domain"].iloc[0]) if len(table) else ""
    inputs = CaseInputs.open(job.inputs, table, domain, [job.run.seed])
    table = table[inputs.known(table)]
    if table.empty:
        raise TrainingError(f"{job.cases}: no training case of {job.run} could be decoded")
    if job.divided is not None:
        table = table.assign(subset=job.divided(table))
    return table.sort_values("case_id").reset_index(drop=True), inputs


def _digest(cases: pd.DataFrame, columns: Iterable[str], hashes: Iterable[str]) -> str:
    """Return a hash of the cases as far as a kind reads them, and of their images' hashes."""
    digest = hashlib.sha256()
    read = cases[["case_id", "subset", *columns]].astype("string").fillna("\0")
    for values in read.itertuples(index=False, name=None):
        digest.update("\1".join(values).encode() + b"\n")
    for value in hashes:
        digest.update(value.encode())
    return digest.hexdigest()


def _files_of_start(start: Path | None) -> list[Path]:
    if start is None:
        return []
    return [start, *([start.with_name(OUTPUTS[0])] if start.name == RECORD_NAME else [])]


def _start(start: Path | None) -> Path | None:
    """Return a weights file as it is, and of another run's record its folder."""
    return start.parent if start is not None and start.name == RECORD_NAME else start
