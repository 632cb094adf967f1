"""How fast this machine trains and scores an arm: a few batches of noise."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

import torch

from mammoshift.configuration.load import Project
from mammoshift.configuration.model import Arm, Backbone
from mammoshift.configuration.resolved import network_arms
from mammoshift.execution.device import choose_device
from mammoshift.models.classifier import build_classifier, prepared
from mammoshift.planning.throughput import TRAINING_PER_SCORING, Throughput

BATCHES = 3
LONGEST_SCORING_SECONDS = 5.0
"""An image that takes longer than this is not trained on, only to measure it."""


def measured(project: Project, studies: Iterable[str]) -> dict[str, Throughput]:
    """Return what each architecture of some studies costs on this machine, by its name.

    Of arms with the same architecture the one with the largest input is measured.
    """
    largest: dict[str, Arm] = {}
    for study in studies:
        for arm in network_arms(project.studies[study]).values():
            architecture = project.backbones[arm.backbone].architecture
            known = largest.get(architecture)
            if known is None or math.prod(arm.input.size) > math.prod(known.input.size):
                largest[architecture] = arm
    return {
        architecture: _measure(project.backbones[arm.backbone], arm)
        for architecture, arm in largest.items()
    }


def _measure(backbone: Backbone, arm: Arm) -> Throughput:
    device = choose_device()
    torch.set_num_threads(arm.training.threads)
    backbone = backbone.normalised(arm.normalisation)
    model = prepared(build_classifier(backbone, arm.input.size, head=arm.head), device)
    pixels = math.prod(arm.input.size)
    one = _noise(1, arm.input.size, device)
    model.eval()
    with torch.inference_mode():
        model(one)
        first = _seconds(lambda: model(one), device)
    if first > LONGEST_SCORING_SECONDS:
        return Throughput(1 / first / TRAINING_PER_SCORING, 1 / first, pixels)
    batch = _noise(arm.training.batch_size, arm.input.size, device)
    with torch.inference_mode():
        scoring = min(_seconds(lambda: model(batch), device) for _ in range(BATCHES))
    model.train()
    optimiser = torch.optim.AdamW(model.parameters())

    def step() -> None:
        optimiser.zero_grad()
        model(batch).logit.square().mean().backward()
        optimiser.step()

    training = min(_seconds(step, device) for _ in range(BATCHES))
    return Throughput(len(batch) / training, len(batch) / scoring, pixels)


def _noise(count: int, size: tuple[int, int], device: torch.device) -> torch.Tensor:
    return torch.rand((count, 1, *size), device=device)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
