"""What a run can say of its models.

An answer is empty where there is nothing to say; the item is then left to people.
"""

from __future__ import annotations

from collections.abc import Iterable

from mammoshift.report.answers.data import data_availability
from mammoshift.report.formatting import counted, joined
from mammoshift.report.inputs import ReportData
from mammoshift.report.machine_readable import software_versions
from mammoshift.report.tables.arms import settings_of_arms
from mammoshift.report.vocabulary import spoken


def title(data: ReportData) -> str:
    """Say what kind of study it is."""
    kind = "evaluation" if not data.runs else "development and evaluation"
    kinds = sorted({spoken(arm.kind) for arm in data.settings.described_arms})
    return f"{kind.capitalize()} of image classifiers of the kind {joined(kinds)}."


def model(data: ReportData) -> str:
    """Say what the arms are."""
    said = [
        f"{arm.settings.get('label') or arm.name} ({spoken(arm.kind)}"
        + (f", {arm.settings['backbone']}" if arm.settings.get("backbone") else "")
        + ")"
        for arm in data.settings.described_arms
    ]
    searched = [arm.name for arm in data.settings.described_arms if arm.settings.get("search")]
    text = f"{joined(said)}; every setting is in configuration.yaml."
    if searched:
        text += f" Settings of {joined(searched)} were searched on validation patients."
    return text


def initialisation(data: ReportData) -> str:
    """Say what the arms started from."""
    said = []
    for arm in data.settings.described_arms:
        start = arm.settings.get("initialisation", "random")
        words = f"from {start['arm']}" if isinstance(start, dict) else str(start)
        said.append(f"{arm.name}: {words}")
    return f"{'; '.join(said)}."


def training(data: ReportData) -> str:
    """Say how many models were trained."""
    if not data.runs:
        return "No model was trained; trained ones were applied."
    epochs = [len(trained.history) for trained in data.runs]
    return (
        f"{counted(len(data.runs), 'model')} with {counted(len(data.settings.seeds), 'seed')}, "
        f"{_range(epochs)} epochs; losses, optimisers and augmentation are in "
        "configuration.yaml."
    )


def selection(data: ReportData) -> str:
    """Say by which policy a model was kept."""
    policies = sorted(
        {
            own["training.select"]
            for own in settings_of_arms(data.settings).values()
            if "training.select" in own
        }
    )
    if not policies:
        return ""
    return (
        f"The epoch kept: {joined([spoken(policy) for policy in policies])}; never by test cases."
    )


def imbalance(data: ReportData) -> str:
    """Say how unequal classes were handled."""
    settings = settings_of_arms(data.settings).values()
    weighted = {own.get("loss.positive_weight") for own in settings} - {None, "none"}
    sampled = {own.get("training.sampler") for own in settings} - {None, "natural"}
    if not weighted and not sampled:
        return "Neither resampling nor weights of classes."
    said = [f"loss weighted ({w})" for w in sorted(map(str, weighted))]
    said += [f"batches sampled ({s})" for s in sorted(map(str, sampled))]
    return f"{joined(said).capitalize()}; probabilities are recalibrated as stated."


def ensembles(data: ReportData) -> str:
    """Say what is combined."""
    combined = sorted(
        {d.combine for d in data.settings.domains if d.unit not in ("image", "patch")}
    )
    text = (
        "Results are means over models; the mean logit of the seeds stands beside them."
        if len(data.settings.seeds) > 1
        else "None: one model for each arm and fold."
    )
    return text + (
        f" Images of a unit are combined by their {joined(combined)}." if combined else ""
    )


def output(data: ReportData) -> str:
    """Say what a model puts out and how a case is called."""
    return (
        "Log-odds of the positive class for each case. Called positive at or above a threshold of "
        f"{100 * data.settings.specificity:g}% specificity, fixed on validation patients of the "
        "arm's own domain."
    )


def predictions(data: ReportData) -> str:
    """Say how a prediction for a new file is made."""
    if not data.runs:
        return ""
    return (
        "Each model is kept whole: weights (model.safetensors), record (model.json), card "
        "(model_card.json); `mammoshift predict` applies them to a file."
    )


def events(data: ReportData) -> str:
    """Say how many cases and positives models learned from."""
    cases = [t.model.training_cases for t in data.runs if t.model.training_cases is not None]
    positives = [t.model.training_positives or 0 for t in data.runs]
    if not cases:
        return ""
    return (
        f"Trained on {_range(cases)} cases ({_range(positives)} positive); validation and test "
        "counts are in the cohort table."
    )


def explanations(data: ReportData) -> str:
    """Say whether heat maps were drawn."""
    return "Heat maps over the most confident hits and misses." if data.gallery else ""


def software(data: ReportData) -> str:
    """Say which versions trained."""
    named = [f"{name} {joined(found)}" for name, found in software_versions(data).items()]
    return f"{', '.join(named)}." if named else ""


def code_availability(data: ReportData) -> str:
    """Say which code was used."""
    if data.made is None:
        return ""
    return f"mammoshift {data.made.mammoshift} (MIT), {data.made.revision.sentence}."


def availability(data: ReportData) -> str:
    """Say what is known of software, models and data."""
    return " ".join(filter(None, [code_availability(data), data_availability(data)]))


def _range(values: Iterable[int]) -> str:
    low, high = min(values := list(values)), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
