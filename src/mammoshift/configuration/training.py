"""How a network is trained, as it is written in YAML: loss, stages, augmentation, selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from mammoshift.configuration.base import Positive, Share, Strict
from mammoshift.registry import names_in

LOSSES = "mammoshift.training.losses"
"""Package with a module for each loss."""
if TYPE_CHECKING:
    LossName = str
else:
    LossName = Literal[names_in(LOSSES)]

Count = Annotated[int, Field(ge=1)]
PartName = Annotated[str, Field(pattern=r"^(features|head|density_head)(\.[A-Za-z0-9_*?]+)*$")]
"""A dotted name in the classifier; `*` stands for any part of a name, `?` for one letter."""


class Loss(Strict):
    """The training loss.

    `bce` is the binary cross-entropy; `focal` that of Lin et al. 2017 (equation 5) with `gamma`
    and `alpha`; `density_aware_focal` adds `auxiliary_weight` times the cross-entropy of a
    four-class density head on the same pooled feature (images without a density are left out
    of that term). With a head of two outputs `bce` is their cross-entropy. `label_smoothing`
    gives half its value to the other label.
    """

    name: LossName = "bce"
    gamma: Annotated[float, Field(ge=0.0)] = 2.0
    alpha: Share = 0.25
    auxiliary_weight: Annotated[float, Field(ge=0.0)] = 0.0
    positive_weight: Literal["none", "balanced"] = "none"
    label_smoothing: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None

    @model_validator(mode="after")
    def _auxiliary_weight_has_a_head(self) -> Loss:
        if self.auxiliary_weight and self.name != "density_aware_focal":
            raise ValueError("auxiliary_weight is only for the loss density_aware_focal")
        return self


Monitor = Literal["validation_loss", "validation_auc", "validation_accuracy", "train_loss"]


class Plateau(Strict):
    """When the learning rate falls: after `patience` epochs in a row without an improvement.

    It is then multiplied by `factor`, down to `minimum_lr`; a rate below that stays as it is. An
    improvement is one of more than `minimum_improvement` over the best epoch of the stage.
    """

    patience: Count
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    minimum_lr: Annotated[float, Field(ge=0.0)] = 0.0
    monitor: Monitor = "validation_loss"
    minimum_improvement: Annotated[float, Field(ge=0.0)] = 0.0


class EarlyStopping(Strict):
    """When a stage ends early: after `patience` epochs in a row without an improvement.

    With `restore_best` the next stage starts from the model of this stage's best epoch, otherwise
    from its last. Which epoch is kept as the result is said by `select`, over all stages.
    """

    patience: Count
    monitor: Monitor = "validation_loss"
    minimum_improvement: Annotated[float, Field(ge=0.0)] = 0.0
    restore_best: bool = False


class Stage(Strict):
    """One training stage: what is unfrozen, for how long and how.

    `train: head` keeps the feature extractor as it is but for its `last_blocks`, as timm counts
    blocks. `unfreeze` and `freeze` name parts (`features.layer4`, `head.convolution1`) that learn
    or do not, whatever else is said; what is frozen computes as in application, its dropout and
    batch statistics included. `batch_norm: frozen_statistics` keeps all running statistics, in use
    and as they are, while weights learn; `frozen` keeps the weights of batch normalisation too.

    The features' learning rate is `lr` times `features_lr`, and that of their blocks is multiplied
    by `layer_decay` once for each block between them and the head. `weight_decay_on: kernels`
    spares biases, normalisation and whatever else has one dimension. A penalty of c times the sum
    of squares, as Keras has it, is `weight_decay` 2c with `adam` or `sgd`.
    """

    train: Literal["all", "head"] = "all"
    epochs: Annotated[int, Field(ge=1)]
    optimiser: Literal["adamw", "sgd", "adam"] = "adamw"
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0.0)] = 1.0e-4
    dropout: Share = 0.0
    warmup_epochs: Annotated[float, Field(ge=0.0)] = 0.0
    schedule: Literal["cosine", "constant", "plateau"] = "cosine"
    last_blocks: Count | None = None
    unfreeze: tuple[PartName, ...] | None = None
    freeze: tuple[PartName, ...] | None = None
    batch_norm: Literal["frozen_statistics", "frozen"] | None = None
    features_lr: Annotated[float, Field(gt=0.0)] | None = None
    layer_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    weight_decay_on: Literal["all", "kernels"] | None = None
    plateau: Plateau | None = None
    stop_early: EarlyStopping | None = None

    @model_validator(mode="after")
    def _settings_have_their_use(self) -> Stage:
        if (self.plateau is not None) != (self.schedule == "plateau"):
            raise ValueError("plateau goes with schedule: plateau, and that needs it")
        if self.last_blocks is not None and self.train == "all":
            raise ValueError("last_blocks goes with train: head; otherwise every block learns")
        return self


Symmetry = Literal[
    "as_is", "flip_left_right", "rotate_180", "flip_top_bottom_rotate_180", "rotate_90"
]


class Augmentation(Strict):
    """Random changes of a training image; every one is off when its value is zero.

    `rotation_degrees`, `translation` (share of the size), `scaling` (share), `shear_degrees` are
    half-widths of uniform distributions; `brightness` and `contrast` likewise, on intensities
    in [0, 1]; `noise` is the standard deviation of added Gaussian noise.

    Of `symmetries` each image is shown in one, drawn with equal chances; `rotate_90` is counter-
    clockwise and needs square images. `flip_top_bottom_rotate_180`, as the MEXBreast study has it,
    is the same as `flip_left_right`. `elastic` is the standard deviation of a smooth displacement,
    as a share of the shorter edge, drawn on `elastic_cells` by `elastic_cells` points (8).
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
    symmetries: tuple[Symmetry, ...] | None = None
    elastic: Annotated[float, Field(gt=0.0, le=0.2)] | None = None
    elastic_cells: Annotated[int, Field(ge=4, le=64)] | None = None

    @model_validator(mode="after")
    def _settings_have_their_use(self) -> Augmentation:
        if self.symmetries == ():
            raise ValueError("symmetries must name at least one; leave it out for none")
        if self.elastic_cells is not None and self.elastic is None:
            raise ValueError("elastic_cells goes with elastic")
        return self


