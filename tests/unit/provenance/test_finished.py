"""Finished fingerprints are remembered for one state of the code and for no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammoshift.provenance import finished
from mammoshift.provenance.fingerprint import DEFINITIONS, code_key
from mammoshift.provenance.finished import Fingerprints

USED = "def used():\n    return 1\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    package = tmp_path / "lib" / "mammoshift"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "room.py").write_text(USED)
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "work.py").write_text("from mammoshift.room import used\n\nused()\n")
    return tmp_path


def fingerprints(tree: Path) -> Fingerprints:
    return Fingerprints(tree / "scripts", tree / "lib", tree / "memory")


def direct(tree: Path) -> dict[str, str]:
    return {DEFINITIONS: code_key(tree / "scripts" / "work.py", tree / "lib", None, ())}


def test_a_second_process_computes_nothing(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fingerprints(tree).of("work.py", ())
    assert first == direct(tree)

    def forbidden(*_: object) -> None:
        raise AssertionError("a finished fingerprint was computed again")

    monkeypatch.setattr(finished, "code_key", forbidden)
    assert fingerprints(tree).of("work.py", ()) == first


@pytest.mark.parametrize("file", ["lib/mammoshift/room.py", "scripts/work.py"])
def test_an_edit_is_seen_and_its_reversal_too(tree: Path, file: str) -> None:
    before = fingerprints(tree).of("work.py", ())
    path = tree / file
    content = path.read_text()
    path.write_text(content + "\nused = lambda: 2\n")
    after = fingerprints(tree).of("work.py", ())
    assert after == direct(tree) != before
    path.write_text(content)
    assert fingerprints(tree).of("work.py", ()) == before


def test_a_file_that_moved_to_another_name_is_another_state(tree: Path) -> None:
    fingerprints(tree).of("work.py", ())
    room = tree / "lib" / "mammoshift" / "room.py"
    room.rename(room.with_name("chamber.py"))
    assert fingerprints(tree).of("work.py", ()) == direct(tree)


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"state": 1}', "null", '{"state": "", "found": 3}']
)
def test_a_damaged_memory_is_no_memory(tree: Path, damage: str) -> None:
    right = fingerprints(tree).of("work.py", ())
    (tree / "memory" / "fingerprints.json").write_text(damage)
    assert fingerprints(tree).of("work.py", ()) == right


def test_a_memory_of_another_form_is_no_memory(tree: Path) -> None:
    right = fingerprints(tree).of("work.py", ())
    memory = tree / "memory" / "fingerprints.json"
    content = json.loads(memory.read_text())
    memory.write_text(json.dumps({**content, "found": {next(iter(content["found"])): [1]}}))
    assert fingerprints(tree).of("work.py", ()) == right
