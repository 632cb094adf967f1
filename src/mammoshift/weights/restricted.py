"""Reading tensors out of a PyTorch checkpoint without running anything that the file names.

A checkpoint is a zip archive with one pickle, which may name any class or function of any package
and have it called. This reader resolves a fixed list of names to its own inert stand-ins, the names
of settings and optimisers to a placeholder that swallows whatever is done to it, and refuses a file
that names anything else. No module is ever imported on behalf of the file. Tensors are read from
the archive only when they are asked for, so that an optimiser's state in the same file costs
nothing.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mammoshift.errors import WeightsError
from mammoshift.weights.pickle_limits import check_work, is_known

NAMES_SHOWN = 5
NAME_LENGTH = 100
PICKLE_LIMIT = 256 * 2**20
"""Largest pickle, in bytes, that is looked at; a checkpoint's tensors lie outside it."""

_STORAGES: dict[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Placeholder:
    """Stands for an object of a class that is not read; every operation on it does nothing."""

    def __new__(cls, *_arguments: object, **_named: object) -> Placeholder:
        """Accept any arguments."""
        return super().__new__(cls)

    def __init__(self, *_arguments: object, **_named: object) -> None:
        return

    def __call__(self, *_arguments: object, **_named: object) -> Placeholder:
        """Stand for the result of a call."""
        return self

    def __setstate__(self, _state: object) -> None:
        return

    def __setitem__(self, _key: object, _value: object) -> None:
        return

    def append(self, _item: object) -> None:
        """Swallow a list item."""

    def extend(self, _items: object) -> None:
        """Swallow list items."""

    def add(self, _item: object) -> None:
        """Swallow a set member."""


class _Sealed:
    """Base of the stand-ins, whose state a pickle must not change."""

    def __setstate__(self, _state: object) -> None:
        raise WeightsError("the pickle tries to change an object of the reader")


@dataclass(frozen=True)
class _Storage(_Sealed):
    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class StoredTensor(_Sealed):
    """A tensor that is still in the archive: its place, type and shape."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class CheckpointArchive:
    """An open checkpoint: `content` with `StoredTensor` in the place of tensors.

    Parameters
    ----------
    path
        A file that `torch.save` wrote (zip format, PyTorch 1.6 or newer).

    Raises
    ------
    WeightsError
        If the file is not such an archive, is damaged, compressed or a TorchScript program.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, RuntimeError, ValueError) as error:
            raise WeightsError(
                f"is no zip archive as torch.save writes it ({error}); "
                "save it again with PyTorch 1.6 or newer, or as safetensors"
            ) from error
        try:
            self._prefix = self._find_prefix()
            self.content = self._unpickle()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> CheckpointArchive:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._zip.close()

    def load(self, stored: StoredTensor) -> Tensor:
        """Read one tensor, contiguous and on the CPU."""
        storage = stored.storage
        reach = stored.offset + sum(
            (length - 1) * step for length, step in zip(stored.shape, stored.stride, strict=True)
        )
        count = math.prod(stored.shape)
        outside = count > 0 and not stored.offset <= reach < storage.count
        if outside or count > storage.count:
            raise WeightsError(f"a tensor reaches outside its storage {storage.key}")
        if not count:
            return _empty(stored)
        content = bytearray(self._read(f"data/{storage.key}", None))
        if len(content) < storage.count * storage.dtype.itemsize:
            raise WeightsError(f"storage {storage.key} is cut off")
        values = torch.frombuffer(content, dtype=storage.dtype, count=storage.count)
        view = torch.as_strided(values, stored.shape, stored.stride, stored.offset)
        return view.clone(memory_format=torch.contiguous_format)

    def _find_prefix(self) -> str:
        names = self._zip.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise WeightsError("is a zip archive, but no PyTorch checkpoint")
        prefix = pickles[0].removesuffix("data.pkl")
        if f"{prefix}constants.pkl" in names:
            raise WeightsError("is a TorchScript program; only its state dict can be used")
        if f"{prefix}byteorder" in names and self._read_at(f"{prefix}byteorder", 16) != b"little":
            raise WeightsError("was written on a big-endian machine")
        return prefix

    def _read(self, name: str, limit: int | None) -> bytes:
        return self._read_at(self._prefix + name, limit)

    def _read_at(self, name: str, limit: int | None) -> bytes:
        try:
            entry = self._zip.getinfo(name)
            if entry.compress_type != zipfile.ZIP_STORED:
                raise WeightsError(f"{name} is compressed, which torch.save never does")
            if limit is not None and entry.file_size > limit:
                raise WeightsError(f"{name} has more than {limit} bytes")
            return self._zip.read(entry)
        # An encrypted entry is a RuntimeError, a damaged name a ValueError.
        except (
            KeyError,
            zipfile.BadZipFile,
            OSError,
            EOFError,
            RuntimeError,
            ValueError,
        ) as error:
            raise WeightsError(f"{name} cannot be read: {error}") from error

    def _unpickle(self) -> Any:
        try:
            content = self._read("data.pkl", PICKLE_LIMIT)
            check_work(BytesIO(content), len(content))
            unpickler = _InertUnpickler(BytesIO(content))
            found = unpickler.load()
            unpickler.refuse_foreign_names()
            return found
        except WeightsError:
            raise
        # A hostile or damaged pickle can fail in any way; none of them may pass as another error.
        except Exception as error:
            raise WeightsError(
                f"the checkpoint's pickle is damaged or of no known form: {error}"
            ) from error


