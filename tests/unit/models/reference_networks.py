"""The networks of the backbones file as other implementations compute them.

torchvision's where it has the architecture, changed as the original says: the paddings and the
batch normalisation of TensorFlow's EfficientNet, the attention layers of SE- and ECA-ResNets. A
layer scale is folded into the layer before it, which is the same function. Both sides get the same
tensors: torchvision's networks keep them in the order of the layers, as timm's do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, batch_norm, conv1d, conv2d, max_pool2d, pad
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

State = Mapping[str, Tensor]
Reference = Callable[[Tensor], Tensor]


def in_order(network: nn.Module, state: State, without: tuple[str, ...] = ()) -> nn.Module:
    """Load tensors in the order of the layers; what begins with `without` is the reference's own.

    Every tensor must be used and every shape must fit.
    """
    names = [name for name in network.state_dict() if not name.startswith(without or ("\0",))]
    own = dict(network.state_dict())
    own.update(zip(names, state.values(), strict=True))
    network.load_state_dict(own, strict=True)
    return network.eval()


def torchvision_cnn(name: str, state: State, **options: Any) -> Reference:
    """Return torchvision's convolutional network, its classifier left out, as pooled features."""
    network = models.get_model(name, weights=None, **options)
    head = "fc" if hasattr(network, "fc") else "classifier"
    setattr(network, head, nn.Identity())
    return in_order(network, state)


def mobilenet_v3(state: State) -> Reference:
    """The layer before the classifier is timm's `conv_head`, a convolution of one place."""
    network = models.mobilenet_v3_small(weights=None, norm_layer=nn.BatchNorm2d)
    network.classifier = network.classifier[:2]
    flat = {n: t.flatten(1) if n == "conv_head.weight" else t for n, t in state.items()}
    return in_order(network, flat)


def vgg16(state: State) -> Reference:
    """timm's dense layers are convolutions over the 7 x 7 places of the map."""
    network = models.vgg16(weights=None, init_weights=False)
    network.classifier = network.classifier[:5]
    flat = {
        n: t.flatten(1) if n.startswith("pre_logits") and t.ndim > 1 else t
        for n, t in state.items()
    }
    return in_order(network, flat)


class _ExplicitlyPadded(nn.Conv2d):
    sides = (0, 0, 0, 0)

    def forward(self, input: Tensor) -> Tensor:
        return conv2d(pad(input, self.sides), self.weight, None, self.stride, 0, 1, self.groups)


PADDINGS_OF_B5 = ((0, 1, 0, 1), (0, 1, 0, 1), (1, 2, 1, 2), (1, 1, 1, 1), (2, 2, 2, 2))
"""Left, right, top, bottom of the five convolutions of stride 2, as of an image of 456 x 456."""


def mammo_clip_b5(state: State) -> Reference:
    network = models.efficientnet_b5(weights=None)
    network.classifier = nn.Identity()
    strided = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.stride[0] == 2]
    for layer, sides in zip(strided, PADDINGS_OF_B5, strict=True):
        layer.__class__ = _ExplicitlyPadded
        layer.sides = sides  # pyright: ignore[reportAttributeAccessIssue]
    return in_order(network, state)


def vision_transformer(
    state: State, size: int, patch: int, width: int, depth: int, heads: int
) -> Reference:
    """torchvision's Vision Transformer, the class token after the last normalisation."""
    network = VisionTransformer(size, patch, depth, heads, width, 4 * width)
    network.heads = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    own = {
        "class_token": state["cls_token"],
        "encoder.pos_embedding": state["pos_embed"],
        "conv_proj.weight": state["patch_embed.proj.weight"],
        "conv_proj.bias": state["patch_embed.proj.bias"],
        "encoder.ln.weight": state["norm.weight"],
        "encoder.ln.bias": state["norm.bias"],
    }
    for number in range(depth):
        theirs, ours = f"encoder.layers.encoder_layer_{number}.", f"blocks.{number}."
        layers = {
            "ln_1": ("norm1", None),
            "ln_2": ("norm2", None),
            "self_attention.in_proj": ("attn.qkv", None),
            "self_attention.out_proj": ("attn.proj", "ls1.gamma"),
            "mlp.0": ("mlp.fc1", None),
            "mlp.3": ("mlp.fc2", "ls2.gamma"),
        }
        for name, (layer, scale) in layers.items():
            joint = "_" if name.endswith("in_proj") else "."
            gamma = state.get(f"{ours}{scale}", torch.ones(()))
            weight, bias = (state[f"{ours}{layer}.{kind}"] for kind in ("weight", "bias"))
            scaled = weight * (gamma[:, None] if gamma.ndim else gamma)
            own[f"{theirs}{name}{joint}weight"] = scaled
            own[f"{theirs}{name}{joint}bias"] = bias * gamma
    network.load_state_dict(own, strict=True)
    return network.eval()


