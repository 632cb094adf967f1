"""How far a training has come, and what it has kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass
class Position:
    """Where a training goes on, and the sums of the epoch it is in.

    `step` counts the batches of the epoch and `total_steps` those of the whole training, `right`
    the epoch's right answers where they are asked for.
    """

    stage: int = 0
    epoch_of_stage: int = 0
    step: int = 0
    epoch: int = 0
    total_steps: int = 0
    loss_sum: float = 0.0
    right: int = 0
    train_seconds: float = 0.0


class Taken(NamedTuple):
    """What one batch gave, still where it was computed: its mean loss, and the right answers."""

    loss: Tensor
    right: Tensor | None


class NotFinite(NamedTuple):
    """A loss that is no number, and how many batches ago it was: 1 for the last."""

    value: float
    ago: int


class Pending:
    """Batches whose losses were not looked at, since each look makes the CPU wait for a GPU."""

    def __init__(self) -> None:
        self._taken: list[tuple[Taken, int]] = []

    def __len__(self) -> int:
        return len(self._taken)

    def add(self, taken: Taken, count: int) -> None:
        """Take in a batch of `count` images."""
        self._taken.append((taken, count))

    def add_up(self, position: Position) -> NotFinite | None:
        """Move everything to the sums of the epoch; return the first loss that is no number."""
        taken, self._taken = self._taken, []
        losses = torch.stack([one.loss for one, _ in taken]).tolist()
        for number, (loss, (_, count)) in enumerate(zip(losses, taken, strict=True)):
            if not math.isfinite(loss):
                return NotFinite(loss, len(losses) - number)
            position.loss_sum += loss * count
        right = [one.right for one, _ in taken if one.right is not None]
        if right:
            position.right += int(torch.stack(right).sum())
        return None


@dataclass
class Selected:
    """The best model so far; epoch 0 is none."""

    epoch: int = 0
    auc: float = math.nan
    value: float = math.nan
    state: dict[str, Tensor] = field(default_factory=dict)
