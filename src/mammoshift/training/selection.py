"""Which epoch of a training is kept: the policies, each under its name."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mammoshift.configuration.model import Arm
from mammoshift.errors import TrainingError
from mammoshift.training.request import EpochRecord


@dataclass(frozen=True)
class SelectionPolicy:
    """A rule that says whether an epoch is better than the best before it.

    `column` is the field of `EpochRecord` that is compared, or None to keep the last epoch. Of
    epochs that are equal the first is kept.
    """

    name: str
    column: str | None = None
    smaller_is_better: bool = False
    needs_both_labels: bool = False

    def better(self, epoch: EpochRecord, best: float) -> bool:
        """Whether `epoch` is to be kept instead of the one whose value was `best`."""
        if self.column is None:
            return True
        value = self.value(epoch)
        return value < best if self.smaller_is_better else value > best

    def value(self, epoch: EpochRecord) -> float:
        """Return what is compared; nan where the last epoch is kept."""
        return math.nan if self.column is None else float(getattr(epoch, self.column))

    def check(self, arm: str, labels: np.ndarray) -> None:
        """Raise `TrainingError` when the validation cases (N,) do not allow the comparison."""
        if self.column is None:
            return
        positives = int(labels.sum())
        if self.needs_both_labels and not 0 < positives < len(labels):
            raise TrainingError(
                f"arm {arm}: {self.name} needs validation cases of both labels; enlarge the "
                "validation subset or select last_epoch"
            )
        if not len(labels):
            raise TrainingError(
                f"arm {arm}: {self.name} needs validation cases; give the split a validation "
                "subset or select last_epoch"
            )


def check_monitors(arm: Arm, labels: np.ndarray) -> None:
    """Raise `TrainingError` when a stage watches what the validation cases (N,) do not give."""
    rules = [r for stage in arm.training.stages for r in (stage.plateau, stage.stop_early) if r]
    given = {"train_loss"}
    if len(labels):
        given |= {"validation_loss", "validation_accuracy"}
    if 0 < int(labels.sum()) < len(labels):
        given.add("validation_auc")
    for monitor in {rule.monitor for rule in rules}:
        if monitor not in given:
            raise TrainingError(
                f"arm {arm.name}: a stage watches {monitor}, which the validation cases do not "
                "give; enlarge the validation subset or watch train_loss"
            )


_BY_AUC = SelectionPolicy("best_validation_auc", "validation_auc", needs_both_labels=True)
POLICIES: dict[str, SelectionPolicy] = {
    "best_source_validation_auc": _BY_AUC,
    **{
        policy.name: policy
        for policy in (
            _BY_AUC,
            SelectionPolicy("best_validation_loss", "validation_loss", smaller_is_better=True),
            SelectionPolicy("best_validation_accuracy", "validation_accuracy"),
            SelectionPolicy("last_epoch"),
        )
    },
}
"""The policies by the names that a configuration may give; the first is an older name."""
