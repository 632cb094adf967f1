"""Fingerprints change with what code does, and with nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mammoshift.provenance.fingerprint import code_fingerprint

FILES = {
    "lib/mammoshift/__init__.py": '"""Package."""\n',
    "lib/mammoshift/a/__init__.py": '"""Stage a."""\n',
    "lib/mammoshift/a/first.py": (
        '"""First."""\nfrom mammoshift.a import second\n\n\ndef f(x):\n    """Do."""\n'
        "    return second.g(x) + 1\n"
    ),
    "lib/mammoshift/a/second.py": "from ..b.third import H\n\n\ndef g(x):\n    return x * H\n",
    "lib/mammoshift/b/__init__.py": "",
    "lib/mammoshift/b/third.py": "import math\n\nH = math.pi\n",
    "lib/mammoshift/b/named.py": "N = 1\n",
    "lib/mammoshift/b/other.py": "O = 1\n",
    "script.py": (
        "from mammoshift.a.first import f\n\nNAMES = {'x': 'mammoshift.b.named'}\nprint(f(2))\n"
    ),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def _fingerprint(tree: Path) -> dict[str, str]:
    return code_fingerprint(tree / "script.py", tree / "lib")


def _edit(tree: Path, name: str, old: str, new: str) -> None:
    path = tree / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_it_reaches_what_is_imported_and_named_and_no_more(tree: Path) -> None:
    assert set(_fingerprint(tree)) == {
        "script.py",
        "mammoshift",
        "mammoshift.a",
        "mammoshift.a.first",
        "mammoshift.a.second",
        "mammoshift.b",
        "mammoshift.b.third",
        "mammoshift.b.named",
    }


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lib/mammoshift/a/first.py", '"""Do."""', '"""Do it otherwise."""'),
        ("lib/mammoshift/a/first.py", "return second.g(x) + 1", "return (second.g(x)   + 1)  # c"),
        ("lib/mammoshift/a/second.py", "\n\n\ndef", "\n# a comment\n\ndef"),
        ("lib/mammoshift/b/other.py", "O = 1", "O = 2"),
        ("script.py", "print(f(2))", "print(\n    f(2)\n)"),
    ],
)
def test_what_changes_nothing_keeps_it(tree: Path, name: str, old: str, new: str) -> None:
    before = _fingerprint(tree)
    _edit(tree, name, old, new)
    os.utime(tree / "script.py", (0, 0))
    assert _fingerprint(tree) == before


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("lib/mammoshift/a/first.py", "+ 1", "+ 2", "mammoshift.a.first"),
        ("lib/mammoshift/b/third.py", "math.pi", "math.e", "mammoshift.b.third"),
        ("lib/mammoshift/b/named.py", "N = 1", "N = 2", "mammoshift.b.named"),
        ("script.py", "f(2)", "f(3)", "script.py"),
    ],
)
def test_a_changed_statement_anywhere_below_is_seen_and_named(
    tree: Path, name: str, old: str, new: str, changed: str
) -> None:
    before = _fingerprint(tree)
    _edit(tree, name, old, new)
    after = _fingerprint(tree)
    assert {key for key in before if before[key] != after[key]} == {changed}


def test_what_is_remembered_never_hides_a_change(tree: Path) -> None:
    memory = tree / "memory" / "code.json"
    script = tree / "script.py"
    before = code_fingerprint(script, tree / "lib", memory)
    assert memory.is_file()
    _edit(tree, "lib/mammoshift/b/third.py", "math.pi", "math.e ")
    after = code_fingerprint(script, tree / "lib", memory)
    assert {key for key in before if before[key] != after[key]} == {"mammoshift.b.third"}
    assert after == code_fingerprint(script, tree / "lib")
