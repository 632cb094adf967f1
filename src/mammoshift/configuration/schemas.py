"""JSON schemas of the configuration files, for editors; written from the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mammoshift.configuration.dataset import Datasets
from mammoshift.configuration.load import Backbones, Settings
from mammoshift.configuration.published import PublishedStudy
from mammoshift.configuration.study import Study
from mammoshift.errors import ConfigurationError

LIMITS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
FORMS = {
    "settings": Settings,
    "datasets": Datasets,
    "backbones": Backbones,
    "study": Study,
    "published": PublishedStudy,
}


def schema_texts() -> dict[str, str]:
    """Return file name -> content of each schema."""
    return {
        f"{name}.schema.json": json.dumps(_plain(TypeAdapter(form).json_schema()), indent=1) + "\n"
        for name, form in FORMS.items()
    }


def write_schemas(folder: Path) -> None:
    """Write all schemas into `folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in schema_texts().items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written: {error.strerror}") from None


def _plain(schema: Any) -> Any:
    """Return a schema whose whole limits are whole numbers.

    Python remembers equal type expressions, so that a limit of 0.0 may come back as the 0 that a
    library asked for before: the same schema would be written in two ways.
    """
    if isinstance(schema, dict):
        return {
            key: int(value)
            if key in LIMITS and isinstance(value, float) and value.is_integer()
            else _plain(value)
            for key, value in schema.items()
        }
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema
