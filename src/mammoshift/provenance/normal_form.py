"""One file reduced to its definitions: what each does, and which other definitions it names.

Two files that differ in comments, formatting, docstrings, annotations that nothing reads, texts
for people, the order of definitions or the names of private ones have the same definitions. The
name of anything that the library defines is not part of a definition's text but a reference,
which `mammoshift.provenance.reach` resolves.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mammoshift.provenance import outside
from mammoshift.provenance.scopes import (
    FIRST_PARTY,
    Scope,
    absolute,
    bound_by,
    import_target,
    is_ours,
    parameters_of,
)

BY_NAME = "@"
"""Begins a reference to modules that a text names, or that may be looked up by a computed one."""

CALLED, DERIVED = "called", "derived"

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOADS_BY_NAME = frozenset(("importlib.import_module", "builtins.__import__"))
_LISTS_MODULES = ("pkgutil.",)
_SEES_EVERYTHING = frozenset(("globals", "eval", "exec", "locals", "vars", "__import__"))
_READS_ANNOTATIONS = frozenset(
    ("get_type_hints", "get_annotations", "__annotations__", "signature", "getfullargspec")
)
_TYPED = ("typing.Protocol", "typing.NamedTuple", "typing.TypedDict", "typing.Generic")
_FIELD_KINDS = frozenset(("ClassVar", "InitVar", "KW_ONLY"))
_PLACES = frozenset(("__package__", "__path__"))


@dataclass(frozen=True)
class Unit:
    """One top-level statement.

    Attributes
    ----------
    names
        The names that it defines; empty for a statement that defines nothing.
    text
        Hash of its normal form, in which references stand by their place in `references`.
    references
        What it names of the library, in order of appearance: `module:name.attribute...`; an
        empty module is its own, an empty path a whole module. See `BY_NAME`.
    imports
        Modules that are imported when it runs.
    registered
        Key and module of each entry of tables that map keys to the names of modules.
    has_effect
        Whether importing the module may do more than define `names`.
    at_import
        References that are called or derived from while the module is imported: whether that
        does more depends on what they are.
    is_plain, is_quiet
        Of a class: whether making an instance, or deriving from it, does nothing else.
    """

    names: tuple[str, ...]
    text: str
    references: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    registered: tuple[tuple[str, str], ...] = ()
    has_effect: bool = False
    at_import: tuple[tuple[str, str], ...] = ()
    is_plain: bool = False
    is_quiet: bool = False


@dataclass(frozen=True)
class Source:
    """One file.

    Attributes
    ----------
    units
        Its statements, in order.
    names
        Name -> places in `units` that define it.
    imported
        Name -> what an import binds it to: `module:name`, or `module:` for a module itself.
    imports
        Modules of the library that are imported with it.
    stars
        Modules of which everything is imported.
    """

    units: tuple[Unit, ...]
    names: dict[str, tuple[int, ...]]
    imported: dict[str, str]
    imports: tuple[str, ...]
    stars: tuple[str, ...]


def read_source(
    content: bytes, module: str, is_package: bool = False, is_script: bool = False
) -> Source:
    """Reduce the content of a file.

    Parameters
    ----------
    module
        Full name of the module.
    is_package
        Whether the file is an `__init__.py`.
    is_script
        Whether the file is run rather than imported: all its statements then have effects.
    """
    package = module if is_package else module.rpartition(".")[0]
    tree = ast.parse(content, filename=module)
    return _Module(tree, module, package, is_script).source()


def digest(*parts: str) -> str:
    """Return a short hash of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class _Module:
    """One file while it is taken apart."""

    def __init__(self, tree: ast.Module, module: str, package: str, is_script: bool) -> None:
        self.module, self.package, self.is_script = module, package, is_script
        self.statements = [s for s in tree.body if is_script or not _never_runs(s)]
        self.bound = bound_by(self.statements, package)
        self.scope = Scope("module", self.bound)
        self.used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self.rebound = {name for name, count in self.bound.counts.items() if count > 1} | {
            name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names
        }
        self.keeps_annotations = any(
            (isinstance(node, ast.Name) and node.id in _READS_ANNOTATIONS)
            or (isinstance(node, ast.Attribute) and node.attr in _READS_ANNOTATIONS)
            for node in ast.walk(tree)
        )
        self.loggers = set(self._loggers())
        self.imports: list[str] = []
        self.stars: list[str] = []

    def source(self) -> Source:
        found = [unit for statement in self.statements for unit in self._units(statement)]
        units = tuple(unit for unit, _ in self._ordered(found))
        names: dict[str, tuple[int, ...]] = {}
        for place, unit in enumerate(units):
            for name in unit.names:
                names[name] = (*names.get(name, ()), place)
        imported = {
            name: target
            for name, target in self.bound.imports.items()
            if name not in names and self.bound.counts[name] == 1
        }
        imports = tuple(dict.fromkeys(self.imports))
        return Source(units, names, imported, imports, tuple(self.stars))

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

    def _loggers(self) -> Iterator[str]:
        for statement in self.statements:
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
                if self.dotted(statement.value.func, self.scope) == "logging.getLogger":
                    yield from (t.id for t in statement.targets if isinstance(t, ast.Name))

    def _units(self, statement: ast.stmt) -> Iterator[tuple[Unit, set[str]]]:
        """Yield the units of a statement, each with the own names that it reads at import."""
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            if not self._note_import(statement):
                return
            names: tuple[str, ...] = tuple(
                name for name in _imported_names(statement) if name in self.rebound
            )
            kind = "effect"
        elif isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            names, kind = (statement.name,), "definition"
        elif (targets := _assigned_names(statement)) is not None:
            names, kind = targets, "definition"
        else:
            bound = bound_by([statement], self.package)
            names = tuple(n for n in bound.counts if self.bound.single_import(n) is None)
            kind = "effect"
        form = _NormalForm(self)
        text = form.statement_text(statement, names)
        if not text and not form.references:
            return
        effect = kind == "effect" or form.has_effect or bool(self.rebound & set(names))
        effect |= self.is_script and not isinstance(statement, (*_FUNCTIONS, ast.ClassDef))
        effect |= "__getattr__" in names
        plain, quiet = (
            _class_traits(statement, form) if isinstance(statement, ast.ClassDef) else (False,) * 2
        )
        yield (
            Unit(
                names=names,
                text=digest(text),
                references=tuple(form.references),
                imports=tuple(dict.fromkeys(form.imports)),
                registered=tuple(form.registered),
                has_effect=effect,
                at_import=tuple(dict.fromkeys(form.at_import)),
                is_plain=plain,
                is_quiet=quiet,
            ),
            form.read_at_import,
        )

    def _ordered(self, found: list[tuple[Unit, set[str]]]) -> list[tuple[Unit, set[str]]]:
        """Give an effect to values that share a name with one, so that their order counts."""
        touched = {name for unit, read in found if unit.has_effect for name in {*unit.names, *read}}
        result = []
        for unit, read in found:
            shared = touched & {*unit.names, *read}
            if shared and not unit.has_effect and not (unit.is_plain or unit.is_quiet):
                unit = replace(unit, has_effect=True)
            result.append((unit, read))
        return result

    def _note_import(self, node: ast.Import | ast.ImportFrom) -> bool:
        """Note what a top-level import reaches; tell whether it is a statement of its own."""
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            return False
        self.imports.extend(_modules_of(node, self.package))
        if any(alias.name == "*" for alias in node.names):
            assert isinstance(node, ast.ImportFrom)
            base = absolute(node, self.package)
            if is_ours(base):
                self.stars.append(base)
                return False
            return True
        names = list(_imported_names(node))
        if any(name in self.rebound for name in names):
            return True
        # An import that nothing uses is there for what it does.
        foreign = not any(_modules_of(node, self.package))
        return foreign and any(name not in self.used for name in names)


