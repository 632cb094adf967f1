"""A logistic regression on what is known of a case without its image: age, density, view, device.

It is the baseline of case mix: what of a classifier's accuracy, and of its loss elsewhere, could
come from who was imaged, and with what, alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from mammoshift.configuration.model import ArmBase, Positive, Strict
from mammoshift.contracts.fitted import FittedRecord
from mammoshift.errors import TrainingError, WeightsError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from mammoshift.kinds._protocol import FitRequest, ScoreRequest

Column = Literal["age", "density", "view", "laterality", "manufacturer", "detector", "site"]
NUMBERS = frozenset({"age"})
MAXIMUM_ITERATIONS = 10_000


class CovariatesArm(ArmBase):
    """A logistic regression on columns of the cases; `penalty` is that of the squared weights.

    Texts become one column for each value that training has seen, numbers are standardised, and
    a missing number is the mean with a column of its own.
    """

    kind: Literal["covariates"] = "covariates"  # pyright: ignore[reportIncompatibleVariableOverride]
    columns: Annotated[tuple[Column, ...], Field(min_length=1)] = ("age", "density", "view")
    penalty: Positive = 1.0


ARM = CovariatesArm
CASE_COLUMNS = ("label", "age", "density", "view", "laterality", "manufacturer", "detector", "site")
SCORED_COLUMNS = CASE_COLUMNS[1:]
SCORES_UNITS = False


class Term(Strict):
    """One column of the design: an indicator of a value, or a standardised number."""

    column: Column
    value: str | None = None
    missing: bool = False
    mean: float = 0.0
    scale: float = 1.0


class CovariatesRecord(FittedRecord):
    """The record of a fitted model; the weights are in `model.safetensors`."""

    arm: CovariatesArm
    terms: tuple[Term, ...]
    label: str
    selected_epoch: int
    training_cases: int
    training_positives: int
    versions: dict[str, str]
    lineage: dict[str, object]


def fit(request: FitRequest) -> None:
    """Fit one run and write its artefacts; the seed has no effect.

    Raises
    ------
    TrainingError
        If a class has no training case, or the fit does not converge.
    """
    import numpy as np
    import sklearn
    from sklearn.linear_model import LogisticRegression

    from mammoshift.kinds._history import write_one_row

    arm = request.arm
    assert isinstance(arm, CovariatesArm)
    training = request.cases[request.cases["subset"] == "train"]
    labels = training["label"].to_numpy(dtype=int)
    if len(set(labels.tolist())) < 2:
        raise TrainingError(f"{request.run}: the training cases are all of one class")
    terms = _terms(training, arm.columns)
    regression = LogisticRegression(C=1.0 / arm.penalty, max_iter=MAXIMUM_ITERATIONS)
    regression.fit(_design(training, terms), labels)
    if regression.n_iter_.max() >= MAXIMUM_ITERATIONS:
        raise TrainingError(f"{request.run}: the fit does not converge; raise penalty")
    weights = np.asarray(regression.coef_, dtype=np.float64)[0]
    bias = float(np.asarray(regression.intercept_)[0])
    record = CovariatesRecord(
        arm=arm,
        terms=tuple(terms),
        label=request.task,
        seed=request.run.seed,
        selected_epoch=1,
        training_cases=len(training),
        training_positives=int(labels.sum()),
        versions={"scikit-learn": sklearn.__version__},
        lineage=dict(request.lineage),
    )
    _write(request.folder, record, weights, bias)
    parts = []
    for subset in ("train", "validation"):
        own = request.cases[request.cases["subset"] == subset]
        parts.append((_design(own, terms) @ weights + bias, own["label"].to_numpy(dtype=int)))
    write_one_row(request.folder, *parts)


def score(request: ScoreRequest) -> NDArray[np.float64]:
    """Return logits, shape (models, cases).

    Raises
    ------
    WeightsError
        If a folder does not hold a whole model.
    """
    import numpy as np

    rows = []
    for folder in request.models:
        record, weights, bias = _read(folder)
        rows.append(_design(request.cases, record.terms) @ weights + bias)
    return np.array(rows).reshape(len(request.models), len(request.cases))


def _terms(cases: pd.DataFrame, columns: Sequence[Column]) -> list[Term]:
    terms: list[Term] = []
    for column in columns:
        values = cases[column].dropna()
        if column not in NUMBERS:
            terms += [Term(column=column, value=value) for value in sorted(values.unique())]
        elif len(values):
            numbers = values.astype(float)
            scale = float(numbers.std(ddof=0))
            terms.append(Term(column=column, mean=float(numbers.mean()), scale=scale or 1.0))
            terms.append(Term(column=column, missing=True))
    return terms


def _design(cases: pd.DataFrame, terms: Sequence[Term]) -> NDArray[np.float64]:
    """Return (cases, terms)."""
    import numpy as np

    design = np.zeros((len(cases), len(terms)))
    for place, term in enumerate(terms):
        values = cases[term.column]
        if term.value is not None:
            design[:, place] = values.eq(term.value).fillna(False)
        elif term.missing:
            design[:, place] = values.isna()
        else:
            numbers = values.astype("Float64").to_numpy(dtype=float, na_value=term.mean)
            design[:, place] = (numbers - term.mean) / term.scale
    return design


def _write(
    folder: Path, record: CovariatesRecord, weights: NDArray[np.float64], bias: float
) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    from mammoshift.files import atomic_path, write_text_atomically

    tensors: Mapping[str, NDArray[np.float64]] = {
        "weights": np.ascontiguousarray(weights, dtype=np.float64),
        "bias": np.array([bias]),
    }
    with atomic_path(folder / "model.safetensors") as temporary:
        save_file(dict(tensors), temporary)
    write_text_atomically(folder / "model.json", record.model_dump_json(indent=2) + "\n")


def _read(folder: Path) -> tuple[CovariatesRecord, NDArray[np.float64], float]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        record = CovariatesRecord.model_validate_json((folder / "model.json").read_bytes())
        tensors = load_file(folder / "model.safetensors")
        weights, bias = tensors["weights"], float(tensors["bias"][0])
    except (OSError, ValidationError, SafetensorError, KeyError) as error:
        raise WeightsError(f"{folder}: holds no whole model of covariates: {error}") from error
    if weights.shape != (len(record.terms),):
        raise WeightsError(f"{folder}: {len(weights)} weights for {len(record.terms)} terms")
    return record, weights, bias
