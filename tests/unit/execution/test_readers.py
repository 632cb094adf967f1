from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest
import torch

from mammoshift.errors import ConfigurationError
from mammoshift.execution.readers import BatchLoader, default_readers, given_cpus

CPU = torch.device("cpu")
IDS = [str(number) for number in range(20)]
PLAN = [np.arange(first, first + 4) for first in range(0, 20, 4)]


class Images:
    """Images that tell who read them; earlier ones take longer."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def read(self, image_id: str) -> np.ndarray:
        self.threads.add(threading.current_thread().name)
        time.sleep(0.001 * (20 - int(image_id)) / 20)
        return np.full((3, 2), int(image_id), dtype=np.uint16)


@pytest.mark.parametrize("readers", [0, 1, 4])
def test_batches_come_in_the_order_of_the_plan(readers: int) -> None:
    images = Images()
    loader = BatchLoader(images, IDS, (3, 2), readers, CPU)
    for _ in range(2):
        batches = list(loader.batches(PLAN))
        assert [batch[:, 0, 0].tolist() for batch in batches] == [p.tolist() for p in PLAN]
        assert batches[0].dtype == torch.uint16
    here = threading.current_thread().name
    assert (images.threads == {here}) == (readers == 0)


def test_an_error_of_a_reader_reaches_the_caller() -> None:
    loader = BatchLoader(Images(), IDS, (3, 3), 2, CPU)
    with pytest.raises(ConfigurationError, match=r"image 0: the pixel store holds"):
        next(loader.batches(PLAN))


def test_what_is_read_ahead_is_bounded() -> None:
    images = Images()
    read: list[int] = []
    loader = BatchLoader(images, IDS, (3, 2), 1, CPU)
    made = loader.ahead(lambda number: read.append(number) or number, range(1000))
    assert next(made) == 0
    time.sleep(0.05)
    assert len(read) <= 5
    made.close()


def test_readers_are_as_many_as_the_jobs_cpus_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(6)), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    assert given_cpus() == 6
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    assert default_readers() == 4
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(64)), raising=False)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "32")
    assert default_readers() == 8