def swin(state: State) -> Reference:
    network = models.swin_t(weights=None)
    network.head = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    own = dict(network.state_dict())
    used = {n for n in own if n.endswith("relative_position_index")}
    for name, tensor in state.items():
        stage, _, rest = name.partition(".blocks.")
        if name.startswith("patch_embed.proj"):
            theirs = name.replace("patch_embed.proj", "features.0.0")
        elif name.startswith("patch_embed.norm"):
            theirs = name.replace("patch_embed.norm", "features.0.2")
        elif rest:
            rest = rest.replace("mlp.fc1", "mlp.0").replace("mlp.fc2", "mlp.3")
            theirs = f"features.{2 * int(stage.split('.')[1]) + 1}.{rest}"
        elif ".downsample." in name:
            stage, _, rest = name.partition(".downsample.")
            theirs = f"features.{2 * int(stage.split('.')[1])}.{rest}"
        else:
            theirs = name
        own[theirs] = tensor
        used.add(theirs)
    assert used == set(network.state_dict())
    network.load_state_dict(own, strict=True)
    return network.eval()


def attentive_resnet(state: State, attention: str, tiered: bool) -> Reference:
    """ResNets of bottlenecks with squeeze-and-excitation or efficient channel attention.

    Hu et al. 2018 (equations 2 to 4) and Wang et al. 2020 (equation 12: the kernel is the odd
    number next to |log2(C) / 2 + 1 / 2|). `tiered` is ResNet-D's stem of three convolutions, with
    means before the shortcuts' convolutions (He et al. 2019).
    """

    def normalised(x: Tensor, name: str) -> Tensor:
        parts = ("running_mean", "running_var", "weight", "bias")
        return batch_norm(x, *(state[f"{name}.{part}"] for part in parts), eps=1e-5)

    def convolved(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        return conv2d(x, weight, state.get(f"{name}.bias"), stride, weight.shape[-1] // 2)

    def attended(x: Tensor, name: str) -> Tensor:
        squeezed = x.mean(dim=(2, 3))
        if attention == "se":
            inner = convolved(squeezed[:, :, None, None], f"{name}.se.fc1").relu()
            return x * convolved(inner, f"{name}.se.fc2").sigmoid()
        weight = state[f"{name}.se.conv.weight"]
        kernel = int(abs(math.log2(x.shape[1]) / 2 + 0.5))
        assert weight.shape[-1] == kernel + (kernel + 1) % 2
        across = conv1d(squeezed[:, None], weight, padding=weight.shape[-1] // 2)
        return x * across.sigmoid()[:, 0, :, None, None]

    def block(x: Tensor, name: str, stride: int) -> Tensor:
        out = normalised(convolved(x, f"{name}.conv1"), f"{name}.bn1").relu()
        out = normalised(convolved(out, f"{name}.conv2", stride), f"{name}.bn2").relu()
        out = attended(normalised(convolved(out, f"{name}.conv3"), f"{name}.bn3"), name)
        if tiered and f"{name}.downsample.1.weight" in state:
            mean = avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False) if stride > 1 else x
            x = normalised(convolved(mean, f"{name}.downsample.1"), f"{name}.downsample.2")
        elif f"{name}.downsample.0.weight" in state:
            x = normalised(convolved(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        return (out + x).relu()

    def network(images: Tensor) -> Tensor:
        if tiered:
            x = normalised(convolved(images, "conv1.0", 2), "conv1.1").relu()
            x = normalised(convolved(x, "conv1.3"), "conv1.4").relu()
            x = normalised(convolved(x, "conv1.6"), "bn1").relu()
        else:
            x = normalised(convolved(images, "conv1", 2), "bn1").relu()
        x = max_pool2d(x, 3, 2, 1)
        names = {tuple(n.split(".")[:2]) for n in state if n.startswith("layer")}
        for stage, number in sorted(names, key=lambda n: (n[0], int(n[1]))):
            x = block(x, f"{stage}.{number}", 2 if number == "0" and stage != "layer1" else 1)
        return x.mean(dim=(2, 3))

    return network


se_resnet = partial(attentive_resnet, attention="se", tiered=False)
eca_resnet = partial(attentive_resnet, attention="eca", tiered=True)
