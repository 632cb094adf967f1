"""What a dataset is: the archive's adapter, where it lies, or the twin that stands for it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model, model_validator

from mammoshift.archives.registry import AdapterOptions, adapter_names, load_adapter
from mammoshift.configuration.model import Name, Positive, Share, Strict
from mammoshift.phantoms.registry import layout_names, layouts_of, twin_names


class DensityShares(Strict):
    """Shares of the four BI-RADS density categories; they are normalised to sum to one."""

    a: Share = 0.1
    b: Share = 0.4
    c: Share = 0.4
    d: Share = 0.1


class KindShares(Strict):
    """Shares of patients with a mass, calcifications, or both; normalised to sum to one."""

    mass: Share
    calcification: Share
    both: Share = 0.0

    @model_validator(mode="after")
    def _leave_something(self) -> KindShares:
        if self.mass + self.calcification + self.both <= 0:
            raise ValueError("all shares are zero; make one positive")
        return self


class KindsOfClass(Strict):
    """Kinds of lesion by the patient's label; a class left out keeps those of the archive."""

    benign: KindShares | None = None
    malignant: KindShares | None = None


class Population(Strict):
    """Who is imaged: case mix, density and how visible lesions are.

    `malignant` and `benign` are shares of the patients; the others are normal, in layouts that
    have normals. What follows leaves every patient's label as it is: `lesion_contrast` scales the
    attenuation of every lesion and `lesion_size` its radius; `age_shift` is added to every age;
    `kinds` replaces the archive's own shares of masses and calcifications among benign or
    malignant patients.
    """

    malignant: Share = 0.4
    benign: Share = 0.4
    density: DensityShares = DensityShares()
    lesion_contrast: Positive = 1.0
    lesion_size: Annotated[float, Field(gt=0.0, le=3.0)] | None = None
    age_shift: Annotated[float, Field(ge=-40.0, le=40.0)] | None = None
    kinds: KindsOfClass | None = None

    @model_validator(mode="after")
    def _shares_fit(self) -> Population:
        if self.malignant + self.benign > 1.0 + 1e-9:
            raise ValueError(
                f"malignant {self.malignant:g} and benign {self.benign:g} are shares of the same "
                "patients and may add up to 1 at most"
            )
        return self


class Scanner(Strict):
    """How they are imaged; a value left out keeps that of the archive's own scanner.

    `mtf_frequency_per_mm` (f0) and `mtf_exponent` (n) give MTF(f) = exp(-(f / f0)^n); `dose` is
    relative to a typical exposure; `electronic_noise` is a standard deviation in quanta. `like`
    takes the whole scanner of another archive first. `window` and `centre` are those of the sigmoid
    tone, in optical depth; `thickness_equalisation` and `edge_enhancement` what a digital unit does
    before display; `digitiser` reads a film's density or its transmission, `grain` is the standard
    deviation of that density; `label_share`, `border_share` and `dust_per_cm2` are a film's marks.
    """

    like: Name | None = None
    field_mm: tuple[Positive, Positive] | None = None
    window: Positive | None = None
    centre: float | None = None
    thickness_equalisation: Share | None = None
    edge_enhancement: Annotated[float, Field(ge=0.0, le=5.0)] | None = None
    digitiser: Literal["density", "transmission"] | None = None
    grain: Annotated[float, Field(ge=0.0)] | None = None
    label_share: Share | None = None
    border_share: Share | None = None
    dust_per_cm2: Annotated[float, Field(ge=0.0)] | None = None
    pixel_pitch_mm: Positive | None = None
    mtf_frequency_per_mm: Positive | None = None
    mtf_exponent: Positive | None = None
    dose: Positive | None = None
    electronic_noise: Annotated[float, Field(ge=0.0)] | None = None
    tone: Literal["linear", "sigmoid", "film"] | None = None

    @model_validator(mode="after")
    def _like_is_a_layout(self) -> Scanner:
        if self.like is not None and self.like not in layout_names():
            raise ValueError(
                f"there is no scanner like {self.like!r}; there are those of "
                f"{', '.join(layout_names())}"
            )
        return self


