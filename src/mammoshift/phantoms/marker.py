"""Film artefacts: lead markers for view and side, and strips of unexposed film."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]

_LEAD_TRANSMISSION = 0.012
_GLYPHS = {
    "C": (".###.", "#...#", "#....", "#....", "#....", "#...#", ".###."),
    "L": ("#....", "#....", "#....", "#....", "#....", "#....", "#####"),
    "M": ("#...#", "##.##", "#.#.#", "#.#.#", "#...#", "#...#", "#...#"),
    "O": (".###.", "#...#", "#...#", "#...#", "#...#", "#...#", ".###."),
    "R": ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"),
}


def put_marker(
    exposure: FloatImage, words: tuple[str, ...], pitch_mm: float, rng: np.random.Generator
) -> None:
    """Shadow a plate with `words` in the upper corner away from the chest wall, in place.

    Parameters
    ----------
    exposure
        Relative exposure, rows x columns, oriented as it is read.
    words
        One line each, of the letters C, L, M, O and R: view and side, and nothing else.
    pitch_mm
        Pixel pitch. The plate is about 20 mm wide; on an image too small for it there is none.
    """
    letters = _letters(words)
    scale = round(20 / pitch_mm / letters.shape[1])
    if scale < 1:
        return
    plate = np.where(np.kron(letters, np.ones((scale, scale), bool)), 1.5, _LEAD_TRANSMISSION)
    height, width = plate.shape
    rows, columns = exposure.shape
    top, inset = (round(rng.uniform(*span) / pitch_mm) for span in ((4, 22), (3, 10)))
    left = columns - inset - width if _free_edge_is_right(exposure) else inset
    if left < 0 or left + width > columns or top + height > rows:
        return
    place = exposure[top : top + height, left : left + width]
    np.minimum(place, plate, out=place, casting="same_kind")


def put_border(exposure: FloatImage, pitch_mm: float, rng: np.random.Generator) -> None:
    """Leave 2 to 8 mm along the edge away from the chest wall unexposed, in place."""
    width = max(1, round(rng.uniform(2, 8) / pitch_mm))
    edge = slice(-width, None) if _free_edge_is_right(exposure) else slice(0, width)
    exposure[:, edge] = _LEAD_TRANSMISSION


def _free_edge_is_right(exposure: FloatImage) -> bool:
    """Tell where the air is: the chest wall absorbs more than the far edge."""
    return bool(exposure[:, -1].sum() > exposure[:, 0].sum())


def _letters(words: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Return the words' pixels, true where the plate is cut out, with a rim of two pixels."""
    lines = [np.hstack([_glyph(letter) for letter in word]) for word in words]
    width = max(line.shape[1] for line in lines)
    padded = [np.pad(line, ((0, 1), (0, width - line.shape[1]))) for line in lines]
    return np.pad(np.vstack(padded), 2)


def _glyph(letter: str) -> npt.NDArray[np.bool_]:
    rows = [[pixel == "#" for pixel in row] + [False] for row in _GLYPHS[letter]]
    return np.array(rows, dtype=bool)
