"""Features of a patient's four views and other arms' scores of them, boosted trees on top.

After the thesis on domain adaptation (UIS 2025): the score of a network for each view, the
OpenBreast features of each view and the age, standardised, projected on principal components,
then gradient boosting. It scores patients.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError, model_validator

from mammoshift.configuration.model import ArmBase, InputRecipe
from mammoshift.contracts.fitted import FittedRecord
from mammoshift.errors import TrainingError, WeightsError
from mammoshift.radiomics.settings import Boosting, BoostingGrid, MissingViews, PatientFeatures

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from mammoshift.kinds._protocol import FitRequest, ScoreRequest
    from mammoshift.radiomics.boosting import FittedBoosting


class RadiomicsArm(ArmBase):
    """Boosted trees on features of a patient's four views.

    `input` is what the features are taken of, as an array that a network too could take.
    `estimator` has the published settings unless they are given; with `search` they are the best
    of a grid by cross-validation of the training patients, `grid: {}` is the published one.
    """

    kind: Literal["radiomics"] = "radiomics"  # pyright: ignore[reportIncompatibleVariableOverride]
    input: InputRecipe
    features: PatientFeatures = PatientFeatures()
    estimator: Boosting = Boosting()
    grid: BoostingGrid | None = None
    missing_views: MissingViews = "training_mean"

    @model_validator(mode="after")
    def _has_something_to_learn_from(self) -> RadiomicsArm:
        if self.initialisation != "random":
            raise ValueError(
                "initialisation: nothing is taken over; name arms whose scores are read under "
                "features.scores_of"
            )
        if self.features.set is None and not self.features.scores_of:
            raise ValueError("features: give a set, scores_of or both")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The arms whose scores are read."""
        return self.features.scores_of

    @property
    def feature_set(self) -> str | None:
        """The features of images that are read."""
        return self.features.set

    @property
    def takes_pixels(self) -> bool:
        """Features and scores alone."""
        return False

    @property
    def unit(self) -> Literal["patient"]:
        """What is scored."""
        return "patient"


ARM = RadiomicsArm
CASE_COLUMNS = ("unit_id", "unit_label", "laterality", "view", "age")
SCORED_COLUMNS = ("unit_id", "laterality", "view", "age")
SCORES_UNITS = True


class RadiomicsRecord(FittedRecord):
    """The record of a fitted model; its arrays are in `model.safetensors`.

    `columns` name the vector that the model takes; columns of which no training patient has a
    value are not among them. `without_all_views` counts training patients who lack a view.
    """

    arm: RadiomicsArm
    columns: tuple[str, ...]
    label: str
    selected_epoch: int
    training_cases: int
    training_positives: int
    without_all_views: int
    fitted_with: Boosting
    searched: int
    cross_validated_auc: float | None
    versions: dict[str, str]
    lineage: dict[str, object]


