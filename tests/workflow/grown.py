"""What a project may grow by: modules that nobody uses, as they would be added."""

from __future__ import annotations

ADAPTER = '''"""An archive that nobody uses."""

from mammoshift.archives.registry import AdapterOptions

SOURCE = "A new archive."


class Options(AdapterOptions):
    """No choices."""


def read_records(archive, options):
    """Yield nothing."""
    return iter(())
'''
SPLIT = '''"""A split that nobody uses."""

from typing import Literal

from mammoshift.cases.splits._options import WithoutFolds


class Options(WithoutFolds):
    """No options."""

    method: Literal["all_train"] = "all_train"


def assign(cases, options, others):
    """Put everybody into train."""
    from mammoshift.cases.splits._assignment import Assignment

    return Assignment([("train",) for _ in range(len(cases))])
'''
KIND = '''"""A kind of arm that nobody uses."""

from typing import Literal

from mammoshift.configuration.model import ArmBase


class ConstantArm(ArmBase):
    """Gives every case the same score."""

    kind: Literal["constant"] = "constant"


ARM = ConstantArm
CASE_COLUMNS = ()
SCORED_COLUMNS = ()
SCORES_UNITS = False


def fit(request):
    """Write nothing."""


def score(request):
    """Return zeros."""
    import numpy as np

    return np.zeros((len(request.models), len(request.cases)))
'''
LOSS = '''"""A loss that nobody uses."""


def build(settings, positive_weight):
    """Return zero."""
    return lambda output, labels, densities: 0.0 * output.logit.sum()
'''
HEAD = '''"""A head that nobody uses."""

from torch import nn

TAKES_MAP = False


def build(shape, units, outputs):
    """Return a layer."""
    return nn.Linear(shape[0], outputs, bias=False)
'''
TONE = '''"""A tone that nobody uses."""

import numpy as np


def needs_range(image):
    """Return False."""
    return False


def tone(crop):
    """Return black."""
    return np.zeros(crop.values.shape, np.uint16)
'''
MASK = '''"""A mask that nobody uses."""


def shown(image, region, view):
    """Return the region."""
    return region
'''
FEATURES = '''"""A set of features that nobody uses."""

import numpy as np

NAMES = ("zero",)


def compute(region):
    """Return zero."""
    return np.zeros(1)
'''
MODULES = {
    "adapter": ("archives/adapters/other.py", ADAPTER),
    "split method": ("cases/splits/all_train.py", SPLIT),
    "kind of arm": ("kinds/constant.py", KIND),
    "loss": ("training/losses/nothing.py", LOSS),
    "head": ("models/heads/without_bias.py", HEAD),
    "tone": ("imaging/tones/black.py", TONE),
    "mask": ("imaging/masks/everything.py", MASK),
    "set of image features": ("radiomics/sets/zero.py", FEATURES),
}
"""What is new -> its file below `src/mammoshift`, and the file's text."""
