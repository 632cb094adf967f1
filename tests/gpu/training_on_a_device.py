"""A training in a process of its own, which a test may kill: FOLDER DEVICE KILL_AFTER CLAIMS.

Writes `state.safetensors` and `claimed.txt` into FOLDER. With KILL_AFTER above 0 the process is
killed when it reads so many images.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "unit" / "training"))

from toy_training import ToyImages, request_for

from mammoshift.execution.gpu_claim import claim_gpu, local_gpu_identifiers

SETTINGS: dict[str, object] = {
    "stages": [{"epochs": 3, "lr": 2e-3, "dropout": 0.2, "warmup_epochs": 1}],
    "accumulate": 2,
    "ema": {"decay": 0.7},
    "checkpoint_minutes": 1e-9,
}


def main(folder: Path, device: str, kill_after: int, claims: Path) -> None:
    """Claim a device, train, and write what came of it."""
    with claim_gpu(local_gpu_identifiers() or ["0"], claims):
        (folder / "claimed.txt").write_text(f"{time.time()}", encoding="utf-8")
        from safetensors.torch import save_file

        from mammoshift.training.loop import train_arm

        def die(reads: int) -> None:
            if reads == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)

        request = request_for(folder, **SETTINGS)
        execution = replace(request.execution, device=device)
        pixels = ToyImages(before_read=die)
        result = train_arm(replace(request, execution=execution, pixels=pixels))
        state = {name: tensor.contiguous() for name, tensor in result.state.items()}
        save_file(state, folder / "state.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