def _empty(stored: StoredTensor) -> Tensor:
    try:
        return torch.empty(stored.shape, dtype=stored.storage.dtype)
    except (RuntimeError, TypeError) as error:
        raise WeightsError("a tensor without values has an impossible shape") from error


class _InertUnpickler(pickle.Unpickler):
    """An unpickler that imports nothing and calls nothing but this module's own stand-ins."""

    def __init__(self, stream: BytesIO) -> None:
        super().__init__(stream)
        self._foreign: set[str] = set()

    def refuse_foreign_names(self) -> None:
        """Raise `WeightsError` listing the names that no checkpoint of tensors needs."""
        if self._foreign:
            names = sorted(self._foreign)
            more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
            raise WeightsError(
                f"the file names {', '.join(names[:NAMES_SHOWN])}{more}, which no checkpoint of "
                "tensors needs and which would run when it is opened in another way; if you trust "
                "its source, save its state dict alone and use that"
            )

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if not is_known(module_name, global_name):
            self._foreign.add(f"{module_name}.{global_name}"[:NAME_LENGTH])
        if module_name == "torch" and global_name in _STORAGES:
            return _STORAGES[global_name]
        return _STAND_INS.get((module_name, global_name), Placeholder)

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(count, int):
            raise WeightsError("a tensor of an unknown kind of storage")
        if not isinstance(key, str) or not key.isalnum():
            raise WeightsError(f"a storage with the name {key!r}")
        return _Storage(key, dtype, count)


@dataclass(frozen=True)
class _StandIn(_Sealed):
    """A function of this module, wrapped so that a pickle can call it but not change it."""

    function: Callable[..., object]

    def __call__(self, *arguments: object) -> object:
        return self.function(*arguments)


def _tensor(
    storage: object,
    offset: object,
    shape: Sequence[object],
    stride: Sequence[object],
    *_rest: object,
) -> StoredTensor:
    if not isinstance(storage, _Storage) or len(shape) != len(stride):
        raise WeightsError("a tensor without a storage")
    first, *others = (_whole_number(number) for number in (offset, *shape, *stride))
    return StoredTensor(storage, first, tuple(others[: len(shape)]), tuple(others[len(shape) :]))


def _whole_number(number: object) -> int:
    if not isinstance(number, int) or number < 0:
        raise WeightsError(f"a tensor whose shape or place holds {number!r}")
    return number


def _parameter(data: object, *_rest: object) -> object:
    return data


def _size(*dimensions: object) -> tuple[object, ...]:
    return tuple(dimensions[0]) if dimensions and isinstance(dimensions[0], list | tuple) else ()


_STAND_INS: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _StandIn(_tensor),
    ("torch._utils", "_rebuild_parameter"): _StandIn(_parameter),
    ("torch", "Size"): _StandIn(_size),
}
