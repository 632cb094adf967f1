"""One compressed breast as a map of X-ray attenuation.

Attenuation coefficients are those of Johns and Yaffe (Phys. Med. Biol. 32:675, 1987) for fat,
fibroglandular tissue and infiltrating duct carcinoma at 20 keV.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammoshift.phantoms.lesions import LesionMap, map_lesion
from mammoshift.phantoms.outline import (
    LesionSite,
    chord,
    geometry_of,
    part_of_breast,
    project_lesion,
    resample,
    signed_distance,
)
from mammoshift.phantoms.patient import Patient, Side, View
from mammoshift.phantoms.strands import draw_folds
from mammoshift.phantoms.tissue import Grid, glandular_share

FloatImage = npt.NDArray[np.float32]

FAT_PER_MM = 0.0456
GLAND_PER_MM = 0.0802
CARCINOMA_PER_MM = 0.0844
CALCIFICATION_PER_MM = 2.07

SKIN_MM = 1.5
_FOLD_MM = 4.0


@dataclass(frozen=True)
class Projection:
    """What the beam meets.

    `optical_depth` is the line integral of the attenuation coefficient (dimensionless, float32)
    at points (i, j) times `pitch_mm`; `reference` its mean over the inner breast without lesions,
    which automatic exposure control sets the exposure by.
    """

    optical_depth: FloatImage
    pitch_mm: float
    reference: float
    sites: tuple[LesionSite, ...]


@dataclass(frozen=True, eq=False)
class Breast:
    """One compressed breast in one view, before any beam.

    All maps are float32 on the part `box` of the window's grid of `pitch_mm`: `inside` the
    distance to the skin line in mm, `chord` and `interior` the path lengths in mm with and without
    skin, `gland` the glandular share along each ray and `muscle` the pectoral muscle's, `fold` the
    length in mm of folded skin. `lesions` are where they project to, each with its map on the part.
    """

    window: tuple[int, int]
    box: tuple[slice, slice]
    pitch_mm: float
    inside: FloatImage
    chord: FloatImage
    interior: FloatImage
    gland: FloatImage
    muscle: FloatImage
    fold: FloatImage
    lesions: tuple[tuple[LesionSite, LesionMap], ...]

    def whole(self, part: FloatImage) -> FloatImage:
        """Return a map of the part as one of the window, zero elsewhere."""
        whole = np.zeros(self.window, np.float32)
        whole[self.box] = part
        return whole


def compose_breast(patient: Patient, side: Side, view: View, halvings: int) -> Breast:
    """Return the anatomy of one breast in one view on a grid of 1 mm halved `halvings` times."""
    pitch = 0.5**halvings
    geometry = geometry_of(patient, side, view)
    whole = resample(signed_distance(geometry), halvings)
    rows, columns = box = part_of_breast(geometry, halvings)
    inside = whole[box]
    grid = Grid(box, halvings)
    through = chord(inside, patient.thickness_mm / 2)
    interior = chord(inside - SKIN_MM, patient.thickness_mm / 2 - SKIN_MM)
    gland, muscle = glandular_share(patient, side, geometry, inside, interior, grid)
    fold = draw_folds(patient, side, geometry, halvings)[box] * np.minimum(through, _FOLD_MM)
    lesions: list[tuple[LesionSite, LesionMap]] = []
    for lesion in patient.lesions_of(side):
        site = project_lesion(lesion, geometry)
        corner = (site.row_mm - rows.start * pitch, site.column_mm - columns.start * pitch)
        found = map_lesion(patient.seed, patient.number, lesion, view, corner, inside.shape, pitch)
        lesions.append((site, found))
    return Breast(
        window=whole.shape,
        box=box,
        pitch_mm=pitch,
        inside=inside,
        chord=through,
        interior=interior,
        gland=gland,
        muscle=muscle,
        fold=fold,
        lesions=tuple(lesions),
    )


def project_breast(
    patient: Patient, side: Side, view: View, halvings: int, lesion_contrast: float = 1.0
) -> Projection:
    """Return the attenuation of one breast in one view.

    Parameters
    ----------
    halvings
        The grid's pitch is 1 mm halved this often.
    lesion_contrast
        Scales the attenuation that lesions add; 0 removes them.
    """
    return attenuation_of(compose_breast(patient, side, view, halvings), lesion_contrast)


def attenuation_of(breast: Breast, lesion_contrast: float = 1.0) -> Projection:
    """Return what a beam meets in a breast; see `project_breast`."""
    mixture = FAT_PER_MM + (GLAND_PER_MM - FAT_PER_MM) * breast.gland
    depth = (
        breast.interior * mixture + (breast.chord - breast.interior + breast.fold) * GLAND_PER_MM
    )
    reference = float(depth[(breast.inside > 12) & (breast.muscle < 0.5)].mean())
    for _, found in breast.lesions:
        part = found.part
        # A mass displaces tissue, so that it stands out from fat more than from gland.
        room = np.minimum(found.mass_mm, breast.interior[part])
        added = room * (CARCINOMA_PER_MM * found.density_ratio - mixture[part])
        added += found.calcification_mm * (CALCIFICATION_PER_MM - FAT_PER_MM)
        depth[part] += np.float32(lesion_contrast) * added
    sites = tuple(site for site, _ in breast.lesions)
    return Projection(
        breast.whole(depth.astype(np.float32, copy=False)), breast.pitch_mm, reference, sites
    )
