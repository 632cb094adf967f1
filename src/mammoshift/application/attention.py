"""Where a Vision Transformer's logit comes from: its attention, weighted by gradients.

Chefer, Gur and Wolf 2021 ("Generic attention-model explainability", ICCV, equations 5 and 6): a
block's attention is the mean over its heads of the positive part of attention times its gradient,
and relevance is carried from block to block by R <- R + A R, from R = I. Attention roll-out (Abnar
and Zuidema 2020) is the same with the plain mean of the heads, and the same for every class.

Only the row of what is pooled is needed, so that the product is taken from the last block to the
first, a vector at a time, with the attention of one block in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mammoshift.errors import ConfigurationError
from mammoshift.models.classifier import Classifier

POOLED_TOKEN = "token"
POOLED_BY_ATTENTION = "map"


def has_open_attention(features: nn.Module) -> bool:
    """Tell whether every block of a network has attention of all tokens that can be looked at."""
    blocks = getattr(features, "blocks", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or not len(blocks):
        return False
    if getattr(features, "global_pool", None) == POOLED_BY_ATTENTION:
        return False
    attentions = [getattr(block, "attn", None) for block in blocks]
    return all(
        isinstance(getattr(attention, "fused_attn", None), bool)
        and isinstance(getattr(attention, "attn_drop", None), nn.Module)
        for attention in attentions
    )


def token_relevance(classifier: Classifier, images: Tensor) -> Tensor:
    """Return how much each token of N images adds to the logit.

    Parameters
    ----------
    classifier
        In evaluation mode; its features are a network for which `has_open_attention` holds.
    images
        As the classifier takes them.

    Returns
    -------
    Tensor
        (N, tokens), not negative; the tokens before those of the image are among them.

    Raises
    ------
    ConfigurationError
        If a block attends within windows.
    """
    features: Any = classifier.features
    taken: list[tuple[Tensor, ...]] = []
    ends: list[Tensor] = []

    def note(_block: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        taken.append(inputs)

    def cut(_block: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        ends.append(output.detach().requires_grad_())
        return ends[0]

    with _laid_open(features), torch.enable_grad():
        hooks = [block.register_forward_pre_hook(note) for block in features.blocks]
        hooks.append(features.blocks[-1].register_forward_hook(cut))
        try:
            logit = classifier(images).logit
        finally:
            for hook in hooks:
                hook.remove()
        (gradient,) = torch.autograd.grad(logit.sum(), ends[0])
        relevance = _pooled_row(features, ends[0])
        for block, inputs in zip(reversed(features.blocks), reversed(taken), strict=True):
            attention, gradient = _attention_of(block, inputs, gradient)
            relevance = relevance + torch.einsum("nt,nts->ns", relevance, attention)
    return relevance


def _attention_of(
    block: Any, inputs: tuple[Tensor, ...], gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """Return a block's weighted attention (N, tokens, tokens), and the gradient of its input.

    `gradient` is that of the logit by the block's output; the block is computed once more.
    """
    tokens = inputs[0].detach().requires_grad_()
    kept: list[Tensor] = []
    hook = block.attn.attn_drop.register_forward_hook(lambda _m, _i, output: kept.append(output))
    try:
        output = block(tokens, *inputs[1:])
    finally:
        hook.remove()
    count = tokens.shape[1]
    if len(kept) != 1 or kept[0].shape[0] != len(tokens) or kept[0].shape[-2:] != (count, count):
        raise ConfigurationError(
            f"{type(block).__name__}: does not attend to all tokens, so that no heat map can be "
            "drawn from its attention"
        )
    found, before = torch.autograd.grad(output, (kept[0], tokens), gradient)
    return (found * kept[0].detach()).clamp(min=0.0).mean(dim=1), before


def _pooled_row(features: Any, tokens: Tensor) -> Tensor:
    """Return the share of each token (N, tokens) in what is pooled: one token, or the image's."""
    row = torch.zeros(tokens.shape[:2], device=tokens.device)
    if getattr(features, "global_pool", POOLED_TOKEN) == POOLED_TOKEN:
        row[:, 0] = 1.0
    else:
        row[:, int(getattr(features, "num_prefix_tokens", 0)) :] = 1.0
        row /= row.sum(dim=1, keepdim=True)
    return row


@contextmanager
def _laid_open(features: Any) -> Iterator[None]:
    """Have attention computed in steps, so that it can be seen, and no gradient of weights."""
    attentions = [block.attn for block in features.blocks]
    fused = [attention.fused_attn for attention in attentions]
    learning = [p for p in features.parameters() if p.requires_grad]
    for attention in attentions:
        attention.fused_attn = False
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for attention, before in zip(attentions, fused, strict=True):
            attention.fused_attn = before
        for parameter in learning:
            parameter.requires_grad_(True)
