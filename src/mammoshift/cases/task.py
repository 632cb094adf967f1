"""What is positive: the binary tasks that a study can name."""

from __future__ import annotations

from typing import Literal

import pandas as pd

Task = Literal["malignant_vs_rest", "malignant_vs_benign", "abnormal_vs_normal"]

_LABELS: dict[Task, dict[str, int]] = {
    "malignant_vs_rest": {"normal": 0, "benign": 0, "malignant": 1},
    "malignant_vs_benign": {"benign": 0, "malignant": 1},
    "abnormal_vs_normal": {"normal": 0, "benign": 1, "malignant": 1},
}


def task_labels(manifest: pd.DataFrame, task: Task) -> pd.Series[int]:
    """Return the label of each image of `manifest`.

    Parameters
    ----------
    manifest
        A manifest; its `pathology` is read.
    task
        `malignant_vs_rest`: benign and normal images are negative. `malignant_vs_benign`: normal
        images have no label. `abnormal_vs_normal`: benign and malignant images are positive.

    Returns
    -------
    Series
        Int8 named `label`, the manifest's index: 1 positive, 0 negative, null where the archive
        gives no pathology or the task leaves the image out.
    """
    return manifest["pathology"].map(_LABELS[task]).astype("Int8").rename("label")


def class_names(task: Task) -> tuple[str, str]:
    """Return the names of the labels 0 and 1, such as ("rest", "malignant")."""
    positive, negative = task.split("_vs_")
    return negative, positive
