"""What is measured beside validation, and who is told of it."""

from __future__ import annotations

import builtins
import math
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from toy_training import request_for

from mammoshift.configuration.training import Training
from mammoshift.errors import ConfigurationError
from mammoshift.training.loop import train_arm
from mammoshift.training.observers import make_observers, tell_all
from mammoshift.training.request import EpochRecord


def record(epoch: int) -> EpochRecord:
    values = dict.fromkeys(EpochRecord.__dataclass_fields__, 0.5)
    return EpochRecord(**{**values, "epoch": epoch, "stage": 1, "validation_auc": math.nan})


def test_tensorboard_holds_every_epoch(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell_all(make_observers(["tensorboard"], tmp_path, "toy"), [record(1), record(2)])
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train_loss")] == [1, 2]
    assert "validation_auc" not in events.Tags()["scalars"]


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_an_observer_whose_package_is_absent_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    for module in [m for m in sys.modules if m.startswith(("tensorboard", "torch.utils.tensorb"))]:
        monkeypatch.delitem(sys.modules, module)
    real = builtins.__import__

    def without(module: str, *rest: Any, **named: Any) -> Any:
        if module.split(".")[0] in ("tensorboard", "wandb", "mlflow"):
            raise ImportError(module)
        return real(module, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigurationError, match=f"needs the package {name}"):
        make_observers([name], tmp_path, "toy")


def test_the_accuracy_of_training_images_is_in_the_history_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    stages = [{"epochs": 4, "lr": 3e-3}]
    history = train_arm(request_for(tmp_path / "a", stages=stages, train_accuracy=True)).history
    accuracies = [epoch.train_accuracy for epoch in history]
    assert all(0.0 <= accuracy <= 1.0 for accuracy in accuracies)
    assert accuracies[-1] > 0.7
    plain = train_arm(request_for(tmp_path / "b", stages=stages[:1])).history
    assert all(math.isnan(epoch.train_accuracy) for epoch in plain)
    with pytest.raises(ValueError, match="has no one label"):
        Training.model_validate({"stages": stages, "train_accuracy": True, "mixup": 0.2})
