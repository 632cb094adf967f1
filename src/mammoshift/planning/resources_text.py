"""Reading what a run leaves behind of its resources: Snakemake's log, benchmarks, `sacct`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

SACCT_FIELDS = (
    "JobIDRaw",
    "State",
    "Submit",
    "Start",
    "ElapsedRaw",
    "TotalCPU",
    "MaxRSS",
    "AllocTRES",
)
"""What `parse_accounting` expects, in this order, from `sacct --duplicates --parsable2`."""

_TIME = re.compile(r"^\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]$")
_JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (?P<rule>\S+):$")
_FIELD = re.compile(r"^    (?P<name>\w+): (?P<value>.*)$")
_RUN = re.compile(r"^SLURM run ID: (?P<run>\S+)$")
_PROVIDED = re.compile(r"^Provided resources: (?:.*, )?gpu=[1-9]")
_SUBMITTED = re.compile(r"^Job (?P<job>\d+) has been submitted with SLURM jobid (?P<slurm>\w+)")
_FINISHED = re.compile(r"^Finished jobid: (?P<job>\d+)\b")
_MEGABYTES = {"": 2**-20, "K": 2**-10, "M": 1.0, "G": 2.0**10, "T": 2.0**20}


@dataclass(frozen=True)
class Asked:
    """What one job of a run asked for.

    Attributes
    ----------
    number, rule, wildcards
        Which job it is; `number` is Snakemake's, `wildcards` as it prints them: `arm=a, seed=0`.
    cpus, gpus
        Numbers of them; GPUs of a local run without any count as none.
    memory_mb, minutes
        None where the rule has no such resource.
    benchmark
        Path of the file in which Snakemake notes what the job used.
    started
        When Snakemake started or submitted it.
    """

    number: int
    rule: str
    wildcards: str
    cpus: int
    gpus: int
    memory_mb: float | None
    minutes: float | None
    benchmark: str | None
    started: datetime | None


@dataclass(frozen=True)
class RunLog:
    """A run of Snakemake as its log has it.

    Attributes
    ----------
    slurm_name
        The name of all its SLURM jobs, None for a local run.
    submitted
        SLURM's job id -> what that submission asked for.
    finished
        What each job that succeeded had asked for -> when Snakemake noticed.
    """

    slurm_name: str | None
    submitted: Mapping[str, Asked]
    finished: Mapping[Asked, datetime | None]


@dataclass(frozen=True)
class Benchmark:
    """What Snakemake measured of one job: wall and CPU seconds, largest resident memory in MB."""

    seconds: float
    cpu_seconds: float | None
    peak_mb: float | None


@dataclass(frozen=True)
class Accounted:
    """One start of a SLURM job; a job that was requeued has several.

    Attributes
    ----------
    job_id, state
        As `sacct` prints them.
    waited_seconds
        From submission or requeueing to the start, None for one that never started.
    seconds, cpu_seconds
        Wall and CPU time; CPU time is None where the site does not gather it.
    peak_mb
        Largest resident memory of a step, None where the site does not gather it.
    cpus, gpus
        As allocated, None where the database does not count them.
    """

    job_id: str
    state: str
    waited_seconds: float | None
    seconds: float
    cpu_seconds: float | None
    peak_mb: float | None
    cpus: int | None
    gpus: int | None


def parse_run_log(text: str) -> RunLog:
    """Return what a log in `.snakemake/log` says of its jobs; other lines are passed over."""
    name, time, rule, has_gpus = None, None, None, False
    fields: dict[str, str] = {}
    current: dict[int, Asked] = {}
    submitted: dict[str, Asked] = {}
    finished: dict[Asked, datetime | None] = {}
    for line in text.splitlines():
        if match := _FIELD.match(line):
            fields[match["name"]] = match["value"]
            if rule and match["name"] == "resources" and fields.get("jobid", "").isdigit():
                current[int(fields["jobid"])] = _asked(rule, fields, time, has_gpus)
        elif match := _JOB.match(line):
            rule, fields = match["rule"], {}
        elif match := _TIME.match(line):
            time = datetime.strptime(match[1], "%a %b %d %H:%M:%S %Y")
        elif match := _RUN.match(line):
            name, has_gpus = match["run"], True
        elif _PROVIDED.match(line):
            has_gpus = True
        elif (match := _SUBMITTED.match(line)) and int(match["job"]) in current:
            submitted[match["slurm"]] = current[int(match["job"])]
        elif (match := _FINISHED.match(line)) and int(match["job"]) in current:
            finished[current[int(match["job"])]] = time
    return RunLog(name, submitted, finished)


def _asked(rule: str, fields: Mapping[str, str], started: datetime | None, has_gpus: bool) -> Asked:
    resources = dict(item.split("=", 1) for item in fields["resources"].split(", ") if "=" in item)
    threads = int(fields.get("threads", "1"))
    return Asked(
        number=int(fields["jobid"]),
        rule=rule,
        wildcards=fields.get("wildcards", ""),
        cpus=int(_number(resources.get("cpus_per_task")) or threads),
        gpus=int(_number(resources.get("gpu")) or 0) if has_gpus else 0,
        memory_mb=_number(resources.get("mem_mb")),
        minutes=_number(resources.get("runtime")),
        benchmark=fields.get("benchmark"),
        started=started,
    )


def _number(text: str | None) -> float | None:
    """Return a number as Snakemake prints it, None for `<TBD>`, `NA`, `-` and nothing."""
    return float(text) if text and re.fullmatch(r"-?\d+(\.\d+)?", text) else None


def parse_benchmark(text: str) -> Benchmark | None:
    """Return the last line of a Snakemake benchmark file, None for any other text."""
    lines = text.splitlines()
    if len(lines) < 2 or not lines[0].startswith("s\th:m:s\t"):
        return None
    row = dict(zip(lines[0].split("\t"), lines[-1].split("\t"), strict=False))
    seconds = _number(row.get("s"))
    if seconds is None:
        return None
    return Benchmark(seconds, _number(row.get("cpu_time")), _number(row.get("max_rss")))


def parse_accounting(text: str) -> list[Accounted]:
    """Return every start of every job, from `sacct` with `SACCT_FIELDS`.

    The lines of a job's steps follow that of the job; memory is known of steps alone.
    """
    starts: list[tuple[dict[str, str], list[dict[str, str]]]] = []
    for line in text.splitlines():
        row: dict[str, str] = dict(zip(SACCT_FIELDS, line.split("|"), strict=False))
        if "." not in row["JobIDRaw"]:
            starts.append((row, []))
        elif starts:
            starts[-1][1].append(row)
    return [_accounted(job, steps) for job, steps in starts if len(job) == len(SACCT_FIELDS)]


def _accounted(job: Mapping[str, str], steps: list[dict[str, str]]) -> Accounted:
    submit, start = _moment(job["Submit"]), _moment(job["Start"])
    peaks = [peak for step in steps if (peak := megabytes(step.get("MaxRSS", ""))) is not None]
    tres = dict(item.split("=", 1) for item in job["AllocTRES"].split(",") if "=" in item)
    return Accounted(
        job_id=job["JobIDRaw"],
        state=job["State"].split(" ", 1)[0].rstrip("+"),
        waited_seconds=(start - submit).total_seconds() if submit and start else None,
        seconds=_number(job["ElapsedRaw"]) or 0.0,
        cpu_seconds=duration(job["TotalCPU"]) or None,
        peak_mb=max(peaks, default=None),
        cpus=int(tres["cpu"]) if "cpu" in tres else None,
        gpus=_gpus(tres),
    )


def _gpus(tres: Mapping[str, str]) -> int | None:
    """Return the number of GPUs, counted once where the site lists each kind too."""
    if "gres/gpu" in tres:
        return int(tres["gres/gpu"])
    kinds = [int(count) for name, count in tres.items() if name.startswith("gres/gpu:")]
    return sum(kinds) if kinds else None


def _moment(text: str) -> datetime | None:
    """Return a time of `sacct`, None for `Unknown` and `None`."""
    return datetime.fromisoformat(text) if text[:1].isdigit() else None


def duration(text: str) -> float | None:
    """Return the seconds of `[days-[hours:]]minutes:seconds`, None for other text."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def megabytes(text: str) -> float | None:
    """Return MB (2^20 bytes) of `1234K`, `5.5G` or a bare number of bytes; None for other text."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    return float(match[1]) * _MEGABYTES[match[2]] if match else None