def fit(request: FitRequest) -> None:
    """Fit one run on its training patients and write its artefacts.

    Raises
    ------
    TrainingError
        If a class has no training patient, or a search fewer than it has folds.
    """
    import sklearn

    from mammoshift.kinds._history import write_one_row
    from mammoshift.radiomics.boosting import fit_boosting

    arm = request.arm
    assert isinstance(arm, RadiomicsArm)
    vectors = _vectors(arm, request.cases, request.features, request.scores)
    patients = request.cases.groupby("unit_id", sort=True)[["subset", "unit_label"]].first()
    in_training = (patients["subset"] == "train").to_numpy()
    labels = patients["unit_label"].to_numpy(dtype="int64")
    training = vectors[in_training]
    columns = [name for name in vectors.columns if training[name].notna().any()]
    if not columns:
        raise TrainingError(f"{request.run}: no training patient has a value of any feature")
    try:
        fitted = fit_boosting(
            training[columns].to_numpy(dtype="float64"),
            labels[in_training],
            arm.estimator,
            request.run.seed,
            arm.grid,
            progress=print,
        )
    except TrainingError as error:
        raise TrainingError(f"{request.run}: {error}") from None
    record = RadiomicsRecord(
        arm=arm,
        columns=tuple(columns),
        label=request.task,
        seed=request.run.seed,
        selected_epoch=1,
        training_cases=int(in_training.sum()),
        training_positives=int(labels[in_training].sum()),
        without_all_views=_without_all_views(request.cases, patients.index[in_training]),
        fitted_with=fitted.settings,
        searched=fitted.searched,
        cross_validated_auc=fitted.cross_validated_auc,
        versions={"scikit-learn": sklearn.__version__},
        lineage=dict(request.lineage),
    )
    print(
        f"{record.training_cases} training patients, {record.training_positives} positive; "
        f"{len(columns)} of {len(vectors.columns)} columns have a value; "
        f"{record.without_all_views} patients lack a view, for which {arm.missing_views} stands"
    )
    logits = fitted.model.logits(vectors[columns].to_numpy(dtype="float64"))
    _write(request.folder, record, fitted.model)
    subsets = patients["subset"].to_numpy()
    parts = [subsets == name for name in ("train", "validation")]
    write_one_row(request.folder, *((logits[own], labels[own]) for own in parts))


def score(request: ScoreRequest) -> NDArray[np.float64]:
    """Return logits, shape (models, units), units sorted by `unit_id`.

    Raises
    ------
    WeightsError
        If a folder does not hold a whole model, or one for other features.
    """
    import numpy as np

    rows = []
    for place, folder in enumerate(request.models):
        record, model = _read(folder)
        scores = request.scores[place] if request.scores else None
        vectors = _vectors(record.arm, request.cases, request.features, scores)
        unknown = [name for name in record.columns if name not in vectors.columns]
        if unknown:
            raise WeightsError(f"{folder}: the model takes {unknown[0]}, which no image has")
        rows.append(model.logits(vectors[list(record.columns)].to_numpy(dtype="float64")))
    return np.array(rows)


def _vectors(
    arm: RadiomicsArm,
    cases: pd.DataFrame,
    features: pd.DataFrame | None,
    scores: pd.DataFrame | None,
) -> pd.DataFrame:
    from mammoshift.radiomics.patient import patient_vectors

    wanted = None if scores is None else scores[list(arm.reads)]
    return patient_vectors(cases, arm.features, features, wanted, arm.missing_views)


def _without_all_views(cases: pd.DataFrame, patients: pd.Index) -> int:
    from mammoshift.radiomics.patient import VIEWS

    own = cases[cases["unit_id"].isin(patients)]
    pairs = own["laterality"].astype("string") + "/" + own["view"].astype("string")
    four = pairs.isin([f"{side}/{view}" for side, view in VIEWS])
    found = pairs[four].groupby(own["unit_id"]).nunique().reindex(patients, fill_value=0)
    return int((found < len(VIEWS)).sum())


def _write(folder: Path, record: RadiomicsRecord, model: FittedBoosting) -> None:
    from safetensors.numpy import save_file

    from mammoshift.files import atomic_path, write_text_atomically

    with atomic_path(folder / "model.safetensors") as temporary:
        save_file(model.tensors(), temporary)
    write_text_atomically(folder / "model.json", record.model_dump_json(indent=2) + "\n")


def _read(folder: Path) -> tuple[RadiomicsRecord, FittedBoosting]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from mammoshift.radiomics.boosting import FittedBoosting

    try:
        record = RadiomicsRecord.model_validate_json((folder / "model.json").read_bytes())
        model = FittedBoosting.of_tensors(load_file(folder / "model.safetensors"))
    except (OSError, ValidationError, SafetensorError, ValueError) as error:
        raise WeightsError(f"{folder}: holds no whole model of radiomics: {error}") from error
    if model.mean.shape != (len(record.columns),):
        raise WeightsError(
            f"{folder}: takes {len(model.mean)} values, and its record names {len(record.columns)}"
        )
    return record, model
