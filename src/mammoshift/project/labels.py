"""What the values of a label column mean: normal, benign or malignant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from mammoshift.errors import ArchiveError

Pathology = Literal["normal", "benign", "malignant"]

WORDS: Mapping[str, Pathology] = {
    **dict.fromkeys(
        ("normal", "negative", "neg", "healthy", "clear", "none", "control", "no", "n", "false",
         "0", "no cancer", "no finding"),
        "normal",
    ),
    **dict.fromkeys(("benign", "b", "benign_without_callback"), "benign"),
    **dict.fromkeys(
        ("malignant", "malign", "cancer", "positive", "pos", "m", "yes", "y", "true", "1", "case",
         "carcinoma"),
        "malignant",
    ),
}  # fmt: skip
"""Values that say by themselves what they mean, in small letters."""

MOST_VALUES = 12
"""A column with more different values is no label, and its values may name persons."""

_LONGEST = 40


def label_values(
    cells: Sequence[str], positive: Sequence[str], column: str, empty: Pathology | None = None
) -> dict[str, Pathology]:
    """Return what each value of the label column means.

    Parameters
    ----------
    cells
        The column, one cell for each image.
    positive
        Values that are malignant; all others are then normal, or benign where they say so. Without
        any, every value must be one of `WORDS`.
    column
        Its name, for messages.
    empty
        What an empty cell means; None where it is a mistake.

    Raises
    ------
    ArchiveError
        If a value is not understood, a positive one does not occur, or all are of one class.
    """
    counts = Counter(cells)
    blank = counts.pop("", 0)
    if blank and empty is None:
        raise ArchiveError(
            f"column {column!r}: {blank} of {len(cells)} rows have no label; fill them, take the "
            "rows out, or say what an empty cell means: --empty normal (benign, malignant)"
        )
    if len(counts) > MOST_VALUES:
        raise ArchiveError(
            f"column {column!r} has {len(counts)} different values, so it is no label; name the "
            "right one with --label"
        )
    unknown = [value for value in positive if value not in counts]
    if unknown:
        raise ArchiveError(
            f"--positive {unknown[0]}: column {column!r} has no such value; it has {_shown(counts)}"
        )
    meant: dict[str, Pathology] = {"": empty} if blank and empty else {}
    strange = [value for value in counts if not positive and value.lower() not in WORDS]
    if strange:
        raise ArchiveError(
            f"column {column!r} has the values {_shown(counts)}; say which of them mean cancer, "
            f"each with --positive, as in --positive {_quoted(strange[-1])}"
        )
    for value in counts:
        known = WORDS.get(value.lower(), "normal")
        if positive:
            benign = known == "benign"
            known = "malignant" if value in positive else "benign" if benign else "normal"
        meant[value] = known
    if "malignant" not in meant.values() or set(meant.values()) == {"malignant"}:
        raise ArchiveError(
            f"column {column!r} has the values {_shown(counts)}: all of one class; a study needs "
            "images with and without cancer. Name another column with --label, or say which values "
            "mean cancer with --positive"
        )
    return meant


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{_quoted(value)} ({count})" for value, count in sorted(counts.items()))


def _quoted(value: str) -> str:
    short = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."
    return "'" + "".join(c if c.isprintable() else "?" for c in short) + "'"
