"""A domain with a real pixel store, and a kind of arm that counts what it is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.configuration.model import Arm, InputRecipe
from mammoshift.contracts.annotations import ANNOTATIONS_SCHEMA
from mammoshift.contracts.cases import CASES_SCHEMA, write_cases
from mammoshift.kinds._protocol import FitRequest, ScoreRequest
from mammoshift.pixelstore.bundle import collect_bundles, write_bundle
from mammoshift.pixelstore.receipt import write_receipt

RECIPE = InputRecipe(size=(24, 16), tone="full_range", crop="none", orientation="as_stored")
ARM = {
    "kind": "network",
    "name": "toy",
    "backbone": "tiny",
    "input": {"size": [24, 16]},
    "training": {"stages": [{"epochs": 1, "lr": 1e-3}]},
}
BACKBONE = {"architecture": "test_resnet", "channels": 1, "mean": [0.25], "std": [0.25]}


def write_store(folder: Path, dataset: str, names: list[str]) -> Path:
    """Write raw films and their pixel store; return its receipt."""
    raw = folder / "raw" / dataset
    raw.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 32), dtype=np.uint8)
        (raw / f"{name}.pgm").write_bytes(b"P5\n32 48\n255\n" + pixels.tobytes())
    files = pd.DataFrame(
        {
            "image_id": names,
            "dataset": dataset,
            "path": [f"{name}.pgm" for name in names],
            "pixel_spacing_mm": np.float32(0.5),
            "laterality": None,
            "view": None,
            "mirrored": False,
            "subtracted": False,
            "content_key": names,
            "owner": names,
        }
    )
    store = folder / "pixels" / dataset
    empty = ANNOTATIONS_SCHEMA.empty_table().to_pandas()
    receipt = write_bundle(files, empty, (0, 1), raw, RECIPE, {}, store)
    write_receipt(receipt, store / "0.json")
    whole = collect_bundles([store / "0.json"], store, store / "exclusions.csv")
    write_receipt(whole, store / "store.json")
    return store / "store.json"


def case_table(
    domain: str, dataset: str, names: list[str], subsets: list[tuple[str, ...]]
) -> pd.DataFrame:
    """Return cases of whole images; labels alternate."""
    table = pd.DataFrame(dict.fromkeys(CASES_SCHEMA.names), index=range(len(names)))
    return table.assign(
        case_id=names,
        domain=domain,
        dataset=dataset,
        image_id=names,
        item_id=names,
        patient_id=[f"p-{name}" for name in names],
        unit_id=names,
        label=[number % 2 for number in range(len(names))],
        unit_label=[number % 2 for number in range(len(names))],
        subsets=subsets,
        density=[["a", "mias_d", "d", None][number % 4] for number in range(len(names))],
    )


def write_case_table(path: Path, table: pd.DataFrame) -> Path:
    """Write cases and return the path."""
    write_cases(table, path)
    return path


@dataclass
class CountingKind:
    """Writes small files as a model and scores an image by its mean, times the model's number."""

    ARM: type = Arm
    CASE_COLUMNS: tuple[str, ...] = ("label", "density")
    SCORED_COLUMNS: tuple[str, ...] = ()
    SCORES_UNITS: bool = False
    fitted: list[FitRequest] = field(default_factory=list)
    scored: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)

    def fit(self, request: FitRequest) -> None:
        self.fitted.append(request)
        for name in ("model.safetensors", "model.json", "history.csv"):
            request.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(f"{name} of {request.run}")
            text = f'{{"seed": {request.run.seed}, "of": {text}}}'
            (request.folder / name).write_text(text, encoding="utf-8")

    def score(self, request: ScoreRequest) -> NDArray[np.float64]:
        self.scored.append(
            (tuple(folder.name for folder in request.models), tuple(request.cases["case_id"]))
        )
        assert request.pixels is not None
        means = np.array([request.pixels.read(case).mean() for case in request.cases["case_id"]])
        factors = [
            json.loads((folder / "model.json").read_text())["factor"] for folder in request.models
        ]
        return np.array([factor * means for factor in factors])
