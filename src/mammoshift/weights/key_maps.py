"""Tensor names of published checkpoints, mapped to those of timm.

Each map takes a state dict as it is in the file and returns one with timm's names and without a
head; that of a whole classifier returns the classifier's names. A map only renames, joins and
drops: whether the result is complete is checked by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammoshift.errors import WeightsError

IMAGE_ENCODER = "image_encoder."

_DINOV2_OUTSIDE_BLOCKS = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
_DINOV2_IN_BLOCKS = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attention.output.dense": "attn.proj",
    "attention.o_proj": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_DINOV2_QKV = {
    "attention.attention.query": 0,
    "attention.attention.key": 1,
    "attention.attention.value": 2,
    "attention.q_proj": 0,
    "attention.k_proj": 1,
    "attention.v_proj": 2,
}
_DINOV2_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+?)(?:\.(weight|bias))?")

_EFFICIENTNET_TOP = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
}
_EFFICIENTNET_PLAIN_BLOCK = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_EFFICIENTNET_EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_EFFICIENTNET_BLOCK = re.compile(r"_blocks\.(\d+)\.(_[a-z0-9_]+)\.(.+)")
_TIMM_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.")

_KERAS_LAYER = re.compile(r"block\d_conv\d|(?:conv2d|batch_normalization|dense)(?:_\d+)?")
_KERAS_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_VGG16_CONVOLUTIONS = (2, 2, 3, 3, 3)
_END2END_TOP = {
    "conv2d": ("head.convolution1", "head.convolution2"),
    "batch_normalization": ("head.normalisation1", "head.normalisation2"),
    "dense": ("head.output",),
}


def from_timm(state: Mapping[str, Tensor], classifiers: Iterable[str]) -> dict[str, Tensor]:
    """Drop the head of a checkpoint with timm's own (or facebook DINOv2's) names.

    `classifiers` are the names of the head's layers. `mask_token` belongs to the pre-training of
    DINOv2 and is dropped, too.
    """
    heads = tuple(f"{name}." for name in classifiers)
    return {
        name: tensor
        for name, tensor in state.items()
        if name != "mask_token" and not (heads and name.startswith(heads))
    }


def from_huggingface_dinov2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Map a Hugging Face `Dinov2Model`, of either generation of names, to timm's ViT.

    Query, key and value become one matrix, in this order, along the first axis.
    """
    mapped: dict[str, Tensor] = {}
    attention: dict[str, dict[int, Tensor]] = {}
    for name, tensor in state.items():
        name = name.removeprefix("dinov2.")
        layer = _DINOV2_LAYER.fullmatch(name)
        if name == "embeddings.mask_token":
            continue
        if name in _DINOV2_OUTSIDE_BLOCKS:
            mapped[_DINOV2_OUTSIDE_BLOCKS[name]] = tensor
        elif layer and layer[2] in _DINOV2_QKV and layer[3]:
            parts = attention.setdefault(f"blocks.{layer[1]}.attn.qkv.{layer[3]}", {})
            parts[_DINOV2_QKV[layer[2]]] = tensor
        elif layer and layer[2] in _DINOV2_IN_BLOCKS:
            ending = f".{layer[3]}" if layer[3] else ""
            mapped[f"blocks.{layer[1]}.{_DINOV2_IN_BLOCKS[layer[2]]}{ending}"] = tensor
        else:
            mapped[name] = tensor
    for name, parts in attention.items():
        if len(parts) == len({0, 1, 2}):
            mapped[name] = torch.cat([parts[place] for place in range(3)])
    return mapped


