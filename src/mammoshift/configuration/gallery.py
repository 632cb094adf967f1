"""The gallery of a study: which arms' hits and misses the report shows, and of which domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from mammoshift.configuration.model import Name, Strict
from mammoshift.configuration.naming import known
from mammoshift.errors import ConfigurationError

if TYPE_CHECKING:
    from mammoshift.configuration.resolved import ResolvedStudy

KIND = "network"
"""The kind of arm that heat maps can be drawn for."""


class Gallery(Strict):
    """Pictures of the most confident hits and misses with a heat map over each, in the report.

    `arms` are networks of the study (default: the reference of its first family, else its first
    network). Of each domain `per_domain` hits are shown and as many misses, of datasets whose
    record allows pictures; patches are not.
    """

    arms: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    per_domain: Annotated[int, Field(ge=1, le=24)] = 4


def gallery_arms(study: ResolvedStudy) -> tuple[str, ...]:
    """Return the arms of a study that have a gallery."""
    gallery = study.record.gallery
    if gallery is None:
        return ()
    if gallery.arms is not None:
        return gallery.arms
    networks = [name for name, arm in study.arms.items() if arm.kind == KIND]
    references = [pair.reference for family in study.families for pair in family.on_one_domain]
    return tuple(name for name in (*references, *networks) if name in networks)[:1]


def check_gallery(study: ResolvedStudy, where: str) -> None:
    """Refuse a gallery of arms that there are none of, or that no heat map can be drawn for.

    Raises
    ------
    ConfigurationError
        If there is such an arm.
    """
    key = f"{where}: gallery"
    for arm in gallery_arms(study):
        known(f"{key}.arms", arm, study.arms, "arm")
        if study.arms[arm].kind != KIND:
            raise ConfigurationError(
                f"{key}.arms: {arm} is of the kind {study.arms[arm].kind}; heat maps can be drawn "
                f"for the kind {KIND} alone; leave it out"
            )
    if study.record.gallery is not None and not gallery_arms(study):
        raise ConfigurationError(f"{key}: the study has no arm of the kind {KIND}; leave it out")
