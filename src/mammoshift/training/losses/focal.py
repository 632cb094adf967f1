"""The focal loss of Lin et al. 2017, computed from logits in a form that does not overflow."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mammoshift.configuration.training import Loss
from mammoshift.models.classifier import Output
from mammoshift.training.losses._protocol import LossFunction


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


def build(settings: Loss, positive_weight: float) -> LossFunction:
    """Return the loss `focal`."""

    def focal(output: Output, labels: Tensor, _densities: Tensor) -> Tensor:
        return focal_loss(output.logit, labels, settings.gamma, settings.alpha, positive_weight)

    return focal
