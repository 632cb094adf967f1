"""Fingerprints of code: what a script does, not when its file was written.

Snakemake keys a script on its modification time and never sees the modules that it imports. The
fingerprint of a script is a hash over the definitions of the library that it reaches
(`mammoshift.provenance.reach`), each reduced to what it does (`mammoshift.provenance.normal_form`).
What shapes no result is left out (`mammoshift.provenance.outside`).

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import astuple
from functools import cache
from pathlib import Path

from mammoshift.files import write_text_atomically
from mammoshift.provenance.planned_code import DEFINITIONS
from mammoshift.provenance.reach import Definition, Library, Reach
from mammoshift.provenance.scopes import FIRST_PARTY
from mammoshift.provenance.sources import Source, Unit, read_source

_OWN_FILES = (
    "classes.py",
    "fingerprint.py",
    "names.py",
    "normal_form.py",
    "outside.py",
    "scopes.py",
    "sources.py",
)
_REMEMBERED = 1000
"""Files that are remembered before those that are not read any more are forgotten."""


def code_fingerprint(
    script: Path,
    library: Path,
    memory: Path | None = None,
    by_name: Collection[str] | None = None,
) -> dict[str, str]:
    """Return a short hash of what `script` reaches, for each module that it reaches something of.

    The hashes are kept apart by module, so that a person can be told which one changed.

    Parameters
    ----------
    script
        The script of a rule.
    library
        The folder that holds the package `mammoshift`.
    memory
        A file that remembers what parsing gave, by the content of the parsed file: parsing
        everything takes seconds, and every process of a workflow would.
    by_name
        The modules that this use of the script looks up by a name that it computes or finds in a
        table, such as the adapter of one archive, or `module:name` for a definition of one; None
        where that may be any.
    """
    return _reach(script, library, memory, by_name).modules()


def code_key(
    script: Path,
    library: Path,
    memory: Path | None = None,
    by_name: Collection[str] | None = None,
) -> str:
    """Return one short hash of what `script` reaches.

    It is narrower than `code_fingerprint`: it stays the same when definitions move to another
    module. See there for the parameters.
    """
    return _reach(script, library, memory, by_name).key()


def code_definitions(
    script: Path,
    library: Path,
    memory: Path | None = None,
    by_name: Collection[str] | None = None,
) -> list[Definition]:
    """Return each definition that `script` reaches, with a hash of its own code.

    Wherever `code_fingerprint` changes, so does a definition here or the set of them. See there
    for the parameters.
    """
    return _reach(script, library, memory, by_name).definitions()


def definitions_of(
    code: Mapping[str, str],
    script: Path,
    library: Path,
    memory: Path | None = None,
    by_name: Collection[str] | None = None,
) -> dict[str, str] | None:
    """Return the hash of each definition behind the fingerprint of a rule, by `module:name`.

    None where the code is another by now. See `code_fingerprint` for the parameters.
    """
    reach = _reach(script, library, memory, by_name)
    if code != {DEFINITIONS: reach.key()}:
        return None
    found: dict[str, str] = {}
    for definition in reach.definitions():
        name = f"{definition.module}:{definition.name}"
        found[name] = f"{found[name]} {definition.hash}" if name in found else definition.hash
    return found


def file_hashes(folder: Path) -> dict[str, str]:
    """Return a short hash of the content of each file in `folder`, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def _reach(
    script: Path, library: Path, memory: Path | None, by_name: Collection[str] | None
) -> Reach:
    known = _remembered(memory)
    used: dict[str, Source] = {}
    before = len(known)
    files = _modules(library)

    def read(path: Path, module: str, is_script: bool = False) -> Source:
        content = path.read_bytes()
        is_package = path.name == "__init__.py"
        place = f"{_own_version()}\0{module}\0{is_package}\0{is_script}\0".encode()
        key = hashlib.sha256(place + content).hexdigest()
        if key not in known:
            known[key] = read_source(content, module, is_package, is_script)
        used[key] = known[key]
        return known[key]

    reachable = Library(files, lambda module: read(files[module], module), by_name)
    reachable.add(script.name, read(script, script.name, is_script=True))
    reach = Reach(reachable, script.name)
    if memory is not None and len(known) > before:
        kept = known if len(known) < _REMEMBERED else used
        text = json.dumps({key: astuple(source) for key, source in kept.items()})
        write_text_atomically(memory, text)
    return reach


def _modules(library: Path) -> dict[str, Path]:
    """Return the file of each module of the library."""
    result = {}
    for folder, _, names in os.walk(library / FIRST_PARTY):
        package = ".".join(Path(folder).relative_to(library).parts)
        for name in names:
            stem = name.removesuffix(".py")
            if stem != name:
                module = package if stem == "__init__" else f"{package}.{stem}"
                result[module] = Path(folder, name)
    return result


@cache
def _remembered(memory: Path | None) -> dict[str, Source]:
    """Return what is known of parsed files, from this process and from `memory`."""
    if memory is None or not memory.is_file():
        return {}
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
        return {key: _source(values) for key, values in content.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def _source(values: list) -> Source:
    units, names, imported, imports, stars = values
    return Source(
        tuple(
            Unit(
                names=tuple(unit[0]),
                text=unit[1],
                references=tuple(unit[2]),
                imports=tuple(unit[3]),
                registered=tuple((key, module) for key, module in unit[4]),
                held=tuple(unit[5]),
                has_effect=unit[6],
                at_import=tuple((use, reference) for use, reference in unit[7]),
                is_class=unit[8],
                is_plain=unit[9],
                is_quiet=unit[10],
            )
            for unit in units
        ),
        {name: tuple(places) for name, places in names.items()},
        imported,
        tuple(imports),
        tuple(stars),
    )


@cache
def _own_version() -> str:
    """Return what, beside a file's content, decides how it is normalised."""
    folder = Path(__file__).parent
    own = b"".join((folder / name).read_bytes() for name in _OWN_FILES)
    return f"{sys.version_info[:2]}{hashlib.sha256(own).hexdigest()}"
