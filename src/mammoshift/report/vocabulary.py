"""The names that the tidy tables use, and the words that the report prints for them.

Beside the metrics that their contract lists, the report reads these rows of `metrics.csv`:

threshold, tp, fp, tn, fn   of an operating point, per seed or for the ensemble
ece_null                    mean of the ECE that a calibrated model would show with the same
                            predictions; `ci_high` is the limit of 95 % of them
calibration_in_the_large    intercept with the slope held at one
interaction_p               p value of a subgroup interaction; of the difference to `reference`
                            where it is given
"""

from __future__ import annotations

import re

SUPPORT_LEVEL = 0.05
"""Level at which an adjusted p value is support."""

RANDOM_STREAMS = "derived by SHA-256 from the names of each cell"

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
    "auc_standardised": "AUC at equal case mix",
    "squared_calibration_error": "Squared calibration error",
}

COMPARISON_METHODS = {
    "obuchowski_rockette_nested": "Obuchowski-Rockette, seeds random within arm",
    "obuchowski_rockette_crossed": "Obuchowski-Rockette, seeds crossed with arms",
    "exact_fixed": "Exact DeLong covariance, these checkpoints only",
    "ensemble": "Paired DeLong on the seeds' mean logit (ensemble)",
    "strube": "Strube, correlation of the seeds known from DeLong",
    "stouffer_naive": ("Naive Stouffer (as published, not valid over seeds sharing a test set)"),
    "omnibus": "Omnibus: all arms are equal",
    "seeds_random": "Seeds random: about the architecture",
    "checkpoints_fixed": "Seeds fixed: about these models",
    "delong_paired": "Paired DeLong, one seed",
    "equal_weights_t": "Plain mean over domains, Student's t",
    "weighted_stouffer": "Weighted Stouffer over independent domains",
    "random_effects": "Random effects over independent domains",
}
"""Methods of `comparisons.csv`, in the order in which the report lists them."""

ABOUT_ARCHITECTURES = frozenset({"obuchowski_rockette_nested", "seeds_random"})
"""Methods with seeds as random: what they support is about an arm, not about its models alone."""

CORRECTIONS = {
    "bh": "BH",
    "by": "BY",
    "holm": "Holm",
    "none": "none",
    "": "none",
}

RECALIBRATIONS = {
    ("none", ""): "Uncalibrated",
    ("temperature", "own_validation"): "Temperature, own validation",
    ("temperature", "cross_fitted"): "Temperature, cross-fitted",
    ("platt", "cross_fitted"): "Platt, cross-fitted",
    ("prior_shift", "prevalence"): "Prior shift, prevalence",
}
"""What was fitted, and on what, of calibration metrics, in the order of the report."""

THRESHOLDS = {
    "own_validation": ("transferred", "threshold fixed on the arm's own validation patients"),
    "reestimated": ("re-estimated", "oracle: threshold from the evaluated labels themselves"),
    "fixed": ("fixed", "threshold fixed beforehand"),
    "judged_cases": ("chosen on the test", "optimistic: chosen on the evaluated cases, once"),
}
"""Where a threshold comes from: a word, and a phrase."""

_CRITERIA = {
    "youden": "largest Youden index",
    "g_mean": "largest G-mean",
    "probability_0.5": "probability 0.5",
}
_SPECIFICITY = "specificity_"
_COUNTS = re.compile(r"^\d+_|_\d+(?=_and_|$)")


def criterion_words(criterion: str) -> str:
    """Return how a threshold is chosen, in words; `specificity_0.95` is 95% specificity."""
    if criterion.startswith(_SPECIFICITY):
        return f"{100 * float(criterion.removeprefix(_SPECIFICITY)):g}% specificity"
    return _CRITERIA.get(criterion, spoken(criterion))


def threshold_words(criterion: str, threshold_from: str) -> str:
    """Return which threshold a rate is at: how it is chosen, and where."""
    return f"{criterion_words(criterion)} ({THRESHOLDS[threshold_from][0]})"


def method_key(method: str) -> str:
    """Return the name of a method without its number of resamples, draws or bins.

    `patient_bootstrap_2000` and `patient_bootstrap_500` are one method.
    """
    return _COUNTS.sub("", method)


def spoken(name: str) -> str:
    """Return a name of the tables as words: underscores become spaces."""
    return name.replace("_", " ")
