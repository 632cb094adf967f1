"""How every figure looks, and how it becomes a small, deterministic, accessible SVG.

Differences are carried by position, line style and lightness rather than by hue, so that a figure
survives a greyscale printer. Text stays text: it can be read aloud, searched and copied.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from mammoshift.files import atomic_path, write_text_atomically

INK = "#1c2733"
ACCENT = "#1f4e79"
SECOND = "#b4532a"
GREY = "#6f7881"
FAINT = "#b9c0c7"
BAND = "#c9d6e3"
RULE = "#dfe3e7"

FONT_SIZE = 8.0
PNG_DPI = 120
PAGE_WIDTH = 7.4
"""Width in inches of the widest figure."""

_READABLE = 0.75
"""Share of its own size down to which a figure can be read."""
_PIXELS_PER_INCH = 96

_COLUMNS = 4
_LEFT, _BOTTOM, _GAP = 0.5, 0.4, 0.14
PANEL_WIDTH = (PAGE_WIDTH - _LEFT - 0.08 - (_COLUMNS - 1) * _GAP) / _COLUMNS
"""Width in inches of one of up to four panels side by side."""

_STYLE: dict[RcKeyType, Any] = {
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": FONT_SIZE,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": FONT_SIZE,
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": FONT_SIZE,
    "legend.fontsize": FONT_SIZE,
    "legend.frameon": False,
    "lines.solid_capstyle": "butt",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "xtick.labelsize": FONT_SIZE - 1,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "ytick.labelsize": FONT_SIZE - 1,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
}

_TAG = re.compile(r"<[^<>]*>")
_REFERENCE = re.compile(r'(\bid="|xlink:href="#|url\(#)')
_PATH = re.compile(r'(?<= d=")[^"]*')
_STYLE_ELEMENT = re.compile(r"\s*<defs>\s*<style type=\"text/css\">[^<]*</style>\s*</defs>")
_LONG_NUMBER = re.compile(r"(\.\d{2})\d+")


@dataclass(frozen=True, eq=False)
class Drawing:
    """One figure: a whole `<svg>` element with title and description, and what it was made of."""

    svg: str
    figure: Figure


@dataclass(frozen=True)
class ReportFigure:
    """A figure with the table it was drawn from.

    Attributes
    ----------
    key
        Stem of its files.
    caption
        Name of its caption; `cohort` is put into it.
    drawing
        What is printed.
    data
        The tidy table.
    drawn
        Names of what its caption explains only where it is drawn.
    """

    key: str
    caption: str
    cohort: str
    drawing: Drawing
    data: pd.DataFrame
    drawn: frozenset[str] = frozenset()


def write_figure(figure: ReportFigure, folder: Path, for_print: bool = False) -> tuple[Path, ...]:
    """Write the drawing as SVG and, beside it, the CSV that it was drawn from; return the paths.

    With `for_print` it is written as PNG and PDF, too. Bytes depend on the drawing, on no date.
    """
    header = '<?xml version="1.0" encoding="UTF-8"?>\n'
    drawing, table = (folder / f"{figure.key}.{suffix}" for suffix in ("svg", "csv"))
    write_text_atomically(drawing, header + figure.drawing.svg)
    with atomic_path(table) as temporary:
        figure.data.to_csv(temporary, index=False, float_format="%.6g")
    if not for_print:
        return drawing, table
    raster, vector = (folder / f"{figure.key}.{suffix}" for suffix in ("png", "pdf"))
    with house_style(), atomic_path(raster) as pixels, atomic_path(vector) as page:
        drawn = figure.drawing.figure
        drawn.savefig(pixels, format="png", dpi=PNG_DPI, metadata={"Software": None})
        drawn.savefig(page, format="pdf", metadata={"CreationDate": None, "Creator": None})
    return drawing, table, raster, vector


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own settings of matplotlib are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def small_multiples(
    names: list[str],
    height: float,
    *,
    rows_per_name: int = 1,
    x_label: str,
    y_labels: tuple[str, ...],
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with one panel, or one column of panels, for each name.

    Up to four names stand side by side. Panels of the same kind share their scales; only the
    outer ones are labelled.

    Parameters
    ----------
    names
        Titles of the panels.
    height
        Height of a panel in inches; its width follows from the page.
    rows_per_name
        How many panels belong to each name, below each other.
    y_labels
        The label of the vertical axis of each of these panels.

    Returns
    -------
    figure, panels
        `panels[name][row]` are the axes.
    """
    columns = min(_COLUMNS, len(names))
    blocks = -(-len(names) // columns)
    titles = [wrapped(shortened(name, 44), 24)[:3] for name in names]
    title = 0.06 + 0.155 * max(map(len, titles))
    block = title + rows_per_name * height + (rows_per_name - 1) * _GAP + 0.1
    size = (
        _LEFT + columns * PANEL_WIDTH + (columns - 1) * _GAP + 0.08,
        blocks * block + _BOTTOM,
    )
    figure = Figure(figsize=size)
    first: list[Axes] = []
    panels: list[list[Axes]] = []
    for position, lines in enumerate(titles):
        down, across = divmod(position, columns)
        column: list[Axes] = []
        for row in range(rows_per_name):
            x = _LEFT + across * (PANEL_WIDTH + _GAP)
            y = size[1] - down * block - title - height - row * (height + _GAP)
            box = (x / size[0], y / size[1], PANEL_WIDTH / size[0], height / size[1])
            shared = first[row] if row < len(first) else None
            ax = figure.add_axes(box, sharex=shared, sharey=shared)
            if shared is None:
                first.append(ax)
            lowest = row == rows_per_name - 1 and position + columns >= len(names)
            ax.tick_params(labelbottom=lowest, labelleft=across == 0)
            if across == 0 and len(y_labels) > 1:
                ax.set_ylabel(y_labels[row])
            column.append(ax)
        column[0].set_title("\n".join(lines), fontweight="bold", color=INK)
        panels.append(column)
    middle = (_LEFT + 0.5 * (size[0] - _LEFT)) / size[0]
    figure.text(middle, 0.05 / size[1], x_label, ha="center", va="bottom")
    if len(y_labels) == 1:
        figure.text(0.03 / size[0], 0.5, y_labels[0], rotation=90, ha="left", va="center")
    return figure, panels


def wrapped(name: str, characters: int) -> list[str]:
    """Break a name at underscores, hyphens and spaces into lines of at most `characters`."""
    breakable = re.sub(r"([_\-/.])", "\\1\u200b", name)
    lines = textwrap.wrap(breakable.replace("\u200b", " \u200b"), characters) or [""]
    return [line.replace(" \u200b", "").replace("\u200b", "").strip() for line in lines]


def shortened(name: str, characters: int) -> str:
    """Return a name of at most `characters`, its middle replaced by an ellipsis if needed."""
    if len(name) <= characters:
        return name
    tail = (characters - 1) // 2
    return f"{name[: characters - 1 - tail]}\N{HORIZONTAL ELLIPSIS}{name[-tail:]}"


def text_width(characters: int, size: float = FONT_SIZE) -> float:
    """Return the width in inches that so many characters of running text need."""
    return characters * size * 0.62 / 72.0


def draw(figure: Figure, key: str, title: str, description: str) -> Drawing:
    """Return a figure as it is drawn on the page, kept for other forms."""
    return Drawing(to_svg(figure, key, title, description), figure)


def to_svg(figure: Figure, key: str, title: str, description: str) -> str:
    """Return a figure as one `<svg>` element.

    The bytes depend on the drawing only: no date, no random identifiers, path coordinates in
    hundredths of a point. Identifiers begin with `key`, so that several figures fit in one page.
    `--narrow` is the width below which a page should not shrink it.
    """
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": key}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = _STYLE_ELEMENT.sub("", text, count=1)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, count=1, flags=re.DOTALL)
    prefix = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")
    text = _TAG.sub(lambda tag: _tidy_tag(tag[0], prefix), text)
    narrow = round(_READABLE * _PIXELS_PER_INCH * figure.get_figwidth())
    labels = (
        f'<title id="{prefix}-title">{escape(title)}</title>'
        f'<desc id="{prefix}-desc">{escape(description)}</desc>'
    )
    opened = text.index(">") + 1
    head = text[: opened - 1]
    style = f"stroke-linejoin: round; stroke-linecap: butt; --narrow: {narrow}px"
    role = f' style="{style}" role="img"'
    role += f' aria-labelledby="{prefix}-title {prefix}-desc"'
    return f"{head}{role}>\n{labels}{text[opened:].rstrip()}\n"


def _tidy_tag(tag: str, prefix: str) -> str:
    """Prefix the identifiers of one tag and shorten its path coordinates."""
    tag = _REFERENCE.sub(rf"\1{prefix}-", tag)
    return _PATH.sub(lambda path: _LONG_NUMBER.sub(r"\1", path[0]), tag)
