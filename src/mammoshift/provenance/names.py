"""What the names in one file mean: its own definitions, other modules', Python's, a library's."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mammoshift.provenance import outside
from mammoshift.provenance.scopes import Scope, bound_by, is_ours

_READS_ANNOTATIONS = frozenset(
    ("get_type_hints", "get_annotations", "__annotations__", "signature", "getfullargspec")
)
_SHOWS_LOCALS = frozenset(
    ("locals", "vars", "dir", "exec", "_getframe", "currentframe", "f_locals", "f_back")
)
_TAKE_EXPRESSIONS = frozenset(("query", "eval"))


class Names:
    """The names of one file.

    Attributes
    ----------
    module, package
        Full name of the module, and where its relative imports start.
    statements
        The top-level statements that run.
    bound, scope
        What they bind.
    rebound
        Names that are bound more than once.
    keeps_annotations
        Whether something here may read annotations.
    shows_locals
        Whether something here may read the names of local variables.
    """

    def __init__(self, tree: ast.Module, module: str, package: str, is_script: bool) -> None:
        self.module, self.package = module, package
        self.statements = [s for s in tree.body if is_script or not _never_runs(s)]
        self.bound = bound_by(self.statements, package)
        self.scope = Scope("module", self.bound)
        nodes = list(ast.walk(tree))
        self.used = {node.id for node in nodes if isinstance(node, ast.Name)}
        self.rebound = {name for name, count in self.bound.counts.items() if count > 1} | {
            name for node in nodes if isinstance(node, ast.Global) for name in node.names
        }
        attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        self.keeps_annotations = bool(_READS_ANNOTATIONS & (self.used | attributes))
        self.shows_locals = (
            bool(_SHOWS_LOCALS & (self.used | attributes))
            or "eval" in self.used
            or any(map(_takes_an_expression, nodes))
        )
        self.functions = {n.name for n in nodes if isinstance(n, ast.FunctionDef)}
        self._loggers = set(self._named_loggers())

    def means(self, name: str, scope: Scope) -> str:
        """Return what a name means: ``local``, ``own``, ``builtin`` or `module:name`."""
        found = scope.lookup(name)
        if found is not None:
            return found
        if name in self.bound.counts:
            return self.bound.single_import(name) or "own"
        in_class = scope.kind == "class" and name in scope.bound.counts
        return "local" if in_class else "builtin"

    def dotted(self, node: ast.expr, scope: Scope) -> str | None:
        """Return the full name of what other libraries or Python define, such as `re.compile`."""
        chain: list[str] = []
        while isinstance(node, ast.Attribute):
            chain.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        meaning = self.means(node.id, scope)
        if meaning == "builtin":
            root = f"builtins.{node.id}"
        elif ":" in meaning and not is_ours(meaning.partition(":")[0]):
            root = meaning.replace(":", ".").rstrip(".")
        else:
            return None
        return ".".join([root, *reversed(chain)])

    def reference_of(self, node: ast.expr, scope: Scope) -> str | None:
        """Return the reference of a name, or of an attribute of one, that the library defines."""
        chain: list[str] = []
        while isinstance(node, ast.Attribute):
            chain.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        meaning = self.means(node.id, scope)
        if meaning == "own":
            return (
                None
                if chain and chain[-1] in outside.PURE_METHODS
                else ":" + ".".join([node.id, *chain])
            )
        module, colon, name = meaning.partition(":")
        if not colon or not is_ours(module):
            return None
        return f"{module}:" + ".".join(filter(None, [name, *chain]))

    def _named_loggers(self) -> Iterator[str]:
        for statement in self.statements:
            if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
                continue
            if self.dotted(statement.value.func, self.scope) == "logging.getLogger":
                yield from (t.id for t in statement.targets if isinstance(t, ast.Name))

    def is_for_people(self, call: ast.Call, scope: Scope) -> bool:
        """Tell whether a call, as a statement, only says something or is declared outside."""
        function = call.func
        full = self.dotted(function, scope)
        if full == "builtins.print":
            return all(
                keyword.arg in ("sep", "end", "flush")
                or (
                    keyword.arg == "file"
                    and self.dotted(keyword.value, scope) in ("sys.stdout", "sys.stderr")
                )
                for keyword in call.keywords
            )
        if full == "warnings.warn" or self.is_outside(function, scope):
            return True
        told = outside.PROGRESS not in self.functions
        if isinstance(function, ast.Name):
            given = self.means(function.id, scope) == "local"
            return given and told and function.id == outside.PROGRESS
        if not isinstance(function, ast.Attribute):
            return False
        if function.attr == outside.PROGRESS:
            is_own = isinstance(function.value, ast.Name) and function.value.id == "self"
            return is_own and told
        return function.attr in outside.LOG_METHODS and self._is_logger(function.value, scope)

    def _is_logger(self, node: ast.expr, scope: Scope) -> bool:
        if isinstance(node, ast.Call):
            return self.dotted(node.func, scope) == "logging.getLogger"
        if isinstance(node, ast.Name) and node.id in self._loggers:
            return self.means(node.id, scope) == "own"
        return self.dotted(node, scope) == "logging"

    def is_outside(self, node: ast.expr, scope: Scope) -> bool:
        """Tell whether a name is that of a definition that is declared to shape no result."""
        if not isinstance(node, ast.Name):
            return False
        meaning = self.means(node.id, scope)
        if meaning == "own":
            return outside.is_outside(self.module, node.id)
        module, colon, name = meaning.partition(":")
        return bool(colon and name) and outside.is_outside(module, name)

    def doing(self, node: ast.AST, scope: Scope) -> Iterator[ast.expr]:
        """Yield the parts of a text for people that may do more than give a value."""
        if isinstance(node, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)):
            yield node
        elif isinstance(node, ast.Call):
            function = node.func
            full = self.dotted(function, scope)
            harmless = full is not None and (
                full.removeprefix("builtins.") in outside.PURE_BUILTINS
            )
            harmless |= self.is_outside(function, scope)
            if isinstance(function, ast.Attribute) and full is None:
                harmless = function.attr in outside.PURE_METHODS and (
                    self.reference_of(function, scope) is None
                )
            if not harmless:
                yield node
                return
            if isinstance(function, ast.Attribute):
                yield from self.doing(function.value, scope)
            for argument in [*node.args, *node.keywords]:
                yield from self.doing(argument, scope)
        elif not isinstance(node, ast.Lambda):
            for part in ast.iter_child_nodes(node):
                yield from self.doing(part, scope)


def _takes_an_expression(node: ast.AST) -> bool:
    """Tell whether a call is handed a text that may name local variables, as pandas takes it."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr in _TAKE_EXPRESSIONS and bool(node.args or node.keywords)


def _never_runs(statement: ast.stmt) -> bool:
    """Tell whether a top-level statement of an imported module is for type checkers or scripts."""
    if not isinstance(statement, ast.If) or statement.orelse:
        return False
    return ast.unparse(statement.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
        "__name__ == '__main__'",
    )
