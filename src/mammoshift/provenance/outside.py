"""What of the library shapes no result, and is therefore left out of the fingerprints of code.

Everything is inside unless it is named here. Each entry says why it may be left out; what is
doubtful stays inside, since a needless rerun costs hours and a missing one costs a wrong table.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OUTSIDE = {
    "mammoshift.provenance": "decides whether a result is computed, never what it is",
    "mammoshift.execution.gpu_claim": "chooses among equal devices of one machine",
    "mammoshift.execution.interruption": "ends a job early; one that goes on gives the same bytes",
    "mammoshift.execution.job": "says where a job's text goes and how its process ends",
    "mammoshift.execution.readers:AHEAD": "says how early images are read, not which",
    "mammoshift.execution.readers:READERS_LIMIT": "says how many threads read images",
    "mammoshift.execution.readers:default_readers": "says how many threads read images",
    "mammoshift.execution.lock:alone_in": "keeps a second process away",
    "mammoshift.training.checkpoint:append_event": "writes a log of interruptions",
    "mammoshift.archives.ingest:check_receipt": "stops where a twin is not what was drawn",
    "mammoshift.pixelstore.bundle:check_sources": "stops where a raw file is not what was ingested",
    "mammoshift.files:atomic_path": "puts a file in its place, whatever is in it",
}
"""Packages, modules and definitions that are not followed; each counts by its name alone."""

METHODS_ONLY = {
    "mammoshift.configuration": "fields, defaults and validators are declarative: the values that "
    "they resolve to are params of the rules; what a model computes from them is code",
}
"""Packages whose classes count by their bases and by methods that are no validators, and whose
modules do nothing when they are imported that a result could see."""

BASES_ONLY = {
    "mammoshift.errors": "which `except` catches an error may decide on an image; what the error "
    "says and with which exit code it ends a process does not",
}
"""Modules whose classes count by their bases alone."""

VALIDATORS = frozenset(
    f"pydantic.{name}"
    for name in (
        "model_validator",
        "field_validator",
        "model_serializer",
        "field_serializer",
    )
)

LOG_METHODS = frozenset(
    ("debug", "info", "warning", "error", "exception", "critical", "log", "setLevel")
)
"""Methods of a logger, which write text or choose what of it is written."""

PROGRESS = "progress"
"""Name of the callable, given from outside, that a long job tells a line of text for a person."""

PURE_BUILTINS = _words(
    "abs all any bool bytes complex dict divmod enumerate filter float format frozenset hash "
    "int isinstance issubclass len list map max min object ord chr pow range repr reversed "
    "round set slice sorted str sum tuple type zip property staticmethod classmethod super"
)
"""Builtins that change nothing. One that is handed an iterator does use it up; a text that does so
to an iterator that is read again afterwards is not guarded against."""

PURE_METHODS = _words(
    "all any as_posix capitalize casefold count decode difference encode endswith exists fget "
    "format fromkeys get hex index intersection is_dir is_file isdigit isoformat item items "
    "join keys ljust lower lstrip max mean median min most_common nunique partition relative_to "
    "removeprefix removesuffix replace rjust round rpartition rsplit rstrip split splitlines "
    "startswith std strip sum symmetric_difference title tolist total total_seconds translate "
    "union unique upper values with_name with_suffix zfill"
)
"""Names of methods that, whatever the object, are taken to change nothing."""

PURE_MODULES = _words(
    "collections dataclasses datetime decimal enum fractions functools itertools logging math "
    "numpy operator pathlib pyarrow pydantic re string struct textwrap types typing "
    "typing_extensions"
)
"""Libraries whose calls, in the value of a module-level name, do nothing but give that value."""

QUIET_BASES = PURE_MODULES | _words("abc argparse contextlib html json pickle threading torch")
"""Libraries from whose classes one may derive without anything being registered."""

PURE_DECORATORS = (
    _words(
        "abc.abstractmethod contextlib.contextmanager dataclasses.dataclass enum.unique "
        "functools.cache functools.cached_property functools.lru_cache functools.total_ordering "
        "functools.wraps pydantic.computed_field torch.inference_mode torch.no_grad typing.final "
        "typing.no_type_check typing.overload typing.override typing.runtime_checkable"
    )
    | VALIDATORS
)
"""Decorators that register nothing and read no annotation of a function."""


def is_outside(module: str, name: str = "") -> bool:
    """Tell whether a module, or a definition in it, is not followed."""
    return _is_below(module, OUTSIDE) or f"{module}:{name}" in OUTSIDE


def is_declarative(module: str) -> bool:
    """Tell whether a module's classes count by their methods alone."""
    return _is_below(module, METHODS_ONLY)


def is_bases_only(module: str) -> bool:
    """Tell whether a module's classes count by their bases alone."""
    return _is_below(module, BASES_ONLY)


def _is_below(module: str, roots: dict[str, str]) -> bool:
    while module and module not in roots:
        module = module.rpartition(".")[0]
    return bool(module)
