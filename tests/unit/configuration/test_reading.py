"""Arms that read the scores of others: what they need of a study, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from mammoshift.configuration.reading import check_readers
from mammoshift.configuration.resolved import ResolvedStudy, resolve_study
from mammoshift.configuration.study import Study
from mammoshift.contracts.run import Run
from mammoshift.errors import ConfigurationError

RADIOMICS = {"kind": "radiomics", "train_on": "clinic", "features": {"scores_of": ["tuned"]}}
STUDY: dict[str, Any] = {
    "title": "A reader",
    "domains": {
        "film": {"dataset": "cbis_ddsm", "split": "patient_stratified"},
        "ffdm": {"dataset": "inbreast", "split": {"method": "k_fold", "folds": 3}},
        "clinic": {"dataset": "clinic", "unit": "patient", "split": "patient_stratified"},
        "elsewhere": {"dataset": "cmmd", "unit": "patient"},
    },
    "seeds": [0, 1],
    "judged_on": ["film", "elsewhere"],
    "input": {"size": [64, 48]},
    "training": {"stages": [{"epochs": 1, "lr": 1e-3}]},
    "arms": {
        "base": {"backbone": "tiny"},
        "tuned": {"initialisation": {"arm": "base"}, "train_on": "ffdm"},
        "radiomics": RADIOMICS,
        "largest": {"kind": "combined", "train_on": "clinic", "scores_of": ["tuned"]},
    },
}


def _resolve(**changes: Any) -> ResolvedStudy:
    content = {**STUDY, **changes}
    study = resolve_study("study", Study.model_validate(content), "study.yaml")
    check_readers(study, "study.yaml")
    return study


def _with_arm(**changes: Any) -> dict[str, Any]:
    return {**STUDY["arms"], "radiomics": {**RADIOMICS, **changes}}


def test_a_reader_learned_from_all_that_those_that_it_reads_did() -> None:
    steps = _resolve().learned_from(Run("radiomics", 1))
    assert [(step.domain, step.fold) for step in steps] == [
        ("film", 0),
        ("ffdm", 0),
        ("ffdm", 1),
        ("ffdm", 2),
        ("clinic", 0),
    ]


def test_an_arm_is_applied_where_it_is_judged_and_where_it_is_read() -> None:
    study = _resolve()
    assert study.readers("tuned") == ("radiomics", "largest")
    assert study.judged_on("tuned") == ("film", "ffdm", "elsewhere")
    assert study.applied_to("tuned") == ("film", "ffdm", "clinic", "elsewhere")
    assert study.applied_to("base") == study.judged_on("base")


def test_who_scores_patients_is_judged_where_they_are_the_unit() -> None:
    assert _resolve().judged_on("radiomics") == ("clinic", "elsewhere")


def test_scores_alone_need_no_images() -> None:
    study = _resolve(arms=_with_arm(features={"set": None, "scores_of": ["tuned"]}))
    assert study.input_of("radiomics") is None
    assert study.input_of("largest") is None
    assert _resolve().input_of("radiomics") is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": {"scores_of": ["tunde"]}}, r"scores_of.*no arm.*'tunde'"),
        ({"features": {"scores_of": ["radiomics"]}}, "the arm reads itself"),
        ({"features": {"scores_of": ["largest"]}}, "largest reads other arms itself"),
        ({"judged_on": ["film"]}, r"judged_on: the arm scores a patient as one"),
        ({"train_on": "film", "features": {}}, r"train_on: the arm scores a patient as one"),
    ],
)
def test_what_cannot_hold_is_refused_when_the_study_is_read(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _resolve(arms=_with_arm(**changes))


@pytest.mark.parametrize(
    ("clinic", "message"),
    [
        ({"dataset": "inbreast"}, "the dataset inbreast of it is also in the domain clinic"),
        ({"same_patients_as": ["film"]}, "it holds patients of the domain clinic"),
    ],
)
def test_scores_of_a_model_that_saw_the_patients_are_refused(
    clinic: dict[str, Any], message: str
) -> None:
    domains = {**STUDY["domains"], "clinic": {**STUDY["domains"]["clinic"], **clinic}}
    with pytest.raises(ConfigurationError, match=message):
        _resolve(domains=domains)
    arms = _with_arm(features={"scores_of": ["own"]})
    arms["own"] = {"backbone": "tiny", "train_on": "clinic"}
    with pytest.raises(ConfigurationError, match="learned from the domain clinic, and that is"):
        _resolve(arms=arms)