class MovingAverage(Strict):
    """An exponential moving average of the weights, taken after every step.

    `decay` is the weight of the past; with `warmup` it rises from 0, as 1 - (1 + step)^(-2/3).
    """

    decay: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9998
    warmup: bool = False


ObserverName = Literal["tensorboard", "wandb", "mlflow"]
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

    `accumulate` batches make one step; batch normalisation still sees each alone.
    `activation_checkpointing` computes activations again in the backward pass instead of keeping
    them. Gradients are scaled down to the norm `clip_gradient_norm`. With `ema` the averaged model
    is what is validated, selected and kept. `mixup` blends the images of a batch in pairs, with a
    share from a beta distribution that has this value as both parameters. `drop_path` replaces the
    backbone's. With `compile` torch compiles the network, for training, validation and the
    workflow's scoring: other rounding and other dropout, minutes at first for each stage and size
    of batch, then less time for a step on a GPU.

    `train_accuracy` adds the accuracy of the training images, as they were shown, to the history.
    `observers` are given the history of a finished training beside history.csv: `tensorboard`
    writes beside the model; the others go where they are set up to.
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
    accumulate: Count | None = None
    activation_checkpointing: bool | None = None
    compile: bool | None = None
    clip_gradient_norm: Positive | None = None
    ema: MovingAverage | None = None
    mixup: Positive | None = None
    drop_path: Annotated[float, Field(ge=0.0, lt=1.0)] | None = None
    train_accuracy: bool | None = None
    observers: tuple[ObserverName, ...] | None = None

    @model_validator(mode="after")
    def _accuracy_has_labels(self) -> Training:
        if self.train_accuracy and self.mixup is not None:
            raise ValueError("train_accuracy: an image that mixup blends has no one label")
        return self

    @model_validator(mode="after")
    def _compiled_code_keeps_activations(self) -> Training:
        if self.compile and self.activation_checkpointing:
            raise ValueError("compile: leave activation_checkpointing out, or this")
        return self

    @property
    def threads(self) -> int:
        """CPU threads of training and of scoring."""
        return 1 if self.cpu_threads is None else self.cpu_threads
