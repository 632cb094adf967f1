"""The code that settings choose by name: what one choice does counts for its users alone.

Rules give these names, `module:definition`, to the fingerprints of their code (`by_name` of
`mammoshift.provenance.fingerprint.code_fingerprint`).
"""

from __future__ import annotations

from mammoshift.configuration.load import Project
from mammoshift.configuration.model import (
    HEADS,
    MASKS,
    TONES,
    WHOLE_CLASSIFIERS,
    ArmBase,
    InputRecipe,
)
from mammoshift.configuration.resolved import ResolvedStudy
from mammoshift.configuration.training import LOSSES

OFFERED = {
    LOSSES: ("build",),
    HEADS: ("TAKES_MAP", "build"),
    TONES: ("needs_range", "tone"),
    MASKS: ("shown",),
}
"""Package -> what each of its modules offers."""


def of_training(arm: ArmBase) -> tuple[str, ...]:
    """Return what training an arm looks up, with all that a search may choose."""
    return (*_definitions(LOSSES, _values(arm, "loss", "name")), *_of_heads(arm))


def of_models(study: ResolvedStudy, arm: str) -> tuple[str, ...]:
    """Return what the models that an arm applies are built with."""
    made_by = dict.fromkeys(study.model_of(run).arm for run in study.runs(arm))
    return tuple(dict.fromkeys(m for name in made_by for m in _of_heads(study.arms[name])))


def of_weights(project: Project, backbone: str) -> tuple[str, ...]:
    """Return what the weights of a backbone are checked with."""
    weights = project.backbones[backbone].weights
    head = None if weights is None else WHOLE_CLASSIFIERS.get(weights.format)
    return () if head is None else _definitions(HEADS, [head.kind])


def of_recipe(recipe: InputRecipe) -> tuple[str, ...]:
    """Return what an input recipe looks up."""
    return (*_definitions(TONES, [recipe.tone]), *_definitions(MASKS, [recipe.mask]))


def _of_heads(arm: ArmBase) -> tuple[str, ...]:
    return _definitions(HEADS, _values(arm, "head", "kind", default="linear"))


def _values(arm: ArmBase, section: str, name: str, default: str | None = None) -> list[str]:
    """Return the value of a setting and those that the arm's search may choose instead."""
    if section not in type(arm).model_fields:
        return []
    value = getattr(getattr(arm, section), name, default)
    search = getattr(arm, "search", None)
    searched = None if search is None else search.space.get(f"{section}.{name}")
    found = [value, *(() if searched is None else searched.ends)]
    return [str(one) for one in dict.fromkeys(found) if one is not None]


def _definitions(package: str, names: list[str]) -> tuple[str, ...]:
    return tuple(f"{package}.{name}:{one}" for name in names for one in OFFERED[package])
