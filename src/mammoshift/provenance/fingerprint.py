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
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FIRST_PARTY = "mammoshift"


@dataclass(frozen=True)
class _Source:
    """One parsed file: its normalised code and the first-party modules that it names."""

    code: str
    imports: tuple[str, ...]


def code_fingerprint(script: Path, library: Path) -> dict[str, str]:
    """Return a short hash of the code of `script` and of each module that it reaches.

    The hashes are kept apart by module, so that a person can be told which one changed.

    Parameters
    ----------
    script
        The script of a rule.
    library
        The folder that holds the package `mammoshift`.
    """
    first = _parse(script, script.stem, is_package=False)
    reached = {script.name: first.code}
    waiting = list(first.imports)
    while waiting:
        module = waiting.pop()
        path = _find(module, library)
        if path is None or module in reached:
            continue
        source = _parse(path, module, is_package=path.name == "__init__.py")
        reached[module] = source.code
        waiting.extend(source.imports)
        if "." in module:
            waiting.append(module.rpartition(".")[0])
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


def _parse(path: Path, module: str, is_package: bool) -> _Source:
    status = path.stat()
    return _parse_version(path, module, is_package, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _parse_version(path: Path, module: str, is_package: bool, _mtime: int, _size: int) -> _Source:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=path.name)
    imports = tuple(dict.fromkeys(_imports(tree, module, is_package)))
    _drop_docstrings(tree)
    code = hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]
    return _Source(code, imports)


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
