"""Models in which everything may be left out, derived from the whole ones.

An arm in a study file says only what differs from the defaults. The model of such a patch is
derived from the model of the whole, so that the two cannot drift and an unknown key is refused
in both.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, get_origin

from pydantic import BaseModel, create_model

from mammoshift.configuration.model import Strict


def partial_model(
    whole: Any, name: str, leave_out: Collection[str] = (), lists: bool = False
) -> Any:
    """Return a model with the fields of `whole`, each of which may be left out.

    Parameters
    ----------
    whole
        A pydantic model class.
    name
        Name of the new class.
    leave_out
        Fields that the new model does not have.
    lists
        Whether a list of values is accepted where one value is expected; not for fields whose
        one value is itself a sequence.
    """
    fields: dict[str, Any] = {}
    for key, field in whole.model_fields.items():
        if key in leave_out:
            continue
        annotation: Any = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = partial_model(annotation, f"{name}{key.title()}", lists=lists)
        else:
            for constraint in field.metadata:
                annotation = Annotated[annotation, constraint]
            if lists and not _is_sequence(field.annotation):
                annotation = annotation | list[annotation]
        fields[key] = (annotation, None)
    return create_model(name, __base__=Strict, __doc__=whole.__doc__, **fields)


def _is_sequence(annotation: Any) -> bool:
    """Tell whether a field, which may be optional, holds a sequence."""
    members = getattr(annotation, "__args__", ())
    return get_origin(annotation) is tuple or any(get_origin(m) is tuple for m in members)
