from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tables_of_cases import cases_of

from mammoshift.cases.audit import audit_domain, audit_study
from mammoshift.cases.findings import FINDING_COLUMNS, SUMMARY_COLUMNS, AuditReport, write_audit
from mammoshift.cases.prediction_audit import audit_predictions
from mammoshift.contracts.lineage import LearnedFrom, Lineage
from mammoshift.errors import LeakageError, TableError

FILM = Lineage(steps=(LearnedFrom(domain="film"),))


def index_of(items: list[str], seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "image_id": items,
            "pixel_hash": [generator.bytes(16).hex() for _ in items],
            "perceptual_hash": generator.integers(0, 1 << 63, len(items), dtype=np.uint64),
            "fine_hash": [generator.bytes(64) for _ in items],
        }
    )


def domain(name: str, subsets: list[tuple[str, ...]], first: int = 0) -> pd.DataFrame:
    """Two images for each patient, who has the given subsets."""
    rows = [
        (f"{name}{patient:02d}_{image}", f"p{first + patient}", image, own)
        for patient, own in enumerate(subsets)
        for image in range(2)
    ]
    table = pd.DataFrame(rows, columns=["image_id", "patient_id", "label", "subsets"])
    return cases_of(table, name, f"{name}_data")


def film() -> pd.DataFrame:
    return domain("film", [("train",)] * 20 + [("validation",)] * 4 + [("test",)] * 6)


def site() -> pd.DataFrame:
    return domain("site", [("target",)] * 10)


def tables(**changed: pd.DataFrame) -> tuple[dict, dict]:
    cases = {"film": film(), "site": site(), **changed}
    indexes = {
        f"{name}_data": index_of(sorted(set(table["item_id"])), seed)
        for seed, (name, table) in enumerate(cases.items())
    }
    return cases, indexes


def study(lineage: Lineage = FILM, fold: int = 0, *, cases=None, indexes=None, **options):
    given, stored = tables()
    return audit_study({("arm", fold): lineage}, cases or given, indexes or stored, **options)


def found(report: AuditReport, check: str) -> list:
    return [finding for finding in report.findings if finding.check == check]


def test_images_that_are_nearly_of_one_grey_are_listed_once() -> None:
    cases, indexes = tables()
    index = indexes["film_data"]
    filled = [0.05 if name in ("film00_0", "film03_1") else 0.8 for name in index["image_id"]]
    indexes["film_data"] = index.assign(item_id=index["image_id"], filled_share=filled)
    report = study(cases=cases, indexes=indexes)
    assert report.passed
    assert [f.case_id for f in found(report, "of_one_grey")] == ["film00_0", "film03_1"]
    (summary,) = (check for check in report.checks if check.check == "of_one_grey")
    assert summary.outcome == "listed"
    assert "60 examined, 2 found; another tone may suit their dataset" in summary.detail


def test_patches_of_one_image_are_of_one_grey_together() -> None:
    cases, indexes = tables()
    index = indexes["film_data"]
    patches = index.assign(
        item_id=index["image_id"],
        image_id=[name.partition("_")[0] for name in index["image_id"]],
        filled_share=[0.05 if name.endswith("_0") else 0.8 for name in index["image_id"]],
    )
    report = study(cases=cases, indexes={**indexes, "film_data": patches})
    assert found(report, "of_one_grey") == []


# One domain, before training


def test_a_clean_domain_passes_and_says_what_was_examined(tmp_path: Path) -> None:
    cases, indexes = tables()
    report = audit_domain("film", cases["film"], indexes)
    report.raise_on_leak()
    assert report.findings == ()
    assert {check.check: check.examined for check in report.checks} == {
        "case_listed_once": 60,
        "patient_in_one_subset": 60,
        "pixels_in_one_subset": 60,
        "file_in_one_subset": 60,
        "patient_unknown": 60,
    }
    write_audit(report, tmp_path / "summary.csv", tmp_path / "findings.csv")
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert list(summary.columns) == list(SUMMARY_COLUMNS)
    assert set(summary["outcome"]) == {"pass"}
    assert list(pd.read_csv(tmp_path / "findings.csv").columns) == list(FINDING_COLUMNS)


