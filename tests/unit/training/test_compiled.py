"""Trainings and scoring by compiled code: the same model under the same names, going on alike.

What compiles here hands the traced operations back as they are: PyTorch's own compiler takes
minutes for a small network, and rounds differently.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mammoshift.configuration.training import Training
from mammoshift.errors import ConfigurationError
from mammoshift.kinds import network
from mammoshift.kinds._protocol import ScoreRequest
from mammoshift.models.saved_model import read_record
from mammoshift.training.artefacts import write_artefacts
from mammoshift.training.loop import train_arm

sys.path.append(str(Path(__file__).parent))

from toy_training import TRAIN, ToyImages, request_for

SETTINGS: dict[str, Any] = {
    "stages": [{"epochs": 1, "lr": 2e-3, "dropout": 0.2}],
    "ema": {"decay": 0.7},
    "checkpoint_minutes": 1e-9,
}


class Compiler:
    """Stands for `torch.compile`; `backend` is given what was traced, and `graphs` counts it."""

    def __init__(self, backend: Callable[..., Any] = lambda traced, _inputs: traced) -> None:
        self.graphs, self._plain, self._backend = 0, torch.compile, backend

    def __call__(self, called: Callable[..., Any], *, dynamic: bool, options: object) -> Any:
        assert not dynamic
        assert options == {"deterministic": True}
        return self._plain(called, backend=self._counted, dynamic=dynamic)

    def _counted(self, traced: Any, inputs: Any) -> Any:
        self.graphs += 1
        return self._backend(traced, inputs)


def test_compiled_trainings_go_on_alike_and_their_models_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = request_for(tmp_path / "plain", **SETTINGS)
    expected = train_arm(plain)

    compiler = Compiler()
    monkeypatch.setattr(torch, "compile", compiler)
    broken = request_for(tmp_path / "broken", compile=True, **SETTINGS)
    assert broken.key(None, expected.versions) != plain.key(None, expected.versions)

    def fail(reads: int) -> None:
        if reads == TRAIN - 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_arm(replace(broken, pixels=ToyImages(before_read=fail)))
    assert compiler.graphs
    found = train_arm(broken)
    assert found.resumed_from_step
    assert found.state.keys() == expected.state.keys()
    for name, tensor in expected.state.items():
        assert torch.equal(found.state[name], tensor), name

    write_artefacts(tmp_path / "model", broken, found)
    assert read_record(tmp_path / "model").arm.training.compile
    names = broken.validation.image_ids
    request = ScoreRequest(
        models=(tmp_path / "model",) * 2,
        cases=pd.DataFrame({"case_id": names}),
        pixels=ToyImages(),  # pyright: ignore[reportArgumentType]
    )
    before, compiled = compiler.graphs, network.score(request)
    assert compiler.graphs > before
    write_artefacts(tmp_path / "model", plain, found)
    np.testing.assert_array_equal(compiled, network.score(request))


def test_a_compiler_that_is_absent_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_traced: object, _inputs: object) -> None:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(torch, "compile", Compiler(absent))
    with pytest.raises(ConfigurationError, match=r"arm toy: .*No working C\+\+ compiler found"):
        train_arm(request_for(tmp_path, compile=True))


def test_compiled_code_keeps_its_activations() -> None:
    with pytest.raises(ValueError, match="activation_checkpointing"):
        Training(stages=(), compile=True, activation_checkpointing=True)
