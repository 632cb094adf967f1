"""Score with a trained model; log the GPU."""

# ruff: noqa: F821 - Snakemake puts `snakemake` here.

import json
import os
from pathlib import Path

weights = json.loads(Path(snakemake.input[0]).read_text(encoding="utf-8"))["weights"]
Path(snakemake.output[0]).write_text(f"{snakemake.wildcards.arm},{weights}\n", encoding="utf-8")
Path(snakemake.log[0]).write_text(f"{os.environ.get('CUDA_VISIBLE_DEVICES')}\n", encoding="utf-8")
