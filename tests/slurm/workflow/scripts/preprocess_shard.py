"""Write a shard and where it was made."""

# ruff: noqa: F821 - Snakemake puts `snakemake` here.

import os
from pathlib import Path

Path(snakemake.output[0]).write_text(f"shard {snakemake.wildcards.shard}\n", encoding="utf-8")
Path(snakemake.log[0]).write_text(f"{os.environ.get('SLURM_JOB_PARTITION')}\n", encoding="utf-8")
