"""The curves, each an arm with a seed, that are chosen from anyone's table of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import typer
from numpy.typing import NDArray
from scipy.special import logit

from mammoshift.commands.options import Row, note_of
from mammoshift.commands.scores_of_a_study import read_scores, refuse_other_scale
from mammoshift.contracts.external_predictions import DatasetScores
from mammoshift.contracts.prediction_file import quoted
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
class Curve:
    """The cases of one dataset as one arm with one seed scores them.

    Attributes
    ----------
    source
        The dataset as it was read.
    arm, seed
        Which of its curves; the arm is "" and the seed None where the table has no such column.
    scores
        [N], finite.
    note
        What was done to the scores; empty otherwise.
    """

    source: DatasetScores
    arm: str
    seed: str | None
    scores: FloatArray
    note: str = ""

    @property
    def dataset(self) -> str | None:
        """Its name; None when the table has no such column."""
        return self.source.dataset

    @property
    def labels(self) -> NDArray[np.int8]:
        """[N], 0 or 1."""
        return self.source.labels

    @property
    def patients(self) -> NDArray[np.intp] | None:
        """[N] codes; None when every case counts as independent."""
        return self.source.patients

    @cached_property
    def identity(self) -> IdentifiedScores:
        """The scores as they were read, and who the cases are."""
        return self.source.identified(self.source.curves.index((self.arm, self.seed)))

    @property
    def named(self) -> Row:
        """The columns that say in a row which curve it is of."""
        return {"dataset": self.dataset, "arm": self.arm or None, "seed": self.seed}


@dataclass(frozen=True)
class CurveTable:
    """A table of predictions, reduced to the curves that were chosen."""

    path: Path
    parts: tuple[Curve, ...]
    cluster_column: str | None
    warning: str = ""
    log_odds: bool = False
    note: str = ""

    @property
    def curves(self) -> tuple[tuple[str, str | None], ...]:
        """The arms and seeds, each once."""
        return tuple(dict.fromkeys((part.arm, part.seed) for part in self.parts))

    def settings(self, level: float) -> Row:
        """Return what a report says of this table."""
        arms = list(dict.fromkeys(arm for arm, _ in self.curves))
        seeds = list(dict.fromkeys(seed for _, seed in self.curves))
        return {
            "table": self.path.name,
            "arm": arms[0] or None if len(arms) == 1 else None,
            "seed": seeds[0] if len(seeds) == 1 else None,
            "cluster": self.cluster_column,
            "level": level,
            "warning": self.warning,
            "note": note_of(self.note, self.cluster_column),
        }

    def where(self, part: Curve) -> str:
        """Name one dataset of the table, for messages."""
        return f"{self.path}, dataset {part.dataset}" if part.dataset else str(self.path)

    def curve_like(self, other: Curve, option: str) -> Curve:
        """Return the curve of this table that serves another one: the same arm and seed.

        A table with a single curve serves any.

        Raises
        ------
        TableError
            If the table has several datasets, or lacks the arm and seed; it names `option`.
        """
        own = [part for part in self.parts if (part.arm, part.seed) == (other.arm, other.seed)]
        names = list(dict.fromkeys(part.dataset for part in own or self.parts))
        if len(names) > 1:
            raise TableError(
                f"{self.path}: column dataset: {len(names)} datasets "
                f"({', '.join(str(name) for name in names)}); {option} needs a table with one"
            )
        if own or len(self.curves) == 1:
            return (own or self.parts)[0]
        raise TableError(
            f"{self.path}: {option} has no scores of {curve_text(other.arm, other.seed)}; it has "
            f"{', '.join(curve_text(*curve) for curve in self.curves)}. Choose with --arm, or add "
            "the scores"
        )


def generator(command: str, part: Curve, what: str) -> np.random.Generator:
    """Return the random stream of one purpose, the same in every run of the command."""
    return generator_for(command, part.dataset or "", part.arm, part.seed or "", what)


def curve_text(arm: str, seed: str | None) -> str:
    """Name a curve in a message."""
    named = f"arm {quoted(arm)}" if arm else "the arm"
    return f"{named}, seed {quoted(seed)}" if seed is not None else named


def refuse_shared_cases(
    reported: CurveTable, other: CurveTable, option: str, other_patients: bool
) -> None:
    """Raise when cases or patients would be fitted on and reported at once.

    Contents are compared, not paths: a copy of a table is the same table.

    Parameters
    ----------
    reported, other
        The table that is reported, and that of `option`.
    other_patients
        Whether the caller says that equal patient identifiers mean different patients.

    Raises
    ------
    TableError
        If the two share cases or patients.
    """
    where = other.path
    why = (
        "what is fitted on a case says nothing about that case. Give other patients' predictions, "
        "or leave the option out"
    )
    for part in reported.parts:
        shared = overlap(part.identity, other.curve_like(part, option).identity)
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


def read_curves(
    path: Path,
    cluster: str | None = None,
    arm: str | None = None,
    seed: str | None = None,
    *,
    validation: bool = False,
) -> CurveTable:
    """Read a table and choose its curves: all of them, or those of one arm, of one seed.

    Of a study's folder `validation` takes the validation cases in the place of those that are
    reported.

    Raises
    ------
    TableError
        If the table cannot be used (see `read_scores`), or has no such arm or seed.
    """
    predictions = read_scores(path, cluster, single_arm=True, validation=validation)
    curves = dict.fromkeys(curve for part in predictions.datasets for curve in part.curves)
    _check_there(path, "arm", arm, dict.fromkeys(name for name, _ in curves))
    curves = [curve for curve in curves if arm is None or curve[0] == arm]
    _check_there(path, "seed", seed, dict.fromkeys(s or "" for _, s in curves))
    curves = [curve for curve in curves if seed is None or (curve[1] or "") == seed]
    parts = tuple(
        Curve(part, *curve, part.scores[part.curves.index(curve)])
        for part in predictions.datasets
        for curve in curves
        if curve in part.curves
    )
    return CurveTable(
        path,
        parts,
        predictions.cluster_column,
        log_odds=predictions.log_odds,
        note=predictions.note,
    )


def as_logits(table: CurveTable, scores: str | None) -> CurveTable:
    """Return the table with logits as scores.

    Probabilities of exactly 0 or 1 have no logit; they are moved to 2^-24 and 1 - 2^-24, and
    the note of the curve says how many.

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
    if scores == "any":
        raise typer.BadParameter(
            "any: this command needs to know what the scores are: logit or probability"
        )
    if scores is not None and scores not in SCALES:
        raise typer.BadParameter(f"{scores!r}: the scores are one of {', '.join(SCALES)}")
    if table.log_odds:
        refuse_other_scale(scores)
        return table
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


def _as_logits(part: Curve) -> Curve:
    certain = int(np.count_nonzero((part.scores == 0.0) | (part.scores == 1.0)))
    note = (
        f"probabilities of exactly 0 or 1 ({certain} of {part.scores.size}) were moved by "
        f"{NEAREST_TO_CERTAIN:.1e}; give logits to keep their order"
        if certain
        else ""
    )
    return replace(part, scores=as_probable_logits(part.scores, ""), note=note)


def _check_there(path: Path, column: str, wanted: str | None, names: Sequence[str] | dict) -> None:
    if wanted is not None and wanted not in names:
        known = ", ".join(quoted(name) for name in names)
        raise TableError(
            f"{path}: column {column}: there is no {quoted(wanted)}; it has {known or 'none'}"
        )


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
