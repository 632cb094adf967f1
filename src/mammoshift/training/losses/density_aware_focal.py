"""The focal loss with the cross-entropy of a density head added to it."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from mammoshift.configuration.training import Loss
from mammoshift.models.classifier import Output
from mammoshift.training.losses._protocol import DENSITY_MISSING, LossFunction
from mammoshift.training.losses.focal import build as build_focal


def density_cross_entropy(density_logits: Tensor, densities: Tensor) -> Tensor:
    """Mean cross-entropy over the images whose density is known; zero when there are none.

    Parameters
    ----------
    density_logits
        (N, 4).
    densities
        (N,) int64, 0 to 3 for a to d, or `DENSITY_MISSING`.
    """
    total = cross_entropy(density_logits, densities, ignore_index=DENSITY_MISSING, reduction="sum")
    return total / (densities != DENSITY_MISSING).sum().clamp(min=1)


def build(settings: Loss, positive_weight: float) -> LossFunction:
    """Return the loss `density_aware_focal`."""
    focal = build_focal(settings, positive_weight)

    def density_aware_focal(output: Output, labels: Tensor, densities: Tensor) -> Tensor:
        if output.density is None:
            raise ValueError("the loss density_aware_focal needs a model with a density head")
        auxiliary = density_cross_entropy(output.density, densities)
        return focal(output, labels, densities) + settings.auxiliary_weight * auxiliary

    return density_aware_focal
