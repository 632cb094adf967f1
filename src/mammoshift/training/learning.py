"""What learns in a stage of training, and which parameters share a rate and a weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mammoshift.configuration.training import Stage
from mammoshift.errors import ConfigurationError
from mammoshift.models.architectures import timm
from mammoshift.models.classifier import FEATURES, Classifier

Group = dict[str, Any]
NAMES_SHOWN = 40


def prepare_stage(model: Classifier, stage: Stage) -> None:
    """Let learn what a stage says, and keep the rest as it is.

    Raises
    ------
    ConfigurationError
        If a part that the stage names does not exist, or nothing is left to learn.
    """
    learning = learning_parameters(model, stage)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in learning)
    normalisations = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    model.keep_still(normalisations if stage.batch_norm is not None else ())
    model.set_dropout(stage.dropout)


def learning_parameters(model: Classifier, stage: Stage) -> frozenset[str]:
    """Return the names of the parameters that learn in a stage; errors as in `prepare_stage`."""
    names = [name for name, _ in model.named_parameters()]
    learning = set(names)
    if stage.train == "head":
        learning = {name for name in names if not name.startswith(FEATURES)}
        learning |= _last_blocks(model, stage.last_blocks or 0)
    learning |= _named(names, stage.unfreeze or ())
    learning -= _named(names, stage.freeze or ())
    if stage.batch_norm == "frozen":
        learning -= {
            f"{path}.{name}"
            for path, module in model.named_modules()
            if isinstance(module, _BatchNorm)
            for name, _ in module.named_parameters(recurse=False)
        }
    if not learning:
        raise ConfigurationError("a stage of training freezes everything; leave something to learn")
    return frozenset(learning)


def parameter_groups(model: Classifier, stage: Stage) -> list[Group]:
    """Return what learns in a stage, in groups of one rate and one weight decay.

    `lr_scale` is what the stage's rate is multiplied by. Without settings that tell parameters
    apart there is one group.
    """
    blocks = _blocks(model) if stage.layer_decay is not None else {}
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        scale = 1.0
        if name.startswith(FEATURES):
            scale *= stage.features_lr or 1.0
            if stage.layer_decay is not None:
                scale *= stage.layer_decay ** (1 + max(blocks.values()) - blocks[name])
        spared = stage.weight_decay_on == "kernels" and parameter.ndim < 2
        key = (scale, 0.0 if spared else stage.weight_decay)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "lr_scale": scale, "weight_decay": decay}
        for (scale, decay), parameters in groups.items()
    ]


def _last_blocks(model: Classifier, count: int) -> set[str]:
    if not count:
        return set()
    blocks = _blocks(model)
    number = max(blocks.values()) + 1
    if count > number:
        raise ConfigurationError(
            f"last_blocks: the feature extractor has {number} blocks, not {count}; "
            "to train all of it say train: all"
        )
    return {name for name, block in blocks.items() if block >= number - count}


def _blocks(model: Classifier) -> dict[str, int]:
    """Return the block of each of the features' parameters, as timm counts them from the input."""
    features: Any = model.features
    if not hasattr(features, "group_matcher"):
        raise ConfigurationError(
            f"{type(features).__name__} does not say what its blocks are; leave last_blocks and "
            "layer_decay out, or name parts with freeze"
        )
    matcher = features.group_matcher(coarse=False)
    found = timm.models.group_parameters(features, matcher, reverse=True)
    return {FEATURES + name: block for name, block in found.items()}


def _named(names: Iterable[str], parts: Iterable[str]) -> set[str]:
    """Return the parameters that are a part or lie in it; each part must have some."""
    found: set[str] = set()
    known = list(names)
    for part in parts:
        own = {n for n in known if fnmatchcase(n, part) or fnmatchcase(n, f"{part}.*")}
        if not own:
            raise ConfigurationError(
                f"a stage names {part}, but the classifier has no such part; its parts are "
                f"{', '.join(_parts(known))}"
            )
        found |= own
    return found


def _parts(names: Iterable[str]) -> list[str]:
    """Return parts of the first and second level, in the classifier's order."""
    found = dict.fromkeys(".".join(name.split(".")[:2]) for name in names)
    return [*list(found)[:NAMES_SHOWN], *(["and more"] if len(found) > NAMES_SHOWN else [])]
