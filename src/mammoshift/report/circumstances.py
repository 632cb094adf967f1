"""How a report came about: when, from which commit, by which software, on which machines.

None of it shapes a number, and none of it is a parameter or an input of a rule: it is asked when
the report is made. Names of hosts and users, and places on a disk, are left out.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mammoshift.configuration.printed import is_a_place
from mammoshift.provenance.keys import Keys
from mammoshift.provenance.machine import machine
from mammoshift.provenance.versions import loaded_versions

PLACE = "PLACE"
"""Stands for a path that is not shown."""

_GIT_SECONDS = 20


@dataclass(frozen=True)
class Revision:
    """The commit of the workflow's files; `note` says what is not known, and why."""

    commit: str | None = None
    clean: bool | None = None
    note: str = ""

    @property
    def sentence(self) -> str:
        """The same in words."""
        if self.commit is None:
            return f"commit unknown: {self.note}"
        state = "no tracked file changed" if self.clean else "with changes that are not committed"
        return f"commit {self.commit}, {state}"


@dataclass(frozen=True)
class Computed:
    """What the jobs of one rule were computed with; `seconds` is the sum of their work."""

    rule: str
    jobs: int
    seconds: float
    machines: tuple[str, ...]
    versions: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Told:
    """What the workflow says of a run: its command, its files, and what these resolve to.

    `project` is the folder of the workflow, whose commit is asked for.
    """

    command: Sequence[str]
    configuration_files: Sequence[str]
    configuration: Mapping[str, Any]
    project: Path


@dataclass(frozen=True)
class Circumstances:
    """How a report came about.

    Attributes
    ----------
    made
        Date and time, UTC.
    command, configuration_files
        Without places on the disk; `command` is empty where it is not known.
    mammoshift, python
        Their versions.
    versions
        Of what this process loaded that shapes numbers.
    machine
        That the report was made on.
    computed
        What the jobs before it were computed with, by rule.
    configuration
        What the configuration resolved to; it has a file of its own.
    """

    made: str
    revision: Revision
    command: str
    configuration_files: tuple[str, ...]
    mammoshift: str
    python: str
    versions: Mapping[str, str]
    machine: str
    computed: tuple[Computed, ...]
    configuration: Mapping[str, Any] = field(repr=False, default_factory=dict)

    def as_facts(self) -> dict[str, Any]:
        """Return all but the configuration as plain values."""
        facts = asdict(self)
        del facts["configuration"]
        return facts


def circumstances(told: Told, inputs: Iterable[Path]) -> Circumstances:
    """Ask when, from what and where a report is made.

    Parameters
    ----------
    told
        What the workflow says.
    inputs
        Files that the report reads; the keys beside them say what computed them.
    """
    return Circumstances(
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        revision=revision_of(told.project),
        command=_without_places(told.command),
        configuration_files=tuple(dict.fromkeys(map(_shown, told.configuration_files))),
        mammoshift=version("mammoshift"),
        python=platform.python_version(),
        versions=loaded_versions(),
        machine=machine(),
        computed=computed_by_rule(inputs),
        configuration=told.configuration,
    )


def revision_of(folder: Path) -> Revision:
    """Return the commit of a folder that is the root of a git checkout, or why there is none."""
    git = shutil.which("git")
    if git is None:
        return Revision(note="git is not installed here")

    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment = own | {"GIT_OPTIONAL_LOCKS": "0"}

    def said(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                [git, "-C", str(folder), *arguments],
                capture_output=True,
                text=True,
                timeout=_GIT_SECONDS,
                env=environment,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    root = said("rev-parse", "--show-toplevel")
    if root is None or Path(root).resolve() != folder.resolve():
        return Revision(note="the workflow's folder is no git checkout")
    commit = said("rev-parse", "HEAD")
    if commit is None:
        return Revision(note="the checkout has no commit")
    changed = said("status", "--porcelain", "--untracked-files=no")
    return Revision(commit, None if changed is None else not changed)


def computed_by_rule(files: Iterable[Path]) -> tuple[Computed, ...]:
    """Return what computed some results, from the keys beside them, in the order of the files."""
    keys = Keys(Path())
    found = {key.file: key for path in files if (key := keys.of(path)) is not None and key.rule}
    by_rule: dict[str, list[Any]] = {}
    for key in found.values():
        by_rule.setdefault(key.rule, []).append(key)
    return tuple(
        Computed(
            rule=rule,
            jobs=len(own),
            seconds=round(sum(key.seconds or 0.0 for key in own), 1),
            machines=tuple(sorted({name for key in own for name in key.machines})),
            versions=_together(key.versions for key in own),
        )
        for rule, own in by_rule.items()
    )


def _together(versions: Iterable[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for one in versions:
        for name, text in one.items():
            found.setdefault(name, set()).update(text.split(", "))
    return {name: tuple(sorted(texts)) for name, texts in sorted(found.items())}


def _without_places(command: Sequence[str]) -> str:
    """Return a command line, its program by name and `PLACE` for each place on the disk."""
    if not command:
        return ""
    program = Path(command[0])
    words = [program.parent.name if program.name == "__main__.py" else program.name]
    for word in command[1:]:
        name, equals, value = word.rpartition("=")
        words.append(f"{name}{equals}{_shown(value)}")
    return shlex.join(words)


def _shown(text: str) -> str:
    """Return a path below the working folder relative to it, `PLACE` for another; else the text."""
    try:
        inside = Path(text).is_absolute() and Path(text).is_relative_to(Path.cwd())
    except (OSError, ValueError):
        return text
    if inside:
        return Path(text).relative_to(Path.cwd()).as_posix()
    return PLACE if is_a_place(text) else text
