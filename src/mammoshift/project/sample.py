"""A few images of each dataset decoded, and the cases of a user's own table, before any job."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from itertools import combinations_with_replacement, product
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa

from mammoshift.archives.adapters.csv import Entry, Options, is_there, pathology_of_image
from mammoshift.archives.listing import iterate_files
from mammoshift.cases.make import make_cases
from mammoshift.cases.tasks import TASKS, AnnotationTask
from mammoshift.configuration.domain import DomainSettings, same_patient_groups
from mammoshift.configuration.load import Project
from mammoshift.contracts.cases import ALL_SUBSETS
from mammoshift.contracts.manifest import MANIFEST_SCHEMA
from mammoshift.errors import ArchiveError, MammoshiftError, UnreadableImageError
from mammoshift.imaging.decode import decode_image
from mammoshift.imaging.header import DICOM_SUFFIXES, RASTER_SUFFIXES
from mammoshift.project.columns import EACH_ITS_OWN, ONE_PATIENT, nearly_equal
from mammoshift.project.findings import Finding, Planned, rows_of_table, table_entries

FEW_POSITIVE = 10
"""Fewer patients of a class than this leave a subset's intervals too wide to say much."""

MOST = 0.5
"""A record that lets this share of its images be lost expects a sample without a readable one."""

_OF_HEADERS = frozenset({"laterality", "view", "age", "manufacturer", "detector", "lesion_types"})
"""Columns of cases that are filled, where the table does not, from headers or marked lesions."""

_FEW = {
    "train": "so few that little can be learned",
    "validation": "so few that the epoch and the thresholds chosen on them are left to chance",
}
_FEW_JUDGED = "so few that its intervals will be wide"


def check_contents(project: Project, planned: Planned, sample: int) -> Iterator[Finding]:
    """Yield what a look at images, and at the cases of users' own tables, has shown.

    `sample` is how many images of each dataset are decoded.
    """
    for dataset in planned.datasets:
        yield from check_images(project, dataset, sample)
    for study, domain in planned.domains:
        yield from check_cases(project, study, domain)


