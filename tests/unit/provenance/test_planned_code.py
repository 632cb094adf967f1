"""A job whose code is no longer the planned one ends, and keeps nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mammoshift.errors import CodeChangedError
from mammoshift.provenance import fingerprint, planned_code
from mammoshift.provenance.finished import Fingerprints
from mammoshift.provenance.planned_code import VARIABLE, check_code, hand_on, watch
from mammoshift.provenance.reuse import Store

USED = "def used():\n    return 1\n"
LATE = "def late():\n    return 1\n"
SCRIPT = (
    "from mammoshift.room import used\n\ndef work():\n    from mammoshift.attic import late\n"
    "    return late()\n\nused()\nwork()\n"
)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small library with one script, which is planned and handed on."""
    package = tmp_path / "lib" / "mammoshift"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "room.py").write_text(USED)
    (package / "attic.py").write_text(LATE)
    (package / "cellar.py").write_text("def unused():\n    return 1\n")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "work.py").write_text(SCRIPT)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(planned_code, "_watched", None)
    # `hand_on` sets it: so it is gone after the test.
    monkeypatch.setenv(VARIABLE, "")
    plan(tmp_path)
    return tmp_path


def plan(tree: Path) -> dict[str, str]:
    fingerprints = Fingerprints(tree / "scripts", tree / "lib", tree / "memory")
    code = fingerprints.of("work.py", ())
    hand_on(tree / "scripts", fingerprints.planned())
    return code


def start(tree: Path, code: dict[str, str]) -> None:
    watch(tree / "scripts" / "work.py", code)


def edit(tree: Path, name: str = "room.py", to: str = "return 22") -> None:
    file = tree / "lib" / "mammoshift" / name
    file.write_text(file.read_text().replace("return 1", to))


def test_code_that_nobody_touched_is_not_parsed(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = plan(tree)

    def forbidden(*_: object) -> None:
        raise AssertionError("a fingerprint was computed where no file had changed")

    monkeypatch.setattr(fingerprint, "code_key", forbidden)
    start(tree, code)
    check_code()


@pytest.mark.parametrize("name", ["room.py", "attic.py"])
def test_a_job_that_starts_after_an_edit_ends_at_once(tree: Path, name: str) -> None:
    code = plan(tree)
    edit(tree, name)
    with pytest.raises(CodeChangedError, match=r"work\.py changed while the study ran.*again"):
        start(tree, code)


def test_an_edited_script_ends_its_job(tree: Path) -> None:
    code = plan(tree)
    (tree / "scripts" / "work.py").write_text(SCRIPT + "used()\n")
    with pytest.raises(CodeChangedError):
        start(tree, code)


def test_an_edit_during_the_work_ends_it_before_anything_is_kept(tree: Path) -> None:
    start(tree, plan(tree))
    check_code()
    edit(tree)
    result, store = tree / "result", Store(tree / "store")
    result.write_text("of other code")
    with pytest.raises(CodeChangedError):
        store.keep("k1", {"result": result})
    with pytest.raises(CodeChangedError):
        check_code()
    assert list(store.entries()) == []


def test_an_edit_without_effect_ends_nothing(tree: Path) -> None:
    start(tree, plan(tree))
    edit(tree, to="return 1  # one")
    check_code()
    edit(tree, "cellar.py")
    check_code()


def test_an_edit_that_was_taken_back_is_seen_where_it_was_imported(tree: Path) -> None:
    start(tree, plan(tree))
    file = tree / "lib" / "mammoshift" / "attic.py"
    edit(tree, file.name)
    sys.meta_path[0].find_spec("mammoshift.attic", None)  # as an import asks it
    file.write_text(LATE)
    with pytest.raises(CodeChangedError):
        check_code()


def test_a_module_that_was_imported_before_a_harmless_edit_stays_sound(tree: Path) -> None:
    start(tree, plan(tree))
    sys.meta_path[0].find_spec("mammoshift.attic", None)
    for comment in "ab":
        edit(tree, "attic.py", f"return 1  # {comment}")
        check_code()


def test_a_job_on_another_node_that_finds_edited_code_ends(tree: Path) -> None:
    edit(tree, "cellar.py")
    start(tree, {"definitions": "worked out from code that the plan did not see"})
    edit(tree)
    with pytest.raises(CodeChangedError):
        check_code()


def test_a_default_of_the_configuration_that_was_edited_ends_a_job(tree: Path) -> None:
    """No fingerprint holds it, and the job validates its parameters with it."""
    folder = tree / "lib" / "mammoshift" / "configuration"
    folder.mkdir()
    (folder / "training.py").write_text("smoothing = None\n")
    code = plan(tree)
    start(tree, code)
    (folder / "training.py").write_text("smoothing = 0.4\n")
    with pytest.raises(CodeChangedError):
        check_code()
    (folder / "training.py").write_text("smoothing = None\n")
    start(tree, code)


def test_a_script_without_a_plan_is_not_watched(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = plan(tree)
    monkeypatch.delenv(VARIABLE)
    edit(tree)
    start(tree, code)
    check_code()


def test_what_is_handed_on_fits_into_one_variable(tree: Path) -> None:
    fingerprints = Fingerprints(tree / "scripts", tree / "lib", tree / "memory")
    for number in range(20):
        fingerprints.of("work.py", [f"mammoshift.kinds.of_a_long_name_{number}:fit"] * 10)
    hand_on(tree / "scripts", fingerprints.planned())
    assert len(os.environ[VARIABLE]) < 20_000
