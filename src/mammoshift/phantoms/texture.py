"""Power-law random fields: the texture of fibroglandular tissue, and how its exponent is measured.

The power spectrum of mammographic parenchyma follows P(f) = B / f^beta over roughly 0.15 to 0.7
cycles/mm (Burgess, Jacobson and Judy, Med. Phys. 28:419, 2001), with beta about 3.2 (Chen et al.,
Med. Phys. 39:1435, 2012).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

from mammoshift.phantoms.streams import Key, stream

FloatImage = npt.NDArray[np.float32]

COARSEST_PITCH_MM = 1.0
LARGEST_SCALE_MM = 80.0


def power_law_fields(
    seed: int,
    key: tuple[Key, ...],
    beta: float,
    size_mm: tuple[int, int],
    halvings: int,
    elongation: float = 1.0,
) -> tuple[FloatImage, FloatImage]:
    """Return two independent periodic Gaussian fields with power spectrum B / f^beta.

    The Fourier coefficients of each octave come from a stream of their own, so that a finer grid
    samples the same continuous field and only adds higher frequencies.

    Parameters
    ----------
    seed, key
        Name the random stream, as for `mammoshift.phantoms.streams.stream`.
    beta
        Exponent of the power spectrum. Below 1 / `LARGEST_SCALE_MM` the spectrum is flat.
    size_mm
        Rows and columns of the periodic domain in mm, both even.
    halvings
        The pitch is 1 mm halved this often; point (i, j) lies at (i, j) times the pitch.
    elongation
        Above 1, structures are this much longer along the columns' axis x than along y.

    Returns
    -------
    tuple of float32 arrays
        Both of shape ``(size_mm[0] << halvings, size_mm[1] << halvings)``, mean 0 and expected
        variance 1 (of the part that a pitch of 1 mm resolves).
    """
    coefficients = np.zeros((0, 0), np.complex64)
    for octave in range(halvings + 1):
        shape = (size_mm[0] << octave, size_mm[1] << octave)
        rng = stream(seed, *key, "octave", octave)
        finer = rng.standard_normal((*shape, 2), np.float32).view(np.complex64)[..., 0]
        if octave:
            _central_part(finer, coefficients.shape)[:] = coefficients
        coefficients = finer
    amplitude = _amplitude(beta, size_mm, coefficients.shape, elongation)
    norm = np.sqrt(np.sum(_central_part(amplitude, size_mm) ** 2, dtype=np.float64))
    coefficients *= amplitude / np.float32(norm)
    shifted = np.fft.ifftshift(coefficients)
    field = np.asarray(scipy.fft.ifft2(shifted, norm="forward", overwrite_x=True), np.complex64)
    return np.ascontiguousarray(np.real(field)), np.ascontiguousarray(np.imag(field))


def spectral_exponent(
    image: npt.NDArray[np.floating],
    pitch_mm: float,
    band_per_mm: tuple[float, float] = (0.15, 0.7),
    window: int = 256,
) -> float:
    """Estimate beta from the radially binned periodogram, averaged over half-overlapping windows.

    Parameters
    ----------
    image
        At least `window` pixels in both directions.
    pitch_mm
        Pixel pitch in mm.
    band_per_mm
        Frequencies between which log power is fitted against log frequency, in cycles/mm.
    window
        Side of a Hann window in pixels.
    """
    taper = np.hanning(window)[:, None] * np.hanning(window)[None, :]
    power = np.zeros((window, window))
    for top in range(0, image.shape[0] - window + 1, window // 2):
        for left in range(0, image.shape[1] - window + 1, window // 2):
            tile = np.asarray(image[top : top + window, left : left + window], np.float64)
            tile = tile - np.sum(tile * taper) / np.sum(taper)
            power += np.abs(np.fft.fft2(tile * taper)) ** 2
    axis = np.fft.fftfreq(window, pitch_mm)
    frequency = np.hypot(axis[:, None], axis[None, :])
    inside = (frequency >= band_per_mm[0]) & (frequency <= band_per_mm[1])
    edges = np.geomspace(*band_per_mm, 13)
    bins = np.digitize(frequency[inside], edges)
    counts = np.bincount(bins)
    used = counts > 0
    mean_power = np.bincount(bins, power[inside])[used] / counts[used]
    mean_log_frequency = np.bincount(bins, np.log(frequency[inside]))[used] / counts[used]
    slope = np.polyfit(mean_log_frequency, np.log(mean_power), 1, w=np.sqrt(counts[used]))[0]
    return float(-slope)


def _amplitude(
    beta: float, size_mm: tuple[int, int], shape: tuple[int, ...], elongation: float
) -> FloatImage:
    """Return sqrt(P(f)), zero frequency in the middle and set to zero."""
    stretch = np.sqrt(elongation)
    y = (np.arange(shape[0]) - shape[0] // 2) / (size_mm[0] * stretch)
    x = (np.arange(shape[1]) - shape[1] // 2) / size_mm[1] * stretch
    squared = np.add.outer(y.astype(np.float32) ** 2, x.astype(np.float32) ** 2)
    amplitude = np.maximum(squared, np.float32(LARGEST_SCALE_MM**-2)) ** np.float32(-beta / 4)
    amplitude[shape[0] // 2, shape[1] // 2] = 0.0
    return amplitude


def _central_part(array: npt.NDArray, shape: tuple[int, ...]) -> npt.NDArray:
    """Return the view of `shape` (even sizes) around the middle of `array`."""
    top, left = ((whole - part) // 2 for whole, part in zip(array.shape, shape, strict=True))
    return array[top : top + shape[0], left : left + shape[1]]
