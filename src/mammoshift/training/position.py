"""How far a training has come, and what it has kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Position:
    """Where a training goes on, and the sums of the epoch it is in.

    `step` counts the batches of the epoch and `total_steps` those of the whole training.
    """

    stage: int = 0
    epoch_of_stage: int = 0
    step: int = 0
    epoch: int = 0
    total_steps: int = 0
    loss_sum: float = 0.0
    train_seconds: float = 0.0


@dataclass
class Selected:
    """The best model so far; epoch 0 is none."""

    epoch: int = 0
    auc: float = math.nan
    value: float = math.nan
    state: dict[str, Tensor] = field(default_factory=dict)
