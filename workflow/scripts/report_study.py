import itertools
from pathlib import Path

from mammoshift.execution.job import job_log
from mammoshift.report.build import build_report
from mammoshift.report.facts import facts_from_leaves
from mammoshift.report.inputs import ReportInputs, TrainingRun


def paths(files):
    return tuple(Path(file) for file in files)


with job_log(snakemake.log[0]):
    files = snakemake.input
    facts = facts_from_leaves(snakemake.params.study)
    runs = itertools.product(facts.arm_names, facts.seeds)
    inputs = ReportInputs(
        facts=facts,
        metrics=paths([files.metrics, files.calibration]),
        comparisons=paths([files.combined, files.comparisons]),
        manifests=paths(files.manifests),
        split=Path(files.split),
        predictions=paths(files.predictions),
        runs=tuple(
            TrainingRun(arm, seed, history, record)
            for (arm, seed), history, record in zip(
                runs, paths(files.histories), paths(files.recipes), strict=True
            )
        ),
        exclusions=paths(files.excluded),
        audits=paths(files.audits),
        assets=Path(snakemake.params.assets),
    )
    build_report(inputs, Path(snakemake.output[0]).parent)
