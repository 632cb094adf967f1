from pathlib import Path

from mammoshift.execution.job import running
from mammoshift.pixelstore.bundle import collect_bundles
from mammoshift.pixelstore.receipt import write_receipt

with running(snakemake):
    output = Path(snakemake.output.receipt)
    bundles = [Path(path) for path in snakemake.input]
    receipt = collect_bundles(bundles, output.parent, Path(snakemake.output.excluded))
    write_receipt(receipt, output)
