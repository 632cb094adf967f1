"""The console of a run: events in, lines out."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from snakemake_logger_plugin_mammoshift.handler import LogHandler, is_chatter, short_reason
from snakemake_logger_plugin_mammoshift.job import (
    RunningJob,
    cause,
    duration,
    job_name,
    last_progress,
    tail,
)
from snakemake_logger_plugin_mammoshift.merging import (
    HELD_SECONDS,
    MANY_JOBS,
    SHORT_SECONDS,
    Finished,
    merged,
)
from snakemake_logger_plugin_mammoshift.run import Run
from snakemake_logger_plugin_mammoshift.screen import QUIET_SECONDS, WIDEST, Screen
from snakemake_logger_plugin_mammoshift.settings import LogHandlerSettings


@dataclass
class Settings:
    """What Snakemake hands to a handler."""

    verbose: bool = False
    stdout: bool = True
    dryrun: bool = False
    quiet: tuple[str, ...] = ()


class Console:
    """A handler with a clock of its own, whose lines are kept."""

    def __init__(self, **settings: Any) -> None:
        self.handler = LogHandler(Settings(**settings), LogHandlerSettings())  # pyright: ignore
        self.stream = io.StringIO()
        self.handler.screen = Screen(self.stream)
        self.now = 100.0
        self.handler.clock = lambda: self.now
        self.handler.run.began = self.now

    def event(self, event: LogEvent | None, message: str | None = None, **fields: Any) -> None:
        record = logging.LogRecord("snakemake", logging.INFO, "", 0, message, None, None)
        record.__dict__.update(fields, event=event)
        self.handler.handle(record)

    def plan(self, **stats: int) -> None:
        self.event(LogEvent.RUN_INFO, "Job stats", stats={**stats, "all": 1, "total": 9})

    def start(self, number: int, rule: str, log: str = "none.log", **wildcards: str) -> None:
        fields = {"rule_name": rule, "wildcards": wildcards, "log": [log], "reason": "Forced"}
        self.event(LogEvent.JOB_INFO, f"rule {rule}", jobid=number, **fields)

    def finish(self, number: int, seconds: float) -> None:
        self.now += seconds
        self.event(LogEvent.JOB_FINISHED, "Finished", job_id=number)

    def fail(self, number: int, rule: str, log: str, message: str | None = None) -> None:
        fields = {"rule_name": rule, "rule_msg": message, "log": [log]}
        self.event(LogEvent.JOB_ERROR, f"Error in rule {rule}", jobid=number, **fields)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def console(request: pytest.FixtureRequest) -> Console:
    made = Console()
    request.addfinalizer(made.handler.ticker.stop)
    return made


def test_snakemake_finds_it_by_its_name() -> None:
    plugin = LoggerPluginRegistry().get_plugin("mammoshift")
    assert plugin.settings_cls is LogHandlerSettings
    assert plugin.get_envvar("text") == "SNAKEMAKE_LOGGER_MAMMOSHIFT_TEXT"


def test_a_line_for_each_job_and_one_at_the_end(console: Console) -> None:
    console.plan(train_arm=2, report_study=1)
    console.start(1, "train_arm", study="s", arm="resnet", seed="0", fold="0")
    console.start(2, "train_arm", study="s", arm="resnet", seed="1", fold="0")
    console.finish(1, 20)
    console.finish(2, 10)
    console.start(3, "report_study", study="s")
    console.finish(3, 30)
    console.start(4, "all")
    console.finish(4, 0)
    console.handler.close()
    console.handler.close()
    assert console.lines == [
        "3 jobs to run: 2 train arm, 1 report study",
        "[1 of 3, at least 11 s left] train arm: resnet, seed 0, fold 0 (s): 20 s",
        "[2 of 3, at least 15 s left] train arm: resnet, seed 1, fold 0 (s): 30 s",
        "[3 of 3] report study (s): 30 s",
        "All 3 jobs are done, in 60 s.",
    ]


def test_short_jobs_of_a_large_run_share_a_line(console: Console) -> None:
    console.plan(train_arm=1, score_arm=4, write_card=MANY_JOBS)
    for number, arm in enumerate(("resnet", "resnet", "efficientnet")):
        console.start(number, "score_arm", study="s", arm=arm, domain="cmmd")
    console.start(3, "score_arm", study="t", arm="resnet", domain="cmmd")
    console.start(4, "train_arm", study="s", arm="resnet", seed="0", fold="0")
    for number in range(4):
        console.finish(number, 1)
    console.finish(4, SHORT_SECONDS + 8)
    assert len(console.lines) == 2
    assert console.lines[1].endswith("train arm: resnet, seed 0, fold 0 (s): 24 s")
    console.now += HELD_SECONDS
    console.handler._tick()
    assert [line.partition("] ")[2] for line in console.lines[2:]] == [
        "score arm: 3 jobs, of resnet, efficientnet (s): 6 s",
        "score arm: resnet, cmmd (t): 4 s",
    ]
    assert all(line.startswith("[5 of 125") for line in console.lines[1:])


def test_what_is_held_is_said_when_a_run_ends_and_a_failure_at_once(console: Console) -> None:
    console.plan(write_card=MANY_JOBS + 1)
    console.start(0, "write_card", study="s", arm="a")
    console.start(1, "write_card", study="s", arm="b")
    console.finish(0, 1)
    console.fail(1, "write_card", "gone.log", "no threshold")
    assert console.lines[1:] == ["FAILED write card: b (s): no threshold"]
    console.handler.close()
    assert console.lines[2] == f"[1 of {MANY_JOBS + 1}, 2 min left] write card: a (s): 1 s"
    assert console.lines[3].startswith(f"1 of {MANY_JOBS + 1} jobs failed, 1 is done")


def test_a_line_for_many_jobs_has_room_on_the_screen() -> None:
    job = RunningJob("train arm: x", "train_arm", 0.0, (), "x", "s" * 40)
    jobs = [Finished(replace(job, subject=f"arm_number_{n}"), 5.0) for n in range(30)]
    line = merged(jobs)
    assert "arm_number_0, arm_number_1" in line
    assert " more (sss" in line
    assert len(line) <= WIDEST - 30


def test_a_failure_is_said_at_once_and_summed_up_at_the_end(
    console: Console, tmp_path: Path
) -> None:
    log = tmp_path / "train_arm.log"
    log.write_text("epoch 1 of 2\nError: the loss is nan\nin epoch 2\n" + "=" * 80 + "\n")
    console.plan(train_arm=2, score_arm=5)
    console.start(1, "train_arm", arm="a")
    console.start(2, "train_arm", arm="b")
    console.finish(2, 5)
    console.event(LogEvent.ERROR, "RuleException:\nCalledProcessError in file x: bash said 1")
    console.fail(1, "train_arm", f"{log} (check log file(s) for error details)")
    console.event(None, "Exiting because a job execution failed. Look above for error messages")
    console.event(LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.")
    console.handler.close()
    assert console.lines[2:] == [
        "FAILED train arm: a: the loss is nan",
        "1 of 7 jobs failed, 1 is done; 5 were not run, for want of what failed.",
        "  train arm: a: the loss is nan",
        "    in epoch 2",
        f"    log: {log}",
        "Mend what the message names and give the same command again: what is done stays done.",
    ]


def test_jobs_that_a_person_stopped_did_not_fail(console: Console, tmp_path: Path) -> None:
    saved, broken, early = (tmp_path / name for name in ("saved.log", "broken.log", "early.log"))
    said = "Error: arm a: stopped by signal 2 after step 17; its state is saved, and the next"
    saved.write_text(said, encoding="utf-8")
    early.write_text("Traceback (most recent call last):\n  x\nKeyboardInterrupt\n", "utf-8")
    broken.write_text("half a line", encoding="utf-8")
    console.plan(ingest_dataset=1, train_arm=2, score_arm=4)
    console.start(1, "ingest_dataset", dataset="mias")
    console.finish(1, 8)
    for number, log in enumerate((early, saved, broken), 2):
        console.start(number, "train_arm", str(log), study="s", arm="resnet", seed=str(number))
    console.fail(2, "train_arm", str(early))
    console.event(None, "Terminating processes on user request, this might take some time.")
    console.fail(3, "train_arm", str(saved))
    console.fail(4, "train_arm", str(broken))
    console.event(LogEvent.ERROR, "x", msg="At least one job did not complete successfully.")
    console.handler.close()
    assert console.lines[-6:] == [
        "stopped train arm: resnet, seed 2 (s)",
        "Terminating processes on user request, this might take some time.",
        "stopped train arm: resnet, seed 3 (s): its state is saved",
        "stopped train arm: resnet, seed 4 (s)",
        "Stopped by you: 1 of 7 jobs are done, 3 were running.",
        "Give the same command again: what is done stays done, and a training goes on from where "
        "it was.",
    ]


def test_what_failed_before_a_person_stopped_the_run_has_failed(
    console: Console, tmp_path: Path
) -> None:
    log = tmp_path / "one.log"
    log.write_text("Error: no such file", encoding="utf-8")
    console.plan(train_arm=3)
    for number in (1, 2):
        console.start(number, "train_arm", str(log), study="s", arm="resnet", seed=str(number))
    console.fail(1, "train_arm", str(log))
    console.event(None, "Terminating processes on user request, this might take some time.")
    console.fail(2, "train_arm", "none.log")
    console.handler.close()
    assert (
        "1 of 3 jobs failed, 0 are done; 1 was not run, for want of what failed." in console.lines
    )


def test_a_job_that_is_started_again_did_not_fail(console: Console) -> None:
    console.plan(train_arm=1)
    console.start(1, "train_arm", arm="a")
    console.fail(1, "train_arm", "gone.log", "SLURM status is: 'TIMEOUT'")
    assert console.lines[-1] == "FAILED train arm: a: SLURM status is: 'TIMEOUT'"
    console.start(1, "train_arm", arm="a")
    console.finish(1, 5)
    console.handler.close()
    assert console.lines[-1] == "The 1 job is done, in 5 s."


def test_many_failures_stay_within_fifteen_lines(console: Console, tmp_path: Path) -> None:
    console.plan(score_arm=40)
    for number in range(40):
        log = tmp_path / f"{number}.log"
        log.write_text("a\nb\nc\nd\ne\n", encoding="utf-8")
        console.start(number, "score_arm", arm=f"a{number}")
        console.fail(number, "score_arm", str(log))
    console.handler.close()
    last = console.lines[-15:]
    assert "40 of 40 jobs failed, 0 are done." in last
    assert "  and 37 more, named above" in last
    assert sum("log: " in line for line in last) == 3


def test_a_dry_run_lists_jobs_and_not_their_files() -> None:
    console = Console(dryrun=True)
    console.plan(score_arm=1)
    console.event(
        LogEvent.JOB_INFO, "rule score_arm", jobid=1, rule_name="score_arm", log=[],
        wildcards={"arm": "a"}, reason="Missing output files: " + "x/y.parquet, " * 500,
    )  # fmt: skip
    console.event(None, "This was a dry-run (flag -n). The order of jobs does not")
    console.handler.close()
    assert console.lines == [
        "would run score arm: a: its output is not there",
        "This was a dry run: 1 job would run: 1 score arm",
    ]


def test_a_dry_run_that_fails_does_not_say_that_nothing_would_run() -> None:
    console = Console(dryrun=True)
    console.event(LogEvent.ERROR, "WorkflowError: study.yaml: seeds: this key is required")
    console.handler.close()
    assert "nothing would run" not in " ".join(console.lines)
    assert console.lines[-1] == "Nothing was planned: see the error above."


def test_messages_that_matter_are_kept_and_no_line_is_too_wide(console: Console) -> None:
    console.event(None, "Building DAG of jobs...")
    console.event(None, "Job 3 has been submitted with SLURM jobid 7 (log: x).")
    console.event(None, "Nothing to be done (all requested files are present and up to date).")
    console.event(LogEvent.ERROR, "WorkflowError:\n" + "word " * 100 + "\x1b[31mred\rback")
    assert console.lines[0].startswith("Nothing to be done: all that was asked for")
    assert "\x1b" not in console.stream.getvalue()
    assert max(map(len, console.lines)) <= WIDEST
    assert sum(line.count("word") for line in console.lines) == 100
    assert is_chatter("Removing output files of failed job train_arm since they")


def test_what_runs_is_a_line_where_there_is_no_terminal(tmp_path: Path) -> None:
    log = tmp_path / "train_arm.log"
    stream = io.StringIO()
    screen, run = Screen(stream), Run(0.0)
    run.plan({"train_arm": 1})
    run.start(1, RunningJob("train arm: a", "train_arm", 0.0, (str(log),)))
    log.write_text("epoch 1 of 14, stage 1: loss 0.5, 81.2 images/s\n", encoding="utf-8")
    running = run.now_running(10.0)
    screen.status(run.place(10.0), running, 10.0)
    assert stream.getvalue() == ""
    with log.open("a", encoding="utf-8") as more:
        more.write("epoch 5 of 14, stage 1: loss 0.4, 85.0 images/s\n")
    now = QUIET_SECONDS + 0.5
    running = run.now_running(now)
    screen.status(run.place(now), running, now)
    assert stream.getvalue() == (
        "[0 of 1, 2 min left] now: epoch 5 of 14, 85.0 images/s, 2 min left: train arm: a\n"
    )


def test_the_time_left_is_no_shorter_than_that_of_a_job_that_runs(tmp_path: Path) -> None:
    log = tmp_path / "train_arm.log"
    log.write_text("epoch 1 of 20, stage 1: loss 0.5\n", encoding="utf-8")
    run = Run(0.0)
    run.plan({"make_cases": 1, "train_arm": 2, "report_study": 1})
    run.start(1, RunningJob("make cases", "make_cases", 0.0, ()))
    run.finish(1, 2.0)
    run.start(2, RunningJob("train arm: a", "train_arm", 2.0, (str(log),)))
    assert run.place(12.0) == "[1 of 4, at least 4 s left]"
    # The first epoch holds the start of the training; it is the second that tells.
    assert run.now_running(12.0) == ["epoch 1 of 20: train arm: a"]
    assert run.place(12.0) == "[1 of 4, at least 4 s left]"
    log.write_text("epoch 2 of 20, stage 1: loss 0.5\n", encoding="utf-8")
    assert run.now_running(22.0) == ["epoch 2 of 20, 3 min left: train arm: a"]
    # 180 s of this training, 200 s of the next, and a job of which nothing is known.
    assert run.place(22.0) == "[1 of 4, at least 8 min left]"


def test_a_narrow_terminal_shows_how_far_a_job_with_a_long_name_is(tmp_path: Path) -> None:
    log = tmp_path / "train_arm.log"
    log.write_text("epoch 6 of 14, stage 1: loss 0.5, 85.0 images/s\n", encoding="utf-8")
    run = Run(0.0)
    run.plan({"train_arm": 12})
    name = job_name("train_arm", {"arm": "resnet" * 9, "seed": "0", "study": "hospitals"})
    run.start(1, RunningJob(name, "train_arm", 0.0, (str(log),)))
    line = f"{run.place(20.0)} now: {run.now_running(20.0)[0]}"
    assert line[:60].startswith("[0 of 12] now: epoch 6 of 14, 85.0 images/s: train arm")


def test_the_one_job_that_was_stopped_was_running() -> None:
    run = Run(0.0, stopped=["train arm: a"])
    assert run.summary(1.0)[0] == "Stopped by you: 0 of 0 jobs are done, 1 was running."


def test_a_terminal_has_one_line_that_is_overwritten() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    screen = Screen(stream)
    screen.status("[0 of 1]", ["preprocess"], 0.0)
    screen.say("done", 1.0)
    assert stream.getvalue() == "\r\x1b[K[0 of 1] now: preprocess\r\x1b[Kdone\n"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (["x", "Error: no such file", "in row 3", "====", ""], ["no such file", "in row 3"]),
        (
            ["Traceback (most recent call last):", '  File "a"', "ValueError: bad", "  note"],
            ["ValueError: bad"],
        ),
        (["one", "two", "three", "four"], ["two", "three", "four"]),
        ([], []),
    ],
)
def test_the_cause_is_what_a_log_ends_with(log: list[str], expected: list[str]) -> None:
    assert cause(log) == expected


def test_names_times_and_counts() -> None:
    wildcards = {"dataset": "mias", "input": "192x128_none_b6e918fa", "bundle": "3"}
    assert job_name("preprocess_bundle", wildcards) == (
        "preprocess bundle: mias, 192x128_none, bundle 3"
    )
    assert [duration(s) for s in (8.4, 100, 6000)] == ["8 s", "2 min", "1.7 h"]
    found = last_progress(["512 of 2560 images", "shards/0: 256 images stored"])
    assert found is not None
    assert found.words(None) == "512 of 2560 images"
    assert short_reason("Params have changed since last execution: " + "y" * 999) == (
        "its settings or its code changed"
    )


def test_the_tail_of_a_long_log_has_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_text("\n".join(f"line {n}" for n in range(5000)), encoding="utf-8")
    lines = tail([str(tmp_path / "absent"), str(log)])
    assert lines[-1] == "line 4999"
    assert all(line.startswith("line ") for line in lines)


def test_the_text_of_snakemake_is_left_as_it_is() -> None:
    console = Console(verbose=True)
    assert not console.handler.has_filter
    assert not console.handler.has_formatter
    console.event(None, "Building DAG of jobs...")
    assert console.lines == ["Building DAG of jobs..."]
