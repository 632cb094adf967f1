"""How the arms of a study file become whole arms: kinds, defaults, inheritance, lists, starts.

Defaults are written once for the study; an arm says only what differs. An arm that starts from
another arm's model is built as that one is, unless it says otherwise. A list where one value is
expected makes one arm for each value.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Discriminator, Tag, ValidationError

from mammoshift import registry
from mammoshift.configuration.judged import Pair
from mammoshift.configuration.model import ArmBase, FromArm
from mammoshift.configuration.naming import known
from mammoshift.configuration.partial import partial_model
from mammoshift.errors import ConfigurationError

KINDS = "mammoshift.kinds"
DEFAULT_KIND = "network"
INHERITED = (
    "kind",
    "backbone",
    "input",
    "normalisation",
    "head",
    "scoring_precision",
    "test_time_flips",
)
"""What an arm takes over from the one that it starts from: what the model is, no training."""


class ArmError(Exception):
    """An arm that is not whole after defaults: its name and kind, and what pydantic says."""

    def __init__(self, name: str, form: type[ArmBase], error: ValidationError) -> None:
        super().__init__(name)
        self.name, self.form, self.error = name, form, error


Patches = Mapping[str, dict[str, Any]]


def arm_classes() -> dict[str, type[ArmBase]]:
    """Return the record of each kind of arm, by the kind's name."""
    return {name: registry.load(KINDS, name).ARM for name in registry.names_in(KINDS)}


def arm_patch() -> Any:
    """Return the type of an arm as a study file gives it: of its kind, everything optional."""

    def kind(value: Any) -> str:
        """Return the kind of an arm; pydantic names the key of an unknown one by this function."""
        named = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
        return DEFAULT_KIND if named is None else str(named)

    members = [
        Annotated[
            partial_model(record, f"{record.__name__}Patch", leave_out={"name"}, lists=True),
            Tag(name),
        ]
        for name, record in arm_classes().items()
    ]
    return Annotated[Union[tuple(members)], Discriminator(kind)]  # noqa: UP007


def resolve_arms(
    patches: Mapping[str, BaseModel], defaults: Mapping[str, Any], where: str
) -> dict[str, ArmBase]:
    """Return the whole arms in the file's order.

    Parameters
    ----------
    patches
        The arms as the file gives them.
    defaults
        Values of the study for `input`, `training` and `loss`, as far as it gives them.
    where
        The study file, for messages.

    Raises
    ------
    ConfigurationError
        If two arms get the same name, a list of values is empty, an arm starts from one that does
        not exist or is of another kind, or arms start from each other in a circle.
    """
    given: dict[str, dict[str, Any]] = {}
    for base, patch in patches.items():
        sequences = _sequence_keys(type(patch))
        said = patch.model_dump(exclude_unset=True)
        for path, options in _lists(said, (), sequences):
            if not options:
                raise ConfigurationError(
                    f"{where}: arms.{base}.{'.'.join(path)}: the list is empty, so that there "
                    "would be no such arm; give it a value, or leave the key out"
                )
        for suffix, values in _expand(said, sequences):
            name = f"{base}{suffix}"
            if name in given:
                raise ConfigurationError(f"{where}: arms: two arms are called {name}")
            given[name] = values
    _check_starts(given, where)
    classes = arm_classes()
    arms: dict[str, ArmBase] = {}
    for name in given:
        values = _inherited(name, given)
        record = classes[values.get("kind", DEFAULT_KIND)]
        known = {key: value for key, value in defaults.items() if key in record.model_fields}
        try:
            arms[name] = record.model_validate({"name": name, **_merge(known, values)})
        except ValidationError as error:
            raise ArmError(name, record, error) from None
    return arms


def parent_of(values: Mapping[str, Any]) -> str | None:
    """Return the arm that an arm starts from, read from what its file says."""
    start = values.get("initialisation")
    return str(start["arm"]) if isinstance(start, Mapping) else None


def key_of_reads(arm: ArmBase) -> str:
    """Return the key under which an arm names those that it reads."""
    return "features.scores_of" if "features" in type(arm).model_fields else "scores_of"


