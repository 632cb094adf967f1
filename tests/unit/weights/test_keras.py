"""End2End weights as Keras writes them, and files that only look like that."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, max_pool2d

from keras_on_disk import write_end2end
from mammoshift.configuration.model import Backbone, Head, WeightsFile
from mammoshift.errors import WeightsError
from mammoshift.models.classifier import build_classifier
from mammoshift.weights import hdf5
from mammoshift.weights.convert import convert_weights, read_converted
from mammoshift.weights.hdf5 import read_arrays
from mammoshift.weights.key_maps import from_keras_end2end

WEIGHTS = WeightsFile(file="x.h5", format="keras_end2end", licence="by-nc-sa", source="group/model")
BACKBONE = Backbone(
    architecture="vgg16", mean=(0.2046,) * 3, std=(0.5,) * 3, weights=WEIGHTS, variable_size=True
)


def applied(arrays: dict[str, np.ndarray], images: Tensor) -> Tensor:
    """Return the difference of the two outputs, computed layer by layer."""

    def layer(name: str, x: Tensor) -> Tensor:
        kernel = torch.from_numpy(arrays[f"{name}/kernel:0"]).permute(3, 2, 0, 1)
        return conv2d(x, kernel, torch.from_numpy(arrays[f"{name}/bias:0"]), padding=1)

    x = ((images - 0.2046) / 0.5)[:, None].expand(-1, 3, -1, -1)
    for block, count in enumerate((2, 2, 3, 3, 3), start=1):
        for number in range(1, count + 1):
            x = layer(f"block{block}_conv{number}", x).relu()
        x = max_pool2d(x, 2)
    for number in (1, 2):
        x = layer(f"conv2d_{number}", x)
        own = {
            kind: torch.from_numpy(arrays[f"batch_normalization_{number}/{kind}:0"])
            for kind in ("moving_mean", "moving_variance", "gamma", "beta")
        }
        x = max_pool2d(batch_norm(x, *own.values(), eps=1e-3).relu(), 2)
    outputs = x.mean(dim=(2, 3)) @ torch.from_numpy(arrays["dense_1/kernel:0"])
    outputs = outputs + torch.from_numpy(arrays["dense_1/bias:0"])
    return outputs[:, 1] - outputs[:, 0]


def test_the_published_classifier_gives_the_logits_of_its_layers(tmp_path: Path) -> None:
    arrays = write_end2end(tmp_path / "x.h5")
    assert sum(array.size for array in arrays.values()) == 19_439_426
    convert_weights(tmp_path / "x.h5", WEIGHTS, BACKBONE, tmp_path / "x.safetensors")
    state = read_converted(tmp_path / "x.safetensors")
    head = Head(kind="end2end_512x1", outputs=2)
    model = build_classifier(BACKBONE, (128, 160), state=state, head=head).eval()
    images = torch.rand(2, 128, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(model(images).logit, applied(arrays, images), atol=1e-4, rtol=1e-4)


def test_layers_that_are_absent_or_there_twice_are_named() -> None:
    one = {"conv2d/kernel:0": np.zeros((3, 3, 1, 1), np.float32)}
    with pytest.raises(WeightsError, match="holds 1 layers conv2d; expected 2"):
        from_keras_end2end(one)
    twice = {f"{name}/conv2d_1/kernel:0": np.zeros((1, 1, 1, 1)) for name in ("a", "b")}
    with pytest.raises(WeightsError, match="conv2d_1/kernel twice"):
        from_keras_end2end(twice)


def _external_link(file: h5py.File) -> None:
    file["w"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft_link(file: h5py.File) -> None:
    file["w"] = h5py.SoftLink("/elsewhere")


def _circle(file: h5py.File) -> None:
    file["a/b"] = file["/"]


def _references(file: h5py.File) -> None:
    file.create_dataset("w", data=[file.ref], dtype=h5py.ref_dtype)


def _texts(file: h5py.File) -> None:
    file.create_dataset("w", data=["x"], dtype=h5py.string_dtype())


def _elsewhere(file: h5py.File) -> None:
    file.create_dataset("w", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "w", (4,))
    file.create_virtual_dataset("w", layout)


def _bomb(file: h5py.File) -> None:
    file.create_dataset("w", (2**34,), "f4", chunks=(2**20,), compression="gzip")


def _large_chunk(file: h5py.File) -> None:
    file.create_dataset("w", (2**26,), "f4", chunks=(2**25,), compression="gzip")


def _filter(file: h5py.File) -> None:
    file.create_dataset("w", (64,), "f4", compression="lzf")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_external_link, "link to somewhere else"),
        (_soft_link, "link to somewhere else"),
        (_circle, "more than 12 deep"),
        (_references, "floating-point numbers alone"),
        (_texts, "floating-point numbers alone"),
        (_elsewhere, "in other files"),
        (_virtual, "in other files"),
        (_bomb, "64 GiB; the limit is 1 GiB"),
        (_large_chunk, "in parts of more than"),
        (_filter, "filters that are not known"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, make: object, said: str) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        make(file)  # type: ignore[operator]
    with pytest.raises(WeightsError, match=said):
        read_arrays(tmp_path / "x.h5")


def test_a_file_of_very_many_objects_or_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "OBJECTS_LIMIT", 20)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for number in range(30):
            file[f"{number}"] = np.float32(1)
    with pytest.raises(WeightsError, match="more than 20 objects"):
        read_arrays(tmp_path / "x.h5")
    (tmp_path / "y.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(WeightsError, match="cannot be read as HDF5"):
        read_arrays(tmp_path / "y.h5")
