"""One page over the reports of several studies: what each asks, what it answers, where it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from mammoshift.errors import TableError
from mammoshift.files import write_text_atomically
from mammoshift.report.build import FACTS_NAME

ANSWERS = ("verdict", "supported", "these_models", "caution")
"""Kinds of findings that stand for a study's answer: the first of which it has any."""
SENTENCES = 3
"""How many sentences of an answer are shown; the report has the others."""


@dataclass(frozen=True)
class StudySummary:
    """A study on the overview; `link` is relative to the page."""

    name: str
    title: str
    question: str
    synthetic: bool
    answer: tuple[str, ...]
    more: int
    link: str


def write_overview(pages: tuple[Path, ...], templates: Path, destination: Path) -> None:
    """Write a page that links reports, each with the first sentences of its answer.

    Parameters
    ----------
    pages
        `index.html` of each report, beside its `reporting.json`, in the order of the page.
    templates
        The folder of the report's templates.
    destination
        The page.

    Raises
    ------
    TableError
        If the facts of a report cannot be read.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    studies = [_summary(page, destination.parent) for page in pages]
    style = Markup((templates / "report.css").read_text(encoding="utf-8"))
    text = environment.get_template("overview.html.j2").render(studies=studies, style=style)
    write_text_atomically(destination, text)


def _summary(page: Path, folder: Path) -> StudySummary:
    path = page.with_name(FACTS_NAME)
    try:
        facts = json.loads(path.read_bytes())
        findings = [(found["kind"], found["text"]) for found in facts["findings"]]
        study, datasets = facts["study"], facts["datasets"]
        said = [[text for kind, text in findings if kind == wanted] for wanted in ANSWERS]
        answer = next(filter(None, said), [])
        return StudySummary(
            name=study["name"],
            title=study["title"],
            question=study["question"],
            synthetic=any(dataset["synthetic"] for dataset in datasets),
            answer=tuple(answer[:SENTENCES]),
            more=max(0, len(answer) - SENTENCES),
            link=page.relative_to(folder).as_posix(),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(
            f"{path}: are no facts of a report ({error}); delete the report and run again"
        ) from error