def from_mammo_clip(state: Mapping[str, Tensor], expected: Iterable[str]) -> dict[str, Tensor]:
    """Map the image encoder of a Mammo-CLIP checkpoint to timm's EfficientNet.

    Parameters
    ----------
    state
        The whole model, or only its tensors whose names begin with `image_encoder.`.
    expected
        timm's names; how many blocks each stage has is read off them.

    Raises
    ------
    WeightsError
        If there is no image encoder in `state`.
    """
    encoder = {
        name.removeprefix(IMAGE_ENCODER): tensor
        for name, tensor in state.items()
        if name.startswith(IMAGE_ENCODER)
    }
    if not encoder:
        raise WeightsError(f"holds no tensor whose name begins with {IMAGE_ENCODER!r}")
    places = _block_places(expected)
    return {_efficientnet_name(name, places): tensor for name, tensor in encoder.items()}


def _block_places(expected: Iterable[str]) -> list[tuple[int, int]]:
    found = {(int(match[1]), int(match[2])) for match in map(_TIMM_BLOCK.match, expected) if match}
    return sorted(found)


def _efficientnet_name(name: str, places: list[tuple[int, int]]) -> str:
    block = _EFFICIENTNET_BLOCK.fullmatch(name)
    if block and int(block[1]) < len(places):
        stage, index = places[int(block[1])]
        layers = _EFFICIENTNET_EXPANDING_BLOCK if stage else _EFFICIENTNET_PLAIN_BLOCK
        layer = layers.get(block[2])
        return f"blocks.{stage}.{index}.{layer}.{block[3]}" if layer else name
    top, _, rest = name.partition(".")
    return f"{_EFFICIENTNET_TOP[top]}.{rest}" if top in _EFFICIENTNET_TOP else name


def from_keras_end2end(arrays: Mapping[str, NDArray[np.floating]]) -> dict[str, Tensor]:
    """Map a whole End2End classifier of Keras, VGG16 with 512x1 on top, to the classifier's names.

    Layers are known by the last part of their paths that is a layer's name, whatever model they
    are nested in, and those of a kind are taken in the order of their numbers. Keras keeps the
    weights of a convolution as (rows, columns, in, out) and of a dense layer as (in, out).

    Raises
    ------
    WeightsError
        If a layer that is needed is absent, or there are more than one for its place.
    """
    layers: dict[str, dict[str, NDArray[np.floating]]] = {}
    for path, array in arrays.items():
        *folders, variable = path.split("/")
        names = [match for match in map(_KERAS_LAYER.fullmatch, folders) if match]
        if not names:
            continue
        own = layers.setdefault(names[-1][0], {})
        kind = variable.partition(":")[0]
        if kind in own:
            raise WeightsError(f"holds {names[-1][0]}/{kind} twice")
        own[kind] = array
    places = _vgg16_places() | _top_places(list(layers))
    state: dict[str, Tensor] = {}
    for layer, place in places.items():
        if layer not in layers:
            raise WeightsError(f"holds no layer {layer}")
        for kind, array in layers[layer].items():
            if kind not in _KERAS_VARIABLES:
                raise WeightsError(f"the layer {layer} has {kind}, which is not known")
            state[f"{place}.{_KERAS_VARIABLES[kind]}"] = _in_torch_order(array)
    return state


def _vgg16_places() -> dict[str, str]:
    found: dict[str, str] = {}
    number = 0
    for block, convolutions in enumerate(_VGG16_CONVOLUTIONS, start=1):
        for convolution in range(1, convolutions + 1):
            found[f"block{block}_conv{convolution}"] = f"features.features.{number}"
            number += 2
        number += 1
    return found


def _top_places(names: Iterable[str]) -> dict[str, str]:
    """Return the places of the layers on top, by their kinds and numbers."""
    found: dict[str, str] = {}
    for kind, places in _END2END_TOP.items():
        matches = (re.fullmatch(rf"{kind}(?:_(\d+))?", name) for name in names)
        own = sorted((int(m[1] or 0), m[0]) for m in matches if m)
        if len(own) != len(places):
            raise WeightsError(f"holds {len(own)} layers {kind}; expected {len(places)}")
        found |= {name: place for (_, name), place in zip(own, places, strict=True)}
    return found


def _in_torch_order(array: NDArray[np.floating]) -> Tensor:
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    elif array.ndim == 2:
        array = array.T
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
