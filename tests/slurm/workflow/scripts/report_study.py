"""Join the predictions of all arms."""

# ruff: noqa: F821 - Snakemake puts `snakemake` here.

from pathlib import Path

tables = [Path(table).read_text(encoding="utf-8") for table in sorted(snakemake.input)]
Path(snakemake.output[0]).write_text("".join(tables), encoding="utf-8")
