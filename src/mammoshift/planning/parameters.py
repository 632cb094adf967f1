"""How many parameters a model has, without its weights."""

from __future__ import annotations

from functools import cache

from mammoshift.configuration.model import Backbone, Head


@cache
def parameter_count(backbone: Backbone, size: tuple[int, int], head: Head | None) -> int:
    """Return the parameters of a classifier, counted on torch's meta device.

    Parameters
    ----------
    backbone
        The feature extractor.
    size
        (rows, columns) of the images.
    head
        What follows it; None for a linear layer.
    """
    import torch

    from mammoshift.models.classifier import build_classifier

    with torch.device("meta"):
        model = build_classifier(backbone, size, head=head)
    return sum(parameter.numel() for parameter in model.parameters())
