"""The state of an unfinished training, kept so that a killed job can go on.

A run folder holds the last two checkpoints and `events.jsonl`, to which every attempt adds lines.
A checkpoint's name carries a part of the SHA-256 of its content, so that a damaged file is known
before it is read. The folder must not be a declared output of the workflow: those are deleted when
a job fails.
"""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from mammoshift.files import atomic_path, sha256_of_file

KEPT = 2
DIGEST_LENGTH = 16
EVENTS = "events.jsonl"
UNFINISHED = "unfinished"
_NAME = re.compile(rf"checkpoint-(\d+)-([0-9a-f]{{{DIGEST_LENGTH}}})\.pt")


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
    """
    unfinished = folder / f"{UNFINISHED}.pt"
    # A process that was killed while it wrote leaves a file that nobody else removes.
    for abandoned in folder.glob(f".{UNFINISHED}-*"):
        abandoned.unlink()
    with atomic_path(unfinished) as temporary:
        torch.save({"key": key, "state": state}, temporary)
    digest = sha256_of_file(unfinished)[:DIGEST_LENGTH]
    path = unfinished.rename(folder / f"checkpoint-{step:09d}-{digest}.pt")
    for old in _checkpoints(folder)[KEPT:]:
        old.unlink()
    return path


def find_checkpoint(folder: Path, key: str) -> Found:
    """Return the newest checkpoint in `folder` that is whole and belongs to `key`."""
    rejected = []
    for path in _checkpoints(folder):
        try:
            return Found(_read_checkpoint(path, key), tuple(rejected))
        except _UnusableCheckpointError as reason:
            rejected.append(f"{path.name} {reason}")
    return Found(None, tuple(rejected))


def clear_checkpoints(folder: Path) -> None:
    """Delete every checkpoint in `folder`, and nothing else."""
    for path in _checkpoints(folder):
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
    if not folder.is_dir():
        return []
    named = [
        (int(match[1]), path.stat().st_mtime_ns, path)
        for path in folder.iterdir()
        if (match := _NAME.fullmatch(path.name))
    ]
    return [path for _step, _written, path in sorted(named, reverse=True)]


class _UnusableCheckpointError(Exception):
    """Why a checkpoint is passed over."""


def _read_checkpoint(path: Path, key: str) -> dict[str, Any]:
    if not sha256_of_file(path).startswith(path.stem.rpartition("-")[2]):
        raise _UnusableCheckpointError("is damaged")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise _UnusableCheckpointError("was written by another version of PyTorch") from error
    if not isinstance(content, dict) or content.get("key") != key:
        raise _UnusableCheckpointError("belongs to other data, settings or versions")
    return content["state"]
