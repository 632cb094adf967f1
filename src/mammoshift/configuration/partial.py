"""Models in which everything may be left out, derived from the whole ones.

An arm in a study file says only what differs from the defaults. The model of such a patch is
derived from the model of the whole, so that the two cannot drift and an unknown key is refused
in both.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, create_model

from mammoshift.configuration.model import Strict


def partial_model(
    whole: Any,
    name: str,
    leave_out: Collection[str] = (),
    lists: bool = False,
    keep: Collection[str] = (),
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
        Whether a list of values is accepted where one value is expected.
    keep
        Fields whose own type is a sequence, for which a list is one value.
    """
    fields: dict[str, Any] = {}
    for key, field in whole.model_fields.items():
        if key in leave_out:
            continue
        annotation: Any = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            inner = f"{name}{key.title()}"
            annotation = partial_model(annotation, inner, lists=lists, keep=keep)
        else:
            for constraint in field.metadata:
                annotation = _annotated(annotation, constraint)
            if lists and key not in keep:
                annotation = annotation | list[annotation]
        fields[key] = (annotation, None)
    return create_model(name, __base__=Strict, __doc__=whole.__doc__, **fields)


def _annotated(annotation: Any, constraint: Any) -> Any:
    from typing import Annotated

    return Annotated[annotation, constraint]
