from pathlib import Path

from mammoshift.configuration.model import Backbone
from mammoshift.execution.job import running
from mammoshift.weights.convert import convert_weights

with running(snakemake):
    backbone = Backbone.model_validate(snakemake.params.record)
    convert_weights(
        Path(snakemake.params.path), backbone.weights, backbone, Path(snakemake.output[0])
    )
