"""The predictions of one arm and seed, chosen from anyone's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import typer
from numpy.typing import NDArray
from scipy.special import logit

from mammoshift.commands.options import INDEPENDENCE, Row
from mammoshift.contracts.external_predictions import DatasetScores, read_external_predictions
from mammoshift.contracts.shared_cases import IdentifiedScores, overlap
from mammoshift.errors import TableError
from mammoshift.statistics.inputs import FloatArray
from mammoshift.statistics.seeding import generator_for

SCALES = ("logit", "probability")
NEAREST_TO_CERTAIN = 2.0**-24
"""Distance from 0 and 1 that a certain probability is moved to: what float32 can still tell."""
LIKE_PROBABILITIES = (
    "WARNING: all scores lie in [0, 1] and were read as log-odds; if they are probabilities"
)
LARGEST_LOGIT = 1e9
"""Beyond it a score is no log-odds, and squares and sums leave the range of numbers."""


@dataclass(frozen=True)
class OneArm:
    """The cases of one dataset as one arm scores them.

    Attributes
    ----------
    dataset
        Its name; None when the table has no such column.
    labels
        [N], 0 or 1.
    scores
        [N], finite.
    patients
        [N] codes; None when every case counts as independent.
    identity
        The scores as they were read, and who the cases are.
    note
        What was done to the scores; empty otherwise.
    """

    dataset: str | None
    labels: NDArray[np.int8]
    scores: FloatArray
    patients: NDArray[np.intp] | None
    identity: IdentifiedScores
    note: str = ""


@dataclass(frozen=True)
class OneArmTable:
    """A table reduced to one arm and seed."""

    path: Path
    parts: tuple[OneArm, ...]
    arm: str
    seed: str | None
    cluster_column: str | None
    warning: str = ""

    def settings(self, level: float) -> Row:
        """Return what a report says of this table."""
        return {
            "table": self.path.name,
            "arm": self.arm or None,
            "seed": self.seed,
            "cluster": self.cluster_column,
            "level": level,
            "warning": self.warning,
            "note": "" if self.cluster_column else INDEPENDENCE,
        }

    def generator(self, command: str, part: OneArm, what: str) -> np.random.Generator:
        """Return the random stream of one purpose, the same in every run of the command."""
        return generator_for(command, part.dataset or "", self.arm, self.seed or "", what)

    def where(self, part: OneArm) -> str:
        """Name one dataset of the table, for messages."""
        return f"{self.path}, dataset {part.dataset}" if part.dataset else str(self.path)

    def only(self, option: str) -> OneArm:
        """Return the single dataset, or raise `TableError` that names `option`."""
        first, *others = self.parts
        if others:
            names = ", ".join(str(part.dataset) for part in self.parts)
            raise TableError(
                f"{self.path}: column dataset: {len(self.parts)} datasets ({names}); {option} "
                "needs a table with one"
            )
        return first


def refuse_shared_cases(
    reported: OneArmTable, other: OneArm, where: Path, option: str, other_patients: bool
) -> None:
    """Raise when cases or patients would be fitted on and reported at once.

    Contents are compared, not paths: a copy of a table is the same table.

    Parameters
    ----------
    reported, other
        The table that is reported, and the cases of `option`.
    where
        The table of `other`, for messages.
    other_patients
        Whether the caller says that equal patient identifiers mean different patients.

    Raises
    ------
    TableError
        If the two share cases or patients.
    """
    why = (
        "what is fitted on a case says nothing about that case. Give other patients' predictions, "
        "or leave the option out"
    )
    for part in reported.parts:
        shared = overlap(part.identity, other.identity)
        if shared.same_content:
            raise TableError(
                f"{where}: {option} holds the same labels and scores as {reported.where(part)}; "
                f"{why}"
            )
        if shared.cases:
            raise TableError(
                f"{where}: {option} shares {shared.cases} cases (case_id, label and score) with "
                f"{reported.where(part)}; {why}"
            )
        if shared.patients and not other_patients:
            raise TableError(
                f"{where}: {option} shares {shared.patients} patient identifiers with "
                f"{reported.where(part)}. If these are the same patients, give others, or leave "
                "the option out; if each table numbers its own patients, say --other-patients"
            )


def read_one_arm(
    path: Path, cluster: str | None = None, arm: str | None = None, seed: str | None = None
) -> OneArmTable:
    """Read a table and choose one arm and seed.

    Raises
    ------
    TableError
        If the table cannot be used (see `read_external_predictions`), or the arm or seed that
        is meant is not clear.
    """
    predictions = read_external_predictions(path, cluster, single_arm=True)
    names = {curve for part in predictions.datasets for curve in part.curves}
    chosen_arm = _choice(path, "arm", sorted({name for name, _ in names}), arm)
    seeds = sorted({s or "" for name, s in names if name == chosen_arm})
    chosen_seed = _choice(path, "seed", seeds, seed) or None
    parts = tuple(_part(path, part, chosen_arm, chosen_seed) for part in predictions.datasets)
    return OneArmTable(path, parts, chosen_arm, chosen_seed, predictions.cluster_column)


def as_logits(table: OneArmTable, scores: str | None) -> OneArmTable:
    """Return the table with logits as scores.

    Probabilities of exactly 0 or 1 have no logit; they are moved to 2^-24 and 1 - 2^-24, and
    the note of the dataset says how many.

    Parameters
    ----------
    table
        Any scores.
    scores
        `logit` or `probability`; None takes them as logits, with a warning in the note where all
        of them lie in [0, 1].

    Raises
    ------
    TableError
        If a probability lies outside [0, 1], or a logit beyond `LARGEST_LOGIT`; the row is named.
    """
    if scores is not None and scores not in SCALES:
        raise typer.BadParameter(f"{scores!r}: the scores are one of {', '.join(SCALES)}")
    if scores != "probability":
        low, high = -LARGEST_LOGIT, LARGEST_LOGIT
        wrong = f"is beyond {high:g} and no log-odds; divide the scores by a constant"
    else:
        low, high = 0.0, 1.0
        wrong = "is no probability in [0, 1]; give logits with --scores logit"
    for part in table.parts:
        if ((part.scores < low) | (part.scores > high)).any():
            row = _first_row_outside(table.path, low, high)
            raise TableError(f"{table.path}: {row}, column score: {wrong}")
    if scores == "probability":
        return replace(table, parts=tuple(_as_logits(part) for part in table.parts))
    if scores is None and look_like_probabilities([part.scores for part in table.parts]):
        return replace(table, warning=f"{LIKE_PROBABILITIES}, say --scores probability")
    return table


def as_probable_logits(scores: FloatArray, where: str) -> FloatArray:
    """Return the log-odds of probabilities, those of exactly 0 or 1 moved inside.

    Raises
    ------
    TableError
        If one lies outside [0, 1].
    """
    if ((scores < 0.0) | (scores > 1.0)).any():
        raise TableError(f"{where}: holds a value outside [0, 1]; give logits with --scores logit")
    inside = np.clip(scores, NEAREST_TO_CERTAIN, 1.0 - NEAREST_TO_CERTAIN)
    return np.asarray(logit(inside))


def look_like_probabilities(scores: Sequence[FloatArray]) -> bool:
    """Return whether all scores lie in [0, 1] without being all 0 or 1."""
    low, high = min(float(s.min()) for s in scores), max(float(s.max()) for s in scores)
    decisions = all(np.isin(s, (0.0, 1.0)).all() for s in scores)
    return low >= 0.0 and high <= 1.0 and not decisions


def _as_logits(part: OneArm) -> OneArm:
    certain = int(np.count_nonzero((part.scores == 0.0) | (part.scores == 1.0)))
    note = (
        f"probabilities of exactly 0 or 1 ({certain} of {part.scores.size}) were moved by "
        f"{NEAREST_TO_CERTAIN:.1e}; give logits to keep their order"
        if certain
        else ""
    )
    inside = np.clip(part.scores, NEAREST_TO_CERTAIN, 1.0 - NEAREST_TO_CERTAIN)
    return replace(part, scores=np.asarray(logit(inside)), note=note)


def _choice(path: Path, column: str, names: list[str], wanted: str | None) -> str:
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is not None and wanted in names:
        return wanted
    known = ", ".join(repr(name) for name in names)
    if wanted is None:
        raise TableError(
            f"{path}: column {column}: there are {len(names)} ({known}); choose with --{column}"
        )
    raise TableError(f"{path}: column {column}: there is no {wanted!r}; it has {known}")


def _part(path: Path, part: DatasetScores, arm: str, seed: str | None) -> OneArm:
    try:
        k = part.curves.index((arm, seed))
    except ValueError:
        raise TableError(
            f"{path}: dataset {part.dataset}: it has no scores of arm {arm!r}, seed {seed!r}"
        ) from None
    return OneArm(part.dataset, part.labels, part.scores[k], part.patients, part.identified(k))


def _first_row_outside(path: Path, low: float, high: float) -> str:
    """Name the first row whose score is outside; the table was read without error before."""
    if path.suffix.lower() in (".parquet", ".pq"):
        column = pq.ParquetFile(path).read(columns=["score"]).column("score")
    else:
        column = pacsv.read_csv(
            path,
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(include_columns=["score"]),
        ).column("score")
    values = pc.cast(column, "float64").to_numpy()
    row = int(np.flatnonzero((values < low) | (values > high))[0])
    return f"row {row + 1} (from 1, without the header)"
