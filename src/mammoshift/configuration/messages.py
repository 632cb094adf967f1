"""What pydantic finds wrong with a file, said with the file's own keys and what is allowed there.

Pydantic's locations hold names of the members of unions beside keys, and where a value may be of
several forms it complains for each of them. Here a location is followed through the types of the
model: what is no key there is the name of a member, whose keys alone are then allowed, and of
several complaints of one value the one is kept that comes closest to what was meant.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

_NOT_OF_THIS_FORM = {"literal_error": 1, "too_short": 1, "list_type": 3, "tuple_type": 3}
"""Complaints that a value has another form, those that say most first; see `_distance`."""


@dataclass(frozen=True)
class _Problem:
    """One complaint: the keys to it, and the type of what holds the last of them."""

    keys: tuple[str, ...]
    holder: Any
    found: Any


def described(error: ValidationError, form: Any, where: str) -> str:
    """Return what is wrong with a value of the type `form`, one line for each key.

    Parameters
    ----------
    error
        What its validation raised.
    form
        A model or another type that was validated.
    where
        The file, and the key of the value if it is not the whole of it.
    """
    problems = [_placed(found, form) for found in error.errors(include_url=False)]
    lines = []
    for problem in _closest(problems):
        key = ".".join(problem.keys)
        lines.append(": ".join(part for part in (where, key, _explained(problem)) if part))
    return "\n".join(dict.fromkeys(lines))


def _placed(found: Any, form: Any) -> _Problem:
    """Return a complaint with the keys of its location, names of union members left out."""
    keys: list[str] = []
    holder, current = form, form
    location = found["loc"]
    for position, part in enumerate(location):
        below = _below(current, part)
        if below is None:
            member = _named(current, str(part))
            if member is not None:
                current = member
                continue
            unknown = position == len(location) - 1 and found["type"] == "extra_forbidden"
            if not unknown:
                continue
        keys.append(str(part))
        holder, current = current, below
    if found["type"].startswith("union_tag"):
        keys.append(found["ctx"]["discriminator"].strip("'").removesuffix("()"))
    return _Problem(tuple(keys), holder, found)


def _below(current: Any, part: Any) -> Any:
    """Return the type of what lies under a key, or at a place of a list; None if there is none."""
    found = []
    for member, _ in _members(current):
        arguments = [a for a in get_args(member) if a is not Ellipsis]
        if isinstance(part, int):
            if get_origin(member) in {tuple, list} and arguments:
                found.append(arguments[min(part, len(arguments) - 1)])
        elif _is_model(member):
            field = member.model_fields.get(part)
            found += [field.annotation] if field else []
        elif get_origin(member) is dict and "[" not in part:
            found.append(arguments[-1])
    return reduce(operator.or_, found) if found else None


def _named(current: Any, name: str) -> Any:
    """Return the member of a union that pydantic calls by a name; None if there is none."""
    for member, tag in _members(current):
        called = {tag, *_tags(member)} if _is_model(member) else {tag}
        if name in called or (_is_model(member) and re.search(rf"\b{member.__name__}\b", name)):
            return member
    return None


def _members(annotation: Any, tag: str | None = None) -> Iterator[tuple[Any, str | None]]:
    """Yield the types of a union with their tags, annotations taken off; one type is itself."""
    if get_origin(annotation) is Annotated:
        named = [m.tag for m in annotation.__metadata__ if isinstance(m, Tag)]
        yield from _members(annotation.__origin__, named[0] if named else tag)
    elif get_origin(annotation) in {Union, UnionType}:
        for argument in get_args(annotation):
            yield from _members(argument, tag)
    else:
        yield annotation, tag


def _tags(model: type[BaseModel]) -> set[str]:
    """Return the values of those fields of a model that have one alone, as discriminators do."""
    values = [get_args(f.annotation) for f in model.model_fields.values() if _is_literal(f)]
    return {str(found[0]) for found in values if len(found) == 1}


def _is_literal(field: Any) -> bool:
    return get_origin(field.annotation) is Literal


def _is_model(member: Any) -> bool:
    return isinstance(member, type) and issubclass(member, BaseModel)


def _closest(problems: Sequence[_Problem]) -> list[_Problem]:
    """Drop, of a value that may have several forms, the complaints of those it does not have."""
    return [
        one
        for one in problems
        if not any(
            _distance(one) and len(other.keys) > len(one.keys)
            if other.keys != one.keys
            else _distance(other) < _distance(one)
            for other in problems
            if other.keys[: len(one.keys)] == one.keys
        )
    ]


def _distance(problem: _Problem) -> int:
    """Return how far a value is from a form: 0 where it has it, and something else is wrong."""
    kind = problem.found["type"]
    return _NOT_OF_THIS_FORM.get(kind, 2 if kind.endswith("_type") else 0)


def _explained(problem: _Problem) -> str:
    found = problem.found
    kind, given, context = found["type"], found.get("input"), found.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _keys_in(problem.holder)
        close = difflib.get_close_matches(problem.keys[-1], allowed, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"there is no such key.{hint} Allowed: {', '.join(allowed)}"
    if kind in ("missing", "union_tag_not_found"):
        return "this key is required"
    if kind == "literal_error":
        return f"{given!r} is not allowed. Allowed: {context['expected']}"
    if kind == "union_tag_invalid":
        return f"{context['tag']!r} is not allowed. Allowed: {context['expected_tags']}"
    if kind == "string_pattern_mismatch":
        return f"{given!r} is not a name; use lower-case letters, digits and underscores"
    if kind == "value_error":
        return str(context["error"])
    if kind == "too_short" and not given:
        least = "at least one" if context["min_length"] == 1 else f"{context['min_length']} or more"
        hint = ", or leave the key out" if _may_be_left_out(problem) else ""
        return f"{given!r} is empty; give {least}{hint}"
    if kind in ("tuple_type", "list_type"):
        return f"{given!r}: should be a list, as in [{given}]"
    if kind in ("dict_type", "model_type", "mapping_type", "model_attributes_type"):
        return f"{given!r}: should be a mapping of keys to values"
    message = found["msg"][0].lower() + found["msg"][1:]
    return f"{given!r}: {message}"


def _may_be_left_out(problem: _Problem) -> bool:
    models = [member for member, _ in _members(problem.holder) if _is_model(member)]
    fields = [model.model_fields.get(problem.keys[-1]) for model in models]
    return any(field is not None and not field.is_required() for field in fields)


def _keys_in(annotation: Any) -> list[str]:
    """Return the keys of the models that a value of a type may be."""
    models = [member for member, _ in _members(annotation) if _is_model(member)]
    return sorted({key for model in models for key in model.model_fields})
