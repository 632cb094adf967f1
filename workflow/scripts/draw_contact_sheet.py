from pathlib import Path

import pandas as pd

from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.annotations import read_annotations
from mammoshift.execution.job import running
from mammoshift.pixelstore.sheet import write_contact_sheet

with running(snakemake):
    write_contact_sheet(
        pd.read_parquet(snakemake.input.files),
        read_annotations(Path(snakemake.input.annotations)),
        Path(snakemake.params.root),
        InputRecipe.model_validate(snakemake.params.recipe),
        Path(snakemake.input.store),
        Path(snakemake.output.picture),
    )
