from pathlib import Path

from mammoshift.configuration.search import Search
from mammoshift.execution.job import running
from mammoshift.search.run import choose_trial

with running(snakemake):
    choose_trial(
        snakemake.wildcards.arm,
        int(snakemake.wildcards.fold),
        Search.model_validate(snakemake.params.search),
        [Path(path) for path in snakemake.input.trials],
        Path(snakemake.output.chosen).parent,
        Path(snakemake.output.table),
    )
