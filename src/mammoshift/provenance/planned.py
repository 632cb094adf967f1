"""What would run, and from which change it follows, as Snakemake's dry run knows it.

A dry run that finds the variable `MAMMOSHIFT_PLAN` in its environment writes its jobs to that file
when it ends; nothing of what it prints is read. Objects of Snakemake are passed in.

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mammoshift.errors import ConfigurationError, MammoshiftError
from mammoshift.files import write_text_atomically
from mammoshift.provenance.bookkeeping import Definitions, named_parameters
from mammoshift.provenance.inputs import Again
from mammoshift.provenance.keys import CODE, code_name
from mammoshift.provenance.versions import must_be_the_same

PLAN_FILE = "MAMMOSHIFT_PLAN"
SNAKEMAKES_TEXT = {"SNAKEMAKE_LOGGER_MAMMOSHIFT_TEXT": "snakemake"}


@dataclass(frozen=True)
class PlannedJob:
    """One job that would run.

    Attributes
    ----------
    rule, wildcards
        Which job.
    outputs, inputs, benchmark
        Its files; `benchmark` is None where its rule measures nothing.
    parameters
        Those that decide whether it runs, by name, as they are now.
    places
        The others: where files lie, and what is said of them.
    missing, updated
        Outputs that are wanted and absent; inputs with another content than it read.
    waits_for
        Inputs that another job of the plan writes.
    is_forced
        Whether the command line asks for it.
    own
        Whether it would run if no job before it did.
    """

    rule: str
    wildcards: Mapping[str, str]
    outputs: Sequence[str]
    inputs: Sequence[str]
    benchmark: str | None
    parameters: Mapping[str, Any]
    places: Mapping[str, Any]
    missing: Sequence[str]
    updated: Sequence[str]
    waits_for: Sequence[str]
    is_forced: bool
    own: bool


@dataclass(frozen=True)
class Plan:
    """All jobs that would run.

    Attributes
    ----------
    folder
        Of the workflow.
    results
        Folder of the results, relative to that.
    jobs
        In no order.
    wanted
        Every file that a job of the planned targets writes, whether it would run or not.
    codes
        Name of a fingerprint of code -> the definitions that it is of, `module:name` -> hash.
    same_versions
        Whether the configuration makes results of other versions of libraries again.
    again
        How a result is made again under the configuration that was planned.
    """

    folder: Path
    results: Path
    jobs: tuple[PlannedJob, ...]
    codes: Mapping[str, Mapping[str, str]]
    wanted: Sequence[str] = ()
    same_versions: bool = False
    again: Again = field(default_factory=Again)


def write_plan(dag: Any, results: Path, definitions: Definitions, file: Path) -> None:
    """Write the jobs that a dry run would start."""
    # At the end of a dry run they count as finished.
    wanted = dag.needrun_jobs(exclude_finished=False)
    jobs = [_planned(job, dag.reason(job)) for job in wanted if len(job.output)]
    codes: dict[str, Mapping[str, str]] = {}
    for job in jobs:
        code = job.parameters.get(CODE)
        if code is not None and code_name(code) not in codes:
            codes[code_name(code)] = definitions(code) or {}
    content = {
        "results": str(results),
        "jobs": [asdict(job) for job in jobs],
        "codes": codes,
        "same_versions": must_be_the_same(),
        "wanted": [str(output) for job in dag.jobs for output in job.output],
    }
    write_text_atomically(file, json.dumps(content, default=repr))


def ask(
    folder: Path,
    configfiles: Sequence[Path] = (),
    targets: Sequence[str] = (),
    settings: Sequence[str] = (),
) -> Plan:
    """Let Snakemake plan in `folder`, with `settings` (`key=value`), and return what would run.

    Raises
    ------
    ConfigurationError
        If a configuration file does not exist, or the configuration cannot be used.
    MammoshiftError
        If no job makes a target, or the dry run fails.
    """
    for file in configfiles:
        if not (folder / file).is_file():
            raise ConfigurationError(f"{file}: there is no such file; give an existing one")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "plan.json")
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--nolock"]
        if configfiles:
            command += ["--configfile", *map(str, configfiles)]
        if settings:
            command += ["--config", *settings]
        done = subprocess.run(
            [*command, "--", *targets],
            cwd=folder,
            env={**os.environ, **SNAKEMAKES_TEXT, PLAN_FILE: str(file)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not file.is_file():
            raise _failure(done.stdout + done.stderr, targets)
        return _read(file, folder, Again(folder, configfiles, settings))


def _planned(job: Any, reason: Any) -> PlannedJob:
    decisive = named_parameters(job)
    return PlannedJob(
        rule=job.rule.name,
        wildcards=dict(job.wildcards_dict),
        outputs=list(map(str, job.output)),
        inputs=list(map(str, job.input)),
        benchmark=str(job.benchmark) if job.benchmark else None,
        parameters=decisive,
        places={name: value for name, value in job.params.items() if name not in decisive},
        missing=sorted(map(str, reason.missing_output)),
        updated=sorted(map(str, reason.updated_input)),
        waits_for=sorted(map(str, reason.updated_input_run)),
        is_forced=bool(reason.forced),
        own=not reason.derived,
    )


def _read(file: Path, folder: Path, again: Again) -> Plan:
    content = json.loads(file.read_text(encoding="utf-8"))
    jobs = tuple(PlannedJob(**job) for job in content["jobs"])
    return Plan(
        folder,
        Path(content["results"]),
        jobs,
        content["codes"],
        content["wanted"],
        content["same_versions"],
        again,
    )


def _failure(text: str, targets: Sequence[str]) -> MammoshiftError:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for target in targets:
        if any("MissingRuleException" in line or target in line for line in lines):
            return MammoshiftError(
                f"{target}: no job makes this; give a file of the results, such as "
                "results/<study>/report/index.html, or the name of a rule without wildcards"
            )
    wrong = [line for line in lines if "rror" in line] or lines[-1:]
    at = lines.index(wrong[0]) if wrong else 0
    return MammoshiftError("Snakemake cannot plan:\n" + "\n".join(lines[at : at + 6]))
