"""Numbers that could not be computed, by what they are of and why."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from mammoshift.report.formatting import format_count
from mammoshift.report.inputs import ReportData
from mammoshift.report.machine_readable import undefined_numbers
from mammoshift.report.publication import PublicationTable
from mammoshift.report.vocabulary import METRIC_LABELS, spoken


def not_computed_table(data: ReportData) -> PublicationTable | None:
    """Return how many measures and tests have no value: by domain, arm, measure and reason."""
    rows = undefined_numbers(data)
    counts: Counter[tuple[str, ...]] = Counter()
    for kind, name in (("measure", "metrics"), ("test", "comparisons")):
        for row in rows[name]:
            measure = METRIC_LABELS.get(row["metric"], spoken(row["metric"]))
            domain = "all targets" if row["domain"] == "all_targets" else row["domain"]
            counts[kind, domain, row["arm"], measure, row["note"].replace("undefined: ", "")] += 1
    if not counts:
        return None
    names = ("Kind", "Domain", "Arm", "Measure", "Why")
    cells = pd.DataFrame(
        [
            {**dict(zip(names, key, strict=True)), "Numbers": format_count(count)}
            for key, count in counts.items()
        ]
    )
    return PublicationTable("not_computed", cells, row_headers=4, text_columns=frozenset({"Why"}))
