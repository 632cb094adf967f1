"""How numbers are written in tables, figures and sentences: one place for all of them.

Everything here returns plain ASCII, so that a CSV stays easy to parse; `typographic` turns the
hyphens of such a text into the dashes and minus signs that a printed page wants.
"""

from __future__ import annotations

import math
import re

NOT_COMPUTED = "not computed"

_RANGE = re.compile(r"(?<=\d)-(?=\d)")
_MINUS = re.compile(r"(?<![\w.])-(?=[\d.])")


def is_null(value: float | None) -> bool:
    """Return whether `value` stands for "no number": None or NaN."""
    return value is None or math.isnan(value)


def missing(reason: str) -> str:
    """Return the text of a cell without a number; `reason` comes from the column `note`."""
    reason = reason.strip()
    return f"{NOT_COMPUTED}: {reason}" if reason else f"{NOT_COMPUTED} (no reason recorded)"


def format_number(value: float | None, decimals: int = 3, reason: str = "") -> str:
    """Return `value` with a fixed number of decimals, or why there is no value.

    A negative number that rounds to zero is written without its sign.
    """
    if value is None or math.isnan(value):
        return missing(reason)
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if not text.strip("-0.") else text


def format_estimate(
    value: float | None,
    low: float | None,
    high: float | None,
    *,
    decimals: int = 3,
    signed: bool = False,
    reason: str = "",
) -> str:
    """Return an estimate with its interval, such as `0.812 (0.763-0.851)`.

    Parameters
    ----------
    value, low, high
        The estimate and the limits of its interval; without limits only the value is written.
    signed
        Write the limits as `low to high`, as a quantity needs that may be negative.
    reason
        Why there is no value; shown in place of one.
    """
    if is_null(value):
        return missing(reason)
    text = format_number(value, decimals)
    if is_null(low) or is_null(high):
        return text
    limits = format_number(low, decimals), format_number(high, decimals)
    to = " to " if signed or any(limit.startswith("-") for limit in limits) else "-"
    return f"{text} ({limits[0]}{to}{limits[1]})"


def format_p(p: float | None, reason: str = "") -> str:
    """Return a p value: `<0.001`, then three decimals below 0.1, two above, `>0.99` at the end."""
    if p is None or math.isnan(p):
        return missing(reason)
    if p < 0.001:
        return "<0.001"
    if p > 0.99:
        return ">0.99"
    return f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"


def p_phrase(p: float | None, symbol: str = "p") -> str:
    """Return a p value with its symbol and relation, such as `p = 0.031` or `p < 0.001`."""
    text = format_p(p)
    if text[0] in "<>":
        return f"{symbol} {text[0]} {text[1:]}"
    return f"{symbol} = {text}" if not is_null(p) else f"{symbol} {text}"


def format_count(count: float | None) -> str:
    """Return a whole number with a thin grouping of thousands, such as `12,345`."""
    return missing("") if count is None or math.isnan(count) else f"{round(count):,}"


def format_share(count: int, total: int) -> str:
    """Return a count with its percentage, such as `41 (33%)`; a bare count when `total` is 0."""
    return f"{count:,}" if total == 0 else f"{count:,} ({100 * count / total:.0f}%)"


def typographic(text: str) -> str:
    """Replace hyphens between digits by en dashes and leading ones by minus signs."""
    return _MINUS.sub("\N{MINUS SIGN}", _RANGE.sub("\N{EN DASH}", text))


def joined(items: list[str] | tuple[str, ...]) -> str:
    """Return the items as an enumeration: `a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun, such as `1 arm` or `3 arms`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
