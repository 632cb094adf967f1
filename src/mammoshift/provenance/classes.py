"""What counts of a class."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mammoshift.provenance import outside
from mammoshift.provenance.names import Names
from mammoshift.provenance.scopes import FUNCTIONS, Scope, bound_by

TYPED = ("typing.Protocol", "typing.NamedTuple", "typing.TypedDict", "typing.Generic")
"""Bases whose classes say nothing but which fields or methods there are."""


def body_that_counts(node: ast.ClassDef, names: Names) -> list[ast.stmt]:
    """Return what counts of a class's body: fields in order, then methods by name."""
    if outside.is_bases_only(names.module):
        return []
    if outside.is_declarative(names.module):
        methods = [method for method in _methods(node) if not _is_validator(method, names)]
        return [*filter(_is_no_field, node.body), *methods]
    counts = bound_by(node.body, names.package).counts
    used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    free: list[ast.FunctionDef | ast.AsyncFunctionDef] = [
        method
        for method in _methods(node)
        if counts[method.name] == 1 and method.name not in used and not _is_validator(method, names)
    ]
    rest = [statement for statement in node.body if statement not in free]
    return [*rest, *sorted(free, key=_name)]


def named_by_fields(node: ast.ClassDef, names: Names) -> Iterator[str]:
    """Yield references to what the bases and annotations of a class name.

    The instances of a declarative class hold instances of those, whose methods may be called.
    """
    parts = [*node.bases, *(s.annotation for s in node.body if isinstance(s, ast.AnnAssign))]
    for part in parts:
        for name in ast.walk(part):
            if isinstance(name, ast.Name):
                reference = names.reference_of(name, names.scope)
                if reference is not None:
                    yield reference


def traits(node: ast.ClassDef, has_effect: bool, names: Names) -> tuple[bool, bool]:
    """Tell whether making an instance of a class, or deriving from it, does nothing else."""
    methods = {method.name for method in _methods(node)}
    quiet = "__init_subclass__" not in methods and not node.keywords and not has_effect
    made = methods & {"__init__", "__new__", "__post_init__"}
    foreign = {names.dotted(unsubscripted(base), names.scope) for base in node.bases}
    plain = not made and not has_effect and foreign <= {None, *TYPED}
    return plain, quiet


def unsubscripted(base: ast.expr) -> ast.expr:
    """Return a base class without its type parameters."""
    return base.value if isinstance(base, ast.Subscript) else base


def _name(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return method.name


def _methods(node: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [statement for statement in node.body if isinstance(statement, FUNCTIONS)]


def _is_no_field(statement: ast.stmt) -> bool:
    """Tell whether a statement of a declarative class gives it a value that no YAML can set."""
    if isinstance(statement, ast.Assign):
        return not any(
            isinstance(target, ast.Name) and target.id == "model_config"
            for target in statement.targets
        )
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
        return False
    named = {part.id for part in ast.walk(statement.annotation) if isinstance(part, ast.Name)}
    return "ClassVar" in named or statement.target.id.startswith("_")


def _is_validator(node: ast.FunctionDef | ast.AsyncFunctionDef, names: Names) -> bool:
    scope = Scope("module", names.bound)
    functions = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(names.dotted(function, scope) in outside.VALIDATORS for function in functions)