def test_a_patient_in_two_subsets_of_any_fold_is_a_leak_unless_declared() -> None:
    cases = domain("film", [("train", "out_of_fold")] * 5 + [("out_of_fold", "train")] * 5)
    cases["subsets"] = [*cases["subsets"][:-1], ("out_of_fold", "out_of_fold")]
    report = audit_domain("film", cases, {})
    assert [(f.case_id, f.other_case_id, f.fold) for f in report.findings] == [
        ("film09_0", "film09_1", 1)
    ]
    with pytest.raises(LeakageError, match=r"film09_0 .train. and film/film09_1 .out_of_fold."):
        report.raise_on_leak()
    declared = audit_domain("film", cases, {}, leak="by_row")
    assert declared.passed
    assert [f.outcome for f in declared.findings] == ["declared"]
    assert declared.checks[1].outcome == "declared"


def test_patients_who_are_left_out_do_not_leak() -> None:
    cases = film()
    cases.loc[0, "subsets"] = None
    cases["subsets"] = [s or ("unused",) for s in cases["subsets"]]
    assert audit_domain("film", cases, {}).passed


def test_equal_pixels_in_two_subsets_are_a_leak_and_in_one_are_listed() -> None:
    cases, indexes = tables()
    index = indexes["film_data"]
    index.loc[59, "pixel_hash"] = index.loc[0, "pixel_hash"]
    index.loc[4, "pixel_hash"] = index.loc[2, "pixel_hash"]
    report = audit_domain("film", cases["film"], indexes)
    assert [(f.check, f.outcome, f.case_id, f.other_case_id) for f in report.findings] == [
        ("pixels_in_one_subset", "leak", "film00_0", "film29_1"),
        ("pixels_in_one_subset", "listed", "film01_0", "film02_0"),
    ]


def test_blank_patches_are_not_equal_pixels() -> None:
    cases, indexes = tables()
    index = indexes["film_data"].assign(min=0, max=9)
    index.loc[[0, 59], "pixel_hash"] = "blank"
    index.loc[[0, 59], "max"] = 0
    report = audit_domain("film", cases["film"], {"film_data": index})
    assert report.findings == ()
    assert "2 cases have no stored pixels" in report.checks[2].note
    empty = audit_domain("film", cases["film"], {"film_data": index.assign(max=0)})
    assert "60 cases have no stored pixels" in empty.checks[2].note


def test_an_image_or_case_that_occurs_twice_is_a_leak() -> None:
    cases = film()
    cases.loc[59, "item_id"] = "film00_0"
    report = audit_domain("film", cases, {})
    assert [(f.case_id, f.other_case_id) for f in found(report, "case_listed_once")] == [
        ("film00_0", "film29_1")
    ]


def test_unknown_patients_are_listed_with_what_was_compared() -> None:
    cases, indexes = tables()
    cases["film"].loc[[0, 50], "patient_id"] = None
    report = audit_domain("film", cases["film"], indexes)
    assert [f.case_id for f in found(report, "patient_unknown")] == ["film00_0", "film25_0"]
    assert report.checks[-1].note == ("film_data: 58 of 60 cases compared by patient, 60 by pixels")


# A study, before scoring


def test_a_clean_study_passes() -> None:
    report = study()
    report.raise_on_leak()
    assert report.findings == ()
    # 12 test cases of the film, 20 of the site.
    assert report.checks[0].examined == 32


def test_patients_of_the_training_imaged_again_are_found_when_declared() -> None:
    cases, indexes = tables(site=domain("site", [("target",)] * 10, first=18))
    assert study(cases=cases, indexes=indexes).passed
    report = study(cases=cases, indexes=indexes, same_patients=[("film", "site")])
    hits = found(report, "patient_learned_from")
    # p18 to p23 train and validate in the film, p24 to p27 are its test.
    assert [(f.case_id, f.other_case_id) for f in hits] == [
        (f"site{n:02d}_0", f"film{n + 18}_0") for n in range(6)
    ]
    with pytest.raises(LeakageError, match=r"6 leaks, such as .*arm fold 0.*site00_0"):
        report.raise_on_leak()
    assert study(
        cases=cases, indexes=indexes, same_patients=[("film", "site")], judged_on={"arm": ["film"]}
    ).passed


