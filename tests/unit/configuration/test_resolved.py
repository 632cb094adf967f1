"""Domains, arms and runs as they come out of a study file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from mammoshift.configuration.arms import ArmError
from mammoshift.configuration.leaves import scoring_leaves
from mammoshift.configuration.load import Project, Settings, load_project
from mammoshift.configuration.resolved import ResolvedStudy, resolve_study
from mammoshift.configuration.result_leaves import judged_domains
from mammoshift.configuration.study import Study
from mammoshift.contracts.run import Run
from mammoshift.errors import ConfigurationError

STAGES = {"stages": [{"epochs": 1, "lr": 1e-3}]}
LONG: dict[str, Any] = {
    "title": "Two domains",
    "domains": {
        "film": {"dataset": "cbis_ddsm", "split": "patient_stratified"},
        "ffdm": {"dataset": "inbreast", "split": {"method": "k_fold", "folds": 3}},
        "clinic": {"datasets": ["clinic"], "unit": "patient"},
    },
    "seeds": [0, 1],
    "input": {"size": [64, 48]},
    "training": STAGES,
    "arms": {
        "base": {"backbone": "tiny"},
        "tuned": {"initialisation": {"arm": "base"}, "train_on": "ffdm"},
        "applied": {"initialisation": {"arm": "tuned"}, "training": {"stages": []}},
        "again": {"initialisation": {"arm": "tuned"}, "train_on": "film"},
        "masked": {"backbone": "tiny", "input": {"mask": "breast"}},
        "masked_tuned": {"initialisation": {"arm": "masked"}, "train_on": "ffdm"},
    },
}

TAKEN = {"initialisation": {"arm": "base"}, "training": {"stages": []}}
APPLIED = {"base": {"backbone": "tiny"}, "applied": TAKEN}
ONE = {"base": {"backbone": "tiny"}}
UNVALIDATED = {
    "method": "patient_stratified",
    "shares": {"train": 0.8, "validation": 0.0, "test": 0.2},
}
PATCHES = {"dataset": "mias", "unit": "patch", "task": "lesion_vs_rest", "patches": {}}
ACROSS = {"family": "f", "across": {"ffdm": "film"}}
MASKS = {"family": "mask", "on": "all", "factor": {"input.mask": ["none", "breast"]}}


def _resolve(**changes: Any) -> ResolvedStudy:
    content = {**LONG, **changes}
    return resolve_study("study", Study.model_validate(content), "study.yaml")


def test_an_arm_is_built_as_the_one_that_it_starts_from() -> None:
    study = _resolve()
    assert study.arms["tuned"].model_dump()["backbone"] == "tiny"
    assert study.input_of("masked_tuned") == study.input_of("masked")
    assert study.input_of("tuned") == study.input_of("base")


def test_runs_are_seeds_and_folds_of_the_domain_that_an_arm_was_trained_on() -> None:
    study = _resolve()
    assert study.runs("base") == (Run("base", 0), Run("base", 1))
    assert len(study.runs("tuned")) == len(study.runs("applied")) == 6
    assert study.own_domain("applied") == "ffdm"
    assert Run("applied", 0, 0) not in study.trained_runs
    assert study.model_of(Run("applied", 1, 2)) == Run("tuned", 1, 2)


def test_a_fold_starts_from_its_own_on_one_domain_and_from_the_named_one_on_another() -> None:
    study = _resolve()
    assert study.start_of(Run("tuned", 1, 2)) == Run("base", 1, 0)
    assert study.start_of(Run("again", 1, 0)) == Run("tuned", 1, 0)
    arms = {
        **LONG["arms"],
        "again": {"train_on": "film", "initialisation": {"arm": "tuned", "fold": 2}},
    }
    assert _resolve(arms=arms).start_of(Run("again", 1, 0)) == Run("tuned", 1, 2)


def test_domains_with_one_split_have_the_same_folds() -> None:
    again = {"dataset": "clinic", "split": {"method": "same_as", "domain": "ffdm"}}
    arms = {**LONG["arms"], "further": {"initialisation": {"arm": "tuned"}, "train_on": "again"}}
    study = _resolve(domains={**LONG["domains"], "again": again}, arms=arms)
    assert study.share_split("again", "ffdm")
    assert study.share_split("film", "film")
    assert not study.share_split("again", "clinic")
    assert study.start_of(Run("further", 1, 2)) == Run("tuned", 1, 2)
    project = Project(Settings(studies=(), datasets="", backbones=""), {}, {}, {"study": study})
    for domain, own, own_fold in (
        ("ffdm", True, True),
        ("again", False, True),
        ("clinic", False, False),
    ):
        found = scoring_leaves(project, "study", "tuned", domain)
        assert (found["own"], found["own_fold"]) == (own, own_fold)


@pytest.mark.parametrize(
    ("unknown", "test_share", "subsets"),
    [
        ("unused", 0.2, ("out_of_fold", "test")),
        ("unused", 0.0, ("out_of_fold",)),
        ("test", 0.0, ("out_of_fold", "test")),
    ],
)
def test_a_taken_split_is_reported_with_the_subsets_of_the_one_it_is_taken_from(
    unknown: str, test_share: float, subsets: tuple[str, ...]
) -> None:
    folds = {"method": "k_fold", "folds": 3, "test_share": test_share}
    taken = {"method": "same_as", "domain": "ffdm", "unknown": unknown}
    domains = {
        **LONG["domains"],
        "ffdm": {"dataset": "inbreast", "split": folds},
        "again": {"dataset": "clinic", "split": taken},
    }
    judged = {domain.name: domain for domain in judged_domains(_resolve(domains=domains))}
    assert judged["again"].subsets == subsets


def test_domains_of_one_archive_are_told_from_those_with_the_same_patients() -> None:
    views = {
        f"only_{view}": {"dataset": "clinic", "filter": {"view": [view.upper()]}}
        for view in ("cc", "mlo")
    }
    domains = {**LONG["domains"], **views}
    judged = {domain.name: domain for domain in judged_domains(_resolve(domains=domains))}
    assert judged["only_cc"].same_patients_as is None
    assert judged["only_cc"].shares_datasets_with == ("clinic", "only_mlo")
    assert judged["film"].shares_datasets_with is None
    domains["ffdm"] = {**domains["ffdm"], "same_patients_as": ["only_cc"]}
    judged = {domain.name: domain for domain in judged_domains(_resolve(domains=domains))}
    assert judged["ffdm"].same_patients_as == ("clinic", "only_cc", "only_mlo")
    assert judged["only_mlo"].same_patients_as == ("ffdm", "clinic", "only_cc")
    assert {domain.shares_datasets_with for domain in judged.values()} == {None}


@pytest.mark.parametrize("margins", [{"transfer_drop_auc": 0.0}, {"transfer_drop": 0.1}])
def test_a_margin_is_a_loss_that_the_study_knows(margins: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="transfer_drop"):
        _resolve(margins=margins)


def test_an_arm_is_not_judged_where_its_ancestor_saw_one_of_the_folds() -> None:
    study = _resolve()
    assert study.judged_on("again") == ("film", "clinic")
    assert study.judged_on("tuned") == ("film", "ffdm", "clinic")


def test_arms_that_start_from_another_part_do_not_differ_in_the_factor_alone() -> None:
    arms = {
        "base": {"backbone": "tiny"},
        "features": {"initialisation": {"arm": "base", "part": "features"}},
        "whole": {"initialisation": {"arm": "base"}, "input": {"mask": "breast"}},
    }
    with pytest.raises(ConfigurationError, match="no two arms differ"):
        _resolve(arms=arms, comparisons=[MASKS])


def test_lineage_names_every_training_behind_a_model() -> None:
    steps = _resolve().learned_from(Run("applied", 0, 2))
    assert [(step.domain, step.fold) for step in steps] == [("film", 0), ("ffdm", 2)]


def test_a_factor_pairs_arms_that_differ_in_it_alone_down_their_ancestry() -> None:
    comparison = {"family": "mask", "on": "all", "factor": {"input.mask": ["none", "breast"]}}
    (family,) = _resolve(comparisons=[comparison]).families
    assert [(pair.arm, pair.reference) for pair in family.pairs] == [
        ("masked", "base"),
        ("masked_tuned", "tuned"),
    ]
    assert family.factor == "input.mask"
    assert {(pair.value, pair.reference_value) for pair in family.pairs} == {("breast", "none")}
    assert list(family.means) == [("mean_breast", "mean_none")]
    assert family.domains == ("film", "ffdm", "clinic")


def test_arms_that_differ_in_their_domain_alone_are_compared_across_domains() -> None:
    arms = {
        "base": {"backbone": "tiny"},
        "small": {"backbone": "small"},
        "on_ffdm": {"backbone": "tiny", "train_on": "ffdm", "judged_on": ["ffdm"]},
        "applied": {"initialisation": {"arm": "base"}, "training": {"stages": []}},
    }
    (family,) = _resolve(arms=arms, comparisons=[ACROSS]).families
    assert [(p.arm, p.domain, p.reference, p.reference_domain) for p in family.pairs] == [
        ("on_ffdm", "ffdm", "base", "film")
    ]
    assert family.domains == ("ffdm",)
    assert family.on_one_domain == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"comparisons": [{**ACROSS, "across": {"ffdm": "clinic"}}]},
            ["comparisons.0.across", "no arm that was trained on ffdm"],
        ),
        (
            {"comparisons": [{**ACROSS, "across": {"ffdn": "film"}}]},
            ["comparisons.0.across", "Did you mean 'ffdm'?"],
        ),
        (
            {
                "arms": {
                    **{name: {"backbone": "tiny", "train_on": "ffdm"} for name in ("one", "two")},
                    "base": {"backbone": "tiny"},
                },
                "comparisons": [ACROSS],
            },
            ["comparisons.0.across", "one and two of ffdm are the same"],
        ),
        (
            {
                "arms": {
                    "mean_breast": {"backbone": "tiny"},
                    "same": {"backbone": "tiny", "input": {"mask": "breast"}},
                    "other": {"backbone": "small"},
                    "other_masked": {"backbone": "small", "input": {"mask": "breast"}},
                },
                "comparisons": [MASKS],
            },
            ["comparisons.0", "mean_breast is called as the mean", "rename the arm"],
        ),
        (
            {"arms": {"base": {"backbone": "tiny", "train_on": "clinic"}}},
            ["arms.base.train_on", "clinic has no split"],
        ),
        (
            {"arms": {"base": {"backbone": "tiny", "train_on": "flim"}}},
            ["arms.base", "Did you mean 'film'?"],
        ),
        (
            {"arms": {"base": {"backbone": "tiny", "training": {"stages": []}}}},
            ["arms.base", "without stages of training applies the model of another"],
        ),
        (
            {
                "arms": {
                    "base": {"backbone": "tiny"},
                    "applied": {
                        "initialisation": {"arm": "base"},
                        "training": {"stages": []},
                        "input": {"mask": "breast"},
                    },
                }
            },
            ["arms.applied.input", "differs from that of base"],
        ),
        (
            {
                "arms": {
                    "base": {"backbone": "tiny"},
                    "next": {"initialisation": {"arm": "base", "fold": 1}, "train_on": "ffdm"},
                }
            },
            ["arms.next.initialisation.fold", "base has no fold 1"],
        ),
        (
            {
                "comparisons": [
                    {"family": "f", "on": "all", "factor": {"input.mask": ["none", "no"]}}
                ]
            },
            ["comparisons.0", "factor input.mask", "no two arms differ"],
        ),
        (
            {"comparisons": [{"family": "f", "on": "targets", "reference": "base"}]},
            ["comparisons.0.on", "no domain 'targets'"],
        ),
        (
            {"arms": {**LONG["arms"], "again": {**LONG["arms"]["again"], "judged_on": ["ffdm"]}}},
            ["arms.again.judged_on", "learned from one fold of ffdm", "leave it out"],
        ),
        (
            {"arms": {**APPLIED, "applied": {**TAKEN, "scoring_precision": "bfloat16"}}},
            ["arms.applied.scoring_precision", "differs from that of base"],
        ),
        (
            {"arms": {**APPLIED, "applied": {**TAKEN, "backbone": "other"}}},
            ["arms.applied.backbone", "differs from that of base"],
        ),
        (
            {
                "arms": {
                    **APPLIED,
                    "applied": {**TAKEN, "initialisation": {"arm": "base", "part": "features"}},
                }
            },
            ["arms.applied.initialisation.part", "leave it out"],
        ),
        (
            {
                "arms": {
                    "base": {"backbone": "tiny", "train_on": "ffdm"},
                    "applied": {**TAKEN, "initialisation": {"arm": "base", "fold": 1}},
                }
            },
            ["arms.applied.initialisation.fold", "leave it out"],
        ),
        (
            {
                "arms": {
                    "base": {"backbone": "tiny"},
                    "same": {"backbone": "tiny", "train_on": "film"},
                    "other": {"backbone": "tiny", "input": {"mask": "breast"}},
                },
                "comparisons": [MASKS],
            },
            ["comparisons.0: factor input.mask", "base and same are the same"],
        ),
        (
            {
                "arms": {**APPLIED, "base": {"backbone": "tiny", "judged_on": ["film"]}},
                "comparisons": [{"family": "f", "on": ["clinic"], "reference": "base"}],
            },
            ["comparisons.0.on", "base is not judged on clinic"],
        ),
        (
            {"comparisons": [{"family": "f", "on": "all", "reference": "base", "arms": ["base"]}]},
            ["comparisons.0", "no two arms are compared"],
        ),
        (
            {"comparisons": [{**MASKS, "factor": {"initialisation.part": ["model", "features"]}}]},
            ["comparisons.0: factor initialisation.part", "no two arms differ"],
        ),
        (
            {"comparisons": [{**MASKS, "factor": {"input.musk": ["none", "breast"]}}]},
            ["comparisons.0: factor input.musk", "no arm has a setting of that name"],
        ),
        (
            {"domains": {"film": {**LONG["domains"]["film"], "split": UNVALIDATED}}, "arms": ONE},
            ["arms.base.training.select", "film has none", "select: last_epoch"],
        ),
        (
            {"domains": {**LONG["domains"], "patches": PATCHES}, "judged_on": ["film"]},
            ["domains.patches.patches", "no arm that takes images"],
        ),
        ({"arms": {"tables": {"backbone": "tiny"}}}, ["arms.tables", "rename it"]),
        ({"judged_on": ["flim"]}, ["judged_on", "'film'"]),
    ],
)
def test_what_cannot_be_resolved_is_named(changes: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _resolve(**changes)
    for part in ["study.yaml", *said]:
        assert part in str(caught.value)


def test_a_factor_takes_0_for_the_0_point_0_of_a_setting() -> None:
    weights = {"family": "f", "on": "all", "factor": {"training.augmentation.noise": [0, 0.1]}}
    noisy = {"backbone": "tiny", "training": {"augmentation": {"noise": 0.1}}}
    study = _resolve(arms={"base": {"backbone": "tiny"}, "noisy": noisy}, comparisons=[weights])
    (family,) = study.families
    assert [(pair.arm, pair.reference) for pair in family.pairs] == [("noisy", "base")]


def _said(tmp_path: Path, study: dict[str, Any]) -> str:
    """Return what is said of a study beside the project's own datasets and backbones."""
    root = Path(__file__).resolve().parents[3] / "config"
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    settings = {
        "studies": ["study.yaml"],
        "datasets": str(root / "datasets" / "twins.yaml"),
        "backbones": str(root / "backbones.yaml"),
    }
    with pytest.raises(ConfigurationError) as caught:
        load_project(settings, tmp_path)
    return str(caught.value)


