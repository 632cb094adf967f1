"""One job on the console: its name in words, how far it is, and why it failed.

What a running job does is read from the end of its log, which it writes line by line, so that it
can be seen as well when the job runs on another machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_CAUSE = 3
"""Lines of an error message that are shown."""

_TAIL_BYTES = 8192
_HASH = re.compile(r"_[0-9a-f]{8}\b")
_STUDY = "study"
_NUMBERED = frozenset({"seed", "fold", "bundle"})
_COUNT = re.compile(r"\b(?:(epoch) )?(\d+) of (\d+)\b(?: ([a-z]+))?")
_RATE = re.compile(r"\b([\d.]+) images/s")
_RULED_OFF = re.compile(r"^[=\-+ ]+$")
_TRACEBACK = "Traceback (most recent call last)"
_OWN_ERROR = "Error: "


@dataclass(frozen=True)
class Progress:
    """How far a job is: `done` of `total` things; images in a second where its log says so."""

    unit: str
    done: int
    total: int
    rate: str | None

    def words(self, seconds_left: float | None) -> str:
        """Return for example `epoch 5 of 14, 85 images/s, 40 s left`."""
        count = f"{self.done} of {self.total}"
        counted = f"epoch {count}" if self.unit == "epoch" else f"{count} {self.unit}".strip()
        parts = [counted]
        if self.rate is not None:
            parts.append(f"{self.rate} images/s")
        if seconds_left is not None:
            parts.append(f"{duration(seconds_left)} left")
        return ", ".join(parts)


@dataclass
class RunningJob:
    """A job that was started: when, what it is called, and where it logs.

    `subject` is the first thing that its name says it is of, and `study` the study. `expected` are
    the seconds that it will have taken, by how far it was when that was last looked at.
    """

    name: str
    rule: str
    started: float
    logs: tuple[str, ...]
    subject: str = ""
    study: str = ""
    first_seen: tuple[float, int] | None = field(default=None)
    expected: float | None = None

    def progress(self, now: float) -> str:
        """Return how far the job is, in words; empty where its log does not tell."""
        found = last_progress(tail(self.logs))
        if found is None:
            return ""
        if self.first_seen is None or found.done < self.first_seen[1]:
            self.first_seen = (now, found.done)
        began, before = self.first_seen
        counted = found.done - before
        left = None
        # The first count holds the start of the job too, which is done once.
        if counted > 0 and now > began:
            left = (now - began) / counted * (found.total - found.done)
            self.expected = now - self.started + left
        return found.words(left)


def job_name(rule: str, wildcards: Mapping[str, str]) -> str:
    """Return what a job is called: `train arm: resnet, seed 0, fold 0 (cross_sensor)`."""
    values = _subjects(wildcards)
    name = rule.replace("_", " ")
    if values:
        name = f"{name}: {', '.join(values)}"
    return f"{name} ({wildcards[_STUDY]})" if _STUDY in wildcards else name


def started_job(
    rule: str, wildcards: Mapping[str, str], now: float, logs: tuple[str, ...]
) -> RunningJob:
    """Return a job that has just been started."""
    subject = next(iter(_subjects(wildcards)), "")
    study = str(wildcards.get(_STUDY, ""))
    return RunningJob(job_name(rule, wildcards), rule, now, logs, subject, study)


def _subjects(wildcards: Mapping[str, str]) -> list[str]:
    return [
        f"{key} {value}" if key in _NUMBERED else _HASH.sub("", str(value))
        for key, value in wildcards.items()
        if key != _STUDY
    ]


def duration(seconds: float) -> str:
    """Return a time for people: `8 s`, `4 min`, `2.5 h`."""
    if seconds < 100:
        return f"{max(0, round(seconds))} s"
    if seconds < 100 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def tail(logs: Sequence[str]) -> list[str]:
    """Return the last lines of the first log that can be read."""
    for log in logs:
        try:
            with Path(log).open("rb") as stream:
                stream.seek(0, 2)
                size = stream.tell()
                stream.seek(max(0, size - _TAIL_BYTES))
                text = stream.read().decode("utf-8", errors="replace")
        except OSError:
            continue
        lines = text.splitlines()
        # The first line may have been cut by where reading began.
        return lines[1:] if size > _TAIL_BYTES else lines
    return []


def last_progress(lines: Sequence[str]) -> Progress | None:
    """Return the last count that a log states, as in `epoch 5 of 14` or `512 of 2560 images`."""
    for line in reversed(lines):
        if count := _COUNT.search(line):
            rate = _RATE.search(line)
            unit = count[1] or count[4] or ""
            return Progress(unit, int(count[2]), int(count[3]), rate[1] if rate else None)
    return None


def cause(lines: Sequence[str]) -> list[str]:
    """Return the message that a failed job's log ends with, a few lines at most.

    An error that was written for people begins with `Error: `; of a traceback the last line says
    what it is.
    """
    text = [line.rstrip() for line in lines if line.strip() and not _RULED_OFF.match(line)]
    starts = [n for n, line in enumerate(text) if line.startswith(_OWN_ERROR)]
    if starts:
        own = text[starts[-1] :]
        return [own[0].removeprefix(_OWN_ERROR), *own[1:LONGEST_CAUSE]]
    if any(_TRACEBACK in line for line in text):
        return [next((line for line in reversed(text) if not line.startswith(" ")), text[-1])]
    return text[-LONGEST_CAUSE:]
