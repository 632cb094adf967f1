"""The walk of docs/statistics.md: its tables, and what its commands print.

`python tests/walk.py` writes the printed output into the document anew.
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from mammoshift.commands.main import app
from mammoshift.statistics.seeding import generator_for

DOCUMENT = Path(__file__).parents[1] / "docs" / "statistics.md"
BLOCK = re.compile(r"^```text\n\$ mammoshift (.+)\n((?:.*\n)*?)```$", re.MULTILINE)

ARMS = {"resnet50": 1.0, "mammo_fm": 0.7}
"""The noise of each arm's logits beside what it shares with the other."""
SEEDS = (0, 1, 2)


def write_tables(folder: Path) -> None:
    """Write `validation.csv` (source) and `predictions.csv` (source and another hospital)."""
    predictions("validation", 200, 0.0, 1.0).to_csv(folder / "validation.csv", index=False)
    home = predictions("home", 300, 0.0, 1.0).assign(dataset="home")
    clinic = predictions("clinic", 260, 0.8, 0.7).assign(dataset="clinic")
    pd.concat([home, clinic]).to_csv(folder / "predictions.csv", index=False)


def predictions(name: str, patients: int, shift: float, contrast: float) -> pd.DataFrame:
    """Return the logits of two arms and three seeds on two views of each patient.

    `shift` is what another sensor adds to every logit, `contrast` what it leaves of the lesion's.
    """
    rng = generator_for("walk", name)
    sick = rng.random(patients) < 0.3
    patient = np.repeat(np.arange(patients), 2)
    label = sick[patient].astype(int)
    shared = contrast * 2.6 * label + rng.normal(0.0, 1.0, patients)[patient]
    shared += rng.normal(0.0, 0.5, 2 * patients) - 1.9
    parts = []
    for arm, noise in ARMS.items():
        for seed in SEEDS:
            own = noise * rng.normal(0.0, 1.0, 2 * patients) + shift
            columns = {
                "case_id": [f"{name}-{p}-{v}" for p in range(patients) for v in ("CC", "MLO")],
                "patient_id": [f"{name}-{p}" for p in patient],
                "label": label,
                "arm": arm,
                "seed": seed,
                "score": (1.4 * (shared + own)).round(4),
            }
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts)


def printed(command: str, folder: Path) -> str:
    """Return what `mammoshift <command>` prints in a folder, without trailing blanks."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(app, shlex.split(command), catch_exceptions=False)
    finally:
        os.chdir(before)
    assert result.exit_code == 0, result.output
    lines = [line.rstrip() for line in result.output.rstrip().splitlines()]
    return "\n".join(lines) + "\n"


def commands(text: str) -> list[tuple[str, str]]:
    """Return each command of the document and the output that it shows."""
    return [(found.group(1), found.group(2)) for found in BLOCK.finditer(text)]


def main() -> None:
    """Write the output of every command into the document."""
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder))
        text = BLOCK.sub(
            lambda found: (
                f"```text\n$ mammoshift {found.group(1)}\n"
                f"{printed(found.group(1), Path(folder))}```"
            ),
            DOCUMENT.read_text(),
        )
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