class Twin(Strict):
    """A synthetic archive in a real archive's raw layout.

    `magnification_of_pitch` coarsens the pixel pitch so that images of a demonstration stay
    small; layout, tags and tables do not change with it. `layout` is which of an adapter's
    layouts is written, where there are several; the one called like the adapter where not set.
    With `truth` a folder beside the archive shows where breast and pectoral muscle lie.
    """

    patients: Annotated[int, Field(ge=4, le=1_000_000)]
    seed: Annotated[int, Field(ge=0)] = 0
    magnification_of_pitch: Annotated[float, Field(ge=1.0, le=32.0)] = 1.0
    population: Population = Population()
    scanner: Scanner = Scanner()
    layout: Name | None = None
    truth: bool | None = None


def _known_adapter(name: Any) -> Any:
    if name in adapter_names():
        return name
    close = difflib.get_close_matches(str(name), adapter_names(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    allowed = ", ".join(map(repr, adapter_names()))
    raise ValueError(f"there is no adapter {name!r}.{hint} Allowed: {allowed}")


AdapterName = Annotated[
    str, BeforeValidator(_known_adapter), Field(json_schema_extra={"enum": list(adapter_names())})
]
"""The name of a module in the folder of the adapters."""


class DatasetRecord(Strict):
    """One dataset of the configuration.

    Either `root` says where the real archive lies, relative to the setting `archives`, or `twin`
    describes the synthetic archive that stands for it. `tone` overrides the studies' tone recipe
    for this dataset. `expected_images` is for planning alone. `bundles` is the number of
    jobs that preprocessing is divided into. A run fails when more than
    `maximum_lost_share` of the files is unusable. What an adapter leaves to choose stands in the
    section of its name. `pictures` allows its images in the results and the
    report: a contact sheet, and hits and misses where a study has a gallery; where it is not set,
    twins have them and real archives have none.
    """

    adapter: AdapterName
    title: str
    licence: str
    root: str | None = None
    twin: Twin | None = None
    bundles: Annotated[int, Field(ge=1, le=512)] = 1
    tone: Literal["dicom_voi", "full_range", "percentile", "film_log", "image_range"] | None = None
    maximum_lost_share: Share = 0.05
    expected_images: Annotated[int, Field(ge=1)] | None = None
    pictures: bool | None = None

    @property
    def may_be_shown(self) -> bool:
        """Whether its images may appear in results and reports."""
        return self.twin is not None if self.pictures is None else self.pictures

    @property
    def layout(self) -> str:
        """The layout that the dataset's twin has."""
        chosen = self.twin.layout if self.twin else None
        return chosen or self.adapter

    @property
    def options(self) -> AdapterOptions:
        """What is chosen for the dataset's adapter, defaults filled in."""
        section = getattr(self, self.adapter, None)
        return load_adapter(self.adapter).options() if section is None else section

    @model_validator(mode="after")
    def _has_one_source(self) -> DatasetRecord:
        if (self.root is None) == (self.twin is None):
            raise ValueError("give either root (a real archive) or twin (a synthetic one)")
        if self.twin is not None and self.adapter not in twin_names():
            raise ValueError(
                f"there is no twin for the adapter {self.adapter}; there are twins for "
                f"{', '.join(twin_names())}"
            )
        if self.twin is not None and self.layout not in layouts_of(self.adapter):
            raise ValueError(
                f"the adapter {self.adapter} does not read the layout {self.layout}; "
                f"twin.layout may be {' or '.join(layouts_of(self.adapter))}"
            )
        return self

    @model_validator(mode="after")
    def _has_its_own_section(self) -> DatasetRecord:
        for name in adapter_names():
            section = getattr(self, name, None)
            if section is not None and name != self.adapter:
                raise ValueError(
                    f"the section {name} belongs to the adapter {name}, and this dataset's adapter "
                    f"is {self.adapter}"
                )
            if section is None and name == self.adapter and load_adapter(name).needs_section:
                raise ValueError(f"the adapter {name} needs the section {name}")
        return self


def _sections() -> dict[str, Any]:
    """Return one optional field for each adapter that leaves something to choose."""
    chosen = {name: load_adapter(name) for name in adapter_names()}
    taken = sorted(chosen.keys() & DatasetRecord.model_fields.keys())
    if taken:
        raise ValueError(f"an adapter cannot be called like a key of a dataset: {taken}")
    return {
        name: (adapter.options | None, None)
        for name, adapter in chosen.items()
        if adapter.has_choices
    }


if TYPE_CHECKING:
    Dataset = DatasetRecord
else:
    Dataset = create_model(
        "Dataset", __base__=DatasetRecord, __doc__=DatasetRecord.__doc__, **_sections()
    )

Datasets = dict[Name, Dataset]
