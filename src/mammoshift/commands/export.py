"""A trained model as a file that other software runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mammoshift.commands.application_options import ModelArgument
from mammoshift.errors import ConfigurationError, TableError


def export(
    model: ModelArgument,
    onnx: Annotated[Path, typer.Option(help="The ONNX file to write.")],
) -> None:
    """Write a trained model as ONNX and print how far its logits are from the original's.

    The input is float32 (N, 1, rows, columns), intensities from 0 to 1 as `predict` prepares them;
    the output is the logit. Needs the packages onnx, onnxscript and onnxruntime.
    """
    import torch

    from mammoshift.application.export import export_onnx
    from mammoshift.application.trained import open_models

    opened = open_models([model], torch.device("cpu"))
    first, *others = opened.models
    if others:
        raise ConfigurationError(
            f"{model}: holds {len(opened.models)} models; name the folder of one run, such as "
            f"{first.folder}"
        )
    try:
        done = export_onnx(first, onnx)
    except OSError as error:
        raise TableError(f"{onnx}: cannot be written ({error.strerror})") from error
    rows, columns = opened.recipe.size
    typer.echo(f"{done.path}: opset {done.opset}; images (N, 1, {rows}, {columns}) -> logit (N)")
    typer.echo(
        f"parity with PyTorch on {done.images} images: largest difference of logits "
        f"{done.largest_difference:.2g}"
    )
