"""One file reduced to its definitions and to what importing it does."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mammoshift.provenance.classes import traits
from mammoshift.provenance.names import Names
from mammoshift.provenance.normal_form import NormalForm
from mammoshift.provenance.scopes import FUNCTIONS, absolute, bound_by, is_ours, modules_of


@dataclass(frozen=True)
class Unit:
    """One top-level statement.

    Attributes
    ----------
    names
        The names that it defines; empty for a statement that defines nothing.
    text
        Hash of its normal form, in which references stand by their place in `references`; empty
        where nothing of it counts.
    references
        What it names of the library, in order of appearance: `module:name.attribute...`; an
        empty module is its own, an empty path a whole module. See `normal_form.BY_NAME`.
    imports
        Modules that are imported when it runs.
    registered
        Key and module of each entry of tables that map keys to the names of modules.
    held
        References to the classes, or unions of them, whose instances it may hold.
    has_effect
        Whether importing the module may do more than define `names`.
    at_import
        References that are called or derived from while the module is imported: whether that
        does more depends on what they are.
    is_class, is_plain, is_quiet
        Whether it is a class; of one, whether making an instance, or deriving from it, does
        nothing else.
    """

    names: tuple[str, ...]
    text: str
    references: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    registered: tuple[tuple[str, str], ...] = ()
    held: tuple[str, ...] = ()
    has_effect: bool = False
    at_import: tuple[tuple[str, str], ...] = ()
    is_class: bool = False
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
    return _File(Names(tree, module, package, is_script), is_script).source()


def digest(*parts: str) -> str:
    """Return a short hash of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class _File:
    """One file while it is taken apart."""

    def __init__(self, names: Names, is_script: bool) -> None:
        self.names, self.is_script = names, is_script
        self.imports: list[str] = []
        self.stars: list[str] = []

    def source(self) -> Source:
        found = [unit for statement in self.names.statements for unit in self._units(statement)]
        units = tuple(unit for unit, _ in self._ordered(found))
        names: dict[str, tuple[int, ...]] = {}
        for place, unit in enumerate(units):
            for name in unit.names:
                names[name] = (*names.get(name, ()), place)
        imported = {
            name: target
            for name, target in self.names.bound.imports.items()
            if name not in names and self.names.bound.counts[name] == 1
        }
        imports = tuple(dict.fromkeys(self.imports))
        return Source(units, names, imported, imports, tuple(self.stars))

    def _units(self, statement: ast.stmt) -> Iterator[tuple[Unit, set[str]]]:
        """Yield the units of a statement, each with the own names that it reads at import."""
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            if not self._note_import(statement):
                return
            names: tuple[str, ...] = tuple(
                name for name in _imported_names(statement) if name in self.names.rebound
            )
            kind = "effect"
        elif isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            names, kind = (statement.name,), "definition"
        elif (targets := _assigned_names(statement)) is not None:
            names, kind = targets, "definition"
        else:
            bound = bound_by([statement], self.names.package)
            names = tuple(n for n in bound.counts if self.names.bound.single_import(n) is None)
            kind = "effect"
        form = NormalForm(self.names)
        text = form.statement_text(statement, names)
        if not text and not form.held and kind == "effect":
            return
        effect = kind == "effect" or form.has_effect or bool(self.names.rebound & set(names))
        effect |= self.is_script and not isinstance(statement, (*FUNCTIONS, ast.ClassDef))
        effect |= "__getattr__" in names
        is_class = isinstance(statement, ast.ClassDef)
        plain = quiet = False
        if isinstance(statement, ast.ClassDef):
            plain, quiet = traits(statement, form.has_effect, self.names)
        yield (
            Unit(
                names=names,
                text=digest(text) if text else "",
                references=tuple(form.references),
                imports=tuple(dict.fromkeys(form.imports)),
                registered=tuple(form.registered),
                held=tuple(dict.fromkeys(form.held)),
                has_effect=effect,
                at_import=tuple(dict.fromkeys(form.at_import)),
                is_class=is_class,
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
        self.imports.extend(modules_of(node, self.names.package))
        if any(alias.name == "*" for alias in node.names):
            assert isinstance(node, ast.ImportFrom)
            base = absolute(node, self.names.package)
            if is_ours(base):
                self.stars.append(base)
                return False
            return True
        names = list(_imported_names(node))
        if any(name in self.names.rebound for name in names):
            return True
        # An import that nothing uses is there for what it does, unless it is of Python's own.
        foreign = not any(modules_of(node, self.names.package))
        unused = foreign and any(name not in self.names.used for name in names)
        return unused and not _is_of_python(node)


def _is_of_python(node: ast.Import | ast.ImportFrom) -> bool:
    """Tell whether everything that is imported is of the standard library."""
    if isinstance(node, ast.ImportFrom):
        modules = [node.module or ""] if not node.level else [""]
    else:
        modules = [alias.name for alias in node.names]
    return all(module.partition(".")[0] in sys.stdlib_module_names for module in modules)


def _imported_names(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            yield alias.asname or alias.name.partition(".")[0]
        else:
            yield alias.asname or alias.name


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