def test_equal_ids_of_two_tables_of_users_own_are_listed_unless_declared() -> None:
    cases, indexes = tables(site=domain("site", [("target",)] * 10, first=18))
    own = {"film_data": "csv", "site_data": "csv"}
    report = study(cases=cases, indexes=indexes, adapters=own)
    assert report.passed
    assert len(found(report, "ids_in_two_datasets")) == 10
    (said,) = [check.detail for check in report.checks if check.check == "ids_in_two_datasets"]
    assert "same_patients_as declares those" in said
    for options in (
        {"adapters": {"film_data": "cmmd", "site_data": "csv"}},
        {"adapters": own, "same_patients": [("film", "site")]},
    ):
        other = study(cases=cases, indexes=indexes, **options)
        assert found(other, "ids_in_two_datasets") == []


def test_patients_imaged_again_and_split_alike_are_no_leak() -> None:
    again = film().assign(domain="again", dataset="again_data")
    cases, indexes = tables(again=again)
    lineage = Lineage(steps=(LearnedFrom(domain="film"), LearnedFrom(domain="again")))
    options = {"cases": cases, "same_patients": [("film", "again")]}
    assert study(lineage, indexes=indexes, **options).passed
    cases["again"] = again.assign(subsets=again["subsets"].iloc[::-1].tolist())
    assert not study(lineage, indexes=indexes, **options).passed


def test_patients_of_an_ancestor_in_the_test_of_a_descendant() -> None:
    # Both domains are of one archive, each with a split of its own.
    second = film().assign(domain="second")
    second["subsets"] = second["subsets"].iloc[::-1].tolist()
    cases, indexes = tables(second=second)
    own = Lineage(steps=(LearnedFrom(domain="second"),))
    chain = Lineage(steps=(LearnedFrom(domain="film"), LearnedFrom(domain="second")))
    options = {"cases": cases, "indexes": indexes, "judged_on": {"arm": ["second"]}}
    assert study(own, **options).passed
    report = study(chain, **options)
    assert {f.case_id[:6] for f in found(report, "patient_learned_from")} == {
        f"film0{n}" for n in range(6)
    }


def test_a_dataset_under_two_names_is_found_by_its_pixels() -> None:
    copy = film().assign(domain="site", dataset="site_data", patient_id="q" + film()["patient_id"])
    copy["subsets"] = [("target",)] * len(copy)
    cases, indexes = tables(site=copy)
    indexes["site_data"] = indexes["film_data"].copy()
    report = study(cases=cases, indexes=indexes)
    assert found(report, "patient_learned_from") == []
    assert len(found(report, "pixels_learned_from")) == 48
    assert len(found(report, "pixels_under_two_names")) == 60
    assert not report.passed
    judged_only = study(Lineage(), cases=cases, indexes=indexes)
    assert judged_only.passed
    assert len(found(judged_only, "pixels_under_two_names")) == 60
    declared = study(Lineage(), cases=cases, indexes=indexes, same_patients=[("film", "site")])
    assert found(declared, "pixels_under_two_names") == []


def test_folds_are_judged_by_their_own_part_and_by_all_for_others() -> None:
    folds = [("train", "out_of_fold")] * 6 + [("out_of_fold", "train")] * 6
    cases, indexes = tables(film=domain("film", folds))
    for fold in (0, 1):
        own = Lineage(steps=(LearnedFrom(domain="film", fold=fold),))
        report = study(own, fold, cases=cases, indexes=indexes)
        assert report.passed
        assert report.checks[0].examined == 12 + 20
    # A model of fold 0 that goes on with fold 1 has seen everybody.
    both = Lineage(steps=(LearnedFrom(domain="film"), LearnedFrom(domain="film", fold=1)))
    assert not study(both, cases=cases, indexes=indexes).passed
    report = study(Lineage(), cases=cases, indexes=indexes)
    assert report.checks[0].examined == 24 + 20
    with pytest.raises(TableError, match="domain film has no fold 2"):
        study(Lineage(steps=(LearnedFrom(domain="film", fold=2),)), cases=cases, indexes=indexes)


def test_where_a_split_is_taken_a_model_is_judged_by_its_own_fold() -> None:
    folds = [("train", "out_of_fold")] * 6 + [("out_of_fold", "train")] * 6
    cases, indexes = tables(film=domain("film", folds), site=domain("site", folds))
    groups = [("film", "site")]
    fold = Lineage(steps=(LearnedFrom(domain="film", fold=1),))
    apart = study(fold, 1, cases=cases, indexes=indexes, same_patients=groups)
    assert not apart.passed
    taken = study(
        fold, 1, cases=cases, indexes=indexes, same_patients=groups, splits={"site": "film"}
    )
    assert taken.passed
    assert taken.checks[0].examined == 12 + 12
    own = predictions(in_subset(cases["site"], "out_of_fold", 1), "out_of_fold", 1)
    other = predictions(in_subset(cases["site"], "out_of_fold", 0), "out_of_fold", 1)
    lineages = {("arm", 1): fold}
    assert audit_predictions(lineages, cases, [own], {"site": "film"}).passed
    assert not audit_predictions(lineages, cases, [other], {"site": "film"}).passed


