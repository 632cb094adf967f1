"""Another arm's scores of a patient's images, combined: the baseline of an arm that learns more.

Nothing is fitted; the arm's own domain is where its threshold and temperature are chosen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from mammoshift.configuration.model import ArmBase, Name
from mammoshift.contracts.fitted import FittedRecord
from mammoshift.errors import WeightsError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from mammoshift.kinds._protocol import FitRequest, ScoreRequest


class CombinedArm(ArmBase):
    """The largest, or the mean, logit of a patient's images, of all arms in `scores_of`."""

    kind: Literal["combined"] = "combined"  # pyright: ignore[reportIncompatibleVariableOverride]
    scores_of: Annotated[tuple[Name, ...], Field(min_length=1)]
    combine: Literal["max", "mean"] = "max"

    @model_validator(mode="after")
    def _starts_from_nothing(self) -> CombinedArm:
        if self.initialisation != "random":
            raise ValueError("initialisation: nothing is taken over; name arms under scores_of")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The arms whose scores are combined."""
        return self.scores_of

    @property
    def takes_pixels(self) -> bool:
        """Scores alone."""
        return False

    @property
    def unit(self) -> Literal["patient"]:
        """What is scored."""
        return "patient"


ARM = CombinedArm
CASE_COLUMNS = ("unit_id", "unit_label")
SCORED_COLUMNS = ("unit_id",)
SCORES_UNITS = True


class CombinedRecord(FittedRecord):
    """The record of an arm that has nothing else."""

    arm: CombinedArm
    label: str
    selected_epoch: int
    training_cases: int
    training_positives: int
    versions: dict[str, str]
    lineage: dict[str, object]


def fit(request: FitRequest) -> None:
    """Write the record of a run; nothing is learned."""
    from importlib.metadata import version

    from safetensors.numpy import save_file

    from mammoshift.files import atomic_path, write_text_atomically
    from mammoshift.kinds._history import write_one_row

    arm = request.arm
    assert isinstance(arm, CombinedArm)
    assert request.scores is not None
    patients = request.cases.groupby("unit_id", sort=True)[["subset", "unit_label"]].first()
    logits = _combined(arm, request.cases, request.scores)
    labels = patients["unit_label"].to_numpy(dtype="int64")
    subsets = patients["subset"].to_numpy()
    parts = [(logits[subsets == s], labels[subsets == s]) for s in ("train", "validation")]
    record = CombinedRecord(
        arm=arm,
        label=request.task,
        seed=request.run.seed,
        selected_epoch=1,
        training_cases=len(parts[0][1]),
        training_positives=int(parts[0][1].sum()),
        versions={"mammoshift": version("mammoshift")},
        lineage=dict(request.lineage),
    )
    with atomic_path(request.folder / "model.safetensors") as temporary:
        save_file({}, temporary)
    write_text_atomically(request.folder / "model.json", record.model_dump_json(indent=2) + "\n")
    write_one_row(request.folder, *parts)


def score(request: ScoreRequest) -> NDArray[np.float64]:
    """Return logits, shape (models, units), units sorted by `unit_id`.

    Raises
    ------
    WeightsError
        If a folder does not hold the record of such an arm.
    """
    import numpy as np

    return np.array(
        [
            _combined(_read(folder).arm, request.cases, scores)
            for folder, scores in zip(request.models, request.scores, strict=True)
        ]
    )


def _combined(arm: CombinedArm, cases: pd.DataFrame, scores: pd.DataFrame) -> NDArray[np.float64]:
    own = scores[list(arm.scores_of)].reindex(cases["case_id"])
    of_arms = own.groupby(cases["unit_id"].to_numpy(), sort=True).agg(arm.combine)
    return of_arms.agg(arm.combine, axis=1).to_numpy(dtype="float64")


def _read(folder: Path) -> CombinedRecord:
    try:
        return CombinedRecord.model_validate_json((folder / "model.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise WeightsError(f"{folder}: holds no record of combined scores: {error}") from error
