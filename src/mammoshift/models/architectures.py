"""Which architectures timm has, and how a feature extractor is built from one.

Nothing here reaches the network: weights come in as a state dict or not at all.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mammoshift.configuration.model import Backbone
from mammoshift.errors import ConfigurationError, WeightsError
from mammoshift.models.grey_stem import apply_grey_stem
from mammoshift.models.lean_timm import timm
from mammoshift.models.padding import apply_static_padding
from mammoshift.models.positions import with_positions_for

COLOURS = 3
DENSE_LAYERS = "pre_logits"
SMALLEST_MLP = 1 / 4096
"""Of the hidden units of a VGG those that leave one."""
NAMES_SHOWN = 5
NETWORK_ERRORS = (RuntimeError, AssertionError, ValueError, IndexError)
"""What a network raises on images that it does not take."""
_TIMM_POOLING = {"mean": "avg", "max": "max", "mean_max": "avgmax"}


@dataclass(frozen=True)
class Architecture:
    """What has to be known of a timm architecture before it is built.

    `fixed_size` is true where the input size is part of the network (position embeddings);
    `classifiers` are the names of the layers that `num_classes=0` removes.
    """

    name: str
    fixed_size: bool
    native_size: tuple[int, int]
    classifiers: tuple[str, ...]


def describe_architecture(name: str) -> Architecture:
    """Look up a timm architecture.

    Raises
    ------
    ConfigurationError
        If timm has no architecture of that name; names that are close are suggested.
    """
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=NAMES_SHOWN, cutoff=0.5)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise ConfigurationError(f"architecture {name!r} is not known to timm{hint}")
    settings = timm.get_pretrained_cfg(name, allow_unregistered=True)
    classifiers = settings.classifier if settings else None
    if classifiers is None:
        classifiers = ()
    elif isinstance(classifiers, str):
        classifiers = (classifiers,)
    _, rows, columns = settings.input_size if settings else (3, 224, 224)
    return Architecture(
        name=name,
        fixed_size=bool(settings and settings.fixed_input_size),
        native_size=(rows, columns),
        classifiers=tuple(classifiers),
    )


def create_features(
    backbone: Backbone,
    size: tuple[int, int] | None = None,
    state: Mapping[str, Tensor] | None = None,
    state_size: tuple[int, int] | None = None,
    pooled: bool = True,
) -> nn.Module:
    """Build the feature extractor of `backbone`: images in, one pooled feature vector each out.

    Parameters
    ----------
    backbone
        Its `architecture`, `channels`, `static_padding`, `drop_path`, `batch_norm_momentum`,
        `position_resampling` and `grey_stem`, with it `mean` and `std`, are used.
    size
        (rows, columns) of the input; None for the architecture's own.
    state
        State dict without a head, with timm's names. Position embeddings are resampled to `size`,
        and the first convolution is summed over the colours where `channels` is 1.
    state_size
        (rows, columns) that `state`, with `channels` as they are, was trained for. Position
        embeddings do not tell how they lie in rows and columns. None for published weights: the
        architecture's own size and three colours.
    pooled
        False for the last feature map, (N, channels, rows, columns), without pooling and without
        the dense layers that some networks (VGG) put before their classifier.

    Raises
    ------
    ConfigurationError
        If the architecture is unknown or cannot take inputs of this size.
    WeightsError
        If `state` has other names or shapes than the architecture.
    """
    architecture = describe_architecture(backbone.architecture)
    if size is not None:
        check_size(backbone, architecture, size)
    options: dict[str, Any] = {}
    if size is not None and architecture.fixed_size:
        options["img_size"] = size
    if not pooled:
        options["global_pool"] = ""
        if timm.model_entrypoint(backbone.architecture).__module__ == f"{timm.__name__}.models.vgg":
            # Its dense layers are taken off below; built as they are they would be most of it.
            options["mlp_ratio"] = SMALLEST_MLP
            state = state and _with_smallest_dense_layers(backbone.architecture, state)
    elif backbone.pooling != "architecture":
        options["global_pool"] = _TIMM_POOLING[backbone.pooling]
    if backbone.drop_path is not None:
        options["drop_path_rate"] = backbone.drop_path
    manner = backbone.position_resampling
    if state is not None and size is not None and manner in ("huggingface", "facebook"):
        state = with_positions_for(state, state_size or architecture.native_size, size, manner)
        state_size = size
    if state is not None:
        options["pretrained"] = True
        overlay: dict[str, Any] = {"state_dict": dict(state), "custom_load": False}
        if state_size is not None:
            overlay["input_size"] = (backbone.channels, *state_size)
        options["pretrained_cfg_overlay"] = overlay
    try:
        features = timm.create_model(
            backbone.architecture, num_classes=0, in_chans=backbone.channels, **options
        )
    except (AssertionError, ValueError, TypeError, KeyError, RuntimeError) as error:
        if state is None:
            raise ConfigurationError(
                f"architecture {backbone.architecture}: cannot be built for inputs of "
                f"{size or architecture.native_size} with {backbone.channels} channels: {error}"
            ) from error
        raise WeightsError(
            f"the weights do not fit the architecture {backbone.architecture}: {error}"
        ) from error
    patch = _patch_size(features)
    if size is not None and patch is not None:
        # timm would leave out the last rows and columns without a word.
        _check_multiple(backbone.architecture, size, patch)
    if state is not None:
        check_names(features.state_dict(), state, f"architecture {backbone.architecture}")
    if not pooled and hasattr(features, DENSE_LAYERS):
        setattr(features, DENSE_LAYERS, nn.Identity())
    if backbone.static_padding:
        apply_static_padding(features)
    if backbone.batch_norm_momentum is not None:
        _set_momentum(features, backbone)
    if backbone.grey_stem:
        apply_grey_stem(features, backbone.mean, backbone.std)
    return features


def _with_smallest_dense_layers(
    architecture: str, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Put the dense layers of a VGG that was built for maps in the place of those of `state`."""
    with torch.random.fork_rng(devices=[]):
        small = timm.create_model(architecture, num_classes=0, mlp_ratio=SMALLEST_MLP).state_dict()
    dense = {name: t for name, t in small.items() if name.startswith(f"{DENSE_LAYERS}.")}
    return {**dense, **{n: t for n, t in state.items() if not n.startswith(f"{DENSE_LAYERS}.")}}


