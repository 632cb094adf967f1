"""What the commands say of input that they once took in silence, and of too small samples.

    python benchmarks/failing_commands.py

Prints a Markdown table: the case, the exit status, and the lines of the output that answer it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from typer.testing import CliRunner

from mammoshift.commands.main import app
from mammoshift.errors import MammoshiftError

SEED = 20261214


@dataclass(frozen=True)
class Answer:
    """What a command said: its exit status, and all that it printed or raised."""

    case: str
    status: int
    text: str

    @property
    def lines(self) -> int:
        """How much was printed."""
        return len(self.text.strip().splitlines())

    def said(self, *words: str) -> list[str]:
        """Return the lines that hold one of these words."""
        return [line for line in self.text.splitlines() if any(word in line for word in words)]


def table(
    stream: int, positives: int = 60, negatives: int = 140, images: int = 1, **more: object
) -> pd.DataFrame:
    """Return log-odds of one arm with so many patients of each class."""
    rng = np.random.default_rng([SEED, stream])
    label = np.repeat(np.repeat([1, 0], [positives, negatives]), images)
    patient = np.repeat(np.arange(positives + negatives), images)
    common = rng.normal(size=positives + negatives)[patient]
    return pd.DataFrame(
        {
            "case_id": [f"{stream}-{i}" for i in range(label.size)],
            "patient_id": [f"{stream}-{i}" for i in patient],
            "label": label,
            "arm": "a",
            "score": 1.4 * label + common + 0.6 * rng.normal(size=label.size) - 1.0,
            **more,
        }
    )


def arms_of(frame: pd.DataFrame, arms: int, seeds: int) -> pd.DataFrame:
    """Return the table with more arms and seeds, each with noise of its own."""
    rng = np.random.default_rng([SEED, len(frame), arms, seeds])
    return pd.concat(
        frame.assign(arm=f"arm{a}", seed=s, score=frame["score"] + rng.normal(size=len(frame)))
        for a in range(arms)
        for s in range(seeds)
    )


def answers(folder: Path) -> Iterator[Answer]:
    """Run every case."""

    def written(name: str, frame: pd.DataFrame) -> str:
        frame.to_csv(folder / name, index=False)
        return str(folder / name)

    def run(case: str, *arguments: str) -> Answer:
        result = CliRunner().invoke(app, list(arguments))
        if isinstance(result.exception, MammoshiftError):
            return Answer(case, 1, str(result.exception).replace(str(folder) + "/", ""))
        return Answer(case, result.exit_code, result.output)

    plain = table(0)
    one = written("one.csv", plain)
    copy = written("copy.csv", plain)
    renamed = written("renamed.csv", plain.assign(case_id="x" + plain["case_id"], patient_id=None))
    yield run("a byte copy as --fit-on", "calibrate", one, "--fit-on", copy)
    yield run(
        "the same scores under other identifiers as --threshold-from",
        "operating-point",
        one,
        "--threshold-from",
        renamed,
        "--cluster",
        "none",
    )
    two = arms_of(plain, 2, 1)
    twice = pd.concat([two.assign(dataset="x"), two.assign(dataset="y")])
    yield run("the same cases as two datasets", "compare", written("twice.csv", twice))
    probable = plain.assign(score=expit(plain["score"]))
    yield run("probabilities, unsaid", "calibrate", written("probable.csv", probable))
    many = pd.concat(
        arms_of(table(stream), 5, 10).assign(dataset=f"d{stream}") for stream in range(1, 5)
    )
    yield run("5 arms, 10 seeds, 4 datasets", "compare", written("many.csv", many))
    few = written("few.csv", arms_of(table(6, positives=10, negatives=130), 2, 1))
    yield run("AUC of 10 positive patients", "compare", few, "--all")
    slope = written("slope.csv", table(7, positives=4, negatives=36, images=3))
    yield run("calibration slope of 4 positive patients", "calibrate", slope)
    seeds = written("seeds.csv", arms_of(plain, 2, 2))
    yield run("two seeds of each arm", "compare", seeds)
    healthy = two.assign(dataset="home")
    none = arms_of(table(8, positives=0), 2, 1).assign(dataset="clinic")
    both = written("healthy.csv", pd.concat([healthy, none]))
    yield run("a dataset without a positive case", "compare", both)
    budget = written("budget.csv", table(9))
    yield run("the recalibration budget", "calibrate", budget, "--budget")


WORDS = (
    "same labels and scores",
    "shares",
    "share ",
    "WARNING",
    "fewer than",
    "two seeds only",
    "no positive case",
    "another hospital",
)


def main() -> None:
    """Print the table."""
    print("| case | status | lines | said |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for answer in answers(Path(folder)):
            said = "<br>".join(line.strip() for line in dict.fromkeys(answer.said(*WORDS)))
            print(f"| {answer.case} | {answer.status} | {answer.lines} | {said} |")


if __name__ == "__main__":
    main()
