"""What each arm loses from one dataset to others: the rows of `mammoshift compare --source`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from mammoshift.commands.compare_metrics import METRICS, positions_of
from mammoshift.commands.compare_report import Wishes, combined_row, with_verdicts
from mammoshift.commands.options import Row
from mammoshift.contracts.external_predictions import DatasetScores
from mammoshift.errors import StatisticsError, TableError
from mammoshift.statistics.comparisons import within_bounds
from mammoshift.statistics.curve_values import CurveValues
from mammoshift.statistics.seeding import generator_for
from mammoshift.statistics.simultaneous import covariance_of_drops, simultaneous_level
from mammoshift.statistics.transfer import Drops, drop_of_arm, drops_between


def drop_rows(
    compared: Sequence[tuple[DatasetScores, CurveValues]], wishes: Wishes, table: str
) -> list[Row]:
    """Return what each arm loses from the source to each other dataset; positive is a loss."""
    names = [part.dataset for part, _ in compared]
    if wishes.source not in names or len(names) < 2:
        raise TableError(
            f"{table}: column dataset: --source {wishes.source} needs that dataset and another; "
            f"the table has {', '.join(str(name) for name in names)}"
        )
    at = names.index(wishes.source)
    source_part, source = compared[at]
    arms = positions_of(source_part.curves)
    sign = -1.0 if METRICS[wishes.metric].lower_is_better else 1.0
    targets: list[tuple[str | None, Drops]] = []
    for part, target in (*compared[:at], *compared[at + 1 :]):
        if part.curves != source_part.curves:
            raise TableError(
                f"{table}: column dataset: {part.dataset} was not scored by the same arms and "
                f"seeds as the source {wishes.source}; a drop needs the same checkpoints"
            )
        ends = (replace(values, values=sign * values.values) for values in (source, target))
        targets.append((part.dataset, drops_between(*ends)))
    wide = _simultaneous([drops for _, drops in targets], source, list(arms.values()), wishes)
    rows, tests = [], []
    for (dataset, drops), (arm, own) in itertools.product(targets, arms.items()):
        test = drop_of_arm(drops, own, wishes.level)
        together = drop_of_arm(drops, own, wide) if wide is not None else test
        fixed = drop_of_arm(drops, own, wishes.level, seeds_random=False)
        tests.append(test)
        rows.append(
            {
                **combined_row(dataset, arm, "", test, fixed.se, wishes.metric),
                "source": wishes.source,
                "simultaneous_low": within_bounds(together.ci_low, wishes.metric),
                "simultaneous_high": within_bounds(together.ci_high, wishes.metric),
            }
        )
    return with_verdicts(rows, tests, wishes, positive_is_loss=True)


def _simultaneous(
    targets: Sequence[Drops], source: CurveValues, arms: Sequence[list[int]], wishes: Wishes
) -> float | None:
    joint = covariance_of_drops(targets, source.covariance, arms)
    try:
        rng = generator_for("compare", "simultaneous")
        return simultaneous_level(joint, rng, wishes.level)
    except StatisticsError:
        # No drop has a variance: there is no interval, alone or together.
        return None
