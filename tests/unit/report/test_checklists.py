"""Checklists: every item of the guidelines once, answered by facts of the run or left to people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fabricated_study import ASSETS, Recipe, fabricate

from mammoshift.errors import ConfigurationError
from mammoshift.report.answers.every import ANSWERS
from mammoshift.report.checklists import (
    FILE,
    FILL_IN,
    IN_PART,
    NOT_KNOWN,
    checklist_table,
    load_checklists,
)
from mammoshift.report.inputs import ReportData, load_report_data

PARTS = {"3": "abc", "5": "ab", "6": "abc", "8": "abc", "9": "abc", "12": "abcdefg"}
PARTS |= {"18": "abcdef", "20": "abc", "23": "ab", "27": "abc"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    recipe = Recipe(arms=("resnet", "vit"), targets=("cmmd",), patients=30)
    return load_report_data(fabricate(tmp_path_factory.mktemp("checklists"), recipe))


def test_every_item_of_both_guidelines_is_there_once() -> None:
    lists = {checklist.key: checklist for checklist in load_checklists(ASSETS)}
    tripod = [item.item for item in lists["tripod_ai"].items]
    numbers = map(str, range(1, 28))
    assert tripod == [n + part for n in numbers for part in PARTS.get(n, [""])]
    assert len(tripod) == 52
    assert [item.item for item in lists["claim_2024"].items] == [str(n) for n in range(1, 45)]


def test_every_answer_is_asked_for_and_every_item_says_who_answers() -> None:
    items = [item for checklist in load_checklists(ASSETS) for item in checklist.items]
    assert {item.says for item in items if item.says} == set(ANSWERS)
    assert all(item.says or item.to_say for item in items)


def test_answers_are_facts_of_the_run(data: ReportData) -> None:
    tripod, claim = load_checklists(ASSETS)
    cells = checklist_table(tripod, data).cells.set_index("Item")
    assert "CBIS-DDSM, digitised film (licence synthetic)" in cells.loc["5a", "This run"]
    assert cells.loc["5a", "Status"] == IN_PART
    assert cells.loc["18a", ["Status", "This run"]].tolist() == [FILL_IN, NOT_KNOWN]
    assert "patient stratified" in cells.loc["12a", "This run"]
    assert "3 files left out for 2 reasons" in cells.loc["6b", "This run"]
    other = checklist_table(claim, data).cells.set_index("Item")
    assert "3 checks, 0 failed" in other.loc["20", "This run"]
    assert other.loc["33", "This run"] == "Domains other than an arm's own: cmmd. See Transfer."
    # Without a gallery nothing is shown of failures, which is then left to people.
    assert other.loc["39", "Status"] == FILL_IN
    texts = other["This run"].tolist() + cells["This run"].tolist()
    assert all(text.endswith(".") for text in texts)
    assert not re.search(r"\b(nan|None|inf)\b|  |\.\.", " ".join(texts))


def test_an_answer_that_there_is_none_of_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("x:\n  - {item: '1', topic: a, asks: b, says: nothing}\n")
    with pytest.raises(ConfigurationError, match="item 1: there is no answer 'nothing'"):
        load_checklists(tmp_path)
    (tmp_path / FILE).write_text("x: 3\n")
    with pytest.raises(ConfigurationError, match="is no file of checklists"):
        load_checklists(tmp_path)
