"""A parameter stands for its earlier value where a person said so, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammoshift.errors import ConfigurationError
from mammoshift.provenance.accepted import (
    Acceptance,
    Accepted,
    Standing,
    described_changes,
    read_accepted,
    write_accepted,
)


def _accepted(**parameters: Standing) -> Acceptance:
    return Acceptance("a", "train", {"arm": "x"}, "it is the same", "now", ["code"], parameters)


def test_an_acceptance_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_accepted(tmp_path) == []
    accepted = _accepted(code=Standing("1", {"m": "2"}))
    write_accepted(tmp_path, [accepted])
    assert read_accepted(tmp_path) == [accepted]
    write_accepted(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_list_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "accepted.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"accepted\.json: not a list"):
        read_accepted(tmp_path)


def test_only_the_accepted_value_of_the_accepted_job_stands_for_the_earlier_one() -> None:
    accepted = Accepted([_accepted(code=Standing("new", "old")), _accepted(lr=Standing(2, 1))])
    x, y = {"arm": "x"}, {"arm": "y"}
    assert accepted.now("train", x, "code", "old") == "new"
    assert accepted.now("train", x, "lr", 1) == 2
    assert accepted.now("train", x, "lr", 1.0) == 1.0
    assert accepted.now("train", x, "code", "older") == "older"
    for rule, wildcards, name in (("train", y, "code"), ("score", x, "code"), ("train", x, "arm")):
        assert accepted.now(rule, wildcards, name, "old") == "old"
    later = Accepted([_accepted(code=Standing("new", "old")), _accepted(code=Standing("3", "old"))])
    assert later.now("train", x, "code", "old") == "3"


def test_what_a_report_prints_is_of_its_study_and_once_for_each_reason() -> None:
    of = [("a", {"study": "film", "arm": "x"}), ("b", {"study": "film", "arm": "y"})]
    of += [
        ("c", {"study": "other", "arm": "x"}),
        ("d", {"dataset": "mias"}),
        ("e", {"dataset": "z"}),
    ]
    accepted = [
        Acceptance(target, "train", wildcards, "it is the same", "now", ["code"], {})
        for target, wildcards in of
    ]
    (found,) = described_changes([*accepted, accepted[0]], {"study": {"film"}, "dataset": {"mias"}})
    assert found == {
        "rule": "train",
        "results": 3,
        "changes": ["code"],
        "because": "it is the same",
        "when": "now",
    }
