"""Reasons in words."""

from __future__ import annotations

from mammoshift.provenance.why import PlannedJob, explain, planned_jobs

DRY_RUN = """\
Building DAG of jobs...
Job stats:
job          count
---------  -------
train_arm        1

[Sat Nov 21 03:23:43 2026]
rule train_arm:
    input: results/split.parquet
    output: results/a/model.safetensors, results/a/model.json
    jobid: 2
    reason: Params have changed since last execution: Union of exclusive params before and now \
across all output: before: {'mammoshift.training.losses': '1', 'x': '2'},\
{'arm': {'training': {'batch_size': 16}}} now: \
{'arm': {'training': {'batch_size': 8}}},{'mammoshift.training.losses': '3', 'x': '2'}\x20
    resources: tmpdir=<TBD>
[Sat Nov 21 03:23:43 2026]
rule infer_s:
    input: results/a/model.safetensors
    output: results/a/p.parquet
    jobid: 1
    reason: Input files updated by another job: results/a/model.safetensors
[Sat Nov 21 03:23:43 2026]
rule infer_s:
    output: results/b/p.parquet
    jobid: 4
    reason: Input files updated by another job: results/a/model.safetensors
localrule all:
    input: results/a/p.parquet
    jobid: 0
    reason: Input files updated by another job: results/a/p.parquet
"""


def test_the_changed_leaf_and_the_changed_module_are_named() -> None:
    sentences = explain(planned_jobs(DRY_RUN))
    assert "train_arm would run: the code of mammoshift.training.losses changed." in sentences
    assert "train_arm would run: arm.training.batch_size was 16 and is 8." in sentences
    assert sentences[-1].startswith("infer_s (2 jobs) would follow")
    assert len(sentences) == 3


def test_nothing_to_do_is_said() -> None:
    assert explain(planned_jobs("Nothing to be done.")) == [
        "Nothing would run: everything is present and up to date."
    ]


def test_a_change_inside_a_list_of_records_is_named() -> None:
    reason = (
        "Params have changed since last execution: Union of exclusive params before and now "
        "across all output: before: {'stages': [{'epochs': 14, 'lr': 0.1}, {'epochs': 2}]} "
        "now: {'stages': [{'epochs': 15, 'lr': 0.1}, {'epochs': 2}]}"
    )
    jobs = [PlannedJob("train_arm", "model", reason)]
    assert explain(jobs) == ["train_arm would run: stages.1.epochs was 14 and is 15."]
