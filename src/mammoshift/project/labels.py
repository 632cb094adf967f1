"""What the values of a label column mean: normal, benign or malignant."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

from mammoshift.errors import ArchiveError
from mammoshift.project.words import BENIGN, CANCER, NORMAL, POSITIVE, plain_word

Pathology = Literal["normal", "benign", "malignant"]

WORDS: Mapping[str, Pathology] = {
    **dict.fromkeys(NORMAL, "normal"),
    **dict.fromkeys(BENIGN, "benign"),
    **dict.fromkeys((*POSITIVE, *CANCER), "malignant"),
}
"""Values that say by themselves what they mean."""

MOST_VALUES = 12
"""A column with more different values is no label, and its values may name persons."""

_LONGEST = 40
_ALIKE, _LONG_ENOUGH = 0.82, 4
"""How alike a misspelt value is to what was meant, as `difflib` counts (`no cancer` and `cancer`
are less so), and the letters that it has."""


def label_values(
    cells: Sequence[str],
    positive: Sequence[str],
    column: str,
    empty: Pathology | None = None,
    benign: Sequence[str] = (),
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
    benign
        Values that are benign.

    Raises
    ------
    ArchiveError
        If a value is not understood, a given one does not occur, or all are of one class; if
        `positive` leaves out a value that means cancer, or differs from one of its own in capitals
        and blanks only.
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
    for option, values in (("--positive", positive), ("--benign", benign)):
        for value in values:
            if value not in counts:
                raise ArchiveError(
                    f"{option} {value}: column {column!r} has no such value; it has "
                    f"{_shown(counts)}"
                )
    _check_left_out(counts, positive, benign, column)
    meant: dict[str, Pathology] = {"": empty} if blank and empty else {}
    strange = [value for value in counts if _strange(value, positive, benign)]
    if strange:
        raise ArchiveError(
            f"column {column!r} has the values {_shown(counts)}; "
            f"{_misspelt(counts, strange) or _which_mean_cancer(strange)}"
        )
    for value in counts:
        known = WORDS.get(plain_word(value), "normal")
        if positive and known == "malignant":
            known = "normal"
        given: Pathology | None = "malignant" if value in positive else None
        meant[value] = given or ("benign" if value in benign else known)
    if "malignant" not in meant.values() or set(meant.values()) == {"malignant"}:
        raise ArchiveError(
            f"column {column!r} has the values {_shown(counts)}: all of one class; a study needs "
            "images with and without cancer. Name another column with --label, or say which values "
            "mean cancer with --positive"
        )
    return meant


def _which_mean_cancer(strange: Sequence[str]) -> str:
    return (
        "say which of them mean cancer, each with --positive, as in --positive "
        f"{quoted(strange[-1])}"
    )


def _misspelt(counts: Mapping[str, int], strange: Sequence[str]) -> str:
    """Return which values look like others that are understood and more frequent, if any do."""
    said = []
    for value in strange:
        known = {plain_word(v): v for v in counts if v not in strange and counts[v] > counts[value]}
        meant = _misspelling_of(value, list(known))
        if meant is not None:
            said.append(f"is {quoted(value)} a misspelling of {quoted(known[meant])}?")
    mend = "Mend the table, or say with --positive which of the values mean cancer"
    return f"{' '.join(said)} {mend}" if said else ""


def _misspelling_of(value: str, words: Sequence[str]) -> str | None:
    """Return the plain word that a value is nearly; None for short ones and known ones."""
    plain = plain_word(value)
    if len(plain) < _LONG_ENOUGH or plain in WORDS:
        return None
    return next(iter(get_close_matches(plain, words, 1, _ALIKE)), None)


def _check_left_out(
    counts: Mapping[str, int], positive: Sequence[str], benign: Sequence[str], column: str
) -> None:
    """Refuse values that nobody would take for negative, though `positive` does not have them."""
    alike = {"".join(_plain(value).split()): value for value in positive}
    for value in counts if positive else ():
        if value in positive or value in benign:
            continue
        twin = alike.get("".join(_plain(value).split()))
        nearly = _misspelling_of(value, [*map(plain_word, positive), *CANCER])
        if twin is not None:
            why = f"differs from {quoted(twin)} in capitals or blanks only"
        elif plain_word(value) in CANCER:
            why = "means cancer by itself"
        elif nearly is not None:
            why = f"looks like a misspelling of {quoted(nearly)}"
        else:
            continue
        raise ArchiveError(
            f"column {column!r}: {quoted(value)} ({counts[value]}) {why}; say what it means, as in "
            f"--positive {quoted(value)} or --benign {quoted(value)}, or mend the table"
        )


def _strange(value: str, positive: Sequence[str], benign: Sequence[str]) -> bool:
    return not positive and value not in benign and plain_word(value) not in WORDS


def _plain(value: str) -> str:
    """Return a value in small letters, with single blanks and letters in one form."""
    return " ".join(unicodedata.normalize("NFC", value).casefold().split())


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{quoted(value)} ({count})" for value, count in sorted(counts.items()))


def quoted(value: str) -> str:
    """Return a label as it may be printed."""
    short = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."
    return "'" + "".join(c if c.isprintable() else "?" for c in short) + "'"
