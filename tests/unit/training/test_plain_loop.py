"""A training against a loop written out plainly: in float64 they agree but for the last digits.

In float32 the two differ in the fifth digit of a loss after a few dozen steps, since what is
rounded in another order grows with every step; in float64 a difference of meaning would stand out.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mammoshift.execution.determinism import Purpose, generator
from mammoshift.models.classifier import Classifier
from mammoshift.models.lean_timm import timm
from mammoshift.training import loop
from mammoshift.training.loop import train_arm
from mammoshift.training.request import Cases, TrainingRequest
from mammoshift.training.sampler import epoch_order

sys.path.append(str(Path(__file__).parent))

from toy_training import ToyImages, cases, request_for

EPOCHS, BATCH, RATE, DECAY, LIMIT = 6, 8, 0.05, 0.7, 0.5
SETTINGS: dict[str, Any] = {
    "stages": [
        {
            "epochs": EPOCHS,
            "lr": RATE,
            "optimiser": "sgd",
            "weight_decay": 1e-3,
            "schedule": "plateau",
            "plateau": {"patience": 1, "factor": 0.3, "minimum_lr": 0.002},
        }
    ],
    "accumulate": 2,
    "mixup": 0.4,
    "clip_gradient_norm": LIMIT,
    "ema": {"decay": DECAY},
    "augmentation": {},
    "select": "last_epoch",
}


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute in float64 wherever float32 is asked for."""
    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def tensors(of: Cases) -> tuple[Tensor, Tensor]:
    pixels = torch.stack([torch.from_numpy(ToyImages().read(n)) for n in of.image_ids])
    images = pixels.double()[:, None] / 65535
    return (images - 0.25) / 0.25, torch.from_numpy(of.labels).double()


def blend(average: nn.Module, model: nn.Module, past: float) -> None:
    """Move the average to the model; `past` is what it keeps of itself."""
    both = zip(average.state_dict().values(), model.state_dict().values(), strict=True)
    for mean, value in both:
        mean.copy_(past * mean + (1 - past) * value if mean.is_floating_point() else value)


def trained_plainly(
    request: TrainingRequest, start: dict[str, Tensor]
) -> tuple[dict[str, Tensor], list[float], list[float]]:
    """Return the averaged weights, and of each epoch the training loss and the learning rate."""
    features = timm.create_model("test_resnet", in_chans=1, num_classes=0)
    head = nn.Linear(features.num_features, 1)
    model = nn.Sequential(OrderedDict(features=features, head=head))
    model.load_state_dict(start)
    average = deepcopy(model)
    images, labels = tensors(request.training)
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-3)
    losses, rates, updates, best, rate = [], [], 0, float("inf"), RATE
    for epoch in range(EPOCHS):
        order = epoch_order(request.training.labels, request.seed, epoch, "natural")
        batches, total = torch.from_numpy(order).split(BATCH), 0.0
        optimiser.param_groups[0]["lr"] = rate
        rates.append(rate)
        model.train()
        for number, batch in enumerate(batches):
            share = float(generator(Purpose.MIXUP, request.seed, epoch, number).beta(0.4, 0.4))
            x, y = images[batch], labels[batch]
            logits = model(share * x + (1 - share) * x.flip(0)).squeeze(1)
            loss = share * binary_cross_entropy_with_logits(logits, y)
            loss = loss + (1 - share) * binary_cross_entropy_with_logits(logits, y.flip(0))
            total += float(loss.detach()) * len(batch)
            step = batches[number // 2 * 2 : number // 2 * 2 + 2]
            (loss * len(batch) / sum(map(len, step))).backward()
            if batch is step[-1]:
                torch.nn.utils.clip_grad_norm_(model.parameters(), LIMIT)
                optimiser.step()
                optimiser.zero_grad()
                updates += 1
                blend(average, model, DECAY if updates > 1 else 0.0)
        losses.append(total / len(labels))
        judged, truths = tensors(request.validation)
        with torch.no_grad():
            found = float(binary_cross_entropy_with_logits(average.eval()(judged)[:, 0], truths))
        best, rate = (found, rate) if found < best else (best, max(0.3 * rate, 0.002))
    return average.state_dict(), losses, rates


@pytest.mark.usefixtures("doubled")
def test_a_training_is_the_loop_that_its_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start: dict[str, Tensor] = {}
    plain = loop.prepared

    def noted(model: Classifier, device: torch.device) -> Classifier:
        start.update({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return plain(model, device)

    monkeypatch.setattr(loop, "prepared", noted)
    request = replace(request_for(tmp_path, **SETTINGS), training=cases(0, 27))
    result = train_arm(request)
    state, losses, rates = trained_plainly(request, start)
    assert len(set(rates)) > 1, "the rate never fell"
    assert [epoch.lr for epoch in result.history] == pytest.approx(rates, rel=1e-12)
    assert [epoch.train_loss for epoch in result.history] == pytest.approx(losses, rel=1e-12)
    for name, tensor in state.items():
        torch.testing.assert_close(result.state[name], tensor, rtol=1e-10, atol=1e-12)
