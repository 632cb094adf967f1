"""Snakemake that asks SLURM for the state of its jobs every two seconds.

The plugin waits ten seconds longer after every round in which no job ended, which suits jobs of
hours and makes tests of seconds slow. How often it asks is all that is changed.
"""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

SECONDS = 2


def _seconds(executor: Executor) -> int:
    return SECONDS


def _keep(executor: Executor, seconds: int) -> None:
    """Take no notice of the plugin's wish to wait longer."""


Executor.next_seconds_between_status_checks = property(_seconds, _keep)

if __name__ == "__main__":
    sys.exit(main())
