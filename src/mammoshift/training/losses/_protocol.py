"""What a training loss is, and the one that an arm names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from mammoshift import registry
from mammoshift.configuration.training import LOSSES, Loss
from mammoshift.models.classifier import Output

DENSITY_MISSING = -1

LossFunction = Callable[[Output, Tensor, Tensor], Tensor]
"""(output, labels (N,) float 0 or 1, densities (N,) int64) -> a scalar, the mean over images."""


class LossModule(Protocol):
    """What the module of a loss offers."""

    def build(self, settings: Loss, positive_weight: float) -> LossFunction:
        """Return the loss; that of positive cases is multiplied by `positive_weight`."""
        ...


def build_loss(settings: Loss, positive_weight: float) -> LossFunction:
    """Return the loss that an arm names.

    Parameters
    ----------
    settings
        Name and settings.
    positive_weight
        Ratio of negative to positive training cases, used where `settings` ask for balance.
    """
    weight = positive_weight if settings.positive_weight == "balanced" else 1.0
    module: LossModule = registry.load(LOSSES, settings.name)  # type: ignore[assignment]
    found = module.build(settings, weight)
    return found if settings.label_smoothing is None else _smoothed(found, settings.label_smoothing)


def _smoothed(loss: LossFunction, smoothing: float) -> LossFunction:
    """Return a loss that counts half of `smoothing` towards the other label."""

    def smoothed(output: Output, labels: Tensor, densities: Tensor) -> Tensor:
        own, other = loss(output, labels, densities), loss(output, 1.0 - labels, densities)
        return (1.0 - smoothing / 2) * own + smoothing / 2 * other

    return smoothed