def _patch_size(features: nn.Module) -> tuple[int, int] | None:
    """Return (rows, columns) of the patches that an image is cut into without overlap."""
    embedding = getattr(features, "patch_embed", None)
    patch = getattr(embedding, "patch_size", None)
    convolution = getattr(embedding, "proj", None)
    cut = isinstance(convolution, nn.Conv2d) and convolution.stride == convolution.kernel_size
    return patch if isinstance(patch, tuple) and len(patch) == 2 and cut else None


def check_takes(features: nn.Module, channels: int, size: tuple[int, int]) -> None:
    """Raise `ConfigurationError` when images of `size` do not pass through a network.

    The network is followed by shapes alone, without values, which takes seconds: for a network that
    has failed. One that cannot be followed so is not judged.
    """
    shapes = copy.deepcopy(features).to("meta").eval()
    try:
        with torch.inference_mode():
            shapes(torch.empty((1, channels, *size), device="meta"))
    except NotImplementedError:
        return
    except NETWORK_ERRORS as error:
        if "meta" in str(error):
            return
        settings = getattr(features, "pretrained_cfg", {})
        own_channels, *own = settings.get("input_size", (COLOURS,))
        raise ConfigurationError(
            f"architecture {settings.get('architecture', type(features).__name__)}: does not take "
            f"images of {list(size)} with {channels} channels; its own are {own} with "
            f"{own_channels} ({str(error).splitlines()[0] if str(error) else 'no reason given'})"
        ) from error


def _set_momentum(features: nn.Module, backbone: Backbone) -> None:
    layers = [m for m in features.modules() if isinstance(m, _BatchNorm)]
    if not layers:
        raise ConfigurationError(
            f"architecture {backbone.architecture}: has no batch normalisation; leave "
            "batch_norm_momentum out"
        )
    for layer in layers:
        layer.momentum = backbone.batch_norm_momentum


def check_size(backbone: Backbone, architecture: Architecture, size: tuple[int, int]) -> None:
    """Raise `ConfigurationError` when the backbone cannot take inputs of `size`."""
    multiple = backbone.size_multiple
    _check_multiple(backbone.architecture, size, (multiple, multiple))
    if backbone.variable_size and architecture.fixed_size:
        raise ConfigurationError(
            f"architecture {backbone.architecture}: its input size is part of the network; "
            "set variable_size to false"
        )


def feature_count(features: nn.Module) -> int:
    """Return the length of the feature vector that a timm network without a head gives."""
    for name in ("head_hidden_size", "num_features"):
        count = getattr(features, name, None)
        if isinstance(count, int) and count > 0:
            return count
    raise ConfigurationError(f"{type(features).__name__} does not say how many features it gives")


def check_names(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], what_is_expected: str
) -> None:
    """Raise `WeightsError` naming the tensors that are missing or too many."""
    missing = sorted(set(expected) - set(found))
    extra = sorted(set(found) - set(expected))
    if missing or extra:
        raise WeightsError(
            f"{what_is_expected}: {_listed('missing', missing)}; {_listed('not expected', extra)}"
        )


def check_shapes(
    expected: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], what_is_expected: str
) -> None:
    """Raise `WeightsError` naming the first tensors whose shapes differ from `expected`."""
    wrong = [
        f"{name} is {list(shape)}, expected {list(expected[name].shape)}"
        for name, shape in shapes.items()
        if tuple(expected[name].shape) != tuple(shape)
    ]
    if wrong:
        raise WeightsError(f"{what_is_expected}: {'; '.join(wrong[:NAMES_SHOWN])}")


def reference_state(backbone: Backbone) -> dict[str, Tensor]:
    """Names and shapes of the architecture's tensors, without a head, for three colours."""
    plain = Backbone(architecture=backbone.architecture, mean=(0.0,) * 3, std=(1.0,) * 3)
    plain = plain.model_copy(update={"pooling": backbone.pooling})
    with torch.random.fork_rng(devices=[]):
        return dict(create_features(plain).state_dict())


def _check_multiple(name: str, size: tuple[int, int], multiples: tuple[int, int]) -> None:
    pairs = list(zip(size, multiples, strict=True))
    if any(edge % multiple for edge, multiple in pairs):
        nearest = [max(1, round(edge / multiple)) * multiple for edge, multiple in pairs]
        raise ConfigurationError(
            f"architecture {name}: the input size {list(size)} is not a multiple of "
            f"{list(multiples)}; the nearest that is: {nearest}"
        )


def _listed(heading: str, names: list[str]) -> str:
    if not names:
        return f"none {heading}"
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{len(names)} {heading}: {', '.join(names[:NAMES_SHOWN])}{more}"
