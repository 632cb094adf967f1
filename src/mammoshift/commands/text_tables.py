"""Tables of results on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

PLAIN_WIDTH = 160


def result_console() -> Console:
    """Return a console on standard output; one that is not a terminal is wide enough for tables."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def print_table(
    console: Console, title: str, header: Sequence[str], rows: Sequence[Sequence[str | None]]
) -> None:
    """Print rows of text, None as a dash; the first column is aligned left, the others right."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*("-" if cell is None else plain(cell) for cell in row))
    console.print(table)


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """Print each distinct note that is not empty on a line of its own."""
    for note in dict.fromkeys(filter(None, notes)):
        console.print(f"{plain(note)}.", highlight=False)


def plain(text: str) -> str:
    """Return text from a table without markup or control characters."""
    return escape("".join(c if c.isprintable() else "?" for c in text))


def number(value: float | None, digits: int = 3) -> str | None:
    """Return a number with fixed digits, None for None."""
    return None if value is None else f"{value:.{digits}f}"


def with_interval(
    value: float | None, low: float | None, high: float | None, digits: int = 3
) -> str | None:
    """Return `0.812 (0.763 to 0.851)`, or the bare number where there is no interval."""
    if value is None:
        return None
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
