"""What lies among results and belongs to no study any more: removed arms, targets and data."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammoshift.errors import DamagedFileError
from mammoshift.provenance.keys import Key, all_keys

TWIN_RULE, BUNDLE_RULE = "make_twin", "preprocess_bundle"


@dataclass(frozen=True)
class Leftover:
    """A folder, or the files of one job, that may be removed.

    Attributes
    ----------
    name
        What a person knows it by: the folder of the images of a twin, an output.
    paths
        The folder alone, or the files, the key first: what is half removed is not believed.
    of
        The rules that made it.
    size
        In bytes.
    is_shared
        Whether it is of no study, such as a manifest, a twin or pixels: what another configuration
        has in the same folder of results and has not finished may be made from it, which nothing
        tells.
    """

    name: Path
    paths: tuple[Path, ...]
    of: str
    size: int
    is_shared: bool


def leftovers(results: Path, wanted: Collection[str], studies: Collection[str]) -> list[Leftover]:
    """Return what jobs wrote that no study of the configuration is made from.

    Results of studies that the configuration does not name are not touched, nor what they were
    made from: another configuration may have the same folder of results.

    Parameters
    ----------
    results
        The folder.
    wanted
        Every file that a job of the configured studies writes.
    studies
        Their names.
    """
    keys = [key for key in all_keys(results) if not isinstance(key, DamagedFileError)]
    spared = _spared(keys, wanted, studies)
    kept_folders = {folder for file in spared for folder in file.parents}
    found: dict[Path, list[Key]] = {}
    for key in keys:
        if key.file in spared:
            continue
        whole = _largest_folder(key, results, kept_folders)
        found.setdefault(whole or key.file, []).append(key)
    return [
        _leftover(place, (place,), owned)
        if place.is_dir()
        else _leftover(_name_of(owned[0]), tuple(_files_of(owned[0])), owned)
        for place, owned in sorted(found.items())
    ]


def remove(leftover: Leftover) -> None:
    """Remove what is left over."""
    for path in leftover.paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.stat().st_size if path.is_file() else 0
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _spared(
    keys: Sequence[Key], wanted: Collection[str], studies: Collection[str]
) -> Mapping[Path, Key]:
    """Return the keys of what is wanted, and of other studies with all that these read."""
    wanted = set(wanted)
    writer = {str(path): key for key in keys for path in key.paths}
    spared: dict[Path, Key] = {}
    waiting: list[Key] = []
    for key in keys:
        study = key.wildcards.get("study")
        if not key.rule or wanted & {str(path) for path in key.paths}:
            spared[key.file] = key
        elif study is not None and study not in studies:
            waiting.append(key)
    while waiting:
        key = waiting.pop()
        if key.file not in spared:
            spared[key.file] = key
            waiting.extend(writer[path] for path, _ in key.inputs if path in writer)
    return spared


def _largest_folder(key: Key, results: Path, kept: Collection[Path]) -> Path | None:
    """Return the largest folder around a key in which nothing else is wanted, None without any."""
    found = None
    for folder in key.file.parents:
        if folder in kept or folder == results or folder.parent == results:
            break
        found = folder
    return found


def _files_of(key: Key) -> Iterator[Path]:
    """Yield a job's files: its outputs, its key, and what it wrote beside declared outputs."""
    yield key.file
    for path in key.paths:
        yield path
        yield path.with_name(f".{path.name}.sha256")
    first = key.paths[0]
    if key.rule == TWIN_RULE:
        yield first.with_suffix("")
    elif key.rule == BUNDLE_RULE:
        yield from first.parents[1].glob(f"shards/{int(first.stem):03d}-*")


def _name_of(key: Key) -> Path:
    first = key.paths[0]
    images = first.with_suffix("")
    return images if key.rule == TWIN_RULE and images.is_dir() else first


def _leftover(name: Path, paths: Sequence[Path], owned: Sequence[Key]) -> Leftover:
    present = tuple(path for path in paths if path.exists())
    rules = ", ".join(sorted({key.rule for key in owned}))
    is_shared = any("study" not in key.wildcards for key in owned)
    return Leftover(name, present, rules, sum(map(size_of, present)), is_shared)