class _NormalForm:
    """The normal form of one top-level statement, as a text with references."""

    def __init__(self, module: _Module) -> None:
        self.module = module
        self.references: dict[str, int] = {}
        self.imports: list[str] = []
        self.registered: list[tuple[str, str]] = []
        self.at_import: list[tuple[str, str]] = []
        self.read_at_import: set[str] = set()
        self.has_effect = False
        self._out: list[str] = []
        self._depth = 0
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
        self._statements([statement], self.module.scope)
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
            if isinstance(statement, ast.Expr):
                value = statement.value
                if isinstance(value, ast.Constant):
                    continue
                if isinstance(value, ast.Call) and self._is_for_people(value, scope):
                    self._residue([*value.args, *(k.value for k in value.keywords)], scope)
                    continue
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
        meaning = self.module.means(name, scope)
        rest = "".join(f".{part}" for part in chain)
        if meaning in ("local", "builtin"):
            self._note_reflection(name, chain, meaning)
            self._out.append(f"{meaning} {name}{rest}")
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

    def _refer(self, module: str, path: str, prefix: str = "") -> None:
        reference = f"{prefix}{module}:{path}"
        place = self.references.setdefault(reference, len(self.references))
        self._out.append(f"<{place}>")

    def _note_reflection(self, name: str, chain: list[str], meaning: str) -> None:
        if meaning == "builtin" and not chain:
            if name in _SEES_EVERYTHING:
                self._refer(self.module.module, "")
            elif name in _PLACES:
                self._refer_to_package()

    def _note_foreign(self, full: str) -> None:
        if full == "sys.modules" or full.startswith("sys.modules."):
            self._refer(self.module.module, "")
        elif full.startswith(_LISTS_MODULES):
            self._refer_to_package()

    def _refer_to_package(self) -> None:
        self._refer(self.module.package or self.module.module, "", BY_NAME)

    def _constant(self, node: ast.Constant, scope: Scope) -> None:
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
        full = self.module.dotted(node.func, scope)
        if full == "typing.cast":
            # Its first argument is an annotation.
            self._value(node.args[1:], scope)
            return
        if full in _LOADS_BY_NAME:
            self._import_by_name(node, scope)
        if full == "builtins.vars" and node.args:
            # Of one object; without an argument it is `locals`.
            self._out.append("vars")
            self._value(node.args, scope)
            return
        if not self._depth:
            self._note_call(node, full, scope)
        self._plain(node, scope)

    def _import_by_name(self, node: ast.Call, scope: Scope) -> None:
        """A name that is computed may be any module of this package; constants are seen anyway."""
        name = node.args[0] if node.args else None
        if isinstance(name, ast.Constant) and not str(name.value).startswith("."):
            return
        own = self.module
        self._refer(own.module, "")
        given = isinstance(name, (ast.Name, ast.Attribute, ast.Subscript)) and len(node.args) == 1
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
            if not _is_pure(full):
                self.has_effect = True
            return
        reference = self._reference_of(function, scope)
        if reference is not None:
            self.at_import.append((CALLED, reference))
        elif not (isinstance(function, ast.Attribute) and function.attr in outside.PURE_METHODS):
            self.has_effect = True

    def _reference_of(self, node: ast.expr, scope: Scope) -> str | None:
        chain: list[str] = []
        while isinstance(node, ast.Attribute):
            chain.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        meaning = self.module.means(node.id, scope)
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

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        keeps = self.module.keeps_annotations
        for decorator in node.decorator_list:
            keeps |= self._decorator(decorator, scope)
        own = scope.kind == "module"
        self._out.append(f"{type(node).__name__} {'' if own else node.name}(")
        self._parameters(node.args, scope, keeps)
        if keeps and node.returns is not None:
            self._node(node.returns, scope)
        inner = bound_by(node.body, self.module.package)
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
        full = self.module.dotted(function, scope)
        if full is None:
            reference = self._reference_of(function, scope)
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
            self._refer(self.module.module, "")
        return True

    def _lambda(self, node: ast.Lambda, scope: Scope) -> None:
        self._out.append("Lambda(")
        self._parameters(node.args, scope, False)
        inner = bound_by([node.body], self.module.package)
        for parameter in parameters_of(node.args):
            inner.counts[parameter.arg] += 1
        self._depth += 1
        self._node(node.body, Scope("function", inner, scope))
        self._depth -= 1
        self._out.append(")")

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, scope: Scope
    ) -> None:
        bound = bound_by([g.target for g in node.generators], self.module.package)
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
        reads_annotations = self.module.keeps_annotations
        for decorator in node.decorator_list:
            reads_annotations |= self._decorator(decorator, scope)
        own = scope.kind == "module"
        self._out.append(f"ClassDef {'' if own else node.name}(")
        self._value(node.bases, scope)
        self._value(node.keywords, scope)
        for base in node.bases:
            base = _unsubscripted(base)
            full = self.module.dotted(base, scope)
            # Only some bases read the annotations of a class, but of most that is not known.
            silent = full in _TYPED or (full or "").startswith("builtins.")
            reads_annotations |= not silent
            if full is not None:
                self.has_effect |= not self._depth and not _is_quiet(full)
            elif not self._depth:
                reference = self._reference_of(base, scope)
                self.has_effect |= reference is None
                if reference is not None:
                    self.at_import.append((DERIVED, reference))
        if node.keywords and any(k.arg == "metaclass" for k in node.keywords):
            self.has_effect |= not self._depth
        self._out.append("):")
        body = self._class_body(node)
        inner = Scope("class", bound_by(node.body, self.module.package), scope)
        before = self._annotations_in_class
        self._annotations_in_class = reads_annotations
        self._statements(body, inner)
        self._annotations_in_class = before
        self._out.append("end")

    _annotations_in_class = False

    def _class_body(self, node: ast.ClassDef) -> list[ast.stmt]:
        """Return what counts of a class's body: fields in order, then methods by name."""
        module = self.module.module
        if outside.is_bases_only(module):
            return []
        scope = Scope("module", self.module.bound)
        if outside.is_declarative(module):
            body = [s for s in node.body if isinstance(s, _FUNCTIONS)]
            return [s for s in body if not self._is_validator(s, scope)]
        names = bound_by(node.body, self.module.package).counts
        used = {n.id for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name)}
        free = [
            s
            for s in node.body
            if isinstance(s, _FUNCTIONS)
            and names[s.name] == 1
            and s.name not in used
            and not self._is_validator(s, scope)
        ]
        rest = [s for s in node.body if s not in free]
        return [*rest, *sorted(free, key=lambda s: s.name)]

    def _is_validator(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> bool:
        functions = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
        return any(self.module.dotted(f, scope) in outside.VALIDATORS for f in functions)

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
        package = self.module.package
        self.imports.extend(_modules_of(node, package))
        for alias in node.names:
            target = import_target(alias, node, package)
            module = target.partition(":")[0]
            if alias.name == "*":
                self._refer(module, "") if is_ours(module) else self._out.append(target)
                continue
            name = alias.asname or alias.name.partition(".")[0]
            if not is_ours(module):
                self._out.append(f"import {target};")
            elif scope.kind == "class" or self.module.means(name, scope) != target:
                self._out.append(f"import {'' if is_private(name) else name}")
                self._refer(*target.split(":"))

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

    # -- texts for people ----------------------------------------------------------------------

    def _is_for_people(self, call: ast.Call, scope: Scope) -> bool:
        """Tell whether a call, as a statement, only says something to a person."""
        function = call.func
        full = self.module.dotted(function, scope)
        if full == "builtins.print":
            return all(
                keyword.arg in ("sep", "end", "flush")
                or (
                    keyword.arg == "file"
                    and self.module.dotted(keyword.value, scope) in ("sys.stdout", "sys.stderr")
                )
                for keyword in call.keywords
            )
        if full == "warnings.warn":
            return True
        if isinstance(function, ast.Name) and function.id == outside.PROGRESS:
            return self.module.means(function.id, scope) == "local"
        if not isinstance(function, ast.Attribute):
            return False
        if function.attr == outside.PROGRESS:
            return isinstance(function.value, ast.Name) and function.value.id == "self"
        return function.attr in outside.LOG_METHODS and self._is_logger(function.value, scope)

    def _is_logger(self, node: ast.expr, scope: Scope) -> bool:
        if isinstance(node, ast.Call):
            return self.module.dotted(node.func, scope) == "logging.getLogger"
        if isinstance(node, ast.Name) and node.id in self.module.loggers:
            return self.module.means(node.id, scope) == "own"
        return self.module.dotted(node, scope) == "logging"

    def _residue(self, nodes: list[ast.expr], scope: Scope) -> None:
        """Write of a text for people only the calls in it that might do something else."""
        for node in nodes:
            for part in self._doing(node, scope):
                self._out.append("does ")
                self._node(part, scope)

    def _doing(self, node: ast.AST, scope: Scope) -> Iterator[ast.expr]:
        if isinstance(node, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)):
            yield node
        elif isinstance(node, ast.Call):
            function = node.func
            full = self.module.dotted(function, scope)
            harmless = full is not None and (
                full.removeprefix("builtins.") in outside.PURE_BUILTINS
            )
            if isinstance(function, ast.Attribute) and full is None:
                harmless = function.attr in outside.PURE_METHODS and (
                    self._reference_of(function, scope) is None
                )
            if not harmless:
                yield node
                return
            if isinstance(function, ast.Attribute):
                yield from self._doing(function.value, scope)
            for argument in [*node.args, *node.keywords]:
                yield from self._doing(argument, scope)
        elif not isinstance(node, ast.Lambda):
            for part in ast.iter_child_nodes(node):
                yield from self._doing(part, scope)


