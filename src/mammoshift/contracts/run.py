"""One run: an arm, a seed and a fold. Everything that a run makes carries this name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RUN_PATTERN = "{arm}/seed-{seed}/fold-{fold}"
"""Where a run's files lie below the folder of its study."""


@dataclass(frozen=True, order=True)
class Run:
    """One training: the arm, the seed of everything random, and the fold that is left out."""

    arm: str
    seed: int
    fold: int = 0

    @property
    def path(self) -> str:
        """The run's folder, relative to that of its study."""
        return RUN_PATTERN.format(arm=self.arm, seed=self.seed, fold=self.fold)

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}, fold {self.fold}"

    @classmethod
    def of_path(cls, folder: Path) -> Run:
        """Return the run that a folder belongs to.

        Raises
        ------
        ValueError
            If the folder is not that of a run.
        """
        arm, seed, fold = folder.parts[-3:]
        run = cls(arm, int(seed.removeprefix("seed-")), int(fold.removeprefix("fold-")))
        if Path(run.path).parts != (arm, seed, fold):
            raise ValueError(f"{folder} is not the folder of a run")
        return run
