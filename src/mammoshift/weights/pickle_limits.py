"""What a checkpoint's pickle may name and how much work it may ask for.

An inert reader runs nothing of a pickle, but a file that names what no checkpoint needs is better
refused than converted, and even inert objects can be made to cost hours: the hash of a tuple of
tuples that share their parts takes twice as long for each level.
"""

from __future__ import annotations

import pickletools
import re
from typing import IO

from mammoshift.errors import WeightsError

OPERATIONS_LIMIT = 2_000_000
"""Most operations of a pickle; one of EfficientNet-B5, BERT and AdamW has about 200,000."""
WORK_LIMIT = 20_000_000
"""Most objects that a pickle may have looked at, each counted as often as it is reached."""

KNOWN_MODULES = (
    "lightning_fabric",
    "numpy._core.multiarray",
    "numpy.core.multiarray",
    "numpy.random",
    "omegaconf",
    "pytorch_lightning",
    "torch.amp",
    "torch.nn",
    "torch.optim",
)
"""Modules, with those below them, whose classes are found in checkpoints beside the tensors."""
KNOWN_NAMES: dict[str, re.Pattern[str]] = {
    "_codecs": re.compile("encode"),
    "argparse": re.compile("Namespace"),
    "collections": re.compile("OrderedDict|defaultdict|Counter|deque"),
    "copyreg": re.compile("_reconstructor"),
    "datetime": re.compile("date|datetime|timedelta|timezone"),
    "numpy": re.compile("dtype|ndarray|generic|bool_?|u?int[0-9]*|float[0-9]*"),
    "pathlib": re.compile("(Pure)?(Posix|Windows)?Path"),
    "torch": re.compile(r"[A-Za-z0-9]+Storage|Size|Tensor|device|dtype|bfloat16|(float|int)[0-9]+"),
    "torch._tensor": re.compile("_rebuild_[a-z0-9_]+"),
    "torch._utils": re.compile("_rebuild_[a-z0-9_]+"),
    "torch.storage": re.compile("(Typed|Untyped)Storage"),
    "typing": re.compile("[A-Z][A-Za-z]+"),
    **dict.fromkeys(
        ("builtins", "__builtin__"),
        re.compile(
            "bool|bytearray|bytes|complex|dict|float|frozenset|int|list|long|object|range|set|slice"
            "|str|tuple|unicode"
        ),
    ),
}
"""Other modules, of which only some names are found in checkpoints."""

_MUTATES = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"})
_RECALLS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_REMEMBERS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


def is_known(module: str, name: str) -> bool:
    """Whether a checkpoint may name `name` of `module`.

    A name with dots is none: pickle follows them to whatever the module has imported.
    """
    if "." in name:
        return False
    if any(module == known or module.startswith(f"{known}.") for known in KNOWN_MODULES):
        return True
    return module in KNOWN_NAMES and KNOWN_NAMES[module].fullmatch(name) is not None


def check_work(stream: IO[bytes], length: int) -> None:
    """Refuse a pickle that would take long or much memory to read, without reading it.

    Follows the stack of the pickle's machine with, for each object, the number of objects that a
    walk through it meets, which is what its hash costs. Ends behind the pickle's last operation.

    Parameters
    ----------
    stream
        Stands at the start of the pickle.
    length
        Bytes of the pickle, or of what is left of its file.

    Raises
    ------
    WeightsError
        If the pickle asks for too much.
    """
    stack: list[int | None] = []
    memo: dict[int, int] = {}
    work = 0
    for count, (operation, argument, _place) in enumerate(pickletools.genops(stream)):
        name = operation.name
        if count > OPERATIONS_LIMIT:
            raise WeightsError(f"the pickle has more than {OPERATIONS_LIMIT} operations")
        if name in _REMEMBERS or name == "MEMOIZE":
            number = len(memo) if name == "MEMOIZE" else int(argument or 0)
            if number > length:
                # The table of remembered objects is as long as their highest number.
                raise WeightsError(f"the pickle of {length} bytes has an object {number}")
            memo[number] = _top(stack)
            continue
        if name in _RECALLS:
            stack.append(memo.get(int(argument or 0), 1))
            continue
        popped = _popped(stack, operation)
        work += sum(popped)
        if work > WORK_LIMIT:
            raise WeightsError("the pickle holds objects in objects that would take hours to read")
        unchanged = name in _MUTATES or name == "DUP"
        size = popped[0] if unchanged and popped else 1 + sum(popped)
        made = operation.stack_after
        stack.extend(None if one is pickletools.markobject else size for one in made)


def _top(stack: list[int | None]) -> int:
    return next((size for size in reversed(stack) if size is not None), 1)


def _popped(stack: list[int | None], operation: pickletools.OpcodeInfo) -> list[int]:
    """Take what an operation takes from the stack, the lowest first."""
    before = operation.stack_before
    popped: list[int] = []
    if pickletools.markobject in before:
        while stack:
            size = stack.pop()
            if size is None:
                break
            popped.append(size)
        below = before.index(pickletools.markobject)
    else:
        below = len(before)
    while below and stack and (size := stack[-1]) is not None:
        popped.append(size)
        stack.pop()
        below -= 1
    return popped[::-1]
