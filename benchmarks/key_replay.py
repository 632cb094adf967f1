"""How often each stage's key changes: over this repository's history, and for harmless edits.

The floor is no change without numeric effect; the peer is a key over whole modules, every module
that a script reaches by imports, as syntax trees without docstrings. `key` is one hash of the
definitions that a script reaches, `by module` one for each of their modules, which changes too
when a definition moves. What is looked up by name is that of one study: see `BY_NAME`.

    python benchmarks/key_replay.py [NUMBER_OF_COMMITS [STEP]]
"""

from __future__ import annotations

import ast
import hashlib
import io
import itertools
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mammoshift.provenance.fingerprint import code_definitions, code_fingerprint, code_key
from mammoshift.provenance.scopes import absolute, is_ours
from scratch import ROOT

COMMITS, STEP = 48, 1
LONGEST_LIST = 12
_KIND = "mammoshift.kinds.network"
_HEAD = ("mammoshift.models.heads.linear:TAKES_MAP", "mammoshift.models.heads.linear:build")
_RECIPE = (
    "mammoshift.imaging.tones.dicom_voi:needs_range",
    "mammoshift.imaging.tones.dicom_voi:tone",
    "mammoshift.imaging.masks.none:shown",
)
_FIT = (f"{_KIND}:fit", f"{_KIND}:CASE_COLUMNS", "mammoshift.training.losses.bce:build", *_HEAD)
_SCORE = (f"{_KIND}:score", f"{_KIND}:SCORED_COLUMNS", f"{_KIND}:SCORES_UNITS", *_HEAD)
BY_NAME = {
    "ingest_dataset.py": ("mammoshift.archives.adapters.cbis_ddsm",),
    "make_twin.py": ("mammoshift.phantoms.twins.cbis_ddsm",),
    "make_cases.py": ("mammoshift.cases.splits.patient_stratified",),
    "preprocess_bundle.py": _RECIPE,
    "draw_contact_sheet.py": _RECIPE,
    "extract_features.py": ("mammoshift.radiomics.sets.openbreast32",),
    "train_arm.py": _FIT,
    "search_trial.py": _FIT,
    "score_arm.py": _SCORE,
    "lend_scores.py": _SCORE,
}
"""What the rules name for a study of CBIS-DDSM with networks."""
Keys = Mapping[str, object]


def scripts_of(tree: Path) -> list[Path]:
    return sorted((tree / "workflow" / "scripts").glob("*.py"))


def schemes(tree: Path, memory: Path) -> dict[str, Keys]:
    """Return the key of each script of a tree by each scheme."""
    library, scripts = tree / "src", scripts_of(tree)
    return {
        "key": {s.name: code_key(s, library, memory, _named(s)) for s in scripts},
        "by module": {s.name: code_fingerprint(s, library, memory, _named(s)) for s in scripts},
        "whole modules": whole_module_keys(tree),
    }


def _named(script: Path) -> tuple[str, ...]:
    return BY_NAME.get(script.name, ())


def definitions_of(tree: Path, script: str, memory: Path) -> set[tuple[str, str, str]]:
    path = tree / "workflow" / "scripts" / script
    found = code_definitions(path, tree / "src", memory, _named(path))
    return {(one.module, one.name, one.hash) for one in found}


def whole_module_keys(tree: Path) -> dict[str, dict[str, str]]:
    """Return the peer's key of each script: a hash for each module that it imports."""
    keys = {}
    for script in scripts_of(tree):
        key, waiting = {}, deque([(script.name, script)])
        while waiting:
            name, path = waiting.popleft()
            key[name], imported = _whole(path.read_bytes(), name, path.name == "__init__.py")
            for module in imported:
                base = tree.joinpath("src", *module.split("."))
                for file in (base.with_suffix(".py"), base / "__init__.py"):
                    if module not in key and file.is_file():
                        waiting.append((module, file))
        keys[script.name] = key
    return keys


