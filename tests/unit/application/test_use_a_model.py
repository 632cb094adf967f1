"""The lines of docs/use-a-model.md, run as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from mammoshift.application.trained import open_models
from mammoshift.configuration.model import Backbone
from models_on_disk import SIZE, write_toy

PAGE = Path(__file__).resolve().parents[3] / "docs" / "use-a-model.md"


@pytest.mark.parametrize("channels", [1, 3])
def test_timm_and_safetensors_give_the_logits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(block.splitlines()) == 5
    backbone = Backbone(
        architecture="test_resnet",
        channels=channels,
        mean=(0.4, 0.5, 0.6)[:channels],
        std=(0.2, 0.3, 0.1)[:channels],
    )
    folder = write_toy(tmp_path, backbone=backbone)
    monkeypatch.chdir(folder)
    images = torch.rand((3, 1, *SIZE), generator=torch.Generator().manual_seed(0))
    names = {"images": images, "json": json, "load_file": load_file, "timm": timm, "torch": torch}
    exec(block, names)
    with torch.inference_mode():
        expected = open_models([folder], torch.device("cpu")).models[0].classifier(images).logit
    assert expected.std() > 1e-4
    torch.testing.assert_close(names["logit"][:, 0], expected, atol=1e-5, rtol=0)
