"""The C library's allocator, told to keep what a job frees for its next step."""

from __future__ import annotations

import ctypes
import os
import platform

# Parameters of mallopt(3).
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3

LARGEST_KEPT_BUFFER = 32 * 2**20
"""Bytes; glibc takes no more as a threshold. Larger buffers come from the kernel each time."""
KEPT_AT_THE_END = 2**30
"""Bytes of free memory at the end of the heap above which it is given back."""
SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let glibc keep freed buffers rather than return them to the kernel; whether it does.

    A training, a scoring or the preprocessing of images frees and asks for the same big buffers at
    every step, and by default each of them is a new mapping whose pages the kernel clears one by
    one. What is computed does not change. Settings in the environment come first, and other C
    libraries are left alone.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in SETTINGS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    kept = mallopt(_MMAP_THRESHOLD, LARGEST_KEPT_BUFFER)
    return bool(mallopt(_TRIM_THRESHOLD, KEPT_AT_THE_END) and kept)