def test_a_declared_leak_is_no_failure_on_its_own_domain_alone() -> None:
    cases, indexes = tables()
    cases["film"].loc[59, "patient_id"] = "p0"
    assert not study(cases=cases, indexes=indexes).passed
    report = study(cases=cases, indexes=indexes, leaks={"film": "by_row"})
    assert report.passed
    assert [f.outcome for f in found(report, "patient_learned_from")] == ["declared"]
    assert not study(cases=cases, indexes=indexes, leaks={"site": "by_row"}).passed


def test_the_archive_behind_pretrained_weights_is_not_judged() -> None:
    lineage = Lineage(steps=FILM.steps, third_party=("cmmd",))
    report = study(lineage, adapters={"film_data": "cbis_ddsm", "site_data": "cmmd"})
    assert [f.domain for f in found(report, "third_party_weights")] == ["site"]
    assert not report.passed
    assert study(lineage, adapters={"film_data": "cbis_ddsm", "site_data": "mias"}).passed


def test_near_duplicates_are_listed_across_subsets_and_domains_only() -> None:
    cases, indexes = tables()
    source, target = indexes["film_data"], indexes["site_data"]
    for index, rows in ((source, [0, 1, 10, 58]), (target, [5])):
        for row in rows:
            for column in ("perceptual_hash", "fine_hash"):
                index.loc[row, column] = source.loc[0, column]
    report = study(cases=cases, indexes=indexes)
    assert report.passed
    pairs = {(f.case_id, f.other_case_id) for f in found(report, "near_duplicates")}
    trained = ["film00_0", "film00_1", "film05_0"]
    assert pairs == {
        *((case, other) for case in trained for other in ("film29_0", "site02_1")),
        ("film29_0", "site02_1"),
    }
    assert {f.other_subset for f in found(report, "near_duplicates")} == {"test", "target"}
    paired = study(cases=cases, indexes=indexes, same_patients=[("film", "site")])
    assert {f.other_domain for f in found(paired, "near_duplicates")} == {"film"}
    limited = study(cases=cases, indexes=indexes, maximum_pairs=1)
    (alike,) = [check for check in limited.checks if check.check == "near_duplicates"]
    assert "not all of them listed" in alike.detail


def test_half_a_million_images_are_audited_in_a_minute() -> None:
    count = 500_000
    number = np.arange(count)
    subset = np.where(number // 4 % 10 < 8, "train", "test")
    table = pd.DataFrame(
        {
            "image_id": "i" + pd.Series(number).astype("str"),
            "patient_id": "p" + pd.Series(number // 4).astype("str"),
            "label": (number % 2).astype("int8"),
        }
    )
    cases = cases_of(table, "film", "film_data")
    cases["subsets"] = [(str(s),) for s in subset[cases["image_id"].str[1:].astype(int)]]
    lineages = {(f"arm{n}", 0): FILM for n in range(20)}
    start = time.perf_counter()
    report = audit_study(lineages, {"film": cases}, {})
    assert report.passed
    assert report.checks[0].examined == (subset == "test").sum()
    assert time.perf_counter() - start < 60.0


# Predictions, after scoring


def predictions(cases: pd.DataFrame, subset: str, fold: int = 0, **columns) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": "arm",
            "seed": 0,
            "fold": fold,
            "domain": cases["domain"],
            "subset": subset,
            "case_id": cases["case_id"],
            "logit": 0.0,
            **columns,
        }
    )


def in_subset(cases: pd.DataFrame, subset: str, fold: int = 0) -> pd.DataFrame:
    return cases[[s[fold] == subset for s in cases["subsets"]]]


