from pathlib import Path

from mammoshift.execution.job import running
from mammoshift.report.overview import write_overview

templates = {Path(snakemake.params.assets): snakemake.params.templates}
with running(snakemake, read=templates):
    pages = tuple(Path(page) for page in snakemake.input)
    write_overview(pages, Path(snakemake.params.assets), Path(snakemake.output[0]))