def check_read(arm: ArmBase, name: str, arms: Mapping[str, ArmBase], key: str) -> None:
    """Refuse to read an arm that is not there, that reads others itself, or scores no images.

    Raises
    ------
    ConfigurationError
        Naming `key`, where the study's file names the arm.
    """
    known(key, name, arms, "arm")
    if name == arm.name:
        raise ConfigurationError(f"{key}: the arm reads itself; name others")
    if arms[name].reads:
        raise ConfigurationError(f"{key}: {name} reads other arms itself; name those that it reads")
    if arms[name].unit is not None:
        raise ConfigurationError(
            f"{key}: {name} scores a {arms[name].unit} as one and no images; name an arm that "
            "scores images"
        )


def factor_pairs(
    arms: Mapping[str, ArmBase], factor: Mapping[str, tuple[Any, ...]], where: str
) -> list[Pair]:
    """Return the pairs of all arms that differ in one setting alone, with its values.

    Parameters
    ----------
    factor
        One path such as `input.mask` -> its values, the reference's first.

    Raises
    ------
    ConfigurationError
        If no two arms differ in that setting alone, or two arms do not differ at all.
    """
    (path, values) = next(iter(factor.items()))
    groups: dict[str, dict[str, str]] = {}
    texts = [_text(value) for value in values]
    known = False
    for name in arms:
        rest, value = _without(arms, name, tuple(path.split(".")))
        known |= value is not _ABSENT
        group = groups.setdefault(repr(rest), {})
        if _text(value) in group:
            raise ConfigurationError(
                f"{where}: factor {path}: the arms {group[_text(value)]} and {name} are the same "
                "but for their names; remove one, or name the arms of the family"
            )
        group[_text(value)] = name
    if not known:
        raise ConfigurationError(
            f"{where}: factor {path}: no arm has a setting of that name; write it as it stands "
            "below an arm, such as input.mask"
        )
    pairs = [
        Pair(
            arm=found[_text(value)],
            reference=found[_text(values[0])],
            value=_in_a_name(value),
            reference_value=_in_a_name(values[0]),
        )
        for found in groups.values()
        for value in values[1:]
        if _text(value) in found and _text(values[0]) in found
    ]
    if not pairs:
        raise ConfigurationError(
            f"{where}: factor {path}: no two arms differ in it alone with the values "
            f"{', '.join(map(str, values))}"
        )
    for position, text in enumerate(texts):
        if text in texts[:position] or not any(text in found for found in groups.values()):
            wrong = "is given twice" if text in texts[:position] else "is the value of no arm"
            raise ConfigurationError(f"{where}: factor {path}: {values[position]!r} {wrong}")
    order = list(arms)
    return sorted(pairs, key=lambda pair: order.index(pair.arm))


def pairs_across(arms: Mapping[str, ArmBase], across: Mapping[str, str], where: str) -> list[Pair]:
    """Return the pairs of arms that differ only in the domain that they were trained on.

    Parameters
    ----------
    across
        Domain -> the domain that it is compared with.

    Raises
    ------
    ConfigurationError
        If a domain has no such arm, or two arms of one domain do not differ.
    """
    pairs = []
    for domain, other in across.items():
        own, theirs = (_by_settings(arms, name, where) for name in (domain, other))
        found = [
            Pair(arm=arm, reference=theirs[key], domain=domain, reference_domain=other)
            for key, arm in own.items()
            if key in theirs
        ]
        if not found:
            raise ConfigurationError(
                f"{where}.across: no arm that was trained on {domain} differs from one that was "
                f"trained on {other} in that alone; give both the same settings"
            )
        pairs += found
    return pairs


def _by_settings(arms: Mapping[str, ArmBase], domain: str, where: str) -> dict[str, str]:
    """Return the arms that were trained on a domain, by all else that is said of them."""
    found: dict[str, str] = {}
    for name, arm in arms.items():
        if not arm.learns or arm.train_on != domain:
            continue
        key = repr(arm.model_dump(mode="json", exclude={"name", "label", "train_on", "judged_on"}))
        if key in found:
            raise ConfigurationError(
                f"{where}.across: the arms {found[key]} and {name} of {domain} are the same but "
                "for their names; remove one"
            )
        found[key] = name
    return found


