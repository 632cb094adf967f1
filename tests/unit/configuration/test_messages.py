"""What is said of a study that would lose an arm or a comparison, in the file's own keys."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from mammoshift.configuration.load import load_project
from mammoshift.configuration.remarks import remarks_on
from mammoshift.configuration.result_leaves import judged_domains, report_settings
from mammoshift.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3] / "config"
PATIENTS = {"train_on": "clinic", "judged_on": ["clinic"]}
STUDY: dict[str, Any] = {
    "title": "Two domains",
    "domains": {
        "film": {"dataset": "cbis_ddsm", "split": {"method": "patient_stratified"}},
        "ffdm": {"dataset": "inbreast", "split": {"method": "k_fold", "folds": 3}},
        "clinic": {
            "dataset": "case_control",
            "unit": "patient",
            "split": {"method": "matched_pairs"},
        },
    },
    "seeds": [0],
    "input": {"size": [64, 48]},
    "training": {"stages": [{"epochs": 1, "lr": 1e-3}]},
    "arms": {
        "base": {"backbone": "tiny_resnet"},
        "other": {"backbone": "tiny_efficientnet"},
        "vector": {
            "kind": "radiomics",
            **PATIENTS,
            "features": {"set": "openbreast32", "scores_of": ["base"], "covariates": ["age"]},
        },
    },
    "comparisons": [{"family": "f", "on": ["film"], "reference": "base", "arms": ["other"]}],
}
ON_FFDM = {"backbone": "tiny_resnet", "train_on": "ffdm", "judged_on": ["ffdm"]}
ALSO_ON_FFDM = {"backbone": "tiny_resnet", "train_on": "ffdm"}
MASKED = {"backbone": "tiny_resnet", "input": {"mask": "breast"}}
MASKS = {"family": "f", "on": "all", "factor": {"input.mask": ["none", "breast"]}}


def _with(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the study with values at dotted paths; a number is a place of a list."""
    study = copy.deepcopy(STUDY)
    for path, value in changes.items():
        place: Any = study
        *parents, last = path.split("/")
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        if value is None:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return study


def _load(folder: Path, changes: dict[str, Any]) -> Any:
    text = yaml.safe_dump(_with(changes), sort_keys=False)
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    settings = {
        "studies": ["study.yaml"],
        "datasets": str(ROOT / "datasets" / "twins.yaml"),
        "backbones": str(ROOT / "backbones.yaml"),
    }
    return load_project(settings, folder)


def _said(folder: Path, changes: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        _load(folder, changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("arms/other/input/mask", "arms.other.input.mask: the list is empty"),
        ("arms/other/backbone", "arms.other.backbone: the list is empty"),
        ("arms/other/training/batch_size", "arms.other.training.batch_size: the list is empty"),
        ("arms/other/kind", "arms.other.kind: '[]' is not allowed. Allowed: 'combined'"),
        ("comparisons/0/arms", "comparisons.0.arms: [] is empty; give at least one, or leave"),
        ("comparisons/0/on", "comparisons.0.on: [] is empty"),
        ("seeds", "seeds: [] is empty; give at least one"),
        ("targets", "targets: [] is empty"),
        ("domains/film/filter/view", "filter.view: the list is empty"),
        ("domains/film/datasets", "domains.film: give dataset or datasets, not both"),
    ],
)
def test_an_empty_list_is_refused_with_its_key(tmp_path: Path, path: str, said: str) -> None:
    assert said in _said(tmp_path, {path: []})


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"minimum": math.nan}, "domains.film.filter.age.minimum: nan: input should be a finite"),
        ({"minimum": 5, "maximum": math.inf}, "domains.film.filter.age.maximum: inf: input"),
        ({"minimum": 5, "maximum": 4}, "domains.film.filter.age: minimum is greater than maximum"),
        ([40, math.nan], "domains.film: filter.age: no image has the value nan"),
        ([True], "domains.film: filter.age: True is no number"),
    ],
)
def test_a_filter_without_sense_is_refused_in_one_line(
    tmp_path: Path, wanted: Any, said: str
) -> None:
    found = _said(tmp_path, {"domains/film/filter": {"age": wanted}})
    assert found.startswith(f"study.yaml: {said}")
    assert "\n" not in found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {
                "arms/far": ON_FFDM,
                "arms/base/judged_on": ["film"],
                "comparisons/0/on": "all",
                "comparisons/0/arms": ["other", "far"],
            },
            "comparisons.0.on: far and base are judged together on none of film, ffdm, clinic",
        ),
        (
            {"arms/masked": MASKED, "comparisons/0": {**MASKS, "arms": ["masked", "other"]}},
            "comparisons.0.arms: other is compared with no arm",
        ),
        (
            {"arms/other": None, "arms/vector": None, "comparisons/0/arms": None},
            "comparisons.0: no two arms are compared; the study has no other arm",
        ),
        (
            {
                "arms/on_ffdm": ALSO_ON_FFDM,
                "domains/ffdm/task": "lesion_vs_rest",
                "comparisons/0": {"family": "f", "across": {"ffdm": "film"}},
            },
            "comparisons.0.across: on ffdm lesion_vs_rest is learned and judged, on film malign",
        ),
        ({"subgroups": ["view", "view"]}, "subgroups: view is given more than once"),
        (
            {"calibration": ["budget"], "budget_sizes": []},
            "budget_sizes: is empty, so that calibration: budget makes no row",
        ),
        (
            {"arms/base/normalisation": {"mean": [], "std": []}},
            "arms.base.normalisation: mean and std need 1 values",
        ),
    ],
)
def test_what_would_have_no_row_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    assert _said(tmp_path, changes).startswith(f"study.yaml: {said}")


