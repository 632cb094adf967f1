"""Score with a trained model; log the GPU and the number of CPUs that the job may use."""

# ruff: noqa: F821 - Snakemake puts `snakemake` here.

import json
import os
from pathlib import Path

weights = json.loads(Path(snakemake.input[0]).read_text(encoding="utf-8"))["weights"]
Path(snakemake.output[0]).write_text(f"{snakemake.wildcards.arm},{weights}\n", encoding="utf-8")
place = f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {os.environ.get('SLURM_CPUS_PER_TASK')}\n"
Path(snakemake.log[0]).write_text(place, encoding="utf-8")
