"""The normal form of a top-level statement: what it does, and which definitions it names.

Two statements that differ in comments, formatting, docstrings, annotations that nothing reads,
texts for people or the names of local variables have the same normal form. The name of anything
that the library defines is not part of the text but a reference, which
`mammoshift.provenance.reach` resolves, so that the name of a private definition does not count.

The file is long since it holds one visitor: a case for each kind of node that has one of its own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mammoshift.provenance import outside
from mammoshift.provenance.classes import TYPED, body_that_counts, named_by_fields, unsubscripted
from mammoshift.provenance.names import Names
from mammoshift.provenance.scopes import (
    FIRST_PARTY,
    Scope,
    bound_by,
    import_target,
    is_ours,
    modules_of,
    parameters_of,
)

BY_NAME = "@"
"""Begins a reference to modules that a text names, or that may be looked up by a computed one."""

CALLED, DERIVED = "called", "derived"

_LOADS_BY_NAME = frozenset(("importlib.import_module", "builtins.__import__"))
_LISTS_MODULES = ("pkgutil.",)
_SEES_EVERYTHING = frozenset(("globals", "eval", "exec", "locals", "vars", "__import__"))
_FIELD_KINDS = frozenset(("ClassVar", "InitVar", "KW_ONLY"))
_CALLS_FIRST = frozenset(
    ("builtins.map", "builtins.filter", "functools.reduce", "itertools.starmap")
)
_PLACES = frozenset(("__package__", "__path__"))


class NormalForm:
    """The normal form of one top-level statement, as a text with references."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.references: dict[str, int] = {}
        self.imports: list[str] = []
        self.registered: list[tuple[str, str]] = []
        self.held: list[str] = []
        self.at_import: list[tuple[str, str]] = []
        self.read_at_import: set[str] = set()
        self.has_effect = False
        self._out: list[str] = []
        self._depth = 0
        self._variables = 0
        self._handlers = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Constant: self._constant,
            ast.Call: self._call,
            ast.Dict: self._dict,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.Lambda: self._lambda,
            ast.ClassDef: self._class,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.DictComp: self._comprehension,
            ast.AnnAssign: self._annotated,
            ast.Import: self._import,
            ast.ImportFrom: self._import,
            ast.Raise: self._raise,
            ast.Global: self._global,
        }

    def statement_text(self, statement: ast.stmt, names: tuple[str, ...]) -> str:
        """Return the text of a top-level statement that defines `names`."""
        shown = [name for name in names if not is_private(name)]
        self._statements([statement], self.names.scope)
        text = "".join(self._out)
        return "\0".join([*shown, text]) if text else ""

    # -- parts of the tree ---------------------------------------------------------------------

    def _node(self, node: ast.AST, scope: Scope) -> None:
        handler = self._handlers.get(type(node))
        if handler is not None:
            handler(node, scope)  # pyright: ignore[reportArgumentType]
        else:
            self._plain(node, scope)

    def _plain(self, node: ast.AST, scope: Scope, leave_out: tuple[str, ...] = ()) -> None:
        out = self._out
        out.append(f"{type(node).__name__}(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in ("ctx", "type_comment", *leave_out):
                continue
            out.append(f"{name}=")
            self._value(value, scope)
        out.append(")")

    def _value(self, value: object, scope: Scope) -> None:
        if isinstance(value, ast.AST):
            self._node(value, scope)
        elif isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            self._statements(value, scope)
        elif isinstance(value, list):
            self._out.append("[")
            for item in value:
                self._value(item, scope)
                self._out.append(",")
            self._out.append("]")
        else:
            self._out.append(repr(value))

    def _statements(self, statements: list[ast.stmt], scope: Scope) -> None:
        for statement in statements:
            if isinstance(statement, ast.Pass):
                continue
            if isinstance(statement, ast.With):
                self._with(statement, scope)
                continue
            if isinstance(statement, ast.Expr):
                value = statement.value
                if isinstance(value, ast.Constant):
                    continue
                if isinstance(value, ast.Call) and self.names.is_for_people(value, scope):
                    self._residue([*value.args, *(k.value for k in value.keywords)], scope)
                    continue
            if scope.kind == "class" and not self._depth and _changes_another(statement):
                self.has_effect = True
            self._node(statement, scope)
            self._out.append(";")

    def _name(self, node: ast.Name, scope: Scope) -> None:
        self._chain(node.id, [], scope, isinstance(node.ctx, ast.Load))

    def _global(self, node: ast.Global, scope: Scope) -> None:
        self._out.append("Global(")
        for name in node.names:
            self._chain(name, [], scope, False)
        self._out.append(")")

    def _attribute(self, node: ast.Attribute, scope: Scope) -> None:
        chain: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        chain.reverse()
        if isinstance(inner, ast.Name):
            if isinstance(node.ctx, ast.Load):
                self._chain(inner.id, chain, scope, True)
                return
            # What is written to may be a module: then everything of it may be meant.
            self._chain(inner.id, chain[:-1], scope, True)
            self._chain(inner.id, [], scope, True)
            self._out.append(f".{chain[-1]}=")
            return
        self._node(inner, scope)
        self._out.append("".join(f".{part}" for part in chain))

    def _chain(self, name: str, chain: list[str], scope: Scope, is_read: bool) -> None:
        """Write `name.a.b...` as a reference where the library defines it."""
        if "__subclasses__" in chain:
            self._refer(FIRST_PARTY, "")
        meaning = self.names.means(name, scope)
        rest = "".join(f".{part}" for part in chain)
        if meaning in ("local", "builtin"):
            self._note_reflection(name, chain, meaning)
            self._out.append(f"{meaning} {self._local(name, scope)}{rest}")
        elif meaning == "own":
            if is_read and not self._depth:
                self.read_at_import.add(name)
            if is_read or is_private(name):
                self._refer("", f"{name}{rest}")
            else:
                self._out.append(name)
        else:
            module, _, imported = meaning.partition(":")
            if is_ours(module):
                self._refer(module, f"{imported}{rest}".strip("."))
            else:
                full = ".".join(filter(None, [module, imported]))
                self._note_foreign(full + rest)
                self._out.append(f"foreign {full}{rest}")

    def _local(self, name: str, scope: Scope) -> str:
        """Return what stands for a name of a function, or of Python: a variable's number.

        Every variable of the statement has another number, in the order in which they appear.
        What is bound by more than assignments, such as a parameter, keeps its name.
        """
        bound = scope.binding(name)
        if bound is None or self.names.shows_locals or bound.assigned[name] != bound.counts[name]:
            return name
        if name not in bound.numbers:
            bound.numbers[name] = self._variables
            self._variables += 1
        return f"#{bound.numbers[name]}"

    def _refer(self, module: str, path: str, prefix: str = "") -> None:
        reference = f"{prefix}{module}:{path}"
        place = self.references.setdefault(reference, len(self.references))
        self._out.append(f"<{place}>")

    def _note_reflection(self, name: str, chain: list[str], meaning: str) -> None:
        if meaning == "builtin" and not chain:
            if name in _SEES_EVERYTHING:
                self._refer(self.names.module, "")
            elif name in _PLACES:
                self._refer_to_package()

    def _note_foreign(self, full: str) -> None:
        if full == "sys.modules" or full.startswith("sys.modules."):
            self._refer(self.names.module, "")
        elif full.startswith(_LISTS_MODULES):
            self._refer_to_package()

    def _refer_to_package(self) -> None:
        self._refer(self.names.package or self.names.module, "", BY_NAME)

    def _constant(self, node: ast.Constant, _scope: Scope) -> None:
        value = node.value
        if isinstance(value, str) and _names_module(value):
            self._refer(value.rstrip("."), "", BY_NAME)
        self._out.append(f"{type(value).__name__} {value!r}")

    def _dict(self, node: ast.Dict, scope: Scope) -> None:
        entries = [
            (repr(key.value), value.value)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
            and isinstance(value, ast.Constant)
            and isinstance(value.value, str)
            and _names_module(value.value)
        ]
        if entries and len(entries) == len(node.keys):
            self.registered.extend(entries)
            self._out.append("registry")
        else:
            self._plain(node, scope)

    def _call(self, node: ast.Call, scope: Scope) -> None:
        full = self.names.dotted(node.func, scope)
        if full == "typing.cast":
            # Its first argument is an annotation.
            self._value(node.args[1:], scope)
            return
        if full in _LOADS_BY_NAME:
            self._import_by_name(node)
        if full == "builtins.vars" and node.args:
            # Of one object; without an argument it is `locals`.
            self._out.append("vars")
            self._value(node.args, scope)
            return
        if not self._depth:
            self._note_call(node, full, scope)
        self._plain(node, scope)

    def _import_by_name(self, node: ast.Call) -> None:
        """Refer to the package for a name that is computed; one that is written out is seen."""
        name = node.args[0] if node.args else None
        if isinstance(name, ast.Constant) and not str(name.value).startswith("."):
            return
        own = self.names
        self._refer(own.module, "")
        # What a table holds is seen where the table is.
        given = isinstance(name, ast.Subscript) and len(node.args) == 1
        prefixed = (
            isinstance(name, ast.JoinedStr)
            and isinstance(name.values[0], ast.Constant)
            and str(name.values[0].value).startswith(f"{FIRST_PARTY}.")
        )
        if not given and not prefixed:
            self._refer_to_package()

    def _note_call(self, node: ast.Call, full: str | None, scope: Scope) -> None:
        """Judge a call that runs while the module is imported."""
        function = node.func
        if full is not None:
            self.has_effect |= not _is_pure(full)
            handed = node.args[:1] if full in _CALLS_FIRST else []
            handed += [keyword.value for keyword in node.keywords if keyword.arg == "key"]
            references = [self.names.reference_of(one, scope) for one in handed]
            self.at_import.extend((CALLED, one) for one in references if one is not None)
            return
        reference = self.names.reference_of(function, scope)
        if reference is not None:
            self.at_import.append((CALLED, reference))
        elif not (isinstance(function, ast.Attribute) and function.attr in outside.PURE_METHODS):
            self.has_effect = True

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        keeps = self.names.keeps_annotations
        own = scope.kind == "module"
        for decorator in node.decorator_list:
            reads = self._decorator(decorator, scope)
            keeps |= reads
            own &= not reads
        self._out.append(f"{type(node).__name__} {'' if own else node.name}(")
        self._parameters(node.args, scope, keeps)
        if keeps and node.returns is not None:
            self._node(node.returns, scope)
        inner = bound_by(node.body, self.names.package)
        for parameter in parameters_of(node.args):
            inner.counts[parameter.arg] += 1
        self._depth += 1
        self._out.append("):")
        self._statements(node.body, Scope("function", inner, scope))
        self._depth -= 1
        self._out.append("end")

    def _parameters(self, arguments: ast.arguments, scope: Scope, keeps: bool) -> None:
        for name in ("posonlyargs", "args", "vararg", "kwonlyargs", "kwarg"):
            value = getattr(arguments, name)
            listed = value if isinstance(value, list) else [value] if value else []
            self._out.append(f"{name}={[parameter.arg for parameter in listed]}")
            for parameter in listed:
                if keeps and parameter.annotation is not None:
                    self._node(parameter.annotation, scope)
        self._out.append("defaults=")
        self._value(arguments.defaults, scope)
        self._value(arguments.kw_defaults, scope)

    def _decorator(self, node: ast.expr, scope: Scope) -> bool:
        """Write a decorator; tell whether it may read annotations."""
        self._out.append("@")
        self._node(node, scope)
        function = node.func if isinstance(node, ast.Call) else node
        full = self.names.dotted(function, scope)
        if full is None:
            reference = self.names.reference_of(function, scope)
            if reference is not None:
                self.has_effect |= not self._depth
                return True
            # `@name.setter` of a property in the same class
            return not (scope.kind == "class" and isinstance(function, ast.Attribute))
        name = full.removeprefix("builtins.")
        if full in outside.PURE_DECORATORS or name in outside.PURE_BUILTINS:
            return False
        if not self._depth:
            self.has_effect = True
            self._refer(self.names.module, "")
        return True

    def _lambda(self, node: ast.Lambda, scope: Scope) -> None:
        self._out.append("Lambda(")
        self._parameters(node.args, scope, False)
        inner = bound_by([node.body], self.names.package)
        for parameter in parameters_of(node.args):
            inner.counts[parameter.arg] += 1
        self._depth += 1
        self._node(node.body, Scope("function", inner, scope))
        self._depth -= 1
        self._out.append(")")

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, scope: Scope
    ) -> None:
        bound = bound_by([g.target for g in node.generators], self.names.package)
        inner = Scope("function", bound, scope)
        self._out.append(f"{type(node).__name__}(")
        for place, generator in enumerate(node.generators):
            self._out.append("async for" if generator.is_async else "for")
            self._node(generator.target, inner)
            self._node(generator.iter, inner if place else scope)
            self._value(generator.ifs, inner)
        for name in ("key", "value", "elt"):
            part = getattr(node, name, None)
            if part is not None:
                self._node(part, inner)
        self._out.append(")")

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        if scope.kind == "module" and outside.is_declarative(self.names.module):
            self.held.extend(named_by_fields(node, self.names))
            if not body_that_counts(node, self.names):
                return
        reads_annotations = self.names.keeps_annotations
        for decorator in node.decorator_list:
            reads_annotations |= self._decorator(decorator, scope)
        # A base or a decorator of the library may look at the name.
        bases = [unsubscripted(base) for base in node.bases]
        own = scope.kind == "module" and all(self.names.dotted(base, scope) for base in bases)
        self._out.append(f"ClassDef {'' if own else node.name}(")
        self._value(node.bases, scope)
        self._value(node.keywords, scope)
        for base in bases:
            full = self.names.dotted(base, scope)
            # Only some bases read the annotations of a class, but of most that is not known.
            silent = full in TYPED or (full or "").startswith("builtins.")
            reads_annotations |= not silent
            if full is not None:
                self.has_effect |= not self._depth and not _is_quiet(full)
            elif not self._depth:
                reference = self.names.reference_of(base, scope)
                self.has_effect |= reference is None
                if reference is not None:
                    self.at_import.append((DERIVED, reference))
        if node.keywords and any(k.arg == "metaclass" for k in node.keywords):
            self.has_effect |= not self._depth
        self._out.append("):")
        body = body_that_counts(node, self.names)
        inner = Scope("class", bound_by(node.body, self.names.package), scope)
        before = self._annotations_in_class
        self._annotations_in_class = reads_annotations
        self._statements(body, inner)
        self._annotations_in_class = before
        self._out.append("end")

    _annotations_in_class = False

    def _annotated(self, node: ast.AnnAssign, scope: Scope) -> None:
        if scope.kind != "class":
            if node.value is not None:
                self._plain(ast.Assign(targets=[node.target], value=node.value), scope)
            return
        self._out.append("Field(")
        self._node(node.target, scope)
        if self._annotations_in_class or _FIELD_KINDS & set(_names_in(node.annotation)):
            self._node(node.annotation, scope)
        if node.value is not None:
            self._out.append("=")
            self._node(node.value, scope)
        self._out.append(")")

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        package = self.names.package
        self.imports.extend(modules_of(node, package))
        for alias in node.names:
            target = import_target(alias, node, package)
            module = target.partition(":")[0]
            if alias.name == "*":
                self._refer(module, "") if is_ours(module) else self._out.append(target)
                continue
            name = alias.asname or alias.name.partition(".")[0]
            if not is_ours(module):
                self._out.append(f"import {target};")
            elif scope.kind == "class" or self.names.means(name, scope) != target:
                self._out.append(f"import {'' if is_private(name) else name}")
                self._refer(*target.split(":"))

    def _with(self, node: ast.With, scope: Scope) -> None:
        """Write a block without the contexts that shape no result, such as a lock."""
        items: list[ast.withitem] = []
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and self.names.is_outside(call.func, scope):
                self._residue([*call.args, *(k.value for k in call.keywords)], scope)
            else:
                items.append(item)
        if items:
            self._plain(ast.With(items=items, body=node.body), scope)
            self._out.append(";")
        else:
            self._statements(node.body, scope)

    def _raise(self, node: ast.Raise, scope: Scope) -> None:
        """Write which error is raised; what it says is for people."""
        self._out.append("Raise(")
        error = node.exc
        if isinstance(error, ast.Call):
            self._node(error.func, scope)
            if not self._depth:
                self.has_effect = True
            for argument in error.args:
                self._argument_of_error(argument, scope)
            for keyword in error.keywords:
                self._out.append(f"{keyword.arg}=")
                self._argument_of_error(keyword.value, scope)
        elif error is not None:
            self._node(error, scope)
        self._out.append(")")
        if node.cause is not None and not isinstance(node.cause, (ast.Name, ast.Constant)):
            self._node(node.cause, scope)

    def _argument_of_error(self, node: ast.expr, scope: Scope) -> None:
        if _is_text(node):
            self._out.append("text")
            self._residue([node], scope)
        else:
            self._node(node, scope)
        self._out.append(",")

    def _residue(self, nodes: list[ast.expr], scope: Scope) -> None:
        """Write of a text for people only the calls in it that might do something else."""
        for node in nodes:
            for part in self.names.doing(node, scope):
                self._out.append("does ")
                self._node(part, scope)


