"""One page over several reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fabricated_study import ASSETS

from mammoshift.errors import TableError
from mammoshift.report.overview import write_overview

FACTS = {
    "study": {"name": "one", "title": "Does <it> carry over?", "question": "Which & why"},
    "datasets": [{"synthetic": True}],
    "findings": [
        {"kind": "caution", "text": "With care."},
        *({"kind": "verdict", "text": f"Verdict {number}."} for number in range(5)),
    ],
}


def report(folder: Path, facts: object) -> Path:
    page = folder / "report" / "index.html"
    page.parent.mkdir(parents=True)
    page.with_name("reporting.json").write_text(json.dumps(facts), encoding="utf-8")
    return page


def test_a_study_is_linked_with_its_question_and_answer(tmp_path: Path) -> None:
    pages = (
        report(tmp_path / "one", FACTS),
        report(tmp_path / "two", {**FACTS, "datasets": [{"synthetic": False}], "findings": []}),
    )
    write_overview(pages, ASSETS, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert text.count('href="one/report/index.html"') == 1
    assert text.count('href="two/report/index.html"') == 1
    assert "Does &lt;it&gt; carry over?" in text
    assert "<it>" not in text
    assert "Verdict 2." in text
    assert "Verdict 3." not in text
    assert "With care." not in text
    assert "2 more of these" in text
    assert text.count("synthetic data") == 1


@pytest.mark.parametrize("facts", [[], {}, {**FACTS, "findings": [{"kind": 1}]}])
def test_facts_of_another_form_are_named(tmp_path: Path, facts: object) -> None:
    page = report(tmp_path / "one", facts)
    with pytest.raises(TableError, match=r"reporting\.json: are no facts of a report"):
        write_overview((page,), ASSETS, tmp_path / "index.html")
