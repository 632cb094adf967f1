"""One file to the array that a model takes, as a workflow's images are made."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammoshift.application.facts import Facts, KnownFacts
from mammoshift.configuration.model import InputRecipe
from mammoshift.errors import UnreadableImageError
from mammoshift.imaging.breast import BreastRegion, locate_breast, mask_in_box
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.decoded import DecodedImage
from mammoshift.imaging.header import read_header
from mammoshift.imaging.preprocess import Preprocessed, expected_wall, preprocess_image
from mammoshift.pixelstore.index import LEAST_FILLED_SHARE

LEAST_COVERED, MOST_COVERED = 0.05, 0.95
"""Shares of an image that its breast may cover for a class to be called."""
LEAST_CERTAIN = 0.6
"""Certainty of a breast's mask (see `mammoshift.imaging.breast`) from which a class is called."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A file as a model's input, or the reason why it is none.

    Attributes
    ----------
    file
        As it was given.
    array
        uint16 of the recipe's size; None for a file that cannot be used.
    notes
        What was assumed or found; of a file that cannot be used the reason.
    shown
        bool, shape of `array`: what of it shows the breast. None unless it was asked for.
    is_doubtful
        Whether the image does not look like one of a breast (`doubt_about`), so that no class is
        to be called for it.
    """

    file: Path
    array: NDArray[np.uint16] | None
    notes: tuple[str, ...] = ()
    shown: NDArray[np.bool_] | None = field(default=None, repr=False)
    is_doubtful: bool = False


def prepare(
    file: Path, recipe: InputRecipe, known: KnownFacts, with_breast: bool = False
) -> Prepared:
    """Return the array of one file; never raises for what is wrong with the file.

    Parameters
    ----------
    file
        A DICOM file, or a PGM, PNG, JPEG or TIFF image, told apart by content.
    recipe
        That of the model, with the tone of the file's dataset where it has its own.
    known
        What is known of the file beside its pixels.
    with_breast
        Whether to say which pixels show the breast.
    """
    if os.path.isdir(file):  # noqa: PTH112 - a name with a null byte is no folder, not an error
        return Prepared(file, None, ("a folder without an image file",))
    try:
        facts, listed = known.of(file, read_header(file))
        image = decode_image(file)
        if facts.pixel_spacing_mm:
            # As in the table of files of a workflow, which has 32 bits for it.
            spacing = float(np.float32(facts.pixel_spacing_mm))
            image = replace(image, pixel_spacing_mm=(spacing, spacing))
        if facts.subtracted:
            image = replace(image, subtracted=True)
        done = preprocess_image(
            image,
            recipe,
            laterality=facts.laterality,
            view=facts.view,
            mirrored=bool(facts.mirrored),
        )
        region = locate_breast(image, expected_wall(facts.laterality, bool(facts.mirrored)))
        shown = _breast(done, region) if with_breast else None
    except UnreadableImageError as error:
        return Prepared(file, None, (str(error),))
    except OSError as error:
        return Prepared(file, None, (f"the file cannot be opened: {error.strerror}",))
    except Exception as error:  # noqa: BLE001 - hostile pixels may break any step of preprocessing
        return Prepared(file, None, (f"the image cannot be prepared ({type(error).__name__})",))
    doubt = doubt_about(region)
    notes = [*_notes(recipe, facts, listed, image, done), *([doubt] if doubt else [])]
    return Prepared(file, done.array, tuple(notes), shown, bool(doubt))


def doubt_about(region: BreastRegion) -> str:
    """Return why an image does not look like one of a breast, empty where it does.

    It does where a breast was found that covers a share of the image from `LEAST_COVERED` to
    `MOST_COVERED` with a certainty of at least `LEAST_CERTAIN`. Every one of the 322 films of
    mini-MIAS does (shares of 0.16 to 0.92, certainty from 0.67), and so does every one of 335
    contrast-enhanced images of CDD-CESM (0.45 to 0.90, from 0.93). A bright part of another shape,
    such as a disc, is not told from a breast.
    """
    if not region.found:
        return "no breast was found: nothing is called"
    covered = float((region.mask > 0).mean())
    if not LEAST_COVERED <= covered <= MOST_COVERED:
        return f"what would be the breast covers {covered:.0%} of the image: nothing is called"
    if region.certainty < LEAST_CERTAIN:
        return "what is brighter than air has not the shape of one breast: nothing is called"
    return ""


def _notes(
    recipe: InputRecipe, facts: Facts, listed: bool, image: DecodedImage, done: Preprocessed
) -> list[str]:
    notes = []
    if not listed:
        notes.append("not in the list of the dataset's files; its own header was read")
    if facts.laterality is None and _follows_the_side(recipe):
        notes.append("side unknown: the chest wall was told from the image")
    if facts.view is None and recipe.mask == "breast_without_pectoral":
        notes.append("view unknown: a pectoral muscle is taken out where it is clear")
    if done.filled_share < LEAST_FILLED_SHARE:
        notes.append(f"the breast fills {done.filled_share:.0%} of the range of intensities")
    if image.intent == "for_processing":
        notes.append("a detector's raw image (for processing)")
    return notes


def _follows_the_side(recipe: InputRecipe) -> bool:
    """Whether the array may depend on the side that the chest wall is on."""
    return (
        recipe.orientation == "chest_wall_left"
        or recipe.fit == "pad"
        or recipe.crop == "breast"
        or recipe.mask != "none"
    )


def _breast(done: Preprocessed, region: BreastRegion) -> NDArray[np.bool_]:
    """Return which pixels of the array show the breast."""
    content = done.content
    mask = mask_in_box(region, done.crop, content.rows, content.columns) > 0
    shown = np.zeros(done.array.shape, dtype=bool)
    content.of(shown)[...] = mask[:, ::-1] if done.flipped else mask
    return shown
