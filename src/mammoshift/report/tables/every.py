"""All tables of a report, in its order."""

from __future__ import annotations

from collections.abc import Callable

from mammoshift.report.inputs import ReportData
from mammoshift.report.publication import PublicationTable
from mammoshift.report.tables.arms import arm_table
from mammoshift.report.tables.cohort import cohort_table, exclusion_table
from mammoshift.report.tables.comparisons import (
    combined_comparison_table,
    domain_difference_table,
    drop_difference_table,
    headline_comparison_table,
    omnibus_table,
    operating_point_comparison_table,
    per_seed_comparison_table,
    proper_score_comparison_table,
    subgroup_comparison_table,
)
from mammoshift.report.tables.discrimination import auc_detail_table, auc_table
from mammoshift.report.tables.made_of import accepted_table, version_table
from mammoshift.report.tables.not_computed import not_computed_table
from mammoshift.report.tables.operation import (
    budget_table,
    calibration_table,
    classification_table,
    map_table,
    operating_point_count_table,
    operating_point_table,
)
from mammoshift.report.tables.provenance import computation_table, data_table, model_table
from mammoshift.report.tables.published import contradiction_table, published_table
from mammoshift.report.tables.search import search_table
from mammoshift.report.tables.subgroups import interaction_table, subgroup_table
from mammoshift.report.tables.training import audit_table, training_table
from mammoshift.report.tables.transfer import (
    operating_point_drop_table,
    standardised_drop_table,
    transfer_table,
)


def all_tables(data: ReportData) -> tuple[PublicationTable, ...]:
    """Return every table that the study has content for, in the order of the page."""
    makers: tuple[Callable[[ReportData], PublicationTable | None], ...] = (
        arm_table,
        cohort_table,
        auc_table,
        auc_detail_table,
        transfer_table,
        standardised_drop_table,
        drop_difference_table,
        headline_comparison_table,
        combined_comparison_table,
        omnibus_table,
        per_seed_comparison_table,
        domain_difference_table,
        classification_table,
        operating_point_table,
        operating_point_drop_table,
        operating_point_comparison_table,
        operating_point_count_table,
        calibration_table,
        proper_score_comparison_table,
        map_table,
        budget_table,
        interaction_table,
        subgroup_comparison_table,
        subgroup_table,
        published_table,
        contradiction_table,
        training_table,
        search_table,
        exclusion_table,
        audit_table,
        not_computed_table,
        accepted_table,
        version_table,
        computation_table,
        data_table,
        model_table,
    )
    tables = (make(data) for make in makers)
    return tuple(table for table in tables if table is not None)
