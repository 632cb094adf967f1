"""The classifier: normalisation, a timm feature extractor and one or two heads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from mammoshift.configuration.model import Backbone, Flips, Head, Precision
from mammoshift.errors import WeightsError
from mammoshift.models.architectures import (
    NETWORK_ERRORS,
    check_names,
    check_shapes,
    check_takes,
    create_features,
    feature_count,
)
from mammoshift.models.heads._protocol import build_head, map_shape, takes_maps
from mammoshift.models.narrow_maps import compute_narrow_maps_in_float32

DENSITY_CLASSES = ("a", "b", "c", "d")
FEATURES = "features."
WHITE = 65535.0
FLIPPED_AXES: dict[Flips, tuple[tuple[int, ...], ...]] = {
    "left_right": ((), (3,)),
    "both": ((), (3,), (2,), (2, 3)),
}
"""Axes of (N, channels, rows, columns) along which an image is flipped, for each of its copies."""


class Output(NamedTuple):
    """What the classifier says of N images.

    `logit` is (N,), the log-odds of the positive class; `density` is (N, 4), logits of the
    BI-RADS densities a to d, or None for a model without a density head. Both are float32.
    """

    logit: Tensor
    density: Tensor | None


class Classifier(nn.Module):
    """A classifier of grey images that carries its own normalisation.

    `precision` is what it is applied in once it is trained; heads always compute in float32.

    Parameters
    ----------
    features
        Maps (N, channels, rows, columns) to (N, feature count).
    backbone
        Its `channels`, `mean`, `std` and `per_image_range` are used.
    density_head
        Whether to predict the breast density from the same features (of a map, their mean).
    head
        From those features to (N, 1); None for a linear layer.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        features: nn.Module,
        backbone: Backbone,
        density_head: bool,
        size: tuple[int, int],
        head: Head | None = None,
    ) -> None:
        super().__init__()
        shape = _feature_shape(features, backbone, size, head)
        count = shape[0]
        compute_narrow_maps_in_float32(features)
        self.features = features
        self.dropout = nn.Dropout(0.0)
        self.head = build_head(head, shape)
        self.maps = takes_maps(head)
        self.density_head = nn.Linear(count, len(DENSITY_CLASSES)) if density_head else None
        self.channels = backbone.taken_channels
        self.per_image_range = backbone.per_image_range
        self.still: tuple[nn.Module, ...] = ()
        self.flips: Flips | None = None
        self.precision: Precision = "float32"
        shape = (1, self.channels, 1, 1)
        mean, std = (
            torch.tensor(values[: self.channels], dtype=torch.float32).reshape(shape)
            for values in (backbone.mean, backbone.std)
        )
        # Both come from the record that is stored with the model, so the weights leave them out.
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", 1.0 / std, persistent=False)

    def keep_still(self, modules: Iterable[nn.Module] = ()) -> None:
        """Keep modules in evaluation mode, and those in which no parameter asks for a gradient.

        They compute as in application: their running statistics stay and nothing is dropped.
        """
        self.still = (*_without_gradient(self), *modules)
        self.train(self.training)

    @property
    def frozen(self) -> bool:
        """Whether the feature extractor is kept still as a whole."""
        return any(module is self.features for module in self.still)

    def set_dropout(self, rate: float) -> None:
        """Set the share of values that are dropped before and within the head."""
        self.dropout.p = rate
        for layer in self.head.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = rate

    def train(self, mode: bool = True) -> Classifier:
        """Set the training mode; modules that are kept still stay in evaluation mode."""
        super().train(mode)
        for module in self.still:
            module.eval()
        return self

    def normalise(self, images: Tensor) -> Tensor:
        """Turn intensities into what the feature extractor was trained on.

        Parameters
        ----------
        images
            (N, rows, columns) or (N, 1, rows, columns), uint16 or float in [0, 1].

        Returns
        -------
        Tensor
            (N, channels, rows, columns), float32; of one channel, normalised as the first, for a
            network with `grey_stem`.
        """
        intensities = unit_intensities(images)
        if self.per_image_range:
            low = intensities.amin(dim=(1, 2, 3), keepdim=True)
            span = intensities.amax(dim=(1, 2, 3), keepdim=True) - low
            # An image of one value stays zero rather than becoming 0/0.
            intensities = (intensities - low) / torch.where(span > 0, span, torch.ones_like(span))
        return (intensities - self.mean) * self.scale

    def forward(self, images: Tensor) -> Output:
        """Classify `images`, given as in `normalise`.

        In evaluation mode, with `flips`, each image is taken in all its flips, and the logit is
        that of the mean of their probabilities.

        Raises
        ------
        ConfigurationError
            If the network does not take images of this size.
        """
        inputs = self.normalise(images).contiguous(memory_format=torch.channels_last)
        if self.training or self.flips is None:
            return self._classified(inputs)
        axes = FLIPPED_AXES[self.flips]
        outputs = [self._classified(inputs.flip(flipped)) for flipped in axes]
        densities = [output.density for output in outputs if output.density is not None]
        return Output(
            mean_probability(torch.stack([output.logit for output in outputs])),
            torch.stack(densities).mean(dim=0) if densities else None,
        )

    def _classified(self, inputs: Tensor) -> Output:
        try:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
                features = self.features(inputs)
        except NETWORK_ERRORS:
            check_takes(self.features, inputs.shape[1], (inputs.shape[2], inputs.shape[3]))
            raise
        # The heads are small: in float32 also where the features were computed in bfloat16.
        with torch.autocast(inputs.device.type, enabled=False):
            features = features.float()
            # A head on a map has its dropouts within.
            taken = features if self.maps else self.dropout(features)
            logit = single_logit(self.head(taken))
            density = None
            if self.density_head is not None:
                pooled = self.dropout(features.mean(dim=(2, 3))) if self.maps else taken
                density = self.density_head(pooled)
        return Output(logit, density)


