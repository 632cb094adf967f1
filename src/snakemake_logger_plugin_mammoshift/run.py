"""A run as a whole: what is done, what runs, what failed, and how long the rest will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from snakemake_logger_plugin_mammoshift.job import RunningJob, cause, duration, tail
from snakemake_logger_plugin_mammoshift.merging import Finished

FAILURES_SHOWN = 3
LONGEST_LINE = 300
_WITHOUT_WORK = frozenset({"all"})
_STOPPED = ("stopped by signal 2 ", "KeyboardInterrupt")
"""What the log of a job says that ended with the run, at Ctrl-C."""
_SAVED = "its state is saved"


@dataclass(frozen=True)
class Failure:
    """A job that failed for good, the message of its log, and the log."""

    name: str
    message: tuple[str, ...]
    log: str


@dataclass
class Run:
    """The state of a run, which events change; times are seconds of a steady clock.

    Attributes
    ----------
    planned
        Rule -> number of jobs, as they were planned.
    done
        Rule -> seconds of each finished job.
    running
        Job id -> job.
    failed
        Job id -> failure; a job that is started again is none.
    stopped
        Names of the jobs that ended because a person stopped the run.
    stopping
        Whether a person has stopped the run.
    """

    began: float
    planned: Counter[str] = field(default_factory=Counter)
    done: dict[str, list[float]] = field(default_factory=dict)
    running: dict[int, RunningJob] = field(default_factory=dict)
    failed: dict[int, Failure] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    stopping: bool = False

    @property
    def total(self) -> int:
        """The number of jobs that do something."""
        return self.planned.total()

    @property
    def finished(self) -> int:
        """The number of jobs that are done."""
        return sum(map(len, self.done.values()))

    def plan(self, stats: Mapping[str, int]) -> None:
        """Take over the numbers of jobs that Snakemake planned."""
        self.planned = Counter(
            {rule: n for rule, n in stats.items() if rule not in _WITHOUT_WORK | {"total"}}
        )

    def start(self, number: int, job: RunningJob) -> None:
        """Note a job that was started, or started again."""
        self.failed.pop(number, None)
        self.running[number] = job

    def finish(self, number: int, now: float) -> Finished | None:
        """Note a job that is done, and return it; None for one that does nothing."""
        job = self.running.pop(number, None)
        if job is None or job.rule in _WITHOUT_WORK:
            return None
        self.failed.pop(number, None)
        took = now - job.started
        self.done.setdefault(job.rule, []).append(took)
        return Finished(job, took)

    def fail(self, number: int, rule: str, logs: Sequence[str], message: str | None) -> str:
        """Note a job that failed, or that a person stopped, and return its line."""
        job = self.running.pop(number, None)
        name = job.name if job is not None else rule.replace("_", " ")
        said = cause(tail(logs)) or ([message] if message else ["its log says nothing"])
        if self.stopping or any(sign in said[0] for sign in _STOPPED):
            self.stopped.append(name)
            return shorter(f"stopped {name}{': its state is saved' if _SAVED in said[0] else ''}")
        self.failed[number] = Failure(name, tuple(said), next(iter(logs), ""))
        return shorter(f"FAILED {name}: {said[0]}")

    def place(self, now: float) -> str:
        """Return `[12 of 57, 3 min left]`, `at least` while nothing is known of some rule."""
        left = self.seconds_left(now)
        if left is None or self.finished >= self.total:
            return f"[{self.finished} of {self.total}]"
        least = "at least " if any(self._of_rule(rule) is None for rule in self.planned) else ""
        return f"[{self.finished} of {self.total}, {least}{duration(left)} left]"

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds that the rest will take, None before anything is known.

        A job takes as long as those of its rule did, or as those that run will by their progress,
        or else as any did; as many run at once as have until now.
        """
        known = [seconds for rule in self.planned for seconds in self._known(rule)]
        elapsed = now - self.began
        if not known or elapsed <= 0:
            return None
        typical = sum(known) / len(known)
        busy = sum(map(sum, self.done.values()))
        running = Counter(job.rule for job in self.running.values())
        rest = 0.0
        for rule, planned in self.planned.items():
            each = self._of_rule(rule) or typical
            rest += max(0, planned - len(self.done.get(rule, [])) - running[rule]) * each
        for job in self.running.values():
            each = job.expected or self._of_rule(job.rule) or typical
            rest += max(0.1 * each, each - (now - job.started))
            busy += now - job.started
        return rest / max(1.0, busy / elapsed)

    def _known(self, rule: str) -> list[float]:
        """Return the seconds of a rule's jobs that are done, or else that those that run expect."""
        if rule in self.done:
            return self.done[rule]
        running = (job.expected for job in self.running.values() if job.rule == rule)
        return [seconds for seconds in running if seconds is not None]

    def _of_rule(self, rule: str) -> float | None:
        """Return the seconds of a job of a rule, None where nothing is known of it."""
        known = self._known(rule)
        return sum(known) / len(known) if known else None

    def now_running(self, now: float) -> list[str]:
        """Return how far each running job is and then its name, those that began first in front."""
        jobs = sorted(self.running.values(), key=lambda job: job.started)
        lines = []
        for job in jobs:
            progress = job.progress(now)
            lines.append(f"{progress or duration(now - job.started)}: {job.name}")
        return lines

    def summary(self, now: float) -> list[str]:
        """Return how the run ended; after failures what failed, why, and what to do."""
        if not self.failed and (self.stopped or self.stopping):
            return self._stopped_by_hand()
        if not self.failed:
            done = "The 1 job is" if self.finished == 1 else f"All {self.finished} jobs are"
            return [f"{done} done, in {duration(now - self.began)}."]
        kept = self.total - self.finished - len(self.failed) - len(self.stopped)
        were = "was" if kept == 1 else "were"
        waiting = f"; {kept} {were} not run, for want of what failed" if kept > 0 else ""
        done = f"{self.finished} {'is' if self.finished == 1 else 'are'} done"
        lines = [f"{len(self.failed)} of {self.total} jobs failed, {done}{waiting}."]
        for failure in list(self.failed.values())[:FAILURES_SHOWN]:
            lines.append(shorter(f"  {failure.name}: {failure.message[0]}"))
            if len(self.failed) == 1:
                lines += [shorter(f"    {line}") for line in failure.message[1:]]
            if failure.log:
                lines.append(f"    log: {failure.log}")
        if len(self.failed) > FAILURES_SHOWN:
            more = len(self.failed) - FAILURES_SHOWN
            lines.append(f"  and {more} more, named above")
        lines.append(
            "Mend what the message names and give the same command again: what is done stays done."
        )
        return lines

    def _stopped_by_hand(self) -> list[str]:
        """Return the end of a run that a person stopped."""
        were = "was" if len(self.stopped) == 1 else "were"
        running = f", {len(self.stopped)} {were} running" if self.stopped else ""
        return [
            f"Stopped by you: {self.finished} of {self.total} jobs are done{running}.",
            "Give the same command again: what is done stays done, and a training goes on from "
            "where it was.",
        ]


def shorter(line: str) -> str:
    """Return a line that the end of a run has room for."""
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 4]} ..."
