"""Tables of results on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mammoshift.commands.options import Row

PLAIN_WIDTH = 200
ROWS_OF_A_SCREEN = 24


def result_console() -> Console:
    """Return a console on standard output; one that is not a terminal is wide enough for tables."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def print_table(
    console: Console,
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str | None]],
    *,
    names: int = 1,
    notes: Sequence[str] | None = None,
) -> None:
    """Print rows of text, None as a dash, with their notes as numbered footnotes.

    Parameters
    ----------
    names
        So many columns name the row and are aligned left; the others hold numbers.
    notes
        One for each row, empty where there is nothing to say.
    """
    footnotes = {note: i for i, note in enumerate(dict.fromkeys(filter(None, notes or ())), 1)}
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate((*header, "note") if footnotes else header):
        is_number = i >= names
        table.add_column(
            name,
            justify="right" if is_number else "left",
            no_wrap=is_number,
            overflow="fold",
        )
    for i, row in enumerate(rows):
        cells = ["-" if cell is None else plain(cell) for cell in row]
        if footnotes and notes:
            cells.append(str(footnotes.get(notes[i], "")))
        table.add_row(*cells)
    console.print(table)
    for note, sign in footnotes.items():
        console.print(f"{sign}  {plain(note)}", highlight=False)


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """Print each distinct note that is not empty on a line of its own."""
    for note in dict.fromkeys(filter(None, notes)):
        console.print(f"{plain(note)}.", highlight=False)


def plain(text: str) -> str:
    """Return text from a table without markup or control characters."""
    return escape("".join(c if c.isprintable() else "?" for c in text))


def titled(row: Mapping[str, Any], name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the words in the column `name`, before them what tells the row from others.

    That is the dataset where it has one, and arm and seed where `rows` have several.
    """
    words = (
        str(row[name])
        .replace("_", " ")
        .replace("reestimated", "re-estimated")
        .replace(" em", " EM")
    )
    several = {
        key: len({other.get(key) for other in rows}) > 1 and row.get(key) is not None
        for key in ("arm", "seed")
    }
    seed = f"seed {row['seed']}" if several["seed"] else None
    before = (row["dataset"], row["arm"] if several["arm"] else None, seed)
    return ", ".join([*filter(None, before), words])


def means_over_seeds(
    rows: Sequence[Row], keys: Sequence[str], columns: Sequence[str]
) -> tuple[list[Row], str]:
    """Return one row for each dataset, arm and `keys`: means over the seeds, without intervals.

    Also a note that says so, empty where no arm has two seeds.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["arm"], *(row[key] for key in keys)), []).append(row)
    if all(len(members) == 1 for members in groups.values()):
        return list(rows), ""
    means = []
    for members in groups.values():
        mean: Row = {**members[0], "seed": None}
        for column in columns:
            known = [row[column] for row in members if row[column] is not None]
            mean[column] = sum(known) / len(known) if known else None
            if len(members) > 1 and f"{column}_ci_low" in mean:
                mean[f"{column}_ci_low"] = mean[f"{column}_ci_high"] = None
        means.append(mean)
    return means, "means over seeds; --seed chooses one, --json FILE writes every one"


def number(value: float | None, digits: int = 3, sign: bool = False) -> str | None:
    """Return a number with fixed digits, None for None."""
    return None if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def p_value(p: float | None) -> str | None:
    """Return a p-value, those too small for three digits as a bound."""
    return None if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def with_interval(
    value: float | None, low: float | None, high: float | None, digits: int = 3
) -> str | None:
    """Return `0.812 (0.763 to 0.851)`, or the bare number where there is no interval."""
    if value is None:
        return None
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def cell_with_interval(row: Mapping[str, Any], name: str, digits: int = 3) -> str | None:
    """Return `with_interval` of a row's columns `name`, `name_ci_low` and `name_ci_high`."""
    return with_interval(row[name], row[f"{name}_ci_low"], row[f"{name}_ci_high"], digits)
