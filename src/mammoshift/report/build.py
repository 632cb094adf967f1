"""The whole report: tables, figures, machine-readable facts and the HTML page."""

from __future__ import annotations

from pathlib import Path

import yaml

from mammoshift.files import write_text_atomically
from mammoshift.report.checklists import checklist_table, load_checklists
from mammoshift.report.circumstances import Circumstances
from mammoshift.report.cohort import write_cohort
from mammoshift.report.figures.every import all_figures
from mammoshift.report.figures.style import write_figure
from mammoshift.report.findings import findings
from mammoshift.report.html import ROWS_ON_PAGE, Assets, load_assets, render_report, table_caption
from mammoshift.report.inputs import ReportInputs, load_report_data
from mammoshift.report.latex import latex_table
from mammoshift.report.machine_readable import reporting_json
from mammoshift.report.names import names_of, with_names_of_arms
from mammoshift.report.publication import PublicationTable, write_table
from mammoshift.report.tables.every import all_tables

PAGE_NAME = "index.html"
FACTS_NAME = "reporting.json"
CONFIGURATION_NAME = "configuration.yaml"


def build_report(inputs: ReportInputs, destination: Path, for_print: bool = False) -> Path:
    """Write the report of a study and return the path of its page.

    Into `destination` go `index.html`, which needs no other file, `reporting.json`, the resolved
    configuration where it is known, the tables as CSV in `tables/`, those on the page as LaTeX,
    too, and in `figures/` each figure as SVG (with `for_print` as PNG and PDF, too) beside the CSV
    it was drawn from.
    Other files in these two folders are removed: an earlier report's must not pass for this one's.
    Equal inputs give equal bytes. The page is written last: where it is, the rest is.

    Raises
    ------
    TableError
        If an input breaks its contract.
    ConfigurationError
        If a caption, a template or another text of the report is missing.
    """
    data = load_report_data(inputs)
    assets = load_assets(inputs.assets)
    checklists = load_checklists(inputs.assets)
    tables = (*all_tables(data), *(checklist_table(one, data) for one in checklists))
    figures = all_figures(data)
    found = findings(with_names_of_arms(data, names_of(data.settings)))
    page = render_report(data, assets, tables, figures, found, for_print)
    cohort = destination / "tables" / "cohort_long.csv"
    write_cohort(data.cohort, cohort)
    written = {cohort}
    for table in tables:
        written |= _write_table(table, assets, destination / "tables")
    for figure in figures:
        written |= set(write_figure(figure, destination / "figures", for_print))
    for name in ("tables", "figures"):
        _remove_others(destination / name, written)
    _write_configuration(data.made, destination / CONFIGURATION_NAME)
    write_text_atomically(destination / FACTS_NAME, reporting_json(data, found))
    write_text_atomically(destination / PAGE_NAME, page)
    return destination / PAGE_NAME


def _write_table(table: PublicationTable, assets: Assets, folder: Path) -> set[Path]:
    """Write a table as CSV, and as LaTeX where the page shows it; return the paths."""
    written = {write_table(table, folder)}
    if len(table.cells) <= ROWS_ON_PAGE:
        caption, path = table_caption(assets, table.key), folder / f"{table.key}.tex"
        write_text_atomically(path, latex_table(table, caption.title, caption.note))
        written.add(path)
    return written


def _write_configuration(made: Circumstances | None, path: Path) -> None:
    """Write what the configuration resolved to, and remove an earlier one where it is unknown."""
    if made is None:
        path.unlink(missing_ok=True)
        return
    text = yaml.safe_dump(dict(made.configuration), sort_keys=False, allow_unicode=True, width=100)
    write_text_atomically(path, text)


def _remove_others(folder: Path, written: set[Path]) -> None:
    """Remove the files of a folder that this build has not written."""
    for path in folder.glob("*"):
        if path not in written and not path.is_dir():
            path.unlink()
