"""The whole report: tables, figures, machine-readable facts and the HTML page."""

from __future__ import annotations

from pathlib import Path

from mammoshift.files import write_text_atomically
from mammoshift.report.cohort import write_cohort
from mammoshift.report.figures.every import all_figures
from mammoshift.report.figures.style import write_figure
from mammoshift.report.findings import findings
from mammoshift.report.html import load_assets, render_report
from mammoshift.report.inputs import ReportInputs, load_report_data
from mammoshift.report.machine_readable import reporting_json
from mammoshift.report.publication import write_table
from mammoshift.report.tables.every import all_tables

PAGE_NAME = "index.html"
FACTS_NAME = "reporting.json"


def build_report(inputs: ReportInputs, destination: Path) -> Path:
    """Write the report of a study and return the path of its page.

    Into `destination` go `index.html`, which needs no other file, `reporting.json`, the tables as
    CSV in `tables/`, and in `figures/` each figure as SVG beside the CSV it was drawn from.
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
    tables = all_tables(data)
    figures = all_figures(data)
    found = findings(data)
    page = render_report(data, assets, tables, figures, found)
    cohort = destination / "tables" / "cohort_long.csv"
    write_cohort(data.cohort, cohort)
    written = {cohort, *(write_table(table, destination / "tables") for table in tables)}
    for figure in figures:
        written |= set(write_figure(figure, destination / "figures"))
    for name in ("tables", "figures"):
        _remove_others(destination / name, written)
    write_text_atomically(destination / FACTS_NAME, reporting_json(data, found))
    write_text_atomically(destination / PAGE_NAME, page)
    return destination / PAGE_NAME


def _remove_others(folder: Path, written: set[Path]) -> None:
    """Remove the files of a folder that this build has not written."""
    for path in folder.glob("*"):
        if path not in written and not path.is_dir():
            path.unlink()
