"""The check that every subset that is wanted can be trained on or judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mammoshift.configuration.shares import Shares
from mammoshift.errors import ConfigurationError


def wanted_subsets(shares: Shares) -> dict[str, bool]:
    """Return for each subset whether it has a share."""
    return {name: share > 0.0 for name, share in shares.model_dump().items()}


def check_subsets(
    cases: pd.DataFrame, subsets: Sequence[tuple[str, ...]], wanted: Mapping[str, bool]
) -> None:
    """Raise `ConfigurationError` when a wanted subset lacks positive or negative cases."""
    placed = np.array(subsets, dtype=object)
    labels = cases["label"].to_numpy()
    folds = placed.shape[1] if len(placed) else 0
    for fold in range(folds):
        for name in (name for name, is_wanted in wanted.items() if is_wanted):
            present = set(labels[placed[:, fold] == name].tolist())
            for label, word in ((1, "positive"), (0, "negative")):
                if label not in present:
                    where = f"fold {fold}: " if folds > 1 else ""
                    raise ConfigurationError(
                        f"split: {where}the subset {name} has no {word} case; give it a larger "
                        "share, take fewer folds, or use another task or dataset"
                    )
