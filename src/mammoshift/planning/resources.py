"""What a run asked for, used and waited for, by rule and by start of a job.

The database of a SLURM site knows each start of a job, those that failed or were requeued
included. Without one, what is known of the jobs that succeeded is read from Snakemake's log and
from the benchmark files that rules write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from statistics import median

from mammoshift.planning.resources_text import Accounted, Asked, Benchmark, RunLog

COMPLETED = "COMPLETED"


@dataclass(frozen=True)
class JobStart:
    """One start of a job: a row of the table that is written.

    Attributes
    ----------
    rule, wildcards, slurm_id
        Which job; `slurm_id` is empty for one that ran on the submitting machine.
    state
        SLURM's word for its end.
    asked_cpus, asked_gpus, asked_memory_mb, asked_minutes
        None where nothing was asked.
    waited_seconds, seconds, cpu_seconds
        In the queue, running, and of CPUs; None where unknown.
    peak_memory_mb
        None where unknown.
    gpu_hours
        GPUs times hours, whether they were busy or not; None where the time is unknown.
    """

    rule: str
    wildcards: str
    slurm_id: str
    state: str
    asked_cpus: int
    asked_gpus: int
    asked_memory_mb: float | None
    asked_minutes: float | None
    waited_seconds: float | None
    seconds: float | None
    cpu_seconds: float | None
    peak_memory_mb: float | None
    gpu_hours: float | None


COLUMNS = tuple(field.name for field in fields(JobStart))


@dataclass(frozen=True)
class RuleResources:
    """All starts of one rule's jobs together; None where nothing is known.

    Attributes
    ----------
    jobs, starts, lost
        Jobs, how often they were started, and how many starts did not complete.
    cpus, gpus, memory_mb, minutes
        The most that one start asked for.
    peak_memory_mb, longest_seconds, longest_wait
        The most that one start used.
    busy_cpus
        CPU time over running time, of those starts of which both are known.
    median_wait
        Seconds.
    hours, gpu_hours, lost_gpu_hours
        Sums; `lost_gpu_hours` is the part of `gpu_hours` in starts that did not complete.
    """

    rule: str
    jobs: int
    starts: int
    lost: int
    cpus: int
    gpus: int
    memory_mb: float | None
    minutes: float | None
    peak_memory_mb: float | None
    longest_seconds: float | None
    busy_cpus: float | None
    median_wait: float | None
    longest_wait: float | None
    hours: float
    gpu_hours: float
    lost_gpu_hours: float


def job_starts(
    log: RunLog, accounted: Sequence[Accounted], benchmarks: Mapping[str, Benchmark]
) -> list[JobStart]:
    """Return one row for each start of a job of which something is known.

    Parameters
    ----------
    log
        Of the run.
    accounted
        What `sacct` knows of its jobs, empty without an accounting database; jobs of other runs
        are left out.
    benchmarks
        Path as in the log -> content.
    """
    from_database = [
        _from_database(log.submitted[start.job_id], start, benchmarks)
        for start in accounted
        if start.job_id in log.submitted
    ]
    slurm_ids = {asked: job for job, asked in log.submitted.items()}
    known = {start.job_id for start in accounted}
    from_log = [
        _from_log(asked, slurm_ids.get(asked, ""), noticed, benchmarks)
        for asked, noticed in log.finished.items()
        if slurm_ids.get(asked) not in known
    ]
    return from_database + from_log


def _from_database(asked: Asked, start: Accounted, benchmarks: Mapping[str, Benchmark]) -> JobStart:
    # A benchmark is of the start that succeeded.
    measured = benchmarks.get(asked.benchmark or "") if start.state == COMPLETED else None
    gpus = asked.gpus if start.gpus is None else start.gpus
    return JobStart(
        rule=asked.rule,
        wildcards=asked.wildcards,
        slurm_id=start.job_id,
        state=start.state,
        asked_cpus=start.cpus or asked.cpus,
        asked_gpus=gpus,
        asked_memory_mb=asked.memory_mb,
        asked_minutes=asked.minutes,
        waited_seconds=start.waited_seconds,
        seconds=start.seconds,
        cpu_seconds=start.cpu_seconds or (measured.cpu_seconds if measured else None),
        peak_memory_mb=start.peak_mb or (measured.peak_mb if measured else None),
        gpu_hours=gpus * start.seconds / 3600,
    )


def _from_log(
    asked: Asked, slurm_id: str, noticed: datetime | None, benchmarks: Mapping[str, Benchmark]
) -> JobStart:
    measured = benchmarks.get(asked.benchmark or "")
    seconds = measured.seconds if measured else None
    between = (noticed - asked.started).total_seconds() if noticed and asked.started else None
    if seconds is None and not slurm_id:
        seconds = between
    waited = max(0.0, between - seconds) if slurm_id and between and seconds else None
    return JobStart(
        rule=asked.rule,
        wildcards=asked.wildcards,
        slurm_id=slurm_id,
        state=COMPLETED,
        asked_cpus=asked.cpus,
        asked_gpus=asked.gpus,
        asked_memory_mb=asked.memory_mb,
        asked_minutes=asked.minutes,
        waited_seconds=waited,
        seconds=seconds,
        cpu_seconds=measured.cpu_seconds if measured else None,
        peak_memory_mb=measured.peak_mb if measured else None,
        gpu_hours=None if seconds is None else asked.gpus * seconds / 3600,
    )


def by_rule(starts: Sequence[JobStart]) -> list[RuleResources]:
    """Return the starts of each rule together, in the order in which the rules first appear."""
    rules = dict.fromkeys(start.rule for start in starts)
    return [_together(rule, [start for start in starts if start.rule == rule]) for rule in rules]


def _together(rule: str, starts: Sequence[JobStart]) -> RuleResources:
    waits = [start.waited_seconds for start in starts if start.waited_seconds is not None]
    timed = [(s.cpu_seconds, s.seconds) for s in starts if s.cpu_seconds and s.seconds]
    lost = [start for start in starts if start.state != COMPLETED]
    return RuleResources(
        rule=rule,
        jobs=len({start.wildcards for start in starts}),
        starts=len(starts),
        lost=len(lost),
        cpus=max(start.asked_cpus for start in starts),
        gpus=max(start.asked_gpus for start in starts),
        memory_mb=_most(start.asked_memory_mb for start in starts),
        minutes=_most(start.asked_minutes for start in starts),
        peak_memory_mb=_most(start.peak_memory_mb for start in starts),
        longest_seconds=_most(start.seconds for start in starts),
        busy_cpus=sum(cpu for cpu, _ in timed) / sum(wall for _, wall in timed) if timed else None,
        median_wait=median(waits) if waits else None,
        longest_wait=max(waits, default=None),
        hours=sum(start.seconds or 0.0 for start in starts) / 3600,
        gpu_hours=sum(start.gpu_hours or 0.0 for start in starts),
        lost_gpu_hours=sum(start.gpu_hours or 0.0 for start in lost),
    )


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