def test_a_whole_classifier_of_a_file_is_applied_and_others_have_to_learn(tmp_path: Path) -> None:
    whole = {
        "backbone": "end2end_vgg16",
        "head": {"kind": "end2end_512x1", "outputs": 2},
        "initialisation": "pretrained",
        "training": {"stages": []},
        "train_on": "film",
    }
    study = _resolve(arms={"base": {"backbone": "tiny"}, "whole": whole})
    assert study.own_domain("whole") == "film"
    assert study.learned_from(Run("whole", 0, 0)) == ()
    assert study.model_of(Run("whole", 1, 0)) == Run("whole", 1, 0)
    assert [run for run in study.trained_runs if run.arm == "whole"] == list(study.runs("whole"))
    film = {"film": {"dataset": "cbis_ddsm", "split": "official"}}
    for change in ({"backbone": "vgg16"}, {"head": {"kind": "end2end_512x1"}}):
        said = _said(tmp_path, {**LONG, "domains": film, "arms": {"whole": {**whole, **change}}})
        assert "arms.whole.training.stages" in said
        assert "no whole classifier" in said


def test_what_an_arm_lacks_is_said_with_its_name(tmp_path: Path) -> None:
    study = {**LONG, "domains": {"film": {"dataset": "cbis_ddsm", "split": "official"}}}
    said = _said(tmp_path, {**study, "arms": {"one": {"loss": {"name": "bce"}}}})
    assert "study.yaml: arms.one, after defaults: backbone: this key is required" in said


