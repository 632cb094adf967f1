from pathlib import Path

from mammoshift.configuration.dataset import Twin
from mammoshift.execution.job import running
from mammoshift.phantoms.twin import write_twin

with running(snakemake):
    receipt = Path(snakemake.output[0])
    settings = snakemake.params.twin
    twin = Twin.model_validate(settings["twin"])
    written = write_twin(
        settings["layout"], twin, receipt.with_suffix(""), workers=snakemake.threads
    )
    written.write(receipt)
