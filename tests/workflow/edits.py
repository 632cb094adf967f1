"""Edits of a finished project: of its code, its configuration, its files and its raw data."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grown import MODULES
from miniature import Project, write_weights

from mammoshift.files import sha256_of_file

Edit = Callable[[Project], object]
LIBRARY = "src/mammoshift/"


# -- code ----------------------------------------------------------------------------------------


def replaced(file: str, old: str, new: str) -> Edit:
    """Replace a text in a module of the library."""
    return lambda project: project.edit(LIBRARY + file, old, new)


def code(file: str) -> Edit:
    """Add a statement that runs to a module of the library."""
    return lambda project: project.add_code(LIBRARY + file)


def order_of_functions(project: Project) -> None:
    """Move the first function of the samplers behind all others."""
    path = project.folder / LIBRARY / "training" / "sampler.py"
    text = path.read_text(encoding="utf-8")
    start, end = text.index("def epoch_order("), text.index("def batch_bounds(")
    path.write_text(
        text[:start] + text[end:].rstrip() + "\n\n\n" + text[start:end].rstrip() + "\n",
        encoding="utf-8",
    )


def private_function_renamed(project: Project) -> None:
    """Give a private function another name, wherever its module says it."""
    path = project.folder / LIBRARY / "training" / "sampler.py"
    text = path.read_text(encoding="utf-8")
    assert text.count("_repeated_permutations") > 1
    path.write_text(text.replace("_repeated_permutations", "_again_and_again"), encoding="utf-8")


def local_variable_renamed(project: Project) -> None:
    """Give a local variable another name."""
    path = project.folder / LIBRARY / "training" / "sampler.py"
    text = path.read_text(encoding="utf-8")
    assert text.count("rounds") == 2
    path.write_text(text.replace("rounds", "turns"), encoding="utf-8")


def new_module(what: str) -> Edit:
    """Add what the project may grow by."""
    file, text = MODULES[what]
    return lambda project: (project.folder / LIBRARY / file).write_text(text, encoding="utf-8")


def new_twin(project: Project) -> None:
    """Add a twin, and the adapter of its archive."""
    new_module("adapter")(project)
    twins = project.folder / LIBRARY / "phantoms" / "twins"
    (twins / "other.py").write_bytes((twins / "mias.py").read_bytes())


def new_metric(project: Project) -> None:
    """Report one more metric at each threshold."""
    project.edit(
        LIBRARY + "evaluation/thresholds.py",
        '    "balanced_accuracy",\n',
        '    "balanced_accuracy",\n    "npv",\n',
    )


def new_table(project: Project) -> None:
    """Print a table twice, which stands for one more."""
    file = LIBRARY + "report/tables/every.py"
    project.edit(file, "        arm_table,\n", "        arm_table,\n        arm_table,\n")


def optional_field(after: str, file: str) -> Edit:
    """Add an optional field to a model of the configuration."""
    return replaced(f"configuration/{file}", after, f"{after}\n    new: int | None = None")


def fresh_code(project: Project) -> None:
    """Replace all code by a fresh copy, as a clone beside the results would."""
    for part in ("Snakefile", "rules", "workflow", "src"):
        path = project.folder / part
        old = path.with_name(f"old_{part}")
        path.rename(old)
        if old.is_dir():
            shutil.copytree(old, path, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(old, path)


# -- configuration ---------------------------------------------------------------------------------


def study(**values: Any) -> Edit:
    """Set keys of the study."""
    return lambda project: project.edit_study(lambda content: content.update(values))


def in_study(section: str, **values: Any) -> Edit:
    """Set keys of a section of the study."""
    return lambda p: p.edit_study(lambda content: content.setdefault(section, {}).update(values))


def arm(name: str, **values: Any) -> Edit:
    """Set keys of an arm."""
    return lambda p: p.edit_study(lambda content: content["arms"][name].update(values))


def dataset(name: str, **values: Any) -> Edit:
    """Set keys of a dataset."""
    return lambda p: p.edit_datasets(lambda content: content[name].update(values))


def backbone(**values: Any) -> Edit:
    """Set keys of the backbone."""
    return lambda p: p.edit_backbones(lambda content: content["tiny"].update(values))


def of_weights(**values: Any) -> Edit:
    """Set keys of the backbone's weights."""
    return lambda p: p.edit_backbones(lambda content: content["tiny"]["weights"].update(values))


def setting(**values: Any) -> Edit:
    """Set keys of `config.yaml`."""
    return lambda p: p.edit_yaml("config/config.yaml", lambda content: content.update(values))


def pinned_weights(project: Project) -> None:
    """Pin the hash of the weights file as it is."""
    of_weights(sha256=sha256_of_file(project.folder / "weights" / "tiny.safetensors"))(project)


def another_twin(project: Project) -> None:
    """Draw a dataset's patients anew."""
    project.edit_datasets(lambda content: content["cbis_ddsm"]["twin"].update(seed=2))


def another_split(project: Project) -> None:
    """Divide the patients anew."""
    project.edit_study(lambda content: content["source"].update(split_seed=5))


def new_arm(project: Project) -> None:
    """Add an arm."""
    arms = {"focal": {"backbone": "tiny", "loss": {"name": "focal"}}}
    project.edit_study(lambda content: content["arms"].update(arms))


