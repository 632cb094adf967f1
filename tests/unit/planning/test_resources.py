"""What a run asked for, used and waited for, from the texts that it leaves behind."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mammoshift.commands.main import app
from mammoshift.planning.resources import JobStart, by_rule, job_starts
from mammoshift.planning.resources_text import (
    Benchmark,
    duration,
    megabytes,
    parse_accounting,
    parse_benchmark,
    parse_run_log,
)

TRAIN = """
[Sat Nov 21 {time} 2026]
rule train_arm:
    input: results/a.parquet, results/b.parquet
    output: results/s/resnet/seed-{seed}/model.safetensors
    jobid: {job}
    benchmark: results/s/resnet/seed-{seed}/train_arm.tsv
    reason: Missing output files: results/s/resnet/seed-{seed}/model.safetensors
    wildcards: study=s, arm=resnet, seed={seed}
    resources: tmpdir=<TBD>, mem_mb={memory}, mem=48 GB, runtime=720, gpu=1, cpus_per_task=8
"""
SLURM_LOG = (
    "Building DAG of jobs...\nSLURM run ID: mammoshift_12ab\nProvided remote nodes: 100\n"
    + TRAIN.format(time="17:00:00", job=3, seed=0, memory=48000)
    + "Auto-selected partition 'gpu' for job train_arm with score 0.859\n"
    + "Job 3 has been submitted with SLURM jobid 71 (log: logs/slurm/rule_train_arm/71.log).\n"
    + TRAIN.format(time="17:00:01", job=4, seed=1, memory=48000)
    + "Job 4 has been submitted with SLURM jobid 72 (log: logs/slurm/rule_train_arm/72.log).\n"
    + "[Sat Nov 21 18:00:00 2026]\nError in rule train_arm:\n    message: For further details\n"
    + "    jobid: 4\n    output: results/s/resnet/seed-1/model.safetensors\n"
    + "Trying to restart job 4.\n"
    + TRAIN.format(time="18:00:00", job=4, seed=1, memory=96000)
    + "Job 4 has been submitted with SLURM jobid 73 (log: logs/slurm/rule_train_arm/73.log).\n"
    + "[Sat Nov 21 19:00:00 2026]\nFinished jobid: 3 (Rule: train_arm)\n"
    + "[Sat Nov 21 20:00:00 2026]\nFinished jobid: 4 (Rule: train_arm)\n"
    + "[Sat Nov  1 20:00:00 2026]\nlocalrule report_study:\n    jobid: 1\n    threads: 2\n"
    + "    resources: tmpdir=/tmp\n[Sat Nov  1 20:00:09 2026]\nFinished jobid: 1 (Rule: report)\n"
)
# Job 71 was preempted after half an hour; 72 was cancelled before it started.
ACCOUNTING = """\
71|PREEMPTED|2026-11-21T17:00:00|2026-11-21T17:10:00|1800|00:00:00||billing=8,cpu=8,gres/gpu=1
71.batch|CANCELLED|2026-11-21T17:10:00|2026-11-21T17:10:00|1800|00:00:00|100K|cpu=8,gres/gpu=1
71|COMPLETED|2026-11-21T17:40:00|2026-11-21T17:42:00|3600|02:00:00||billing=8,cpu=8,gres/gpu=1
71.batch|COMPLETED|2026-11-21T17:42:00|2026-11-21T17:42:00|3600|00:00:02|5000K|cpu=8,gres/gpu=1
71.0|COMPLETED|2026-11-21T17:42:00|2026-11-21T17:42:00|3600|01:59:58|2048M|cpu=8,gres/gpu=1
72|CANCELLED by 1000|2026-11-21T17:00:01|None|0|00:00:00||
73|COMPLETED|2026-11-21T18:00:00|2026-11-21T18:30:00|5400|00:00:00||cpu=8,gres/gpu:a100=1
99|COMPLETED|2026-11-21T18:00:00|2026-11-21T18:30:00|5400|00:00:00||cpu=8,gres/gpu=1
"""
BENCHMARK = (
    "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    "5000.00\t1:23:20\t1024.50\t4981.90\t584.04\t697.19\t3.46\t75.71\t200.00\t10000.00\n"
)
LOCAL_LOG = (
    "Provided cores: 2\n{provided}"
    + TRAIN.format(time="17:00:00", job=3, seed=0, memory=48000).replace(
        "rule train", "localrule train"
    )
    + "[Sat Nov 21 17:30:00 2026]\nFinished jobid: 3 (Rule: train_arm)\n"
)


def _starts(log: str, accounting: str = "", **benchmarks: str) -> list[JobStart]:
    found = {
        f"results/s/resnet/{seed.replace('_', '-')}/train_arm.tsv": parse_benchmark(text)
        for seed, text in benchmarks.items()
    }
    measured = {name: value for name, value in found.items() if value is not None}
    return job_starts(parse_run_log(log), parse_accounting(accounting), measured)


def test_every_start_that_the_database_knows_is_a_row_and_other_runs_are_not() -> None:
    rows = _starts(SLURM_LOG, ACCOUNTING)
    assert [(row.slurm_id, row.state) for row in rows] == [
        ("71", "PREEMPTED"),
        ("71", "COMPLETED"),
        ("72", "CANCELLED"),
        ("73", "COMPLETED"),
        ("", "COMPLETED"),
    ]
    assert [row.waited_seconds for row in rows] == [600, 120, None, 1800, None]
    assert [row.gpu_hours for row in rows] == [0.5, 1.0, 0.0, 1.5, 0.0]
    assert rows[1].peak_memory_mb == 2048
    assert rows[1].cpu_seconds == 7200
    # What a repeated job asked for is what that attempt asked for.
    assert [row.asked_memory_mb for row in rows[:4]] == [48000, 48000, 48000, 96000]
    assert [row.wildcards.rsplit(", ", 1)[1] for row in rows[:4]] == ["seed=0"] * 2 + ["seed=1"] * 2
    # The report was made on the submitting machine.
    assert (rows[4].rule, rows[4].asked_cpus, rows[4].seconds) == ("report_study", 2, 9)


def test_a_rule_is_summed_up_with_what_was_lost() -> None:
    train, report = by_rule(_starts(SLURM_LOG, ACCOUNTING))
    assert (train.rule, train.jobs, train.starts, train.lost) == ("train_arm", 2, 4, 2)
    assert (train.cpus, train.gpus, train.memory_mb, train.minutes) == (8, 1, 96000, 720)
    assert (train.gpu_hours, train.lost_gpu_hours, train.hours) == (3.0, 0.5, 3.0)
    assert (train.median_wait, train.longest_wait) == (600, 1800)
    assert train.longest_seconds == 5400
    assert train.busy_cpus == 2.0
    assert (report.median_wait, report.gpu_hours, report.busy_cpus) == (None, 0.0, None)


def test_a_benchmark_tells_what_the_site_does_not_gather_of_the_start_that_completed() -> None:
    preempted, completed, *_ = _starts(
        SLURM_LOG, ACCOUNTING.replace("|2048M|", "||").replace("|5000K|", "||"), seed_0=BENCHMARK
    )
    assert completed.peak_memory_mb == 1024.5
    assert completed.cpu_seconds == 7200
    assert (preempted.peak_memory_mb, preempted.cpu_seconds) == (100 / 1024, None)


def test_without_a_database_the_log_and_the_benchmarks_are_enough() -> None:
    first, second, report = _starts(SLURM_LOG, seed_1=BENCHMARK)
    # Two hours from submission to the end, of which 5000 s ran.
    assert (second.slurm_id, second.seconds, second.waited_seconds) == ("73", 5000, 2200)
    assert second.gpu_hours == pytest.approx(5000 / 3600)
    assert (first.seconds, first.waited_seconds, first.gpu_hours) == (None, None, None)
    assert (report.slurm_id, report.seconds) == ("", 9)


@pytest.mark.parametrize(
    ("provided", "gpu_hours"), [("", 0.0), ("Provided resources: mem_mb=9, gpu=2\n", 0.5)]
)
def test_a_local_run_counts_gpus_only_where_there_are_any(provided: str, gpu_hours: float) -> None:
    (row,) = _starts(LOCAL_LOG.format(provided=provided))
    assert (row.seconds, row.waited_seconds, row.gpu_hours) == (1800, None, gpu_hours)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("01:02", 62), ("00:01.500", 1.5), ("1:00:00", 3600), ("2-00:00:01", 172801), ("", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "megabyte"), [("2048K", 2), ("3M", 3), ("1.5G", 1536), ("1048576", 1), ("", None)]
)
def test_memory(text: str, megabyte: float | None) -> None:
    assert megabytes(text) == megabyte


def test_a_benchmark_of_several_lines_counts_its_last_and_other_text_is_none() -> None:
    assert parse_benchmark(BENCHMARK) == Benchmark(5000.0, 10000.0, 1024.5)
    header, line = BENCHMARK.splitlines()
    assert parse_benchmark("\n".join([header, line, "7.0\t0:00:07\tNA"])) == (
        Benchmark(7.0, None, None)
    )
    assert parse_benchmark("epoch\tloss\n1\t0.3\n") is None
    assert parse_benchmark(header) is None


def test_the_command_prints_the_newest_run_and_writes_each_start(tmp_path: Path) -> None:
    logs = tmp_path / ".snakemake" / "log"
    logs.mkdir(parents=True)
    (logs / "2026-11-20T100000.snakemake.log").write_text("nothing here\n", encoding="utf-8")
    text = LOCAL_LOG.format(provided="Provided resources: gpu=1\n")
    (logs / "2026-11-21T100000.snakemake.log").write_text(text, encoding="utf-8")
    table = tmp_path / "resources.csv"
    done = CliRunner().invoke(app, ["resources", "--folder", str(tmp_path), "--csv", str(table)])
    assert done.exit_code == 0, done.output
    assert "GPU-hours: 0.50, of which 0.00 in starts that did not complete." in done.output
    with table.open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["rule"], row["seconds"], row["gpu_hours"]) == ("train_arm", "1800.0", "0.5")
    assert row["waited_seconds"] == ""


def test_a_folder_without_a_log_is_said(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["resources", "--folder", str(tmp_path)])
    assert done.exit_code != 0
    assert "there is no log of Snakemake" in str(done.exception)
