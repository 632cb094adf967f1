"""The configuration files of a user's own folder: dataset, study, and what a run reads first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mammoshift.errors import ConfigurationError
from mammoshift.files import write_text_atomically
from mammoshift.project.folder import Described

DIVIDED_BY = ("density", "view", "laterality", "age", "manufacturer")
"""Columns that give subgroups, where the table has them."""

IMAGES_OF_A_BUNDLE = 2000


@dataclass(frozen=True)
class OwnProject:
    """A hospital's folder as it shall be configured.

    Attributes
    ----------
    name
        Of the dataset, the study and the folder of results.
    described
        The table and its column of paths.
    columns
        Meaning -> column, `path` and `label` among them.
    label_values
        What each value of the label column means.
    folder
        Where the files are written.
    """

    name: str
    described: Described
    columns: Mapping[str, str]
    label_values: Mapping[str, str]
    folder: Path

    @property
    def configuration(self) -> Path:
        """The file to give to Snakemake."""
        return self.folder / "config.yaml"

    @property
    def texts(self) -> dict[Path, str]:
        """The files and what stands in them."""
        return {
            self.configuration: _text(_SETTINGS, self.settings),
            self.folder / "datasets.yaml": _text(_DATASETS, {self.name: self.dataset}),
            self.folder / f"{self.name}.yaml": self.study,
        }

    @property
    def settings(self) -> dict[str, Any]:
        """The content of the configuration file."""
        return {
            "studies": [(self.folder / f"{self.name}.yaml").as_posix()],
            "datasets": (self.folder / "datasets.yaml").as_posix(),
            "backbones": "config/backbones.yaml",
            "archives": self.described.root.resolve().parent.as_posix(),
            "pathvars": {"results": f"results/{self.name}", "logs": f"logs/{self.name}"},
        }

    @property
    def dataset(self) -> dict[str, Any]:
        """The record of the dataset."""
        images = len(self.described.table.rows)
        return {
            "adapter": "csv",
            "title": self.name.replace("_", " ").capitalize(),
            "licence": "internal",
            "root": self.described.root.resolve().name,
            "bundles": max(1, min(64, images // IMAGES_OF_A_BUNDLE)),
            "expected_images": images,
            "csv": {
                "table": self.described.table.path,
                "columns": dict(self.columns),
                "label_values": dict(self.label_values),
            },
        }

    @property
    def study(self) -> str:
        """The text of the study file: two small networks on patients of their own."""
        subgroups = ", ".join(name for name in DIVIDED_BY if name in self.columns)
        return _STUDY.format(
            name=self.name, title=self.name.replace("_", " "), subgroups=f"[{subgroups}]"
        )


def write_project(project: OwnProject, force: bool) -> None:
    """Write the files of a project.

    Raises
    ------
    ConfigurationError
        If one of them is there already and `force` is not given, or cannot be written.
    """
    there = [str(path) for path in project.texts if path.exists()]
    if there and not force:
        raise ConfigurationError(
            f"{', '.join(there)}: already there; nothing was written. Give another --name or "
            "--out, or --force to write them anew"
        )
    try:
        for path, text in project.texts.items():
            write_text_atomically(path, text)
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename}: cannot be written ({error.strerror}); give another folder with "
            "--out"
        ) from None


_SETTINGS = """\
What `snakemake --configfile` reads first. `archives` is the folder that holds the hospital's
own; where it lies is no part of a result, so that it may be moved."""

_DATASETS = """\
The hospital's folder and its table: docs/own-data.md has every column. `root` is below the
setting `archives`; `label_values` says what the label column means. With `pictures: true` the
report shows images: a contact sheet, hits and misses."""

_STUDY = """\
# A first study: two small networks, trained from scratch on some patients and judged on others.
# docs/own-study.md goes on from here.
title: How well do small networks learn {title}?
source:
  dataset: {name}
  task: malignant_vs_rest
  shares: {{train: 0.6, validation: 0.15, test: 0.25}}    # of the patients
# targets: [another_hospital]       # judged only: does it survive the change?
seeds: [0, 1]
input: {{size: [192, 128]}}           # rows, columns; published networks take 1520 x 912
training:
  batch_size: 16
  stages: [{{epochs: 20, optimiser: adamw, lr: 1.0e-3, weight_decay: 2.0e-2, warmup_epochs: 1}}]
  augmentation: {{vertical_flip: 0.5, translation: 0.05, scaling: 0.15}}
arms:
  resnet: {{backbone: tiny_resnet}}
  efficientnet: {{backbone: tiny_efficientnet}}
comparisons:
  - {{family: held_out, on: all, reference: resnet}}
subgroups: {subgroups}
calibration: [temperature_source]
"""


def _text(comment: str, content: Mapping[str, Any]) -> str:
    lines = "\n".join(f"# {line}" for line in comment.splitlines())
    body = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=100)
    return f"{lines}\n{body}"
