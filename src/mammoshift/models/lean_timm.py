"""timm, imported without what only its other users need: the way to timm for all of this library.

`import timm` also brings torchvision, and through that and through a decorator in one of its
networks `torch._dynamo`; with the client of the Hugging Face hub they take longer than torch
itself. A network needs none of them. During the import, and only then,

- torchvision and `timm.data` are packages without a body: the modules and constants that timm's
  networks take from them are the real ones, what is around them is not run;
- torchvision's feature extraction and the hub's client cannot be imported, which timm allows for
  (without the client timm cannot reach the network, either);
- `torch.compiler.disable` waits for the first call of what it decorates.

A process in which torchvision or timm was imported before gets timm as it is, and so does one whose
timm asks for more than is left: this changes what an import costs, not what a network computes.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import torch

ABSENT = frozenset({"huggingface_hub", "torchvision.models"})
WITHOUT_BODY = frozenset({"torchvision", "torchvision.ops"})
CONSTANTS_ALONE = "timm.data"


class _Constants(Loader):
    """Fills a package with what its module `constants` holds."""

    def exec_module(self, module: ModuleType) -> None:
        constants = importlib.import_module(f"{module.__name__}.constants")
        vars(module).update(
            (name, value) for name, value in vars(constants).items() if not name.startswith("_")
        )


class _LeanFinder:
    """A finder of modules that comes before all others while timm is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in ABSENT:
            raise ModuleNotFoundError(f"{name} is left out of the import of timm", name=name)
        if name not in WITHOUT_BODY and name != CONSTANTS_ALONE:
            return None
        found = PathFinder.find_spec(name, path, target)
        if found is None or found.submodule_search_locations is None:
            return found
        loader = _Constants() if name == CONSTANTS_ALONE else None
        lean = ModuleSpec(name, loader, is_package=True)
        lean.submodule_search_locations = list(found.submodule_search_locations)
        return lean


def _disabled_at_first_call(
    function: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None
) -> Callable[..., Any]:
    """Stand for `torch.compiler.disable`, which imports the compiler to decorate a function."""
    if function is None:
        return functools.partial(_disabled_at_first_call, recursive=recursive, reason=reason)
    disabled: list[Callable[..., Any]] = []

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if not disabled:
            disabled.append(torch.compiler.disable(function, recursive, reason=reason))
        return disabled[0](*arguments, **named)

    return call


@contextmanager
def _lean_imports() -> Iterator[None]:
    finder, disable = _LeanFinder(), torch.compiler.disable
    sys.meta_path.insert(0, finder)
    torch.compiler.disable = _disabled_at_first_call
    try:
        yield
    finally:
        torch.compiler.disable = disable
        sys.meta_path.remove(finder)
        # Whoever wants the whole packages later must find them as if this had not been.
        _forget("torchvision", "timm.data")


def _import_timm() -> ModuleType:
    if not any(name.partition(".")[0] in ("timm", "torchvision") for name in sys.modules):
        try:
            with _lean_imports():
                return importlib.import_module("timm")
        except ImportError:
            _forget("timm")
    return importlib.import_module("timm")


def _forget(*packages: str) -> None:
    for name in list(sys.modules):
        if any(name == package or name.startswith(f"{package}.") for package in packages):
            del sys.modules[name]
    parent = sys.modules.get("timm")
    if parent is not None and "timm.data" in packages:
        vars(parent).pop("data", None)


timm: Any = _import_timm()
