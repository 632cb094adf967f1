"""What a dataset, a backbone and an arm are, as they are written in YAML.

The models are the one source of the allowed keys, values and defaults: the JSON schemas under
`workflow/schemas/` are generated from them, and the resolved arm, after defaults, is what is
hashed, stored with a model and printed in the report. Nothing here imports more than pydantic,
since every Snakemake process reads it while parsing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from mammoshift.configuration.base import Name, Positive, Share, Strict
from mammoshift.configuration.search import Search, Value, with_values
from mammoshift.configuration.training import Loss, Precision, Training
from mammoshift.errors import ConfigurationError
from mammoshift.registry import names_in

HEADS = "mammoshift.models.heads"
TONES = "mammoshift.imaging.tones"
MASKS = "mammoshift.imaging.masks"
"""Packages with a module for each head, tone and mask."""
if TYPE_CHECKING:
    HeadKind = ToneName = MaskName = str
else:
    HeadKind = Literal[names_in(HEADS)]
    ToneName = Literal[names_in(TONES)]
    MaskName = Literal[names_in(MASKS)]


class Patches(Strict):
    """Where square patches are taken from an image, by the physical size of its pixels.

    Windows of `size_mm` lie on a grid of `step_mm` (default: side by side) over the breast, and
    around each annotated region on a grid of `region_step_mm` (default: once, centred on it).
    `region_scan: four_corners` lays that grid from each corner of a region, as a window does that
    runs over it left and right, down and up; windows that coincide are taken once.
    Windows that touch a region are taken around regions only. A window counts as breast where at
    least `breast_share` of it is; `black: left_out` also drops each window without a region that
    holds a pixel of the image's darkest value, the air of a processed image. Of one image at most
    `maximum_of_image` windows without a region are kept, drawn by a hash of the image's name.
    """

    size_mm: Positive = 10.0
    step_mm: Positive | None = None
    region_step_mm: Positive | None = None
    region_scan: Literal["one_corner", "four_corners"] | None = None
    breast_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    black: Literal["left_out"] | None = None
    maximum_of_image: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _a_scan_has_a_step(self) -> Patches:
        if self.region_scan is not None and self.region_step_mm is None:
            raise ValueError("region_scan says how region_step_mm goes over a region: give it too")
        return self


class InputRecipe(Strict):
    """How an image becomes an array of fixed size.

    `size` is (rows, columns) in pixels. `fit: pad` keeps the aspect ratio and fills with the
    background; `stretch` does not. `mask: breast` sets everything outside the breast to zero,
    `breast_without_pectoral` the pectoral muscle too.

    Of the tones, `dicom_voi` follows the file (VOI LUT, window, else its bits where the breast
    fills them, else the breast's percentiles); `full_range` its bits; `percentile` and
    `film_log` the breast's percentiles, linearly and logarithmically; `min_max` the
    crop's smallest and largest value, `image_range` those of the whole image, so that its
    patches keep their brightness; `clahe` is `percentile` followed by contrast-limited adaptive
    histogram equalisation with the clip limit `clahe_clip` (2 when not set); `histogram_match`
    gives the breast the distribution of `reference_quantiles`: intensities in [0, 1] at equally
    spaced quantiles, the first at 0 and the last at 1 (see
    `mammoshift.imaging.matching.reference_quantiles`).

    `background` says what becomes of the air beside the breast: when it is not set, it stays as
    it is and padding is zero; `padding_is_air` pads with the image's own air; `air_is_zero`
    takes the air's level off every intensity, so that air and padding are both zero. Either way
    no step shows where the image ends.

    With `pitch_mm` the array's pixels have this size, whatever the detector's: an image that is
    then larger than `size` is cut at its lower end and on the side away from the chest wall.
    `patch` comes from the domain whose unit is the patch.
    """

    unit: Literal["image"] = "image"
    patch: Patches | None = None
    mask: MaskName = "none"
    crop: Literal["none", "breast"] = "breast"
    tone: ToneName = "dicom_voi"
    size: tuple[Annotated[int, Field(ge=16, le=8192)], Annotated[int, Field(ge=16, le=8192)]]
    fit: Literal["pad", "stretch"] = "pad"
    orientation: Literal["as_stored", "chest_wall_left"] = "chest_wall_left"
    background: Literal["padding_is_air", "air_is_zero"] | None = None
    pitch_mm: Annotated[float, Field(gt=0.0, le=10.0)] | None = None
    clahe_clip: Annotated[float, Field(gt=0.0, le=100.0)] | None = None
    reference_quantiles: Annotated[tuple[Share, ...], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _optional_fields_have_their_use(self) -> InputRecipe:
        quantiles = self.reference_quantiles
        if (quantiles is None) == (self.tone == "histogram_match"):
            raise ValueError("reference_quantiles go with tone: histogram_match, and it needs them")
        if quantiles is not None and list(quantiles) != sorted(quantiles):
            raise ValueError("reference_quantiles must not decrease")
        if self.clahe_clip is not None and self.tone != "clahe":
            raise ValueError("clahe_clip is only for tone: clahe")
        if self.pitch_mm is not None and self.fit != "pad":
            raise ValueError("pitch_mm keeps sizes in mm, which fit: stretch does not")
        return self


class WeightsFile(Strict):
    """A file of pretrained weights and what is known of it.

    `file` is relative to the setting `weights`. `format` names the key map that is applied once,
    when the file is converted to safetensors; `keras_end2end` is a whole classifier, whose head
    goes to arms that have the head `end2end_512x1` of two outputs. `sha256` pins the version of the
    file. `trained_on` names the adapters of public archives whose images the weights have seen.
    """

    file: str
    format: Literal["timm", "huggingface_dinov2", "mammo_clip", "keras_end2end"]
    licence: str
    source: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    derivatives: Literal["free", "same_licence", "forbidden"] = "free"
    trained_on: tuple[Name, ...] | None = None


class Normalisation(Strict):
    """An arm's own normalisation, in the place of its backbone's; see `Backbone`."""

    mean: tuple[float, ...]
    std: tuple[Positive, ...]
    per_image_range: bool | None = None


class Backbone(Strict):
    """A feature extractor: a timm architecture, its weights and how its input is normalised.

    `mean` and `std` apply to intensities in [0, 1], one value for each of `channels`; with
    `per_image_range` an image is first stretched to its own minimum and maximum.
    `static_padding` restores the paddings of EfficientNets that were trained with paddings
    computed for one image size (see `mammoshift.models.padding`). `pooling` replaces a
    convolutional network's own pooling of its last feature map; a small lesion counts for more
    under `max` and `mean_max` (half the sum of both).

    What only training knows of and weights do not tell: `drop_path` is the rate of stochastic depth
    (drop-connect) of the last block, `batch_norm_momentum` the share of a batch in the running
    statistics; None leaves both as timm builds them. `position_resampling` says whose way of
    moving a Vision Transformer's position embeddings to another input size is followed: timm's
    when it is left out (see `mammoshift.models.positions`). `grey_stem` lets the first layer of a
    network of three channels take the grey image once, which is the same function with less memory
    for images, and slower on CPUs (see `mammoshift.models.grey_stem`).
    """

    architecture: str
    channels: Literal[1, 3] = 3
    mean: tuple[float, ...]
    std: tuple[Positive, ...]
    per_image_range: bool = False
    size_multiple: Annotated[int, Field(ge=1)] = 1
    variable_size: bool = False
    static_padding: bool = False
    pooling: Literal["architecture", "mean", "max", "mean_max"] = "architecture"
    weights: WeightsFile | None = None
    drop_path: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    batch_norm_momentum: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    position_resampling: Literal["timm", "huggingface", "facebook"] | None = None
    grey_stem: bool | None = None

    @model_validator(mode="after")
    def _one_value_for_each_channel(self) -> Backbone:
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(f"mean and std need {self.channels} values, one for each channel")
        if self.grey_stem and self.channels == 1:
            raise ValueError("grey_stem is for three channels; a network of one has such a layer")
        return self

    @property
    def taken_channels(self) -> int:
        """Channels of what the network is given."""
        return 1 if self.grey_stem else self.channels

    def normalised(self, normalisation: Normalisation | None) -> Backbone:
        """Return the backbone with an arm's own normalisation in the place of its own.

        Raises
        ------
        ConfigurationError
            If there is not one value for each channel.
        """
        if normalisation is None:
            return self
        if not len(normalisation.mean) == len(normalisation.std) == self.channels:
            raise ConfigurationError(
                f"normalisation: mean and std need {self.channels} values, one for each channel "
                f"of {self.architecture}"
            )
        return self.model_copy(update=normalisation.model_dump(exclude_none=True))


class FromArm(Strict):
    """Start from another arm's trained model of the same seed.

    `fold` says which of its folds, where the other arm was trained on another domain with folds
    (default: the first); on one domain each fold starts from its own. `part: features` takes its
    feature extractor alone: its heads, whose sizes may hang on the size of its input, are left
    behind, and those of this arm start at random. `model`, or nothing, takes all of it.
    """

    arm: Name
    fold: Annotated[int, Field(ge=0)] | None = None
    part: Literal["model", "features"] | None = None


Flips = Literal["left_right", "both"]


class Head(Strict):
    """What turns features into a logit.

    `linear` and `mlp` take the pooled features, the latter through `units` hidden units (512).
    `flatten_dense` takes every place of the last feature map into `units` (2048), so that it fits
    images of one size alone (the MEXBreast study); `end2end_512x1` puts two 3 x 3 convolutions and
    a mean on the map (Shen et al. 2019). The stage's dropout is that of all of them. Of two
    `outputs` the softmax is taken, which is the sigmoid of their difference; with one, the
    default, there is less to learn of the same.
    """

    kind: HeadKind = "linear"
    units: Annotated[int, Field(ge=1)] | None = None
    outputs: Literal[1, 2] | None = None

    @model_validator(mode="after")
    def _units_have_a_layer(self) -> Head:
        if self.units is not None and self.kind not in ("flatten_dense", "mlp"):
            raise ValueError(f"units are for flatten_dense and mlp, not for {self.kind}")
        return self


WHOLE_CLASSIFIERS = {"keras_end2end": Head(kind="end2end_512x1", outputs=2)}
"""Formats of weights that are whole classifiers, and their heads."""

Initialisation = Literal["random", "pretrained"] | FromArm


class ArmBase(Strict):
    """What an arm of any kind has.

    `label` is how the report calls it. `train_on` is the domain that it learns from (default: the
    study's first with a split), `judged_on` the domains that it is applied to (default: the
    study's). `initialisation` is what it starts from.
    """

    name: Name
    kind: str = ""
    label: str | None = None
    train_on: Name | None = None
    judged_on: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    initialisation: Initialisation = "random"

    @property
    def parent(self) -> FromArm | None:
        """The arm that this one starts from, if it does."""
        return self.initialisation if isinstance(self.initialisation, FromArm) else None

    @property
    def learns(self) -> bool:
        """Whether the arm is trained; one that is not applies what it starts from."""
        return True

    @property
    def makes_model(self) -> bool:
        """Whether the arm leaves a model of its own: it learns, or takes a file's as it is."""
        return self.learns or self.initialisation == "pretrained"

    @property
    def reads(self) -> tuple[str, ...]:
        """The arms whose scores are among what this one learns from and scores with."""
        return ()

    @property
    def feature_set(self) -> str | None:
        """The set of features of images that the arm takes, which then takes no pixels."""
        return None

    @property
    def takes_pixels(self) -> bool:
        """Whether the arm takes the pixels of its input and not what is computed of them."""
        return True

    @property
    def unit(self) -> Literal["patient"] | None:
        """What is scored as one; None where each case is."""
        return None


class Arm(ArmBase):
    """A network: a backbone, its input, a loss and how it is trained, every default filled in.

    `backbone` is a name in the backbones file. Without stages of training the arm applies the
    model of the arm that it starts from, or the whole classifier of a weights file; thresholds of
    the latter are chosen on the domain that it names in `train_on`. `normalisation` replaces the
    backbone's.
    `head` is linear and `scoring_precision` that of training when they are left out.
    `test_time_flips` averages the probabilities of an image and its mirror image, or of its four
    flips (`both`), wherever the trained model is applied. `search` chooses settings before
    training.
    """

    kind: Literal["network"] = "network"  # pyright: ignore[reportIncompatibleVariableOverride]
    backbone: Name
    input: InputRecipe
    loss: Loss = Loss()
    training: Training
    normalisation: Normalisation | None = None
    head: Head | None = None
    scoring_precision: Precision | None = None
    test_time_flips: Flips | None = None
    search: Search | None = None

    @model_validator(mode="after")
    def _searched_values_are_allowed(self) -> Arm:
        if self.search is None:
            return self
        if not self.training.stages:
            raise ValueError("search: an arm without stages of training has nothing to search")
        settings = self.model_dump(exclude={"search"}, exclude_none=True)
        for path, values in self.search.space.items():
            for value in values.ends:
                try:
                    Arm.model_validate(with_values(settings, {path: value}))
                except KeyError:
                    raise ValueError(f"search.space: an arm has no setting {path}") from None
                except ValidationError as error:
                    reason = error.errors()[0]
                    raise ValueError(
                        f"search.space.{path}: {value!r} is not allowed: {reason['msg']}"
                    ) from None
        return self

    def with_chosen(self, values: Mapping[str, Value]) -> Arm:
        """Return the arm with values that a search has chosen, and nothing left to search."""
        settings = self.model_dump(exclude={"search"}, exclude_none=True)
        return Arm.model_validate(with_values(settings, values))

    @property
    def applied_precision(self) -> Precision:
        """The precision of scoring: its own, or that of training."""
        return self.scoring_precision or self.training.precision

    @property
    def learns(self) -> bool:
        """Whether there is a stage of training."""
        return bool(self.training.stages)
