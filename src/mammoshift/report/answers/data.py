"""What a run can say of its data.

An answer is empty where there is nothing to say; the item is then left to people.
"""

from __future__ import annotations

from collections.abc import Iterator

from mammoshift.report.cohort import NO_CASE, images_without_patient
from mammoshift.report.formatting import counted, joined
from mammoshift.report.inputs import ReportData
from mammoshift.report.machine_readable import said_undefined
from mammoshift.report.tables.arms import settings_of_arms
from mammoshift.report.vocabulary import spoken

_PREPARED = ("input.tone", "input.mask", "input.crop", "input.size", "input.fit", "input.pitch_mm")


def sources(data: ReportData) -> str:
    """Say which datasets were read."""
    named = [f"{record.title} (licence {record.licence})" for record in data.settings.datasets]
    synthetic = joined(data.settings.synthetic_datasets)
    return f"{joined(named)}." + (f" Synthetic twins: {synthetic}." if synthetic else "")


def devices(data: ReportData) -> str:
    """Say which manufacturers the archives name."""
    makers = sorted({level for level, _ in _levels(data, "manufacturer")} - {"unknown"})
    shown = joined(makers[:6]) + (f" and {len(makers) - 6} more" if len(makers) > 6 else "")
    return f"Manufacturers named by the archives: {shown}." if makers else ""


def eligibility(data: ReportData) -> str:
    """Say how many files were left out, and for how many reasons."""
    lost = int(data.exclusions["files"].sum()) if len(data.exclusions) else 0
    if not lost:
        return "Every file of the archives that has a label was used."
    reasons = counted(data.exclusions["reason"].nunique(), "reason")
    return f"{counted(lost, 'file')} left out for {reasons}; each is counted."


def preprocessing(data: ReportData) -> str:
    """Say how images become arrays, where arms take images."""
    said = []
    for key in _PREPARED:
        values = sorted(
            {own[key] for own in settings_of_arms(data.settings).values() if key in own}
        )
        if values:
            said.append(f"{key.removeprefix('input.').replace('_', ' ')} {joined(values)}")
    return f"{', '.join(said)}; the same for all patients.".capitalize() if said else ""


def outcome(data: ReportData) -> str:
    """Say what is positive in each domain."""
    tasks = dict.fromkeys(spoken(domain.task) for domain in data.settings.described_domains)
    units = dict.fromkeys(domain.unit for domain in data.settings.domains)
    return f"Positive: {joined(list(tasks))}, judged for each {joined(list(units))}."


def predictors(data: ReportData) -> str:
    """Say what the arms take."""
    kinds = sorted({spoken(arm.kind) for arm in data.settings.described_arms})
    return f"Pixels, or features of them, as each arm's kind takes them: {joined(kinds)}."


def acquisition(data: ReportData) -> str:
    """Say what is recorded of how images were made."""
    spacing = data.cohort[
        (data.cohort["characteristic"] == "pixel_spacing_mm")
        & data.cohort["level"].isin(["min", "max"])
    ]["value"].dropna()
    views = sorted({level for level, _ in _levels(data, "view")} - {"unknown"})
    text = f"Recorded for each image: device, bits, view ({joined(views) or 'none known'})"
    if len(spacing):
        low, high = f"{spacing.min():.3g}", f"{spacing.max():.3g}"
        text += f", pixel spacing {low if low == high else f'{low} to {high}'} mm"
    return f"{text}."


def no_reader(_data: ReportData) -> str:
    """Say that no person measured a predictor."""
    return "Predictors are computed from the images; no reader takes part."


def missing(data: ReportData) -> str:
    """Say what is missing and how it was handled."""
    unknown = sum(images_without_patient(data.cohort).values())
    undefined = said_undefined(data)
    text = "Nothing is imputed. Unreadable files are left out and listed"
    if unknown:
        text += f"; {counted(unknown, 'image')} without a patient count as patients of their own"
    if undefined:
        text += f"; {undefined} and say why"
    return f"{text}."


def partition(data: ReportData) -> str:
    """Say how each domain was divided."""
    said = []
    for domain in data.settings.described_domains:
        method = "" if domain.split is None else spoken(domain.split.get("method", "divided"))
        said.append(f"{domain.name}: {method or 'judged only'}")
    return f"{'; '.join(said)}."


def disjoint(data: ReportData) -> str:
    """Say at which level parts are disjoint, and what the audit found."""
    leaky = [domain.name for domain in data.settings.domains if domain.leak is not None]
    text = "Patients, over the whole lineage of each model"
    if leaky:
        text += f", but not in {joined(leaky)}, whose split divides patients as declared"
    if data.audit is None:
        return f"{text}; no audit was made."
    failed = int((data.audit["outcome"] == "fail").sum())
    return f"{text}; the audit made {counted(len(data.audit), 'check')}, {failed} failed."


def selection_of_data(data: ReportData) -> str:
    """Say which images are no case."""
    rows = data.cohort[
        (data.cohort["subset"] == NO_CASE) & (data.cohort["characteristic"] == "images")
    ]
    left = {str(row["domain"]): int(row["count"]) for _, row in rows.iterrows()}
    if not left:
        return "Every image with a label is a case."
    named = joined([f"{count:,} of {domain}" for domain, count in left.items()])
    return f"Images without a label of the task, or filtered out, are no case: {named}."


def deidentification(_data: ReportData) -> str:
    """Say what the software keeps of identifiers."""
    return (
        "Of headers only what tables need is read; no name, date of birth or hospital number is "
        "kept. Images appear only of datasets that allow it, without text."
    )


def flow(data: ReportData) -> str:
    """Say how many cases each cohort has."""
    rows = data.cohort[data.cohort["characteristic"].isin(["images", "positives"])]
    total = rows.groupby(["domain", "characteristic"])["count"].sum()
    domains = list(dict.fromkeys(rows["domain"]))
    said = [
        f"{d} {total[d, 'images']:,} images, {total[d, 'positives']:,} positive" for d in domains
    ]
    return f"{'; '.join(said)}."


def characteristics(_data: ReportData) -> str:
    """Say what the cohort table holds."""
    return "Patients, images, classes, density, view, side, device and age of every partition."


def difference(data: ReportData) -> str:
    """Say where development and evaluation can be compared."""
    text = "The cohort table has both side by side: patients, classes, density, view, device, age."
    if data.settings.case_mix:
        text += " Drops at an equal case mix show what of the loss the mix explains."
    return text


def data_availability(data: ReportData) -> str:
    """Say under which licences the data are."""
    licences = sorted({record.licence for record in data.settings.datasets})
    return f"Licences of the datasets: {joined(licences)}."


def poor_input(data: ReportData) -> str:
    """Say what becomes of input that cannot be used."""
    return (
        "A file that cannot be decoded is left out with its reason; an image without a breast is "
        "named and not called."
        if data.runs
        else ""
    )


def _levels(data: ReportData, characteristic: str) -> Iterator[tuple[str, int]]:
    rows = data.cohort[data.cohort["characteristic"] == characteristic]
    for _, row in rows.iterrows():
        yield str(row["level"]), int(row["count"])
