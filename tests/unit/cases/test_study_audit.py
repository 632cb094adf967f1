from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tables_of_cases import random_cases

from mammoshift.cases.study_audit import (
    StoredDataset,
    audit_domain_files,
    audit_prediction_files,
    audit_study_files,
)
from mammoshift.contracts.cases import cases_digest, learned_cases, write_cases
from mammoshift.contracts.lineage import LearnedFrom, Lineage
from mammoshift.contracts.manifest import Exclusion, write_exclusions
from mammoshift.contracts.predictions import write_predictions
from mammoshift.errors import ArchiveError, DamagedFileError, LeakageError
from mammoshift.pixelstore.index import INDEX_SCHEMA, write_index

LINEAGES = {("arm", 0): Lineage(steps=(LearnedFrom(domain="film"),))}


def stored(folder: Path, images: list[str], lost: int = 0) -> StoredDataset:
    """A manifest of the images, and their store in two shards without the last `lost`."""
    generator = np.random.default_rng(0)
    files = folder / "files.parquet"
    keys = [f"content of {name}" for name in images]
    pd.DataFrame({"image_id": images, "dataset": "d", "content_key": keys}).to_parquet(files)
    kept = images[: len(images) - lost]
    for number in range(2):
        shard = folder / "shards" / str(number)
        shard.mkdir(parents=True)
        rows = []
        for name in kept[number::2]:
            row: dict[str, object] = dict.fromkeys(INDEX_SCHEMA.names, 0) | {"filled_share": 0.9}
            row.update(
                item_id=name,
                image_id=name,
                max=9,
                pixel_hash=name,
                flipped=False,
                breast_found=True,
            )
            row.update(perceptual_hash=int(generator.integers(0, 1 << 63)))
            rows.append({**row, "fine_hash": generator.bytes(64)})
        write_index(rows, shard / "index.parquet")
        gone = [Exclusion("d", name, "preprocess", "truncated") for name in images[len(kept) :]]
        write_exclusions(gone if number == 0 else [], shard / "exclusions.csv")
    shards = tuple(folder / "shards" / str(number) for number in range(2))
    return StoredDataset(files, shards, 0.05)


@pytest.fixture
def cases() -> pd.DataFrame:
    table = random_cases(40).assign(domain="film")
    number = table["patient_id"].str[1:].astype(int)
    table["subsets"] = [("train",) if n < 30 else ("test",) for n in number]
    return table


def test_files_of_a_sound_study_pass(cases: pd.DataFrame, tmp_path: Path) -> None:
    write_cases(cases, tmp_path / "cases.parquet")
    datasets = {"d": stored(tmp_path, cases["image_id"].tolist())}
    paths = {"film": tmp_path / "cases.parquet"}
    assert audit_domain_files("film", paths["film"], datasets).passed
    report = audit_study_files(LINEAGES, paths, datasets)
    assert all(check.note == "" for check in report.checks)
    held_out = cases[[s == ("test",) for s in cases["subsets"]]]
    table = pd.DataFrame(
        {"arm": "arm", "seed": 0, "fold": 0, "domain": "film", "subset": "test", "logit": 0.0}
        | {"case_id": held_out["case_id"]}
    )
    write_predictions(table, tmp_path / "one.parquet")
    assert audit_prediction_files(LINEAGES, paths, [tmp_path / "one.parquet"]).passed
    write_predictions(table.assign(subset="validation"), tmp_path / "two.parquet")
    with pytest.raises(LeakageError, match="arm fold 0"):
        audit_prediction_files(LINEAGES, paths, [tmp_path / "two.parquet"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"seed": 1}, "of a model of seed 1, fold 0, and lies in the place of arm, seed 0, fold 0"),
        ({"fold": 1}, "of a model of seed 0, fold 1, and lies in the place of arm, seed 0, fold 0"),
        ({"cases_sha256": "0"}, "of a model of other cases, and lies"),
    ],
)
def test_a_model_in_the_place_of_another_stops_the_run(
    cases: pd.DataFrame, tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    write_cases(cases, tmp_path / "cases.parquet")
    record = tmp_path / "arm" / "seed-0" / "fold-0" / "model.json"
    record.parent.mkdir(parents=True)
    digest = cases_digest(learned_cases(cases, 0))
    record.write_text(json.dumps({"seed": 0, "fold": 0, "cases_sha256": digest, **changes}))
    with pytest.raises(DamagedFileError, match=problem) if problem else nullcontext():
        audit_prediction_files(
            LINEAGES,
            {"film": tmp_path / "cases.parquet"},
            [],
            records=[record],
            own_domains={"arm": "film"},
        )


def test_a_leak_stops_the_run_with_the_list(
    cases: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases["subsets"] = [("test",), *cases["subsets"][1:]]
    write_cases(cases, tmp_path / "cases.parquet")
    datasets = {"d": stored(tmp_path, cases["image_id"].tolist())}
    with pytest.raises(LeakageError):
        audit_domain_files("film", tmp_path / "cases.parquet", datasets)
    assert "patient_in_one_subset" in capsys.readouterr().out
    with pytest.raises(LeakageError, match="patient_learned_from"):
        audit_study_files(LINEAGES, {"film": tmp_path / "cases.parquet"}, datasets)


def test_more_losses_than_a_dataset_allows_stop_the_run(
    cases: pd.DataFrame, tmp_path: Path
) -> None:
    write_cases(cases, tmp_path / "cases.parquet")
    datasets = {"d": stored(tmp_path, cases["image_id"].tolist(), lost=20)}
    with pytest.raises(ArchiveError, match=r"d: 20 of .* more than .*20 x truncated"):
        audit_domain_files("film", tmp_path / "cases.parquet", datasets)
