from pathlib import Path

import pandas as pd

from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.annotations import read_annotations
from mammoshift.execution.job import running
from mammoshift.pixelstore.bundle import write_bundle
from mammoshift.pixelstore.receipt import write_receipt

with running(snakemake):
    receipt_file = Path(snakemake.output[0])
    receipt = write_bundle(
        pd.read_parquet(snakemake.input.files),
        read_annotations(Path(snakemake.input.annotations)),
        (int(snakemake.wildcards.bundle), snakemake.params.bundles),
        Path(snakemake.params.root),
        InputRecipe.model_validate(snakemake.params.recipe),
        snakemake.params.code,
        store=receipt_file.parent.parent,
        workers=snakemake.threads,
    )
    write_receipt(receipt, receipt_file)
