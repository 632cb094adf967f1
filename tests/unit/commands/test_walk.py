"""The commands of docs/statistics.md print what the document shows."""

from __future__ import annotations

from pathlib import Path

from walk import DOCUMENT, commands, printed, write_tables


def test_every_command_of_the_walk_prints_what_the_document_shows(tmp_path: Path) -> None:
    write_tables(tmp_path)
    shown = commands(DOCUMENT.read_text())
    assert len(shown) >= 5
    for command, output in shown:
        assert printed(command, tmp_path) == output, command


def test_the_commands_of_the_workflow_page_work_on_one_table(tmp_path: Path) -> None:
    write_tables(tmp_path)
    text = DOCUMENT.with_name("workflow.md").read_text()
    lines = [line.removeprefix("mammoshift ") for line in text.splitlines()
             if line.startswith("mammoshift ") and "predictions.csv" in line]  # fmt: skip
    assert len(lines) >= 4
    for line in lines:
        assert printed(line, tmp_path), line
