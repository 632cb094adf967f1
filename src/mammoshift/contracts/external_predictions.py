"""Anyone's predictions: a table with one row for each case, arm and seed.

Columns: `case_id`, `label` (0 or 1), `arm`, `score` (higher is more suspicious) and optionally
`seed`, `patient_id` (or another column that groups dependent cases) and `dataset`; others are
ignored. Identifiers are compared as text. Every arm and seed of a dataset must score the same
cases, so that differences are paired. Messages name lines, never identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from mammoshift.contracts.prediction_file import PredictionFile, column_names, quoted, read_columns
from mammoshift.contracts.shared_cases import IdentifiedScores, Keys
from mammoshift.errors import TableError

REQUIRED = ("case_id", "label", "arm", "score")
DEFAULT_CLUSTER = "patient_id"
NO_CLUSTER = "none"
_WHOLE = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True)
class Identifiers:
    """The identifiers of N cases: texts, which other datasets may share, and which one each has."""

    texts: pa.StringArray
    codes: NDArray[np.intp]

    @cached_property
    def keys(self) -> Keys:
        """[N] hashes; worked out when first asked for, since a table may have millions."""
        occurs = self._occurring
        return self._hashes(np.flatnonzero(occurs))[(np.cumsum(occurs) - 1)[self.codes]]

    @cached_property
    def distinct_keys(self) -> Keys:
        """The hashes of the identifiers that occur, each once."""
        return self._hashes(np.flatnonzero(self._occurring))

    @property
    def _occurring(self) -> NDArray[np.bool_]:
        occurs = np.zeros(len(self.texts), dtype=bool)
        occurs[self.codes] = True
        return occurs

    def _hashes(self, codes: NDArray[np.intp]) -> Keys:
        texts = np.array(self.texts.take(pa.array(codes)).to_pylist(), dtype=object)
        return pd.util.hash_array(texts, categorize=False)


@dataclass(frozen=True)
class DatasetScores:
    """The scores of all curves on the cases of one dataset.

    Attributes
    ----------
    dataset
        Its name; None when the table has no such column.
    labels
        [N], 0 or 1.
    scores
        [K, N], finite.
    curves
        The K curves as (arm, seed); the seed is None where the table has none. Arms keep the
        order of the table, seeds are sorted within an arm.
    patients
        [N] codes 0, 1, 2, ... of the cluster column; None without one.
    case_names, patient_names
        The identifiers as they are written, to compare them between tables.
    """

    dataset: str | None
    labels: NDArray[np.int8]
    scores: NDArray[np.float64]
    curves: tuple[tuple[str, str | None], ...]
    patients: NDArray[np.intp] | None
    case_names: Identifiers
    patient_names: Identifiers | None

    @property
    def one_class(self) -> bool:
        """Whether all labels are equal."""
        return bool(self.labels.min() == self.labels.max())

    @property
    def fewest_patients(self) -> int:
        """How many patients have a case of the rarer class; cases, where patients are unknown."""
        sides = (self.labels == 0, self.labels == 1)
        if self.patients is None:
            return min(int(np.count_nonzero(side)) for side in sides)
        # Codes are 0, 1, 2, ..., so that counting them is cheaper than sorting.
        return min(int(np.count_nonzero(np.bincount(self.patients[side]))) for side in sides)

    def identified(self, curve: int) -> IdentifiedScores:
        """Return the scores of one curve with the identity of the cases."""
        return IdentifiedScores(
            self.labels,
            self.scores[curve],
            self.case_names.keys,
            None if self.patient_names is None else self.patient_names.distinct_keys,
        )


@dataclass(frozen=True)
class ExternalPredictions:
    """A checked table: its datasets in order, and the column that groups dependent cases.

    `log_odds` is whether the scores are known to be that; `note` says where the cases are from,
    if they were chosen from more. `reference` is the arm that they were planned to be compared
    with, where that is known to be one.
    """

    datasets: tuple[DatasetScores, ...]
    cluster_column: str | None
    log_odds: bool = False
    note: str = ""
    reference: str | None = None


def read_external_predictions(
    path: Path, cluster: str | None = None, single_arm: bool = False
) -> ExternalPredictions:
    """Read and check a CSV (comma, UTF-8, header) or Parquet table of predictions.

    Parameters
    ----------
    path
        The suffix .parquet or .pq is Parquet, any other CSV.
    cluster
        Column that groups dependent cases. By default `patient_id` where the table has it;
        `none` treats every case as independent.
    single_arm
        Whether the column `arm` may be missing; then all rows belong to the arm "".

    Raises
    ------
    TableError
        If the file cannot be read, a column or a value is missing, a label is neither 0 nor 1, a
        score is not finite, a case occurs twice for one arm and seed, has two labels or two
        patients, or is missing for an arm. The message names file, line and column.
    """
    columns = column_names(path)
    required = tuple(name for name in REQUIRED if not (single_arm and name == "arm"))
    cluster_column = _cluster_column(path, columns, cluster)
    missing = [name for name in required if name not in columns]
    if missing:
        one = len(columns) == 1 and re.search(r"[;\t]", columns[0])
        remedy = "Separate the columns by commas" if one else "Rename or add them"
        raise TableError(
            f"{path}: columns missing: {', '.join(missing)}; the table has "
            f"{', '.join(quoted(name) for name in columns) or 'none'}. {remedy}"
        )
    optional = [name for name in ("arm", "seed", "dataset", cluster_column) if name in columns]
    wanted = list(dict.fromkeys([*required, *(name for name in optional if name)]))
    table = read_columns(path, wanted)
    return ExternalPredictions(tuple(_datasets(table, cluster_column)), cluster_column)


def _datasets(table: PredictionFile, cluster_column: str | None) -> Iterator[DatasetScores]:
    labels = table.labels()
    scores = table.numbers("score")
    cases, case_names = table.identifiers("case_id")
    absent = np.zeros(table.size, dtype=np.intp), [""]
    arms, arm_names = table.texts("arm") if "arm" in table else absent
    seeds, seed_names = table.texts("seed", may_be_empty=True) if "seed" in table else absent
    seed_names = [_as_whole_number(name) for name in seed_names]
    patients, patient_names = table.identifiers(cluster_column) if cluster_column else (None, None)
    parts, names = table.texts("dataset") if "dataset" in table else absent
    for part in _in_order_of_appearance(parts):
        rows = np.flatnonzero(parts == part)
        yield _dataset(
            table,
            rows,
            names[part] or None,
            labels[rows],
            scores[rows],
            cases[rows],
            _curves(table, rows, arms[rows], seeds[rows], arm_names, seed_names),
            None if patients is None else (cluster_column or "", patients[rows]),
            case_names,
            patient_names,
        )


def _dataset(
    table: PredictionFile,
    rows: NDArray[np.intp],
    name: str | None,
    labels: NDArray[np.int8],
    scores: NDArray[np.float64],
    cases: NDArray[np.intp],
    curves: tuple[NDArray[np.intp], tuple[tuple[str, str | None], ...]],
    patients: tuple[str, NDArray[np.intp]] | None,
    case_names: pa.StringArray,
    patient_names: pa.StringArray | None,
) -> DatasetScores:
    _, first, case = np.unique(cases, return_index=True, return_inverse=True)
    # Cases keep the order of the table.
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    first, case = first[order], place[case]
    curve, curve_names = curves
    _check_complete(table, rows, case, curve, curve_names, first)
    for column, values in (("label", labels), *((patients,) if patients else ())):
        conflict = np.flatnonzero(values != values[first][case])
        if conflict.size:
            row = int(conflict[0])
            table.fail(
                int(rows[row]),
                column,
                f"differs from {table.line(int(rows[first[case[row]]]))}, which has the same "
                "case_id",
                f"a case has one {column}; correct one of the two",
            )
    matrix = np.empty((len(curve_names), first.size))
    matrix[curve, case] = scores
    clusters = None if patients is None else np.unique(patients[1][first], return_inverse=True)[1]
    return DatasetScores(
        name,
        labels[first],
        matrix,
        curve_names,
        clusters,
        Identifiers(case_names, cases[first]),
        None
        if patients is None or patient_names is None
        else Identifiers(patient_names, patients[1][first]),
    )


def _check_complete(
    table: PredictionFile,
    rows: NDArray[np.intp],
    case: NDArray[np.intp],
    curve: NDArray[np.intp],
    names: tuple[tuple[str, str | None], ...],
    first: NDArray[np.intp],
) -> None:
    """Raise unless every curve has exactly one score for every case."""
    key = curve * first.size + case
    order = np.argsort(key, kind="stable")
    repeated = np.flatnonzero(np.diff(key[order]) == 0)
    if repeated.size:
        at = order[repeated + 1].argmin()
        earlier, later = order[repeated[at]], order[repeated[at] + 1]
        table.fail(
            int(rows[later]),
            "case_id",
            f"the same case, {_curve_text(names[curve[later]])}, is already in "
            f"{table.line(int(rows[earlier]))}",
            "keep one score for each case, arm and seed (and dataset)",
        )
    counts = np.bincount(curve, minlength=len(names))
    short = np.flatnonzero(counts < first.size)
    if short.size:
        scored = np.zeros(first.size, dtype=bool)
        scored[case[curve == short[0]]] = True
        lacking = np.flatnonzero(~scored)
        table.fail(
            int(rows[first[lacking[0]]]),
            "case_id",
            f"{_curve_text(names[short[0]])} has no score for this case "
            f"({lacking.size} of {first.size} cases are missing)",
            "paired comparisons need every case scored by every arm and seed; add the scores or "
            "leave the cases out for all",
        )


def _curves(
    table: PredictionFile,
    rows: NDArray[np.intp],
    arms: NDArray[np.intp],
    seeds: NDArray[np.intp],
    arm_names: list[str],
    seed_names: list[str],
) -> tuple[NDArray[np.intp], tuple[tuple[str, str | None], ...]]:
    """Return each row's curve and the curves as (arm, seed)."""
    texts, seed_of = np.unique(np.array(seed_names, dtype=object), return_inverse=True)
    pairs, code = np.unique(arms * len(texts) + seed_of[seeds], return_inverse=True)
    found = [
        (arm_names[pair // len(texts)], str(texts[pair % len(texts)])) for pair in pairs.tolist()
    ]
    appearance = {arm_names[arm]: i for i, arm in enumerate(_in_order_of_appearance(arms))}
    with_seed = {name for name, seed in found if seed}
    for arm, seed in found:
        if not seed and arm in with_seed:
            without = np.flatnonzero(code == found.index((arm, "")))[0]
            table.fail(
                int(rows[without]),
                "seed",
                "is empty, but other rows of this arm have a seed",
                "give every row of an arm its seed, or none",
            )
    order = sorted(
        range(len(found)), key=lambda i: (appearance[found[i][0]], _seed_order(found[i][1]))
    )
    place = np.empty(len(order), dtype=np.intp)
    place[order] = np.arange(len(order))
    return place[code], tuple((found[i][0], found[i][1] or None) for i in order)


def _cluster_column(path: Path, columns: list[str], cluster: str | None) -> str | None:
    if cluster == NO_CLUSTER:
        return None
    if cluster is None:
        return DEFAULT_CLUSTER if DEFAULT_CLUSTER in columns else None
    if cluster not in columns:
        raise TableError(
            f"{path}: there is no column {quoted(cluster)} to cluster by; the table has "
            f"{', '.join(quoted(name) for name in columns)}. Name one of them, or `none`"
        )
    return cluster


def _in_order_of_appearance(codes: NDArray[np.intp]) -> list[int]:
    values, first = np.unique(codes, return_index=True)
    return values[np.argsort(first)].tolist()


def _as_whole_number(text: str) -> str:
    """Return 3 for 3.0, which is how a column of whole numbers with gaps is often written."""
    head, dot, tail = text.partition(".")
    return head if _WHOLE.fullmatch(head) and dot and tail and not tail.strip("0") else text


def whole_number(text: str) -> int | None:
    """Return a text as the whole number that it writes, None where it writes none."""
    return int(text) if _WHOLE.fullmatch(text) else None


def _seed_order(seed: str) -> tuple[int, int, str]:
    number = whole_number(seed)
    return (1, 0, seed) if number is None else (0, number, "")


def _curve_text(curve: tuple[str, str | None]) -> str:
    arm, seed = curve
    return f"arm {quoted(arm)}" + (f", seed {quoted(seed)}" if seed is not None else "")
