"""The record beside the weights of a model, as far as it is the same for every kind of arm.

A kind writes `model.safetensors` and `model.json` into a folder. The hash of the weights, and whose
run they are, are added to the record here for all kinds alike, so that other weights are always
another record, and no model is taken for that of another run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mammoshift.configuration.model import Strict
from mammoshift.contracts.run import Run
from mammoshift.errors import WeightsError
from mammoshift.files import write_text_atomically
from mammoshift.provenance.inputs import mending
from mammoshift.provenance.sums import check_sha256, remembered_sha256

WEIGHTS_NAME = "model.safetensors"
RECORD_NAME = "model.json"
WEIGHTS_SHA256 = "weights_sha256"


class FittedRecord(Strict):
    """What every kind's record has: the run, and what ties the record to the weights.

    `weights_sha256` is that of `model.safetensors`; `fold`, and `cases_sha256`
    (`mammoshift.contracts.cases.cases_digest`), say whose run it is. All three are None until they
    are filled in here.
    """

    seed: int
    fold: int | None = None
    cases_sha256: str | None = None
    weights_sha256: str | None = None


def seal_record(folder: Path) -> None:
    """Write the hash of a model's weights into its record."""
    _set(folder, {WEIGHTS_SHA256: remembered_sha256(folder / WEIGHTS_NAME)})


def name_run(folder: Path, run: Run, cases: str) -> None:
    """Write into a model's record which fold it is of, and the digest of what it learned from."""
    _set(folder, {"fold": run.fold, "cases_sha256": cases})


def check_weights(folder: Path) -> None:
    """Compare the weights of a model with the hash in its record.

    Raises
    ------
    DamagedFileError
        If they are missing or not those that the record was written with.
    WeightsError
        If the record cannot be read, or does not say.
    """
    path = folder / WEIGHTS_NAME
    expected = read_fields(folder / RECORD_NAME).get(WEIGHTS_SHA256)
    if not isinstance(expected, str):
        raise WeightsError(
            f"{folder / RECORD_NAME}: does not say of which weights it is; {mending(path)}"
        )
    check_sha256(path, expected, mending(path))


def read_fields(record: Path) -> dict[str, Any]:
    """Return the fields of a record of whatever kind.

    Raises
    ------
    WeightsError
        If it is absent or no record.
    """
    try:
        found = json.loads(record.read_bytes())
    except OSError as error:
        raise WeightsError(f"{record}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{record}: is no record of a trained model: {error}") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{record}: is no record of a trained model: it has no fields")
    return found


def _set(folder: Path, fields: dict[str, Any]) -> None:
    path = folder / RECORD_NAME
    before = read_fields(path)
    after = {**before, **fields}
    if after != before:
        text = json.dumps(after, indent=2, ensure_ascii=False)
        write_text_atomically(path, text + "\n")
