"""What a job reads is what another job wrote: every input is compared with its key, once.

Standard library only.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammoshift.errors import DamagedFileError
from mammoshift.provenance.keys import Key, Keys, Made, key_file, write_made
from mammoshift.provenance.sums import check_sha256, remembered_sha256
from mammoshift.provenance.versions import loaded_versions, machines_of_work, seconds_of_work


def check_inputs(paths: Iterable[Path]) -> dict[str, str]:
    """Compare each input with the hash in the key of the job that wrote it; return the hashes.

    A file without a key, such as one that no job of this workflow wrote, is not compared.

    Raises
    ------
    DamagedFileError
        If a file is not what was written, or was written elsewhere; the message says what mends it.
    """
    keys, found = Keys(Path()), {}
    for path in paths:
        key = keys.of(path)
        if key is not None:
            check_place(path, key)
            found[str(path)] = key.outputs[path.name].sha256
            check_sha256(path, found[str(path)], mending(path))
    return found


def check_still_there(sums: Mapping[str, str]) -> None:
    """Refuse inputs that are others by now; a file that nobody touched is not read again.

    Raises
    ------
    DamagedFileError
        If one is.
    """
    for path, sha256 in sums.items():
        check_sha256(Path(path), sha256, "it changed while this job read it: run again")


def check_place(path: Path, key: Key) -> None:
    """Refuse a file that was written elsewhere in the results.

    Raises
    ------
    DamagedFileError
        If it was; the message says where, and what mends it.
    """
    if not key.is_in_place:
        raise DamagedFileError(f"{path}: {written_elsewhere(path, key)}; {mending(path)}")


def written_elsewhere(path: Path, key: Key) -> str:
    """Return of which job a file is that lies in another's place."""
    own = Path(key.place).with_name(path.name)
    return f"was written as {own} by {key.job}, and lies in the place of another result"


def mending(path: Path) -> str:
    """Return how a file that a job wrote is mended."""
    return f"delete it (`rm {path}`) and run again"


@dataclass(frozen=True)
class Again:
    """How a result is made again, whether a job waits for it or not.

    Attributes
    ----------
    folder
        Of the workflow.
    configfiles, settings
        What Snakemake is told of the configuration.
    """

    folder: Path = Path()
    configfiles: Sequence[Path] = ()
    settings: Sequence[str] = ()

    def command(self, path: Path) -> str:
        """Return the command that makes a result again."""
        own = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        words = ["snakemake", own.as_posix(), "--force"]
        for option, given in (("--configfile", self.configfiles), ("--config", self.settings)):
            words += [option, *map(str, given)] if given else []
        command = shlex.join(words)
        inside = self.folder == Path()
        return command if inside else f"cd {shlex.quote(str(self.folder))} && {command}"


def drop_note(outputs: Sequence[Path]) -> None:
    """Remove what is noted of the outputs that were in the place of a job's: it is to say its own.

    A job that fails leaves outputs without a note, which are taken for nobody's result.
    """
    if outputs:
        key_file(outputs[0]).unlink(missing_ok=True)


def note_outputs(
    outputs: Sequence[Path],
    also: Iterable[Path] = (),
    inputs: Mapping[str, str] | None = None,
) -> None:
    """Write the sums of a job's outputs, and of all files in further folders, beside the first.

    `inputs` are the sums of what the job read, by path.
    """
    if not outputs:
        return
    first = outputs[0]
    more = (file for folder in also for file in sorted(folder.rglob("*")) if _is_written(file))
    files = dict.fromkeys([*outputs, *more])
    sums = {file.relative_to(first.parent).as_posix(): remembered_sha256(file) for file in files}
    made = Made(loaded_versions(), seconds_of_work(), machines_of_work(), inputs or {})
    write_made(first, sums, made)


def _is_written(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".")
