"""Training losses, computed from logits in forms that do not overflow."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    logsigmoid,
)

from mammoshift.configuration.training import Loss
from mammoshift.models.classifier import Output

DENSITY_MISSING = -1

LossFunction = Callable[[Output, Tensor, Tensor], Tensor]
"""(output, labels (N,) float 0 or 1, densities (N,) int64) -> a scalar, the mean over images."""


def binary_cross_entropy(logits: Tensor, labels: Tensor, positive_weight: float = 1.0) -> Tensor:
    """Mean binary cross-entropy; the loss of positive cases is multiplied by `positive_weight`."""
    weight = logits.new_full((), positive_weight)
    return binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)


def focal_loss(
    logits: Tensor, labels: Tensor, gamma: float, alpha: float, positive_weight: float = 1.0
) -> Tensor:
    """Mean focal loss of Lin et al. 2017, equation 5: -alpha_t (1 - p_t)^gamma log(p_t).

    `alpha_t` is `alpha` for positive and 1 - `alpha` for negative cases. With s the logit of the
    true class, log(p_t) is logsigmoid(s) and log(1 - p_t) is logsigmoid(-s); both are finite, with
    finite gradients, for every logit.
    """
    towards_truth = torch.where(labels > 0.5, logits, -logits)
    weights = torch.where(labels > 0.5, alpha * positive_weight, 1.0 - alpha)
    modulation = torch.exp(gamma * logsigmoid(-towards_truth))
    return (-weights * modulation * logsigmoid(towards_truth)).mean()


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


def build_loss(loss: Loss, positive_weight: float) -> LossFunction:
    """Return the loss that an arm names.

    Parameters
    ----------
    loss
        Name and settings.
    positive_weight
        Ratio of negative to positive training cases, used where `loss` asks for balance.
    """
    weight = positive_weight if loss.positive_weight == "balanced" else 1.0

    def bce(output: Output, labels: Tensor, _densities: Tensor) -> Tensor:
        return binary_cross_entropy(output.logit, labels, weight)

    def focal(output: Output, labels: Tensor, _densities: Tensor) -> Tensor:
        return focal_loss(output.logit, labels, loss.gamma, loss.alpha, weight)

    def density_aware_focal(output: Output, labels: Tensor, densities: Tensor) -> Tensor:
        if output.density is None:
            raise ValueError("the loss density_aware_focal needs a model with a density head")
        auxiliary = density_cross_entropy(output.density, densities)
        return focal(output, labels, densities) + loss.auxiliary_weight * auxiliary

    found = {"bce": bce, "focal": focal, "density_aware_focal": density_aware_focal}[loss.name]
    return found if loss.label_smoothing is None else _smoothed(found, loss.label_smoothing)


def _smoothed(loss: LossFunction, smoothing: float) -> LossFunction:
    """Return a loss that counts half of `smoothing` towards the other label."""

    def smoothed(output: Output, labels: Tensor, densities: Tensor) -> Tensor:
        own, other = loss(output, labels, densities), loss(output, 1.0 - labels, densities)
        return (1.0 - smoothing / 2) * own + smoothing / 2 * other

    return smoothed
