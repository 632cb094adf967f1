"""Changes that were accepted, and versions of libraries that differ between results."""

from __future__ import annotations

import pandas as pd

from mammoshift.report.formatting import format_count, joined
from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable


def accepted_table(data: ReportData) -> PublicationTable | None:
    """Return each change that was declared to be without effect, with the reason given for it."""
    if not data.made_of.accepted:
        return None
    cells = pd.DataFrame(
        [
            {
                "Results": f"{change.rule} ({format_count(change.results)})",
                "Changed": "; ".join(change.changes),
                "Because": change.because,
                "Accepted": change.when,
            }
            for change in data.made_of.accepted
        ]
    )
    text = frozenset({"Changed", "Because", "Accepted"})
    return PublicationTable("accepted", cells, text_columns=text)


def version_table(data: ReportData) -> PublicationTable | None:
    """Return the libraries of which several versions made the results."""
    if not data.made_of.versions:
        return None
    cells = pd.DataFrame(
        [
            {
                "Library": one.library,
                "Version": one.version,
                "Results": joined([f"{rule} ({count})" for rule, count in one.results]),
            }
            for one in data.made_of.versions
        ]
    )
    text = frozenset({"Version", "Results"})
    return PublicationTable("versions", cells, row_headers=2, text_columns=text)
