"""Letting Snakemake take its memory of a job from the key that lies beside the job's results.

Snakemake's own memory, `.snakemake/metadata`, belongs to a working directory: without it, or where
results were copied from elsewhere, no edit is seen. Its class of persistence is extended here, so
that a job's key is written when the job has ended and read when Snakemake plans; its own records
are still written, and read where they are of the very file that lies there.

A key is believed at its own place alone, and as long as its inputs are what it was made from: both
are compared with other keys, so that nothing is hashed. A result without a key is made again.

The class is passed in, since this library imports no part of Snakemake.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from mammoshift.provenance.accepted import Accepted
from mammoshift.provenance.keys import (
    CODE,
    Key,
    Keys,
    Output,
    keep_definitions,
    key_file,
    relative_path,
    write_key,
)
from mammoshift.provenance.sums import note_new_time, remembered_sha256
from mammoshift.provenance.versions import differing, must_be_the_same

NEEDED = ("_read_record", "_write_record", "_delete_record", "_clear_cache", "finished")
"""What of Snakemake's class is extended."""
_PAUSE = 0.5

Definitions = Callable[[Mapping[str, str]], Mapping[str, str] | None]
"""Gives the definitions behind a fingerprint of code, None where they are not known any more."""


def is_known(persistence: type) -> bool:
    """Tell whether a version of Snakemake has what is extended here."""
    return all(hasattr(persistence, name) for name in NEEDED)


def with_keys(
    persistence: type,
    record_type: Callable[..., Any],
    results: Path,
    definitions: Definitions,
    accepted: Accepted,
) -> type:
    """Return the class that keeps Snakemake's records, with keys beside the results.

    Parameters
    ----------
    persistence, record_type
        The class and that of its records.
    results
        The folder of the results as outputs name it.
    definitions
        What a fingerprint of code stands for.
    accepted
        Changes that make nothing invalid.
    """
    base: Any = getattr(persistence, "without_keys", persistence)
    keys = Keys(results)

    class Keyed(base):
        """Snakemake's records, read from and written to the keys beside results."""

        without_keys = base
        own_records: dict[str, Any] = {}  # noqa: RUF012 - one workflow is planned in a process
        records_of_keys: dict[Path, Any] = {}  # noqa: RUF012 - as above
        largest = 0

        @property
        def max_checksum_file_size(self) -> int:
            """Less than any file has: Snakemake would hash each input once for each output."""
            return -1

        @max_checksum_file_size.setter
        def max_checksum_file_size(self, value: int) -> None:
            self.largest = value

        def _read_record(self, key: str) -> Any:
            if key not in self.own_records:
                self.own_records[key] = self._record_of(key)
            return self.own_records[key]

        def _record_of(self, key: str) -> Any:
            path = Path(key)
            found = keys.of(path)
            modified = _mtime(path)
            whole = found if found is not None and found.rule else None
            if whole is None or whole.outputs[path.name].mtime != modified:
                other = super()._read_record(key)
                # A job whose end Snakemake's process did not note has half a key, and runs again.
                noted = found is None or bool(found.rule)
                if other is not None and other.endtime == modified and noted:
                    return other
                if whole is None and (modified is None or not path.is_relative_to(results)):
                    return other
            if whole is None:
                return _unknown(record_type)
            if whole.file not in self.records_of_keys:
                self.records_of_keys[whole.file] = _record(record_type, whole, keys, accepted)
            return self.records_of_keys[whole.file]

        def _delete_record(self, key: str) -> Any:
            deleted = super()._delete_record(key)
            found = keys.of(Path(key))
            if found is not None:
                found.file.unlink(missing_ok=True)
                keys.forget(found.file.parent)
                deleted = True
            return deleted

        def _clear_cache(self) -> None:
            self.own_records.clear()
            self.records_of_keys.clear()
            super()._clear_cache()

        async def finished(self, job: Any) -> None:
            await super().finished(job)
            settings = self.dag.workflow.execution_settings
            if not self.dag.workflow.is_main_process or not settings.keep_metadata:
                return
            if not len(job.output):
                return
            first = Path(str(job.output[0]))
            self._clear_cache()
            # Snakemake calls this for failed jobs too, before it removes what they left.
            if not await self._has_ended_well(job, first):
                for output in job.output:
                    self._delete_record(str(output))
                return
            made = keys.of(first)
            read = dict(made.inputs) if made is not None and not made.rule else {}
            sums = {**_input_sums(job, self.largest, read), **read}
            for output in job.output:
                if (record := super()._read_record(str(output))) is not None:
                    record.input_checksums = sums
                    super()._write_record(str(output), record)
            self._clear_cache()
            record = super()._read_record(str(first))
            if record is None:
                return
            keys.forget(first.parent)
            key = _finished_key(job, first, record, keys)
            if CODE in key.parameters:
                code = key.parameters[CODE]
                keep_definitions(code, results / ".code", lambda: definitions(code))
            write_key(key, results)
            keys.forget(first.parent)

        async def _has_ended_well(self, job: Any, first: Path) -> bool:
            """Tell whether a job wrote all that it should, and said so at its end.

            A job of another workflow that uses this one as a module says nothing.
            """
            workflow = self.dag.workflow
            if not all(Path(str(output)).exists() for output in job.output):
                return False
            if workflow.touch or CODE not in job.params.keys():  # noqa: SIM118 - no mapping
                return True
            # On a network file system what another node wrote last may be seen late.
            deadline = time.monotonic() + workflow.execution_settings.latency_wait
            while True:
                keys.forget(first.parent)
                if (made := keys.of(first)) is not None and not made.rule:
                    return True
                if time.monotonic() > deadline:
                    return False
                await asyncio.sleep(_PAUSE)

    return Keyed


