"""All answers by the names that checklists use."""

from __future__ import annotations

from collections.abc import Callable

from mammoshift.report.answers import data, models, results
from mammoshift.report.inputs import ReportData

ANSWERS: dict[str, Callable[[ReportData], str]] = {
    function.__name__: function
    for function in (
        *(
            data.sources,
            data.devices,
            data.eligibility,
            data.preprocessing,
            data.outcome,
            data.predictors,
            data.acquisition,
            data.no_reader,
            data.missing,
            data.partition,
            data.disjoint,
            data.selection_of_data,
            data.deidentification,
            data.flow,
            data.characteristics,
            data.difference,
            data.data_availability,
            data.poor_input,
        ),
        *(
            models.title,
            models.model,
            models.initialisation,
            models.training,
            models.selection,
            models.imbalance,
            models.ensembles,
            models.output,
            models.predictions,
            models.events,
            models.explanations,
            models.software,
            models.code_availability,
            models.availability,
        ),
        *(
            results.objective,
            results.goal,
            results.protocol,
            results.sample_size,
            results.measures,
            results.uncertainty,
            results.heterogeneity,
            results.fairness,
            results.updating,
            results.performance,
            results.accuracy,
            results.internal,
            results.external,
            results.failures,
            results.verdict,
            results.limitations,
        ),
    )
}
