"""All predictions of a study, aligned: for each dataset and subset, arms x seeds x cases."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.contracts.predictions import read_predictions
from mammoshift.errors import TableError
from mammoshift.statistics.auc import AucEstimate, auc_covariance

FloatArray = NDArray[np.float64]
SUBGROUP_COLUMNS = {
    "density": "density",
    "view": "view",
    "laterality": "laterality",
    "lesion_type": "lesion_types",
}


@dataclass(frozen=True)
class Cell:
    """The predictions for one subset of one dataset.

    Attributes
    ----------
    dataset, subset
        Names; the subset is validation, test or target.
    cases
        One row for each evaluated unit, with the columns of a prediction table but the logit.
    logits
        [arms, seeds, cases].
    arms, seeds
        What the first two axes are.
    """

    dataset: str
    subset: str
    cases: pd.DataFrame
    logits: FloatArray
    arms: tuple[str, ...]
    seeds: tuple[int, ...]

    @cached_property
    def labels(self) -> NDArray[np.int8]:
        """[cases], 0 or 1."""
        return self.cases["label"].to_numpy(dtype=np.int8)

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """[cases], a number for each patient; a case of unknown patient is its own."""
        owner = self.cases["patient_id"].where(
            self.cases["patient_id"].notna(), "\0" + self.cases["image_id"]
        )
        return np.unique(owner.to_numpy(dtype=str), return_inverse=True)[1]

    @property
    def patients_unknown(self) -> bool:
        """Whether some case has no patient, so that independence is assumed for it."""
        return bool(self.cases["patient_id"].isna().any())

    @property
    def curves(self) -> FloatArray:
        """[arms * seeds, cases], the seeds of one arm one after another."""
        return self.logits.reshape(-1, self.logits.shape[2])

    @property
    def ensemble(self) -> FloatArray:
        """[arms, cases], the mean logit of the seeds."""
        return self.logits.mean(axis=1)

    @cached_property
    def auc(self) -> AucEstimate:
        """AUC of every curve and their covariance, clustered by patient."""
        return auc_covariance(self.labels, self.curves, self.clusters)

    def positions(self, arm: str) -> list[int]:
        """Return where an arm's curves are, seed by seed."""
        start = self.arms.index(arm) * len(self.seeds)
        return list(range(start, start + len(self.seeds)))

    def only(self, keep: NDArray[np.bool_]) -> Cell:
        """Return the cell restricted to some cases."""
        cases = self.cases[keep].reset_index(drop=True)
        logits = self.logits[:, :, keep]
        return Cell(self.dataset, self.subset, cases, logits, self.arms, self.seeds)

    def subgroups(self, name: str) -> dict[str, Cell]:
        """Return the cell's parts by the values of a subgroup variable, sorted by value.

        The parts of `lesion_type` are not disjoint, and images without a lesion are in none: a
        positive has one, so the negatives without are added to every part.
        """
        column = self.cases[SUBGROUP_COLUMNS[name]]
        if name != "lesion_type":
            values = sorted(column.dropna().unique())
            return {value: self.only((column == value).to_numpy()) for value in values}
        types = sorted({part for text in column.dropna() for part in text.split("+")})
        bare = (column.isna() & (self.cases["label"] == 0)).to_numpy()
        has = {
            kind: column.fillna("").str.split("+").map(set).map(lambda s, k=kind: k in s)
            for kind in types
        }
        return {kind: self.only(has[kind].to_numpy(dtype=bool) | bare) for kind in types}


@dataclass(frozen=True)
class Grid:
    """Every cell of a study, by (dataset, subset), in the order of the study."""

    cells: Mapping[tuple[str, str], Cell]
    source: str

    @property
    def test(self) -> Cell:
        """The held-out patients of the source."""
        return self.cells[self.source, "test"]

    @property
    def validation(self) -> Cell:
        """The source's validation patients: the only data that choices are made on."""
        return self.cells[self.source, "validation"]

    @property
    def targets(self) -> list[Cell]:
        """The external targets."""
        return [cell for (_, subset), cell in self.cells.items() if subset == "target"]

    @property
    def reported(self) -> list[Cell]:
        """The cells that results are reported for: the source's test patients, the targets."""
        return [self.test, *self.targets]


def load_grid(study: Mapping[str, Any], paths: Sequence[str]) -> Grid:
    """Read all prediction tables of a study and align them by image.

    Parameters
    ----------
    study
        Leaves with `datasets` (the source first), `arms`, `seeds` and `aggregation`.
    paths
        One table for each dataset, arm and seed, in that nesting.

    Raises
    ------
    TableError
        If two tables of one dataset hold different images or labels.
    """
    datasets, arms, seeds = study["datasets"], tuple(study["arms"]), tuple(study["seeds"])
    runs = list(itertools.product(arms, seeds))
    if len(paths) != len(datasets) * len(runs):
        raise TableError(
            f"{len(paths)} prediction tables for {len(datasets)} datasets, {len(arms)} arms and "
            f"{len(seeds)} seeds"
        )
    cells: dict[tuple[str, str], Cell] = {}
    for position, dataset in enumerate(datasets):
        own = paths[position * len(runs) : (position + 1) * len(runs)]
        cases, logits = _aligned([Path(path) for path in own], study["aggregation"])
        stacked = logits.reshape(len(arms), len(seeds), -1)
        for subset in sorted(cases["subset"].unique(), reverse=True):
            keep = (cases["subset"] == subset).to_numpy()
            whole = Cell(dataset, subset, cases, stacked, arms, seeds)
            cells[dataset, subset] = whole.only(keep)
    return Grid(cells, datasets[0])


def _aligned(
    paths: Sequence[Path], aggregation: Mapping[str, str]
) -> tuple[pd.DataFrame, FloatArray]:
    first: pd.DataFrame | None = None
    rows: list[FloatArray] = []
    for path in paths:
        table = _aggregate(read_predictions(path), aggregation)
        table = table.sort_values("image_id", kind="stable").reset_index(drop=True)
        cases = table.drop(columns="logit")
        if first is None:
            first = cases
        elif not cases[["image_id", "label", "subset"]].equals(
            first[["image_id", "label", "subset"]]
        ):
            raise TableError(
                f"{path}: holds other images or labels than {paths[0]}; delete both and run again"
            )
        rows.append(table["logit"].to_numpy(dtype=np.float64))
    assert first is not None
    return first, np.stack(rows)


def _aggregate(table: pd.DataFrame, aggregation: Mapping[str, str]) -> pd.DataFrame:
    """Combine the images of a breast or a patient.

    The label is positive if any image's is, and the lesions are those of all images; of the other
    columns only what the images agree on is kept.
    """
    unit = aggregation["unit"]
    if unit == "image":
        return table
    keys = ["patient_id", "laterality"] if unit == "breast" else ["patient_id"]
    known = table[keys].notna().all(axis=1)
    owner = table[keys].astype(str).agg("/".join, axis=1).where(known, table["image_id"])
    groups = table.assign(image_id=owner).groupby(["subset", "image_id"], sort=True)
    same = ["patient_id", "laterality", "view", "density"]
    smallest, largest = groups[same].min(), groups[same].max()
    combined = smallest.where(smallest == largest)
    combined["lesion_types"] = groups["lesion_types"].agg(_all_types)
    combined["label"] = groups["label"].max()
    combined["logit"] = groups["logit"].agg(aggregation["combine"])
    return combined.reset_index()


def _all_types(texts: pd.Series) -> str | None:
    """Return the lesion types of several images as one text, None where no image has one."""
    types = {part for text in texts.dropna() for part in text.split("+")}
    return "+".join(sorted(types)) or None
