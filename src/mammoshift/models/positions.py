"""Position embeddings at another input size, resampled as the original implementation does.

Implementations of one Vision Transformer agree at its native size alone: timm filters the grid of
embeddings before it makes it smaller (`antialias`), Hugging Face's does not, and Facebook's tells
the interpolation a scale that is a tenth of a patch too large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mammoshift.errors import WeightsError

FACEBOOK_OFFSET = 0.1
POSITIONS = "pos_embed"
PATCHES = "patch_embed.proj.weight"


def resample_positions(
    positions: Tensor,
    old: tuple[int, int],
    new: tuple[int, int],
    manner: Literal["huggingface", "facebook"],
) -> Tensor:
    """Resample a grid of position embeddings with cubic convolution.

    Parameters
    ----------
    positions
        (1, P + old rows * old columns, width); the first P belong to tokens outside the grid.
    old, new
        (rows, columns) of patches.
    manner
        `huggingface`: `interpolate_pos_encoding` of transformers' `Dinov2Model` (5.x).
        `facebook`: that of the DINOv2 repository with `interpolate_offset=0.1`.

    Returns
    -------
    Tensor
        (1, P + new rows * new columns, width).
    """
    if old == new:
        return positions
    outside = positions.shape[1] - old[0] * old[1]
    grid = positions[:, outside:].float().reshape(1, *old, -1).permute(0, 3, 1, 2)
    if manner == "facebook":
        scale = tuple((new[axis] + FACEBOOK_OFFSET) / old[axis] for axis in (0, 1))
        grid = interpolate(grid, scale_factor=scale, mode="bicubic")
    else:
        grid = interpolate(grid, size=new, mode="bicubic", align_corners=False)
    resampled = grid.permute(0, 2, 3, 1).reshape(1, new[0] * new[1], -1).to(positions.dtype)
    return torch.cat([positions[:, :outside], resampled], dim=1)


def with_positions_for(
    state: Mapping[str, Tensor],
    old: tuple[int, int],
    new: tuple[int, int],
    manner: Literal["huggingface", "facebook"],
) -> dict[str, Tensor]:
    """Return `state` with its position embeddings for images of `new` rather than `old` pixels.

    Raises
    ------
    WeightsError
        If `state` is not that of a Vision Transformer with a grid of position embeddings.
    """
    if POSITIONS not in state or PATCHES not in state or state[POSITIONS].ndim != 3:
        raise WeightsError(
            "position_resampling is for Vision Transformers with a grid of position embeddings; "
            f"these weights have no {POSITIONS} and {PATCHES} of that kind"
        )
    rows, columns = state[PATCHES].shape[-2:]
    before, after = ((size[0] // rows, size[1] // columns) for size in (old, new))
    return {**state, POSITIONS: resample_positions(state[POSITIONS], before, after, manner)}
