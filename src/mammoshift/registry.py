"""Finding what can be chosen by name: a module in the right folder is all that a choice needs.

Adapters, twins, kinds of arms and split methods are looked up here, and the configuration takes
its vocabulary from the same lookup. Modules are listed by their files, so that nothing heavy is
imported to know the names.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


@cache
def names_in(package: str) -> tuple[str, ...]:
    """Return the names of the public modules of a package, in alphabetical order."""
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return tuple(
        sorted(
            path.stem
            for folder in folders or ()
            for path in Path(folder).glob("*.py")
            if not path.stem.startswith("_")
        )
    )


def load(package: str, name: str) -> ModuleType:
    """Import the module called `name` of a package.

    Raises
    ------
    KeyError
        If the package has no such module.
    """
    if name not in names_in(package):
        raise KeyError(name)
    return import_module(f"{package}.{name}")


def load_all(package: str) -> tuple[ModuleType, ...]:
    """Import every public module of a package."""
    return tuple(load(package, name) for name in names_in(package))
