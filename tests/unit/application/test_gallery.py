"""Hits and misses: chosen by rank among the other class, drawn without anything of a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mammoshift.application.gallery import GalleryJob, choose_cases, draw_gallery, scored_cases
from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.cases import CASES_SCHEMA, write_cases
from mammoshift.contracts.gallery import read_gallery_record
from mammoshift.contracts.predictions import write_predictions
from mammoshift.contracts.run import Run
from mammoshift.errors import TableError
from models_on_disk import SIZE, write_images, write_toy

CASES = 12


def cases_of(files: list[Path]) -> pd.DataFrame:
    names = [file.stem for file in files]
    table = pd.DataFrame(
        {
            "case_id": names,
            "item_id": names,
            "unit_id": names,
            "image_id": names,
            "domain": "clinic",
            "dataset": ["open" if n % 4 else "closed" for n in range(len(names))],
            "patient_id": [f"SECRET{n // 2}" for n in range(len(names))],
            "label": np.array([n % 2 for n in range(len(names))], np.int8),
            "unit_label": np.array([n % 2 for n in range(len(names))], np.int8),
            "subsets": [("target",)] * len(names),
        }
    )
    return table.reindex(columns=CASES_SCHEMA.names)


def predictions_of(cases: pd.DataFrame, seeds: int = 2) -> pd.DataFrame:
    parts = []
    for seed in range(seeds):
        logit = np.random.default_rng(seed).normal(size=len(cases)) + 0.3 * cases["label"]
        named = {"arm": "toy", "seed": seed, "fold": 0, "domain": "clinic", "subset": "target"}
        parts.append(cases[["case_id"]].assign(logit=logit, **named))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> GalleryJob:
    folder = tmp_path_factory.mktemp("gallery")
    files = write_images(folder / "raw", CASES)
    cases = cases_of(files)
    write_cases(cases, folder / "cases.parquet")
    write_predictions(predictions_of(cases), folder / "predictions.parquet")
    listed = pd.DataFrame({"image_id": cases["image_id"], "path": [file.name for file in files]})
    unknown = dict.fromkeys(("laterality", "view", "pixel_spacing_mm"))
    listed.assign(mirrored=False, **unknown).to_parquet(folder / "files.parquet")
    return GalleryJob(
        arm="toy",
        per_domain=3,
        recipes={"open": InputRecipe(size=SIZE)},
        models={Run("toy", s): write_toy(folder / f"m{s}", seed=s) for s in range(2)},
        cases=[folder / "cases.parquet"],
        predictions=[folder / "predictions.parquet"],
        files={"open": folder / "files.parquet"},
        roots={"open": folder / "raw"},
    )


def test_the_mean_placement_of_positives_is_the_auc() -> None:
    cases = cases_of([Path(f"{n:03}") for n in range(40)])
    scored = scored_cases(cases, predictions_of(cases))
    positive, negative = (scored[scored["label"] == label] for label in (1, 0))
    pairs = positive["logit"].to_numpy()[:, None] > negative["logit"].to_numpy()
    assert positive["placement"].mean() == pytest.approx(pairs.mean())
    assert negative["placement"].mean() == pytest.approx(pairs.mean())
    assert set(scored["runs"]) == {((0, 0), (1, 0))}


def test_the_most_confident_come_first_one_for_each_patient_and_only_open_ones() -> None:
    cases = cases_of([Path(f"{n:03}") for n in range(80)])
    scored = scored_cases(cases, predictions_of(cases))
    chosen = choose_cases(scored, {"open"}, 5)
    assert chosen["kind"].tolist() == ["hit"] * 5 + ["miss"] * 5
    assert chosen["label"].tolist() == [1, 1, 1, 0, 0] * 2
    assert (chosen["dataset"] == "open").all()
    assert not chosen[chosen["kind"] == "hit"]["patient_id"].duplicated().any()
    open_ = scored[(scored["dataset"] == "open") & (scored["label"] == 1)]
    assert chosen["placement"].iloc[0] == open_["placement"].max()
    assert chosen["placement"].iloc[5] == open_["placement"].min()
    assert (chosen[chosen["kind"] == "miss"]["placement"] < 0.5).all()


def test_without_one_class_nothing_is_a_hit_or_a_miss() -> None:
    cases = cases_of([Path(f"{n:03}") for n in range(6)]).assign(label=np.int8(1))
    assert choose_cases(scored_cases(cases, predictions_of(cases)), {"open"}, 3).empty


def test_pictures_and_record_name_nobody(job: GalleryJob, tmp_path: Path) -> None:
    (tmp_path / "clinic-hit-9.jpg").write_bytes(b"of an earlier gallery")
    draw_gallery(job, tmp_path / "gallery.json", torch.device("cpu"))
    record = read_gallery_record(tmp_path / "gallery.json")
    assert record.domains == ("clinic",)
    names = {case.picture for case in record.cases}
    assert names == {path.name for path in tmp_path.glob("*.jpg")}
    assert names >= {"clinic-hit-1.jpg", "clinic-miss-1.jpg"}
    assert all(case.models == 2 for case in record.cases)
    text = (tmp_path / "gallery.json").read_text(encoding="utf-8")
    pictures = b"".join((tmp_path / name).read_bytes() for name in sorted(names))
    for private in ("SECRET", "raw", ".png", str(tmp_path)):
        assert private not in text
        assert private.encode() not in pictures
    assert b"Exif" not in pictures
    assert {case.kind for case in record.cases} == {"hit", "miss"}


def test_an_image_that_is_gone_is_left_out(job: GalleryJob, tmp_path: Path) -> None:
    whole = draw_gallery(job, tmp_path / "a" / "gallery.json", torch.device("cpu"))
    elsewhere = tmp_path / "raw"
    elsewhere.mkdir()
    for path in job.roots["open"].glob("*.png"):
        if path.stem != "001":
            (elsewhere / path.name).write_bytes(path.read_bytes())
    fewer = GalleryJob(**{**vars(job), "roots": {"open": elsewhere}, "per_domain": 12})
    record = draw_gallery(fewer, tmp_path / "b" / "gallery.json", torch.device("cpu"))
    assert 0 < len(record.cases) < CASES
    assert len(whole.cases) <= 6


def test_another_file_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "gallery.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(TableError, match="no record of a gallery"):
        read_gallery_record(tmp_path / "gallery.json")
