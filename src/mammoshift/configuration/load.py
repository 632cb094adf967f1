"""Reading the configuration: settings, datasets, backbones, studies; one clear error if wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from mammoshift.configuration.arms import ArmError
from mammoshift.configuration.dataset import Dataset, Datasets
from mammoshift.configuration.gallery import check_gallery
from mammoshift.configuration.messages import described
from mammoshift.configuration.model import ArmBase, Backbone, InputRecipe, Name, Strict
from mammoshift.configuration.naming import known
from mammoshift.configuration.published import PublishedStudy
from mammoshift.configuration.reading import check_readers
from mammoshift.configuration.resolved import ResolvedStudy, resolve_study
from mammoshift.configuration.shared_archives import with_shared_archives
from mammoshift.configuration.study import Study
from mammoshift.errors import ConfigurationError

RESERVED_STUDIES = frozenset(
    {"archives", "datasets", "pixels", "features", "weights", "logs", "report", "tables", "kept"}
)
KEPT = "kept"
"""Folder of kept results among the others."""

MERGED = "the configuration (config/config.yaml with what --configfile and --config put over it)"
"""What a wrong key of the settings is said of: they come as one, whichever file a key is from."""
WHOLE = "keras_end2end"
"""The format of weights files that hold a whole classifier, and the head that it has."""

WHOLE_HEAD = "end2end_512x1"

Backbones = dict[Name, Backbone]

if TYPE_CHECKING:
    _SafeLoader = yaml.SafeLoader
else:
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Settings(Strict):
    """The keys of `config/config.yaml`: which files to read and where things lie.

    `archives` and `weights` are folders of this machine; where they are is no part of a result,
    so moving them makes nothing invalid. `store` is the folder in which finished trainings and
    scores are kept for later, default `kept` among the results, and may be shared by several
    clones; `store_gigabytes` is the size that it may have. `versions` says what another version of
    a library that decodes or computes means for finished results: `note` (the default) that it is
    told, `rerun` that they are made again.
    """

    studies: tuple[str, ...]
    datasets: str
    backbones: str
    archives: str = "archives"
    weights: str = "weights"
    pathvars: dict[str, str] = Field(default_factory=dict)
    store: str | None = None
    store_gigabytes: Annotated[float, Field(ge=0.0)] | None = None
    versions: Literal["note", "rerun"] | None = None

    def kept(self, results: str | Path) -> dict[str, Any]:
        """Return the folder of the store, and its size in units of 10^9 bytes where it is set."""
        folder = Path(results, KEPT) if self.store is None else Path(self.store).expanduser()
        size = {} if self.store_gigabytes is None else {"gigabytes": self.store_gigabytes}
        return {"folder": str(folder), **size}


@dataclass(frozen=True, eq=False)
class Project:
    """Everything that the workflow reads from YAML, checked.

    A project is equal to itself alone, so that what is worked out of one can be remembered.
    """

    settings: Settings
    datasets: Mapping[str, Dataset]
    backbones: Mapping[str, Backbone]
    studies: Mapping[str, ResolvedStudy]
    published: Mapping[str, PublishedStudy] = field(default_factory=dict)

    @cached_property
    def used_datasets(self) -> tuple[str, ...]:
        """Names of the datasets that a study uses, in the order of first use."""
        return tuple(dict.fromkeys(d for study in self.studies.values() for d in study.datasets))

    def recipe(self, study: str, arm: str, domain: str) -> InputRecipe | None:
        """Return how an arm of a study takes the images of a domain, None without images."""
        recipe, patches = (
            self.studies[study].input_of(arm),
            self.studies[study].domains[domain].patches,
        )
        if recipe is None or patches is None:
            return recipe
        return recipe.model_copy(update={"patch": patches})

    def of_dataset(self, dataset: str, recipe: InputRecipe) -> InputRecipe:
        """Return the input recipe as it applies to `dataset`, with its own tone if it has one."""
        tone = self.datasets[dataset].tone
        return recipe if tone is None else recipe.model_copy(update={"tone": tone})

    def archive_root(self, dataset: str, results: Path) -> Path:
        """Return the folder of a dataset's raw archive: the user's, or the twin's."""
        root = self.datasets[dataset].root
        if root is None:
            return results / "archives" / dataset
        return Path(self.settings.archives).expanduser() / root


def load_project(
    settings: Mapping[str, Any], folder: Path, fallback: Path | None = None
) -> Project:
    """Read and check all configuration files that `settings` names, relative to `folder`.

    A file that is not there is looked for below `fallback`: where another workflow uses this one
    as a module, it has studies of its own and may name the datasets and backbones of this one.

    Raises
    ------
    ConfigurationError
        Naming the file, the key, what was found and what is allowed.
    """
    _check_is_no_other_file(settings)
    checked = _validate(Settings, dict(settings), MERGED)
    folders = (folder,) if fallback is None else (folder, fallback)
    datasets = _read(folders, checked.datasets, Datasets)
    backbones = _read(folders, checked.backbones, Backbones)
    studies: dict[str, ResolvedStudy] = {}
    published: dict[str, PublishedStudy] = {}
    for file in checked.studies:
        name = Path(file).stem
        if name in RESERVED_STUDIES or name in studies or not name.isidentifier():
            raise ConfigurationError(f"{file}: a study cannot be called {name}; rename the file")
        study = _resolved(name, _read(folders, file, Study), file)
        _check_references(study, datasets, backbones, checked, file)
        studies[name] = with_shared_archives(study, datasets, file)
        if study.record.published is not None:
            beside = Path(file).parent / study.record.published
            published[name] = _read(folders, str(beside), PublishedStudy)
    return Project(checked, datasets, backbones, studies, published)


