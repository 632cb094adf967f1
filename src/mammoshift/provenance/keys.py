"""The key of a result: what it was made from, in a small record beside it.

A job's key lies beside its first output, under that one's name: `.model.safetensors.key.json`. It
says the rule, the hash of each output, the content of each input, the parameters by name (the
leaves of the configuration and the fingerprint of the code) and the versions of the libraries that
computed. The job itself writes what it alone knows, the hashes of its outputs and the versions;
Snakemake's process adds the rest when it has taken note of the job's end.

Paths are relative to the folder of the results, so that this may be moved or copied. The key's own
place is among them: a key that lies elsewhere below the results is of another job. Which
definitions a fingerprint of code stands for lies once in the folder `.code` of the results.

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mammoshift.errors import DamagedFileError
from mammoshift.files import write_text_atomically
from mammoshift.provenance.sealed import read_sealed, write_sealed

SUFFIX = ".key.json"
CODE_FOLDER = ".code"
CODE = "code"
"""Name of the parameter that holds the fingerprint of a rule's code."""
FORMAT = 2
_PYTHON = "python"


@dataclass(frozen=True)
class Output:
    """One file that a job wrote: its SHA-256, and its time when the job's end was noted."""

    sha256: str
    mtime: float | None = None


@dataclass(frozen=True)
class Key:
    """What a job's outputs were made from.

    Attributes
    ----------
    file
        Where it lies.
    rule, wildcards
        The job; `rule` is empty of a job whose end Snakemake's process did not note.
    outputs
        Name of each file beside this one -> what it is.
    inputs
        Each path with its checksum as Snakemake writes it, None where it has none.
    parameters
        Name -> value.
    versions
        Library -> the version that computed, or several where parts were restored.
    seconds
        Of work, that of restored parts included; None where unknown.
    started, ended
        Seconds since the epoch.
    machines
        Processors and GPUs that computed; empty where they were not noted.
    place
        Where it was written, relative to the results; empty for a job whose outputs lie elsewhere.
    """

    file: Path
    rule: str
    wildcards: Mapping[str, str]
    outputs: Mapping[str, Output]
    inputs: Sequence[tuple[str, str | None]]
    parameters: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: float | None = None
    started: float | None = None
    ended: float | None = None
    machines: Sequence[str] = ()
    place: str = ""

    @property
    def is_in_place(self) -> bool:
        """Whether it lies where it was written, wherever the folder of the results is now."""
        place = Path(self.place).parts
        return self.file.parts[-len(place) :] == place if place else True

    @property
    def job(self) -> str:
        """The job in words: its rule and its wildcards."""
        of = ", ".join(f"{name}={value}" for name, value in self.wildcards.items())
        return f"{self.rule} ({of})" if of else self.rule

    @property
    def paths(self) -> list[Path]:
        """The files that the job wrote."""
        return [self.file.parent / name for name in self.outputs]


def key_file(first_output: Path) -> Path:
    """Return where the key of a job lies."""
    return first_output.with_name(f".{first_output.name}{SUFFIX}")


def relative_path(output: Path, folder: Path) -> str:
    """Return the name of a file in the key that lies in `folder`."""
    return Path(os.path.relpath(output, folder)).as_posix()


@dataclass(frozen=True)
class Made:
    """What a job knows of its work.

    Attributes
    ----------
    versions
        Library -> version.
    seconds
        Of work.
    machines
        What computed (`mammoshift.provenance.machine`).
    inputs
        SHA-256 of what it read, by path.
    """

    versions: Mapping[str, str]
    seconds: float
    machines: Sequence[str] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)


def write_made(first: Path, sums: Mapping[str, str], made: Made) -> None:
    """Write what a job knows of its results.

    Parameters
    ----------
    first
        The first of them.
    sums
        SHA-256 of each, by its path relative to the folder of the first.
    made
        What it knows of its work.
    """
    content = {
        "outputs": {name: {"sha256": digest} for name, digest in sums.items()},
        "inputs": [[path, f"sha256:{digest}"] for path, digest in made.inputs.items()],
        "versions": dict(made.versions),
        "seconds": round(made.seconds, 3),
        "machines": list(made.machines),
    }
    write_sealed(key_file(first), content)


def write_key(key: Key, results: Path) -> None:
    """Write the whole key of a finished job."""
    content = {
        "format": FORMAT,
        "place": _place(key.file, results),
        "rule": key.rule,
        "wildcards": dict(key.wildcards),
        "outputs": {
            name: {"sha256": output.sha256, "mtime": output.mtime}
            for name, output in key.outputs.items()
        },
        "inputs": [[_below(path, results), value] for path, value in key.inputs],
        "parameters": {name: _stored(value) for name, value in key.parameters.items()},
        "versions": dict(key.versions),
        "seconds": key.seconds,
        "started": key.started,
        "ended": key.ended,
        "machines": list(key.machines),
    }
    write_sealed(key.file, content)