def test_a_family_on_targets_of_a_study_without_any_is_refused(tmp_path: Path) -> None:
    short = {
        "domains": None,
        "source": {"dataset": "cbis_ddsm"},
        "arms/vector": None,
        "comparisons/0/on": "targets",
    }
    assert "comparisons.0.on: the study has no targets" in _said(tmp_path, short)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("arms/base/zzz", "backbone, head, initialisation, input, judged_on, kind, label, loss, "
         "normalisation, scoring_precision, search, test_time_flips, train_on, training"),
        ("arms/vector/zzz", "estimator, features, grid, initialisation, input, judged_on, kind, "
         "label, missing_views, train_on"),
        ("arms/vector/grid/zzz", "components, depth, folds, leaf, learning_rate, subsample, trees"),
        ("arms/base/training/ema/zzz", "decay, warmup"),
        ("arms/base/normalisation/zzz", "mean, per_image_range, std"),
        ("arms/base/initialisation/zzz", "arm, fold, part"),
        ("domains/clinic/split/zzz", "method, rounding, seed, shares, stratify_by"),
        ("domains/film/filter/age/zzz", "maximum, minimum"),
        ("comparisons/0/zzz", "across, arms, correct, factor, family, on, reference"),
        ("arms/base/search/space/training.batch_size/zzz", "high, log, low, step"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_said_with_those_of_its_place(
    tmp_path: Path, path: str, allowed: str
) -> None:
    key = path.replace("/", ".")
    said = _said(tmp_path, {path: 1}).splitlines()
    assert f"study.yaml: {key}: there is no such key. Allowed: {allowed}" in said
    assert not [line for line in said if line.partition(": ")[2].count("'zzz': 1")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"arms/vector/initialisation": {"arm": "base"}},
            "arms.vector.initialisation.arm: base is of the kind network, not radiomics",
        ),
        ({"arms/vector/kind": "radiomic"}, "arms.vector.kind: 'radiomic' is not allowed"),
        ({"domains/film/split": {"method": "kfold"}}, "domains.film.split.method: 'kfold' is not"),
        ({"domains/film/split": {"folds": 3}}, "domains.film.split.method: this key is required"),
        (
            {"arms/base/search": {"space": {"training.batch_size": {"choices": []}}}},
            "arms.base.search.space.training.batch_size.choices: [] is empty; give 2 or more",
        ),
        (
            {"arms/largest": {"kind": "combined", **PATIENTS, "scores_of": ["nobody"]}},
            "arms.largest.scores_of: there is no arm 'nobody'",
        ),
        ({"seeds": 3}, "seeds: 3: should be a list, as in [3]"),
        ({"arms/base/initialisation": "pretraind"}, "arms.base.initialisation: 'pretraind' is not"),
    ],
)
def test_of_the_forms_that_a_value_may_have_the_one_meant_is_spoken_of(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    found = _said(tmp_path, changes)
    assert found.startswith(f"study.yaml: {said}")
    assert "\n" not in found


def test_what_is_not_compared_on_all_domains_is_named(tmp_path: Path) -> None:
    changes = {"comparisons/0/on": "all", "arms/other/judged_on": ["film"]}
    assert remarks_on(report_settings(_load(tmp_path, changes), "study")) == (
        "The family f compares on ffdm not other with base, since one of the two is not judged "
        "there.",
        "The family f compares on clinic not other with base, since one of the two is not judged "
        "there.",
    )


def test_other_labels_of_a_judged_domain_are_named_and_no_others(tmp_path: Path) -> None:
    project = _load(tmp_path, {})
    assert remarks_on(report_settings(project, "study")) == ()
    assert {domain.task for domain in judged_domains(project.studies["study"])} == {None}
    changes = {"domains/ffdm/task": "abnormal_vs_normal"}
    project = _load(tmp_path, changes)
    (said,) = remarks_on(report_settings(project, "study"))
    assert said.startswith(
        "base, other learned malignant_vs_rest on film and are judged by abnormal_vs_normal on "
        "ffdm: what is positive differs"
    )
    assert [d.task for d in judged_domains(project.studies["study"])][:2] == [
        "malignant_vs_rest",
        "abnormal_vs_normal",
    ]
