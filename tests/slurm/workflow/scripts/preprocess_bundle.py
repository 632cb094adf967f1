"""Write a bundle and log where it was made."""

# ruff: noqa: F821 - Snakemake puts `snakemake` here.

import os
from pathlib import Path

Path(snakemake.output[0]).write_text(f"bundle {snakemake.wildcards.bundle}\n", encoding="utf-8")
place = f"{os.environ.get('SLURM_JOB_PARTITION')} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n"
Path(snakemake.log[0]).write_text(place, encoding="utf-8")
