"""What a training starts from: published weights, another arm's model, or its features alone."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from torch import Tensor

from mammoshift.configuration.model import WHOLE_CLASSIFIERS, FromArm, Head, WeightsFile
from mammoshift.errors import ConfigurationError
from mammoshift.models.classifier import FEATURES, Classifier, build_classifier
from mammoshift.models.saved_model import (
    Licence,
    Versions,
    read_record,
    read_state,
    weights_digest,
)
from mammoshift.provenance.sums import remembered_sha256
from mammoshift.training.request import TrainingRequest
from mammoshift.weights.convert import read_converted


@dataclass(frozen=True)
class Start:
    """Tensors by the classifier's own names, None for random weights, and where they come from.

    `size` is the (rows, columns) of the images that they were trained on; None for published
    weights.
    """

    state: dict[str, Tensor] | None = None
    sha256: str | None = None
    licence: Licence | None = None
    size: tuple[int, int] | None = None


def read_start(request: TrainingRequest) -> Start:
    """Read what `request` starts from.

    Raises
    ------
    ConfigurationError
        If the feature extractor of the other arm is another one.
    WeightsError
        If a file is absent or damaged.
    """
    if request.start is None:
        return Start()
    initialisation = request.arm.initialisation
    if not isinstance(initialisation, FromArm):
        weights = request.backbone.weights
        licence = (
            Licence(name=weights.licence, source=weights.source, derivatives=weights.derivatives)
            if weights
            else None
        )
        state = _published(request.start, weights, request.arm.head)
        return Start(state, remembered_sha256(request.start), licence)
    record = read_record(request.start)
    theirs, ours = record.backbone, request.backbone
    for name in ("architecture", "channels", "static_padding"):
        if getattr(theirs, name) != getattr(ours, name):
            raise ConfigurationError(
                f"arm {request.arm.name}: its backbone has {name} {getattr(ours, name)!r}, but the "
                f"arm {record.arm.name}, which it starts from, has {getattr(theirs, name)!r}"
            )
    state = read_state(request.start)
    if initialisation.part == "features":
        state = {name: t for name, t in state.items() if name.startswith(FEATURES)}
    digest = weights_digest(request.start)
    return Start(state, digest, record.licence, record.arm.input.size)


def _published(path: Path, weights: WeightsFile | None, head: Head | None) -> dict[str, Tensor]:
    """Return converted weights by the classifier's names, with their head if it is the arm's."""
    state = read_converted(path)
    theirs = None if weights is None else WHOLE_CLASSIFIERS.get(weights.format)
    if theirs is None:
        return {FEATURES + name: tensor for name, tensor in state.items()}
    return state if head == theirs else {n: t for n, t in state.items() if n.startswith(FEATURES)}


def build_start(request: TrainingRequest, start: Start) -> Classifier:
    """Build the classifier that a training begins with; what `start` has not is random.

    Raises
    ------
    ConfigurationError, WeightsError
        If the backbone, the head, the input size and the tensors do not go together.
    """
    arm = request.arm
    backbone = request.backbone.normalised(arm.normalisation)
    if arm.training.drop_path is not None:
        backbone = backbone.model_copy(update={"drop_path": arm.training.drop_path})
    density_head = arm.loss.name == "density_aware_focal"
    return build_classifier(
        backbone, arm.input.size, density_head, start.state, start.size, arm.head
    )


def current_versions() -> Versions:
    """Return the versions of what decides how a model is trained."""
    return Versions(mammoshift=version("mammoshift"), torch=version("torch"), timm=version("timm"))
