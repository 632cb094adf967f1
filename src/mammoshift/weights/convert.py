"""Published checkpoints made into safetensors that a feature extractor loads as they are.

A third-party file is read here once, by loaders that run none of its content; everything after
this step uses only the converted file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mammoshift.configuration.model import WHOLE_CLASSIFIERS, Backbone, WeightsFile
from mammoshift.errors import WeightsError
from mammoshift.files import atomic_path, sha256_of_file
from mammoshift.models.architectures import (
    check_names,
    check_shapes,
    describe_architecture,
    reference_state,
)
from mammoshift.models.classifier import build_classifier
from mammoshift.weights.key_maps import (
    IMAGE_ENCODER,
    from_huggingface_dinov2,
    from_keras_end2end,
    from_mammo_clip,
    from_timm,
)
from mammoshift.weights.pickle_limits import check_work
from mammoshift.weights.restricted import CheckpointArchive, StoredTensor

Kind = TypeVar("Kind", Tensor, StoredTensor)

METADATA_KEY = "mammoshift"
WHOLE_SIZE = (128, 128)
"""Size of the images that a whole classifier is built for here; its tensors do not depend on it."""
OLD_FILE_PICKLES = 5
"""Magic number, version, system, content and storages; the tensors come after them."""
STATE_DICT_NAMES = ("state_dict", "model_state_dict", "model", "teacher")
"""Where a checkpoint that holds more than a state dict keeps it; the first found is used."""


def convert_weights(
    source: Path, weights: WeightsFile, backbone: Backbone, destination: Path
) -> None:
    """Convert one file of published weights to safetensors with timm's names, without a head.

    A whole classifier, of a format in `WHOLE_CLASSIFIERS` of
    `mammoshift.configuration.model`, keeps its head and has the names of
    `mammoshift.models.classifier.Classifier`.

    Parameters
    ----------
    source
        The file as it was published: `.safetensors`, or whatever `torch.save` wrote.
    weights
        What is known of the file; its `sha256` is checked when given.
    backbone
        Names the timm architecture that the weights are for.
    destination
        The safetensors file to write; licence, source, format and the SHA-256 of `source` are
        stored in its metadata. Equal inputs give equal bytes.

    Raises
    ------
    WeightsError
        If the file is absent, is not the pinned one, cannot be read safely, or does not hold
        exactly the tensors of the architecture.
    """
    if not source.is_file():
        raise WeightsError(
            f"{source}: no such file; get {Path(weights.file).name} from {weights.source} "
            f"(licence: {weights.licence}) and put it there"
        )
    digest = sha256_of_file(source)
    if weights.sha256 is not None and digest != weights.sha256:
        raise WeightsError(
            f"{source}: its SHA-256 is {digest}, but {weights.sha256} is pinned for "
            f"{weights.source}; get the file again, or correct the pin"
        )
    where = f"{source} (expected {Path(weights.file).name} of {weights.source})"
    expected = _expected(weights, backbone)
    try:
        state = _read_and_map(source, weights, backbone, expected)
    except WeightsError as error:
        raise WeightsError(f"{where}: {error}") from error
    state = _with_batch_counters(state, expected)
    check_names(expected, state, where)
    check_shapes(expected, {name: tuple(tensor.shape) for name, tensor in state.items()}, where)
    _check_values(state, expected, where)
    finished = {
        name: tensor.to(expected[name].dtype).contiguous().clone() for name, tensor in state.items()
    }
    metadata = {
        "architecture": backbone.architecture,
        "format": weights.format,
        "licence": weights.licence,
        "derivatives": weights.derivatives,
        "source": weights.source,
        "source_sha256": digest,
    }
    # One entry only: safetensors writes several in an order that changes from run to run.
    described = {METADATA_KEY: json.dumps(metadata, sort_keys=True)}
    with atomic_path(destination) as temporary:
        save_file(finished, temporary, metadata=described)


def _check_values(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    """Refuse what no trained network has: integers for numbers, values that are none."""
    for name, tensor in state.items():
        if not expected[name].is_floating_point():
            continue
        if not tensor.is_floating_point():
            raise WeightsError(f"{where}: {name} holds {tensor.dtype}, not floating-point numbers")
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{where}: {name} holds values that are no finite numbers")


def read_converted(path: Path) -> dict[str, Tensor]:
    """Read a state dict that `convert_weights` wrote.

    Raises
    ------
    WeightsError
        If the file is absent or damaged.
    """
    return _read_safetensors(path)


def _expected(weights: WeightsFile, backbone: Backbone) -> dict[str, Tensor]:
    """Return tensors with the names and shapes that a converted file must have."""
    head = WHOLE_CLASSIFIERS.get(weights.format)
    if head is None:
        return reference_state(backbone)
    with torch.random.fork_rng(devices=[]):
        return build_classifier(backbone, WHOLE_SIZE, head=head).state_dict()


def _read_and_map(
    source: Path, weights: WeightsFile, backbone: Backbone, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    if weights.format == "keras_end2end":
        # Few processes that read converted weights read a file of Keras.
        from mammoshift.weights.hdf5 import read_arrays

        return from_keras_end2end(read_arrays(source))
    keep_all = weights.format != "mammo_clip"
    state = _read_state(source, lambda name: keep_all or name.startswith(IMAGE_ENCODER))
    if weights.format == "mammo_clip":
        return from_mammo_clip(state, expected)
    if weights.format == "huggingface_dinov2":
        return from_huggingface_dinov2(state)
    return from_timm(state, describe_architecture(backbone.architecture).classifiers)


def _read_state(source: Path, wanted: Callable[[str], bool]) -> dict[str, Tensor]:
    if source.suffix == ".safetensors":
        return {name: t for name, t in _read_safetensors(source).items() if wanted(name)}
    if _is_archive(source):
        with CheckpointArchive(source) as archive:
            stored = _find_state_dict(archive.content, StoredTensor)
            return {name: archive.load(stored[name]) for name in stored if wanted(name)}
    _check_old_file(source)
    # Files of before PyTorch 1.6 are no archives; torch's own restricted loader reads them.
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    # A hostile or damaged file can fail in any way; none of them may pass as another error.
    except Exception as error:
        raise WeightsError(
            "is neither safetensors nor a checkpoint that can be read without running its content; "
            f"save its state dict again with a current PyTorch ({type(error).__name__})"
        ) from error
    return {n: tensor for n, tensor in _find_state_dict(content, Tensor).items() if wanted(n)}


def _check_old_file(source: Path) -> None:
    """Refuse a file of several pickles, one after the other, that asks for too much work."""
    with source.open("rb") as stream:
        for _ in range(OLD_FILE_PICKLES):
            try:
                check_work(stream, source.stat().st_size)
            except (ValueError, KeyError, IndexError, OverflowError, MemoryError):
                return  # No pickle from here on; what that means is said by the loader.


def _is_archive(source: Path) -> bool:
    try:
        return zipfile.is_zipfile(source)
    except zipfile.BadZipFile:
        return True


def _find_state_dict(content: object, kind: type[Kind]) -> dict[str, Kind]:
    """Find the tensors of a checkpoint and strip the prefix of `DataParallel` from their names."""
    found: object = content
    if isinstance(content, Mapping) and not _tensors_of(content, kind):
        inner = (content.get(name) for name in STATE_DICT_NAMES)
        found = next((item for item in inner if isinstance(item, Mapping)), None)
    state = _tensors_of(found, kind) if isinstance(found, Mapping) else {}
    if not state:
        raise WeightsError(
            "holds no state dict, neither at its top nor under one of the names "
            + ", ".join(STATE_DICT_NAMES)
        )
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _tensors_of(content: Mapping[object, object], kind: type[Kind]) -> dict[str, Kind]:
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, kind)
    }


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors: {error}") from error


def _with_batch_counters(
    state: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Add the batch counters of batch normalisation, which files of before 2018 do not have."""
    counters = {
        name: tensor
        for name, tensor in expected.items()
        if name.endswith(".num_batches_tracked") and name not in state
    }
    return {**state, **counters}
