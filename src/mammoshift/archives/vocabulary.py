"""From the words of the archives to the vocabulary of the manifest."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable

from mammoshift.contracts.vocabulary import BIRADS, LESION_TYPES, PATHOLOGIES

_SIDES = {"l": "left", "left": "left", "lt": "left", "r": "right", "right": "right", "rt": "right"}

_VIEWS = {
    "CC": ("cc", "cranio-caudal", "craniocaudal", "cranio caudal"),
    "MLO": ("mlo", "medio-lateral oblique", "mediolateral oblique", "medio lateral oblique"),
    "ML": ("ml", "medio-lateral", "mediolateral"),
    "LM": ("lm", "latero-medial", "lateromedial"),
    "AT": ("at", "axillary tail"),
    "XCCL": ("xccl", "cranio-caudal exaggerated laterally"),
    "other": ("other", "fb", "sio", "iso", "lmo", "xccm", "xcc", "cv", "spot", "mag", "tan", "rl"),
}
_VIEW_OF = {text: view for view, texts in _VIEWS.items() for text in texts}

_DENSITIES = {"1": "a", "2": "b", "3": "c", "4": "d", "a": "a", "b": "b", "c": "c", "d": "d"}
_DENSITY_PREFIX = re.compile(r"^(?:acr|bi-?rads|density)[\s:_-]*", re.IGNORECASE)
_BIRADS_PREFIX = re.compile(r"^bi-?rads[\s:_-]*", re.IGNORECASE)


_MAKERS_AND_MODELS = frozenset(
    [
        "agfa",
        "bennett",
        "canon",
        "carestream",
        "fischer",
        "fuji",
        "fujifilm",
        "ge",
        "healthcare",
        "hologic",
        "ims",
        "instrumentarium",
        "kodak",
        "konica",
        "lorad",
        "medical",
        "medizintechnik",
        "metaltronica",
        "minolta",
        "philips",
        "planmed",
        "sectra",
        "siemens",
        "systems",
        "toshiba",
        "trex",
        "villa",
        "corporation",
        "corp",
        "company",
        "co",
        "inc",
        "ltd",
        "gmbh",
        "ag",
        "ab",
        "oy",
        "plc",
        "spa",
        "srl",
        "healthineers",
        "imaging",
        "diagnostics",
        "digital",
        "health",
        "research",
        "electron",
        "technology",
        "technologies",
        "alpha",
        "affinity",
        "amulet",
        "aspire",
        "clarity",
        "class",
        "classview",
        "clearview",
        "cr",
        "crystal",
        "dimensions",
        "dm",
        "dr",
        "ds",
        "essential",
        "fdr",
        "fusion",
        "giotto",
        "image",
        "imagechecker",
        "innovality",
        "inspiration",
        "l30",
        "mammodiagnost",
        "mammomat",
        "mammonovation",
        "microdose",
        "nova",
        "novation",
        "nuance",
        "performance",
        "plus",
        "prime",
        "pristina",
        "profect",
        "revelation",
        "selenia",
        "senographe",
        "sophie",
        "tomo",
        "3d",
        "2d",
        "ffdm",
        "pcm",
        "mammography",
        "version",
        "adr",
        "ads",
        "senobright",
        "s.p.a",
        "s.r.l",
    ]
)
_VERSION = re.compile(
    r"(?:v|ver|ads|adr|dr|fdr|cr)?[.:]?\d[\d.]*(?:aws|[a-z])?|[ivx]{1,4}", re.ASCII
)


def device_of(text: str | None) -> str | None:
    """Return a maker's or model's name as a file's header gives it, if it is surely one.

    Anything may be typed into those fields, a person's name as well: a text with a word that is
    neither a known maker, model or legal form nor a version becomes `device-` and digits that
    tell it from others.
    """
    if text is None:
        return None
    words = [word for word in re.split(r"[\s/_,;()^-]+", text.lower()) if word.strip(".")]
    if all(w.strip(".") in _MAKERS_AND_MODELS or _VERSION.fullmatch(w.strip(".")) for w in words):
        return text
    return f"device-{hashlib.blake2b(text.encode(), digest_size=5).hexdigest()}"


def side_of(text: str) -> str | None:
    """Return `left` or `right` for L, LT, left, R, RT, right in any case; None for others."""
    return _SIDES.get(text.strip().lower())


def view_of(text: str) -> str | None:
    """Return the view of the manifest for a view's code or name; None for an unknown one.

    Views that exist and have no name of their own in the manifest become `other`.
    """
    return _VIEW_OF.get(text.strip().lower())


def density_of(text: str) -> str | None:
    """Return the BI-RADS density `a` to `d` for 1-4, A-D, `ACR B` or `Density B`; else None."""
    return _DENSITIES.get(_DENSITY_PREFIX.sub("", text.strip()).lower())


def birads_of(text: str) -> str | None:
    """Return the BI-RADS assessment category for `4a`, `4A`, `BI-RADS 4a`; else None."""
    category = _BIRADS_PREFIX.sub("", text.strip()).lower()
    return category if category in BIRADS else None


def highest_birads(categories: Iterable[str | None]) -> str | None:
    """Return the highest of several assessment categories; None when none is known."""
    known = [category for category in categories if category is not None]
    return max(known, key=BIRADS.index, default=None)


def worst_pathology(pathologies: Iterable[str | None]) -> str | None:
    """Return malignant before benign before normal; None when none is known."""
    known = [pathology for pathology in pathologies if pathology is not None]
    return max(known, key=PATHOLOGIES.index, default=None)


def pathology_of_birads(category: str | None, malignant_from: str = "4") -> str | None:
    """Return what an assessment category is taken for, where no other label is given.

    Category 1 is normal, the categories from `malignant_from` on are malignant and those between
    benign; 0 (incomplete) says nothing.
    """
    if category is None or category == "0":
        return None
    if category == "1":
        return "normal"
    return "malignant" if BIRADS.index(category) >= BIRADS.index(malignant_from) else "benign"


def joined_lesion_types(lesion_types: Iterable[str]) -> str | None:
    """Return lesion types sorted and joined by `+`; None when there is no lesion.

    Raises
    ------
    ValueError
        If a lesion type is not in the vocabulary of the manifest.
    """
    found = sorted(set(lesion_types))
    unknown = set(found) - set(LESION_TYPES)
    if unknown:
        raise ValueError(f"no lesion type of the manifest: {sorted(unknown)}")
    return "+".join(found) or None


def finite_number(text: str) -> float | None:
    """Return the number that a text is; None for an empty, another or an infinite one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole_years(text: str) -> int | None:
    """Return an age in years for `44`, `44.0`, `044Y`; None when it is not one of 0 to 120."""
    match = re.fullmatch(r"(\d{1,3})(?:\.0+)?\s*[Yy]?", text.strip())
    if match is None:
        return None
    age = int(match[1])
    return age if age <= 120 else None
