"""What is positive: the binary tasks that a domain can name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TaskName = Literal[
    "malignant_vs_rest",
    "malignant_vs_benign",
    "abnormal_vs_normal",
    "lesion_vs_rest",
    "mass_vs_rest",
    "calcification_vs_rest",
]


@dataclass(frozen=True)
class ImageTask:
    """A task whose label follows from the pathology of an image (or of a patient).

    `labels` has 1 or 0 for a pathology; images with another or without one have no label.
    """

    name: TaskName
    labels: Mapping[str, int]


@dataclass(frozen=True)
class AnnotationTask:
    """A task whose label follows from the regions that are marked on an image.

    A patch, or an image, is positive when it holds a part of a marked region of one of
    `lesion_types` (None: of any), negative otherwise. Only archives that mark regions serve it.
    """

    name: TaskName
    lesion_types: frozenset[str] | None


TASKS: Mapping[str, ImageTask | AnnotationTask] = {
    task.name: task
    for task in (
        ImageTask("malignant_vs_rest", {"normal": 0, "benign": 0, "malignant": 1}),
        ImageTask("malignant_vs_benign", {"benign": 0, "malignant": 1}),
        ImageTask("abnormal_vs_normal", {"normal": 0, "benign": 1, "malignant": 1}),
        AnnotationTask("lesion_vs_rest", None),
        AnnotationTask("mass_vs_rest", frozenset({"mass"})),
        AnnotationTask("calcification_vs_rest", frozenset({"calcification"})),
    )
}


def class_names(task: str) -> tuple[str, str]:
    """Return the names of the labels 0 and 1, such as ("rest", "malignant")."""
    positive, negative = task.split("_vs_")
    return negative, positive