def named_parameters(job: Any) -> dict[str, Any]:
    """Return the parameters of a job that decide whether it runs, by name."""
    # In this order: Snakemake works both out anew when it has forgotten the first.
    named = dict(job.params.items())
    decisive = list(reversed(job.non_derived_params))
    found = {}
    for name, value in named.items():
        if decisive and decisive[-1] is value:
            found[name] = decisive.pop()
    return found


def _input_sums(job: Any, largest: int, read: Collection[str]) -> dict[str, str]:
    """Return the checksum of each input as Snakemake writes it; none of a folder or a larger file.

    Those in `read` are known from the job, which hashed what it read: they may be others by now.
    """
    files = {str(path): Path(str(path)) for path in job.input}
    return {
        name: f"sha256:{remembered_sha256(path)}"
        for name, path in files.items()
        if name not in read and path.is_file() and path.stat().st_size <= largest
    }


def _finished_key(job: Any, first: Path, record: Any, keys: Keys) -> Key:
    names = [relative_path(Path(str(output)), first.parent) for output in job.output]
    made = keys.of(first)
    if made is None or made.rule or not made.outputs.keys() >= set(names):
        # Nobody noted them, or what is noted is of an earlier end of this job.
        sums = {name: remembered_sha256(first.parent / name) for name in names}
        if made is not None and any(
            name in sums and sums[name] != output.sha256 for name, output in made.outputs.items()
        ):
            made = None
    else:
        sums = {name: output.sha256 for name, output in made.outputs.items()}
        for name in names:
            note_new_time(first.parent / name)
    return Key(
        file=key_file(first),
        rule=job.rule.name,
        wildcards=dict(job.wildcards_dict),
        outputs={name: Output(sum_, _mtime(first.parent / name)) for name, sum_ in sums.items()},
        inputs=[(path, record.input_checksums.get(path)) for path in record.input],
        parameters=named_parameters(job),
        versions=made.versions if made else {},
        seconds=made.seconds if made else None,
        started=record.starttime,
        ended=record.endtime,
        machines=made.machines if made else (),
    )


def _record(record_type: Callable[..., Any], key: Key, keys: Keys, accepted: Accepted) -> Any:
    """Return a key in the words of Snakemake.

    Snakemake compares parameters whatever the times of files are: what makes a result another than
    the job's own is one parameter more, which no job has.
    """
    parameters = [
        repr(accepted.now(key.rule, key.wildcards, name, value))
        for name, value in key.parameters.items()
    ]
    if not key.is_in_place:
        parameters.append(f"written as: {key.place}")
    parameters += [f"made from another: {path}" for path, _ in keys.foreign_inputs(key)]
    if must_be_the_same() and (others := differing(key.versions)):
        parameters.append(f"versions: {others}")
    return record_type(
        rule=key.rule,
        input=sorted(path for path, _ in key.inputs),
        log=[],
        params=sorted(parameters),
        record_format_version=6,
        starttime=key.started,
        endtime=key.ended,
        incomplete=False,
        input_checksums={path: value for path, value in key.inputs if value},
    )


def _unknown(record_type: Callable[..., Any]) -> Any:
    """Return the record of a result of which nobody knows what it was made from."""
    return record_type(
        rule="",
        input=None,
        log=[],
        params=["made from: unknown"],
        record_format_version=6,
        starttime=None,
        endtime=None,
        incomplete=False,
        input_checksums={},
    )


def _mtime(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
