"""The cases of a domain: from manifests, annotations and patches to one table."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
import pandas as pd

from mammoshift.cases.regions import BOX_COLUMNS, marked_images, marked_patches
from mammoshift.cases.splits._assignment import Assignment
from mammoshift.cases.tasks import TASKS, AnnotationTask, ImageTask
from mammoshift.configuration.domain import SPLIT_PACKAGE, DomainSettings, Range
from mammoshift.contracts.cases import CASES_SCHEMA, TARGET
from mammoshift.errors import ConfigurationError, TableError
from mammoshift.registry import load

_OPTIONAL = ("pair_id", "site", "patient_pathology")
_PREFIXED = ("case_id", "patient_id", "pair_id")


def make_cases(
    name: str,
    domain: DomainSettings,
    manifests: Mapping[str, pd.DataFrame],
    annotations: Mapping[str, pd.DataFrame],
    items: Mapping[str, pd.DataFrame] | None,
    others: Mapping[str, pd.DataFrame],
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Make the table of cases of a domain.

    Parameters
    ----------
    name
        The domain's name in the study.
    domain
        What the study file says of it.
    manifests
        Manifest of each of its datasets, by name; `pair_id`, `site` and `patient_pathology` may
        be absent.
    annotations
        Annotations of each dataset, by name; read for tasks that take labels from regions.
    items
        Patches of each dataset in the pixel store, by name, for the unit `patch`: columns
        `item_id, image_id, box_left, box_top, box_right, box_bottom`. None for other units.
    others
        Cases of the domains that `domain.needs` names.

    Returns
    -------
    cases
        Columns of `mammoshift.contracts.cases.CASES_SCHEMA`, sorted by `case_id`; only images
        that pass the filter and have a label.
    notes
        Sentences for a person: what was left out, whom the split could not place.

    Raises
    ------
    ConfigurationError
        If no case is left, or the task needs annotations or patches that are not there, or the
        split cannot be made.
    TableError
        If a patch is of an image that the manifest does not have.
    """
    parts, notes = [], []
    for dataset in domain.datasets:
        part, said = _cases_of_dataset(domain, dataset, manifests[dataset], annotations, items)
        parts.append(part)
        notes += said
    cases = pd.concat(parts, ignore_index=True).assign(domain=name)
    if cases.empty:
        raise ConfigurationError(
            f"domain {name}: no image passes the filter and has a label for the task {domain.task}"
        )
    if domain.balance is not None:
        cases, drawn = _balanced(cases)
        notes += drawn
    cases = _with_units(cases, domain)
    repeated = cases["case_id"][cases["case_id"].duplicated()]
    if len(repeated):
        raise TableError(f"domain {name}: case {repeated.iloc[0]} occurs more than once")
    cases = cases.sort_values("case_id", ignore_index=True)
    assignment = _assignment(name, domain, cases, others)
    cases["subsets"] = pd.Series(assignment.subsets, index=cases.index, dtype=object)
    return cases[CASES_SCHEMA.names], (*notes, *assignment.notes)


def task_labels(pathology: pd.Series[str], task: ImageTask) -> pd.Series[int]:
    """Return the label of each pathology: 1, 0, or null where the task gives none."""
    return pathology.map(dict(task.labels)).astype("Int8").rename("label")


def density_with_scale(manifest: pd.DataFrame) -> pd.Series[str]:
    """Return the density; where its scale is not that of BI-RADS, after the scale's name."""
    density = manifest["density"].astype("string")
    scale = manifest["density_scale"].astype("string")
    return density.where(scale.isna() | (scale == "birads"), scale + "_" + density)


def _cases_of_dataset(
    domain: DomainSettings,
    dataset: str,
    manifest: pd.DataFrame,
    annotations: Mapping[str, pd.DataFrame],
    items: Mapping[str, pd.DataFrame] | None,
) -> tuple[pd.DataFrame, list[str]]:
    absent = {column: None for column in _OPTIONAL if column not in manifest.columns}
    images = manifest.assign(**absent, density=density_with_scale(manifest))
    chosen = images[_passes(images, domain)]
    table = _with_boxes(chosen, images, dataset, items if domain.unit == "patch" else None)
    labels = _labels(table, domain, dataset, annotations)
    kept = table[labels.notna()].assign(label=labels.dropna().astype("int8"), dataset=dataset)
    kept["case_id"] = kept["item_id"]
    if len(domain.datasets) > 1:
        for column in _PREFIXED:
            values = kept[column].astype("string")
            kept[column] = dataset + "/" + values
    notes = []
    if len(chosen) < len(images):
        notes.append(f"{dataset}: {len(images) - len(chosen)} images do not pass the filter")
    if len(kept) < len(table):
        unlabelled = table.loc[labels.isna(), "image_id"].nunique()
        notes.append(f"{dataset}: {unlabelled} images have no label for {domain.task}")
    return kept, notes


