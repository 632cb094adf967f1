"""The report as one HTML file that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from mammoshift.configuration.judged import ReportSettings
from mammoshift.errors import ConfigurationError
from mammoshift.report.figures.style import ReportFigure
from mammoshift.report.finding import KINDS, Finding
from mammoshift.report.formatting import NOT_COMPUTED, typographic
from mammoshift.report.inputs import ReportData
from mammoshift.report.machine_readable import software_versions
from mammoshift.report.names import arm_labels, domain_titles
from mammoshift.report.publication import PublicationTable
from mammoshift.report.rows import NOT_JUDGED
from mammoshift.report.tables.arms import shared_settings
from mammoshift.report.vocabulary import (
    COMPARISON_METHODS,
    RANDOM_STREAMS,
    SUPPORT_LEVEL,
    method_key,
)

ROWS_ON_PAGE = 150
"""A longer table is left to its CSV file; the page says so."""

_LONG = 24
"""Words beyond this many characters get a wide column."""


@dataclass(frozen=True)
class Caption:
    """Title of a table or a figure, and the note under it.

    `where_drawn` are sentences on what not every figure of the kind holds, by the name that a
    figure gives it.
    """

    title: str
    note: str
    where_drawn: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A method that the tables name: what it is, and what to keep in mind."""

    title: str
    definition: str
    caveat: str
    reference: str


@dataclass(frozen=True)
class Assets:
    """The texts and the style of the report, read from its folder."""

    table_captions: Mapping[str, Caption]
    figure_captions: Mapping[str, Caption]
    methods: Mapping[str, Method]
    limitations: tuple[str, ...]
    style: str
    script: str
    templates: Path


@dataclass(frozen=True)
class HeadCell:
    """A row head; `repeats` says that the row above has the same, so that a page may hide it.

    `label` is what an arm or a domain is called beside its key, empty where by that alone.
    """

    text: str
    repeats: bool
    label: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table with its style: `number`, `reason` (there is none), `long` or `short`."""

    text: str
    style: str


@dataclass(frozen=True)
class Row:
    """A row as it is printed: its heads, then its cells."""

    heads: tuple[HeadCell, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class TableView:
    """A table with its number and caption; `rows` is empty where it is left to its file."""

    key: str
    number: int
    caption: Caption
    columns: tuple[str, ...]
    row_headers: int
    numeric: tuple[bool, ...]
    rows: tuple[Row, ...]
    total: int


@dataclass(frozen=True)
class FigureView:
    """A figure with its number, caption and markup."""

    key: str
    number: int
    title: str
    note: str
    svg: Markup


def load_assets(folder: Path) -> Assets:
    """Read captions, methods, limitations and style sheet.

    Raises
    ------
    ConfigurationError
        If a file is missing or has another form; the message names it.
    """
    captions = _yaml(folder / "captions.yaml")
    methods = _yaml(folder / "methods.yaml")
    try:
        return Assets(
            table_captions={k: Caption(**v) for k, v in captions["tables"].items()},
            figure_captions={k: Caption(**v) for k, v in captions["figures"].items()},
            methods={k: Method(**v) for k, v in methods["methods"].items()},
            limitations=tuple(str(text) for text in methods["limitations"]),
            style=_text(folder / "report.css"),
            script=_text(folder / "report.js"),
            templates=folder,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{folder}: captions.yaml or methods.yaml lacks or misspells an entry: {error}"
        ) from error


def render_report(
    data: ReportData,
    assets: Assets,
    tables: tuple[PublicationTable, ...],
    figures: tuple[ReportFigure, ...],
    found: tuple[Finding, ...],
    for_print: bool = False,
) -> str:
    """Return the whole report as HTML; every value is escaped.

    `for_print` says that figures lie beside it as PNG and PDF, too.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.templates),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["typographic"] = typographic
    margins = data.settings.margins
    labels = {"Arm": arm_labels(data.settings), "Domain": domain_titles(data.settings)}
    return environment.get_template("report.html.j2").render(
        settings=data.settings,
        level=SUPPORT_LEVEL,
        random_streams=RANDOM_STREAMS,
        style=Markup(assets.style),
        script=Markup(assets.script),
        tables={view.key: view for view in _table_views(tables, assets, labels)},
        figures=_figure_views(figures, assets),
        sheets=data.sheets,
        galleries=data.gallery,
        made=data.made,
        for_print=for_print,
        findings={kind: [finding for finding in found if finding.kind == kind] for kind in KINDS},
        margins=margins.model_dump(exclude_none=True) if margins is not None else {},
        shared=shared_settings(data.settings),
        software=software_versions(data),
        weights=starting_weights(data),
        methods=methods_used(data, assets),
        limitations=limitations(data.settings, assets),
        audited=data.audit is not None,
    )


