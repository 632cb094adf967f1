"""A whole classifier in the HDF5 file that Keras would write, with random weights."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

VGG = [(1, 3, 64), (1, 64, 64), (2, 64, 128), (2, 128, 128), (3, 128, 256), (3, 256, 256)]
VGG += [(3, 256, 256), (4, 256, 512), *[(4, 512, 512)] * 2, *[(5, 512, 512)] * 3]


def write_end2end(path: Path) -> dict[str, np.ndarray]:
    """Write a model with the names and shapes of Keras; return the arrays by their short names."""
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}

    def normal(*shape: int) -> np.ndarray:
        scale = np.float32((2 / np.prod(shape[:-1])) ** 0.5)
        return random.standard_normal(shape, np.float32) * scale

    seen = dict.fromkeys(range(1, 6), 0)
    for block, taken, given in VGG:
        seen[block] += 1
        layer = f"model_1/block{block}_conv{seen[block]}"
        arrays[f"{layer}/kernel:0"] = normal(3, 3, taken, given)
        arrays[f"{layer}/bias:0"] = np.full(given, 0.1, np.float32)
    for number in (1, 2):
        arrays[f"conv2d_{number}/conv2d_{number}/kernel:0"] = normal(3, 3, 512, 512)
        arrays[f"conv2d_{number}/conv2d_{number}/bias:0"] = np.zeros(512, np.float32)
        layer = f"batch_normalization_{number}/batch_normalization_{number}"
        for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
            arrays[f"{layer}/{kind}:0"] = random.random(512, np.float32) + np.float32(0.5)
    arrays["dense_1/dense_1/kernel:0"] = random.standard_normal((512, 2), np.float32)
    arrays["dense_1/dense_1/bias:0"] = np.array([0.3, -0.2], np.float32)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[f"model_weights/{name}"] = array
        file["optimizer_weights/iterations"] = 5
    return {name.split("/", 1)[1]: array for name, array in arrays.items()}
