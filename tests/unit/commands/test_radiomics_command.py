"""`mammoshift radiomics fit`: a planted signal, pure noise, and odd tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mammoshift.commands.radiomics import app, fitted_report
from mammoshift.errors import LeakageError, TableError
from mammoshift.radiomics.patient_tables import (
    Columns,
    Patients,
    PatientTables,
    read_patient_tables,
)
from mammoshift.radiomics.settings import Boosting

SIZES = {"train": 120, "validation": 60, "test": 80}
Tables = dict[str, pd.DataFrame]


def planted() -> Tables:
    """Return tables whose scores, and one feature, tell the class."""
    rng = np.random.default_rng(5)
    tables = {}
    for name, size in SIZES.items():
        label = (rng.random(size) < 0.5).astype(int)
        columns: dict[str, Any] = {"patient": [f"{name}-{i}" for i in range(size)], "label": label}
        columns |= {f"score_{v}": rng.normal(0.8 * label, 1.0, size) for v in ("cc", "mlo")}
        columns["density"] = rng.normal(2000.0 * label, 1000.0, size)
        columns |= {f"noise_{i}": rng.normal(size=size) for i in range(8)}
        tables[name] = pd.DataFrame(columns).assign(site="somewhere")
    return tables


def write(folder: Path, tables: Tables) -> list[str]:
    arguments = []
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
        arguments += [f"--{name}", str(folder / f"{name}.csv")]
    return arguments


def read(folder: Path, **changes: Any) -> PatientTables:
    columns = Columns(**{"label": "label", "identifier": "patient", **changes})
    train, validation, test = (folder / f"{name}.csv" for name in SIZES)
    return read_patient_tables(train, validation, test, columns)


def run(folder: Path, *arguments: str) -> tuple[str, dict[str, Any]]:
    out = folder / "out.json"
    given = ["fit", *arguments, "--json", str(out)]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output, json.loads(out.read_text())


def test_a_planted_signal_is_recovered(tmp_path: Path) -> None:
    paths = write(tmp_path, planted())
    scores = ["--scores", "score_cc", "--scores", "score_mlo"]
    text, found = run(tmp_path, *paths, "--label", "label", "--id", "patient", *scores)
    assert {"auc", "threshold", "baselines"} <= set(found)
    assert set(found["auc"]) == {"train", "validation", "test"}
    assert found["auc"]["train"] > found["auc"]["test"] > 0.8
    low, high = found["auc_intervals"]["test"]
    assert low < found["auc"]["test"] < high
    assert found["auc"]["test"] > max(found["baselines"].values())
    assert min(found["baselines"].values()) > 0.6
    for chosen in ("validation", "test_chosen"):
        assert {"value", "sensitivity", "specificity"} <= set(found["threshold"][chosen])
        assert found["threshold"][chosen]["sensitivity"] > 0.6
    assert found["features"]["count"] == 11
    assert "hold text: 'site'" in text
    assert "which flatters" in text
    _, without = run(tmp_path, *paths, "--label", "label", "--drop", "patient", "--drop", "density")
    assert without["baselines"] == {"max": None, "mean": None}
    assert without["auc"]["test"] < found["auc"]["test"]


def test_on_noise_the_validation_threshold_is_honest_and_the_test_chosen_one_is_not() -> None:
    """Whatever the score, sensitivity and specificity of a guess sum to 1."""
    rng = np.random.default_rng(11)
    sums: dict[str, list[float]] = {"validation": [], "test_chosen": []}
    for _ in range(60):
        subsets = {
            name: Patients(rng.normal(size=(50, 6)), np.arange(50) % 2)
            for name in ("train", "validation", "test")
        }
        tables = PatientTables(tuple("abcdef"), subsets, ())
        for name, row in fitted_report(tables, settings=Boosting(trees=25)).threshold.items():
            sums[name].append(row["sensitivity"] + row["specificity"])
    honest, chosen = (np.array(sums[name]) for name in ("validation", "test_chosen"))
    error = honest.std(ddof=1) / np.sqrt(len(honest))
    assert abs(honest.mean() - 1.0) < 3.0 * error
    assert error < 0.04
    assert chosen.mean() > 1.1
    assert (chosen >= honest).mean() > 0.9


def _edit(name: str, **values: Any) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables[name] = tables[name].assign(**values)

    return change


def _cell(name: str, row: int, column: str, value: Any) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        table = tables[name].astype({column: object})
        table.loc[row, column] = value
        tables[name] = table

    return change


def _rows(name: str, count: int) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables[name] = tables[name].head(count)

    return change


def _without(name: str, column: str) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables[name] = tables[name].drop(columns=column)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_edit("test", label=1), r"test\.csv: column 'label': all 80 patients are positive"),
        (_rows("validation", 1), r"validation\.csv: column 'label': all 1 patients"),
        (_rows("train", 0), r"train\.csv: the table has no rows"),
        (_cell("test", 2, "density", "1,5"), r"test\.csv: line 4, column 'density': is no number"),
        (_cell("train", 0, "density", "inf"), r"train\.csv: line 2, column 'density': is infinite"),
        (_cell("train", 0, "label", None), r"line 2, column 'label': is empty"),
        (_cell("train", 0, "label", "maybe"), r"column 'label': 3 different values"),
        (_cell("test", 9, "patient", " "), r"line 11, column 'patient': is empty"),
        (_cell("test", 9, "patient", "test-1"), r"line 11.*the same patient as in line 3"),
        (_without("test", "density"), r"test\.csv: lacks 1 columns of .*train\.csv: 'density'"),
        (_without("validation", "label"), r"validation\.csv: there is no column 'label'"),
        (_edit("train", score_cc="high"), r"'score_cc', named by --scores, holds no numbers"),
        (_edit("train", score_cc=1.0), r"'score_cc', named by --scores, is the same for all"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, change: Callable[[Tables], None], message: str
) -> None:
    tables = planted()
    change(tables)
    write(tmp_path, tables)
    with pytest.raises(TableError, match=message):
        read(tmp_path, scores=("score_cc",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"patient;label;a\n1;0;2\n", "separated by semicolons"),
        (b"patient,label,a,a\n1,0,2,3\n", "column 'a' occurs twice"),
        (b"patient,label,a\n1,0\n", "line 2: 2 values for 3 columns"),
        (b"patient,label,a\n1,0,2,5\n", "line 2: 4 values for 3 columns"),
        (b"PAR1\xff\xfe", "not a CSV file in UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path, planted())
    (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(TableError, match=message):
        read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "nothing"}, "no column 'nothing', named by --label"),
        ({"drop": ("label",)}, "already named by another option"),
        ({"identifier": "label"}, "given as --label and as --id"),
        ({"drop": ("density",), "scores": ("density",)}, "already named"),
        ({"drop": ("dense",)}, "no column 'dense', named by --drop"),
        ({"positive": "2"}, "'2', named by --positive, does not occur"),
    ],
)
def test_options_that_contradict_the_table_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write(tmp_path, planted())
    with pytest.raises(TableError, match=message):
        read(tmp_path, **changes)


def test_a_patient_in_two_tables_is_refused_with_lines_and_without_names(tmp_path: Path) -> None:
    tables = planted()
    tables["test"].loc[7, "patient"] = "train-3"
    write(tmp_path, tables)
    with pytest.raises(LeakageError, match=r"line 5 of .*train\.csv and line 9 of") as refused:
        read(tmp_path)
    assert "train-3" not in str(refused.value)
    renamed = planted()
    for column in renamed["train"].columns[2:]:
        renamed["validation"].loc[4, column] = renamed["train"][column].tolist()[6]
    write(tmp_path, renamed)
    with pytest.raises(LeakageError, match=r"line 8 of .* and line 6 of .*validation"):
        read(tmp_path)
    with pytest.raises(LeakageError, match="by all their numbers"):
        read(tmp_path, identifier=None, drop=("patient",))


@pytest.mark.parametrize(
    ("words", "positive"),
    [
        (("benign", "Malignant"), None),
        (("0.0", "1"), None),
        (("control", "case"), None),
        (("B", "M"), "m"),
        (("1", "2.0"), "2"),
    ],
)
def test_labels_may_be_words(tmp_path: Path, words: tuple[str, str], positive: str | None) -> None:
    tables = planted()
    expected = tables["test"]["label"].to_numpy()
    for name, table in tables.items():
        tables[name] = table.assign(label=np.array(words)[table["label"]])
    write(tmp_path, tables)
    found = read(tmp_path, positive=positive).subsets["test"].labels
    assert found.tolist() == expected.tolist()


def test_odd_but_usable_tables_are_read_alike(tmp_path: Path) -> None:
    write(tmp_path, planted())
    plain = read(tmp_path)
    tables = planted()
    tables["train"] = tables["train"].assign(constant=7, nothing=np.nan, patient_number=range(120))
    for name in ("validation", "test"):
        shuffled = tables[name].assign(constant=5, nothing=1.0, patient_number=0, extra=2)
        tables[name] = shuffled[shuffled.columns[::-1]]
    tables["test"] = tables["test"].astype({"density": object})
    tables["test"].loc[0, "density"] = "N/A"
    write(tmp_path, tables)
    path = tmp_path / "train.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    found = read(tmp_path)
    assert found.names == (*plain.names, "patient_number")
    for name in SIZES:
        mine, theirs = found.subsets[name].features[:, :-1], plain.subsets[name].features
        differ = np.argwhere(mine != theirs).tolist()
        assert differ == ([[0, plain.names.index("density")]] if name == "test" else [])
    notes = " ".join(found.notes)
    for word in ("'constant'", "'nothing'", "'patient_number'", "'extra'", "'site'"):
        assert word in notes


def test_a_number_beyond_all_features_is_named_with_its_place(tmp_path: Path) -> None:
    tables = planted()
    tables["test"].loc[3, "noise_0"] = 1e300
    write(tmp_path, tables)
    with pytest.raises(TableError, match=r"test\.csv.*noise_0.*is larger than 1e\+30"):
        read(tmp_path)


def test_scores_that_are_named_twice_are_refused(tmp_path: Path) -> None:
    tables = planted()
    write(tmp_path, tables)
    with pytest.raises(TableError, match="--scores names a column twice"):
        read(tmp_path, scores=("noise_0", "noise_0"))
