"""What a process that builds, applies and trains a model does not import."""

from __future__ import annotations

import subprocess
import sys

NEEDLESS = ("torch._dynamo", "torchvision.models", "torchvision.transforms", "huggingface_hub")
BACKBONE = """
import sys
import torch
from mammoshift.configuration.model import Backbone
from mammoshift.configuration.training import Stage
from mammoshift.models.classifier import build_classifier
backbone = Backbone(architecture="test_resnet", channels=1, mean=(0.25,), std=(0.25,))
model = build_classifier(backbone, (64, 48))
"""


def imported_by(script: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nprint(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


def test_models_are_built_applied_and_trained_without_torchvision_and_the_compiler() -> None:
    work = """
with torch.inference_mode():
    model.eval()(torch.rand(2, 64, 48))
from mammoshift.training.schedule import build_optimiser
model.train()
for name in ("adamw", "adam", "sgd"):
    optimiser = build_optimiser(Stage(epochs=1, lr=1e-3, optimiser=name), model.parameters())
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(torch.rand(2, 64, 48)).logit.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    optimiser.load_state_dict(optimiser.state_dict())
"""
    modules = imported_by(BACKBONE + work)
    assert not [name for name in NEEDLESS if name in modules]
    assert not [name for name in modules if name.partition(".")[0] == "torchvision"]


def test_torchvision_and_timms_data_are_whole_for_who_imports_them_later() -> None:
    script = """
import torchvision.transforms, torchvision.ops
import timm.data
assert timm.data.create_transform(32) is not None
assert torchvision.ops.nms is not None
"""
    assert "torch._dynamo" in imported_by(BACKBONE + script)


def test_a_timm_that_wants_more_is_imported_as_it_is() -> None:
    script = (
        """
import mammoshift.models, sys
from importlib.abc import MetaPathFinder
import torch
class Demanding(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "timm.layers":
            import torchvision.models
sys.meta_path.insert(0, Demanding())
"""
        + BACKBONE
    )
    modules = imported_by(script)
    assert "torchvision.models" in modules
    assert "timm.data.transforms_factory" in modules
