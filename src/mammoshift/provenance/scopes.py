"""Which names a piece of Python binds, and what a name means at a place in it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

FIRST_PARTY = "mammoshift"

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass
class Bound:
    """The names that statements bind in their own scope.

    Attributes
    ----------
    counts
        Name -> number of places that bind it.
    assigned
        Name -> how many of those assign to it, and do not define, import, catch or pass it.
    numbers
        Name of a local variable -> the number that its normal form has for it.
    imports
        Name -> what an import binds it to, as `module:name`, or `module:` for a module itself.
    from_elsewhere
        Names that are declared global or nonlocal.
    """

    counts: Counter[str] = field(default_factory=Counter)
    assigned: Counter[str] = field(default_factory=Counter)
    numbers: dict[str, int] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    global_names: set[str] = field(default_factory=set)
    from_elsewhere: set[str] = field(default_factory=set)

    def single_import(self, name: str) -> str | None:
        """Return what `name` is imported from, if nothing else binds it."""
        return self.imports.get(name) if self.counts[name] == 1 else None


@dataclass
class Scope:
    """A place in a file: what is bound there, around what is bound outside."""

    kind: str
    bound: Bound
    parent: Scope | None = None

    def lookup(self, name: str) -> str | None:
        """Return what `name` means here.

        Returns
        -------
        str or None
            ``local``; an import as in `Bound.imports`; or None, for a name of the module.
        """
        bound = self.binding(name)
        return None if bound is None else bound.single_import(name) or "local"

    def binding(self, name: str) -> Bound | None:
        """Return what binds `name` here, if that is a function or what is like one."""
        scope: Scope | None = self
        while scope is not None and scope.kind != "module":
            bound = scope.bound
            visible = scope.kind == "function" or scope is self
            if visible and name in bound.global_names:
                return None
            if visible and name in bound.counts and name not in bound.from_elsewhere:
                return None if scope.kind == "class" else bound
            scope = scope.parent
        return None


def bound_by(statements: Iterable[ast.AST], package: str) -> Bound:
    """Return what statements bind in their scope; `package` is where relative imports start."""
    bound = Bound()
    for node in statements:
        for part in _own_nodes(node):
            _note(part, bound, package)
    return bound


def parameters_of(arguments: ast.arguments) -> Iterator[ast.arg]:
    """Yield all parameters of a function."""
    yield from arguments.posonlyargs
    yield from arguments.args
    yield from arguments.kwonlyargs
    yield from (extra for extra in (arguments.vararg, arguments.kwarg) if extra)


def import_target(alias: ast.alias, node: ast.Import | ast.ImportFrom, package: str) -> str:
    """Return what one part of an import binds its name to."""
    if isinstance(node, ast.ImportFrom):
        return f"{absolute(node, package)}:{alias.name}"
    return f"{alias.name if alias.asname else alias.name.partition('.')[0]}:"


def modules_of(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Yield the modules of the library that an import may import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if is_ours(alias.name))
    elif is_ours(base := absolute(node, package)):
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the full name of the module that `from ... import` reads."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def is_ours(module: str) -> bool:
    """Tell whether a module belongs to this library."""
    return module == FIRST_PARTY or module.startswith(f"{FIRST_PARTY}.")


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a statement that belong to its own scope."""
    yield node
    if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
        inner: list[ast.AST] = list(getattr(node, "decorator_list", []))
        if isinstance(node, ast.ClassDef):
            inner += [*node.bases, *node.keywords]
        else:
            inner += [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
    elif isinstance(node, _COMPREHENSIONS):
        # Targets live in the comprehension; a walrus inside binds around it.
        inner = [part for part in ast.walk(node) if isinstance(part, ast.NamedExpr)]
    else:
        inner = list(ast.iter_child_nodes(node))
    for part in inner:
        yield from _own_nodes(part)


def _note(node: ast.AST, bound: Bound, package: str) -> None:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        bound.counts[node.id] += 1
        bound.assigned[node.id] += 1
    elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        bound.counts[node.name] += 1
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            name = alias.asname or alias.name
            if isinstance(node, ast.Import):
                name = alias.asname or alias.name.partition(".")[0]
            target = import_target(alias, node, package)
            if bound.imports.get(name) != target:
                bound.counts[name] += 1
            bound.imports[name] = target
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        bound.counts[node.name] += 1
    elif isinstance(node, ast.MatchMapping) and node.rest:
        bound.counts[node.rest] += 1
    elif isinstance(node, ast.Global):
        bound.global_names.update(node.names)
    elif isinstance(node, ast.Nonlocal):
        bound.from_elsewhere.update(node.names)
