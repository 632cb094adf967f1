from pathlib import Path

from mammoshift.configuration.dataset import Twin
from mammoshift.phantoms.twin import write_receipt, write_twin
from mammoshift.provenance.job import job_log

with job_log(snakemake.log[0]):
    receipt_path = Path(snakemake.output[0])
    settings = snakemake.params.twin
    receipt = write_twin(
        settings["layout"], Twin.model_validate(settings["twin"]), receipt_path.with_suffix("")
    )
    write_receipt(receipt, receipt_path)