def table_caption(assets: Assets, key: str) -> Caption:
    """Return the caption of a table.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    return _caption(assets.table_captions, key, "tables")


def starting_weights(data: ReportData) -> tuple[tuple[str, str], ...]:
    """Return (arm, what it started from), each said once."""
    said: dict[tuple[str, str], None] = {}
    for trained in data.runs:
        model = trained.model
        if model.weights_source:
            digest = f", SHA-256 {model.start_sha256}" if model.start_sha256 else ""
            text = f"{model.weights_source} (licence: {model.weights_licence}{digest})"
            said[trained.run.arm, text] = None
    return tuple(said)


def methods_used(data: ReportData, assets: Assets) -> tuple[tuple[str, Method], ...]:
    """Return the methods that the tables name, with their descriptions, in a fixed order.

    A method without a description is listed by its name, so that none is used silently.
    """
    used = set(data.comparisons["method"]) | {method_key(m) for m in data.metrics["method"]}
    used |= set(data.comparisons["metric"]) & set(assets.methods)
    if (data.comparisons["from_domain"] != "").any():
        used.add("transfer_drop")
    if (data.comparisons["margin"].notna()).any():
        used.add("margin")
    if (data.comparisons["simultaneous_low"].notna()).any():
        used.add("simultaneous")
    fitted = data.metrics["recalibration"] + "_" + data.metrics["fitted_on"]
    used |= set(fitted) & set(assets.methods)
    used |= {f"correction_{c}" for c in data.comparisons["correction"] if c not in {"", "none"}}
    used |= {metric for metric in data.metrics["metric"] if metric in assets.methods}
    used |= {"roc_band", "reliability", "net_benefit"}
    used.discard("")
    order = {key: place for place, key in enumerate(assets.methods)}
    unknown = Method("", "No description of this method is recorded.", "", "")

    def described(key: str) -> Method:
        method = assets.methods.get(key, unknown)
        title = method.title or COMPARISON_METHODS.get(key, key)
        return Method(title, method.definition, method.caveat, method.reference)

    ordered = sorted(used, key=lambda key: (order.get(key, len(order)), key))
    return tuple((key, described(key)) for key in ordered)


def limitations(settings: ReportSettings, assets: Assets) -> tuple[str, ...]:
    """Return the limitations that hold for this study."""
    own = []
    if len(settings.seeds) == 1:
        own.append(
            "One seed shows nothing of the spread over initialisation and data order, nor of that "
            "over splits, hyper-parameters or training data."
        )
    elif len(settings.seeds) < 5:
        own.append(
            f"{len(settings.seeds)} seeds of one split vary initialisation and data order only. "
            "They do not show the spread over splits, hyper-parameters or training data."
        )
    return (*own, *assets.limitations)


def _table_views(
    tables: tuple[PublicationTable, ...], assets: Assets, labels: Mapping[str, Mapping[str, str]]
) -> Iterator[TableView]:
    for number, table in enumerate(tables, start=1):
        columns = tuple(str(column) for column in table.cells.columns)
        numeric = tuple(
            place >= table.row_headers and column not in table.text_columns
            for place, column in enumerate(columns)
        )
        yield TableView(
            key=table.key,
            number=number,
            caption=table_caption(assets, table.key),
            columns=columns,
            row_headers=table.row_headers,
            numeric=numeric,
            rows=_rows(table, numeric, labels) if len(table.cells) <= ROWS_ON_PAGE else (),
            total=len(table.cells),
        )


def _rows(
    table: PublicationTable, numeric: tuple[bool, ...], labels: Mapping[str, Mapping[str, str]]
) -> tuple[Row, ...]:
    """Return the rows, each with all its heads, so that a reader can sort and filter them."""
    values = table.cells.astype(str).to_numpy().tolist()
    rows = []
    above: list[str] = []
    for row in values:
        heads = tuple(
            HeadCell(
                row[column],
                above[: column + 1] == row[: column + 1],
                labels.get(str(table.cells.columns[column]), {}).get(row[column], ""),
            )
            for column in range(table.row_headers)
        )
        cells = tuple(
            _cell(text, number)
            for text, number in zip(
                row[table.row_headers :], numeric[table.row_headers :], strict=True
            )
        )
        rows.append(Row(heads, cells))
        above = row
    return tuple(rows)


def _cell(text: str, number: bool) -> Cell:
    if text.startswith((NOT_COMPUTED, "not shown", NOT_JUDGED)):
        return Cell(text, "reason")
    if number:
        return Cell(typographic(text), "number")
    return Cell(text, "long" if len(text) > _LONG else "short")


def _figure_views(figures: tuple[ReportFigure, ...], assets: Assets) -> dict[str, list[FigureView]]:
    """Return the figures by the name of their caption; notes explain what is drawn alone."""
    drawn: dict[str, set[str]] = {}
    for figure in figures:
        drawn.setdefault(figure.caption, set()).update(figure.drawn)
    views: dict[str, list[FigureView]] = {}
    for number, figure in enumerate(figures, start=1):
        caption = _caption(assets.figure_captions, figure.caption, "figures")
        title = f"{caption.title}: {figure.cohort}" if figure.cohort else caption.title
        view = FigureView(
            key=figure.key,
            number=number,
            title=title,
            note=_note(caption, drawn[figure.caption]),
            svg=Markup(figure.drawing.svg),
        )
        views.setdefault(figure.caption, []).append(view)
    return views


def _note(caption: Caption, drawn: Collection[str]) -> str:
    said = [text for name, text in caption.where_drawn.items() if name in drawn]
    return " ".join([caption.note, *said]).strip()


def _caption(captions: Mapping[str, Caption], key: str, kind: str) -> Caption:
    if key not in captions:
        raise ConfigurationError(f"captions.yaml: {kind}: there is no caption for {key!r}; add one")
    return captions[key]


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: must hold a mapping")
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read; the report needs it") from error
