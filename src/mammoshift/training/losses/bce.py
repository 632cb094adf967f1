"""Binary cross-entropy, computed from logits in a form that does not overflow."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mammoshift.configuration.training import Loss
from mammoshift.models.classifier import Output
from mammoshift.training.losses._protocol import LossFunction


def binary_cross_entropy(logits: Tensor, labels: Tensor, positive_weight: float = 1.0) -> Tensor:
    """Mean binary cross-entropy; the loss of positive cases is multiplied by `positive_weight`."""
    weight = logits.new_full((), positive_weight)
    return binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)


def build(_settings: Loss, positive_weight: float) -> LossFunction:
    """Return the loss `bce`."""

    def bce(output: Output, labels: Tensor, _densities: Tensor) -> Tensor:
        return binary_cross_entropy(output.logit, labels, positive_weight)

    return bce
