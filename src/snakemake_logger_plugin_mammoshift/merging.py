"""Short jobs of one rule and study on one line, in runs of many jobs.

A job that takes long, and every one of a small run, has a line of its own when it is done. Of a run
of hundreds the short ones are held back for a while, and those of one rule and study that have come
together are one line. Failures are never held.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from snakemake_logger_plugin_mammoshift.job import RunningJob, duration

MANY_JOBS = 120
"""A run of more jobs than this has short ones merged."""

SHORT_SECONDS = 12.0
HELD_SECONDS = 45.0
"""How long the first of some short jobs waits for others."""

_LINE = 128
"""Characters of a line without its place in the run."""


@dataclass(frozen=True)
class Finished:
    """A job that is done, and the seconds that it took."""

    job: RunningJob
    seconds: float

    @property
    def words(self) -> str:
        """The job and its time: `train arm: resnet, seed 0, fold 0 (cross_sensor): 20 s`."""
        return f"{self.job.name}: {duration(self.seconds)}"


class Merging:
    """Short jobs that wait for others of their rule and study; used by two threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: dict[tuple[str, str], list[Finished]] = {}
        self.since: dict[tuple[str, str], float] = {}

    def add(self, done: Finished, now: float) -> bool:
        """Hold a short job back; False for one that is to have its own line."""
        if done.seconds > SHORT_SECONDS:
            return False
        key = (done.job.rule, done.job.study)
        with self.lock:
            self.held.setdefault(key, []).append(done)
            self.since.setdefault(key, now)
        return True

    def due(self, now: float) -> list[str]:
        """Return the lines of those whose first has waited long enough, and forget them."""
        with self.lock:
            keys = [key for key, since in self.since.items() if now - since >= HELD_SECONDS]
            return [self._taken(key) for key in keys]

    def rest(self) -> list[str]:
        """Return the lines of all that are held, and forget them."""
        with self.lock:
            return [self._taken(key) for key in list(self.held)]

    def _taken(self, key: tuple[str, str]) -> str:
        del self.since[key]
        return merged(self.held.pop(key))


def merged(jobs: list[Finished]) -> str:
    """Return one line for jobs of one rule and study.

    For example `write card: 4 jobs, of resnet, efficientnet (cross_sensor): 5 s`.
    """
    if len(jobs) == 1:
        return jobs[0].words
    first = jobs[0].job
    study = f" ({first.study})" if first.study else ""
    start = f"{first.rule.replace('_', ' ')}: {len(jobs)} jobs"
    end = f"{study}: {duration(sum(done.seconds for done in jobs))}"
    subjects = list(dict.fromkeys(done.job.subject for done in jobs if done.job.subject))
    return f"{start}{_listed(subjects, _LINE - len(start) - len(end))}{end}"


def _listed(subjects: list[str], room: int) -> str:
    """Return `, of a, b and 2 more`: as many names as there is room for, one at least."""
    shown = len(subjects)
    while shown > 0:
        more = len(subjects) - shown
        text = f", of {', '.join(subjects[:shown])}" + (f" and {more} more" if more else "")
        if len(text) <= room or shown == 1:
            return text
        shown -= 1
    return ""
