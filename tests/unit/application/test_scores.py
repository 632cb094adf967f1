"""Scores of files: as the workflow makes them, read by the card, in bounded batches."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mammoshift.application import scores as scores_module
from mammoshift.application.facts import Facts, KnownFacts
from mammoshift.application.scores import (
    Score,
    Scoring,
    file_text,
    operating_point,
    score_files,
)
from mammoshift.application.trained import open_models
from mammoshift.configuration.model import InputRecipe
from mammoshift.errors import ConfigurationError
from mammoshift.files import sha256_of_file
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.preprocess import preprocess_image
from mammoshift.models.card import Ensemble
from mammoshift.scoring.score import Scored, score_images
from models_on_disk import reading_of, write_images, write_toy, write_toy_card

CPU = torch.device("cpu")


def scoring_of(*folders: Path, point: str | None = None, **changes: object) -> Scoring:
    applied = open_models(folders, CPU)
    made = Scoring(applied, applied.recipe, KnownFacts(), operating_point(applied, point), CPU)
    return Scoring(**(vars(made) | changes))  # pyright: ignore[reportArgumentType]


class OfFiles:
    """What a pixel store of the files would hold."""

    def __init__(self, recipe: InputRecipe, **known: str) -> None:
        self.recipe, self.known = recipe, known

    def read(self, image_id: str) -> np.ndarray:
        return preprocess_image(decode_image(Path(image_id)), self.recipe, **self.known).array  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_logits_are_those_of_scoring_a_store(tmp_path: Path, precision: str) -> None:
    folder = write_toy(tmp_path / "toy", scoring_precision=precision)
    files = write_images(tmp_path, 11)
    scoring = scoring_of(folder, batch_size=4)
    found = [score.logit for score in score_files(files, scoring)]
    expected = score_images(folder, OfFiles(scoring.recipe), [str(f) for f in files], 32, CPU)
    assert np.std(expected) > 1e-4
    tolerance = 1e-5 if precision == "float32" else 0.02 * float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_a_stated_side_is_used_as_that_of_a_manifest(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy")
    path = tmp_path / "image.png"
    import cv2

    cv2.imwrite(str(path), np.full((60, 60), 90, np.uint8))
    for side in ("left", "right"):
        scoring = scoring_of(folder, known=KnownFacts(Facts(laterality=side)))
        (score,) = score_files([path], scoring)
        expected = score_images(
            folder, OfFiles(scoring.recipe, laterality=side), [str(path)], 1, CPU
        )
        assert score.logit == pytest.approx(expected[0], abs=1e-6)
        assert "side unknown" not in score.note
    (unknown,) = score_files([path], scoring_of(folder))
    assert "side unknown: the chest wall was told from the image" in unknown.note


def test_without_a_card_nothing_is_called_and_the_note_says_so(tmp_path: Path) -> None:
    scoring = scoring_of(write_toy(tmp_path / "toy"))
    (score,) = score_files(write_images(tmp_path, 1), scoring)
    assert score.logit is not None
    assert score.probability == pytest.approx(1.0 / (1.0 + math.exp(-score.logit)))
    assert score.called is None
    assert "no model card: the probability is not calibrated" in score.note


def test_a_card_calibrates_and_calls(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy")
    files = write_images(tmp_path, 6)
    logits = [score.logit for score in score_files(files, scoring_of(folder))]
    middle = float(np.median([logit for logit in logits if logit is not None]))
    write_toy_card(folder, [reading_of(threshold=middle)])
    found = list(score_files(files, scoring_of(folder)))
    assert [score.called for score in found] == [score.logit >= middle for score in found]  # pyright: ignore[reportOptionalOperand]
    assert {score.called for score in found} == {True, False}
    for score in found:
        assert score.logit is not None
        assert score.probability == pytest.approx(1.0 / (1.0 + math.exp(-score.logit / 2.0)))
    everything = score_files(files, scoring_of(folder, point="youden"))
    assert all(score.called for score in everything)
    with pytest.raises(ConfigurationError, match=r"no operating point 'best'.* youden"):
        scoring_of(folder, point="best")


def test_a_card_without_temperature_or_threshold_says_what_is_missing(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy")
    write_toy_card(folder, [reading_of(temperature=None, operating_points=[])])
    (score,) = score_files(write_images(tmp_path, 1), scoring_of(folder))
    assert score.called is None
    assert "the probability is not calibrated (not fitted)" in score.note
    assert "nothing is called" in score.note


def test_seeds_are_averaged_and_read_as_the_card_of_them_all_says(tmp_path: Path) -> None:
    folders = [write_toy(tmp_path / f"seed-{s}/fold-0", seed=s) for s in (0, 1)]
    files = write_images(tmp_path, 3)
    single = [[s.logit for s in score_files(files, scoring_of(f))] for f in folders]
    members = tuple(sha256_of_file(folder / "model.safetensors") for folder in folders)
    write_toy_card(
        folders[0], ensemble=Ensemble(members=members, readings=(reading_of(temperature=4.0),))
    )
    both = list(score_files(files, scoring_of(tmp_path)))
    np.testing.assert_allclose(
        [score.logit for score in both],  # pyright: ignore[reportArgumentType]
        np.mean(np.array(single, dtype=float), axis=0),
        atol=1e-6,
    )
    logit = both[0].logit
    assert logit is not None
    assert both[0].probability == pytest.approx(1.0 / (1.0 + math.exp(-logit / 4.0)))
    write_toy_card(folders[0], ensemble=Ensemble(members=members[:1], readings=(reading_of(),)))
    (other, *_) = score_files(files, scoring_of(*folders))
    assert other.called is None
    assert "no card says how the mean of these models is read" in other.note


def hostile(folder: Path) -> list[Path]:
    """Files that are no image, in the ways that are met."""
    folder.mkdir()
    contents = {
        "empty.png": b"",
        "text.dcm": b"Patient: Doe",
        "cut.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "huge.pgm": b"P5\n70000 70000\n255\n",
        "negative.pgm": b"P5\n-3 4\n255\n\0",
        "damaged.dcm": bytes(128) + b"DICM" + b"\xff" * 300,
        "damaged.tif": b"II*\0\x08\0\0\0" + b"\xff" * 40,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "loop.png").symlink_to("loop.png")
    os.mkfifo(folder / "pipe.png")
    return [*(folder / name for name in contents), folder / "loop.png", folder / "pipe.png"]


def test_files_that_cannot_be_used_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    folder = write_toy(tmp_path / "toy")
    write_toy_card(folder)
    bad = [*hostile(tmp_path / "bad"), tmp_path / "absent.png", Path("null\0byte.png")]
    good = write_images(tmp_path / "good", 3)
    files = [good[0], *bad, *good[1:]]
    found = list(score_files(files, scoring_of(folder, batch_size=4)))
    assert [score.file for score in found] == [file_text(path) for path in files]
    by_file = {score.file: score for score in found}
    alone = list(score_files(good, scoring_of(folder)))
    assert [by_file[str(path)].logit for path in good] == pytest.approx([s.logit for s in alone])
    for path in bad:
        score = by_file[file_text(path)]
        assert score == Score(score.file, None, None, None, score.note)
        assert score.note
        assert "Doe" not in score.note


def test_an_image_of_one_pixel_is_scored_or_named(tmp_path: Path) -> None:
    path = tmp_path / "one.pgm"
    path.write_bytes(b"P5\n1 1\n255\n\x80")
    (score,) = score_files([path], scoring_of(write_toy(tmp_path / "toy")))
    assert score.note


def test_a_logit_that_was_computed_again_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = scoring_of(write_toy(tmp_path / "toy"))
    again = np.array([[False, False], [False, True]])
    scored = Scored(np.array([[1.0, 3.0], [2.0, 5.0]]), again, 8)
    monkeypatch.setattr(scores_module, "logits_of", lambda *_: scored)
    first, second = score_files(write_images(tmp_path, 2), scoring)
    assert (first.logit, second.logit) == (1.5, 4.0)
    assert "computed in float32" in second.note
    assert "computed in float32" not in first.note


def test_never_more_than_a_batch_and_what_is_read_ahead_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand files come one by one, and what was taken of them never runs far ahead."""
    scoring = scoring_of(write_toy(tmp_path / "toy"), batch_size=8, readers=2)
    taken, batches = 0, []
    array = preprocess_image(decode_image(write_images(tmp_path, 1)[0]), scoring.recipe).array

    def stream():
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield Path(f"{number}.png")

    def logits(arrays, _scoring):
        batches.append(len(arrays))
        return Scored(np.zeros((1, len(arrays))), np.zeros((1, len(arrays)), bool), 8)

    monkeypatch.setattr(
        scores_module, "prepare", lambda file, *_: scores_module.Prepared(file, array)
    )
    monkeypatch.setattr(scores_module, "logits_of", logits)
    ahead = 0
    for done, _ in enumerate(score_files(stream(), scoring)):
        ahead = max(ahead, taken - done)
    assert taken == 1000
    assert max(batches) == 8
    assert ahead <= 8 + 2 + 2 + 1
