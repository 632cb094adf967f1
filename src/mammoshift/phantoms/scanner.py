"""From attenuation to grey values: exposure, blur, sampling, noise, tone and film.

exposure = exp(-(optical depth - reference))          Beer and Lambert, with exposure control
MTF(f)   = exp(-(f / f0)^n)                           presampling modulation transfer function
quanta   ~ Poisson(dose * quanta * exposure) + Normal(0, electronic noise)
grey     = tone(display(-log(quanta / (dose * quanta))))

A pixel's noise is one draw from the normal distribution, whatever the dose, so that a patient who
is imaged again at another dose differs by the dose alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.special

from mammoshift.phantoms.anatomy import Projection
from mammoshift.phantoms.display import process_for_display
from mammoshift.phantoms.outline import WINDOW_MM

FloatImage = npt.NDArray[np.float32]
Tone = Literal["linear", "sigmoid", "film"]
Digitiser = Literal["density", "transmission"]

QUANTA_PER_MM2 = 3.0e5
"""Quanta detected behind the mean breast at dose 1; 3000 in a pixel of 0.1 mm."""

_FILM_BASE, _FILM_TOP, _FILM_SLOPE, _FILM_SPEED_POINT = 0.2, 3.8, 3.2, 1.5
_LARGEST_DENSITY = 3.2
_NOISE_FLOOR = 1e-3
_BLUR_MARGIN = 32


@dataclass(frozen=True)
class ScannerModel:
    """One way to make an image.

    `pixel_pitch_mm`, `mtf_frequency_per_mm` (f0) and `mtf_exponent` (n) describe the detector;
    `magnification` coarsens pixel and blur together and leaves the quanta in a pixel alone, so
    that a coarse pixel looks like a real one. `field_mm` is the size (rows, columns) of the
    detector or film. `dose` is relative; `electronic_noise` a standard deviation in quanta.
    `window` is the width, in optical depth, of the sigmoid tone, `centre` its middle relative to
    the mean breast. `thickness_equalisation` and `edge_enhancement` are what a digital unit does
    before display (see `mammoshift.phantoms.display`). `digitiser` is how a film's density becomes
    a grey value; `grain` is the standard deviation of its optical density per pixel. `label_share`
    of the images carry a lead marker, `border_share` a strip of unexposed film.
    """

    name: str
    pixel_pitch_mm: float
    field_mm: tuple[float, float]
    mtf_frequency_per_mm: float
    mtf_exponent: float
    tone: Tone
    bits: int
    magnification: float = 1.0
    dose: float = 1.0
    electronic_noise: float = 5.0
    window: float = 2.0
    centre: float = 0.0
    thickness_equalisation: float = 0.0
    edge_enhancement: float = 0.0
    digitiser: Digitiser = "density"
    grain: float = 0.02
    label_share: float = 0.0
    border_share: float = 0.0
    dust_per_cm2: float = 0.0

    @property
    def pitch_mm(self) -> float:
        """Pitch of the image's pixels in mm."""
        return self.pixel_pitch_mm * self.magnification

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return (
            max(1, round(self.field_mm[0] / self.pitch_mm)),
            max(1, round(self.field_mm[1] / self.pitch_mm)),
        )

    @property
    def quanta(self) -> float:
        """Mean number of quanta in a pixel behind the mean breast."""
        return self.dose * QUANTA_PER_MM2 * self.pixel_pitch_mm**2

    @property
    def halvings(self) -> int:
        """How often 1 mm is halved for a grid no coarser than 1.3 of these pixels."""
        return max(0, int(np.ceil(np.log2(1 / (1.3 * self.pitch_mm)))))


