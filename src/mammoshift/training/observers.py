"""Who else is told of an epoch: TensorBoard, Weights & Biases, MLflow.

All are off unless a training names them. They are told after the fact and change nothing of it;
history.csv is written whether there are any or not.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from mammoshift.configuration.training import ObserverName
from mammoshift.errors import ConfigurationError
from mammoshift.training.request import EpochRecord

NOT_MEASURED = frozenset({"epoch", "stage"})


class Observer(Protocol):
    """Is told what each epoch gave, in order, and once that there are no more."""

    def tell(self, epoch: int, values: dict[str, float]) -> None:
        """Take the numbers of one epoch, counted from 1; what is not defined is left out."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class _TensorBoard:
    def __init__(self, folder: Path, _name: str) -> None:
        module = _needed("torch.utils.tensorboard", "tensorboard", "tensorboard")
        self._writer = module.SummaryWriter(str(folder / "tensorboard"))

    def tell(self, epoch: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    def __init__(self, folder: Path, name: str) -> None:
        module = _needed("wandb", "wandb", "wandb")
        self._run = module.init(project="mammoshift", name=name, dir=str(folder))

    def tell(self, epoch: int, values: dict[str, float]) -> None:
        self._run.log(values, step=epoch)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    def __init__(self, _folder: Path, name: str) -> None:
        self._module = _needed("mlflow", "mlflow", "mlflow")
        self._module.start_run(run_name=name)

    def tell(self, epoch: int, values: dict[str, float]) -> None:
        self._module.log_metrics(values, step=epoch)

    def close(self) -> None:
        self._module.end_run()


_MAKERS: dict[ObserverName, Callable[[Path, str], Observer]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WeightsAndBiases,
    "mlflow": _MLflow,
}


def make_observers(names: Iterable[ObserverName], folder: Path, run: str) -> tuple[Observer, ...]:
    """Return the observers of one training.

    Parameters
    ----------
    names
        Which ones.
    folder
        That of the model, where they write.
    run
        How they call it.

    Raises
    ------
    ConfigurationError
        If a package that one needs is not installed.
    """
    return tuple(_MAKERS[name](folder, run) for name in names)


def tell_all(observers: Sequence[Observer], history: Iterable[EpochRecord]) -> None:
    """Tell observers all epochs of a finished training, and close them."""
    for record in history:
        values = {
            name: float(value)
            for name, value in asdict(record).items()
            if name not in NOT_MEASURED and not math.isnan(value)
        }
        for observer in observers:
            observer.tell(record.epoch, values)
    for observer in observers:
        observer.close()


def _needed(module: str, package: str, observer: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"training.observers: {observer} needs the package {package}, which is not installed; "
            "install it or leave the observer out"
        ) from error
