"""Convolutions in bfloat16 on a CPU whose result is one place wide.

With AMX, the matrix units of newer Intel CPUs, oneDNN computes a strided convolution of that shape
from memory that nobody wrote: its result holds what was there, which may be no number at all or a
wrong one (`docs/upstream/onednn-amx-bfloat16-one-place-wide.md`). Such maps are tiny, so that their
convolutions are done in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def compute_narrow_maps_in_float32(features: nn.Module) -> None:
    """Have strided convolutions compute in float32 where bfloat16 on a CPU would be wrong.

    Nothing changes elsewhere, nor where the result is wider than one place.
    """
    for module in features.modules():
        if isinstance(module, nn.Conv2d) and module.stride[1] > 1:
            module.register_forward_hook(_in_float32)


def _in_float32(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
    if output.dtype != torch.bfloat16 or output.device.type != "cpu" or output.shape[-1] > 1:
        return None
    with torch.autocast("cpu", enabled=False):
        return layer.forward(inputs[0].float()).to(torch.bfloat16)
