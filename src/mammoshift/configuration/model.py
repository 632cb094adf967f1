"""What a dataset, a backbone and an arm are, as they are written in YAML.

The models are the one source of the allowed keys, values and defaults: the JSON schemas under
`workflow/schemas/` are generated from them, and the resolved arm, after defaults, is what is
hashed, stored with a model and printed in the report. Nothing here imports more than pydantic,
since every Snakemake process reads it while parsing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mammoshift.errors import ConfigurationError

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class Strict(BaseModel):
    """Base of every model: unknown keys are refused and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Patches(Strict):
    """Where square patches are taken from an image, by the physical size of its pixels.

    Windows of `size_mm` lie on a grid of `step_mm` (default: side by side) over the breast, and
    around each annotated region on a grid of `region_step_mm` (default: once, centred on it).
    Windows that touch a region are taken around regions only. A window counts as breast where at
    least `breast_share` of it is. Of one image at most `maximum_of_image` windows without a region
    are kept, drawn by a hash of the image's name.
    """

    size_mm: Positive = 10.0
    step_mm: Positive | None = None
    region_step_mm: Positive | None = None
    breast_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    maximum_of_image: Annotated[int, Field(ge=0)] | None = None


class InputRecipe(Strict):
    """How an image becomes an array of fixed size.

    `size` is (rows, columns) in pixels. `fit: pad` keeps the aspect ratio and fills with the
    background; `stretch` does not. `mask: breast` sets everything outside the breast to zero,
    `breast_without_pectoral` the pectoral muscle too.

    Of the tones, `dicom_voi` follows the file (VOI LUT, window, else its bits where the breast
    fills them, else the breast's percentiles); `full_range` its bits; `percentile` and
    `film_log` the breast's percentiles, linearly and logarithmically; `min_max` the image's
    smallest and largest value; `clahe` is `percentile` followed by contrast-limited adaptive
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
    mask: Literal["none", "breast", "breast_without_pectoral"] = "none"
    crop: Literal["none", "breast"] = "breast"
    tone: Literal[
        "dicom_voi", "full_range", "percentile", "film_log", "min_max", "clahe", "histogram_match"
    ] = "dicom_voi"
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


class Loss(Strict):
    """The training loss.

    `bce` is the binary cross-entropy; `focal` that of Lin et al. 2017 (equation 5) with `gamma`
    and `alpha`; `density_aware_focal` adds `auxiliary_weight` times the cross-entropy of a
    four-class density head on the same pooled feature (images without a density are left out
    of that term).
    """

    name: Literal["bce", "focal", "density_aware_focal"] = "bce"
    gamma: Annotated[float, Field(ge=0.0)] = 2.0
    alpha: Share = 0.25
    auxiliary_weight: Annotated[float, Field(ge=0.0)] = 0.0
    positive_weight: Literal["none", "balanced"] = "none"

    @model_validator(mode="after")
    def _auxiliary_weight_has_a_head(self) -> Loss:
        if self.auxiliary_weight and self.name != "density_aware_focal":
            raise ValueError("auxiliary_weight is only for the loss density_aware_focal")
        return self


class Stage(Strict):
    """One training stage: what is unfrozen, for how long and how."""

    train: Literal["all", "head"] = "all"
    epochs: Annotated[int, Field(ge=1)]
    optimiser: Literal["adamw", "sgd", "adam"] = "adamw"
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0.0)] = 1.0e-4
    dropout: Share = 0.0
    warmup_epochs: Annotated[float, Field(ge=0.0)] = 0.0
    schedule: Literal["cosine", "constant"] = "cosine"


class Augmentation(Strict):
    """Random changes of a training image; every one is off when its value is zero.

    `rotation_degrees`, `translation` (share of the size), `scaling` (share), `shear_degrees` are
    half-widths of uniform distributions; `brightness` and `contrast` likewise, on intensities
    in [0, 1]; `noise` is the standard deviation of added Gaussian noise.
    """

    horizontal_flip: Share = 0.0
    vertical_flip: Share = 0.0
    rotation_degrees: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    translation: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    scaling: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    shear_degrees: Annotated[float, Field(ge=0.0, le=60.0)] = 0.0
    brightness: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    contrast: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    noise: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


Precision = Literal["float32", "tf32", "bfloat16"]

Selection = Literal[
    "best_source_validation_auc",
    "best_validation_auc",
    "best_validation_loss",
    "best_validation_accuracy",
    "last_epoch",
]
"""Names of `mammoshift.training.selection.POLICIES`; the first two are the same."""


class Training(Strict):
    """How a model is fitted and which of its epochs is kept.

    Without any of `stages` nothing is fitted: the arm applies the model that it starts from.
    `cpu_threads` are those of torch, 1 when left out. On a CPU they change the order of sums, and
    with it the last digits of a model and of its logits, so they are never what a machine has.
    `determinism: exact`, the default, repeats a training to the bit and refuses what a GPU cannot
    repeat; `fast` takes the quickest form of every operation. `precision: tf32` is for NVIDIA GPUs.
    """

    stages: tuple[Stage, ...]
    batch_size: Annotated[int, Field(ge=1)] = 8
    sampler: Literal["natural", "balanced"] = "natural"
    precision: Precision = "float32"
    select: Selection = "best_source_validation_auc"
    augmentation: Augmentation = Augmentation()
    checkpoint_minutes: Positive = 10.0
    cpu_threads: Annotated[int, Field(ge=1)] | None = None
    determinism: Literal["exact", "fast"] | None = None

    @property
    def threads(self) -> int:
        """CPU threads of training and of scoring."""
        return 1 if self.cpu_threads is None else self.cpu_threads


class WeightsFile(Strict):
    """A file of pretrained weights and what is known of it.

    `file` is relative to the setting `weights`. `format` names the key map that is applied once,
    when the file is converted to safetensors. `sha256` pins the version of the file. `trained_on`
    names the adapters of public archives whose images the weights have seen.
    """

    file: str
    format: Literal["timm", "huggingface_dinov2", "mammo_clip"]
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
    when it is left out (see `mammoshift.models.positions`).
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

    @model_validator(mode="after")
    def _one_value_for_each_channel(self) -> Backbone:
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise ValueError(f"mean and std need {self.channels} values, one for each channel")
        return self

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


class Head(Strict):
    """What turns features into a logit.

    `linear` and `mlp` take the pooled features, the latter through `units` hidden units (512).
    `flatten_dense` takes every place of the last feature map into `units` (2048), so that it fits
    images of one size alone (the MEXBreast study); `end2end_512x1` puts two 3 x 3 convolutions and
    a mean on the map (Shen et al. 2019). The stage's dropout is that of all of them.
    """

    kind: Literal["linear", "flatten_dense", "end2end_512x1", "mlp"] = "linear"
    units: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _units_have_a_layer(self) -> Head:
        if self.units is not None and self.kind not in ("flatten_dense", "mlp"):
            raise ValueError(f"units are for flatten_dense and mlp, not for {self.kind}")
        return self


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
    judged_on: tuple[Name, ...] | None = None
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
    model of the arm that it starts from. `normalisation` replaces the backbone's.
    `head` is linear and `scoring_precision` that of training when they are left out.
    """

    kind: Literal["network"] = "network"  # pyright: ignore[reportIncompatibleVariableOverride]
    backbone: Name
    input: InputRecipe
    loss: Loss = Loss()
    training: Training
    normalisation: Normalisation | None = None
    head: Head | None = None
    scoring_precision: Precision | None = None

    @property
    def applied_precision(self) -> Precision:
        """The precision of scoring: its own, or that of training."""
        return self.scoring_precision or self.training.precision

    @property
    def learns(self) -> bool:
        """Whether there is a stage of training."""
        return bool(self.training.stages)