def _passes(images: pd.DataFrame, domain: DomainSettings) -> pd.Series[bool]:
    """Return which images pass the filter; of several lesion types one is enough."""
    passed = pd.Series(True, index=images.index)
    for column, wanted in (domain.filter or {}).items():
        values = images[column]
        if isinstance(wanted, Range):
            low = -np.inf if wanted.minimum is None else wanted.minimum
            high = np.inf if wanted.maximum is None else wanted.maximum
            fits = values.astype("Float64").between(low, high).fillna(False).astype(bool)
        elif column == "lesion_types":
            found = values.str.split("+")
            fits = pd.Series(
                [isinstance(kinds, list) and not set(wanted).isdisjoint(kinds) for kinds in found],
                index=images.index,
            )
        else:
            fits = values.isin(list(wanted))
        passed &= fits
    return passed


def _with_boxes(
    chosen: pd.DataFrame,
    images: pd.DataFrame,
    dataset: str,
    items: Mapping[str, pd.DataFrame] | None,
) -> pd.DataFrame:
    """Return one row for each item: the image itself, or each of its patches."""
    if items is None:
        whole = {column: pd.array([pd.NA] * len(chosen), dtype="Int32") for column in BOX_COLUMNS}
        return chosen.assign(item_id=chosen["image_id"], **whole).reset_index(drop=True)
    patches = items[dataset][["item_id", "image_id", *BOX_COLUMNS]]
    strange = patches.loc[~patches["image_id"].isin(images["image_id"]), "item_id"]
    if len(strange):
        raise TableError(f"{dataset}: patch {strange.iloc[0]} is of an image not in the manifest")
    return patches.merge(chosen, on="image_id", validate="m:1")


def _labels(
    table: pd.DataFrame,
    domain: DomainSettings,
    dataset: str,
    annotations: Mapping[str, pd.DataFrame],
) -> pd.Series[int]:
    task = TASKS[domain.task]
    if isinstance(task, ImageTask):
        return task_labels(table["pathology"], task)
    marks = annotations.get(dataset)
    if marks is None or marks.empty:
        raise ConfigurationError(
            f"the task {task.name} takes its labels from annotations, and {dataset} has none"
        )
    marks = _of_task(marks, task)
    find = marked_patches if domain.unit == "patch" else marked_images
    return pd.Series(find(table, marks), index=table.index).astype("Int8")


def _of_task(annotations: pd.DataFrame, task: AnnotationTask) -> pd.DataFrame:
    if task.lesion_types is None:
        return annotations
    return annotations[annotations["lesion_type"].isin(list(task.lesion_types))]


def _balanced(cases: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return as many cases of either label, those of the larger class by the hash of their name."""
    counts = cases["label"].value_counts()
    if len(counts) < 2:
        return cases, []
    ranks = cases["case_id"].map(lambda name: blake2b(str(name).encode(), digest_size=8).digest())
    kept = cases.assign(rank=ranks).sort_values(["rank", "case_id"]).groupby("label")
    balanced = kept.head(int(counts.min())).drop(columns="rank").sort_index()
    larger, left_out = counts.idxmax(), int(counts.max() - counts.min())
    if not left_out:
        return cases, []
    return balanced, [f"{left_out} cases with label {larger} are left out: classes are balanced"]


def _with_units(cases: pd.DataFrame, domain: DomainSettings) -> pd.DataFrame:
    """Add the unit of each case and the unit's label."""
    if domain.unit in ("image", "patch"):
        return cases.assign(unit_id=cases["case_id"], unit_label=cases["label"])
    unit = cases["patient_id"].astype("string")
    if domain.unit == "breast":
        unit = unit + "/" + cases["laterality"].astype("string")
    alone = unit.isna()
    taken = cases.loc[alone & cases["case_id"].isin(unit[~alone]), "case_id"]
    if len(taken):
        raise TableError(
            f"image {taken.iloc[0]}, whose {domain.unit} is unknown, has the name of a "
            f"{domain.unit}; rename one of them in the archive's tables"
        )
    unit = unit.where(~alone, cases["case_id"].astype("string")).astype("str")
    label = cases["label"].groupby(unit.to_numpy()).transform("max")
    task = TASKS[domain.task]
    if domain.unit == "patient" and isinstance(task, ImageTask):
        stated = task_labels(cases["patient_pathology"], task)
        highest = stated.groupby(unit.to_numpy()).transform("max")
        label = highest.where(highest.notna() & ~alone, label)
    return cases.assign(unit_id=unit, unit_label=label.astype("int8"))


def _assignment(
    name: str, domain: DomainSettings, cases: pd.DataFrame, others: Mapping[str, pd.DataFrame]
) -> Assignment:
    if domain.split is None:
        return Assignment([(TARGET,)] * len(cases))
    method = load(SPLIT_PACKAGE, domain.split.method)
    try:
        return method.assign(cases, domain.split, others)
    except ConfigurationError as error:
        raise ConfigurationError(f"domain {name}: {error}") from error
