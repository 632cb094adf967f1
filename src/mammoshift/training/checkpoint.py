"""The state of an unfinished training, kept so that a killed job can go on.

A run folder holds the last two checkpoints, the models that they name, and `events.jsonl`, to which
every attempt adds lines. A model that was kept (the selected one, or a stage's best) is a file of
its own, written once, since it changes more seldom than the rest. The name of a file carries a part
of the SHA-256 of its content, so that a damaged one is known before it is read. The folder must not
be a declared output of the workflow: those are deleted when a job fails.
"""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mammoshift.files import atomic_path, sha256_of_file
from mammoshift.provenance.planned_code import check_code

KEPT = 2
DIGEST_LENGTH = 16
EVENTS = "events.jsonl"
UNFINISHED = "unfinished"
MODEL = "model"
MODELS = "models"
"""Key of a state under which the files of kept models stand by their roles, or their tensors."""
ROLES = 2
"""Most models that one checkpoint names."""
_NAME = re.compile(rf"(checkpoint|{MODEL})-(\d+)-([0-9a-f]{{{DIGEST_LENGTH}}})\.pt")


@dataclass(frozen=True)
class KeptModel:
    """A model that is kept, and in which epoch, counted from 1, it was made."""

    epoch: int
    state: Mapping[str, Tensor]


class CheckpointWriter:
    """Writes checkpoints beside the training, one at a time.

    Parameters
    ----------
    folder
        The run folder.
    key
        Identifies what is being trained, on what, with which settings.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder, self._key = folder, key
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._written: Future[Path] | None = None
        self._names: dict[int, str] = {}

    def save(self, step: int, state: dict[str, Any], models: Mapping[str, KeptModel]) -> None:
        """Copy `state` now and write it beside the training, after the one before it.

        Parameters
        ----------
        step
            Orders the checkpoints.
        state
            Tensors, numbers, text, lists and dicts only.
        models
            At most `ROLES` by their roles; those of one epoch are equal and must not change.

        Raises
        ------
        OSError
            If the checkpoint before this could not be written.
        """
        self.wait()
        self._written = self._pool.submit(self._write, step, on_cpu(state), dict(models))

    def wait(self) -> None:
        """Return when all is on the disk, or raise what kept it from there."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def _write(self, step: int, state: dict[str, Any], models: Mapping[str, KeptModel]) -> Path:
        names = {role: self._name_of(model) for role, model in models.items()}
        return save_checkpoint(self._folder, self._key, step, {**state, MODELS: names})

    def _name_of(self, model: KeptModel) -> str:
        """Return the name of a model's file, which is written if it is a new one."""
        name = self._names.get(model.epoch)
        if name is not None and (self._folder / name).is_file():
            # Of the models the last ones used are kept.
            os.utime(self._folder / name)
            return name
        stem = f"{MODEL}-{model.epoch:06d}"
        name = _save_named(self._folder, stem, dict(model.state)).name
        self._names[model.epoch] = name
        return name


