"""What the SLURM plugin is told of its jobs: the controller first, in words that it knows."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from types import ModuleType
from typing import Any

import pytest
import snakemake_executor_plugin_slurm as installed

from mammoshift.execution import slurm_plugin

VERSION = f"{slurm_plugin.MENDED_VERSION}.0"


@pytest.mark.parametrize(
    ("controller", "database", "told"),
    [
        # A person cancelled: sacct names him, squeue does not.
        ("", "CANCELLED by 1000", "CANCELLED"),
        ("CANCELLED", "CANCELLED by 1000", "CANCELLED"),
        ("", "CANCELLED+", "CANCELLED"),
        # A node failed and the job waits again, which the database learns seconds later.
        ("PENDING", "NODE_FAIL", "PENDING"),
        ("COMPLETING", "NODE_FAIL", "COMPLETING"),
        ("PENDING", "PREEMPTED", "PENDING"),
        # It does not wait again: the plugin would wait for SLURM for ever.
        ("NODE_FAIL", "NODE_FAIL", "FAILED"),
        ("", "NODE_FAIL", "FAILED"),
        ("PREEMPTED", "PREEMPTED", "CANCELLED"),
        # The controller forgets, the database lags.
        ("", "COMPLETED", "COMPLETED"),
        ("COMPLETED", "RUNNING", "COMPLETED"),
        ("", "RUNNING", "RUNNING"),
        ("OUT_OF_MEMORY", "", "OUT_OF_MEMORY"),
    ],
)
def test_a_job_is_in_the_state_that_the_controller_knows_or_else_the_database(
    controller: str, database: str, told: str
) -> None:
    known = {"7": controller} if controller else {}
    recorded = {"7": database} if database else {}
    assert slurm_plugin.job_states(known, recorded) == {"7": told}


def test_jobs_that_only_one_of_the_two_knows_are_all_there() -> None:
    states = slurm_plugin.job_states({"2": "RUNNING"}, {"1": "COMPLETED", "2": "PENDING"})
    assert states == {"1": "COMPLETED", "2": "RUNNING"}


def _mended(answers: dict[str, dict[str, str] | None]) -> ModuleType:
    """A copy of the plugin, mended, whose `squeue` and `sacct` give these answers."""

    async def ask(command: str, logger: Any) -> tuple[dict[str, str] | None, float | None]:
        program, *_, name = command.split()
        assert name == "prefix_1234"
        states = answers[program]
        return (None, None) if states is None else (states, 0.5)

    queries = ModuleType("queries")
    vars(queries).update(vars(installed.job_status_query), query_job_status=ask)
    plugin = ModuleType("plugin")
    vars(plugin).update(vars(installed), job_status_query=queries)
    assert slurm_plugin.mend(plugin, VERSION)
    return plugin


def _asked(answers: dict[str, dict[str, str] | None]) -> tuple[Any, ...]:
    """What the plugin hears when it asks `sacct` and when it asks `squeue`, as it does."""
    plugin = _mended(answers)
    commands = (plugin.query_job_status_sacct, plugin.query_job_status_squeue)
    heard = [asyncio.run(plugin.query_job_status(c("prefix_1234"), None)) for c in commands]
    assert heard[0] == heard[1]
    return heard[0]


def test_whichever_command_the_plugin_would_use_both_are_asked() -> None:
    answers = {"squeue": {"2": "RUNNING"}, "sacct": {"1": "CANCELLED by 0", "2": "NODE_FAIL"}}
    assert _asked(answers) == ({"1": "CANCELLED", "2": "RUNNING"}, 0.5)


def test_without_a_database_the_controller_is_enough() -> None:
    assert _asked({"squeue": {"2": "CANCELLED"}, "sacct": None}) == ({"2": "CANCELLED"}, 0.5)


def test_without_the_controller_nothing_is_concluded() -> None:
    assert _asked({"squeue": None, "sacct": {"2": "NODE_FAIL"}}) == (None, None)


def test_an_account_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def check(account: str, logger: Any) -> str:
        checked.append(account)
        return account

    monkeypatch.setattr(installed.accounts, "validate_account", check)
    plugin = _mended({})
    assert [plugin.validate_account("a", None) for _ in range(3)] == ["a"] * 3
    assert plugin.validate_account("b", None) == "b"
    assert checked == ["a", "b"]


@pytest.mark.parametrize(
    ("ping", "down"),
    [
        ("Slurmctld(primary) at head is UP\n", False),
        ("Slurmctld(primary) at head is DOWN\nSlurmctld(backup) at spare is UP\n", False),
        ("Slurmctld(primary) at head is DOWN\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n", True),
        # Not understood, as of another version: nothing is held up.
        ("", False),
    ],
)
def test_a_controller_is_down_when_none_is_up(ping: str, down: bool) -> None:
    assert slurm_plugin.is_down(ping) == down


def test_a_submission_waits_for_a_controller_that_restarts() -> None:
    answers = iter([False, False, True])
    slurm_plugin.wait_for_controller(lambda: next(answers), pause=0.0)
    assert list(answers) == []


def test_a_controller_that_never_answers_is_not_waited_for_for_ever() -> None:
    asked: list[None] = []

    def never() -> bool:
        asked.append(None)
        return False

    slurm_plugin.wait_for_controller(never, pause=0.0, patience=0.0)
    assert len(asked) == 1


def test_the_installed_plugin_is_the_version_that_is_known() -> None:
    """When this fails after an upgrade: see which defects are left, then mend those."""
    assert version("snakemake-executor-plugin-slurm").startswith(f"{slurm_plugin.MENDED_VERSION}.")


def test_another_version_is_left_alone() -> None:
    plugin = ModuleType("plugin")
    before = dict(vars(plugin))
    assert not slurm_plugin.mend(plugin, "2.80.1")
    assert vars(plugin) == before