def expose(projection: Projection, scanner: ScannerModel, rng: np.random.Generator) -> FloatImage:
    """Return the noisy exposure of each pixel relative to that behind the mean breast.

    Returns
    -------
    float32 array of shape ``scanner.shape``
        At least `_NOISE_FLOOR`; 1 behind the mean breast, far above in air. The chest wall is
        at the first column and the window's middle row at the middle row.
    """
    transmitted = np.exp(np.float32(projection.reference) - projection.optical_depth)
    blurred = _blur(transmitted, projection.pitch_mm, scanner)
    sampled = sample(blurred, projection.pitch_mm, scanner)
    expected = np.maximum(sampled, 0) * np.float32(scanner.quanta)
    counted = _count(expected, scanner.electronic_noise, rng)
    relative = counted / np.float32(scanner.quanta)
    return np.maximum(relative, _NOISE_FLOOR).astype(np.float32)


def _count(expected: FloatImage, electronic_noise: float, rng: np.random.Generator) -> FloatImage:
    """Return counts with the mean, variance and skewness of Poisson's plus Gaussian noise.

    The quantile of a single standard normal draw, by the first terms of Cornish and Fisher's
    expansion: x = mean + sd z + (third cumulant / variance) (z^2 - 1) / 6.
    """
    noise = rng.standard_normal(expected.shape, np.float32)
    variance = expected + np.float32(electronic_noise**2)
    counted = expected + np.sqrt(variance) * noise
    skew = expected / np.maximum(variance, np.float32(1e-6))
    counted += skew * (noise * noise - 1) / np.float32(6)
    return np.maximum(counted, 0).astype(np.float32, copy=False)


def develop(exposure: FloatImage, scanner: ScannerModel, rng: np.random.Generator) -> FloatImage:
    """Return grey values in [0, 1], bright where little radiation came through.

    `linear` is linear in optical depth from 3 below to 1.5 above the mean breast; `sigmoid` is
    the DICOM sigmoid (PS3.3 C.11.2.1.3.1) of optical depth, both after processing for display;
    `film` is an H&D curve, read by
    the scanner's digitiser.
    """
    if scanner.tone == "film":
        return _film(exposure, scanner, rng)
    depth = process_for_display(
        -np.log(exposure),
        scanner.pitch_mm,
        scanner.thickness_equalisation,
        scanner.edge_enhancement,
    )
    if scanner.tone == "linear":
        return np.clip((depth + np.float32(3.0)) / np.float32(4.5), 0, 1)
    return scipy.special.expit(
        np.float32(4 / scanner.window) * (depth - np.float32(scanner.centre))
    )


def quantise(grey: FloatImage, bits: int) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Return integers in [0, 2^bits - 1] of grey values in [0, 1]; at most 16 bits."""
    values = np.rint(np.clip(grey, 0, 1) * np.float32(2**bits - 1))
    return values.astype(np.uint8) if bits <= 8 else values.astype(np.uint16)


def detector_position(
    row_mm: float, column_mm: float, scanner: ScannerModel
) -> tuple[float, float]:
    """Return the pixel coordinates (row, column) of a place in the anatomy's window."""
    top = (WINDOW_MM[0] - scanner.shape[0] * scanner.pitch_mm) / 2
    return (row_mm - top) / scanner.pitch_mm - 0.5, column_mm / scanner.pitch_mm - 0.5


def _blur(signal: FloatImage, pitch_mm: float, scanner: ScannerModel) -> FloatImage:
    """Return `signal` after the scanner's MTF; the border is continued outward first."""
    margin = _BLUR_MARGIN
    rows, columns = (_fast_length(n + 2 * margin) for n in signal.shape)
    padded = np.pad(
        signal,
        ((margin, rows - signal.shape[0] - margin), (margin, columns - signal.shape[1] - margin)),
        mode="edge",
    )
    y = scipy.fft.fftfreq(rows, pitch_mm).astype(np.float32)
    x = scipy.fft.rfftfreq(columns, pitch_mm).astype(np.float32)
    f0 = scanner.mtf_frequency_per_mm / scanner.magnification
    squared = np.add.outer(y * y, x * x) / np.float32(f0 * f0)
    transfer = np.exp(-np.power(squared, np.float32(scanner.mtf_exponent / 2)))
    spectrum = scipy.fft.rfft2(padded, overwrite_x=True) * transfer
    blurred = np.asarray(scipy.fft.irfft2(spectrum, s=(rows, columns), overwrite_x=True))
    return blurred[margin : margin + signal.shape[0], margin : margin + signal.shape[1]]