def is_private(name: str) -> bool:
    """Tell whether a name is one that a module keeps to itself."""
    return name.startswith("_") and not name.startswith("__")


def _names_module(text: str) -> bool:
    """Tell whether a text is the full name of a module, or begins one."""
    return re.fullmatch(rf"{FIRST_PARTY}(\.\w+)*\.|{FIRST_PARTY}(\.\w+)+", text) is not None


def _never_runs(statement: ast.stmt) -> bool:
    """Tell whether a top-level statement of an imported module is for type checkers or scripts."""
    if not isinstance(statement, ast.If) or statement.orelse:
        return False
    return ast.unparse(statement.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
        "__name__ == '__main__'",
    )


def _imported_names(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield alias.asname or alias.name.partition(".")[0]
        else:
            yield alias.asname or alias.name


def _modules_of(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Yield the modules of the library that an import may import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if is_ours(alias.name))
    elif is_ours(base := absolute(node, package)):
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _assigned_names(statement: ast.stmt) -> tuple[str, ...] | None:
    """Return the names that an assignment to names defines; None for any other statement."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return None
    names: list[str] = []
    for target in targets:
        parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
        for part in parts:
            part = part.value if isinstance(part, ast.Starred) else part
            if not isinstance(part, ast.Name):
                return None
            names.append(part.id)
    return tuple(names)


def _class_traits(node: ast.ClassDef, form: _NormalForm) -> tuple[bool, bool]:
    """Tell whether making an instance of a class, or deriving from it, does nothing else."""
    methods = {s.name for s in node.body if isinstance(s, _FUNCTIONS)}
    quiet = "__init_subclass__" not in methods and not node.keywords and not form.has_effect
    made = methods & {"__init__", "__new__", "__post_init__"}
    foreign = {form.module.dotted(_unsubscripted(b), form.module.scope) for b in node.bases}
    plain = not made and not form.has_effect and foreign <= {None, *_TYPED}
    return plain, quiet


def _names_in(annotation: ast.expr) -> Iterator[str]:
    """Yield the words of an annotation, also of one that is a text."""
    yield from re.findall(r"\w+", ast.unparse(annotation))


def _unsubscripted(base: ast.expr) -> ast.expr:
    return base.value if isinstance(base, ast.Subscript) else base


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
