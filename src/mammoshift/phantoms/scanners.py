"""The scanner of each archive, and how a twin's configuration changes it."""

from __future__ import annotations

from dataclasses import replace

from mammoshift.configuration.dataset import Scanner
from mammoshift.phantoms.registry import own_scanner
from mammoshift.phantoms.scanner import ScannerModel


def scanner_for(layout: str, changes: Scanner, magnification: float = 1.0) -> ScannerModel:
    """Return the own scanner of the archive of a layout with the given values changed."""
    return changed_scanner(own_scanner(layout), changes, magnification)


def changed_scanner(
    own: ScannerModel, changes: Scanner, magnification: float = 1.0
) -> ScannerModel:
    """Return a twin's own scanner with the given values changed.

    `like` takes the whole scanner of another archive, field of view included; the bits stay those
    that the layout can hold. Pitch and MTF frequency are those of the detector before
    `magnification`; the field of view in mm stays, so that a finer pitch makes a larger image.
    """
    given = {name: value for name, value in changes.model_dump().items() if value is not None}
    base = given.pop("like", None)
    if base is not None:
        own = replace(own_scanner(base), bits=own.bits)
    return replace(own, magnification=magnification, **given)
