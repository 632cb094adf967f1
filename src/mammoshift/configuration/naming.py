"""Names in the configuration that must have a counterpart."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mammoshift.errors import ConfigurationError


def known(key: str, name: str, among: Iterable[str], what: str) -> None:
    """Raise a `ConfigurationError` with the nearest name when `name` is not `among` them."""
    names = list(among)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigurationError(
            f"{key}: there is no {what} {name!r}.{hint} Allowed: {', '.join(names)}"
        )
