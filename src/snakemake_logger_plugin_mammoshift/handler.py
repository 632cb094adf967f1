"""From Snakemake's events to lines on the screen."""

from __future__ import annotations

import logging
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_mammoshift.job import job_name, started_job
from snakemake_logger_plugin_mammoshift.merging import MANY_JOBS, Merging
from snakemake_logger_plugin_mammoshift.run import Run
from snakemake_logger_plugin_mammoshift.screen import Screen

CHATTER = (
    "Using profile", "Using workflow specific profile", "Config file", "host: ", "Building DAG",
    "Assuming unrestricted", "Using shell", "Conda environments", "Singularity containers",
    "Select jobs to execute", "Execute ", "Finished job", "Complete log", "Elapsed time",
    "Removing output files", "Trying to restart", "Will exit after finishing", "Shutting down",
    "Some jobs were triggered by provenance", "Rules with ", "Reasons:", "This was a dry-run",
    "SLURM run ID", "Job stats", "Group jobs", "Touching output", "Write-protecting",
    "Waiting at most", "Cancelling", "Logfile ",
    "jobs have ", "Determining filesystem", "Loading trusted IOCache", "Back-up log",
)  # fmt: skip
"""How messages begin that say nothing to the person who watches."""

_SUBMITTED = "has been submitted with SLURM jobid"
_SAID_BY_SUMMARY = "Exiting because a job execution failed"
_STOPPED_BY_HAND = "Terminating processes on user request"
_SUMMED_UP = "At least one job did not complete"
_SHORT_REASONS = (
    ("Missing output files", "its output is not there"),
    ("Input files updated by another job", "it reads what another job makes"),
    ("Updated input files", "an input file changed"),
    ("Set of input files has changed", "it reads other files than before"),
    ("Params have changed", "its settings or its code changed"),
    ("Code has changed", "its code changed"),
    ("Forced execution", "it was asked for"),
)


