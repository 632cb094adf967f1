"""Dry runs of large studies against a bare Snakefile with as many jobs.

Two studies: the published one, and twenty backbones with ten seeds on ten targets. The peer is a
Snakefile of plain rules in the same shape (ingest, preprocess, cases, train, score, report) without
any configuration, fingerprints or library.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from mammoshift.configuration.load import read_yaml
from scratch import copy_project

SECONDS, GIBIBYTES, RATIO = 60, 2.0, 1.4
BARE = """
T, A, S, K = range({targets}), range({arms}), range({seeds}), range({bundles})
wildcard_constraints:
    k="[0-9]+",
rule all:
    input: "r/report", expand("r/m{{a}}/{{s}}/card", a=A, s=S)
rule ingest:
    output: "r/d{{t}}/manifest", "r/d{{t}}/annotations", "r/d{{t}}/files", "r/d{{t}}/lost"
    shell: "true"
rule preprocess:
    input: "r/d{{t}}/files", "r/d{{t}}/annotations"
    output: "r/p{{t}}/{{k}}.json"
    shell: "true"
rule collect:
    input: expand("r/p{{{{t}}}}/{{k}}.json", k=K)
    output: "r/p{{t}}/store.json", "r/p{{t}}/lost"
    shell: "true"
rule sheet:
    input: "r/p{{t}}/store.json", "r/d{{t}}/files", "r/d{{t}}/annotations", "r/d{{t}}/manifest"
    output: "r/p{{t}}/sheet", "r/p{{t}}/picture"
    shell: "true"
rule cases:
    input: "r/d{{t}}/manifest", "r/d{{t}}/annotations"
    output: "r/c{{t}}/cases"
    shell: "true"
rule audit_domain:
    input: "r/c0/cases", "r/p0/store.json", "r/d0/files"
    output: "r/c0/audit", "r/c0/findings"
    shell: "true"
rule audit_lineage:
    input:
        "r/c0/cases", "r/c{{t}}/cases", "r/p0/store.json", "r/p{{t}}/store.json",
        "r/d0/files", "r/d{{t}}/files",
    output: "r/c{{t}}/lineage", "r/c{{t}}/lineage_findings"
    shell: "true"
rule audit_study:
    input:
        expand("r/c{{t}}/cases", t=T),
        expand("r/p{{t}}/store.json", t=T),
        expand("r/d{{t}}/files", t=T),
    output: "r/audit", "r/findings"
    shell: "true"
rule audit_predictions:
    input:
        expand("r/m{{a}}/d{{t}}/predictions", a=A, t=T),
        expand("r/c{{t}}/cases", t=T),
        expand("r/m{{a}}/{{s}}/json", a=A, s=S),
    output: "r/predictions_audit"
    shell: "true"
rule train:
    input: "r/c0/cases", "r/p0/store.json", "r/c0/audit"
    output: "r/m{{a}}/{{s}}/model", "r/m{{a}}/{{s}}/json", "r/m{{a}}/{{s}}/history"
    shell: "true"
rule score:
    input:
        expand("r/m{{{{a}}}}/{{s}}/json", s=S),
        "r/p{{t}}/store.json",
        "r/c{{t}}/cases",
        "r/c{{t}}/lineage",
    output: "r/m{{a}}/d{{t}}/predictions"
    shell: "true"
rule card:
    input:
        expand("r/m{{{{a}}}}/{{s}}/json", s=S),
        "r/m{{a}}/d0/predictions",
        "r/c0/cases",
    output: "r/m{{a}}/{{s}}/card"
    shell: "true"
rule table:
    input:
        expand("r/m{{a}}/d{{t}}/predictions", a=A, t=T),
        expand("r/c{{t}}/cases", t=T),
    output: "r/table{{n}}"
    shell: "true"
