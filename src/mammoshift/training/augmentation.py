"""Random changes of training images, computed on whole batches where the model runs.

The parameters of an image come from (seed, epoch, position in the epoch) alone, so neither the
batch size, nor worker processes, nor a restart changes what an image looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from mammoshift.configuration.training import Augmentation, Symmetry
from mammoshift.errors import ConfigurationError
from mammoshift.execution.determinism import Purpose, numbered_draws
from mammoshift.models.classifier import unit_intensities

ELASTIC_CELLS = 8
SYMMETRIES: dict[Symmetry, Callable[[Tensor], Tensor]] = {
    "as_is": lambda images: images,
    "flip_left_right": lambda images: images.flip(3),
    "rotate_180": lambda images: images.rot90(2, (2, 3)),
    "flip_top_bottom_rotate_180": lambda images: images.flip(2).rot90(2, (2, 3)),
    "rotate_90": lambda images: images.rot90(1, (2, 3)),
}
"""What each symmetry makes of images (N, channels, rows, columns)."""


@dataclass(frozen=True)
class Changes:
    """Parameters of N images, each an array of N values.

    `angle` and `shear` are in radians; `shift_rows` and `shift_columns` in shares of the size;
    `zoom` multiplies lengths; `contrast` multiplies and `brightness` adds; `noise_seed` is int64.
    `symmetry` is the place in the settings' list, None without one; `displacement`, (N, 2, cells,
    cells) float32 along columns and rows in shares of the shorter edge, None without deformation.
    """

    flip_columns: np.ndarray
    flip_rows: np.ndarray
    angle: np.ndarray
    shear: np.ndarray
    zoom: np.ndarray
    shift_rows: np.ndarray
    shift_columns: np.ndarray
    contrast: np.ndarray
    brightness: np.ndarray
    noise_seed: np.ndarray
    symmetry: np.ndarray | None = None
    displacement: np.ndarray | None = None


def draw_changes(settings: Augmentation, seed: int, epoch: int, positions: np.ndarray) -> Changes:
    """Draw the parameters of the images at `positions` (int64) of one epoch."""
    drawn = numbered_draws(Purpose.AUGMENTATION, (seed, epoch), positions, 10)
    flips, centred = drawn[:, :2], 2.0 * drawn[:, 2:9] - 1.0
    return Changes(
        flip_columns=flips[:, 0] < settings.horizontal_flip,
        flip_rows=flips[:, 1] < settings.vertical_flip,
        angle=centred[:, 0] * np.deg2rad(settings.rotation_degrees),
        shear=centred[:, 1] * np.deg2rad(settings.shear_degrees),
        zoom=1.0 + centred[:, 2] * settings.scaling,
        shift_rows=centred[:, 3] * settings.translation,
        shift_columns=centred[:, 4] * settings.translation,
        contrast=1.0 + centred[:, 5] * settings.contrast,
        brightness=centred[:, 6] * settings.brightness,
        noise_seed=(drawn[:, 9] * 2.0**53).astype(np.int64),
        symmetry=_drawn_symmetries(settings, seed, epoch, positions),
        displacement=_drawn_displacements(settings, seed, epoch, positions),
    )


def _drawn_symmetries(
    settings: Augmentation, seed: int, epoch: int, positions: np.ndarray
) -> np.ndarray | None:
    if settings.symmetries is None:
        return None
    drawn = numbered_draws(Purpose.SYMMETRY, (seed, epoch), positions, 1)[:, 0]
    return (drawn * len(settings.symmetries)).astype(np.int64)


def _drawn_displacements(
    settings: Augmentation, seed: int, epoch: int, positions: np.ndarray
) -> np.ndarray | None:
    if settings.elastic is None:
        return None
    cells = settings.elastic_cells or ELASTIC_CELLS
    count = 2 * cells * cells
    drawn = numbered_draws(Purpose.DEFORMATION, (seed, epoch), positions, 2 * count)
    # Box and Muller 1958: two uniform numbers make a normal one; 1 - u is never 0.
    length = np.sqrt(-2.0 * np.log(1.0 - drawn[:, :count]))
    normal = length * np.cos(2.0 * np.pi * drawn[:, count:])
    return (settings.elastic * normal).astype(np.float32).reshape(-1, 2, cells, cells)


def augment(images: Tensor, settings: Augmentation, changes: Changes) -> Tensor:
    """Apply `changes` to images of intensities in [0, 1].

    Parameters
    ----------
    images
        (N, 1, rows, columns) float32 in [0, 1].
    settings
        What is switched on.
    changes
        The parameters of the N images, in the same order.

    Returns
    -------
    Tensor
        Like `images`; what comes in from outside the image is 0, and values stay in [0, 1].
    """
    images = _flipped(_in_symmetries(images, settings, changes), changes)
    affine = (
        settings.rotation_degrees,
        settings.shear_degrees,
        settings.scaling,
        settings.translation,
    )
    if any(affine) or changes.displacement is not None:
        rows, columns = images.shape[-2:]
        matrices = torch.from_numpy(sampling_matrices(changes, rows, columns)).to(
            images.device, non_blocking=True
        )
        grid = affine_grid(matrices, list(images.shape), align_corners=False)
        if changes.displacement is not None:
            grid = grid + _displaced(changes.displacement, grid)
        images = grid_sample(
            images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
    if settings.contrast or settings.brightness:
        centre = images.mean(dim=(1, 2, 3), keepdim=True)
        contrast = _per_image(changes.contrast, images)
        images = (images - centre) * contrast + (centre + _per_image(changes.brightness, images))
    if settings.noise:
        images = images + settings.noise * _noise(images, changes.noise_seed)
    if settings.contrast or settings.brightness or settings.noise:
        images = images.clamp(0.0, 1.0)
    return images


@dataclass(frozen=True)
class Augmenter:
    """Changes the stored images of one training; `settings` without any change leave them alone."""

    settings: Augmentation
    seed: int

    def draw(self, epoch: int, places: np.ndarray) -> Changes | None:
        """Draw the changes of the images at `places` of an epoch, None without any."""
        if self.settings == Augmentation():
            return None
        return draw_changes(self.settings, self.seed, epoch, places)

    def apply(self, pixels: Tensor, changes: Changes | None) -> Tensor:
        """Return stored pixels (N, rows, columns) as they are, or changed as in `augment`."""
        if changes is None:
            return pixels
        return augment(unit_intensities(pixels), self.settings, changes)


def sampling_matrices(changes: Changes, rows: int, columns: int) -> np.ndarray:
    """Return the matrices that lead from a place in the output to its place in the input.

    The image is sheared along its rows, rotated, scaled and shifted, in this order, about its
    centre and in square pixels. The matrices act on torch's coordinates, which run from -1 to 1
    along each axis, whatever its length.

    Returns
    -------
    numpy.ndarray
        (N, 2, 3) float32.
    """
    cosine, sine = np.cos(changes.angle), np.sin(changes.angle)
    rotation = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)
    shear = np.tile(np.eye(2), (len(cosine), 1, 1))
    shear[:, 0, 1] = np.tan(changes.shear)
    forward = changes.zoom[:, None, None] * (rotation @ shear)
    inverse = np.linalg.inv(forward)
    half = np.array([columns, rows]) / 2.0
    shift = 2.0 * half * np.stack([changes.shift_columns, changes.shift_rows], axis=1)
    linear = inverse * (half[None, None, :] / half[None, :, None])
    offset = -(inverse @ shift[:, :, None]) / half[None, :, None]
    return np.concatenate([linear, offset], axis=2).astype(np.float32)


def _flipped(images: Tensor, changes: Changes) -> Tensor:
    for flips, axis in ((changes.flip_columns, 3), (changes.flip_rows, 2)):
        if flips.any():
            chosen = torch.from_numpy(flips).to(images.device, non_blocking=True)[
                :, None, None, None
            ]
            images = torch.where(chosen, images.flip(axis), images)
    return images


def _in_symmetries(images: Tensor, settings: Augmentation, changes: Changes) -> Tensor:
    """Show each image in the symmetry that was drawn for it."""
    if settings.symmetries is None or changes.symmetry is None:
        return images
    if "rotate_90" in settings.symmetries and images.shape[2] != images.shape[3]:
        raise ConfigurationError(
            "augmentation.symmetries: rotate_90 needs square images, and these are "
            f"{images.shape[2]} x {images.shape[3]}; leave it out"
        )
    shown = images.clone()
    for number, name in enumerate(settings.symmetries):
        places = torch.from_numpy(np.flatnonzero(changes.symmetry == number)).to(images.device)
        if len(places):
            shown[places] = SYMMETRIES[name](images[places])
    return shown


def _displaced(displacement: np.ndarray, grid: Tensor) -> Tensor:
    """Return the smooth displacement (N, rows, columns, 2) in torch's coordinates of a grid."""
    rows, columns = grid.shape[1:3]
    coarse = torch.from_numpy(displacement).to(grid.device, non_blocking=True)
    smooth = interpolate(coarse, (rows, columns), mode="bicubic", align_corners=True)
    per_axis = 2.0 * min(rows, columns) / torch.tensor([columns, rows], device=grid.device)
    return smooth.permute(0, 2, 3, 1) * per_axis


def _per_image(values: np.ndarray, images: Tensor) -> Tensor:
    tensor = torch.from_numpy(values.astype(np.float32)).to(images.device, non_blocking=True)
    return tensor[:, None, None, None]


def _noise(images: Tensor, seeds: np.ndarray) -> Tensor:
    noise, generator = torch.empty_like(images), torch.Generator(images.device)
    for image, seed in zip(noise, seeds.tolist(), strict=True):
        image.normal_(generator=generator.manual_seed(seed))
    return noise
