"""Which twins there are: the twin of an adapter is the module of its name in the folder `twins`.

A twin's module offers ``LAYOUT``, a `mammoshift.phantoms.twins.layout.Layout`. Modules are
listed without being imported, since they need numpy and more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mammoshift.archives.registry import adapter_names
from mammoshift.errors import ConfigurationError
from mammoshift.registry import load, names_in

if TYPE_CHECKING:
    from mammoshift.phantoms.twins.layout import Layout

_PACKAGE = "mammoshift.phantoms.twins"


def twin_names() -> tuple[str, ...]:
    """Return the names of the adapters that have a twin, sorted."""
    there = names_in(_PACKAGE)
    return tuple(name for name in adapter_names() if name in there)


def twin_module(name: str) -> str:
    """Return the full name of a twin's module: what a fingerprint of its code starts from."""
    return f"{_PACKAGE}.{name}"


def load_layout(name: str) -> Layout[Any]:
    """Return the layout of the twin called `name`; only its own module is imported.

    Raises
    ------
    ConfigurationError
        If there is no such twin, or its module has no ``LAYOUT``.
    """
    if name not in twin_names():
        raise ConfigurationError(
            f"there is no twin in the layout {name!r}; there are {', '.join(twin_names())}"
        )
    module = load(_PACKAGE, name)
    try:
        return module.LAYOUT
    except AttributeError:
        raise ConfigurationError(f"the twin {name} ({twin_module(name)}) lacks LAYOUT") from None