class LogHandler(LogHandlerBase):
    """Snakemake's log on the screen, in words."""

    def __post_init__(self) -> None:
        chosen = getattr(self.settings, "text", None)
        self.as_snakemake = self.common_settings.verbose or chosen == "snakemake"
        stream: TextIO = sys.stdout if self.common_settings.stdout else sys.stderr
        self.clock = time.monotonic
        self.run = Run(self.clock())
        self.merging = Merging()
        self.screen = Screen(stream)
        self.dry_run = bool(self.common_settings.dryrun)
        self.closed = self.broken = False
        self.quiet = {str(getattr(one, "name", one)).lower() for one in quiet_about(self)}
        self.ticker = Ticker(self._tick)

    @property
    def writes_to_stream(self) -> bool:
        """The screen is ours."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's own log file is enough."""
        return False

    @property
    def has_filter(self) -> bool:
        """Of Snakemake's own text, what it would print; of ours, what is chosen here."""
        return not self.as_snakemake

    @property
    def has_formatter(self) -> bool:
        """Snakemake's text has its own form."""
        return not self.as_snakemake

    @property
    def needs_rulegraph(self) -> bool:
        """The numbers of jobs are enough."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Take one event; whatever goes wrong here must not end the run."""
        try:
            if self.as_snakemake and (text := self.format(record)) not in ("", "None"):
                self.screen.raw(text)
            self._take(record)
        except BrokenPipeError:
            raise
        except Exception:  # noqa: BLE001 - the run is worth more than a line about it
            self.handleError(record)

    def close(self) -> None:
        """Say how the run ended; Snakemake closes a handler more than once."""
        if self.closed:
            return
        self.closed = True
        self.ticker.stop()
        self.screen.clear_status()
        now = self.clock()
        for line in self.merging.rest():
            self._say(f"{self.run.place(now)} {line}")
        if self.dry_run and self.broken and not self.run.planned:
            self._say("Nothing was planned: see the error above.")
        elif self.dry_run:
            self._say(self._counts("would run", "This was a dry run"))
        elif self.run.total and self._has_an_end():
            for line in self.run.summary(now):
                self._say(line, always=bool(self.run.failed))
        super().close()

    def _has_an_end(self) -> bool:
        """Tell whether how the run ended can be said: all is done, some failed, or a person did."""
        run = self.run
        return bool(run.failed or run.stopped or run.stopping or run.finished == run.total)

    def _take(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        take = self._takers.get(event) if event is not None else None
        if take is not None:
            take(record.__dict__)
        elif event is None and not self.as_snakemake:
            self._message(record)

    @property
    def _takers(self) -> Mapping[LogEvent, Callable[[dict[str, Any]], None]]:
        return {
            LogEvent.RUN_INFO: self._planned,
            LogEvent.JOB_INFO: self._started,
            LogEvent.JOB_FINISHED: self._finished,
            LogEvent.JOB_ERROR: self._failed,
            LogEvent.ERROR: self._error,
        }

    def _planned(self, event: dict[str, Any]) -> None:
        self.run.plan(event["stats"])
        self.run.began = self.clock()
        if not self.dry_run:
            self._say(self._counts("to run", ""))
            self.ticker.start()

    def _started(self, event: dict[str, Any]) -> None:
        rule, wildcards = event["rule_name"], event["wildcards"] or {}
        if self.dry_run:
            if rule in self.run.planned and "rules" not in self.quiet:
                name = job_name(rule, wildcards)
                self._say(f"would run  {name}: {short_reason(event['reason'])}")
            return
        logs = tuple(map(str, event["log"]))
        self.run.start(event["jobid"], started_job(rule, wildcards, self.clock(), logs))

    def _finished(self, event: dict[str, Any]) -> None:
        now = self.clock()
        done = self.run.finish(event["job_id"], now)
        if done is None or "progress" in self.quiet:
            return
        if self.run.total > MANY_JOBS and self.merging.add(done, now):
            return
        self._say(f"{self.run.place(now)} {done.words}")

    def _failed(self, event: dict[str, Any]) -> None:
        logs = [str(log).split(" (check log file")[0] for log in event["log"]]
        message = event["rule_msg"]
        line = self.run.fail(event["jobid"], event["rule_name"], logs, message)
        self._say(line, always=not self.as_snakemake)

    def _error(self, event: dict[str, Any]) -> None:
        self.broken = True
        text = str(event["msg"])
        if "CalledProcessError" in text or (
            (self.run.failed or self.run.stopped) and _SUMMED_UP in text
        ):
            return
        self._say(text, always=not self.as_snakemake)

    def _message(self, record: logging.LogRecord) -> None:
        text = record.getMessage() if record.msg else ""
        mild = record.levelno <= logging.INFO
        self.broken |= record.levelno >= logging.ERROR
        self.run.stopping |= text.startswith(_STOPPED_BY_HAND)
        if not text.strip() or (mild and is_chatter(text)) or text.startswith(_SAID_BY_SUMMARY):
            return
        if text.startswith("Nothing to be done"):
            text = "Nothing to be done: all that was asked for is there and up to date."
        self._say(text)

    def _counts(self, verb: str, before: str) -> str:
        """Return the numbers of jobs, by rule."""
        planned = self.run.planned
        if not planned:
            return before and f"{before}: nothing would run."
        counted = ", ".join(f"{n} {rule.replace('_', ' ')}" for rule, n in planned.items())
        jobs = "1 job" if planned.total() == 1 else f"{planned.total()} jobs"
        return f"{before}{': ' if before else ''}{jobs} {verb}: {counted}"

    def _tick(self) -> None:
        now = self.clock()
        for line in self.merging.due(now):
            self._say(f"{self.run.place(now)} {line}")
        running = self.run.now_running(now)
        if running:
            self.screen.status(self.run.place(now), running, now)

    def _say(self, text: str, always: bool = False) -> None:
        if text and (always or not (self.as_snakemake or "all" in self.quiet)):
            self.screen.say(text, self.clock())


class Ticker:
    """Calls a function each second in a thread of its own, until it is stopped."""

    def __init__(self, work: Callable[[], None], seconds: float = 1.0) -> None:
        self.work, self.seconds = work, seconds
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; a ticker that runs already goes on."""
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, daemon=True)
            self.thread.start()

    def stop(self) -> None:
        """End, and wait for a call that is under way."""
        self.ended.set()
        if self.thread is not None:
            self.thread.join()

    def _run(self) -> None:
        while not self.ended.wait(self.seconds):
            self.work()


def quiet_about(handler: LogHandler) -> Iterable[object]:
    """Return what `--quiet` names."""
    return handler.common_settings.quiet or ()


def is_chatter(text: str) -> bool:
    """Tell whether a message of Snakemake says nothing to the person who watches."""
    start = text.lstrip()
    return start.startswith(CHATTER) or _SUBMITTED in text or "jobs have " in start[:40]


def short_reason(reason: str) -> str:
    """Return why Snakemake would run a job, without lists of files and values."""
    for start, words in _SHORT_REASONS:
        if reason.startswith(start):
            return words
    return textwrap.shorten(reason, 80, placeholder=" ...") if reason else "it was asked for"
