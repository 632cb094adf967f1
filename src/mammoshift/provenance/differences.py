"""What differs between the parameters of a result and those of now, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mammoshift.provenance.keys import CODE

STATE = "state"
"""Name of the parameter that stands for the raw files that a job reads."""
MOST = 8
"""Changed definitions that are named one by one."""

Definitions = Mapping[str, str]


def changed_parameters(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    definitions: tuple[Definitions | None, Definitions | None] = (None, None),
) -> Iterator[str]:
    """Yield one clause for each difference between two sets of parameters, but for raw files.

    Parameters
    ----------
    before, now
        By name.
    definitions
        Those behind the code before and now, None where they are unknown.
    """
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if repr(old) == repr(new):
            continue
        if name == CODE and isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changed_code(old, new, *definitions)
        elif name != STATE:
            is_record = isinstance(old, Mapping) and isinstance(new, Mapping)
            yield from _changed_leaves(old, new, "" if is_record else name)


def _changed_code(
    old: Mapping[str, str],
    new: Mapping[str, str],
    before: Definitions | None,
    now: Definitions | None,
) -> Iterator[str]:
    if before and now:
        found = [
            _changed_definition(name, before.get(name), now.get(name))
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        yield from found[:MOST]
        if len(found) > MOST:
            yield f"and {len(found) - MOST} more definitions changed"
        if found:
            return
    yield f"the code changed ({', '.join(old.values())} -> {', '.join(new.values())})"


def _changed_definition(name: str, old: str | None, new: str | None) -> str:
    module, _, definition = name.partition(":")
    return f"`{definition}` in {_file(module)} {_how(old, new)}"


def _how(old: str | None, new: str | None) -> str:
    if old is None:
        return f"is used now ({new})"
    return "is no longer used" if new is None else f"changed ({old[:12]} -> {new[:12]})"


def _file(module: str) -> str:
    return module if module.endswith(".py") else f"src/{module.replace('.', '/')}.py"


def _changed_leaves(old: object, new: object, path: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            if repr(old.get(key)) != repr(new.get(key)):
                yield from _changed_leaves(old.get(key), new.get(key), f"{path}.{key}".strip("."))
    elif (pairs := _paired_records(old, new)) is not None:
        for label, one, other in pairs:
            if one != other:
                yield from _changed_leaves(one, other, f"{path}.{label}")
    elif isinstance(old, list) and isinstance(new, list):
        gone = [value for value in old if value not in new]
        come = [value for value in new if value not in old]
        if not gone and not come:
            yield f"{path}: the order changed"
        for verb, values in (("gained", come), ("lost", gone)):
            if values:
                yield f"{path} {verb} {', '.join(map(_short, values))}"
    else:
        yield f"{path} was {_short(old)} and is {_short(new)}"


def _paired_records(old: object, new: object) -> list[tuple[str, object, object]] | None:
    """Pair the records of two lists, by name where they have one; None for anything else."""
    if not isinstance(old, list) or not isinstance(new, list):
        return None
    if not all(isinstance(item, Mapping) for item in [*old, *new]):
        return None
    if all("name" in item for item in [*old, *new]):
        first = {item["name"]: item for item in old}
        second = {item["name"]: item for item in new}
        return [(str(n), first.get(n), second.get(n)) for n in dict.fromkeys([*first, *second])]
    if len(old) != len(new):
        return None
    return [(str(place), a, b) for place, (a, b) in enumerate(zip(old, new, strict=True))]


def _short(value: object) -> str:
    if value is None:
        return "absent"
    if isinstance(value, Mapping):
        name = value.get("name")
        return str(name) if name else _cut(str(dict(value)))
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
