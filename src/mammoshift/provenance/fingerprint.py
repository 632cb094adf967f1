"""Fingerprints of code: what a script does, not when its file was written.

Snakemake keys a script on its modification time and never sees the modules that it imports. The
fingerprint of a script is a hash over the script and every first-party module that it reaches
by imports, each reduced to its syntax tree without docstrings, so that comments, formatting,
checkouts and `touch` change nothing, while a changed statement anywhere below does.

Standard library only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mammoshift.files import write_text_atomically

FIRST_PARTY = "mammoshift"


@dataclass(frozen=True)
class _Source:
    """One parsed file: its normalised code and the first-party modules that it names."""

    code: str
    imports: tuple[str, ...]


def code_fingerprint(
    script: Path, library: Path, memory: Path | None = None, modules: Sequence[str] = ()
) -> dict[str, str]:
    """Return a short hash of the code of `script` and of each module that it reaches.

    The hashes are kept apart by module, so that a person can be told which one changed.

    Parameters
    ----------
    script
        The script of a rule.
    library
        The folder that holds the package `mammoshift`.
    modules
        Modules that the script looks up by name, such as an adapter.
    memory
        A file that remembers what parsing gave, by the content of the parsed file: parsing
        everything takes seconds, and every process of a workflow would.
    """
    known = _remembered(memory)
    before = len(known)
    first = _parse(script, script.stem, False, known)
    reached = {script.name: first.code}
    waiting = [*first.imports, *modules]
    while waiting:
        module = waiting.pop()
        path = _find(module, library)
        if path is None or module in reached:
            continue
        source = _parse(path, module, path.name == "__init__.py", known)
        reached[module] = source.code
        waiting.extend(source.imports)
        if "." in module:
            waiting.append(module.rpartition(".")[0])
    if memory is not None and len(known) > before:
        write_text_atomically(memory, json.dumps(known))
    return dict(sorted(reached.items()))


def file_hashes(folder: Path) -> dict[str, str]:
    """Return a short hash of the content of each file in `folder`, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def _find(module: str, library: Path) -> Path | None:
    """Return the file of a module, or None for a name inside a module."""
    base = library.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


_Known = dict[str, tuple[str, list[str]]]


@cache
def _remembered(memory: Path | None) -> _Known:
    """Return what is known of parsed files, from this process and from `memory`."""
    if memory is None or not memory.is_file():
        return {}
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
        return {key: (str(code), list(imports)) for key, (code, imports) in content.items()}
    except (ValueError, AttributeError):
        return {}


@cache
def _own_version() -> str:
    """Return what, beside a file's content, decides how it is normalised."""
    return f"{sys.version_info[:2]}{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"


def _parse(path: Path, module: str, is_package: bool, known: _Known) -> _Source:
    content = path.read_bytes()
    place = f"{_own_version()}\0{module}\0{is_package}\0".encode()
    key = hashlib.sha256(place + content).hexdigest()
    if key not in known:
        tree = ast.parse(content, filename=path.name)
        imports = list(dict.fromkeys(_imports(tree, module, is_package)))
        _drop_docstrings(tree)
        known[key] = (hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12], imports)
    code, imports = known[key]
    return _Source(code, tuple(imports))


def _drop_docstrings(tree: ast.Module) -> None:
    """Remove every string that stands alone as a statement: docstrings do nothing."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        kept = [s for s in body if not _is_lone_string(s)]
        node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]


def _is_lone_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _imports(tree: ast.Module, module: str, is_package: bool) -> Iterator[str]:
    """Yield the first-party modules that a file may import, also lazily and by name.

    `from a.b import c` may mean the module `a.b.c` or a name in `a.b`: both are followed, and
    names that are no file are dropped. A string that is the full name of a module counts as an
    import, since adapters and commands are looked up by such names.
    """
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if _is_ours(base):
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and _is_module_name(node.value):
            yield str(node.value)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def _is_module_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(rf"{FIRST_PARTY}(\.\w+)+", value) is not None


def _is_ours(name: str) -> bool:
    return name == FIRST_PARTY or name.startswith(f"{FIRST_PARTY}.")