def on_cpu(value: Any) -> Any:
    """Copy the tensors in nested dicts, lists and tuples to the CPU, apart from what changes."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: on_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(on_cpu(item) for item in value)
    return value


@dataclass(frozen=True)
class Found:
    """The newest usable state of a run folder, or None, and what was passed over on the way."""

    state: dict[str, Any] | None
    rejected: tuple[str, ...]


def save_checkpoint(folder: Path, key: str, step: int, state: dict[str, Any]) -> Path:
    """Save `state` for the training with `key`, and drop all but the last checkpoints.

    Parameters
    ----------
    folder
        The run folder; made when absent.
    key
        Identifies what is being trained, on what, with which settings.
    step
        Number of optimiser steps done; orders the checkpoints.
    state
        Tensors, numbers, text, lists and dicts only.

    Raises
    ------
    CodeChangedError
        If the code is no longer the one that this job was planned with: another job with `key`
        would go on from what it did.
    """
    check_code()
    path = _save_named(folder, f"checkpoint-{step:09d}", {"key": key, "state": state})
    for old in _checkpoints(folder)[KEPT:] + _kept_models(folder)[KEPT * ROLES :]:
        old.unlink()
    return path


def _save_named(folder: Path, stem: str, content: dict[str, Any]) -> Path:
    """Save `content` under `stem` and a part of the SHA-256 of the file."""
    unfinished = folder / f"{UNFINISHED}.pt"
    # A process that was killed while it wrote leaves a file that nobody else removes.
    for abandoned in folder.glob(f".{UNFINISHED}-*"):
        abandoned.unlink()
    with atomic_path(unfinished) as temporary:
        torch.save(content, temporary)
    digest = sha256_of_file(unfinished)[:DIGEST_LENGTH]
    return unfinished.rename(folder / f"{stem}-{digest}.pt")


def find_checkpoint(folder: Path, key: str) -> Found:
    """Return the newest checkpoint in `folder` that is whole and belongs to `key`.

    The state's `models` hold the tensors of the kept models by their roles.
    """
    rejected = []
    for path in _checkpoints(folder):
        try:
            return Found(_read_checkpoint(path, key), tuple(rejected))
        except _UnusableCheckpointError as reason:
            rejected.append(f"{path.name} {reason}")
    return Found(None, tuple(rejected))


def clear_checkpoints(folder: Path) -> None:
    """Delete every checkpoint and kept model in `folder`, and nothing else."""
    for path in _checkpoints(folder) + _kept_models(folder):
        path.unlink()


def append_event(folder: Path, event: str, **details: str | int | float | None) -> None:
    """Add one line to the run folder's history."""
    folder.mkdir(parents=True, exist_ok=True)
    line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event, **details}
    with (folder / EVENTS).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def _checkpoints(folder: Path) -> list[Path]:
    """Checkpoints by their steps, the newest first.

    Those of one step (before and after its validation) are told apart by when they were written.
    """
    named = [
        (int(match[2]), path.stat().st_mtime_ns, path)
        for path, match in _named(folder)
        if match[1] == "checkpoint"
    ]
    return [path for _step, _written, path in sorted(named, reverse=True)]


def _kept_models(folder: Path) -> list[Path]:
    """Return the kept models, the last that a checkpoint named first."""
    named = [(path.stat().st_mtime_ns, path) for path, match in _named(folder) if match[1] == MODEL]
    return [path for _used, path in sorted(named, reverse=True)]


def _named(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    if not folder.is_dir():
        return []
    found = ((path, _NAME.fullmatch(path.name)) for path in folder.iterdir())
    return [(path, match) for path, match in found if match]


class _UnusableCheckpointError(Exception):
    """Why a checkpoint is passed over."""


def _read_checkpoint(path: Path, key: str) -> dict[str, Any]:
    content = _read_whole(path, "")
    if content.get("key") != key:
        raise _UnusableCheckpointError("belongs to other data, settings or versions")
    state = content["state"]
    if MODELS not in state:
        return state
    models = {role: _read_model(path, name) for role, name in state[MODELS].items()}
    return {**state, MODELS: models}


def _read_model(checkpoint: Path, name: str) -> dict[str, Any]:
    path = checkpoint.with_name(name)
    if not path.is_file():
        raise _UnusableCheckpointError(f"names {name}, which is absent")
    return _read_whole(path, f"names {name}, which ")


def _read_whole(path: Path, what: str) -> dict[str, Any]:
    if not sha256_of_file(path).startswith(path.stem.rpartition("-")[2]):
        raise _UnusableCheckpointError(f"{what}is damaged")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise _UnusableCheckpointError(
            f"{what}was written by another version of PyTorch"
        ) from error
    if not isinstance(content, dict):
        raise _UnusableCheckpointError(f"{what}is no checkpoint")
    return content
