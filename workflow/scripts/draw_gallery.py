from pathlib import Path

from mammoshift.application.gallery import GalleryJob, draw_gallery
from mammoshift.configuration.model import InputRecipe
from mammoshift.contracts.run import Run
from mammoshift.execution.device import choose_device
from mammoshift.execution.gpu_claim import (
    claim_gpu,
    default_claim_folder,
    local_gpu_identifiers,
)
from mammoshift.execution.job import running

output = Path(snakemake.output[0])
with running(snakemake, also=[output.parent]):
    settings, files = snakemake.params.gallery, snakemake.input
    folders = {Run.of_path(Path(path).parent): Path(path).parent for path in files.models}
    recipes = {
        name: InputRecipe.model_validate(recipe) for name, recipe in settings["recipes"].items()
    }
    job = GalleryJob(
        arm=snakemake.wildcards.arm,
        per_domain=settings["per_domain"],
        recipes=recipes,
        models={
            Run(snakemake.wildcards.arm, run["seed"], run["fold"]): folders[
                Run.of_path(Path(run["model"]))
            ]
            for run in settings["runs"]
        },
        cases=tuple(Path(path) for path in files.cases),
        predictions=tuple(Path(path) for path in files.predictions),
        files=dict(zip(recipes, (Path(path) for path in files.get("files", [])), strict=True)),
        roots={name: Path(root) for name, root in snakemake.params.roots.items()},
    )
    with claim_gpu(local_gpu_identifiers(), default_claim_folder()):
        record = draw_gallery(job, output, choose_device("auto"))
    print(f"{len(record.cases)} cases of {len(record.domains)} domains")
