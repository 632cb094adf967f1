from pathlib import Path

from mammoshift.configuration.judged import ReportSettings
from mammoshift.contracts.run import Run
from mammoshift.execution.job import running
from mammoshift.report.build import build_report
from mammoshift.report.circumstances import Told, circumstances
from mammoshift.report.inputs import ReportInputs, TrainingRun
from mammoshift.report.made_of import made_of


def paths(files):
    return tuple(Path(file) for file in files)


templates = {Path(snakemake.params.assets): snakemake.params.templates}
with running(snakemake, also=[Path(snakemake.output[0]).parent], read=templates):
    files = snakemake.input
    records = {Run.of_path(path.parent): path for path in paths(files.records)}
    runs = {Run.of_path(path.parent): path for path in paths(files.histories)}
    inputs = ReportInputs(
        settings=ReportSettings.model_validate(snakemake.params.settings),
        metrics=paths([files.metrics, files.calibration]),
        comparisons=paths([files.combined, files.comparisons]),
        cases=paths(files.cases),
        predictions=paths(files.predictions),
        manifests=paths(files.manifests),
        runs=tuple(TrainingRun(run, history, records[run]) for run, history in runs.items()),
        exclusions=paths(files.excluded),
        audits=paths(files.audits),
        sheets=paths(files.sheets),
        searches=paths(files.get("searches", [])),
        assets=Path(snakemake.params.assets),
        made_of=made_of(paths(files), Path(snakemake.params.results), snakemake.params.accepted),
        galleries=paths(files.get("galleries", [])),
        made=circumstances(
            Told(**{**snakemake.params.told, "project": Path(snakemake.params.told["project"])}),
            paths(snakemake.input),
        ),
    )
    build_report(inputs, Path(snakemake.output[0]).parent, for_print=True)