def _without(arms: Mapping[str, ArmBase], name: str, path: tuple[str, ...]) -> tuple[Any, Any]:
    """Return an arm's settings without one, its ancestors' too, and the value of that one."""
    arm = arms[name]
    settings = arm.model_dump(mode="json", exclude={"name", "label"})
    start = settings.get("initialisation")
    if isinstance(arm.initialisation, FromArm) and isinstance(start, dict):
        start["arm"] = _without(arms, arm.initialisation.arm, path)[0]
    place: Any = settings
    for key in path[:-1]:
        place = place.get(key) if isinstance(place, dict) else None
    value = place.pop(path[-1], _ABSENT) if isinstance(place, dict) else _ABSENT
    return settings, value


_ABSENT = object()


def _text(value: Any) -> str:
    """Return a text that is the same for 0 and 0.0, and for a setting that is not there or null."""
    if value is _ABSENT:
        value = None
    return repr(float(value)) if type(value) is int else repr(value)


def _inherited(name: str, given: Patches) -> dict[str, Any]:
    """Return what an arm says, over what the arms that it starts from say of their models."""
    own = given[name]
    parent = parent_of(own)
    if parent is None:
        return own
    theirs = _inherited(parent, given)
    return _merge({key: theirs[key] for key in INHERITED if key in theirs}, own)


def _check_starts(given: Patches, where: str) -> None:
    for name in given:
        seen = [name]
        while (parent := parent_of(given[seen[-1]])) is not None:
            if parent not in given:
                raise ConfigurationError(
                    f"{where}: arms.{seen[-1]}.initialisation.arm: there is no arm {parent!r}; "
                    f"the arms are: {', '.join(given)}"
                )
            if parent in seen:
                circle = " -> ".join([*seen, parent])
                raise ConfigurationError(f"{where}: arms start from each other: {circle}")
            seen.append(parent)
        _check_kinds(name, given, where)


def _check_kinds(name: str, given: Patches, where: str) -> None:
    parent = parent_of(given[name])
    if parent is None:
        return
    own, theirs = (_inherited(arm, given).get("kind") or DEFAULT_KIND for arm in (name, parent))
    if own != theirs:
        raise ConfigurationError(
            f"{where}: arms.{name}.initialisation.arm: {parent} is of the kind {theirs}, not {own}"
        )


def _merge(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in patch.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _sequence_keys(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of all fields, at any depth, whose one value is a sequence."""
    found: set[str] = set()
    for key, field in model.model_fields.items():
        for member in _members(field.annotation):
            if get_origin(member) is tuple:
                found.add(key)
            if isinstance(member, type) and issubclass(member, BaseModel):
                found |= _sequence_keys(member)
    return frozenset(found)


def _members(annotation: Any) -> Iterator[Any]:
    """Yield what a value of a field may be: the members of unions and the values of mappings."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    elif get_origin(annotation) is dict:
        yield from _members(get_args(annotation)[1])
    else:
        yield annotation


def _expand(
    patch: Mapping[str, Any], sequences: frozenset[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (suffix of the name, patch with single values), one for each combination."""
    lists = list(_lists(patch, (), sequences))
    for values in itertools.product(*(options for _, options in lists)):
        single = _copy(patch)
        for (path, _), value in zip(lists, values, strict=True):
            _set(single, path, value)
        yield "".join(f"_{_in_a_name(value)}" for value in values), single


def _lists(
    patch: Mapping[str, Any], path: tuple[str, ...], sequences: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in patch.items():
        if isinstance(value, Mapping):
            yield from _lists(value, (*path, key), sequences)
        elif isinstance(value, list | tuple) and key not in sequences:
            yield (*path, key), value


def _copy(patch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(v) if isinstance(v, Mapping) else v for key, v in patch.items()}


def _set(patch: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        patch = patch[key]
    patch[path[-1]] = value


def _in_a_name(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(c if c.isalnum() else "p" if c == "." else "_" for c in text.lower())
