"""What only CUDA takes: run with `make test-gpu` on a machine that has a GPU.

The figures of memory and throughput are printed, and written as JSON to the file that
`MAMMOSHIFT_GPU_FIGURES` names.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "unit" / "training"))
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks import training as benchmark
from toy_training import ToyImages, request_for

from mammoshift.configuration.model import Backbone
from mammoshift.errors import ConfigurationError
from mammoshift.execution.determinism import deterministic_torch
from mammoshift.execution.gpu_claim import claim_gpu, local_gpu_identifiers
from mammoshift.execution.precision import computed_in
from mammoshift.models.classifier import build_classifier, prepared
from mammoshift.scoring.score import score_closely
from mammoshift.training.loop import train_arm

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA"),
]
SCRIPT = Path(__file__).with_name("training_on_a_device.py")
SMALLEST_SHARE = 0.8
"""Of a resident batch's throughput that must be left with reading, drawing and bookkeeping."""


def started(folder: Path, kill_after: int, claims: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, SCRIPT, folder, "cuda", str(kill_after), claims]
    return subprocess.Popen([str(part) for part in command], env=os.environ)


@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet", "test_vit"])
def test_a_gpu_gives_the_logits_of_a_cpu(architecture: str) -> None:
    backbone = Backbone(architecture=architecture, channels=1, mean=(0.25,), std=(0.25,))
    torch.manual_seed(0)
    model = build_classifier(backbone, (160, 160)).eval()
    images = torch.rand(4, 160, 160)
    with torch.inference_mode():
        expected = model(images).logit
        for precision, tolerance in (("float32", 1e-4), ("tf32", 2e-2), ("bfloat16", 1e-1)):
            device = torch.device("cuda")
            moved = prepared(model, device)
            with deterministic_torch(device, 1), computed_in(device, precision):
                found = moved(images.to(device)).logit.cpu()
            assert torch.allclose(found, expected, atol=tolerance), precision
            model.cpu()


def test_a_training_on_a_gpu_is_that_of_a_cpu_but_for_rounding(tmp_path: Path) -> None:
    losses = []
    for device in ("cpu", "cuda"):
        request = request_for(tmp_path / device, stages=[{"epochs": 2, "lr": 1e-4}])
        execution = replace(request.execution, device=device)
        losses.append(train_arm(replace(request, execution=execution)).history[-1].train_loss)
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit"])
def test_exact_repeats_to_the_bit_and_fast_trains(tmp_path: Path, architecture: str) -> None:
    def trained(name: str, determinism: str) -> dict[str, torch.Tensor]:
        request = request_for(tmp_path / name, determinism=determinism)
        backbone = request.backbone.model_copy(update={"architecture": architecture})
        execution = replace(request.execution, device="cuda", readers=2)
        return train_arm(replace(request, backbone=backbone, execution=execution)).state

    one, two = trained("one", "exact"), trained("two", "exact")
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    fast = trained("fast", "fast")
    assert all(torch.isfinite(t).all() for t in fast.values() if t.is_floating_point())


def test_compiled_trainings_repeat_to_the_bit(tmp_path: Path) -> None:
    def trained(name: str) -> dict[str, torch.Tensor]:
        request = request_for(tmp_path / name, compile=True, ema={"decay": 0.7})
        execution = replace(request.execution, device="cuda", readers=2)
        return train_arm(replace(request, execution=execution)).state

    one, two = trained("one"), trained("two")
    assert not any("_orig_mod" in name for name in one)
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


@pytest.fixture
def crowded() -> Iterator[None]:
    """Leave half a GiB of the GPU."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(2**29 / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("crowded")
def test_a_batch_that_does_not_fit_is_scored_in_halves() -> None:
    device, size = torch.device("cuda"), (224, 224)
    backbone = Backbone(architecture="resnet50", channels=1, mean=(0.25,), std=(0.25,))
    model = prepared(build_classifier(backbone, size), device)
    ids = [f"toy-{number}" for number in range(256)]
    scored = score_closely([model], size, ToyImages(size), ids, len(ids), device)
    assert scored.batch_size < len(ids)
    few = score_closely([model], size, ToyImages(size), ids[:8], 8, device)
    assert scored.logits[:, :8] == pytest.approx(few.logits, abs=1e-4)


@pytest.mark.usefixtures("crowded")
def test_a_training_that_does_not_fit_says_what_to_do(tmp_path: Path) -> None:
    settings = {"architecture": "resnet50", "size": (512, 512), "batch_size": 32, "images": 64}
    arguments = benchmark.argument_parser().parse_args([])
    with pytest.raises(ConfigurationError, match=r"32 images of 512 x 512 .*batch_size"):
        train_arm(benchmark.make_request(Namespace(**{**vars(arguments), **settings}), tmp_path))


def test_a_killed_training_goes_on_and_ends_as_one_that_was_not(tmp_path: Path) -> None:
    claims = tmp_path / "claims"
    assert started(tmp_path / "whole", 0, claims).wait() == 0
    for reads in (13, 55, 90):
        assert started(tmp_path / "broken", reads, claims).wait() == -signal.SIGKILL
    assert started(tmp_path / "broken", 0, claims).wait() == 0
    whole, broken = (tmp_path / name / "state.safetensors" for name in ("whole", "broken"))
    assert broken.read_bytes() == whole.read_bytes()


def test_a_second_claim_on_a_device_waits_for_the_first(tmp_path: Path) -> None:
    claims, folder = tmp_path / "claims", tmp_path / "second"
    with claim_gpu(local_gpu_identifiers(), claims):
        # It sees the claimed device alone, as every process that is started here.
        second = started(folder, 0, claims)
        time.sleep(5)
        assert not (folder / "claimed.txt").exists()
        released = time.time()
    assert second.wait() == 0
    assert float((folder / "claimed.txt").read_text()) >= released


@pytest.mark.parametrize(
    ("architecture", "size", "batch_size", "checkpointing"),
    [
        ("tf_efficientnet_b5", (1520, 912), 4, None),
        ("tf_efficientnet_b5", (1520, 912), 4, True),
        ("resnet50", (1024, 1024), 16, None),
    ],
)
def test_memory_and_throughput_with_readers(
    architecture: str, size: tuple[int, int], batch_size: int, checkpointing: bool | None
) -> None:
    device = torch.device("cuda")
    arguments = Namespace(
        architecture=architecture,
        size=size,
        batch_size=batch_size,
        images=batch_size * 12,
        precision="bfloat16",
        device="cuda",
        threads=1,
        readers=None,
        augment=True,
        channels=1,
        checkpointing=checkpointing,
    )
    with tempfile.TemporaryDirectory() as folder:
        request = benchmark.make_request(arguments, Path(folder))
        torch.cuda.reset_peak_memory_stats()
        with deterministic_torch(device, 1):
            resident = benchmark.step_rate(request, device, augmented=True)
        library = benchmark.library_rate(request)
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "architecture": architecture,
        "size": list(size),
        "batch_size": batch_size,
        "activation_checkpointing": bool(checkpointing),
        "resident_images_per_second": round(resident, 2),
        "images_per_second": round(library, 2),
        "share": round(library / resident, 3),
        "peak_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
    }
    print(json.dumps(figures))
    if path := os.environ.get("MAMMOSHIFT_GPU_FIGURES"):
        with Path(path).open("a", encoding="utf-8") as out:
            out.write(json.dumps(figures) + "\n")
    # A resident batch keeps its activations, so that only trainings that do so too compare.
    if not checkpointing:
        assert library / resident >= SMALLEST_SHARE
    assert torch.cuda.max_memory_allocated() < torch.cuda.get_device_properties(0).total_memory