def check_images(project: Project, dataset: str, count: int) -> Iterator[Finding]:
    """Yield what decoding `count` images of a dataset, evenly spread over it, has shown."""
    record = project.datasets[dataset]
    root = project.archive_root(dataset, Path())
    if record.twin is not None or not root.is_dir():
        return
    try:
        rows = _images_and_rows(project, dataset, root)
    except MammoshiftError:
        return  # the table's own check says it
    paths = list(rows)
    if not paths:
        yield Finding("error", f"images {dataset}", f"{root}: there is no image of a known suffix")
        return
    step = max(1, len(paths) // count)
    sample = paths[::step][:count]
    sizes: Counter[str] = Counter()
    refused: dict[str, list[str]] = {}
    flat = 0
    for path in sample:
        try:
            pixels = decode_image(root / path).pixels
        except UnreadableImageError as error:
            refused.setdefault(str(error), []).append(path)
            continue
        sizes[f"{pixels.shape[0]} x {pixels.shape[1]}"] += 1
        flat += int(pixels.min() == pixels.max())
    what = f"images {dataset}"
    shown = ", ".join(size for size, _ in sizes.most_common(3))
    for reason, unread in refused.items():
        numbers = [number for path in unread if (number := rows[path]) is not None]
        where = f" ({rows_of_table(numbers)})" if numbers else ""
        level = "error" if not sizes and record.maximum_lost_share < MOST else "warning"
        yield Finding(level, what, f"{len(unread)} of a sample of {len(sample)}: {reason}{where}")
    lost = sum(map(len, refused.values()))
    if sizes and lost > record.maximum_lost_share * len(paths):
        yield Finding(
            "error",
            what,
            f"{lost} of {len(paths)} files are known to be unreadable, more than "
            f"maximum_lost_share: {record.maximum_lost_share:.1%}; mend or remove them",
        )
    if flat:
        yield Finding("warning", what, f"{flat} of a sample of {len(sample)} are of one value")
    if sizes:
        yield Finding(
            "ok", what, f"{sizes.total()} of a sample of {len(sample)} decoded: {shown} pixels"
        )


def check_cases(project: Project, study: str, name: str) -> Iterator[Finding]:
    """Yield the cases of a domain of users' own tables: classes, patients, subsets.

    The split is made as the run makes it. A domain with a filter, patches, marked lesions or
    another domain's split is left to the run; where headers may say what the split hangs on, what
    stops it is a warning.
    """
    domain = project.studies[study].domains[name]
    records = [project.datasets[dataset] for dataset in domain.datasets]
    if not all(isinstance(r.options, Options) and r.twin is None for r in records):
        return
    marked = isinstance(TASKS[domain.task], AnnotationTask)
    if domain.patches is not None or domain.filter or domain.needs or marked:
        return
    what = f"domain {study}.{name}"
    try:
        manifests = {d: _manifest(project, d) for d in domain.datasets}
    except (FileNotFoundError, ArchiveError):
        return  # the check of the table or of its folder says it
    lost = [d for d, table in manifests.items() if table["official_split"].isna().all()]
    if lost and getattr(domain.split, "method", None) == "official":
        said = f"{lost[0]} gives no official split; use the split patient_stratified"
        yield Finding("error", what, said)
        return
    try:
        cases, notes = make_cases(name, domain, manifests, {}, None, {})
    except MammoshiftError as error:
        said = _of_one_patient(manifests.values()) or _without_names(
            str(error).removeprefix(f"domain {name}: "), manifests.values()
        )
        if _headers_may_say_more(domain, manifests.values()):
            said += "; as far as the table says: headers may say more"
            yield Finding("warning", what, said)
        else:
            yield Finding("error", what, said)
        return
    yield from _classes(what, cases)
    named = cases["patient_id"].notna().all() and cases["patient_id"].is_unique
    if domain.unit == "image" and len(cases) > 1 and named:
        yield Finding("warning", what, EACH_ITS_OWN)
    yield from (Finding("warning", what, said) for said in _unnamed(notes, domain.datasets))


def _of_one_patient(manifests: Iterable[pd.DataFrame]) -> str:
    """Return what is wrong where all images are said to be of one patient; else nothing."""
    patients = pd.concat([table["patient_id"] for table in manifests])
    if patients.isna().any() or len(patients) < 2 or len(set(patients)) > 1:
        return ""
    return ONE_PATIENT.format(images=len(patients)) + "; is it the right column?"


def _headers_may_say_more(domain: DomainSettings, manifests: Iterable[pd.DataFrame]) -> bool:
    """Whether labels, units or strata hang on what headers of images may say."""
    hanging = {*getattr(domain.split, "stratify_by", ())} & _OF_HEADERS
    for table in manifests:
        sides_needed = domain.unit == "breast" or table["patient_pathology"].notna().any()
        needed = hanging | ({"laterality"} if sides_needed else set())
        if any(column not in table or table[column].isna().any() for column in needed):
            return True
    return False


def _without_names(text: str, manifests: Iterable[pd.DataFrame]) -> str:
    """Return a message without the names of patients and images."""
    names = {
        str(value)
        for table in manifests
        for column in ("patient_id", "image_id")
        for value in table[column].dropna()
    }
    words = re.split(r"(\s|[,:;'\"]\s?)", text)
    return "".join("..." if word in names else word for word in words)


def check_patients(project: Project, study: str) -> Iterator[Finding]:
    """Yield where users' own tables of two domains hold equal ids that count as two patients."""
    domains = project.studies[study].domains
    together = [set(group) for group in same_patient_groups(domains)]
    ids = {
        name: {dataset: _patient_ids(project, dataset) for dataset in domain.datasets}
        for name, domain in domains.items()
    }
    said: set[frozenset[str]] = set()
    for one, other in combinations_with_replacement(ids, 2):
        if one != other and any({one, other} <= group for group in together):
            continue
        for mine, theirs in product(ids[one], ids[other]):
            common = ids[one][mine] & ids[other][theirs]
            pair = frozenset((mine, theirs))
            if mine != theirs and common and pair not in said:
                said.add(pair)
                yield _equal_ids(study, one, other, (mine, theirs), len(common))


def _equal_ids(study: str, one: str, other: str, datasets: tuple[str, str], count: int) -> Finding:
    mend = (
        f"where they are the same patients, write them as one dataset, else let the ids of {one} "
        "differ"
        if one == other
        else f"where they are the same patients, say `same_patients_as: [{one}]` in the domain "
        f"{other} of the long form (docs/own-data.md), else let the ids differ"
    )
    return Finding(
        "warning",
        f"patients {study}",
        f"{count} patient ids are in the tables of both {' and '.join(datasets)}, and count as "
        f"different patients: a classifier may be judged on whom it learned from; {mend}",
    )


def _patient_ids(project: Project, dataset: str) -> set[str]:
    """Return the ids of patients that a user's own table holds; none where it cannot be read."""
    options = project.datasets[dataset].options
    root = project.archive_root(dataset, Path())
    if not isinstance(options, Options) or not root.is_dir():
        return set()
    try:
        entries = table_entries(dataset, root, options)
    except ArchiveError:
        return set()  # the check of the table says it
    return {entry.patient_id for entry in entries if entry.patient_id}


def _unnamed(notes: Iterable[str], datasets: Collection[str]) -> Iterator[str]:
    """Yield the notes of a split without the names of patients or images that end them."""
    for note in notes:
        if note.partition(":")[0] in datasets:
            yield note
        elif "is unknown" not in note:  # the count of unknown patients has its own line
            yield note.rpartition(": ")[0] or note


def _classes(what: str, cases: pd.DataFrame) -> Iterator[Finding]:
    """Yield the counts of a domain and of the subsets of its first fold."""
    patients = cases["patient_id"].fillna(cases["case_id"])
    positive = cases["label"] == 1
    unknown = int(cases["patient_id"].isna().sum())
    each = f" (each of the {unknown} cases without one counted as one)" if unknown else ""
    said = (
        f"{len(cases)} cases, {int(positive.sum())} positive, of {patients.nunique()} patients"
        f"{each}, {patients[positive].nunique()} of them with a positive"
    )
    yield Finding("ok", what, said)
    if alike := nearly_equal(set(cases["patient_id"].dropna())):
        yield Finding(
            "warning",
            what,
            f"{alike} of the patients differ from another in capitals, blanks or leading zeros "
            "only; each counts as a patient of its own, and two may be in different subsets",
        )
    if unknown:
        yield Finding(
            "warning",
            what,
            f"{unknown} cases without a patient: independence assumed, so that two of one patient "
            "may be in different subsets and intervals may be too narrow",
        )
    for count, name in ((int(positive.sum()), "positive"), (int((~positive).sum()), "negative")):
        if not count:
            yield Finding("warning", what, f"has no {name} case: no AUC of it can be computed")
    subset = pd.Series([subsets[0] for subsets in cases["subsets"]], index=cases.index)
    for name in (name for name in ALL_SUBSETS if (subset == name).any()):
        own = patients[positive & (subset == name)].nunique()
        rest = patients[~positive & (subset == name)].nunique()
        level = "warning" if min(own, rest) < FEW_POSITIVE else "ok"
        few = f"; {_FEW.get(name, _FEW_JUDGED)}" if level == "warning" else ""
        everyone = patients[subset == name].nunique()
        said = f"{name}: {own} of {everyone} patients with a positive case, {rest} with a negative"
        yield Finding(level, what, f"{said}{few}")


def _manifest(project: Project, dataset: str) -> pd.DataFrame:
    """Return the manifest as far as a user's table says it; no image is looked at."""
    options = project.datasets[dataset].options
    root = project.archive_root(dataset, Path())
    if not isinstance(options, Options) or not root.is_dir():
        raise FileNotFoundError(root)
    entries = [e for e in table_entries(dataset, root, options) if is_there(root / e.path)]
    rows = [_row(entry, dataset) for entry in entries]
    return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA).to_pandas()


def _row(entry: Entry, dataset: str) -> dict[str, object]:
    known = asdict(entry)
    return {name: known.get(name) for name in MANIFEST_SCHEMA.names} | {
        "dataset": dataset,
        "pathology": pathology_of_image(entry, entry.laterality),
        "patient_pathology": entry.label if entry.lesion_side else None,
        "density_scale": "birads" if entry.density else None,
        "content_key": "",
    }


def _images_and_rows(project: Project, dataset: str, root: Path) -> dict[str, int | None]:
    """Return the images of a dataset with their row in a user's own table; None without one."""
    options = project.datasets[dataset].options
    if isinstance(options, Options):
        entries = table_entries(dataset, root, options)
        return {entry.path: entry.number for entry in entries if is_there(root / entry.path)}
    suffixes = RASTER_SUFFIXES | DICOM_SUFFIXES
    return {
        file.path: None
        for file in iterate_files(root, options.links_may_leave)
        if PurePosixPath(file.path).suffix.lower() in suffixes
    }