def _check_is_no_other_file(settings: Mapping[str, Any]) -> None:
    """Refuse a study, datasets or backbones in the place of the configuration that names them."""
    records = [value for value in settings.values() if isinstance(value, Mapping)]
    for there, kind, key in (
        ("arms" in settings and "seeds" in settings, "a study", "studies"),
        (any("adapter" in record for record in records), "datasets", "datasets"),
        (any("architecture" in record for record in records), "backbones", "backbones"),
    ):
        if there:
            raise ConfigurationError(
                f"the configuration: holds the keys of {kind}. A configuration is a file with the "
                "keys studies, datasets and backbones, such as config/config.yaml; name this file "
                f"there under {key}, and give that one as --configfile"
            )


def read_yaml(path: Path) -> Any:
    """Read one YAML file with the safe loader; a key that occurs twice is refused."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 text: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {_where(error, text)}") from None


def _where(error: yaml.YAMLError, whole: str) -> str:
    """Return what is wrong with a text, in one line, with the place as a person counts."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    text = f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    if problem == "mapping values are not allowed in this context":
        text += "; a text with a colon and a space needs quotes around it, or an indent is wrong"
    if "\t" in "".join(whole.splitlines()[mark.line : mark.line + 1]):
        text += "; there is a tab: indent with spaces"
    return text


class _UniqueKeyLoader(_SafeLoader):
    """The safe loader, refusing a mapping that gives the same key twice.

    As in YAML 1.2, only `true` and `false` are Booleans: `on`, `off`, `yes` and `no` are text.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                mark = node.value[position][0].start_mark
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", mark
                )
        return super().construct_mapping(node, deep)


_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _read(folders: Sequence[Path], file: str, form: Any) -> Any:
    found = (folder / file for folder in folders if (folder / file).is_file())
    path = next(found, folders[0] / file)
    content = read_yaml(path)
    return _validate(form, content if content is not None else {}, file)


def _validate(form: Any, content: Any, where: str) -> Any:
    try:
        return TypeAdapter(form).validate_python(content)
    except ValidationError as error:
        raise ConfigurationError(described(error, form, where)) from None


def _resolved(name: str, study: Study, file: str) -> ResolvedStudy:
    try:
        resolved = resolve_study(name, study, file)
    except ArmError as arm:
        where = f"{file}: arms.{arm.name}, after defaults"
        raise ConfigurationError(described(arm.error, arm.form, where)) from None
    check_readers(resolved, file)
    check_gallery(resolved, file)
    return resolved


def _check_references(
    study: ResolvedStudy,
    datasets: Mapping[str, Dataset],
    backbones: Mapping[str, Backbone],
    settings: Settings,
    file: str,
) -> None:
    in_datasets = f"dataset in {settings.datasets} called"
    source, targets = study.record.source, study.record.targets or ()
    if source is not None:
        known(f"{file}: source.dataset", source.dataset, datasets, in_datasets)
    for position, target in enumerate(targets):
        known(f"{file}: targets.{position}", target, datasets, in_datasets)
    for name, domain in study.domains.items():
        for dataset in domain.datasets:
            known(f"{file}: domains.{name}.datasets", dataset, datasets, in_datasets)
    in_backbones = f"backbone in {settings.backbones} called"
    for name, arm in study.arms.items():
        backbone = getattr(arm, "backbone", None)
        if backbone is None:
            continue
        known(f"{file}: arms.{name}.backbone", backbone, backbones, in_backbones)
        try:
            backbones[backbone].normalised(getattr(arm, "normalisation", None))
        except ConfigurationError as error:
            raise ConfigurationError(f"{file}: arms.{name}.{error}") from None
        if arm.initialisation == "pretrained" and backbones[backbone].weights is None:
            raise ConfigurationError(
                f"{file}: arms.{name}.initialisation: pretrained needs a weights file for the "
                f"backbone {backbone} in {settings.backbones}"
            )
        if arm.makes_model and not arm.learns and not _is_whole(arm, backbones[backbone]):
            raise ConfigurationError(
                f"{file}: arms.{name}.training.stages: the weights of the backbone {backbone} are "
                "no whole classifier for the arm's head, so that the arm has to learn; give it "
                f"stages, or a backbone with weights of the format {WHOLE} and head: {{kind: "
                f"{WHOLE_HEAD}, outputs: 2}}"
            )


def _is_whole(arm: ArmBase, backbone: Backbone) -> bool:
    """Return whether the weights file of a pretrained arm has its head too."""
    head = getattr(arm, "head", None)
    fits = head is not None and (head.kind, head.outputs) == (WHOLE_HEAD, 2)
    return fits and backbone.weights is not None and backbone.weights.format == WHOLE
