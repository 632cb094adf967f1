"""What a dataset is: the archive's adapter, where it lies, or the twin that stands for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mammoshift.configuration.model import Name, Positive, Share, Strict

Adapter = Literal["cbis_ddsm", "cmmd", "dmid", "mias", "cdd_cesm", "csv"]
TwinLayout = Literal["cbis_ddsm", "cmmd", "dmid", "mias"]


class DensityShares(Strict):
    """Shares of the four BI-RADS density categories; they are normalised to sum to one."""

    a: Share = 0.1
    b: Share = 0.4
    c: Share = 0.4
    d: Share = 0.1


class Population(Strict):
    """Who is imaged: case mix, density and how visible lesions are.

    `malignant` and `benign` are shares of the patients; the others are normal, in layouts that
    have normals. `lesion_contrast` scales the attenuation of every lesion.
    """

    malignant: Share = 0.4
    benign: Share = 0.4
    density: DensityShares = DensityShares()
    lesion_contrast: Positive = 1.0

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
    relative to a typical exposure; `electronic_noise` is a standard deviation in quanta.
    """

    pixel_pitch_mm: Positive | None = None
    mtf_frequency_per_mm: Positive | None = None
    mtf_exponent: Positive | None = None
    dose: Positive | None = None
    electronic_noise: Annotated[float, Field(ge=0.0)] | None = None
    tone: Literal["linear", "sigmoid", "film"] | None = None


class Twin(Strict):
    """A synthetic archive in a real archive's raw layout.

    `magnification_of_pitch` coarsens the pixel pitch so that images of a demonstration stay
    small; layout, tags and tables do not change with it.
    """

    patients: Annotated[int, Field(ge=4, le=1_000_000)]
    seed: Annotated[int, Field(ge=0)] = 0
    magnification_of_pitch: Annotated[float, Field(ge=1.0, le=32.0)] = 1.0
    population: Population = Population()
    scanner: Scanner = Scanner()


class CsvColumns(Strict):
    """Which column of a user's table holds what; `path`, `patient_id` and `label` are required."""

    path: str
    patient_id: str
    label: str
    image_id: str | None = None
    exam_id: str | None = None
    laterality: str | None = None
    view: str | None = None
    density: str | None = None
    birads: str | None = None
    age: str | None = None
    official_split: str | None = None
    manufacturer: str | None = None
    pixel_spacing_mm: str | None = None


class CsvOptions(Strict):
    """A user's own hospital: a table of file paths and labels.

    Its suffix tells the table from images, of which a change is looked for in a few places only.
    """

    table: str
    columns: CsvColumns
    label_values: dict[str, Literal["normal", "benign", "malignant"]]

    @field_validator("table")
    @classmethod
    def _has_suffix_of_a_table(cls, table: str) -> str:
        if not table.lower().endswith((".csv", ".tsv", ".txt")):
            raise ValueError(f"{table!r} must end in .csv, .tsv or .txt; rename the file")
        return table


class CddCesmOptions(Strict):
    """Which images of CDD-CESM are used: low-energy (`DM`) or subtracted (`CM`)."""

    images: Literal["low_energy", "subtracted"] = "low_energy"


class CmmdOptions(Strict):
    """What the unlabelled contralateral breasts of CMMD's D2 part are taken for."""

    unlabelled: Literal["exclude", "normal"] = "exclude"


class Dataset(Strict):
    """One dataset of the configuration.

    Either `root` says where the real archive lies, relative to the setting `archives`, or `twin`
    describes the synthetic archive that stands for it. `tone` overrides the studies' tone recipe
    for this dataset. `expected_images` is for planning alone. A run fails when more than
    `maximum_lost_share` of the files is unusable.
    """

    adapter: Adapter
    title: str
    licence: str
    root: str | None = None
    twin: Twin | None = None
    shards: Annotated[int, Field(ge=1, le=512)] = 1
    tone: Literal["dicom_voi", "full_range", "percentile", "film_log"] | None = None
    maximum_lost_share: Share = 0.05
    expected_images: Annotated[int, Field(ge=1)] | None = None
    csv: CsvOptions | None = None
    cdd_cesm: CddCesmOptions = CddCesmOptions()
    cmmd: CmmdOptions = CmmdOptions()

    @model_validator(mode="after")
    def _has_one_source(self) -> Dataset:
        if (self.root is None) == (self.twin is None):
            raise ValueError("give either root (a real archive) or twin (a synthetic one)")
        if self.twin is not None and self.adapter in {"cdd_cesm", "csv"}:
            raise ValueError(f"there is no twin for the adapter {self.adapter}")
        if (self.adapter == "csv") != (self.csv is not None):
            raise ValueError("the section csv belongs to the adapter csv, which needs it")
        return self


Datasets = dict[Name, Dataset]
