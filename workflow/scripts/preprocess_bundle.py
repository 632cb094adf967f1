from pathlib import Path

import pandas as pd

from mammoshift.archives.memory import NAME as MEMORY
from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.annotations import read_annotations
from mammoshift.execution.job import running
from mammoshift.pixelstore.bundle import check_sources, write_bundle
from mammoshift.pixelstore.receipt import write_receipt

with running(snakemake):
    receipt_file = Path(snakemake.output[0])
    files = pd.read_parquet(snakemake.input.files)
    bundle = (int(snakemake.wildcards.bundle), snakemake.params.bundles)
    root = Path(snakemake.params.root)
    check_sources(files, bundle, root, memory=Path(snakemake.input.files).with_name(MEMORY))
    receipt = write_bundle(
        files,
        read_annotations(Path(snakemake.input.annotations)),
        bundle,
        root,
        InputRecipe.model_validate(snakemake.params.recipe),
        snakemake.params.code,
        store=receipt_file.parent.parent,
        workers=snakemake.threads,
    )
    write_receipt(receipt, receipt_file)
