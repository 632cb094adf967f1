"""Optimisers, their learning rates, and when a stage ends."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from mammoshift.configuration.training import EarlyStopping, Monitor, Stage
from mammoshift.training.request import EpochRecord

SGD_MOMENTUM = 0.9
_SMALLER_IS_BETTER = frozenset({"validation_loss", "train_loss"})


def learning_rate(
    stage: Stage, step: int, steps_per_epoch: int, level: float | None = None
) -> float:
    """Learning rate of one step of a stage.

    Linear from lr / warm-up steps to `lr` over the warm-up, then constant, or down to 0 along
    half a cosine (Loshchilov and Hutter 2017, equation 5, without restarts), or `level`.

    Parameters
    ----------
    stage
        Its `lr`, `warmup_epochs`, `epochs` and `schedule` are used.
    step
        Counted from 0 at the start of the stage.
    steps_per_epoch
        Number of steps in an epoch.
    level
        Of `plateau_level`, for the schedule `plateau`; None is the stage's `lr`.
    """
    total = stage.epochs * steps_per_epoch
    warmup = min(round(stage.warmup_epochs * steps_per_epoch), total)
    highest = stage.lr if level is None else level
    if step < warmup:
        return highest * (step + 1) / warmup
    if stage.schedule != "cosine":
        return highest
    progress = (step - warmup) / max(1, total - warmup)
    return stage.lr * 0.5 * (1.0 + math.cos(math.pi * progress))


def plateau_level(stage: Stage, epochs: Sequence[EpochRecord]) -> float:
    """Return the learning rate after the finished `epochs` of a stage with a plateau.

    It is worked out anew from the epochs, so that an interrupted training has no more to remember.
    """
    settings = stage.plateau
    if settings is None:
        return stage.lr
    optimiser = _without_compiler(SGD)([torch.zeros(1)], lr=stage.lr)
    smaller = settings.monitor in _SMALLER_IS_BETTER
    # torch counts the epochs that are borne before the rate falls, and they are one fewer.
    scheduler = ReduceLROnPlateau(
        optimiser,
        mode="min" if smaller else "max",
        factor=settings.factor,
        patience=settings.patience - 1,
        threshold=settings.minimum_improvement,
        threshold_mode="abs",
        min_lr=settings.minimum_lr,
        eps=0.0,
    )
    for epoch in epochs:
        scheduler.step(getattr(epoch, settings.monitor))
    return optimiser.param_groups[0]["lr"]


def best_epoch(rule: EarlyStopping, epochs: Sequence[EpochRecord]) -> int:
    """Return the place, in a stage's finished `epochs`, of the last that was an improvement.

    The first epoch is one.
    """
    best, place = _goodness(rule.monitor, epochs[0]), 0
    for number, epoch in enumerate(epochs):
        value = _goodness(rule.monitor, epoch)
        if value > best + rule.minimum_improvement:
            best, place = value, number
    return place


def ends_early(stage: Stage, epochs: Sequence[EpochRecord]) -> bool:
    """Tell whether a stage ends after its finished `epochs`, whatever is left of it."""
    rule = stage.stop_early
    if rule is None or not epochs:
        return False
    return len(epochs) - 1 - best_epoch(rule, epochs) >= rule.patience


def _goodness(monitor: Monitor, epoch: EpochRecord) -> float:
    value = float(getattr(epoch, monitor))
    return -value if monitor in _SMALLER_IS_BETTER else value


def build_optimiser(stage: Stage, parameters: Iterable[Tensor | dict[str, Any]]) -> Optimizer:
    """Return the optimiser of a stage, for parameters or groups of them.

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
    """Set the learning rate of every group to `lr` times its `lr_scale`, if it has one."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
