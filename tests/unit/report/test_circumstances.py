"""How a report came about: asked when it is made, without names of hosts, users or places."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from mammoshift.configuration.printed import NOT_SHOWN, without_places
from mammoshift.provenance.keys import Key, Output, key_file, write_key
from mammoshift.report.circumstances import Told, circumstances, computed_by_rule, revision_of

GIT = shutil.which("git") or "git"


def git(folder: Path, *arguments: str) -> str:
    named = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder)]
    done = subprocess.run([GIT, *named, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Snakefile").write_text("one", encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_a_checkout_has_its_commit_and_says_whether_it_is_clean(checkout: Path) -> None:
    clean = revision_of(checkout)
    assert (clean.commit, clean.clean) == (git(checkout, "rev-parse", "HEAD"), True)
    (checkout / "notes.txt").write_text("beside the code", encoding="utf-8")
    assert revision_of(checkout).clean
    (checkout / "Snakefile").write_text("two", encoding="utf-8")
    changed = revision_of(checkout)
    assert (changed.commit, changed.clean) == (clean.commit, False)
    assert "changes that are not committed" in changed.sentence


def test_a_folder_inside_another_checkout_has_no_commit(checkout: Path) -> None:
    inside = checkout / "copy"
    inside.mkdir()
    assert revision_of(inside).commit is None
    assert "no git checkout" in revision_of(inside).sentence


def test_without_git_it_is_said(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert revision_of(checkout).note == "git is not installed here"


def key(folder: Path, number: int, version: str, machine: str) -> Path:
    path = folder / f"seed-{number}" / "model.safetensors"
    path.parent.mkdir(parents=True)
    made = Key(
        file=key_file(path),
        rule="train_arm",
        wildcards={},
        outputs={path.name: Output("0"), "model.json": Output("0")},
        inputs=[],
        parameters={},
        versions={"torch": version},
        seconds=10.0,
        machines=(machine,),
    )
    write_key(made, folder)
    return path.with_name("model.json")


def test_jobs_are_summed_over_machines_and_versions(tmp_path: Path) -> None:
    files = [key(tmp_path, 0, "2.1", "CPU A, 2 cores"), key(tmp_path, 1, "2.2", "CPU B, 8 cores")]
    (step,) = computed_by_rule([*files, files[0], tmp_path / "no_key.csv"])
    assert (step.rule, step.jobs, step.seconds) == ("train_arm", 2, 20.0)
    assert step.machines == ("CPU A, 2 cores", "CPU B, 8 cores")
    assert step.versions == {"torch": ("2.1", "2.2")}


def test_neither_places_nor_names_are_told(checkout: Path) -> None:
    home = "/home/anna/archives"
    told = Told(
        command=[
            *("/opt/env/bin/snakemake", "--configfile", "config/demo.yaml", "-c2", "--config"),
            *(f"archives={home}", f"store={checkout}/kept", "--directory", "../else"),
        ],
        configuration_files=["config/demo.yaml", "/etc/site.yaml", f"{Path.cwd()}/own.yaml"],
        configuration=without_places(
            {"datasets": {"x": {"root": home, "table": "a/b.csv"}}, "list": ["~/w", 1, None]}
        ),
        project=checkout,
    )
    made = circumstances(told, [])
    assert made.command == (
        "snakemake --configfile config/demo.yaml -c2 --config archives=PLACE store=PLACE "
        "--directory PLACE"
    )
    assert made.configuration_files == ("config/demo.yaml", "PLACE", "own.yaml")
    assert made.configuration == {
        "datasets": {"x": {"root": NOT_SHOWN, "table": "a/b.csv"}},
        "list": [NOT_SHOWN, 1, None],
    }
    text = json.dumps(made.as_facts())
    assert made.machine.endswith(("core", "cores"))
    for private in (home, str(checkout), socket.gethostname(), f"/{getpass.getuser()}"):
        assert private not in text
