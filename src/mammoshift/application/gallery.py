"""The most confident hits and misses of an arm, each with a heat map, without identifiers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mammoshift.application.explanations import Explained, explain_files
from mammoshift.application.facts import COLUMNS, Facts, KnownFacts
from mammoshift.application.scores import Scoring
from mammoshift.application.trained import Applied, Trained
from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.cases import JUDGED_SUBSETS, read_cases
from mammoshift.contracts.gallery import (
    GalleryRecord,
    Kind,
    ShownCase,
    write_gallery_record,
)
from mammoshift.contracts.predictions import read_predictions
from mammoshift.contracts.run import Run
from mammoshift.files import atomic_path
from mammoshift.models.saved_model import load_model
from mammoshift.pixelstore.writer import path_below

TALLEST = 320
"""Rows of a picture, at most."""
_QUALITY = 85
_BATCH = 4
_NO_READING = "the gallery shows logits"


@dataclass(frozen=True)
class GalleryJob:
    """The files and settings of one arm's gallery.

    Attributes
    ----------
    arm
        Its name.
    per_domain
        Hits of each domain, and as many misses.
    recipes
        Dataset -> how its images become the arm's input; datasets that may not be shown are absent.
    models
        Run -> folder of the model that it applies.
    cases, predictions
        Of each domain, in the study's order.
    files
        Dataset -> its table of files to decode.
    roots
        Dataset -> folder of its raw archive.
    """

    arm: str
    per_domain: int
    recipes: Mapping[str, InputRecipe]
    models: Mapping[Run, Path]
    cases: Sequence[Path]
    predictions: Sequence[Path]
    files: Mapping[str, Path]
    roots: Mapping[str, Path]


def draw_gallery(job: GalleryJob, destination: Path, device: torch.device) -> GalleryRecord:
    """Choose cases, draw each with its heat map, and write the pictures and their record.

    Pictures lie beside the record and are named after domain, kind and number; those of an earlier
    gallery are removed. A file that cannot be read any more is left out.
    """
    folder = destination.parent
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    loaded: dict[Path, Trained] = {}
    domains, shown = [], []
    for cases_path, predictions_path in zip(job.cases, job.predictions, strict=True):
        scored = scored_cases(read_cases(cases_path), read_predictions(predictions_path))
        chosen = choose_cases(scored, job.recipes.keys(), job.per_domain)
        domains += dict.fromkeys(scored["domain"].astype(str))
        shown += _drawn(job, chosen, folder, loaded, device)
    record = GalleryRecord(job.arm, tuple(domains), tuple(shown))
    write_gallery_record(record, destination)
    return record


def scored_cases(cases: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the judged cases with `logit`, the mean over their `runs`, and their `placement`.

    Parameters
    ----------
    cases, predictions
        The tables of one domain and, for the predictions, one arm.

    Returns
    -------
    table
        The columns of `cases` with `logit`, `runs` (tuples of (seed, fold)) and `placement`, the
        share of the other class's cases that a case is on the right side of, ties for half.
    """
    judged = predictions[predictions["subset"].isin(JUDGED_SUBSETS)]
    judged = judged.sort_values(["seed", "fold"], kind="stable")
    pairs = list(zip(judged["seed"], judged["fold"], strict=True))
    by_case = judged.assign(runs=pd.Series(pairs, index=judged.index)).groupby("case_id")
    means = by_case.agg(logit=("logit", "mean"), runs=("runs", tuple)).reset_index()
    table = cases.merge(means, on="case_id", validate="1:1").sort_values("case_id")
    return table.assign(placement=_placements(table)).reset_index(drop=True)


