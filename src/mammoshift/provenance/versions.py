"""Versions of the libraries that decode and compute, where, and the time that a result took.

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from mammoshift.provenance.machine import machine

LIBRARIES = {
    "cv2": "opencv-python-headless",
    "imagecodecs": "imagecodecs",
    "numpy": "numpy",
    "pandas": "pandas",
    "PIL": "pillow",
    "pyarrow": "pyarrow",
    "pydicom": "pydicom",
    "pywt": "PyWavelets",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
}
"""Module -> distribution of what may shape a number."""

SETTING = "MAMMOSHIFT_VERSIONS"
RERUN = "rerun"
"""Value of the setting under which a result of other versions is not valid."""

_STARTED = time.monotonic()
_parts: list[tuple[Mapping[str, str], float, Sequence[str]]] = []
"""Of each part that this process restored or made: versions, seconds beside its own, machines."""


def loaded_versions() -> dict[str, str]:
    """Return the versions that shaped what this process made, by distribution.

    They are those that made its parts, several where they differ; of a process that restored no
    part and noted none, those of the libraries that it loaded. A process that restores everything
    is not among those that shaped it.
    """
    found: dict[str, set[str]] = {}
    for versions in [versions for versions, _, _ in _parts] or [_own_versions()]:
        for name, version in versions.items():
            if version:
                found.setdefault(name, set()).update(version.split(", "))
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}


def _own_versions() -> dict[str, str]:
    return {dist: installed(dist) for name, dist in LIBRARIES.items() if name in sys.modules}


def seconds_of_work() -> float:
    """Return the seconds that this process has run, and those that what it restored had taken."""
    return time.monotonic() - _STARTED + sum(seconds for _, seconds, _ in _parts)


def machines_of_work() -> list[str]:
    """Return the machines that computed what this process made, each once; as `loaded_versions`."""
    return sorted({name for _, _, machines in _parts for name in machines} or {machine()})


def made_here(seconds: float) -> dict[str, Any]:
    """Note that this process made a part in `seconds`; return what is noted of that part."""
    own = _own_versions()
    _parts.append((own, 0.0, (machine(),)))
    return {"versions": own, "seconds": round(seconds, 3), "machines": [machine()]}


def made_in_all() -> dict[str, Any]:
    """Return what is noted of parts of which some were kept: as `made_here`, with theirs."""
    return {
        "versions": loaded_versions(),
        "seconds": round(seconds_of_work(), 3),
        "machines": machines_of_work(),
    }


def may_be_kept(made: Mapping[str, Any] | None) -> bool:
    """Tell whether a part of a result that was made earlier holds under the versions of now.

    Only where those must be the same may it not; what nothing is known of then does not hold.
    """
    return not must_be_the_same() or (made is not None and not differing(made["versions"]))


def note_kept(made: Mapping[str, Any] | None) -> None:
    """Take in the versions, time and machines of a part that was kept, as far as known."""
    if made is not None:
        note_restored(made["versions"], made["seconds"], made["machines"])


def note_restored(
    versions: Mapping[str, str], seconds: float, machines: Sequence[str] = ()
) -> None:
    """Take in the versions of a kept result that this process restored, its time and machines."""
    _parts.append((dict(versions), seconds, tuple(machines)))


@cache
def installed(distribution: str) -> str:
    """Return the version of a distribution in this environment, empty where it is absent."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def differing(versions: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the libraries of which another version is installed: then and now."""
    return {
        name: (then, now)
        for name, then in sorted(versions.items())
        if then != (now := installed(name)) and now
    }


def must_be_the_same() -> bool:
    """Tell whether results of other versions are to be made again."""
    return os.environ.get(SETTING) == RERUN