def read_key(file: Path, results: Path) -> Key | None:
    """Read a key; None where there is none, or one of a format that did not say its place.

    Raises
    ------
    DamagedFileError
        If it is not what was written.
    """
    content = read_sealed(file)
    if content is None or (content.get("rule") and content.get("format") != FORMAT):
        return None
    try:
        return Key(
            file=file,
            rule=content.get("rule", ""),
            wildcards=content.get("wildcards", {}),
            outputs={name: Output(**output) for name, output in content["outputs"].items()},
            inputs=[(_from_below(path, results), sum_) for path, sum_ in content.get("inputs", [])],
            parameters={n: _loaded(v) for n, v in content.get("parameters", {}).items()},
            versions=content["versions"],
            seconds=content.get("seconds"),
            started=content.get("started"),
            ended=content.get("ended"),
            machines=tuple(content.get("machines", ())),
            place=content.get("place", ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedFileError(f"{file}: no key of a result; delete it") from error


class Keys:
    """The keys below a folder of results; each is read once.

    A key that is damaged counts as absent: `mammoshift verify` names it.

    Parameters
    ----------
    results
        The folder, as inputs are named below it.
    folder
        That which `results` is relative to.
    """

    def __init__(self, results: Path, folder: Path = Path()) -> None:
        self.results, self.folder = results, folder
        self._read: dict[Path, Key | None] = {}
        self._names: dict[Path, frozenset[str]] = {}
        self._sums: dict[str, tuple[str, Key] | None] = {}

    def of(self, output: Path) -> Key | None:
        """Return the key of the job that wrote a file, None where it has none."""
        names = self._in(output.parent)
        own = key_file(output)
        first = [own.name] if own.name in names else []
        for name in (*first, *(names if not first else ())):
            key = self._at(own.with_name(name))
            if key is not None and output.name in key.outputs:
                return key
        return None

    def foreign_inputs(self, key: Key) -> Iterator[tuple[str, Key]]:
        """Yield each input that is not what a key was made from, with the key of what lies there.

        Nothing is hashed: what the job read is compared with what the writer of the input says that
        it wrote. An input without a key, or without a checksum, is not compared.
        """
        for path, value in dict(key.inputs).items():
            written = self._sum_of(path) if value is not None else None
            if written is not None and value not in (f"sha256:{written[0]}", written[0]):
                yield path, written[1]

    def _sum_of(self, path: str) -> tuple[str, Key] | None:
        """Return the hash that the writer of a file noted of it, with the whole key of that job."""
        if path not in self._sums:
            place = self.folder / path
            key = self.of(place)
            known = key is not None and key.rule and key.is_in_place
            self._sums[path] = (key.outputs[place.name].sha256, key) if key and known else None
        return self._sums[path]

    def forget(self, folder: Path) -> None:
        """Forget what was read in a folder, since a job wrote there."""
        self._sums.clear()
        for name in self._names.pop(folder, frozenset()):
            self._read.pop(folder / name, None)

    def _in(self, folder: Path) -> frozenset[str]:
        """Return the names of the keys in a folder."""
        if folder not in self._names:
            try:
                with os.scandir(folder) as entries:
                    found = [entry.name for entry in entries if entry.name.endswith(SUFFIX)]
            except OSError:
                found = []
            self._names[folder] = frozenset(found)
        return self._names[folder]

    def _at(self, file: Path) -> Key | None:
        if file not in self._read:
            try:
                self._read[file] = read_key(file, self.results)
            except DamagedFileError:
                self._read[file] = None
        return self._read[file]


def all_keys(results: Path) -> Iterator[Key | DamagedFileError]:
    """Yield every key below a folder, in order, and the error of each that is damaged."""
    for folder, folders, names in os.walk(results):
        parts = Path(folder).relative_to(results).parts
        folders[:] = sorted(name for name in folders if not _has_no_keys(*parts, name))
        for name in sorted(name for name in names if name.endswith(SUFFIX)):
            try:
                key = read_key(Path(folder, name), results)
            except DamagedFileError as error:
                yield error
                continue
            if key is not None:
                yield key


def _has_no_keys(first: str, *below: str) -> bool:
    """Tell whether a folder is one of images of a twin, arrays or kept results: many, no key."""
    return (
        (first == "kept" and not below)
        or (first == "archives" and len(below) > 0)
        or (first == "pixels" and below[2:] == ("shards",))
    )


def code_name(code: Mapping[str, str]) -> str:
    """Return the name under which the definitions of a fingerprint of code are kept."""
    return hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()[:16]


def keep_definitions(
    code: Mapping[str, str], folder: Path, definitions: Callable[[], Mapping[str, str] | None]
) -> None:
    """Write once which definitions a fingerprint stands for; None where they are not known."""
    file = folder / f"{code_name(code)}.json"
    if not file.is_file() and (found := definitions()) is not None:
        write_text_atomically(file, json.dumps(dict(sorted(found.items())), indent=0) + "\n")


def kept_definitions(code: Mapping[str, str], folders: Iterable[Path]) -> dict[str, str] | None:
    """Return the hash of each definition that a fingerprint stands for, None where unknown."""
    for folder in folders:
        try:
            content = json.loads((folder / f"{code_name(code)}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            return content
    return None


def _below(path: str, results: Path) -> str:
    prefix = f"{results}/"
    return f"<results>/{path.removeprefix(prefix)}" if path.startswith(prefix) else path


def _place(file: Path, results: Path) -> str:
    return file.relative_to(results).as_posix() if file.is_relative_to(results) else ""


def _from_below(path: str, results: Path) -> str:
    return f"{results}/{path.removeprefix('<results>/')}" if path.startswith("<results>/") else path


def _stored(value: Any) -> Any:
    """Return a value as JSON that gives it back exactly, or its Python text where none does."""
    try:
        if repr(json.loads(json.dumps(value))) == repr(value):
            return value
    except (TypeError, ValueError):
        return {_PYTHON: repr(value)}
    return {_PYTHON: repr(value)}


def _loaded(value: Any) -> Any:
    return _Python(value[_PYTHON]) if isinstance(value, dict) and set(value) == {_PYTHON} else value


class _Python(str):
    """A value known by its Python text alone."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
