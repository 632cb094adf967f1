"""Tables as LaTeX: a `table` with rules of the package booktabs, every character escaped."""

from __future__ import annotations

from collections.abc import Iterable

from mammoshift.report.publication import PublicationTable

_LONG = 28
"""Words beyond this many characters are set as paragraphs."""
_PARAGRAPH = r"p{3.2cm}"
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{EN DASH}": "--",
    "\N{MINUS SIGN}": r"$-$",
    "\n": " ",
    "\r": " ",
}


def escaped(text: str) -> str:
    """Return a text as LaTeX prints it; control characters are left out."""
    return "".join(
        _ESCAPED.get(letter, letter) for letter in text if letter in "\n\r" or letter.isprintable()
    )


def latex_table(table: PublicationTable, title: str, note: str) -> str:
    r"""Return a table as LaTeX that needs `\usepackage{booktabs}` and, for \", T1 fonts.

    Row heads and words are set left, numbers right. A row head that repeats the one above is
    left out where all heads before it do, too; otherwise the cells are those of the CSV file.

    Parameters
    ----------
    table
        What is printed.
    title, note
        Its caption, and what stands below it.
    """
    columns = [str(column) for column in table.cells.columns]
    words = {*columns[: table.row_headers], *table.text_columns}
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize",
        rf"\caption{{{escaped(title)}}}",
        rf"\label{{tab:{table.key.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{{''.join(_alignment(table, column, words) for column in columns)}}}",
        r"\toprule",
        _row(columns),
        r"\midrule",
    ]
    above: list[str] = []
    for cells in table.cells.astype(str).to_numpy().tolist():
        repeats = [
            place < table.row_headers - 1 and above[: place + 1] == cells[: place + 1]
            for place in range(len(cells))
        ]
        lines.append(
            _row("" if again else cell for cell, again in zip(cells, repeats, strict=True))
        )
        above = cells
    lines += [r"\bottomrule", r"\end{tabular}", rf"\par\smallskip {escaped(note)}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _alignment(table: PublicationTable, column: str, words: set[str]) -> str:
    if column not in words:
        return "r"
    return "l" if table.cells[column].astype(str).str.len().max() <= _LONG else _PARAGRAPH


def _row(cells: Iterable[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"
