"""The names of timm's architectures, read from its sources: importing it would load torch."""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

NAMES_SHOWN = 3

_ENTRY = re.compile(r"^@register_model\b.*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


@cache
def architecture_names() -> frozenset[str]:
    """Return the architectures of the timm that is installed; none where there is no timm."""
    spec = find_spec("timm")
    folders = spec.submodule_search_locations if spec else None
    return frozenset(
        name
        for folder in folders or ()
        for path in Path(folder, "models").glob("*.py")
        for name in _ENTRY.findall(path.read_text(encoding="utf-8"))
    )


def unknown_architecture(name: str) -> str | None:
    """Return in words that timm has no architecture of a name, with close ones; None if it has.

    What follows a full stop names published weights and no other network.
    """
    known = architecture_names()
    if not known or name.split(".", 1)[0] in known:
        return None
    close = difflib.get_close_matches(name, known, n=NAMES_SHOWN, cutoff=0.6)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"architecture {name!r} is not known to timm{hint}"