def _fast_length(least: int) -> int:
    """Return an even number, at least `least`, that the FFT transforms fast."""
    fast = scipy.fft.next_fast_len((least + 1) // 2, True)
    if fast is None:
        raise ValueError(f"no fast length for {least}")
    return 2 * fast


def sample(signal: FloatImage, pitch_mm: float, scanner: ScannerModel) -> FloatImage:
    """Return `signal` at the centres of the detector's pixels, continued beyond the window."""
    step = scanner.pitch_mm / pitch_mm
    top = (WINDOW_MM[0] - scanner.shape[0] * scanner.pitch_mm) / 2 / pitch_mm
    sampled = cv2.warpAffine(
        np.ascontiguousarray(signal),
        np.array([[step, 0, 0.5 * step], [0, step, top + 0.5 * step]]),
        (scanner.shape[1], scanner.shape[0]),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(sampled, np.float32)


def _film(exposure: FloatImage, scanner: ScannerModel, rng: np.random.Generator) -> FloatImage:
    """Return the grey values that a digitiser reads from a screen-film image.

    The optical density is a logistic H&D curve of log10 exposure with the given toe, shoulder
    and slope. A `transmission` digitiser follows the DBA M2100 of DDSM, grey = 10^(4.794 - 1.068
    OD) of 65535 for OD 0.04 to 2.6, with noise that grows, relative to the grey value, with
    density; a `density` digitiser is linear in OD up to 3.2.
    """
    scale = np.float32(4 * _FILM_SLOPE / (_FILM_TOP - _FILM_BASE))
    middle = (_FILM_TOP + _FILM_BASE) / 2
    speed = np.log(_FILM_TOP - _FILM_SPEED_POINT) - np.log(_FILM_SPEED_POINT - _FILM_BASE)
    shift = np.float32(-speed)
    density = _FILM_BASE + (_FILM_TOP - _FILM_BASE) * scipy.special.expit(
        scale * np.log10(exposure) + shift
    )
    density += (scanner.grain * np.sqrt(density / middle)) * rng.standard_normal(
        density.shape, np.float32
    )
    _put_dust(density, scanner, rng)
    if scanner.digitiser == "density":
        return np.clip(1 - density / _LARGEST_DENSITY, 0, 1).astype(np.float32)
    grey = np.power(np.float32(10), 4.794 - 1.068 * np.clip(density, 0.04, 2.6))
    deviation = 350 * np.power(grey / 55722, np.float32(0.8))
    grey += deviation * rng.standard_normal(grey.shape, np.float32)
    return np.clip(grey / 65535, 0, 1).astype(np.float32)


def _put_dust(density: FloatImage, scanner: ScannerModel, rng: np.random.Generator) -> None:
    """Add specks and short hairs on the film; bright or dark."""
    area_cm2 = density.size * scanner.pitch_mm**2 / 100
    for _ in range(int(rng.poisson(scanner.dust_per_cm2 * area_cm2))):
        row, column = (int(rng.integers(0, size)) for size in density.shape)
        length = 1 + int(rng.exponential(1.5 / scanner.pixel_pitch_mm / 10))
        down, across = int(rng.integers(0, 2)), int(rng.integers(0, 2))
        steps = np.arange(min(length, 40))
        rows = np.minimum(row + steps * down, density.shape[0] - 1)
        columns = np.minimum(column + steps * across, density.shape[1] - 1)
        density[rows, columns] += rng.uniform(-0.4, 0.4)
