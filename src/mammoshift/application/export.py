"""A trained model as ONNX: intensities in, logit out, with the normalisation inside."""

from __future__ import annotations

import importlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mammoshift.application.trained import Trained
from mammoshift.errors import ConfigurationError
from mammoshift.files import atomic_path

TOLERANCE = 1e-4
"""Largest difference of logits, relative to 1 or to the logit, that an export may have."""

CHECKED_IMAGES = 3
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


class _LogitAlone(nn.Module):
    """The classifier without its density head: (N, 1, rows, columns) in [0, 1] to (N,)."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(images).logit


@dataclass(frozen=True)
class Exported:
    """What was written, and how far ONNX Runtime's logits are from PyTorch's."""

    path: Path
    images: int
    largest_difference: float
    opset: int


def export_onnx(model: Trained, path: Path) -> Exported:
    """Write a model as one ONNX file and compare it with the original.

    The input `images` is float32 (N, 1, rows, columns) of the record's size, intensities in [0, 1];
    the output `logit` is (N,), any N. Record and card are in the file's metadata.

    Raises
    ------
    ConfigurationError
        If a package that it takes is absent, the network cannot be exported, or the exported one
        gives other logits; nothing is written then.
    """
    onnx, _, runtime = (_package(name) for name in _PACKAGES)
    size = model.record.arm.input.size
    network = _LogitAlone(model.classifier).eval()
    network.requires_grad_(False)
    with atomic_path(path) as temporary:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                program: Any = torch.onnx.export(
                    network,
                    (torch.rand((2, 1, *size)),),
                    input_names=["images"],
                    output_names=["logit"],
                    dynamic_shapes={"images": {0: torch.export.Dim("images", min=1)}},
                    dynamo=True,
                    optimize=True,
                    verbose=False,
                )
        except Exception as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
            raise ConfigurationError(
                f"{model.folder}: the network {model.record.backbone.architecture} cannot be "
                f"exported to ONNX: {type(error).__name__}: {first}"
            ) from error
        graph = program.model_proto
        for name, text in _metadata(model).items():
            entry = graph.metadata_props.add()
            entry.key, entry.value = name, text
        onnx.save(graph, temporary)
        difference = _largest_difference(network, temporary, runtime, size)
        if not difference <= TOLERANCE:
            raise ConfigurationError(
                f"{path}: not written: the exported network's logits differ by {difference:.3g} "
                f"from the original's, more than {TOLERANCE:g}"
            )
    return Exported(path, CHECKED_IMAGES, difference, int(graph.opset_import[0].version))


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigurationError(
            f"the export needs the package {name}, which is not installed: "
            f"pip install {' '.join(_PACKAGES)}"
        ) from None


def _metadata(model: Trained) -> dict[str, str]:
    record, card = model.record, model.card
    texts = {
        "record": record.model_dump_json(exclude_none=True),
        "classes": json.dumps(record.classes),
    }
    return texts if card is None else {**texts, "card": card.model_dump_json(exclude_none=True)}


def _largest_difference(
    network: nn.Module, path: Path, runtime: Any, size: tuple[int, int]
) -> float:
    """Return the largest difference of logits, relative to 1 or to the logit."""
    images = _test_images(size)
    with torch.inference_mode():
        own = network(torch.from_numpy(images)).double().numpy()
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    # One image at a time, so that the batch's length is seen to be free.
    other = np.concatenate([session.run(["logit"], {"images": one[None]})[0] for one in images])
    return float((np.abs(own - other) / np.maximum(1.0, np.abs(own))).max())


def _test_images(size: tuple[int, int]) -> NDArray[np.float32]:
    """Return images of clouds with noise, (N, 1, rows, columns) in [0, 1]."""
    generator = np.random.default_rng(0)
    clouds = generator.random((CHECKED_IMAGES, 5, 5), dtype=np.float32)
    wide = [cv2.resize(one, size[::-1], interpolation=cv2.INTER_LINEAR) for one in clouds]
    noise = generator.random((CHECKED_IMAGES, *size), dtype=np.float32)
    return np.asarray(0.9 * np.stack(wide) + 0.1 * noise, np.float32)[:, None]