def removed_arm(project: Project) -> None:
    """Take an arm away, and the family that compares it."""
    project.edit_study(lambda content: (content["arms"].pop("started"), content.pop("comparisons")))


def reversed_arms(project: Project) -> None:
    """List the arms in another order."""
    project.edit_study(
        lambda content: content.update(arms=dict(reversed(list(content["arms"].items()))))
    )


def reversed_entries(project: Project) -> None:
    """List the datasets, and what is said of each, in another order."""
    path = project.folder / "config" / "datasets" / "small.yaml"
    project.edit_datasets(_turn)
    assert path.read_text(encoding="utf-8").startswith("hospital:")


def _turn(content: dict) -> None:
    entries = [(name, dict(reversed(list(one.items())))) for name, one in content.items()]
    content.clear()
    content.update(reversed(entries))


def new_backbone(project: Project) -> None:
    """Add a backbone that no arm has."""
    project.edit_backbones(lambda content: content.update(other={**content["tiny"]}))


def second_study(project: Project) -> None:
    """Add a study's file, which no configuration names."""
    folder = project.folder / "config" / "studies"
    shutil.copyfile(folder / "small.yaml", folder / "other.yaml")


# -- files ---------------------------------------------------------------------------------------


def touched(project: Project) -> None:
    """Give every file the present time."""
    for path in project.folder.rglob("*"):
        if ".snakemake" not in path.parts and not path.is_symlink():
            os.utime(path)


def seeds_exchanged(project: Project) -> None:
    """Let each of two models of an arm lie in the place of the other, with its key."""
    one, other = (project.folder / "results/small/plain" / f"seed-{seed}" for seed in (0, 1))
    one.rename(one.with_name("aside"))
    other.rename(one)
    one.with_name("aside").rename(other)


def without_hidden_files(project: Project) -> None:
    """Leave of the results and of the workflow's folder what a copy of `*` would."""
    shutil.rmtree(project.folder / ".snakemake")
    for path in sorted((project.folder / "results").rglob(".*"), reverse=True):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def forgotten(project: Project) -> None:
    """Delete `.snakemake`, and give results times in no order, as a careless copy would."""
    shutil.rmtree(project.folder / ".snakemake")
    files = sorted(path for path in (project.folder / "results").rglob("*") if path.is_file())
    random.Random(0).shuffle(files)
    for second, path in enumerate(files):
        os.utime(path, (1.8e9 + second, 1.8e9 + second))


def moved_data(project: Project) -> None:
    """Move archives and weights, and say so."""
    for name in ("archives", "weights"):
        (project.folder / name).rename(project.folder / f"elsewhere_{name}")
        project.edit("config/config.yaml", f"{name}: {name}", f"{name}: elsewhere_{name}")


def other_version(project: Project) -> None:
    """Let another version of timm be the installed one, as far as its metadata say."""
    folder = project.folder / "src" / "timm-99.0.dist-info"
    folder.mkdir()
    text = "Metadata-Version: 2.1\nName: timm\nVersion: 99.0\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")


def other_weights(project: Project) -> None:
    """Replace the third party's weights."""
    write_weights(project.folder / "weights" / "tiny.safetensors", seed=1)


def deleted(*paths: str) -> Edit:
    """Delete results."""
    return lambda project: [(project.folder / "results" / path).unlink() for path in paths]


def flipped(project: Project, pattern: str, count: int = 1) -> Path:
    """Change bytes in the middle of the first file of a pattern; its size stays."""
    path = sorted(project.folder.glob(pattern))[0]
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + count] = bytes(b ^ 0xFF for b in content[middle : middle + count])
    path.write_bytes(bytes(content))
    return path


# -- raw data ----------------------------------------------------------------------------------


def films(project: Project) -> list[Path]:
    """Return the images of the real archive."""
    return sorted((project.folder / "archives" / "mias").rglob("*.pgm"))


def _info(project: Project) -> Path:
    folder = project.folder / "archives" / "mias"
    return next(path for path in folder.rglob("*") if path.name.lower() == "info.txt")


def new_images(project: Project) -> None:
    """Add the two breasts of one more patient."""
    known = films(project)
    number = int(known[-1].stem[3:]) + 1
    info = _info(project)
    lines = info.read_text(encoding="utf-8").splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("mdb"))
    names = [f"mdb{number + k:03}" for k in (0, 1)]
    for name, film in zip(names, known[-2:], strict=True):
        shutil.copyfile(film, film.with_name(f"{name}.pgm"))
    lines[last + 1 : last + 1] = [f"{name} G NORM" for name in names]
    info.write_text("\n".join(lines) + "\n", encoding="utf-8")


def removed_image(project: Project) -> None:
    """Delete an image."""
    films(project)[0].unlink()


def changed_image(project: Project) -> None:
    """Change some rows in the middle of an image."""
    film = films(project)[3]
    flipped(project, str(film.relative_to(project.folder)), count=1000)


def changed_label(project: Project) -> None:
    """Let a benign lesion be malignant."""
    info = _info(project)
    lines = info.read_text(encoding="utf-8").splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("mdb") and " B" in line)
    lines[place] = lines[place].replace(" B", " M", 1)
    info.write_text("\n".join(lines) + "\n", encoding="utf-8")
