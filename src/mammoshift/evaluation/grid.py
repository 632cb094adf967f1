"""All predictions of a study, aligned: for each domain and subset, arms x seeds x cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammoshift.configuration.judged import JudgedStudy, Subgroup
from mammoshift.contracts.cases import VALIDATION
from mammoshift.statistics.auc import AucEstimate, auc_covariance

FloatArray = NDArray[np.float64]
OVERLAPPING: Subgroup = "lesion_type"
"""The subgroup whose parts share cases: an image may show lesions of several types."""

_AGE_BAND = 10


@dataclass(frozen=True)
class Cell:
    """The predictions for one subset of one domain.

    Attributes
    ----------
    domain, subset
        Names; the subset is validation, test, out_of_fold or target.
    cases
        One row for each judged unit, sorted by `case_id`: case_id (that of the unit), patient_id,
        cluster (a text that the cases of a patient share), label, and the columns that subgroups
        are made of.
    logits
        [arms, seeds, cases].
    arms, seeds
        What the first two axes are.
    leak
        The split by rows or patches that put one patient into several subsets, or None.
    same_patients_as
        Other domains that hold the same patients; a patient's `cluster` is the same there.
    shares_datasets_with
        Other domains with images of the same archive, where that is so too.
    """

    domain: str
    subset: str
    cases: pd.DataFrame
    logits: FloatArray
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    leak: Literal["by_row", "by_patch"] | None = None
    same_patients_as: tuple[str, ...] = ()
    shares_datasets_with: tuple[str, ...] = ()

    @cached_property
    def labels(self) -> NDArray[np.int8]:
        """[cases], 0 or 1."""
        return self.cases["label"].to_numpy(dtype=np.int8)

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """[cases], a number for each patient; a case of unknown patient is its own."""
        return np.unique(self.cases["cluster"].to_numpy(dtype=str), return_inverse=True)[1]

    @property
    def clustered(self) -> bool:
        """Whether some patient has several cases."""
        return len(self.clusters) > 0 and int(self.clusters.max()) + 1 < len(self.clusters)

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

    def of(self, arm: str) -> FloatArray:
        """[seeds, cases], the logits of one arm."""
        return self.logits[self.arms.index(arm)]

    def positions(self, arm: str) -> list[int]:
        """Return where an arm's curves are, seed by seed."""
        start = self.arms.index(arm) * len(self.seeds)
        return list(range(start, start + len(self.seeds)))

    def only(self, keep: NDArray[np.bool_]) -> Cell:
        """Return the cell restricted to some cases."""
        cases = self.cases[keep].reset_index(drop=True)
        return replace(self, cases=cases, logits=self.logits[:, :, keep])

    def subgroup_values(self, name: Subgroup) -> pd.Series[str]:
        """Return each case's value of a subgroup variable as text, null where it is unknown.

        Ages stand in bands of ten years (`40-49`), pixel spacings with three decimals.
        """
        if name == "lesion_type":
            return self.cases["lesion_types"]
        values = self.cases[name]
        known = values.notna()
        if name == "age":
            start = (values[known].astype(int) // _AGE_BAND) * _AGE_BAND
            text = start.astype(str) + "-" + (start + _AGE_BAND - 1).astype(str)
        elif name == "pixel_spacing_mm":
            text = values[known].map(lambda spacing: f"{spacing:.3f}")
        else:
            text = values[known].astype(str)
        return text.astype("str").reindex(values.index)

    def strata(self, columns: Sequence[Subgroup]) -> NDArray[np.str_]:
        """Return each case's kind as text: its values of some columns, `unknown` where null."""
        parts = [self.subgroup_values(name).fillna("unknown").tolist() for name in columns]
        return np.array([" | ".join(values) for values in zip(*parts, strict=True)], dtype=str)

    def subgroups(self, name: Subgroup) -> dict[str, Cell]:
        """Return the cell's parts by the values of a subgroup variable, sorted by value.

        The parts of `lesion_type` are not disjoint, and images without a lesion are in none: a
        positive has one, so the negatives without are added to every part.
        """
        column = self.subgroup_values(name)
        if name != OVERLAPPING:
            values = sorted(column.dropna().unique())
            return {value: self.only((column == value).to_numpy(dtype=bool)) for value in values}
        types = sorted({part for text in column.dropna() for part in text.split("+")})
        bare = (column.isna() & (self.cases["label"] == 0)).to_numpy()
        has = {
            kind: column.fillna("").str.split("+").map(set).map(lambda s, k=kind: k in s)
            for kind in types
        }
        return {kind: self.only(has[kind].to_numpy(dtype=bool) | bare) for kind in types}


@dataclass(frozen=True)
class Grid:
    """Every cell of a study, by (domain, subset), in the order of the study."""

    study: JudgedStudy
    cells: Mapping[tuple[str, str], Cell]

    @property
    def validations(self) -> list[Cell]:
        """The validation patients of every domain that arms were trained on."""
        return [cell for (_, subset), cell in self.cells.items() if subset == VALIDATION]

    @property
    def reported(self) -> list[Cell]:
        """The cells that results are reported for."""
        return [cell for (_, subset), cell in self.cells.items() if subset != VALIDATION]

    @property
    def leading(self) -> list[Cell]:
        """The reported cell of each domain that comparisons and figures lead with."""
        keys = ((domain.name, domain.subsets[0]) for domain in self.study.domains)
        return [self.cells[key] for key in keys if key in self.cells]

    def validation_of(self, arm: str) -> Cell | None:
        """Return the only data that choices for an arm are made on: its own validation patients.

        None where there are none; `why_no_validation` then gives the reason.
        """
        return self._own(arm, VALIDATION)

    def own_of(self, arm: str) -> Cell | None:
        """Return the leading reported cell of an arm's own domain, None where it is not judged."""
        own = self.study.arm(arm).own_domain
        leads = [domain.subsets[0] for domain in self.study.domains if domain.name == own]
        return self._own(arm, leads[0]) if leads else None

    def foreign_to(self, arm: str) -> list[Cell]:
        """Return the reported cells with an arm's predictions for other domains than its own."""
        own = self.study.arm(arm).own_domain
        return [cell for cell in self.reported if cell.domain != own and arm in cell.arms]

    def why_no_validation(self, arm: str) -> str:
        """Return why there is nothing to choose a threshold or a temperature on."""
        own = self.study.arm(arm).own_domain
        if own not in self.study.arm(arm).judged_on:
            return why_not_judged(own)
        return f"undefined: the arm has no validation cases on its own domain {own}"

    def _own(self, arm: str, subset: str) -> Cell | None:
        cell = self.cells.get((self.study.arm(arm).own_domain, subset))
        return cell if cell is not None and arm in cell.arms else None


def why_not_judged(own: str) -> str:
    """Return why an arm has no result on its own domain."""
    return f"undefined: the arm is not judged on its own domain {own}"