def test_predictions_follow_the_split() -> None:
    cases = {"film": film(), "site": site()}
    lineages = {("arm", 0): FILM}
    given = [
        predictions(in_subset(cases["film"], "validation"), "validation"),
        predictions(in_subset(cases["film"], "test"), "test"),
        predictions(cases["site"], "target"),
    ]
    report = audit_predictions(lineages, cases, given)
    report.raise_on_leak()
    assert [check.examined for check in report.checks] == [8 + 12 + 20]
    for table in (
        predictions(in_subset(cases["film"], "train"), "test"),
        predictions(in_subset(cases["film"], "train"), "train"),
        predictions(in_subset(cases["film"], "validation"), "test"),
        predictions(in_subset(cases["film"], "test"), "validation"),
        predictions(cases["site"], "test"),
    ):
        wrong = audit_predictions(lineages, cases, [table])
        assert len(wrong.findings) == len(table)
        with pytest.raises(LeakageError, match="predictions_follow_split"):
            wrong.raise_on_leak()


def test_predictions_of_another_domain_are_of_its_judged_cases() -> None:
    folds = [("train", "out_of_fold")] * 3 + [("out_of_fold", "validation")] * 3
    other = domain("other", [*folds, ("train", "train")])
    cases = {"film": film(), "other": other}
    judged = other[other["patient_id"] != "p6"]
    lineages = {("arm", 0): FILM, ("own", 1): Lineage(steps=(LearnedFrom(domain="other", fold=1),))}
    assert audit_predictions(lineages, cases, [predictions(judged, "out_of_fold")]).passed
    report = audit_predictions(lineages, cases, [predictions(other, "out_of_fold")])
    assert {f.other_subset for f in report.findings} == {"not judged"}
    own = predictions(in_subset(other, "out_of_fold", 1), "out_of_fold", 1, arm="own")
    assert audit_predictions(lineages, cases, [own]).passed
    swapped = predictions(in_subset(other, "out_of_fold", 0), "out_of_fold", 1, arm="own")
    assert not audit_predictions(lineages, cases, [swapped]).passed


def test_a_classifier_of_a_file_may_have_its_thresholds_chosen_in_its_own_domain_alone() -> None:
    cases = {"film": film(), "site": site()}
    lineages = {("of_file", 0): Lineage()}
    for subset in ("validation", "test"):
        given = predictions(in_subset(cases["film"], subset), subset, arm="of_file")
        assert audit_predictions(lineages, cases, [given], chosen_on={"of_file": "film"}).passed
    validation = predictions(in_subset(cases["film"], "validation"), "validation", arm="of_file")
    for elsewhere in ({}, {"of_file": "site"}, {"other": "film"}):
        assert not audit_predictions(lineages, cases, [validation], chosen_on=elsewhere).passed
    seen = predictions(in_subset(cases["film"], "train"), "train", arm="of_file")
    assert not audit_predictions(lineages, cases, [seen], chosen_on={"of_file": "film"}).passed


def test_a_case_that_an_ancestor_saw_in_another_domain_is_a_leak() -> None:
    again = film().assign(domain="again")
    again["subsets"] = [("target",)] * len(again)
    cases = {"film": film(), "again": again}
    report = audit_predictions({("arm", 0): FILM}, cases, [predictions(again, "target")])
    assert len(report.findings) == 48


def test_units_are_predicted_too_and_strangers_are_refused() -> None:
    cases = {"film": film(), "site": site().assign(unit_id=site()["patient_id"])}
    units = cases["site"].drop_duplicates("unit_id").assign(case_id=lambda t: t["unit_id"])
    assert audit_predictions({("arm", 0): FILM}, cases, [predictions(units, "target")]).passed
    strange = predictions(units.assign(case_id="zz"), "target")
    with pytest.raises(TableError, match="zz is none of its cases"):
        audit_predictions({("arm", 0): FILM}, cases, [strange])
    with pytest.raises(TableError, match="no lineage"):
        audit_predictions({}, cases, [predictions(units, "target")])


def test_the_same_files_are_found_whatever_they_were_preprocessed_to() -> None:
    cases, _ = tables(copy=domain("copy", [("target",)] * 10, first=0))
    files = {
        dataset: pd.Series(
            {name: f"content {name[-4:]}" for name in cases[owner]["image_id"]}, dtype="string"
        )
        for owner, dataset in ((n, t["dataset"].iloc[0]) for n, t in cases.items())
    }
    report = study(cases=cases, indexes={"none": pd.DataFrame()}, contents=files)
    assert not report.passed
    assert found(report, "file_learned_from")