rule report:
    input:
        expand("r/table{{n}}", n=range(4)),
        expand("r/m{{a}}/d{{t}}/predictions", a=A, t=T),
        expand("r/m{{a}}/{{s}}/json", a=A, s=S),
        expand("r/m{{a}}/{{s}}/history", a=A, s=S),
        expand("r/d{{t}}/manifest", t=T),
        expand("r/c{{t}}/cases", t=T),
        expand("r/p{{t}}/sheet", t=range({sheets})),
        "r/audit",
        "r/predictions_audit",
    output: "r/report"
    shell: "true"
"""


def dry_run(folder: Path, *arguments: str) -> tuple[float, int]:
    """Return the wall time of a dry run and the number of its jobs."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2", *arguments],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(folder / "src"),
            "SNAKEMAKE_LOGGER_MAMMOSHIFT_TEXT": "snakemake",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - begin
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    text = done.stdout + done.stderr
    total = next(line for line in text.splitlines() if line.startswith("total"))
    return wall, int(total.split()[1])


def large_study(folder: Path, backbones: int, seeds: int, targets: int) -> None:
    """Write a study of that size, its datasets and its backbones."""
    config = folder / "config"
    record = yaml.safe_load((config / "datasets/archives.yaml").read_text("utf-8"))["cmmd"]
    names = [f"site_{i}" for i in range(targets + 1)]
    datasets = {name: {**record, "root": name, "bundles": 4} for name in names}
    backbone = yaml.safe_load((config / "backbones.yaml").read_text("utf-8"))["tiny_resnet"]
    study = read_yaml(config / "studies/cross_sensor.yaml")
    study["source"]["dataset"], study["targets"] = names[0], names[1:]
    study["seeds"] = list(range(seeds))
    study["arms"] = {f"arm_{i}": {"backbone": f"backbone_{i}"} for i in range(backbones)}
    study["comparisons"] = [{"family": "all", "on": "all", "reference": "arm_0"}]
    all_backbones = {f"backbone_{i}": backbone for i in range(backbones)}
    for file, content in (
        ("large_datasets.yaml", datasets),
        ("large_backbones.yaml", all_backbones),
        ("studies/large.yaml", study),
        (
            "large.yaml",
            {
                "studies": ["config/studies/large.yaml"],
                "datasets": "config/large_datasets.yaml",
                "backbones": "config/large_backbones.yaml",
            },
        ),
    ):
        (config / file).write_text(yaml.safe_dump(content), encoding="utf-8")


def main() -> None:
    """Print both comparisons."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, bare = Path(scratch, "ours"), Path(scratch, "bare")
        bare.mkdir()
        copy_project(folder)
        large_study(folder, 20, 10, 10)
        published = read_yaml(folder / "config/paper.yaml")
        published["studies"] = ["config/studies/cross_sensor.yaml"]
        (folder / "config/published.yaml").write_text(yaml.safe_dump(published), encoding="utf-8")
        for name, file, shape in (
            ("published study", "config/published.yaml", (4, 9, 3, 10, 3)),
            ("20 x 10 x 10", "config/large.yaml", (11, 20, 10, 4, 11)),
        ):
            keys = ("targets", "arms", "seeds", "bundles", "sheets")
            snakefile = BARE.format(**dict(zip(keys, shape, strict=True)))
            (bare / "Snakefile").write_text(snakefile, encoding="utf-8")
            ours = [dry_run(folder, "--configfile", file) for _ in range(3)]
            peer = [dry_run(bare, "--scheduler", "greedy") for _ in range(3)]
            (wall, jobs), (bare_wall, bare_jobs) = sorted(ours)[1], sorted(peer)[1]
            print(
                f"{name}: {jobs} jobs in {wall:.1f} s; bare Snakefile {bare_jobs} jobs in "
                f"{bare_wall:.1f} s; ratio {wall / bare_wall:.2f} (limit {RATIO})"
            )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"largest process {peak:.2f} GiB (limit {GIBIBYTES}); limit of time {SECONDS} s")


if __name__ == "__main__":
    main()
