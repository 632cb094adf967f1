from pathlib import Path

from mammoshift.configuration.judged import CardSettings
from mammoshift.contracts.run import Run
from mammoshift.evaluation.card import CardJob, make_card
from mammoshift.execution.job import running
from mammoshift.models.card import write_card

with running(snakemake):
    output = Path(snakemake.output[0])
    job = CardJob(
        run=Run.of_path(output.parent),
        settings=CardSettings.model_validate(snakemake.params.settings),
        records={Run.of_path(Path(path).parent): Path(path) for path in snakemake.input.records},
        cases=Path(snakemake.input.cases),
        predictions=Path(snakemake.input.predictions),
    )
    write_card(make_card(job), output)
