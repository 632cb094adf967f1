"""How large a classifier is, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from mammoshift.configuration.model import Backbone, Head
from mammoshift.models.classifier import build_classifier

UNCOUNTED = "num_batches_tracked"


def part_size(record: Mapping[str, Any], part: str) -> int | None:
    """Return how many numbers a part of a network has, running statistics among them.

    Parameters
    ----------
    record
        The JSON record of a trained model.
    part
        A name in the classifier, such as `features` or `head.hidden`; `total` for all of it,
        `trainable` for its parameters, `not_trainable` for its running statistics.

    Returns
    -------
    int or None
        None where the record is of no network, or the network has no such part. As Keras counts:
        batch normalisation's mean and variance are parameters that are not trained.
    """
    try:
        backbone = Backbone.model_validate(record.get("backbone"))
        arm = record["arm"]
        head = None if arm.get("head") is None else Head.model_validate(arm["head"])
        rows, columns = arm["input"]["size"]
    except (KeyError, TypeError, ValidationError):
        return None
    with torch.device("meta"):
        network = build_classifier(
            backbone, (rows, columns), bool(record.get("density_head")), head=head
        )
    trained = sum(parameter.numel() for parameter in network.parameters())
    if part in ("total", "trainable", "not_trainable"):
        total = _numbers(network)
        return {"total": total, "trainable": trained, "not_trainable": total - trained}[part]
    try:
        return _numbers(network.get_submodule(part))
    except AttributeError:
        return None


def _numbers(module: nn.Module) -> int:
    return sum(t.numel() for name, t in module.state_dict().items() if not name.endswith(UNCOUNTED))
