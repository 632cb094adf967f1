"""Optimisers and their learning rates."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from mammoshift.configuration.model import Stage

SGD_MOMENTUM = 0.9


def learning_rate(stage: Stage, step: int, steps_per_epoch: int) -> float:
    """Learning rate of one step of a stage.

    Linear from lr / warm-up steps to `lr` over the warm-up, then constant, or down to 0 along
    half a cosine (Loshchilov and Hutter 2017, equation 5, without restarts).

    Parameters
    ----------
    stage
        Its `lr`, `warmup_epochs`, `epochs` and `schedule` are used.
    step
        Counted from 0 at the start of the stage.
    steps_per_epoch
        Number of batches in an epoch.
    """
    total = stage.epochs * steps_per_epoch
    warmup = min(round(stage.warmup_epochs * steps_per_epoch), total)
    if step < warmup:
        return stage.lr * (step + 1) / warmup
    if stage.schedule == "constant":
        return stage.lr
    progress = (step - warmup) / max(1, total - warmup)
    return stage.lr * 0.5 * (1.0 + math.cos(math.pi * progress))


def build_optimiser(stage: Stage, parameters: Iterable[Tensor]) -> Optimizer:
    """Return the optimiser of a stage, with one group of parameters.

    `adam` couples the weight decay to the gradient, `adamw` does not (Loshchilov and Hutter 2019);
    `sgd` has Nesterov-free momentum 0.9. The fused forms update all parameters in one pass.
    """
    options = {"lr": stage.lr, "weight_decay": stage.weight_decay, "fused": True}
    trained = list(parameters)
    if stage.optimiser == "sgd":
        return _without_compiler(SGD)(trained, momentum=SGD_MOMENTUM, **options)
    return _without_compiler(AdamW if stage.optimiser == "adamw" else Adam)(trained, **options)


def _without_compiler(kind: type[Optimizer]) -> Any:
    """Return `kind` without the hints to the compiler that torch wraps its methods in.

    The first of them to be called would import the compiler, which takes nearly as long as torch
    itself. Nothing here compiles the optimiser's step.
    """
    hinted = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    plain: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in hinted}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {**plain, "step": step})


def set_learning_rate(optimiser: Optimizer, lr: float) -> None:
    """Set the learning rate of every group."""
    for group in optimiser.param_groups:
        group["lr"] = lr
