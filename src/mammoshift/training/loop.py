"""Training of one arm with one seed: stages, validation, selection, and going on after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from mammoshift.configuration.model import Stage
from mammoshift.errors import TrainingError
from mammoshift.execution.determinism import (
    Purpose,
    deterministic_torch,
    raise_if_indeterministic,
    torch_seed,
)
from mammoshift.execution.device import choose_device, peak_memory_mib
from mammoshift.execution.interruption import InterruptionGuard, TrainingInterrupted
from mammoshift.execution.precision import autocast, float32_products
from mammoshift.execution.readers import BatchLoader
from mammoshift.models.classifier import Output, build_classifier, prepared, unit_intensities
from mammoshift.training.augmentation import Changes, augment, draw_changes
from mammoshift.training.checkpoint import (
    CheckpointWriter,
    SelectedModel,
    append_event,
    clear_checkpoints,
    find_checkpoint,
    on_cpu,
)
from mammoshift.training.losses import build_loss
from mammoshift.training.request import EpochRecord, TrainingRequest, TrainingResult
from mammoshift.training.sampler import batch_bounds, epoch_order
from mammoshift.training.schedule import build_optimiser, learning_rate, set_learning_rate
from mammoshift.training.selection import POLICIES
from mammoshift.training.start import current_versions, read_start
from mammoshift.training.validation import Validation, validation_measures

LOSS_CHECK_INTERVAL = 20
"""Steps between looks at the loss; each look makes the CPU wait for a GPU."""


def train_arm(
    request: TrainingRequest, progress: Callable[[str], None] = lambda _line: None
) -> TrainingResult:
    """Train one arm with one seed, from the start or from where an earlier attempt ended.

    On the CPU the result does not depend on whether, or where, the training was interrupted.

    Parameters
    ----------
    request
        What to train, on what, and where.
    progress
        Is given one line of text for each epoch and for whatever a user should know.

    Raises
    ------
    TrainingError
        If there are no usable cases or the loss is not finite.
    TrainingInterrupted
        On SIGTERM or SIGINT, after the state was saved.
    ConfigurationError, WeightsError
        If the arm, its weights and its images do not go together.
    """
    request.check()
    POLICIES[request.arm.training.select].check(request.arm.name, request.validation.labels)
    device = choose_device(request.execution.device)
    progress(f"training on {device}")
    training = request.arm.training
    with (
        deterministic_torch(device, training.threads, training.determinism),
        float32_products(device, training.precision),
        InterruptionGuard() as guard,
    ):
        return _Trainer(request, device, guard, progress).run()


@dataclass
class _Position:
    """How far a training has come: where it goes on, and the sums of the epoch it is in."""

    stage: int = 0
    epoch_of_stage: int = 0
    step: int = 0
    epoch: int = 0
    total_steps: int = 0
    loss_sum: float = 0.0
    train_seconds: float = 0.0


@dataclass
class _Selection:
    """The best model so far."""

    epoch: int = 0
    auc: float = math.nan
    value: float = math.nan
    state: dict[str, Tensor] = field(default_factory=dict)


class _Trainer:
    """One training; its parts share the model, the position and the selection."""

    def __init__(
        self,
        request: TrainingRequest,
        device: torch.device,
        guard: InterruptionGuard,
        progress: Callable[[str], None],
    ) -> None:
        self.request, self.device, self.guard, self.progress = request, device, guard, progress
        self.folder = request.execution.run_folder
        self.settings = request.arm.training
        self.versions = current_versions()
        self.start = read_start(request)
        self.key = request.key(self.start.sha256, self.versions)
        self.density_head = request.arm.loss.name == "density_aware_focal"
        torch.manual_seed(torch_seed(Purpose.INITIALISATION, request.seed))
        self.model = prepared(
            build_classifier(
                request.backbone.normalised(request.arm.normalisation),
                request.arm.input.size,
                self.density_head,
                self.start.state,
                self.start.size,
                request.arm.head,
            ),
            device,
        )
        self.loss = build_loss(request.arm.loss, request.positive_weight)
        ids = request.training.image_ids + request.validation.image_ids
        size, readers = request.arm.input.size, request.execution.readers
        self.loader = BatchLoader(request.pixels, ids, size, readers, device)
        self.epochs = sum(stage.epochs for stage in self.settings.stages)
        self.bounds = batch_bounds(len(request.training.labels), self.settings.batch_size)
        self.position = _Position()
        self.selection = _Selection()
        self.policy = POLICIES[self.settings.select]
        self.history: list[EpochRecord] = []
        self.optimiser: Optimizer | None = None
        self.saved_optimiser: dict[str, Any] | None = None
        self.last_save = time.monotonic()
        self.resumed_from: int | None = None
        self.writer = CheckpointWriter(self.folder, self.key)

    def run(self) -> TrainingResult:
        try:
            return self._run()
        finally:
            self.writer.wait()

    def _run(self) -> TrainingResult:
        self._resume()
        stages = self.settings.stages
        while self.position.stage < len(stages):
            stage = stages[self.position.stage]
            self._enter_stage(stage)
            while self.position.epoch_of_stage < stage.epochs:
                self._train_epoch(stage)
                self._finish_epoch(stage)
            self.position.stage += 1
            self.position.epoch_of_stage = 0
            self.optimiser = None
        append_event(self.folder, "finished", step=self.position.total_steps)
        return TrainingResult(
            state=self.selection.state,
            selected_epoch=self.selection.epoch,
            selected_validation_auc=self.selection.auc,
            history=tuple(self.history),
            density_head=self.density_head,
            start_sha256=self.start.sha256,
            licence=self.start.licence,
            versions=self.versions,
            resumed_from_step=self.resumed_from,
        )

    def _resume(self) -> None:
        """Go on from the newest usable checkpoint, if there is one."""
        found = find_checkpoint(self.folder, self.key)
        for reason in found.rejected:
            append_event(self.folder, "rejected", reason=reason)
            self.progress(f"passed over: {reason}")
        if found.state is None:
            clear_checkpoints(self.folder)
            append_event(self.folder, "started", key=self.key)
            return
        self.position = _Position(**found.state["position"])
        selected = found.state["selected"] or {}
        self.selection = _Selection(**found.state["selection"], state=selected)
        self.history = [EpochRecord(**row) for row in found.state["history"]]
        self.model.load_state_dict(found.state["model"])
        self.saved_optimiser = found.state["optimiser"]
        self.resumed_from = self.position.total_steps
        append_event(self.folder, "resumed", step=self.resumed_from, epoch=self.position.epoch + 1)
        self.progress(
            f"going on in epoch {self.position.epoch + 1} after {self.resumed_from} steps"
        )

    def _enter_stage(self, stage: Stage) -> None:
        self.model.freeze_features(stage.train == "head")
        self.model.set_dropout(stage.dropout)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        optimiser = build_optimiser(stage, trained)
        if self.saved_optimiser is not None:
            optimiser.load_state_dict(self.saved_optimiser)
            self.saved_optimiser = None
        self.optimiser = optimiser

    def _train_epoch(self, stage: Stage) -> None:
        request, position = self.request, self.position
        order = epoch_order(
            request.training.labels, request.seed, position.epoch, self.settings.sampler
        )
        labels = torch.from_numpy(request.training.labels).to(self.device, torch.float32)
        densities = torch.from_numpy(request.training.densities).to(self.device)
        bounds = self.bounds[position.step :]
        pending: list[tuple[Tensor, int]] = []
        self.model.train()
        began = time.monotonic()
        batches = self.loader.batches([order[first:last] for first, last in bounds])
        drawn = self.loader.ahead(self._draw, [np.arange(first, last) for first, last in bounds])
        for (first, last), pixels, changes in zip(bounds, batches, drawn, strict=True):
            cases = torch.from_numpy(order[first:last]).to(self.device, non_blocking=True)
            images = self._changed(pixels, changes)
            loss = self._step(stage, images, labels[cases], densities[cases])
            pending.append((loss, last - first))
            position.step += 1
            position.total_steps += 1
            done = position.step == len(self.bounds)
            due = self._due()
            stop = self.guard.received is not None
            if done or due or stop or len(pending) == LOSS_CHECK_INTERVAL:
                self._add_losses(pending, stage)
            if stop or (due and not done):
                position.train_seconds += time.monotonic() - began
                began = time.monotonic()
                self._save()
            if stop:
                self._stop()
        position.train_seconds += time.monotonic() - began

    def _draw(self, places: np.ndarray) -> Changes | None:
        settings = self.settings.augmentation
        if settings == type(settings)():
            return None
        return draw_changes(settings, self.request.seed, self.position.epoch, places)

    def _changed(self, pixels: Tensor, changes: Changes | None) -> Tensor:
        if changes is None:
            return pixels
        return augment(unit_intensities(pixels), self.settings.augmentation, changes)

    def _step(self, stage: Stage, images: Tensor, labels: Tensor, densities: Tensor) -> Tensor:
        if self.optimiser is None:
            raise RuntimeError("a step outside a stage")
        position = self.position
        step_of_stage = position.epoch_of_stage * len(self.bounds) + position.step
        set_learning_rate(self.optimiser, learning_rate(stage, step_of_stage, len(self.bounds)))
        torch.manual_seed(
            torch_seed(Purpose.DROPOUT, self.request.seed, position.epoch, position.step)
        )
        try:
            with autocast(self.device, self.settings.precision):
                output = self.model(images)
            loss = self.loss(output, labels, densities)
            self.optimiser.zero_grad()
            loss.backward()
        except RuntimeError as error:
            raise_if_indeterministic(error, f"arm {self.request.arm.name}")
            raise
        self.optimiser.step()
        return loss.detach()

    def _add_losses(self, pending: list[tuple[Tensor, int]], stage: Stage) -> None:
        """Move pending losses to the epoch's sum; the model must not be saved before this."""
        values = torch.stack([loss for loss, _ in pending]).tolist()
        for ago, (value, (_, count)) in enumerate(zip(values, pending, strict=True)):
            if not math.isfinite(value):
                step = self.position.step - len(values) + ago
                self._refuse("training loss", value, stage, step)
            self.position.loss_sum += value * count
        pending.clear()

    def _refuse(self, what: str, value: float, stage: Stage, step: int) -> None:
        of_stage = self.position.epoch_of_stage * len(self.bounds) + step
        lr = learning_rate(stage, of_stage, len(self.bounds))
        raise TrainingError(
            f"arm {self.request.arm.name}, seed {self.request.seed}: the {what} is {value} in "
            f"epoch {self.position.epoch + 1}, step {step + 1}, at a learning rate of {lr:.3g}; "
            "try a smaller lr, a longer warm-up or precision float32"
        )

    def _finish_epoch(self, stage: Stage) -> None:
        """Validate, record the epoch, select, move to the next epoch and save when it is time."""
        position = self.position
        began = time.monotonic()
        validation = self._validate(stage)
        count = len(self.request.training.labels)
        of_stage = (position.epoch_of_stage + 1) * len(self.bounds) - 1
        record = EpochRecord(
            epoch=position.epoch + 1,
            stage=position.stage + 1,
            train_loss=position.loss_sum / count,
            validation_loss=validation.loss,
            validation_auc=validation.auc,
            lr=learning_rate(stage, of_stage, len(self.bounds)),
            images_per_second=count / position.train_seconds,
            seconds=position.train_seconds + time.monotonic() - began,
            peak_memory_mib=peak_memory_mib(self.device),
            validation_accuracy=validation.accuracy,
        )
        self.history.append(record)
        if self.selection.epoch == 0 or self.policy.better(record, self.selection.value):
            state = on_cpu(self.model.state_dict())
            value = self.policy.value(record)
            self.selection = _Selection(record.epoch, record.validation_auc, value, state)
        self.progress(
            f"epoch {record.epoch} of {self.epochs}, stage {record.stage}: "
            f"train loss {record.train_loss:.4f}, validation loss {validation.loss:.4f}, "
            f"AUC {validation.auc:.4f}, lr {record.lr:.2e}, "
            f"{record.images_per_second:.1f} images/s"
        )
        position.epoch += 1
        position.epoch_of_stage += 1
        position.step = 0
        position.loss_sum = position.train_seconds = 0.0
        if self._due() or self.guard.received is not None:
            self._save()
        if self.guard.received is not None:
            self._stop()

    def _validate(self, stage: Stage) -> Validation:
        """Return how good the model is on the validation cases."""
        cases = self.request.validation
        if not cases.image_ids:
            return Validation()
        offset = len(self.request.training.image_ids)
        size = self.settings.batch_size
        places = np.arange(offset, offset + len(cases.image_ids))
        plan = [places[first : first + size] for first in range(0, len(places), size)]
        outputs: list[Output] = []
        self.model.eval()
        with torch.inference_mode(), autocast(self.device, self.settings.precision):
            for pixels in self.loader.batches(plan):
                outputs.append(self.model(pixels))
                if self.guard.received is not None:
                    self._save()
                    self._stop()
            logits = torch.cat([output.logit for output in outputs])
            known = [output.density for output in outputs if output.density is not None]
            whole = Output(logits, torch.cat(known) if known else None)
            labels = torch.from_numpy(cases.labels).to(self.device, torch.float32)
            densities = torch.from_numpy(cases.densities).to(self.device)
            loss = float(self.loss(whole, labels, densities))
        if not math.isfinite(loss):
            self._refuse("validation loss", loss, stage, self.position.step - 1)
        return validation_measures(loss, cases.labels, logits.double().cpu().numpy())

    def _due(self) -> bool:
        return time.monotonic() - self.last_save > 60 * self.settings.checkpoint_minutes

    def _save(self) -> None:
        selection = self.selection
        state = {
            "position": vars(self.position),
            "history": [asdict(record) for record in self.history],
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict() if self.optimiser else None,
            "selection": {k: v for k, v in vars(selection).items() if k != "state"},
        }
        selected = SelectedModel(selection.epoch, selection.state) if selection.epoch else None
        self.writer.save(self.position.total_steps, state, selected)
        self.last_save = time.monotonic()

    def _stop(self) -> None:
        self.writer.wait()
        number = self.guard.received or 0
        step = self.position.total_steps
        append_event(self.folder, "interrupted", step=step, signal=number)
        raise TrainingInterrupted(
            f"arm {self.request.arm.name}, seed {self.request.seed}: stopped by signal {number} "
            f"after step {step}; its state is saved, and the next run goes on from there",
            number,
        )
