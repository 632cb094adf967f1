"""What the numbers of a report were made with: accepted changes, and versions that differ.

Read from the keys beside the results (`mammoshift.provenance.keys`), from those that the report
reads back to the raw data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammoshift.provenance.keys import Key, Keys


@dataclass(frozen=True)
class AcceptedChange:
    """A change that a person declared to be without effect on some results.

    Attributes
    ----------
    rule, results
        The rule of the results, and how many of them it was accepted for.
    changes
        What had changed, in words.
    because, when
        The reason that was given, and the date and time.
    """

    rule: str
    results: int
    changes: tuple[str, ...]
    because: str
    when: str


@dataclass(frozen=True)
class LibraryVersion:
    """A version of a library, and how many results of which rules it made."""

    library: str
    version: str
    results: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class MadeOf:
    """Changes that were accepted, and the libraries of which several versions made the results."""

    accepted: tuple[AcceptedChange, ...] = ()
    versions: tuple[LibraryVersion, ...] = ()


NOT_KNOWN = MadeOf()


def made_of(
    files: Iterable[Path], results: Path, accepted: Sequence[Mapping[str, object]] = ()
) -> MadeOf:
    """Return what is known of how some results were made.

    Parameters
    ----------
    files
        The results that the report reads.
    results
        The folder of all results, as the paths of `files` name it.
    accepted
        Fields of `AcceptedChange`, one for each change.
    """
    changes = tuple(
        AcceptedChange(
            rule=str(one["rule"]),
            results=int(str(one["results"])),
            changes=tuple(map(str, one["changes"])),  # type: ignore[call-overload]
            because=str(one["because"]),
            when=str(one["when"]),
        )
        for one in accepted
    )
    return MadeOf(changes, differing_versions(keys_behind(files, Keys(results))))


def keys_behind(files: Iterable[Path], keys: Keys) -> Iterator[Key]:
    """Yield the key of each file, of each file that it was made from, and so on, each once."""
    waiting, seen = list(files), set()
    while waiting:
        key = keys.of(waiting.pop())
        if key is None or key.file in seen:
            continue
        seen.add(key.file)
        yield key
        waiting += [Path(path) for path, _ in key.inputs]


def differing_versions(keys: Iterable[Key]) -> tuple[LibraryVersion, ...]:
    """Return the libraries of which more than one version made results, by name and version."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for key in keys:
        for library, versions in key.versions.items():
            for version in versions.split(", "):
                counts = found.setdefault(library, {}).setdefault(version, {})
                counts[key.rule] = counts.get(key.rule, 0) + 1
    return tuple(
        LibraryVersion(library, version, tuple(sorted(counts.items())))
        for library, versions in sorted(found.items())
        if len(versions) > 1
        for version, counts in sorted(versions.items())
    )