def choose_cases(scored: pd.DataFrame, datasets: Sequence[str] | Any, count: int) -> pd.DataFrame:
    """Return up to `count` hits and `count` misses, the most confident first, one per patient.

    Half of each, rounded up, are positive cases, as far as there are any. The column `kind` says
    which they are. Cases of other datasets than `datasets` are placed, and not shown.
    """
    known = scored[scored["dataset"].isin(list(datasets)) & scored["placement"].notna()]
    parts = []
    for kind, is_kind, rising in (
        ("hit", known["placement"] > 0.5, False),
        ("miss", known["placement"] < 0.5, True),
    ):
        ordered = known[is_kind].assign(
            confidence=np.where(known.loc[is_kind, "label"] == 1, 1.0, -1.0)
            * known.loc[is_kind, "logit"]
        )
        ordered = ordered.sort_values(
            ["placement", "confidence", "case_id"], ascending=[rising, rising, True]
        )
        patients = ordered["patient_id"].fillna(ordered["case_id"])
        ordered = ordered[~(ordered["dataset"] + "/" + patients).duplicated()]
        positive, negative = ordered[ordered["label"] == 1], ordered[ordered["label"] == 0]
        wanted = max(count - count // 2, count - len(negative))
        first = positive.iloc[:wanted]
        parts.append(pd.concat([first, negative.iloc[: count - len(first)]]).assign(kind=kind))
    return pd.concat(parts, ignore_index=True)


def _placements(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return for each case the share of the other class that it lies on the right side of."""
    labels, logits = table["label"].to_numpy(), table["logit"].to_numpy(dtype=float)
    placed = np.full(len(table), np.nan)
    for label, sign in ((1, 1.0), (0, -1.0)):
        own, others = sign * logits[labels == label], np.sort(sign * logits[labels == 1 - label])
        if len(others):
            below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
            placed[labels == label] = below / (2.0 * len(others))
    return placed


def _drawn(
    job: GalleryJob,
    chosen: pd.DataFrame,
    folder: Path,
    loaded: dict[Path, Trained],
    device: torch.device,
) -> list[ShownCase]:
    """Draw the chosen cases of one domain and return what each shows."""
    pictures: dict[str, tuple[Explained, NDArray[np.uint8]]] = {}
    for (dataset, _), group in chosen.groupby(["dataset", "runs"], sort=True):
        runs = group["runs"].iloc[0]
        models = [job.models[Run(job.arm, seed, fold)] for seed, fold in runs]
        for model in models:
            if model not in loaded:
                classifier, record = load_model(model, device)
                loaded[model] = Trained(model, classifier, record, None)
        applied = Applied(tuple(loaded[model] for model in models), None, _NO_READING)
        files = _files(job, str(dataset), group)
        facts = {path.resolve(): facts for path, facts in files.values()}
        recipe = job.recipes[str(dataset)]
        scoring = Scoring(applied, recipe, KnownFacts(by_file=facts), None, device, _BATCH)
        with TemporaryDirectory() as temporary:
            paths = [path for path, _ in files.values()]
            explained = explain_files(paths, scoring, Path(temporary), opaque=True)
            for case_id, one in zip(files, explained, strict=True):
                if one.picture is not None:
                    pictures[case_id] = (one, _small(one.picture))
    shown, counts = [], dict.fromkeys(("hit", "miss"), 0)
    for row in chosen.to_dict("records"):
        if row["case_id"] in pictures:
            counts[row["kind"]] += 1
            name = f"{row['domain']}-{row['kind']}-{counts[row['kind']]}.jpg"
            shown.append(_shown(row, *pictures[row["case_id"]], folder / name))
    return shown


def _files(job: GalleryJob, dataset: str, cases: pd.DataFrame) -> dict[str, tuple[Path, Facts]]:
    """Return case -> its file, and what is known of it."""
    table = pd.read_parquet(job.files[dataset]).set_index("image_id")
    found = {}
    for case_id, image_id in zip(cases["case_id"], cases["image_id"], strict=True):
        row = table.loc[image_id]
        known = {name: None if pd.isna(row[name]) else row[name] for name in COLUMNS if name in row}
        found[case_id] = (path_below(job.roots[dataset], row["path"]), Facts(**known))
    return found


def _small(picture: Path) -> NDArray[np.uint8]:
    drawn = np.asarray(cv2.imread(str(picture)), np.uint8)
    factor = min(1.0, TALLEST / drawn.shape[0])
    size = (max(1, round(drawn.shape[1] * factor)), max(1, round(drawn.shape[0] * factor)))
    return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA), np.uint8)


def _shown(
    row: Mapping[Any, Any], explained: Explained, drawn: NDArray[np.uint8], path: Path
) -> ShownCase:
    encoded = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded)
    kind: Kind = row["kind"]
    notes = explained.score.note.split("; ")
    return ShownCase(
        domain=row["domain"],
        kind=kind,
        positive=bool(row["label"] == 1),
        logit=float(row["logit"]),
        placement=float(row["placement"]),
        models=len(row["runs"]),
        picture=path.name,
        sha256=hashlib.sha256(encoded).hexdigest(),
        height=drawn.shape[0],
        width=drawn.shape[1],
        note="; ".join(note for note in notes if note != _NO_READING),
    )