def single_logit(outputs: Tensor) -> Tensor:
    """Return the log-odds (N,) of one output (N, 1), or of a softmax over two (N, 2)."""
    return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]


def mean_probability(logits: Tensor) -> Tensor:
    """Return the logits (N,) of the means of the probabilities that K logits (K, N) stand for."""
    # The logarithm of a sigmoid, in the form that stays finite as an exported network too.
    return (-softplus(-logits)).logsumexp(dim=0) - (-softplus(logits)).logsumexp(dim=0)


def _without_gradient(root: nn.Module) -> list[nn.Module]:
    """Return the largest modules below `root` that have parameters, none of which learns."""
    found: list[nn.Module] = []
    for child in root.children():
        parameters = list(child.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            found.append(child)
        else:
            found += _without_gradient(child)
    return found


def _feature_shape(
    features: nn.Module, backbone: Backbone, size: tuple[int, int], head: Head | None
) -> tuple[int, ...]:
    if not takes_maps(head):
        return (feature_count(features),)
    return map_shape(features, backbone.taken_channels, size)


def unit_intensities(images: Tensor) -> Tensor:
    """Return grey images as float32 in [0, 1] with the shape (N, 1, rows, columns)."""
    if images.ndim == 3:
        images = images.unsqueeze(1)
    if images.dtype == torch.uint16:
        return images.to(torch.float32).mul_(1.0 / WHITE)
    return images.to(torch.float32)


def prepared(classifier: Classifier, device: torch.device) -> Classifier:
    """Move a classifier to `device`, its convolutions in the faster channels-last layout."""
    for parameter in classifier.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return classifier.to(device)


def build_classifier(
    backbone: Backbone,
    size: tuple[int, int],
    density_head: bool = False,
    state: Mapping[str, Tensor] | None = None,
    state_size: tuple[int, int] | None = None,
    head: Head | None = None,
) -> Classifier:
    """Build a classifier, with the values of `state` as far as it goes.

    Parameters
    ----------
    backbone
        The feature extractor and its normalisation.
    size
        (rows, columns) of the images.
    density_head
        Whether to add a four-class density head.
    state
        Tensors by the classifier's own names. The feature extractor must be there whole, and may
        come from another input size; a head may be absent and is then random.
    state_size
        (rows, columns) of the images that `state` was trained on; None for the architecture's own.
    head
        What turns features into the logit; None for a linear layer.

    Raises
    ------
    ConfigurationError
        If the architecture is unknown or cannot take images of this size.
    WeightsError
        If `state` does not fit.
    """
    pooled = not takes_maps(head)
    if state is None:
        extractor = create_features(backbone, size, pooled=pooled)
        return Classifier(extractor, backbone, density_head, size, head)
    features = {n.removeprefix(FEATURES): t for n, t in state.items() if n.startswith(FEATURES)}
    extractor = create_features(backbone, size, features, state_size, pooled)
    classifier = Classifier(extractor, backbone, density_head, size, head)
    for name in ("head", "density_head"):
        layer = getattr(classifier, name)
        start = {
            n.removeprefix(f"{name}."): t for n, t in state.items() if n.startswith(f"{name}.")
        }
        if layer is not None and start:
            try:
                check_names(layer.state_dict(), start, f"layer {name}")
                shapes = {n: tuple(tensor.shape) for n, tensor in start.items()}
                check_shapes(layer.state_dict(), shapes, f"layer {name}")
            except WeightsError as error:
                raise WeightsError(
                    f"{error}; start with `part: features` to leave the heads behind"
                ) from error
            layer.load_state_dict(start)
    return classifier
