"""The names that the tidy tables use, and the words that the report prints for them.

Beside the metrics that their contract lists, the report reads these rows of `metrics.csv`:

threshold, tp, fp, tn, fn   of an operating point, with its variant, per seed or for the ensemble
ece_null                    mean of the ECE that a calibrated model would show with the same
                            predictions; `ci_high` is the limit of 95 % of them
calibration_in_the_large    intercept with the slope held at one
interaction_p               p value of a subgroup interaction; `variant` names the reference arm
                            where the test is of the difference to it, and is empty otherwise
budget_<method>_<patients>  variant of any metric after a recalibration with so many local patients
"""

from __future__ import annotations

import re
from dataclasses import dataclass

METRIC_LABELS = {
    "auc": "AUC",
    "auprc": "AUPRC",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "f1": "F1",
    "brier": "Brier score",
    "nll": "Negative log-likelihood",
    "ece": "ECE",
    "calibration_in_the_large": "Calibration in the large",
    "calibration_intercept": "Intercept",
    "calibration_slope": "Slope",
    "temperature": "Temperature",
    "transfer_drop": "Transfer drop",
}

COMPARISON_METHODS = {
    "obuchowski_rockette_nested": "Obuchowski-Rockette, seeds random within arm",
    "obuchowski_rockette_crossed": "Obuchowski-Rockette, seeds crossed with arms",
    "exact_fixed": "Exact DeLong covariance, these checkpoints only",
    "ensemble": "Paired DeLong on the seeds' mean logit (ensemble)",
    "strube": "Strube, correlation of the seeds known from DeLong",
    "stouffer_naive": ("Naive Stouffer (as published, not valid over seeds sharing a test set)"),
    "omnibus": "Omnibus: all arms are equal",
    "difference_of_drops": "Difference of transfer drops",
    "delong_paired": "Paired DeLong, one seed",
    "weighted_stouffer": "Weighted Stouffer over independent datasets",
    "random_effects": "Random effects over independent datasets",
}
"""Methods of `comparisons.csv`, in the order in which the report lists them."""

CORRECTIONS = {
    "bh": "BH",
    "by": "BY",
    "holm": "Holm",
    "none": "none",
    "": "none",
}

CALIBRATION_VARIANTS = {
    "uncalibrated": "Uncalibrated",
    "temperature_source": "Temperature, source",
    "temperature_target_crossfit": "Temperature, target",
    "platt_target_crossfit": "Platt, target",
    "prior_shift": "Prior shift, target",
}
"""Variants of calibration metrics, in the order in which the report lists them."""

_OPERATING_RULES = {
    "transferred": ("transferred", "threshold fixed on source validation"),
    "validation": ("transferred", "threshold fixed on source validation"),
    "reestimated": ("re-estimated", "oracle: threshold from the evaluated labels themselves"),
}

_SPECIFICITY_VARIANT = re.compile(r"^spec(\d{2,})_(transferred|reestimated)$")
_NAMED_VARIANT = re.compile(r"^(youden|gmean)_(validation|reestimated)$")
_BUDGET_VARIANT = re.compile(r"^budget(?:_([a-z][a-z0-9_]*?))?_(\d+)$")
_COUNTS = re.compile(r"^\d+_|_\d+$")


@dataclass(frozen=True)
class OperatingPoint:
    """What a variant such as `spec95_transferred` says.

    Attributes
    ----------
    criterion
        How the threshold is chosen, such as `95% specificity`.
    kind
        `transferred` or `re-estimated`.
    provenance
        Where the threshold comes from, as a phrase.
    """

    criterion: str
    kind: str
    provenance: str


def operating_point(variant: str) -> OperatingPoint | None:
    """Return what the variant of an operating-point metric says, or None when it is not one."""
    if match := _SPECIFICITY_VARIANT.match(variant):
        digits = match[1]
        percent = digits if len(digits) == 2 else f"{digits[:2]}.{digits[2:]}"
        return OperatingPoint(f"{percent}% specificity", *_OPERATING_RULES[match[2]])
    if match := _NAMED_VARIANT.match(variant):
        criterion = {"youden": "largest Youden index", "gmean": "largest G-mean"}[match[1]]
        return OperatingPoint(criterion, *_OPERATING_RULES[match[2]])
    return None


@dataclass(frozen=True)
class Budget:
    """What a variant such as `budget_temperature_25` says: a method and its labelled patients."""

    method: str
    patients: int


def recalibration_budget(variant: str) -> Budget | None:
    """Return what the variant of a recalibration-budget metric says, or None otherwise."""
    match = _BUDGET_VARIANT.match(variant)
    return Budget(match[1] or "", int(match[2])) if match else None


def method_key(method: str) -> str:
    """Return the name of a method without its number of resamples, draws or bins.

    `patient_bootstrap_2000` and `patient_bootstrap_500` are one method.
    """
    return _COUNTS.sub("", method)


def spoken(name: str) -> str:
    """Return a name of the tables as words: underscores become spaces."""
    return name.replace("_", " ")
