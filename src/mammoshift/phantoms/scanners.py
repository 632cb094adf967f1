"""The scanners of the archives, and how a twin's configuration changes them."""

from __future__ import annotations

from dataclasses import replace

from mammoshift.configuration.dataset import Scanner
from mammoshift.phantoms.scanner import ScannerModel

OWN_SCANNERS: dict[str, ScannerModel] = {
    "cbis_ddsm": ScannerModel(
        name="screen-film, transmission digitiser",
        pixel_pitch_mm=0.05,
        field_mm=(236.0, 148.0),
        mtf_frequency_per_mm=4.0,
        mtf_exponent=1.2,
        tone="film",
        bits=16,
        electronic_noise=0.0,
        digitiser="transmission",
        grain=0.03,
        label_share=0.8,
        dust_per_cm2=0.015,
    ),
    "cmmd": ScannerModel(
        name="caesium iodide on amorphous silicon",
        pixel_pitch_mm=0.094090909,
        field_mm=(2294 * 0.094090909, 1914 * 0.094090909),
        mtf_frequency_per_mm=4.8,
        mtf_exponent=1.45,
        tone="sigmoid",
        bits=8,
        window=2.4,
        centre=0.45,
    ),
    "dmid": ScannerModel(
        name="computed radiography",
        pixel_pitch_mm=0.05,
        field_mm=(6000 * 0.05, 4743 * 0.05),
        mtf_frequency_per_mm=2.8,
        mtf_exponent=1.3,
        tone="sigmoid",
        bits=8,
        dose=0.6,
        electronic_noise=8.0,
        window=3.4,
        centre=0.35,
        label_share=1.0,
    ),
    "mias": ScannerModel(
        name="screen-film, density digitiser",
        pixel_pitch_mm=0.2,
        field_mm=(204.8, 204.8),
        mtf_frequency_per_mm=2.5,
        mtf_exponent=1.3,
        tone="film",
        bits=8,
        electronic_noise=0.0,
        digitiser="density",
        grain=0.015,
        label_share=0.9,
        border_share=0.3,
        dust_per_cm2=0.01,
    ),
}
"""Each archive's own scanner.

CMMD follows a fit to the measured MTF of a GE Senographe DS (f0 4.8 per mm, n 1.45); DMID's plate
and both films' screens are plausible values for their kind, since no measurement of those
archives is published.
"""


def scanner_for(layout: str, changes: Scanner, magnification: float = 1.0) -> ScannerModel:
    """Return the archive's own scanner with the given values changed.

    Pitch and MTF frequency are those of the detector before `magnification`; the field of view
    in mm stays, so that a finer pitch makes a larger image.
    """
    return changed_scanner(OWN_SCANNERS[layout], changes, magnification)


def changed_scanner(
    own: ScannerModel, changes: Scanner, magnification: float = 1.0
) -> ScannerModel:
    """Return a twin's own scanner with the given values changed, as `scanner_for` does."""
    given = {name: value for name, value in changes.model_dump().items() if value is not None}
    return replace(own, magnification=magnification, **given)
