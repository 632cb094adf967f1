"""Hold a GPU, hash one step further in each epoch, go on from the last checkpoint.

A file `pace` in the run's folder changes the seconds of the epochs that follow.
"""

# ruff: noqa: F821 - Snakemake puts `snakemake` here.

import hashlib
import json
import os
import time
from pathlib import Path

from mammoshift.execution.gpu_claim import claim_gpu, default_claim_folder, local_gpu_identifiers
from mammoshift.files import write_text_atomically

params = snakemake.params
run = Path(params.run)
run.mkdir(parents=True, exist_ok=True)
checkpoint = run / "checkpoint.json"


def note(event: str, epoch: int) -> None:
    entry = {
        "event": event,
        "epoch": epoch,
        "time": time.time(),
        "device": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "job": os.environ.get("SLURM_JOB_ID"),
        "partition": os.environ.get("SLURM_JOB_PARTITION"),
        "pid": os.getpid(),
    }
    with (run / "events.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry) + "\n")


with claim_gpu(local_gpu_identifiers(), default_claim_folder()):
    state = {"epoch": 0, "weights": snakemake.wildcards.arm}
    if checkpoint.exists():
        state = json.loads(checkpoint.read_text(encoding="utf-8"))
    note("start", state["epoch"])
    while state["epoch"] < params.epochs:
        pace = run / "pace"
        time.sleep(float(pace.read_text("ascii")) if pace.exists() else params.epoch_seconds)
        weights = hashlib.sha256(state["weights"].encode()).hexdigest()
        state = {"epoch": state["epoch"] + 1, "weights": weights}
        write_text_atomically(checkpoint, json.dumps(state))
        note("epoch", state["epoch"])
    note("end", state["epoch"])

write_text_atomically(Path(snakemake.output[0]), json.dumps(state))
