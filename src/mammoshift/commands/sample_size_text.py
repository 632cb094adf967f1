"""What `mammoshift sample-size` prints."""

from __future__ import annotations

from rich.console import Console

from mammoshift.commands.sample_size_rows import PlanReport
from mammoshift.commands.text_tables import number, print_notes, print_table

OWN_MODELS = "1 seed: a statement about these models alone, not about the architectures"
PILOT = (
    "A pilot's own difference is uncertain, and too large where it was picked for its size: give "
    "the one that matters with --difference"
)


def print_report(report: PlanReport, console: Console) -> None:
    """Print the cases that are needed, then the power of seeds and cases."""
    settings = report.settings
    print_table(
        console,
        f"Cases needed ({100.0 * settings['level']:g} % intervals, power {settings['power']:g})",
        ("question", "seeds", "cases", "positive", "negative", "patients"),
        [
            (
                row["question"],
                *(
                    None if row[name] is None else str(row[name])
                    for name in ("seeds", "n", "n_pos", "n_neg", "n_patients")
                ),
            )
            for row in report.cases
        ],
        notes=[row["note"] for row in report.cases],
    )
    _print_power(report, console)
    print_notes(
        console,
        [
            OWN_MODELS if any(row["seeds"] == 1 for row in report.power) else "",
            PILOT if settings["pilot"] and settings["difference"] is None else "",
            settings["note"],
        ],
    )


def _print_power(report: PlanReport, console: Console) -> None:
    for question in dict.fromkeys(row["question"] for row in report.power):
        own = [row for row in report.power if row["question"] == question]
        sizes = list(dict.fromkeys(row["n"] for row in own))
        print_table(
            console,
            f"Power, {question}",
            ("seeds of each arm", *(f"{n} cases" for n in sizes)),
            [
                (str(seeds), *(number(row["power"], 2) for row in own if row["seeds"] == seeds))
                for seeds in dict.fromkeys(row["seeds"] for row in own)
            ],
        )
