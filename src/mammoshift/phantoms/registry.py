"""Which twins there are: modules in the folder `twins`, each the layout of one adapter.

A layout belongs to the adapter whose name it has (`cmmd`), or begins with before an underscore
(`csv_case_control`), the longest where several fit. Its module offers ``LAYOUT``, a
`mammoshift.phantoms.twins.layout.Layout`, and ``SCANNER``, the
`mammoshift.phantoms.scanner.ScannerModel` that it is imaged with. Modules are listed without being
imported, since they need numpy and more.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from mammoshift.archives.registry import adapter_names
from mammoshift.errors import ConfigurationError
from mammoshift.registry import load, names_in

if TYPE_CHECKING:
    from mammoshift.phantoms.scanner import ScannerModel
    from mammoshift.phantoms.twins.layout import Layout

_PACKAGE = "mammoshift.phantoms.twins"


def layout_names() -> tuple[str, ...]:
    """Return the names of all layouts of twins, sorted."""
    return tuple(name for name in names_in(_PACKAGE) if adapter_of(name) is not None)


def layouts_of(adapter: str) -> tuple[str, ...]:
    """Return the names of the layouts that an adapter reads, sorted; none without a twin."""
    return tuple(name for name in layout_names() if adapter_of(name) == adapter)


def adapter_of(layout: str) -> str | None:
    """Return the adapter that a layout belongs to; None for a module that is no layout."""
    fitting = (name for name in adapter_names() if f"{layout}_".startswith(f"{name}_"))
    return max(fitting, key=len, default=None)


def twin_names() -> tuple[str, ...]:
    """Return the names of the adapters that have a twin, sorted."""
    return tuple(name for name in adapter_names() if layouts_of(name))


def twin_module(name: str) -> str:
    """Return the full name of a layout's module: what a fingerprint of its code starts from."""
    return f"{_PACKAGE}.{name}"


def load_layout(name: str) -> Layout[Any]:
    """Return the layout called `name`; only its own module is imported.

    Raises
    ------
    ConfigurationError
        If there is no such layout, or its module has no ``LAYOUT``.
    """
    if name not in layout_names():
        raise ConfigurationError(
            f"there is no twin in the layout {name!r}; there are {', '.join(layout_names())}"
        )
    module = load(_PACKAGE, name)
    return _offered(name, module, "LAYOUT")


def own_scanner(name: str) -> ScannerModel:
    """Return the scanner that the layout called `name` is imaged with.

    Raises
    ------
    ConfigurationError
        If there is no such layout, or its module has no ``SCANNER``.
    """
    if name not in layout_names():
        raise ConfigurationError(
            f"there is no scanner like {name!r}; there are those of {', '.join(layout_names())}"
        )
    return _offered(name, load(_PACKAGE, name), "SCANNER")


def _offered(name: str, module: ModuleType, what: str) -> Any:
    try:
        return getattr(module, what)
    except AttributeError:
        raise ConfigurationError(f"the twin {name} ({twin_module(name)}) lacks {what}") from None