@cache
def _whole(content: bytes, name: str, is_package: bool) -> tuple[str, list[str]]:
    tree = ast.parse(content)
    package = name if is_package else name.rpartition(".")[0]
    imported = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names if is_ours(alias.name)]
        elif isinstance(node, ast.ImportFrom) and is_ours(base := absolute(node, package)):
            imported += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            imported += [node.value] if node.value.startswith("mammoshift.") else []
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [s for s in body if not _is_docstring(s)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


# -- history -----------------------------------------------------------------------------------


def history(number: int, step: int, folder: Path) -> None:
    """Print how often each key changed from commit to commit, or over `step` of them at once."""
    revisions = _git("rev-list", "--first-parent", f"--max-count={number + 1}", "HEAD").split()
    revisions = revisions[::step][::-1]
    counts: dict[str, Counter[str]] = {}
    reasons: list[str] = []
    memory = folder / "memory.json"
    before: tuple[Path, dict[str, Keys]] | None = None
    for revision in revisions:
        tree = folder / revision
        _extract(revision, tree)
        now = (tree, schemes(tree, memory))
        for scheme, keys in now[1].items():
            changed = _changed(before[1][scheme], keys) if before else []
            counts.setdefault(scheme, Counter()).update(changed)
            if scheme == "key" and changed and before:
                reasons.append(_reason(revision, before[0], tree, changed, memory))
        if before is not None:
            shutil.rmtree(before[0])
        before = now
    assert before is not None
    print(f"{number} commits in {len(revisions) - 1} steps: how often each key changed")
    print(f"{'script':26}" + "".join(f"{scheme:>15}" for scheme in counts))
    for script in sorted(before[1]["key"]):
        print(f"{script:26}" + "".join(f"{found[script]:15}" for found in counts.values()))
    print(f"{'all':26}" + "".join(f"{found.total():15}" for found in counts.values()))
    print("\n".join(reasons))


def _changed(before: Keys, now: Keys) -> list[str]:
    return [script for script in now if script in before and before[script] != now[script]]


def _reason(revision: str, old: Path, new: Path, changed: list[str], memory: Path) -> str:
    """Say which definitions a commit changed for each script."""
    title = _git("log", "-1", "--format=%h %s", revision).strip()
    lines = [f"\n{title[:100]}"]
    for script in changed:
        before, now = (definitions_of(tree, script, memory) for tree in (old, new))
        names = sorted({f"{module}:{name}" for module, name, _ in before ^ now})
        shown = " ".join(name.removeprefix("mammoshift.") for name in names[:LONGEST_LIST])
        more = f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else ""
        lines.append(f"  {script}: {shown}{more}")
    return "\n".join(lines)


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def _extract(revision: str, folder: Path) -> None:
    packed = subprocess.run(
        ["git", "archive", revision, "src", "workflow/scripts"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


# -- harmless edits ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edit:
    """One edit of one file: every `old` becomes `new`."""

    kind: str
    file: str
    old: str
    new: str


def harmless_edits(library: Path, files: list[Path]) -> list[Edit]:
    """Return sixty edits without numeric effect, twelve kinds with five files each.

    The files are those, of all that offer the kind, that lie evenly over `files`.
    """
    edits: list[Edit] = []
    for kind, make in _KINDS.items():
        offered = [
            Edit(kind, str(path.relative_to(library)), *found)
            for path in files
            if (found := make(path.read_text(encoding="utf-8"))) is not None
        ]
        step = max(1, len(offered) // 5)
        edits += offered[step // 2 :: step][:5]
    return edits


def _nodes(text: str) -> list[ast.stmt]:
    return ast.parse(text).body


def _text_of(text: str, node: ast.AST) -> str:
    return ast.get_source_segment(text, node) or ""


def _unique(text: str, part: str) -> bool:
    return bool(part) and text.count(part) == 1


def _message_of_an_error(text: str) -> tuple[str, str] | None:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            part = _text_of(text, node.exc.args[0])
            if part.startswith(('f"', '"')) and _unique(text, part):
                place = part.index('"') + 1
                return part, f"{part[:place]}in other words: {part[place:]}"
    return None


def _printed_line(text: str) -> tuple[str, str] | None:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            part = _text_of(text, node)
            said = part.startswith(("print(", "self.progress(", "progress(", "logger."))
            if said and _unique(text, part) and '"' in part:
                return part, part.replace('"', '"now ', 1)
    return None


def _added_print(text: str) -> tuple[str, str] | None:
    for node in _nodes(text):
        if isinstance(node, ast.FunctionDef) and not isinstance(node.body[0], ast.Expr):
            part = _text_of(text, node.body[0])
            line = f"\n    {part}"
            if _unique(text, line):
                return line, f'\n    print(f"at {{len(str({node.name!r}))}}"){line}'
    return None


def _new_function(text: str) -> tuple[str, str] | None:
    for node in reversed(_nodes(text)):
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            part = f"\ndef {node.name}("
            if _unique(text, part):
                return part, f"\ndef entirely_new(values):\n    return sum(values)\n\n{part}"
    return None


def _new_class(text: str) -> tuple[str, str] | None:
    found = _new_function(text)
    if found is None:
        return None
    new = "\nclass EntirelyNew:\n    factor = 2\n\n\nENTIRELY_NEW = (1, 2)\n\n"
    return found[0], f"{new}{found[0]}"


def _annotation(text: str) -> tuple[str, str] | None:
    for node in _nodes(text):
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            part = f") -> {_text_of(text, node.returns)}:"
            if _unique(text, part):
                return part, "):"
    return None


def _renamed_function(text: str) -> tuple[str, str] | None:
    for node in _nodes(text):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_"):
            alone = re.findall(rf"\b{node.name}\b", text)
            if len(alone) == text.count(node.name) and f'"{node.name}' not in text:
                return node.name, f"{node.name}_renamed"
    return None


def _renamed_variable(text: str) -> tuple[str, str] | None:
    for node in _nodes(text):
        for part in ast.walk(node) if isinstance(node, ast.FunctionDef) else ():
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                own = sum(isinstance(n, ast.Name) and n.id == part.id for n in ast.walk(node))
                if own == text.count(part.id) > 1:
                    return part.id, f"{part.id}_renamed"
    return None


def _unused_import(text: str) -> tuple[str, str] | None:
    part = "from __future__ import annotations\n"
    if not _unique(text, part) or "sched" in text:
        return None
    return part, f"{part}\nimport sched\n"


def _reordered(text: str) -> tuple[str, str] | None:
    nodes = _nodes(text)
    for first, second in itertools.pairwise(nodes):
        if all(
            isinstance(node, ast.FunctionDef) and not node.decorator_list and not node.args.defaults
            for node in (first, second)
        ):
            one, other = _text_of(text, first), _text_of(text, second)
            part = f"{one}\n\n\n{other}"
            if _unique(text, part):
                return part, f"{other}\n\n\n{one}"
    return None


def _comment(text: str) -> tuple[str, str] | None:
    for node in _nodes(text):
        if isinstance(node, ast.FunctionDef):
            part = f"\ndef {node.name}("
            if _unique(text, part):
                return part, f"\n# What follows was commented on.{part}"
    return None


def _docstring(text: str) -> tuple[str, str] | None:
    for node in _nodes(text):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            said = ast.get_docstring(node, clean=False)
            if said and _unique(text, said.splitlines()[0]):
                return said.splitlines()[0], f"In other words. {said.splitlines()[0]}"
    return None


_KINDS = {
    "message of an error": _message_of_an_error,
    "printed line": _printed_line,
    "new printed line": _added_print,
    "new function": _new_function,
    "new class and constant": _new_class,
    "annotation": _annotation,
    "private function renamed": _renamed_function,
    "local variable renamed": _renamed_variable,
    "unused import": _unused_import,
    "order of functions": _reordered,
    "comment": _comment,
    "docstring": _docstring,
}


def edits(folder: Path) -> None:
    """Print how many keys each kind of harmless edit changes, and why."""
    tree = folder / "edited"
    _extract("HEAD", tree)
    memory = folder / "memory.json"
    library = tree / "src" / "mammoshift"
    before = schemes(tree, memory)
    # Files that some script reaches: an edit of another file changes no key of any scheme.
    reached = {
        module.removeprefix("mammoshift.").replace(".", "/")
        for keys in whole_module_keys(tree).values()
        for module in keys
    }
    files = [
        path
        for path in sorted(library.rglob("*.py"))
        if str(path.relative_to(library).with_suffix("")) in reached
    ]
    table: dict[str, Counter[str]] = {}
    reasons: list[str] = []
    found = harmless_edits(library, files)
    told = {script: definitions_of(tree, script, memory) for script in before["key"]}
    for edit in found:
        path = library / edit.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
        row = table.setdefault(edit.kind, Counter())
        row["edits"] += 1
        now = schemes(tree, memory)
        for scheme, keys in now.items():
            row[scheme] += len(_changed(before[scheme], keys))
        changed = _changed(before["by module"], now["by module"])
        for script in changed:
            other = definitions_of(tree, script, memory) ^ told[script]
            names = sorted({f"{module}:{name}" for module, name, _ in other})
            reasons.append(f"  {edit.kind}, {edit.file}: {script}: {' '.join(names)}")
        path.write_text(text, encoding="utf-8")
    scripts = len(before["key"])
    print(f"\n{len(found)} harmless edits: keys that change, of {scripts} for each edit")
    print(f"{'kind':26}{'edits':>6}" + "".join(f"{scheme:>15}" for scheme in before))
    for kind, row in table.items():
        counts = "".join(f"{row[scheme]:15}" for scheme in before)
        print(f"{kind:26}{row['edits']:6}{counts}")
    print("\n".join(reasons) or "no key changes")


def speed(folder: Path) -> None:
    """Print the CPU time of all keys in a new process, with what was parsed remembered."""
    memory = folder / "fresh.json"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from mammoshift.provenance.fingerprint import code_fingerprint\n"
        "tree, memory = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "began = time.process_time()\n"
        "for script in sorted((tree / 'workflow/scripts').glob('*.py')):\n"
        "    code_fingerprint(script, tree / 'src', memory)\n"
        "print(f'{time.process_time() - began:.2f}')\n"
    )
    for name in ("first", "later"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(ROOT), str(memory)],
            capture_output=True,
            text=True,
            check=True,
        )
        print(f"{name} parse: {done.stdout.strip()} s of CPU for {len(scripts_of(ROOT))} scripts")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        started = time.perf_counter()
        given = [int(argument) for argument in sys.argv[1:]]
        history(*[*given, *(COMMITS, STEP)[len(given) :]], folder=Path(temporary))
        edits(Path(temporary))
        speed(Path(temporary))
        print(f"{time.perf_counter() - started:.0f} s")
