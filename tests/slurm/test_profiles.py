"""The shipped profiles agree with each other and with the rules."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from runs import PROFILE, REPOSITORY

SHARED = (
    "keep-going",
    "max-checksum-file-size",
    "rerun-incomplete",
    "rerun-triggers",
    "scheduler",
    "show-failed-logs",
)
GPU_RULES = ("train_arm", "score_arm")


@pytest.fixture(scope="module")
def slurm() -> dict[str, Any]:
    return yaml.safe_load((PROFILE / "config.yaml").read_text(encoding="utf-8"))


def test_what_makes_a_result_invalid_is_the_same_everywhere(slurm: dict[str, Any]) -> None:
    path = REPOSITORY / "profiles" / "default" / "config.yaml"
    default = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {key: slurm[key] for key in SHARED} == {key: default[key] for key in SHARED}


def test_every_rule_that_gets_resources_exists(slurm: dict[str, Any]) -> None:
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in (REPOSITORY / "rules").glob("*.smk")
    )
    rules = set(re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.MULTILINE))
    assert set(slurm["set-resources"]) | set(slurm["set-threads"]) <= rules


def test_every_rule_with_a_gpu_gets_memory_time_and_cpus_but_no_threads(
    slurm: dict[str, Any],
) -> None:
    rules = [
        block
        for path in (REPOSITORY / "rules").glob("*.smk")
        for block in re.split(r"^(?=rule )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        if re.search(r"^\s*gpu=1", block, re.MULTILINE)
    ]
    names = [match[1] for block in rules if (match := re.match(r"rule (\w+):", block))]
    assert "train_arm" in names
    for name in names:
        assert {"mem_mb", "runtime", "cpus_per_task"} <= set(slurm["set-resources"][name])
        # Threads decide how a CPU adds up, and with it the last bits of a table.
        assert name not in slurm["set-threads"]


def test_retries_are_in_the_profile_alone(slurm: dict[str, Any]) -> None:
    assert slurm["retries"] >= 1
    for path in (REPOSITORY / "rules").glob("*.smk"):
        assert not re.search(r"^\s*retries:", path.read_text(encoding="utf-8"), re.MULTILINE), path


@pytest.mark.parametrize(
    "rule",
    [
        "ingest_dataset",
        "preprocess_bundle",
        "convert_weights",
        "search_trial",
        "train_arm",
        "score_arm",
        None,
    ],
)
def test_every_attempt_of_every_rule_fits_a_partition(
    slurm: dict[str, Any], rule: str | None
) -> None:
    text = (PROFILE / "partitions.yaml").read_text(encoding="utf-8")
    limits = yaml.safe_load(text)["partitions"]["gpu" if rule in GPU_RULES else "cpu"]
    asked = slurm["default-resources"] | slurm["set-resources"].get(rule, {})
    for attempt in range(1, slurm["retries"] + 2):
        scope = {"attempt": attempt, "min": min}
        assert eval(asked["mem_mb"], scope) <= limits["max_mem_mb"]
        assert eval(asked["runtime"], scope) <= limits["max_runtime"]
