"""Where on its input a model's logit comes from.

Convolutional networks: Grad-CAM (Selvaraju et al. 2017) at the last feature map, which is captum's.
Vision Transformers: attention weighted by gradients, over all blocks (see
`mammoshift.application.attention`). Other networks: gradient times activation, summed over the
channels, at the last map, or at the tokens that the last block normalises.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mammoshift.application.attention import has_open_attention, token_relevance
from mammoshift.errors import ConfigurationError
from mammoshift.models.classifier import FLIPPED_AXES, Classifier, unit_intensities


@dataclass(frozen=True, eq=False)
class HeatSource:
    """The layer that a heat map is taken from.

    `grid` are the rows and columns of tokens, None for a layer that gives a map; `prefix` counts
    the tokens before those of the image; `channels_last` is a map of (N, rows, columns, channels).
    With `attention` the map is that of the blocks' attention rather than of the layer.
    """

    layer: nn.Module
    grid: tuple[int, int] | None = None
    prefix: int = 0
    channels_last: bool = False
    attention: bool = False


def find_heat_source(classifier: Classifier, size: tuple[int, int]) -> HeatSource:
    """Return the last layer of a classifier's features that has places on the image.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    features: Any = classifier.features
    embedding = getattr(features, "patch_embed", None)
    blocks = getattr(features, "blocks", None)
    grid = getattr(embedding, "grid_size", None)
    if grid is not None and isinstance(blocks, nn.Sequential | nn.ModuleList):
        norm: Any = getattr(blocks[-1], "norm1", None)
        if norm is not None:
            prefix = int(getattr(features, "num_prefix_tokens", 0))
            places = (int(grid[0]), int(grid[1]))
            return HeatSource(norm, places, prefix, attention=has_open_attention(features))
    layer = _last_map(classifier, size)
    if layer is None:
        name = type(features).__name__
        raise ConfigurationError(
            f"{name} has no layer with places on the image, so that no heat map can be drawn"
        )
    return HeatSource(layer, channels_last=getattr(features, "output_fmt", None) == "NHWC")


def heat_maps(
    classifier: Classifier, source: HeatSource, arrays: Sequence[NDArray[np.uint16]]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return how much each place of some inputs adds to the logit, and the logits.

    Parameters
    ----------
    classifier
        In evaluation mode; it computes in float32, on its own device.
    source
        See `find_heat_source`.
    arrays
        N of the model's input size.

    Returns
    -------
    heat
        [N, rows, columns], each map from 0 to 1, its largest value; all 0 where nothing speaks
        for the positive class. Of a model that is applied to flips of an image, the mean of their
        maps, each laid back on the image.
    logits
        [N].
    """
    device = classifier.mean.device
    images = unit_intensities(torch.from_numpy(np.stack(arrays))).to(device)
    with torch.no_grad():
        logits = classifier(images).logit.double().cpu().numpy()
    with _one_by_one(classifier) as flips:
        # Images have an axis of channels, and maps have none.
        maps = [
            _maps(classifier, source, images.flip(axes)).flip([axis - 1 for axis in axes])
            for axes in flips
        ]
    mean = torch.stack(maps).mean(dim=0)
    return _spread(mean.float().cpu().numpy(), arrays[0].shape), logits


@contextmanager
def _one_by_one(classifier: Classifier) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Have a classifier take images as they are; give the axes that it flips them along."""
    flips = classifier.flips
    classifier.flips = None
    try:
        yield ((),) if flips is None else FLIPPED_AXES[flips]
    finally:
        classifier.flips = flips


def _maps(classifier: Classifier, source: HeatSource, images: Tensor) -> Tensor:
    """Return the maps (N, rows, columns) of images, in the grid of the source."""
    from captum.attr import LayerGradCam, LayerGradientXActivation

    def logit(inputs: Tensor) -> Tensor:
        return classifier(inputs).logit

    if source.attention:
        # The attention of one block is tokens by tokens; images one by one keep it small.
        maps = torch.cat([token_relevance(classifier, one) for one in images.split(1)])
        maps = _on_grid(maps, source, classifier)
    elif source.grid is None and not source.channels_last:
        found = LayerGradCam(logit, source.layer).attribute(images, attr_dim_summation=True)
        maps = _tensor(found)[:, 0]
    else:
        found = LayerGradientXActivation(logit, source.layer).attribute(images)
        maps = _tensor(found).sum(dim=-1)
        if source.grid is not None:
            maps = _on_grid(maps, source, classifier)
    return maps.detach()


def _on_grid(values: Tensor, source: HeatSource, classifier: Classifier) -> Tensor:
    """Return values of tokens (N, tokens) at the places of their patches."""
    rows, columns = source.grid or (0, 0)
    patches = values[:, source.prefix :]
    if patches.shape[1] != rows * columns:
        raise ConfigurationError(
            f"{type(classifier.features).__name__}: its last block has {patches.shape[1]} "
            f"tokens for a grid of {[rows, columns]}, so that no heat map can be drawn"
        )
    return patches.reshape(-1, rows, columns)


def _tensor(found: Any) -> Tensor:
    return found[0] if isinstance(found, tuple) else found


def _spread(maps: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    """Return maps in the size of the input, what speaks against the class taken as nothing."""
    spread = []
    for one in np.maximum(maps, 0.0):
        wide = cv2.resize(one, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        largest = float(wide.max())
        spread.append(wide / largest if largest > 0.0 else wide)
    return np.asarray(spread, np.float32)


def _last_map(classifier: Classifier, size: tuple[int, int]) -> nn.Module | None:
    """Return the module that is the last to give a map of more than one place."""
    last: list[nn.Module] = []

    def note(module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            places = output.shape[1:3] if channels_last else output.shape[2:]
            if places.numel() > 1:
                last[:] = [module]

    channels_last = getattr(classifier.features, "output_fmt", None) == "NHWC"
    hooks = [module.register_forward_hook(note) for module in classifier.features.modules()]
    try:
        with torch.no_grad():
            classifier(torch.zeros((1, *size), device=classifier.mean.device))
    finally:
        for hook in hooks:
            hook.remove()
    return last[0] if last else None
