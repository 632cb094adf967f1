"""Tensor names of published checkpoints, mapped to those of timm.

Each map takes a state dict as it is in the file and returns one with timm's names and without a
head. A map only renames, joins and drops: whether the result is complete is checked by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
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
