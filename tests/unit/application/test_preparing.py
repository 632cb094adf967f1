"""What does not look like an image of a breast is scored, named, and not called."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mammoshift.application.facts import KnownFacts
from mammoshift.application.preparing import LEAST_CERTAIN, MOST_COVERED, doubt_about, prepare
from mammoshift.application.scores import Scoring, operating_point, score_files
from mammoshift.application.trained import open_models
from mammoshift.configuration.model import InputRecipe
from mammoshift.imaging.breast import locate_breast
from mammoshift.imaging.decode import decode_image
from models_on_disk import reading_of, write_images, write_toy, write_toy_card

SHAPE = (600, 400)
RNG = np.random.default_rng(0)


def label() -> np.ndarray:
    drawn = np.zeros(SHAPE, np.uint8)
    return cv2.putText(drawn, "L MLO", (40, 300), cv2.FONT_HERSHEY_SIMPLEX, 2, 255, 6)


def clouds() -> np.ndarray:
    coarse = RNG.random((6, 4)).astype(np.float32)
    wide = cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    return (255 * np.clip(wide, 0, 1)).astype(np.uint8)


def document() -> np.ndarray:
    drawn = np.full(SHAPE, 200, np.uint8)
    return cv2.rectangle(drawn, (60, 60), (340, 540), 90, -1)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: np.zeros(SHAPE, np.uint8), "no breast was found"),
        (lambda: np.full(SHAPE, 255, np.uint8), "no breast was found"),
        (lambda: RNG.integers(0, 256, SHAPE).astype(np.uint8), "no breast was found"),
        (label, "no breast was found"),
        (clouds, "covers 97% of the image"),
        (document, "has not the shape of one breast"),
    ],
)
def test_nothing_is_called_without_a_breast(
    tmp_path: Path, draw: Callable[[], np.ndarray], said: str
) -> None:
    folder = write_toy(tmp_path / "toy")
    write_toy_card(folder, [reading_of(threshold=-1e6)])
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), draw())
    applied = open_models([folder], torch.device("cpu"))
    point = operating_point(applied, None)
    scoring = Scoring(applied, applied.recipe, KnownFacts(), point, torch.device("cpu"))
    (other,) = write_images(tmp_path, 1)
    (doubtful, sound) = score_files([path, other], scoring)
    assert doubtful.logit is not None
    assert doubtful.called is None
    assert said in doubtful.note
    assert sound.called is True


def test_a_folder_without_images_is_called_one(tmp_path: Path) -> None:
    done = prepare(tmp_path, InputRecipe(size=(48, 32)), KnownFacts())
    assert done.array is None
    assert done.notes == ("a folder without an image file",)


def test_no_real_film_is_doubted(shared_data: Path, tmp_path: Path) -> None:
    """The first of those 322 that were all looked at when the limits were set."""
    films = []
    with tarfile.open(shared_data / "mias" / "all-mias.tar.gz") as archive:
        while len(films) < 8 and (member := archive.next()) is not None:
            content = archive.extractfile(member) if member.name.endswith(".pgm") else None
            if content is not None:
                films.append(tmp_path / Path(member.name).name)
                films[-1].write_bytes(content.read())
    regions = [locate_breast(decode_image(film)) for film in films]
    assert [doubt_about(region) for region in regions] == [""] * 8
    assert max(float((region.mask > 0).mean()) for region in regions) < MOST_COVERED
    assert min(region.certainty for region in regions) > LEAST_CERTAIN
