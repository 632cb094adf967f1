"""The tidy result tables: one number, or one comparison, per row."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mammoshift.errors import TableError
from mammoshift.files import atomic_path

METRIC_COLUMNS = (
    "study",
    "domain",
    "subset",
    "arm",
    "seed",
    "subgroup",
    "subgroup_value",
    "metric",
    "criterion",
    "threshold_from",
    "recalibration",
    "fitted_on",
    "fold",
    "labelled_patients",
    "reference",
    "value",
    "se",
    "ci_low",
    "ci_high",
    "method",
    "n",
    "n_pos",
    "n_neg",
    "n_clusters",
    "note",
)
"""Columns of `metrics.csv` and `calibration.csv`; each has one meaning, empty where it has none.

domain             name in the study
subset             validation | test | out_of_fold | target
seed               the seed as text, `mean` (mean over seeds) or `ensemble` (mean logit of seeds)
subgroup           `all`, or a column of the cases; `subgroup_value` its value, or `all`
metric             auc, auprc, sensitivity, specificity, balanced_accuracy, accuracy, precision,
                   f1, brier, nll, ece, calibration_intercept, calibration_slope, seed_sd (of the
                   seeds' AUC), auc_of_models (the mean AUC of the seeds, its interval for these
                   models alone), interaction_p, scale and shift (of the map of a recalibration,
                   logit' = scale * logit + shift) and temperature (1 / scale), case_mix_* (how far
                   a domain holds the kinds of cases of the arm's own one), ...
criterion          how a threshold is chosen: specificity_0.95, youden, g_mean, probability_0.5
threshold_from     where it comes from: own_validation (the arm's own validation patients),
                   reestimated (the judged cases themselves, anew in each resample),
                   judged_cases (themselves, once: optimistic), fixed or labelled_patients
recalibration      none, temperature, platt, prior_shift or another method
fitted_on          what it was fitted on: own_validation, cross_fitted (other patients of the
                   judged domain), prevalence (of the judged domain) or labelled_patients
fold               the fold of a cross-fitted recalibration that a map was applied to, from 0
labelled_patients  how many labelled patients of the judged domain were given to the method that
                   was fitted, or the threshold that was chosen, on them; 0 before any
reference          the arm that a difference is taken to
value, se, ci_low, ci_high   empty (null) when undefined, and then `note` gives the reason
method             how the interval was made, e.g. `score_obuchowski`, `patient_bootstrap_2000`
"""

COMPARISON_COLUMNS = (
    "study",
    "family",
    "domain",
    "subset",
    "from_domain",
    "arm",
    "reference",
    "reference_domain",
    "pairs",
    "seed",
    "subgroup",
    "subgroup_value",
    "metric",
    "criterion",
    "threshold_from",
    "method",
    "estimate",
    "se",
    "ci_low",
    "ci_high",
    "simultaneous_low",
    "simultaneous_high",
    "statistic",
    "df",
    "p",
    "p_adjusted",
    "correction",
    "family_size",
    "p_adjusted_all",
    "detectable_difference",
    "margin",
    "p_noninferior",
    "p_inferior",
    "p_noninferior_adjusted",
    "p_inferior_adjusted",
    "verdict_low",
    "verdict_high",
    "verdict",
    "n",
    "n_pos",
    "n_neg",
    "n_clusters",
    "headline",
    "note",
)
"""Columns of `comparisons.csv` and `combined.csv`; each row is one tested difference.

family       the study's own, or `transfer_drops` for what arms lose without a reference
from_domain  the domain that a transfer drop starts from; empty for a difference on one domain
arm, reference
             `estimate` is the metric of `arm` minus that of `reference` on `domain`; with
             `from_domain` what `arm` loses from there to `domain`, with a reference what it loses
             more than that
reference_domain
             where `reference` is judged, if not on `domain`: of an arm that learned from another
             domain, such as the same patients divided otherwise
pairs        of how many pairs the row is the mean, empty for one: `arm` and `reference` are then
             `mean_` with the values of the family's factor
seed         the seed for a per-seed paired test, or `all` for a test that combines the seeds
subgroup     `all`, or a column of the cases; `subgroup_value` its value, or `all`
metric       auc, auc_standardised (at the case mix of `from_domain`), sensitivity, specificity,
             accuracy, brier, nll, squared_calibration_error
criterion, threshold_from
             of sensitivity, specificity and accuracy, as in `metrics.csv`
method       seeds_random and obuchowski_rockette_nested (about architectures),
             checkpoints_fixed and exact_fixed (about these models), delong_paired (per seed),
             stouffer_naive, strube, ensemble, obuchowski_rockette_crossed, omnibus, and over
             domains (`all_targets`) seeds_random too, equal_weights_t, weighted_stouffer,
             random_effects
ci_low, ci_high, statistic, p
             of a transfer drop of AUC, sensitivity or specificity between other patients: an
             interval that holds with few patients too, not estimate -+ t se; the statistic is the
             value of t at which a limit reaches zero. Of anything else estimate -+ t se
simultaneous_low, simultaneous_high
             limits that hold for all transfer drops from `from_domain` at once
margin       the largest acceptable loss that the study declared
p_noninferior, p_inferior
             one-sided: of a loss of the margin or more, and of the margin or less; the adjusted
             ones within the family
verdict_low, verdict_high
             the limits that the verdict is read from: those of an interval that leaves out what the
             adjusted one-sided tests leave out, and so wider than `ci_low` to `ci_high`
verdict      non-inferior, inferior, undecided or undefined; empty without a margin
headline     true for the one method that the report leads with
"""


def write_metrics(metrics: pd.DataFrame, path: Path) -> None:
    """Write a tidy metric table as CSV with the columns of `METRIC_COLUMNS`."""
    _write(metrics, METRIC_COLUMNS, path)


def write_comparisons(comparisons: pd.DataFrame, path: Path) -> None:
    """Write a tidy comparison table as CSV with the columns of `COMPARISON_COLUMNS`."""
    _write(comparisons, COMPARISON_COLUMNS, path)


def read_metrics(path: Path) -> pd.DataFrame:
    """Read a metric table; text columns, `seed` among them, are empty rather than null."""
    numbers = ("value", "se", "ci_low", "ci_high", "labelled_patients")
    return _read(path, METRIC_COLUMNS, numbers)


def read_comparisons(path: Path) -> pd.DataFrame:
    """Read a comparison table; text columns are empty rather than null."""
    numbers = ("estimate", "se", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high")
    tests = ("statistic", "df", "p", "p_adjusted", "p_adjusted_all", "detectable_difference")
    margins = ("margin", "p_noninferior", "p_inferior")
    adjusted = ("p_noninferior_adjusted", "p_inferior_adjusted", "verdict_low", "verdict_high")
    return _read(path, COMPARISON_COLUMNS, (*numbers, *tests, *margins, *adjusted))


def _write(table: pd.DataFrame, columns: tuple[str, ...], path: Path) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise TableError(f"{path}: columns missing: {', '.join(missing)}")
    with atomic_path(path) as temporary:
        # Every digit: a threshold that is cut short may put a case on its other side.
        table[list(columns)].to_csv(temporary, index=False)


def _read(path: Path, columns: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise TableError(f"{path}: not a readable CSV table; make it again") from error
    if list(table.columns) != list(columns):
        raise TableError(f"{path}: the columns are not those of the contract; make it again")
    counts = [name for name in columns if name in ("pairs", "n", "n_pos", "n_neg", "n_clusters")]
    for column in (*numbers, *counts):
        given = table[column] != ""
        table[column] = pd.to_numeric(table[column], errors="coerce")
        if (given & table[column].isna()).any():
            raise TableError(f"{path}: column {column}: holds text; make the table again")
    return table
