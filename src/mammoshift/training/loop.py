"""Training of one arm with one seed: stages, validation, selection, and going on after a kill.

A little longer than other files: it is one class, whose state is what a checkpoint holds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from mammoshift.configuration.training import Stage
from mammoshift.errors import TrainingError
from mammoshift.execution.compilation import compiler_named
from mammoshift.execution.determinism import (
    Purpose,
    deterministic_torch,
    raise_if_indeterministic,
    seed_torch,
    torch_seed,
)
from mammoshift.execution.device import choose_device, enough_memory, peak_memory_mib
from mammoshift.execution.interruption import InterruptionGuard, TrainingInterrupted
from mammoshift.execution.precision import float32_products
from mammoshift.execution.readers import BatchLoader
from mammoshift.models.classifier import prepared
from mammoshift.training.augmentation import Augmenter
from mammoshift.training.checkpoint import (
    MODELS,
    CheckpointWriter,
    KeptModel,
    append_event,
    clear_checkpoints,
    find_checkpoint,
    on_cpu,
)
from mammoshift.training.learning import learning_parameters, parameter_groups, prepare_stage
from mammoshift.training.losses._protocol import build_loss
from mammoshift.training.position import Pending, Position, Selected, Taken
from mammoshift.training.request import EpochRecord, TrainingRequest, TrainingResult
from mammoshift.training.sampler import batch_bounds, epoch_order, steps_of
from mammoshift.training.schedule import (
    best_epoch,
    build_optimiser,
    ends_early,
    learning_rate,
    plateau_level,
    set_learning_rate,
)
from mammoshift.training.selection import POLICIES, check_monitors
from mammoshift.training.start import build_start, current_versions, read_start
from mammoshift.training.step import Stepper
from mammoshift.training.validation import Validation, validate

SELECTED, BEST_OF_STAGE = "selected", "best_of_stage"
LOSS_CHECK_INTERVAL = 20
"""Steps between looks at the loss; each look makes the CPU wait for a GPU."""
LESS_MEMORY = (
    "give a smaller training.batch_size and training.accumulate for the same step, or "
    "training.activation_checkpointing: true"
)


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
        If the arm, its weights and its images do not go together; if a batch, in training or in
        validation, does not fit into the memory of the GPU, or torch cannot compile the network.
    """
    request.check()
    POLICIES[request.arm.training.select].check(request.arm.name, request.validation.labels)
    check_monitors(request.arm, request.validation.labels)
    device = choose_device(request.execution.device)
    progress(f"training on {device}")
    training = request.arm.training
    with (
        deterministic_torch(device, training.threads, training.determinism),
        float32_products(device, training.precision),
        compiler_named(f"arm {request.arm.name}"),
        enough_memory(
            f"arm {request.arm.name}", training.batch_size, request.arm.input.size, LESS_MEMORY
        ),
        InterruptionGuard() as guard,
    ):
        return _Trainer(request, device, guard, progress).run()


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
        seed_torch(device, torch_seed(Purpose.INITIALISATION, request.seed))
        self.model = prepared(build_start(request, self.start), device)
        for stage in self.settings.stages:
            learning_parameters(self.model, stage)
        self.augmenter = Augmenter(self.settings.augmentation, request.seed)
        self.loss = build_loss(request.arm.loss, request.positive_weight)
        self.stepper = Stepper(self.model, self.loss, self.settings, device, request.seed)
        ids = request.training.image_ids + request.validation.image_ids
        size, readers = request.arm.input.size, request.execution.readers
        self.loader = BatchLoader(request.pixels, ids, size, readers, device)
        self.epochs = sum(stage.epochs for stage in self.settings.stages)
        self.bounds = batch_bounds(len(request.training.labels), self.settings.batch_size)
        self.together = self.settings.accumulate or 1
        self.steps = steps_of(self.bounds, self.together)
        self.position = Position()
        self.selection = Selected()
        self.best_of_stage: KeptModel | None = None
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
            while self._goes_on(stage):
                self._train_epoch(stage)
                self._finish_epoch(stage)
            self._leave_stage()
            self.position.stage += 1
            self.position.epoch_of_stage = 0
            self.optimiser = None
        if not stages:
            # The whole classifier of a file is applied as it is.
            self.selection = Selected(state=on_cpu(self.model.state_dict()))
        append_event(self.folder, "finished", step=self.position.total_steps)
        return TrainingResult(
            state=self.selection.state,
            selected_epoch=self.selection.epoch,
            selected_validation_auc=self.selection.auc,
            history=tuple(self.history),
            density_head=self.model.density_head is not None,
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
        self.position = Position(**found.state["position"])
        models = found.state[MODELS]
        self.selection = Selected(**found.state["selection"], state=models.get(SELECTED, {}))
        if BEST_OF_STAGE in models:
            epoch = found.state["best_of_stage"]
            self.best_of_stage = KeptModel(epoch, models[BEST_OF_STAGE])
        self.history = [EpochRecord(**row) for row in found.state["history"]]
        self.model.load_state_dict(found.state["model"])
        self.stepper.load(found.state["average"])
        self.saved_optimiser = found.state["optimiser"]
        self.resumed_from = self.position.total_steps
        append_event(self.folder, "resumed", step=self.resumed_from, epoch=self.position.epoch + 1)
        self.progress(
            f"going on in epoch {self.position.epoch + 1} after {self.resumed_from} steps"
        )

    def _enter_stage(self, stage: Stage) -> None:
        prepare_stage(self.model, stage)
        self.stepper.compile()
        optimiser = build_optimiser(stage, parameter_groups(self.model, stage))
        if self.saved_optimiser is not None:
            optimiser.load_state_dict(self.saved_optimiser)
            self.saved_optimiser = None
        self.optimiser = optimiser

    def _epochs_of_stage(self) -> list[EpochRecord]:
        return [epoch for epoch in self.history if epoch.stage == self.position.stage + 1]

    def _goes_on(self, stage: Stage) -> bool:
        """Tell whether a stage has another epoch; one that has begun is finished."""
        if self.position.step:
            return True
        if self.history and self.request.given_up and self.request.given_up(self.history):
            return False
        left = self.position.epoch_of_stage < stage.epochs
        return left and not ends_early(stage, self._epochs_of_stage())

    def _leave_stage(self) -> None:
        if self.best_of_stage is not None:
            self.stepper.restart(dict(self.best_of_stage.state))
            self.best_of_stage = None

    def _train_epoch(self, stage: Stage) -> None:
        request, position = self.request, self.position
        order = epoch_order(
            request.training.labels, request.seed, position.epoch, self.settings.sampler
        )
        labels = torch.from_numpy(request.training.labels).to(self.device, torch.float32)
        densities = torch.from_numpy(request.training.densities).to(self.device)
        bounds = self.bounds[position.step :]
        level = plateau_level(stage, self._epochs_of_stage())
        pending = Pending()
        self.model.train()
        began = time.monotonic()
        plan = [order[first:last] for first, last in bounds]
        places = [np.arange(first, last) for first, last in bounds]
        draw = partial(self.augmenter.draw, position.epoch)
        batches = self.loader.batches_with(plan, draw, places)
        for (first, last), (pixels, changes) in zip(bounds, batches, strict=True):
            cases = torch.from_numpy(order[first:last]).to(self.device, non_blocking=True)
            images = self.augmenter.apply(pixels, changes)
            taken = self._step(stage, level, images, labels[cases], densities[cases])
            pending.add(taken, last - first)
            position.step += 1
            position.total_steps += 1
            done = position.step == len(self.bounds)
            # What has been added up of a step is not saved.
            whole = done or position.step % self.together == 0
            due = whole and self._due()
            stop = whole and self.guard.received is not None
            if done or due or stop or len(pending) == LOSS_CHECK_INTERVAL:
                self._add_losses(pending, stage)
            if stop or (due and not done):
                position.train_seconds += time.monotonic() - began
                began = time.monotonic()
                self._save()
            if stop:
                self._stop()
        position.train_seconds += time.monotonic() - began

    def _step(
        self, stage: Stage, level: float, images: Tensor, labels: Tensor, densities: Tensor
    ) -> Taken:
        """Take in one batch, and update the model after the last batch of a step."""
        if self.optimiser is None:
            raise RuntimeError("a step outside a stage")
        position = self.position
        number, step = position.step, self.steps[position.step // self.together]
        place, share = (position.epoch, number), len(images) / step.images
        try:
            taken = self.stepper.backward(images, labels, densities, place, share)
        except RuntimeError as error:
            raise_if_indeterministic(error, f"arm {self.request.arm.name}")
            raise
        if number == step.last:
            set_learning_rate(self.optimiser, self._rate(stage, position.step, level))
            done = position.epoch * len(self.steps) + number // self.together
            self.stepper.update(self.optimiser, done + 1)
        return taken

    def _rate(self, stage: Stage, batch: int, level: float | None = None) -> float:
        """Return the learning rate of the step that a batch of this epoch belongs to."""
        of_stage = self.position.epoch_of_stage * len(self.steps) + batch // self.together
        return learning_rate(stage, of_stage, len(self.steps), level)

    def _add_losses(self, pending: Pending, stage: Stage) -> None:
        """Move pending losses to the epoch's sum; the model must not be saved before this."""
        wrong = pending.add_up(self.position)
        if wrong is not None:
            self._refuse("training loss", wrong.value, stage, self.position.step - wrong.ago)

    def _refuse(self, what: str, value: float, stage: Stage, step: int) -> None:
        lr = self._rate(stage, step, plateau_level(stage, self._epochs_of_stage()))
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
        level = plateau_level(stage, self._epochs_of_stage())
        record = EpochRecord(
            epoch=position.epoch + 1,
            stage=position.stage + 1,
            train_loss=position.loss_sum / count,
            validation_loss=validation.loss,
            validation_auc=validation.auc,
            lr=self._rate(stage, len(self.bounds) - 1, level),
            images_per_second=count / position.train_seconds,
            seconds=position.train_seconds + time.monotonic() - began,
            peak_memory_mib=peak_memory_mib(self.device),
            validation_accuracy=validation.accuracy,
            train_accuracy=position.right / count if self.settings.train_accuracy else math.nan,
        )
        self.history.append(record)
        self._keep(stage, record)
        self.progress(
            f"epoch {record.epoch} of {self.epochs}, stage {record.stage}: "
            f"train loss {record.train_loss:.4f}, validation loss {validation.loss:.4f}, "
            f"AUC {validation.auc:.4f}, lr {record.lr:.2e}, "
            f"{record.images_per_second:.1f} images/s"
        )
        position.epoch += 1
        position.epoch_of_stage += 1
        position.step = 0
        position.loss_sum, position.right, position.train_seconds = 0.0, 0, 0.0
        if self._due() or self.guard.received is not None:
            self._save()
        if self.guard.received is not None:
            self._stop()

    def _keep(self, stage: Stage, record: EpochRecord) -> None:
        """Keep the model of a finished epoch if it is selected, or its stage's best so far."""
        selected = self.selection.epoch == 0 or self.policy.better(record, self.selection.value)
        rule, epochs = stage.stop_early, self._epochs_of_stage()
        best = (
            rule is not None and rule.restore_best and best_epoch(rule, epochs) == len(epochs) - 1
        )
        if not selected and not best:
            return
        state = on_cpu(self.stepper.judged.state_dict())
        if selected:
            value = self.policy.value(record)
            self.selection = Selected(record.epoch, record.validation_auc, value, state)
        if best:
            self.best_of_stage = KeptModel(record.epoch, state)

    def _validate(self, stage: Stage) -> Validation:
        """Return how good the model is on the validation cases."""

        def stop_if_asked() -> None:
            if self.guard.received is not None:
                self._save()
                self._stop()

        model = self.stepper.judged
        found = validate(
            model, self.loss, self.loader, self.request, self.device, after_each_batch=stop_if_asked
        )
        if not math.isfinite(found.loss) and self.request.validation.image_ids:
            self._refuse("validation loss", found.loss, stage, self.position.step - 1)
        return found

    def _due(self) -> bool:
        return time.monotonic() - self.last_save > 60 * self.settings.checkpoint_minutes

    def _save(self) -> None:
        selection, best = self.selection, self.best_of_stage
        state = {
            "position": vars(self.position),
            "history": [asdict(record) for record in self.history],
            "model": self.model.state_dict(),
            "average": self.stepper.state(),
            "optimiser": self.optimiser.state_dict() if self.optimiser else None,
            "selection": {k: v for k, v in vars(selection).items() if k != "state"},
            "best_of_stage": None if best is None else best.epoch,
        }
        models = {SELECTED: KeptModel(selection.epoch, selection.state)} if selection.epoch else {}
        if best is not None:
            models[BEST_OF_STAGE] = best
        self.writer.save(self.position.total_steps, state, models)
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
