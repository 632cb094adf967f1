"""Networks whose code torch compiles, where a training asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mammoshift.errors import ConfigurationError
from mammoshift.execution.determinism import Determinism

LINES_SHOWN = 2
"""Of what the compiler says: which it is, and why it failed."""
_COMPILER = ("torch._dynamo", "torch._inductor")


def compile_in_place(models: Iterable[nn.Module], determinism: Determinism | None = None) -> None:
    """Have modules computed by compiled code when they are called; tensors and names stay.

    Each shape of a batch is compiled by itself and what was compiled before is dropped, so that a
    training that goes on after a kill computes as one that does not.

    Parameters
    ----------
    models
        Of one training or scoring.
    determinism
        With `exact`, which None means, the compiler does not choose between forms of a kernel by
        timing them on a GPU, where they round differently.
    """
    torch.compiler.reset()
    for model in models:
        model.compile(dynamic=False, options={"deterministic": determinism != "fast"})


@contextmanager
def compiler_named(where: str) -> Iterator[None]:
    """Run a block, and say in one sentence what to do where the compiler fails.

    Raises
    ------
    ConfigurationError
        If a network cannot be compiled, such as for want of a C++ compiler.
    """
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(_COMPILER):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:LINES_SHOWN])
        raise ConfigurationError(
            f"{where}: torch cannot compile the network ({reason}). Compiled code needs a C++ "
            "compiler (g++, or the one that CXX names), on a GPU Triton too; leave "
            "training.compile out to do without"
        ) from error
