"""A parameter stands for its earlier value where a person said so, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mammoshift.errors import ConfigurationError
from mammoshift.provenance.accepted import (
    Acceptance,
    Standing,
    described_changes,
    read_accepted,
    take_accepted,
    value_digest,
    write_accepted,
)


class Named(list[Any]):
    """A list whose items are attributes as well, as Snakemake's parameters are."""

    code: Any
    fixed: Any
    settings: Any

    def __init__(self, **items: Any) -> None:
        super().__init__(items.values())
        vars(self).update(items)
        self.names = {name: (place, None) for place, name in enumerate(items)}

    def _get_names(self) -> list[tuple[str, tuple[int, None]]]:
        return list(self.names.items())


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


def test_only_the_accepted_value_of_the_accepted_job_is_replaced() -> None:
    present = {"code": "new"}
    params = Named(
        code=lambda wildcards: present["code"],
        fixed="as it is",
        settings=lambda wildcards, output: "settings",
    )
    rules = [SimpleNamespace(name="train", params=params)]
    standing = Standing(value_digest("new"), "old")
    fixed = Standing(value_digest("as it is"), "as it was")
    take_accepted(rules, [_accepted(code=standing, fixed=fixed, settings=standing)])
    assert params.code({"arm": "x"}) == "old"
    assert params.code({"arm": "y"}) == "new"
    assert params.fixed({"arm": "x"}) == "as it was"
    assert params.settings(None, None) == "settings"
    present["code"] = "newer"
    assert params.code({"arm": "x"}) == "newer"


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
