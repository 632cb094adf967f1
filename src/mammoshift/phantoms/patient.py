"""Latent patients: who is imaged, before any scanner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mammoshift.configuration.dataset import Population
from mammoshift.errors import ConfigurationError
from mammoshift.phantoms.streams import stream

Side = Literal["left", "right"]
View = Literal["CC", "MLO"]
Density = Literal["a", "b", "c", "d"]
Pathology = Literal["normal", "benign", "malignant"]
LesionPathology = Literal["benign", "malignant"]
LesionKind = Literal["mass", "calcification"]

_BETA_MEAN, _BETA_SD = 3.2, 0.23
_SUSPICION = {
    "malignant": (("3", "4a", "4b", "4c", "5"), (0.04, 0.08, 0.18, 0.30, 0.40)),
    "benign": (("2", "3", "4a", "4b", "4c"), (0.25, 0.40, 0.20, 0.10, 0.05)),
}


@dataclass(frozen=True)
class CaseMix:
    """What an archive collects: shares of lesion kinds, and which patients it takes.

    `mass`, `calcification` and `both` sum to one. `normals` tells whether patients without a
    lesion are collected. `bilateral` and `second_lesion` say of one patient that the other breast
    has a lesion too, or the same breast a second one.
    """

    mass: float
    calcification: float
    both: float
    normals: bool
    bilateral: bool = False
    second_lesion: bool = False


@dataclass(frozen=True)
class Lesion:
    """One lesion in the frame of the breast, the same for every view.

    `depth` is the distance from the chest wall as a share of the breast's depth; `lateral` and
    `cranial` are offsets towards the armpit and the head in shares of the half-width at that
    depth, inside the unit disc. `radius_mm` is that of the mass or of the cluster.
    """

    number: int
    side: Side
    kind: LesionKind
    pathology: LesionPathology
    birads: str
    depth: float
    lateral: float
    cranial: float
    radius_mm: float


@dataclass(frozen=True)
class Patient:
    """A woman and her breasts under compression.

    `number` counts from 1. `depth_mm` (chest wall to nipple), `half_height_mm` (along the chest
    wall) and `thickness_mm` (compressed) are lengths; `beta` is the exponent of the texture's
    power spectrum; `glandularity` scales the glandular share that belongs to the density class.
    """

    seed: int
    number: int
    age: int
    density: Density
    pathology: Pathology
    main_side: Side
    depth_mm: float
    half_height_mm: float
    thickness_mm: float
    beta: float
    glandularity: float
    lesions: tuple[Lesion, ...]

    def lesions_of(self, side: Side) -> tuple[Lesion, ...]:
        """Return the lesions of one breast."""
        return tuple(lesion for lesion in self.lesions if lesion.side == side)

    def pathology_of(self, side: Side) -> Pathology:
        """Return the gravest pathology in one breast."""
        found = {lesion.pathology for lesion in self.lesions_of(side)}
        if "malignant" in found:
            return "malignant"
        return "benign" if found else "normal"

    def kinds_of(self, side: Side) -> frozenset[LesionKind]:
        """Return which kinds of lesion one breast has."""
        return frozenset(lesion.kind for lesion in self.lesions_of(side))


def other_side(side: Side) -> Side:
    """Return the contralateral side."""
    return "right" if side == "left" else "left"


def draw_patient(seed: int, number: int, population: Population, mix: CaseMix) -> Patient:
    """Draw patient `number` of a population.

    Every attribute has a stream of its own and is a monotone function of its draw, so that
    another population changes only those patients whom the change concerns.

    Raises
    ------
    ConfigurationError
        If the shares of the population leave nothing to draw from.
    """
    density = _draw_density(seed, number, population)
    pathology = _draw_pathology(seed, number, population, mix.normals)
    main_side: Side = "left" if _uniform(seed, number, "side") < 0.5 else "right"
    size, height, thickness, beta, gland, age = (
        float(stream(seed, "patient", number, knob).standard_normal())
        for knob in ("depth", "height", "thickness", "beta", "glandularity", "age")
    )
    years = 57 + 4 * (pathology == "malignant") - 3 * ("abcd".index(density) - 1.5) + 10 * age
    years += population.age_shift or 0.0
    return Patient(
        seed=seed,
        number=number,
        age=int(np.clip(round(years), 25, 88)),
        density=density,
        pathology=pathology,
        main_side=main_side,
        depth_mm=float(np.clip(92 + 14 * size, 60, 128)),
        half_height_mm=float(np.clip(87 + 6 * size + 6 * height, 66, 106)),
        thickness_mm=float(np.clip(52 + 9 * thickness, 28, 80)),
        beta=_BETA_MEAN + _BETA_SD * beta,
        glandularity=float(np.exp(0.15 * gland)),
        lesions=_draw_lesions(seed, number, pathology, main_side, population, mix),
    )


def _draw_density(seed: int, number: int, population: Population) -> Density:
    shares = population.density
    cumulative = np.cumsum([shares.a, shares.b, shares.c, shares.d])
    if cumulative[-1] <= 0:
        raise ConfigurationError("population.density: all shares are zero; make one positive")
    rank = np.searchsorted(cumulative, _uniform(seed, number, "density") * cumulative[-1], "right")
    classes: tuple[Density, ...] = ("a", "b", "c", "d")
    return classes[min(int(rank), 3)]


def _draw_pathology(seed: int, number: int, population: Population, normals: bool) -> Pathology:
    malignant, benign = population.malignant, population.benign
    if not normals:
        if malignant + benign <= 0:
            raise ConfigurationError(
                "population: this layout has no normal patients; make malignant or benign positive"
            )
        malignant, benign = malignant / (malignant + benign), benign / (malignant + benign)
    drawn = _uniform(seed, number, "pathology")
    if drawn < malignant:
        return "malignant"
    return "benign" if drawn >= 1 - benign or not normals else "normal"


def _draw_lesions(
    seed: int,
    number: int,
    pathology: Pathology,
    side: Side,
    population: Population,
    mix: CaseMix,
) -> tuple[Lesion, ...]:
    if pathology == "normal":
        return ()
    drawn = _uniform(seed, number, "lesion kind")
    mass, calcification = _kind_shares(population, pathology, mix)
    kinds: list[tuple[LesionKind, LesionPathology, Side]] = []
    if drawn < mass or drawn >= mass + calcification:
        kinds.append(("mass", pathology, side))
    if drawn >= mass:
        kinds.append(("calcification", pathology, side))
    if mix.second_lesion:
        kinds.append((kinds[0][0], pathology, side))
    if mix.bilateral:
        kinds.append((kinds[0][0], "benign", other_side(side)))
    lesions: list[Lesion] = []
    for count, (kind, of_pathology, of_side) in enumerate(kinds, start=1):
        site = lesions[0] if kind == "calcification" and count == 2 and lesions else None
        lesion = _draw_lesion(seed, number, count, kind, of_pathology, of_side, site)
        radius_mm = lesion.radius_mm * (population.lesion_size or 1.0)
        lesions.append(replace(lesion, radius_mm=radius_mm))
    return tuple(lesions)


def _kind_shares(
    population: Population, pathology: LesionPathology, mix: CaseMix
) -> tuple[float, float]:
    """Return the shares of patients with a mass alone and with calcifications alone."""
    own = None if population.kinds is None else getattr(population.kinds, pathology)
    if own is None:
        return mix.mass, mix.calcification
    total = own.mass + own.calcification + own.both
    return own.mass / total, own.calcification / total


def _draw_lesion(
    seed: int,
    number: int,
    count: int,
    kind: LesionKind,
    pathology: LesionPathology,
    side: Side,
    shared_site: Lesion | None,
) -> Lesion:
    """Draw one lesion; calcifications that go with a mass lie at its site."""
    rng = stream(seed, "patient", number, "lesion", count)
    depth = rng.uniform(0.22, 0.78)
    radius, angle = 0.75 * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
    size = rng.standard_normal()
    grades, chances = _SUSPICION[pathology]
    birads = grades[int(np.searchsorted(np.cumsum(chances)[:-1], rng.uniform(), "right"))]
    if kind == "mass":
        median_mm = 10.5 if pathology == "malignant" else 5.5
        radius_mm = float(np.clip(median_mm * np.exp(0.27 * size), 3.0, 20.0))
    else:
        median_mm = 9.0 if pathology == "malignant" else 6.0
        radius_mm = float(np.clip(median_mm * np.exp(0.25 * size), 3.0, 18.0))
    if shared_site is not None and shared_site.side == side:
        place = (shared_site.depth, shared_site.lateral, shared_site.cranial)
    else:
        # Half of all cancers arise in the upper outer quadrant, hence the shift of the disc.
        place = (depth, radius * np.cos(angle) + 0.12, radius * np.sin(angle) + 0.12)
    return Lesion(
        number=count,
        side=side,
        kind=kind,
        pathology=pathology,
        birads=birads,
        depth=float(place[0]),
        lateral=float(place[1]),
        cranial=float(place[2]),
        radius_mm=radius_mm,
    )


def _uniform(seed: int, number: int, knob: str) -> float:
    return float(stream(seed, "patient", number, knob).random())
