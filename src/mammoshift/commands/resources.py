"""`mammoshift resources`: what a run asked for, used and waited for."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from dataclasses import astuple
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.text_tables import number, print_notes, print_table, result_console
from mammoshift.errors import TableError
from mammoshift.files import write_text_atomically
from mammoshift.planning.resources import COLUMNS, JobStart, RuleResources, by_rule, job_starts
from mammoshift.planning.resources_text import (
    SACCT_FIELDS,
    Accounted,
    Benchmark,
    RunLog,
    parse_accounting,
    parse_benchmark,
    parse_run_log,
)

LOGS = Path(".snakemake") / "log"
ASKED = (
    "rule", "jobs", "starts", "lost", "CPUs", "busy", "GiB", "peak", "hours", "longest",
)  # fmt: skip
TIMES = ("rule", "wait, min", "longest", "hours", "GPUs", "GPU-hours", "of them lost")


def resources(
    log: Annotated[
        Path | None, typer.Argument(help="A log in .snakemake/log; the newest if none is given.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder in which Snakemake ran.")] = Path(),
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write each start of a job to this file.")
    ] = None,
) -> None:
    """Print what a run's jobs asked for, used and waited for, and its GPU-hours."""
    path = log or _newest_log(folder)
    run = _read_log(path)
    accounted, note = _accounting(run)
    starts = job_starts(run, accounted, _benchmarks(run, folder))
    if not starts:
        raise TableError(f"{path}: no job of this run has ended; give the log of another run")
    console = result_console()
    summary = by_rule(starts)
    print_table(console, "Asked for, and used at most", ASKED, [_asked(r) for r in summary])
    print_table(console, "Median wait, and sums of hours", TIMES, [_times(r) for r in summary])
    total = sum(rule.gpu_hours for rule in summary)
    lost = sum(rule.lost_gpu_hours for rule in summary)
    console.print(f"GPU-hours: {total:.2f}, of which {lost:.2f} in starts that did not complete.")
    print_notes(console, [note])
    if table is not None:
        _write(starts, table)


def _newest_log(folder: Path) -> Path:
    logs = sorted((folder / LOGS).glob("*.snakemake.log"))
    if not logs:
        raise TableError(
            f"{folder / LOGS}: there is no log of Snakemake; run this where Snakemake ran, or "
            "name that folder with --folder"
        )
    return logs[-1]


def _read_log(path: Path) -> RunLog:
    try:
        return parse_run_log(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror})") from error


def _benchmarks(run: RunLog, folder: Path) -> dict[str, Benchmark]:
    """Return the benchmark files that the run's jobs name, those that exist."""
    names = {asked.benchmark for asked in (*run.submitted.values(), *run.finished)}
    found = {}
    for name in filter(None, names):
        path = folder / name
        if path.is_file() and (measured := parse_benchmark(path.read_text(encoding="utf-8"))):
            found[name] = measured
    return found


def _accounting(run: RunLog) -> tuple[list[Accounted], str]:
    """Return what the accounting database knows of a run, or a note on why it knows nothing."""
    if run.slurm_name is None:
        return [], "Not a run on SLURM: times are those of the log and of the benchmark files"
    without = (
        "{}: only jobs that succeeded are listed, with the times of the benchmark files; the wait "
        "includes the time until Snakemake noticed the end"
    )
    if shutil.which("sacct") is None:
        return [], without.format("There is no `sacct` here")
    begin = min((a.started for a in run.submitted.values() if a.started), default=datetime.now())
    done = subprocess.run(
        ["sacct", "--duplicates", "--parsable2", "--noheader", f"--name={run.slurm_name}",
         f"--starttime={begin - timedelta(days=1):%Y-%m-%dT%H:%M}",
         f"--format={','.join(SACCT_FIELDS)}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        return [], without.format(f"`sacct` says: {done.stderr.strip()}")
    return parse_accounting(done.stdout), ""


def _asked(rule: RuleResources) -> list[str | None]:
    return [
        rule.rule,
        str(rule.jobs),
        str(rule.starts),
        str(rule.lost),
        str(rule.cpus),
        number(rule.busy_cpus, 1),
        number(_scaled(rule.memory_mb, 1024), 1),
        number(_scaled(rule.peak_memory_mb, 1024), 1),
        number(_scaled(rule.minutes, 60), 1),
        number(_scaled(rule.longest_seconds, 3600), 2),
    ]


def _times(rule: RuleResources) -> list[str | None]:
    return [
        rule.rule,
        number(_scaled(rule.median_wait, 60), 1),
        number(_scaled(rule.longest_wait, 60), 1),
        number(rule.hours, 2),
        str(rule.gpus),
        number(rule.gpu_hours, 2),
        number(rule.lost_gpu_hours, 2),
    ]


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _write(starts: list[JobStart], path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(start) for start in starts)
    try:
        write_text_atomically(path, text.getvalue())
    except OSError as error:
        raise TableError(
            f"{path}: cannot be written ({error.strerror}); give --csv another file"
        ) from error