def is_private(name: str) -> bool:
    """Tell whether a name is one that a module keeps to itself."""
    return name.startswith("_") and not name.startswith("__")


def _names_module(text: str) -> bool:
    """Tell whether a text is the full name of a module, or begins one."""
    return re.fullmatch(rf"{FIRST_PARTY}(\.\w+)*\.|{FIRST_PARTY}(\.\w+)+", text) is not None


def _changes_another(statement: ast.stmt) -> bool:
    """Tell whether a statement in a class body assigns to something outside it."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign):
        targets = [statement.target]
    else:
        return isinstance(statement, (ast.Delete, ast.For, ast.While, ast.With, ast.Try))
    return any(isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets)


def _names_in(annotation: ast.expr) -> Iterator[str]:
    """Yield the words of an annotation, also of one that is a text."""
    yield from re.findall(r"\w+", ast.unparse(annotation))


def _is_text(node: ast.expr) -> bool:
    """Tell whether an expression is a text that is written out here."""
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, (ast.Add, ast.Mod)) and (
            _is_text(node.left) or _is_text(node.right)
        )
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) and _is_text(node.orelse)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("format", "join")
        and _is_text(node.func.value)
    )


def _is_pure(full: str) -> bool:
    root, _, rest = full.partition(".")
    if root == "builtins":
        return rest.partition(".")[0] in outside.PURE_BUILTINS
    return root in outside.PURE_MODULES and "random" not in full and full != "logging.basicConfig"


def _is_quiet(full: str) -> bool:
    return full.startswith("builtins.") or full.partition(".")[0] in outside.QUIET_BASES
