"""One step of training: the backward pass of its batches, and the update of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from mammoshift.configuration.training import MovingAverage, Training
from mammoshift.errors import ConfigurationError
from mammoshift.execution.compilation import compile_in_place
from mammoshift.execution.determinism import Purpose, generator, seed_torch, torch_seed
from mammoshift.execution.precision import autocast
from mammoshift.models.classifier import Classifier, unit_intensities
from mammoshift.training.losses._protocol import LossFunction
from mammoshift.training.position import Taken


class Stepper:
    """Computes gradients and updates a model as a training says.

    Every random number comes from the seed and the place of the batch (epoch, batch of the epoch),
    so that nothing of it has to be saved.

    Parameters
    ----------
    model
        What learns; with `activation_checkpointing` its features are told to.
    loss
        The mean over a batch.
    training
        Its `precision`, `mixup`, `clip_gradient_norm`, `activation_checkpointing`, `compile`,
        `determinism` and `ema` are used.
    device, seed
        Where it computes, and what random numbers come from.

    Raises
    ------
    ConfigurationError
        If the architecture cannot compute its activations again.
    """

    def __init__(
        self,
        model: Classifier,
        loss: LossFunction,
        training: Training,
        device: torch.device,
        seed: int,
    ) -> None:
        self._model, self._loss, self._training = model, loss, training
        self._device, self._seed = device, seed
        if training.activation_checkpointing:
            _checkpoint_activations(model.features)
        self._average = None if training.ema is None else _moving_average(model, training.ema)

    @property
    def judged(self) -> Classifier:
        """The model that is validated and kept: the averaged one where there is an average."""
        return self._model if self._average is None else self._average.module

    def compile(self) -> None:
        """Have the models computed by compiled code from now on, if the training asks for it."""
        if self._training.compile:
            compile_in_place({self._model, self.judged}, self._training.determinism)

    def state(self) -> dict[str, Tensor] | None:
        """Return the averaged weights, None without an average."""
        return None if self._average is None else self._average.module.state_dict()

    def load(self, state: dict[str, Tensor] | None) -> None:
        """Take up the averaged weights of a checkpoint."""
        if self._average is not None and state is not None:
            self._average.module.load_state_dict(state)

    def restart(self, state: dict[str, Tensor]) -> None:
        """Go on from other weights, which the average starts from anew."""
        self._model.load_state_dict(state)
        self.load(state)

    def backward(
        self,
        images: Tensor,
        labels: Tensor,
        densities: Tensor,
        place: tuple[int, int],
        share: float,
    ) -> Taken:
        """Add the gradients of one batch, times its share of the step.

        Parameters
        ----------
        images, labels, densities
            As the classifier and the loss take them.
        place
            Epoch, and batch of the epoch.
        share
            Of the step's images those that are in this batch.
        """
        seed_torch(self._device, torch_seed(Purpose.DROPOUT, self._seed, *place))
        kept = 1.0
        if self._training.mixup is not None:
            images = unit_intensities(images)
            random = generator(Purpose.MIXUP, self._seed, *place)
            kept = float(random.beta(self._training.mixup, self._training.mixup))
            images = images.mul(kept).add_(images.flip(0), alpha=1.0 - kept)
        with autocast(self._device, self._training.precision):
            output = self._model(images)
        loss = self._loss(output, labels, densities)
        if kept != 1.0:
            other = self._loss(output, labels.flip(0), densities.flip(0))
            loss = kept * loss + (1.0 - kept) * other
        with self._without_statistics():
            (loss if share == 1.0 else loss * share).backward()
        right = None
        if self._training.train_accuracy:
            right = ((output.logit > 0) == (labels > 0.5)).sum()
        return Taken(loss.detach(), right)

    @contextmanager
    def _without_statistics(self) -> Iterator[None]:
        """Leave running statistics alone where activations are computed a second time."""
        layers = [
            m
            for m in (self._model.modules() if self._training.activation_checkpointing else ())
            if isinstance(m, _BatchNorm) and m.training
        ]
        before = [(layer.momentum, _copied(layer.num_batches_tracked)) for layer in layers]
        for layer in layers:
            layer.momentum = 0.0
        try:
            yield
        finally:
            for layer, (momentum, counted) in zip(layers, before, strict=True):
                layer.momentum = momentum
                if layer.num_batches_tracked is not None and counted is not None:
                    layer.num_batches_tracked.copy_(counted)

    def update(self, optimiser: Optimizer, number: int) -> None:
        """Update the model by the gradients; `number` counts the updates of the training from 1."""
        limit = self._training.clip_gradient_norm
        if limit is not None:
            clip_grad_norm_(self._model.parameters(), limit)
        optimiser.step()
        optimiser.zero_grad()
        if self._average is not None:
            self._average.update(self._model, number)


def _moving_average(model: Classifier, settings: MovingAverage) -> Any:
    # What it brings along takes time to import, and few trainings need it.
    from timm.utils.model_ema import ModelEmaV3

    return ModelEmaV3(model, settings.decay, use_warmup=settings.warmup)


def _checkpoint_activations(features: nn.Module) -> None:
    switch: Any = getattr(features, "set_grad_checkpointing", None)
    try:
        if switch is None:
            raise AssertionError
        switch(True)
    except AssertionError as error:
        raise ConfigurationError(
            f"{type(features).__name__} cannot compute its activations again; leave "
            "activation_checkpointing out and take smaller batches with accumulate"
        ) from error


def _copied(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()
