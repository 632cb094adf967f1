"""`mammoshift decision-curve`: whether acting on predictions beats treating all, or nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.options import (
    ArmOption,
    ClusterOption,
    JsonOption,
    LevelOption,
    SeedOption,
    checked_level,
    write_json,
)

DEFAULT_THRESHOLDS = "0.02,0.05,0.1,0.2,0.3,0.5"
MOST_THRESHOLDS = 1000


def decision_curve(
    tables: Annotated[
        list[Path],
        typer.Argument(
            help="CSV or Parquet tables with case_id, label, score and optionally arm, seed, "
            "patient_id, dataset, or folders of a study's results; each is reported by itself."
        ),
    ],
    thresholds: Annotated[
        str,
        typer.Option(
            help="Probabilities at which a patient would be treated: a list such as 0.05,0.1, or "
            "first:last:step such as 0.01:0.3:0.01."
        ),
    ] = DEFAULT_THRESHOLDS,
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="Share of positives where the decision will be made; needed for case-control "
            "tables. Default: that of each table."
        ),
    ] = None,
    scores: Annotated[
        str | None, typer.Option(help="What score holds: logit or probability; calibrated.")
    ] = None,
    cluster: ClusterOption = None,
    arm: ArmOption = None,
    seed: SeedOption = None,
    json_out: JsonOption = None,
    level: LevelOption = 0.95,
) -> None:
    """Report the net benefit at threshold probabilities, with intervals over patients."""
    from mammoshift.commands.chosen_curves import as_logits, read_curves
    from mammoshift.commands.decision_curve_rows import net_benefits, print_report
    from mammoshift.commands.text_tables import result_console

    report = net_benefits(
        [as_logits(read_curves(table, cluster, arm, seed), scores) for table in tables],
        checked_thresholds(thresholds),
        prevalence=prevalence,
        level=checked_level(level),
    )
    print_report(report, result_console())
    write_json(report, json_out)


def checked_thresholds(text: str) -> list[float]:
    """Return ascending probabilities from a list or a range, or raise a usage error."""
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            if not 0.0 < step <= last - first:
                raise typer.BadParameter(
                    f"{text!r}: a range goes up from its first to its last value in steps above 0"
                )
            count = int((last - first) / step + 1e-9) + 1
            if count > MOST_THRESHOLDS:
                raise typer.BadParameter(
                    f"{text!r}: {count} thresholds, more than {MOST_THRESHOLDS}; take wider steps"
                )
            found = [round(first + i * step, 12) for i in range(count)]
        else:
            found = sorted({float(part) for part in text.split(",")})
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r}: thresholds are a list such as 0.05,0.1 or a range such as 0.01:0.3:0.01"
        ) from error
    if not found or not all(0.0 < value < 1.0 for value in found):
        raise typer.BadParameter(f"{text!r}: thresholds are probabilities between 0 and 1")
    return found
