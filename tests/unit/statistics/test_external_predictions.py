"""Reading and refusing tables of predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammoshift.contracts.external_predictions import read_external_predictions
from mammoshift.errors import TableError

GOOD = """case_id,label,arm,score,seed,patient_id,dataset
001,1,a,0.9,10,p1,cmmd
1,0,a,0.2,10,p1,cmmd
x,0,a,0.4,10,p2,cmmd
001,1,a,0.8,9,p1,cmmd
1,0,a,0.3,9,p1,cmmd
x,0,a,0.1,9,p2,cmmd
x,0,b,-1e3,9,p2,cmmd
1,0,b,0.5,9,p1,cmmd
001,1,b,+3,9,p1,cmmd
001,0,a,0.5,9,p1,dmid
"""


@pytest.fixture
def write(tmp_path):
    def make(text: str, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_reads_curves_in_order(write):
    found = read_external_predictions(write(GOOD))
    first, second = found.datasets
    assert (first.dataset, second.dataset) == ("cmmd", "dmid")
    assert first.curves == (("a", "9"), ("a", "10"), ("b", "9"))
    np.testing.assert_array_equal(first.labels, [1, 0, 0])
    np.testing.assert_array_equal(
        first.scores, [[0.8, 0.3, 0.1], [0.9, 0.2, 0.4], [3.0, 0.5, -1000.0]]
    )
    np.testing.assert_array_equal(first.patients, [0, 0, 1])
    assert found.cluster_column == "patient_id"
    assert second.scores.shape == (1, 1)


def test_optional_columns_may_be_absent_and_others_are_ignored(write):
    text = 'score,arm,free text,label,case_id\n0.5,a,"x, y",1,c\n0.25,a,,0,d\n'
    found = read_external_predictions(write(text))
    (only,) = found.datasets
    assert only.dataset is None
    assert only.curves == (("a", None),)
    assert only.patients is None
    assert found.cluster_column is None


def test_parquet_gives_the_same(write, tmp_path):
    csv_path = write(GOOD)
    frame = pd.read_csv(csv_path, dtype={"case_id": str})
    frame["arm"] = frame["arm"].astype("category")
    frame["seed"] = frame["seed"].astype("float64")
    frame["label"] = frame["label"].astype("bool")
    path = tmp_path / "table.parquet"
    frame.assign(label=frame["label"].astype("int8")).to_parquet(path)
    expected, found = read_external_predictions(csv_path), read_external_predictions(path)
    for a, b in zip(expected.datasets, found.datasets, strict=True):
        assert (a.dataset, a.curves) == (b.dataset, b.curves)
        np.testing.assert_array_equal(a.scores, b.scores)
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.patients, b.patients)


def test_integer_case_ids_of_parquet_are_text(tmp_path):
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame(
        {"case_id": [7, 8], "label": [1.0, 0.0], "arm": ["a"] * 2, "score": [1, 2]}
    )
    frame.to_parquet(path)
    (only,) = read_external_predictions(path).datasets
    np.testing.assert_array_equal(only.labels, [1, 0])
    np.testing.assert_array_equal(only.scores, [[1.0, 2.0]])


def test_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("\ufeffcase_id,label,arm,score\r\nc,1,a,2\r\nd,0,a,1\r\n".encode())
    (only,) = read_external_predictions(path).datasets
    np.testing.assert_array_equal(only.scores, [[2.0, 1.0]])


def test_cluster_column_can_be_chosen_or_switched_off(write):
    text = "case_id,label,arm,score,patient_id,exam\nc,1,a,2,p,e1\nd,0,a,1,p,e2\n"
    path = write(text)
    (by_exam,) = read_external_predictions(path, cluster="exam").datasets
    np.testing.assert_array_equal(by_exam.patients, [0, 1])
    assert read_external_predictions(path, cluster="none").datasets[0].patients is None
    with pytest.raises(TableError, match=r"no column 'visit' to cluster by.*'exam'"):
        read_external_predictions(path, cluster="visit")


def test_one_arm_needs_no_arm_column_when_allowed(write):
    path = write("case_id,label,score\nc,1,2\nd,0,1\n")
    assert read_external_predictions(path, single_arm=True).datasets[0].curves == (("", None),)
    with pytest.raises(TableError, match="columns missing: arm"):
        read_external_predictions(path)


HEADER = "case_id,label,arm,score,seed,patient_id\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("case_id,arm,score\nc,a,1\n", ["columns missing: label", "'case_id', 'arm', 'score'"]),
        ("", ["columns missing: case_id, label, arm, score"]),
        ("case_id;label;arm;score\nc;1;a;2\n", ["'case_id;label;arm;score'", "by commas"]),
        (HEADER, ["the table has no rows"]),
        ("case_id,label,arm,score,score\nc,1,a,1,2\n", ["column 'score' occurs twice"]),
        (HEADER + "c,1,a,1,0,p\nd,2,a,1,0,q\n", ["line 3, column label", "is '2'", "0 (negative)"]),
        (HEADER + "c,1,a,1,0,p\nd,,a,1,0,q\n", ["line 3, column label", "is empty"]),
        (HEADER + "c,1,a,nan,0,p\n", ["line 2, column score", "not a finite number"]),
        (HEADER + "c,1,a,1,0,p\nd,0,a,-inf,0,q\n", ["line 3, column score"]),
        (HEADER + "c,1,a,,0,p\n", ["line 2, column score", "'' is not a finite number"]),
        (HEADER + "c,1,a,high,0,p\n", ["line 2, column score", "'high' is not a finite number"]),
        (HEADER + ",1,a,1,0,p\n", ["line 2, column case_id", "is empty"]),
        (HEADER + "c,1,,1,0,p\n", ["line 2, column arm", "is empty"]),
        (HEADER + "c,1,a,1,0,\n", ["line 2, column patient_id", "is empty"]),
        (
            HEADER + "c,1,a,1,0,p\n\nd,0,a,1,0,q\nc,1,a,2,0,p\n",
            ["line 5, column case_id", "arm 'a', seed '0'", "already in line 2"],
        ),
        (
            HEADER + "c,1,a,1,0,p\nd,0,a,1,0,q\nc,0,b,1,0,p\nd,0,b,1,0,q\n",
            ["line 4, column label", "differs from line 2", "a case has one label"],
        ),
        (
            HEADER + "c,1,a,1,0,p\nd,0,a,1,0,q\nc,1,b,1,0,q\nd,0,b,1,0,q\n",
            ["line 4, column patient_id", "differs from line 2"],
        ),
        (
            HEADER + "c,1,a,1,0,p\nd,0,a,1,0,q\ne,0,a,1,0,q\nc,1,b,1,0,p\n",
            ["line 3, column case_id", "arm 'b', seed '0' has no score", "2 of 3 cases"],
        ),
        (
            HEADER + "c,1,a,1,0,p\nc,1,a,1,,p\n",
            ["line 3, column seed", "other rows of this arm have a seed"],
        ),
        (HEADER + "c,1,a,1,0\n", ["line 2: 5 values for 6 columns"]),
        (
            HEADER + '"c\nc",1,a,1,0,p\nd,7,a,1,0,q\n',
            ["line 4, column label", "is '7'"],
        ),
    ],
)
def test_what_is_wrong_is_named(write, text, parts):
    with pytest.raises(TableError) as caught:
        read_external_predictions(write(text))
    message = str(caught.value)
    assert "table.csv" in message
    for part in parts:
        assert part in message


def test_messages_hold_no_identifiers(write):
    secret = "Jane Doe 1961"
    text = HEADER + f"{secret},1,a,1,0,{secret}\n{secret},0,a,1,1,{secret}\n"
    with pytest.raises(TableError) as caught:
        read_external_predictions(write(text))
    assert secret not in str(caught.value)


def test_files_that_are_no_table(tmp_path):
    with pytest.raises(TableError, match="no such file"):
        read_external_predictions(tmp_path / "absent.csv")
    for name in ("noise.parquet", "noise.csv"):
        path = tmp_path / name
        path.write_bytes(b"\xff\xfe\x00\x01" * 50)
        with pytest.raises(TableError, match=name):
            read_external_predictions(path)


def test_parquet_errors_name_rows(tmp_path):
    path = tmp_path / "table.parquet"
    frame = pd.DataFrame(
        {"case_id": ["c", "d"], "label": [1, 0], "arm": ["a", "a"], "score": [0.5, np.nan]}
    )
    frame.to_parquet(path)
    with pytest.raises(TableError, match="row 2, column score"):
        read_external_predictions(path)
    frame.assign(score=["high", "low"]).to_parquet(path)
    with pytest.raises(TableError, match="column score: not a column of numbers"):
        read_external_predictions(path)
    frame.assign(score=[1.0, 2.0], case_id=["c", None]).to_parquet(path)
    with pytest.raises(TableError, match="row 2, column case_id: is empty"):
        read_external_predictions(path)


def test_seeds_that_only_look_like_numbers_are_text(write):
    seeds = ["10", "9", "--5", "\u00b2", "9" * 5000, "-3"]
    rows = "".join(f"c,1,a,1,{seed},p\n" for seed in seeds)
    (only,) = read_external_predictions(write(HEADER + rows)).datasets
    found = [seed for _, seed in only.curves]
    assert found[:3] == ["-3", "9", "10"]
    assert set(found) == set(seeds)


def test_parquet_columns_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "table.parquet"
    good = {"case_id": ["c", "d"], "label": [1, 0], "arm": ["a", "a"], "score": [1.0, 2.0]}
    for name, values in (("case_id", [["c"], ["d"]]), ("arm", [b"\xff", b"\xfe"])):
        pd.DataFrame(good | {name: values}).to_parquet(path)
        with pytest.raises(TableError, match=f"column {name}: not a column of text"):
            read_external_predictions(path)


def test_many_arms_with_few_cases_each_take_no_memory(write):
    rows = "".join(f"c{i},1,arm{i},1\n" for i in range(20_000))
    with pytest.raises(TableError, match="has no score for this case"):
        read_external_predictions(write("case_id,label,arm,score\n" + rows))


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path, content):
    path = tmp_path / "any.csv"
    path.write_bytes(b"case_id,label,arm,score\nc,1,a,1\n" + content)
    try:
        found = read_external_predictions(path)
    except TableError:
        return
    assert all(np.isfinite(part.scores).all() for part in found.datasets)
