"""What a stage may be told beside its rate: how steps are made, and when it ends."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

sys.path.extend(str(folder) for folder in Path(__file__).parents[:2])

from process_apart import end_of
from toy_training import (
    TRAIN,
    VALIDATION,
    KilledAtRead,
    ToyImages,
    cases,
    model_bytes,
    request_for,
)

from mammoshift.configuration.training import EarlyStopping, Loss, Plateau, Stage
from mammoshift.errors import ConfigurationError, TrainingError
from mammoshift.models.classifier import Output
from mammoshift.training.loop import train_arm
from mammoshift.training.losses._protocol import build_loss
from mammoshift.training.request import Cases, EpochRecord, TrainingRequest
from mammoshift.training.sampler import batch_bounds, steps_of
from mammoshift.training.schedule import best_epoch, ends_early, learning_rate, plateau_level

ONE = [{"epochs": 1, "lr": 1e-3}]
EVERYTHING: dict[str, Any] = {
    "stages": [
        {
            "train": "head",
            "last_blocks": 1,
            "epochs": 4,
            "lr": 5e-3,
            "optimiser": "adam",
            "dropout": 0.2,
            "weight_decay_on": "kernels",
            "stop_early": {"patience": 1, "restore_best": True},
        },
        {
            "epochs": 3,
            "lr": 2e-3,
            "layer_decay": 0.7,
            "warmup_epochs": 0.5,
            "batch_norm": "frozen_statistics",
            "schedule": "plateau",
            "plateau": {"patience": 1, "factor": 0.3, "monitor": "train_loss"},
        },
    ],
    "accumulate": 2,
    "ema": {"decay": 0.7, "warmup": True},
    "mixup": 0.4,
    "clip_gradient_norm": 0.5,
    "augmentation": {
        "elastic": 0.02,
        "symmetries": ["as_is", "flip_left_right", "rotate_180", "rotate_90"],
    },
    "select": "best_validation_loss",
    "checkpoint_minutes": 1e-9,
}


def epochs(values: list[float], monitor: str = "validation_loss") -> list[EpochRecord]:
    plain = dict.fromkeys(EpochRecord.__dataclass_fields__, 0.0)
    return [
        EpochRecord(**{**plain, "epoch": n + 1, "stage": 1, monitor: v})
        for n, v in enumerate(values)
    ]


def train(request: TrainingRequest) -> None:
    train_arm(request)


def killed_after(reads: int, request: TrainingRequest) -> int:
    """Train in a process that is killed when it reads its image number `reads`; return its end."""
    return end_of(train, replace(request, pixels=ToyImages(before_read=KilledAtRead(reads))))


def test_killed_trainings_with_everything_on_end_bit_identical(tmp_path: Path) -> None:
    whole = request_for(tmp_path / "whole", **EVERYTHING)
    result = train_arm(whole)
    expected = model_bytes(tmp_path / "whole", whole, result)
    assert result.history[-1].stage == 2
    assert len({record.lr for record in result.history}) > 1
    broken = request_for(tmp_path / "broken", **EVERYTHING)
    epoch = TRAIN + VALIDATION
    ends = [killed_after(reads, broken) for reads in (13, TRAIN + 9, epoch + 21, 26, epoch + 30)]
    assert set(ends) == {-signal.SIGKILL}
    again = train_arm(broken)
    assert again.resumed_from_step
    assert model_bytes(tmp_path / "broken", broken, again) == expected
    untimed = [
        [getattr(r, n) for n in ("stage", "train_loss", "validation_loss", "lr")]
        for r in again.history
    ]
    assert untimed == [
        [getattr(r, n) for n in ("stage", "train_loss", "validation_loss", "lr")]
        for r in result.history
    ]


def test_a_rate_falls_after_epochs_without_improvement_as_in_keras() -> None:
    plateau = Plateau(patience=2, factor=0.2, minimum_lr=1e-6)
    stage = Stage(epochs=9, lr=2e-4, schedule="plateau", plateau=plateau)
    assert plateau_level(stage, []) == 2e-4
    assert plateau_level(stage, epochs([1.0, 0.9, 0.95])) == 2e-4
    assert plateau_level(stage, epochs([1.0, 0.9, 0.95, 0.9])) == pytest.approx(4e-5)
    assert plateau_level(stage, epochs([1.0] * 7)) == pytest.approx(2e-4 * 0.2**3)
    assert plateau_level(stage, epochs([1.0] * 9)) == 1e-6
    low = stage.model_copy(update={"lr": 2e-7})
    assert plateau_level(low, epochs([1.0] * 9)) == 2e-7
    assert learning_rate(stage, 7, 3, 4e-5) == 4e-5


def test_a_stage_ends_early_after_epochs_without_improvement() -> None:
    stage = Stage(epochs=9, lr=1.0, stop_early=EarlyStopping(patience=2))
    assert not ends_early(stage, epochs([1.0, 0.9, 0.95]))
    assert ends_early(stage, epochs([1.0, 0.9, 0.95, 0.9]))
    rule = EarlyStopping(patience=1, monitor="validation_auc", minimum_improvement=0.1)
    assert best_epoch(rule, epochs([0.5, 0.55, 0.7, 0.75], "validation_auc")) == 2
    assert not ends_early(Stage(epochs=9, lr=1.0), epochs([1.0] * 8))


def test_the_next_stage_starts_from_the_best_epoch_of_the_one_that_ended(tmp_path: Path) -> None:
    still = {"epochs": 1, "lr": 1e-12, "weight_decay": 0, "batch_norm": "frozen"}
    # No epoch is better than the first by so much.
    rule = {"patience": 3, "restore_best": True, "minimum_improvement": 5.0}
    first = {"epochs": 4, "lr": 0.05, "optimiser": "sgd", "stop_early": rule}
    history = train_arm(request_for(tmp_path, stages=[first, still], select="last_epoch")).history
    losses = [record.validation_loss for record in history]
    assert abs(losses[0] - losses[-2]) > 0.01
    assert losses[-1] == pytest.approx(losses[0], rel=1e-4)


def test_what_a_stage_watches_must_be_given(tmp_path: Path) -> None:
    stages = [{"epochs": 2, "lr": 1e-3, "stop_early": {"patience": 1}}]
    request = request_for(tmp_path, stages=stages, select="last_epoch")
    with pytest.raises(TrainingError, match="watches validation_loss"):
        train_arm(replace(request, validation=Cases.make([], [])))


def test_accumulated_batches_are_one_large_batch_where_nothing_else_tells_them_apart(
    tmp_path: Path,
) -> None:
    options = {
        "stages": [{"epochs": 1, "lr": 1e-2, "optimiser": "sgd", "batch_norm": "frozen"}],
        "augmentation": {},
    }
    large = train_arm(request_for(tmp_path / "large", batch_size=16, **options))
    small = train_arm(request_for(tmp_path / "small", batch_size=8, accumulate=2, **options))
    for name, tensor in large.state.items():
        assert torch.allclose(tensor, small.state[name], atol=1e-5), name
    assert large.history[0].train_loss == pytest.approx(small.history[0].train_loss, rel=1e-4)
    assert [step.images for step in steps_of(batch_bounds(20, 8), 2)] == [16, 4]


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet"])
def test_activations_that_are_computed_again_change_nothing(tmp_path: Path, backbone: str) -> None:
    found = []
    for again in (None, True):
        request = request_for(tmp_path / str(again), stages=ONE, activation_checkpointing=again)
        record = request.backbone.model_copy(update={"architecture": backbone, "drop_path": 0.2})
        found.append(train_arm(replace(request, backbone=record)).state)
    for name, tensor in found[0].items():
        assert torch.allclose(tensor.float(), found[1][name].float(), atol=1e-6), name


def test_the_average_is_kept_instead_of_the_model(tmp_path: Path) -> None:
    plain = request_for(tmp_path / "plain", stages=ONE, select="last_epoch")
    averaged = request_for(
        tmp_path / "averaged", stages=ONE, select="last_epoch", ema={"decay": 1e-12}
    )
    slow = request_for(tmp_path / "slow", stages=ONE, select="last_epoch", ema={"decay": 0.99999})
    states = [train_arm(request).state for request in (plain, averaged, slow)]
    name = "head.weight"
    assert torch.allclose(states[0][name], states[1][name], atol=1e-6)
    assert not torch.allclose(states[0][name], states[2][name], atol=1e-4)


def test_gradients_are_clipped_and_images_blended(tmp_path: Path) -> None:
    stages = [{"epochs": 1, "lr": 1.0, "optimiser": "sgd", "weight_decay": 0}]
    request = request_for(tmp_path, stages=stages, clip_gradient_norm=1e-9, select="last_epoch")
    untrained = request_for(tmp_path / "tiny", stages=[{**stages[0], "lr": 1e-12}])
    untrained = train_arm(untrained).state["head.weight"]
    assert torch.allclose(train_arm(request).state["head.weight"], untrained, atol=1e-6)
    losses = {
        train_arm(request_for(tmp_path / str(mixup), stages=ONE, mixup=mixup)).history[0].train_loss
        for mixup in (None, 0.4)
    }
    assert len(losses) == 2


@pytest.mark.parametrize("smoothing", [None, 0.1])
def test_the_loss_of_two_outputs_is_their_cross_entropy(smoothing: float | None) -> None:
    outputs = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    loss = build_loss(Loss(label_smoothing=smoothing), 1.0)
    found = loss(Output(outputs[:, 1] - outputs[:, 0], None), labels.double(), labels)
    expected = cross_entropy(outputs, labels, label_smoothing=smoothing or 0.0)
    assert found.item() == pytest.approx(expected.item(), abs=1e-12)


def test_a_misfit_of_settings_is_said_before_the_first_step(tmp_path: Path) -> None:
    wide = ToyImages(size=(32, 64))
    request = request_for(tmp_path, stages=ONE, augmentation={"symmetries": ["rotate_90"]})
    recipe = request.arm.input.model_copy(update={"size": (32, 64)})
    arm = request.arm.model_copy(update={"input": recipe})
    with pytest.raises(ConfigurationError, match="square images"):
        train_arm(replace(request, arm=arm, pixels=wide, training=cases(0, 8)))
    late = [*ONE, {"epochs": 1, "lr": 1e-3, "freeze": ["head.nothing"]}]
    with pytest.raises(ConfigurationError, match=r"names head\.nothing"):
        train_arm(request_for(tmp_path / "late", stages=late))
