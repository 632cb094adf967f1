"""JSON schemas of the configuration files, for editors; written from the models."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from mammoshift.configuration.dataset import Datasets
from mammoshift.configuration.load import Backbones, Settings
from mammoshift.configuration.study import Study

FORMS = {"settings": Settings, "datasets": Datasets, "backbones": Backbones, "study": Study}


def schema_texts() -> dict[str, str]:
    """Return file name -> content of each schema."""
    return {
        f"{name}.schema.json": json.dumps(TypeAdapter(form).json_schema(), indent=1) + "\n"
        for name, form in FORMS.items()
    }


def write_schemas(folder: Path) -> None:
    """Write all schemas into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_texts().items():
        (folder / name).write_text(text, encoding="utf-8")