def test_a_mistyped_key_of_a_split_is_said_with_those_that_there_are(tmp_path: Path) -> None:
    split = {"method": "k_fold", "fold": 3}
    study = {**LONG, "domains": {"film": {"dataset": "cbis_ddsm", "split": split}}}
    said = _said(tmp_path, study)
    assert "domains.film.split.fold: there is no such key. Did you mean 'folds'?" in said


def test_patches_are_divided_where_there_are_patches(tmp_path: Path) -> None:
    study = {**LONG, "domains": {"film": {"dataset": "cbis_ddsm", "split": "by_patch"}}}
    assert "by_patch divides patches; give the unit patch" in _said(tmp_path, study)


def test_either_form_of_a_study_is_asked_for() -> None:
    for content in ({**LONG, "source": {"dataset": "mias"}}, {**LONG, "domains": None}):
        with pytest.raises(ValueError, match="either domains or source"):
            Study.model_validate(content)


def test_a_run_is_named_once() -> None:
    run = Run("base", 3, 2)
    from pathlib import Path

    assert Run.of_path(Path("results/study") / run.path) == run
    with pytest.raises(ValueError, match="not the folder of a run"):
        Run.of_path(Path("results/base/seed-03/fold-1"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"comparisons": [{"family": "f", "on": ["film", "film"], "reference": "base"}]},
            r"on: film is given more than once",
        ),
        (
            {"comparisons": [{**MASKS, "factor": {"input.mask": ["none", "breast", "breast"]}}]},
            r"factor input\.mask: 'breast' is given twice",
        ),
        (
            {"comparisons": [{**MASKS, "factor": {"input.mask": ["none", "breast", "brest"]}}]},
            r"factor input\.mask: 'brest' is the value of no arm",
        ),
        (
            {"arms": {**ONE, "child": {"initialisation": {"arm": "base", "fold": 0}}}},
            r"arms\.child\.initialisation\.fold: .*same domain",
        ),
        (
            {"arms": {**ONE, "child": {"initialisation": {"arm": "base"}, "backbone": "other"}}},
            r"arms\.child\.backbone: .*tiny",
        ),
    ],
)
def test_what_could_only_fail_after_work_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _resolve(**changes)


def test_a_list_of_no_domains_is_refused() -> None:
    with pytest.raises(ValidationError, match="judged_on"):
        _resolve(judged_on=[])
    with pytest.raises(ArmError) as refused:
        _resolve(arms={"base": {"backbone": "tiny", "judged_on": []}})
    assert "judged_on" in str(refused.value.error)
