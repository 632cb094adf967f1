"""A job that reads the configuration anew has the parameters that it was planned with, or ends."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mammoshift.errors import ParametersChangedError
from mammoshift.provenance.fingerprint import file_hashes
from mammoshift.provenance.planned_parameters import (
    VARIABLE,
    check_folders,
    check_parameters,
    tell_jobs,
)

ARM = {"lr": 0.1, "size": [64, 48]}


def executor() -> type:
    class Executor:
        def format_job_exec(self, job: Any) -> str:
            return f"run {job.output[0]}" if job.output else "run several"

    return Executor


def planned(output: str, arm: Any) -> Any:
    named = {"arm": arm, "code": {"definitions": "1"}, "settings": {"epochs": 3}}
    return SimpleNamespace(
        rule="train_arm",
        output=[output],
        params=named,
        # Without those that follow from outputs, and in the order of the others.
        non_derived_params=[named["arm"], named["code"]],
        is_group=lambda: False,
    )


def group(*jobs: Any) -> Any:
    return SimpleNamespace(jobs=jobs, output=[], is_group=lambda: True)


def start(monkeypatch: pytest.MonkeyPatch, job: Any) -> str:
    """Return the command of a job, with its environment set here."""
    cls: Any = executor()
    assert tell_jobs(cls)
    assert tell_jobs(cls)
    export, _, command = cls().format_job_exec(job).partition(" && ")
    found = re.fullmatch(rf"export {VARIABLE}=([A-Za-z0-9+/=]+)", export)
    assert found is not None
    monkeypatch.setenv(VARIABLE, found[1])
    return command


def test_the_same_parameters_go_through_and_others_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert start(monkeypatch, planned("results/a", ARM)) == "run results/a"
    again = planned("results/a", {"lr": 0.1, "size": [64, 48]})
    again.params["settings"] = {"epochs": 4}
    check_parameters(again)
    with pytest.raises(ParametersChangedError, match=r"^train_arm: arm: not what .*again"):
        check_parameters(planned("results/a", {**ARM, "lr": 0.2}))


def test_each_job_of_a_group_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [planned("results/a", 1), planned("results/b", 2)]
    assert start(monkeypatch, group(*jobs)) == "run several"
    for job in jobs:
        check_parameters(job)
    with pytest.raises(ParametersChangedError):
        check_parameters(planned("results/b", 1))


def test_a_job_that_was_told_nothing_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    check_parameters(planned("results/a", ARM))
    start(monkeypatch, planned("results/b", ARM))
    check_parameters(planned("results/a", ARM))
    assert VARIABLE in os.environ


def test_an_executor_of_another_kind_is_left_as_it_is() -> None:
    assert not tell_jobs(type("Executor", (), {}))


def test_a_template_that_was_edited_after_planning_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.css").write_text("a {}")
    planned = {tmp_path: file_hashes(tmp_path)}
    check_folders(planned)
    (tmp_path / "report.css").write_text("b {}")
    with pytest.raises(ParametersChangedError, match=r"report\.css: edited while the study ran"):
        check_folders(planned)
