"""Fingerprints change with what a script's code does, and with nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from mammoshift.provenance.fingerprint import code_definitions, code_fingerprint, code_key

FILES = {
    "script.py": """
from mammoshift.api import passed_on
from mammoshift.bases import Child
from mammoshift.main import run
from mammoshift import stats
from mammoshift.texts import speak
from mammoshift.configuration.models import Settings
from mammoshift.errors import ImageError

def unused_in_script():
    return 1

with open("log") as log:
    import math
    print(run(2), passed_on(3), Child().area(), stats.auc([1]), math.pi)
    speak(3, print)
    Settings.model_validate(snakemake.params).area()
""",
    "mammoshift/__init__.py": '"""Package."""\n',
    "mammoshift/api.py": "from mammoshift.implementation import passed_on\n",
    "mammoshift/implementation.py": """
def passed_on(x):
    return x + 1

def other(x):
    return x + 2
""",
    "mammoshift/bases.py": """
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple
from pydantic import BaseModel

class Kind(IntEnum):
    A = 1
    B = 2

class Pair(NamedTuple):
    left: int
    right: int = 0

class Model(BaseModel):
    size: int = 1

@dataclass(frozen=True)
class Record:
    name: str
    place: int = 7
    values: list = field(default_factory=list)

class Base:
    def area(self):
        return Kind.A, Pair(1), Record("x"), Model()

class Child(Base):
    factor = 2

    def beta(self):
        return self.factor

    def alpha(self):
        return -self.factor
""",
    "mammoshift/stats.py": """
import numpy as np

LEVEL = 0.95

def auc(x):
    return np.mean(x) * LEVEL

def variance(x):
    return np.var(x)
""",
    "mammoshift/main.py": '''
"""Main."""
from __future__ import annotations

import functools
import re
from typing import Literal

import numpy as np

from mammoshift import alias, lazily, named, optional
from mammoshift.decorators import doubled

Method = Literal["mean", "max"]
DEFAULT = 3
STEP = LEAP = 2
LOW, HIGH = 1, 9
_PATTERN = re.compile("a+")


def run(x: int, start=DEFAULT, *, method: Method = "mean") -> float:
    """Run."""
    # a comment
    from mammoshift.lazily import late

    part = functools.partial(_partly, 1)
    total: float = _first(x) - _second(x) + part(x) + late(x) + decorated(x)
    assert total > -1000
    return REDUCERS[method]([total, alias.SCALE, STEP, LOW, HIGH, start]) + recursive(3)


def _first(x):
    return x * 2


def _second(x):
    return x * 3


def _partly(a, b):
    return a + b + len(_PATTERN.findall("aa"))


@doubled
def decorated(x):
    return x


def recursive(n):
    return _even(n)


def _even(n):
    return True if n == 0 else _odd(n - 1)


def _odd(n):
    return False if n == 0 else _even(n - 1)


REDUCERS = {"mean": np.mean, "max": lambda values: max(values), "named": named.choose}
''',
    "mammoshift/decorators.py": """
def doubled(function):
    def inner(*a):
        return 2 * function(*a)
    return inner
""",
    "mammoshift/alias.py": "from mammoshift.constants import SCALE\n",
    "mammoshift/constants.py": "SCALE = 4\nUNUSED = 5\n",
    "mammoshift/lazily.py": "def late(x):\n    return x - 1\n\ndef later(x):\n    return x\n",
    "mammoshift/optional.py": """
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

warnings.filterwarnings("ignore")
try:
    from mammoshift.fast import speed
except ImportError:
    speed = 1
""",
    "mammoshift/fast.py": "speed = 5\n",
    "mammoshift/named.py": """
from importlib import import_module

MODULES = {"p": "mammoshift.plugins.p", "q": "mammoshift.plugins.q"}

def choose(name):
    return import_module(MODULES[name]).work()
""",
    "mammoshift/plugins/__init__.py": "",
    "mammoshift/plugins/p.py": "def work():\n    return 1\n",
    "mammoshift/plugins/q.py": "def work():\n    return 2\n",
    "mammoshift/texts.py": """
import logging
import warnings

from mammoshift.errors import ImageError

logger = logging.getLogger(__name__)
SHOWN = 3

def listed(names):
    return ", ".join(names)

def speak(x, progress):
    progress(f"at {x:.2f}")
    print("value", x, round(x))
    logger.info("x is %s", x)
    warnings.warn("careful")
    if x < 0:
        raise ImageError(f"{x} is negative: {listed(['a'])}") from None
    if x > 99:
        raise ImageError("too large")
""",
    "mammoshift/errors.py": """
class MammoshiftError(Exception):
    exit_code = 1

class ImageError(MammoshiftError):
    pass
""",
    "mammoshift/configuration/__init__.py": "",
    "mammoshift/configuration/models.py": """
from typing import Literal
from pydantic import BaseModel, field_validator

Unit = Literal["mm", "um"]

class Settings(BaseModel):
    width: int = 1
    unit: Unit = "mm"

    @field_validator("width")
    @classmethod
    def _positive(cls, value):
        if value < 0:
            raise ValueError("negative")
        return value

    def area(self):
        return self.width ** 2
""",
    "mammoshift/provenance/__init__.py": "",
    "mammoshift/provenance/reuse.py": "def keep():\n    return 1\n",
    "mammoshift/apart.py": "A = 1\n",
}

Edit = tuple[str, str, str]

WITHOUT_EFFECT: dict[str, Edit] = {
    "docstring": ("main", '"""Run."""', '"""Run it."""'),
    "comment": ("main", "# a comment", "# another"),
    "formatting": ("main", "return a + b +", "return (a   + b) +"),
    "annotation of an argument": ("main", "x: int", "x: float"),
    "annotation without its import": ("main", 'method: Method = "mean"', 'method = "mean"'),
    "annotation of a result": ("main", "-> float", "-> int"),
    "annotation of a variable": ("main", "total: float =", "total ="),
    "annotation of a constant": ("stats", "LEVEL =", "LEVEL: float ="),
    "type alias": ("main", '["mean", "max"]', '["mean", "max", "named"]'),
    "private function renamed": ("main", "_first", "_primary"),
    "private constant renamed": ("main", "_PATTERN", "_LETTERS"),
    "recursive private functions renamed": ("main", "_odd", "_uneven"),
    "unused function": ("stats", "LEVEL =", "def unused():\n    return 1\n\nLEVEL ="),
    "unused constant": ("stats", "LEVEL =", "import re\n_A = re.compile('a')\nLEVEL ="),
    "unused class": ("stats", "LEVEL =", "class Unused:\n    pass\n\nLEVEL ="),
    "unreached function": ("stats", "np.var(x)", "np.var(x, ddof=1)"),
    "unreached constant": ("constants", "UNUSED = 5", "UNUSED = 6"),
    "unreached lazy function": ("lazily", "return x\n", "return -x\n"),
    "unreached function of a re-exporter": ("implementation", "x + 2", "x + 3"),
    "unimported module": ("apart", "A = 1", "A = 2"),
    "function of the script that it does not call": ("script", "return 1", "return 2"),
    "alias of a library": ("stats", "np", "numpy_as"),
    "text of an error": ("texts", "is negative", "is below zero"),
    "plain text of an error": ("texts", "too large", "larger than 99"),
    "cause of an error": ("texts", " from None", ""),
    "format of a progress line": ("texts", "at {x:.2f}", "now at {x:.3f}"),
    "printed line": ("texts", 'print("value", x, round(x))', 'print("the value", SHOWN, abs(x))'),
    "no printed line": ("texts", '    print("value", x, round(x))\n', ""),
    "log line": ("texts", 'logger.info("x is %s", x)', 'logger.debug("x: %s", x)'),
    "warning": ("texts", "careful", "take care"),
    "exit code": ("errors", "exit_code = 1", "exit_code = 2"),
    "new error": (
        "errors",
        "class ImageError",
        "class Another(Exception):\n    pass\n\n\nclass ImageError",
    ),
    "new field of a configuration": (
        "configuration/models",
        "width:",
        "height: int = 1\n    width:",
    ),
    "validator": ("configuration/models", "value < 0", "value < 1"),
    "configured vocabulary": ("configuration/models", '"um"]', '"um", "nm"]'),
    "type checking": ("optional", "import Counter", "import OrderedDict"),
    "order of functions": (
        "main",
        "def _first(x):\n    return x * 2\n\n\ndef _second(x):\n    return x * 3\n",
        "def _second(x):\n    return x * 3\n\n\ndef _first(x):\n    return x * 2\n",
    ),
    "order of methods": (
        "bases",
        "    def beta(self):\n        return self.factor\n\n"
        "    def alpha(self):\n        return -self.factor\n",
        "    def alpha(self):\n        return -self.factor\n\n"
        "    def beta(self):\n        return self.factor\n",
    ),
    "annotation of a dataclass field": ("bases", "name: str", "name: int"),
}

WITH_EFFECT: dict[str, Edit] = {
    "function": ("main", "x * 2", "x * 4"),
    "two private functions swapped": ("main", "_first(x) - _second(x)", "_second(x) - _first(x)"),
    "constant": ("stats", "0.95", "0.9"),
    "constant behind an alias": ("constants", "SCALE = 4", "SCALE = 5"),
    "module-level alias": ("alias", "import SCALE", "import UNUSED as SCALE"),
    "default argument": ("main", "DEFAULT = 3", "DEFAULT = 4"),
    "which default": ("main", "start=DEFAULT", "start=STEP"),
    "shared constant": ("main", "STEP = LEAP = 2", "STEP = LEAP = 3"),
    "unpacked constant": ("main", "LOW, HIGH = 1, 9", "LOW, HIGH = 9, 1"),
    "order of unpacking": ("main", "LOW, HIGH =", "HIGH, LOW ="),
    "decorator": ("decorators", "2 * function", "3 * function"),
    "no decorator": ("main", "@doubled\n", ""),
    "cached": ("main", "@doubled\n", "@functools.cache\n@doubled\n"),
    "partial": ("main", "return a + b", "return a - b"),
    "what is partial": ("main", "(_partly, 1)", "(_partly, 2)"),
    "pattern": ("main", '"a+"', '"a*"'),
    "registry of functions": ("main", '"max": lambda values: max', '"max": lambda values: min'),
    "key of a registry": ("main", '"max": lambda', '"maximum": lambda'),
    "recursion": ("main", "return False if n == 0", "return True if n == 0"),
    "lazy import": ("lazily", "x - 1", "x - 2"),
    "which lazy import": ("main", "lazily import late", "lazily import later as late"),
    "assertion": ("main", "total > -1000", "total > 0"),
    "re-export": ("implementation", "x + 1", "x + 3"),
    "which re-export": ("api", "import passed_on", "import other as passed_on"),
    "base class": ("bases", "return Kind.A, Pair(1)", "return Kind.B, Pair(1)"),
    "no base class": ("bases", "Child(Base)", "Child"),
    "method": ("bases", "return -self.factor", "return self.factor"),
    "class value": ("bases", "factor = 2", "factor = 3"),
    "enumeration": ("bases", "A = 1", "A = 3"),
    "default of a dataclass": ("bases", "place: int = 7", "place: int = 8"),
    "order of fields": (
        "bases",
        "    left: int\n    right: int = 0",
        "    right: int = 0\n    left: int",
    ),
    "field of a dataclass": ("bases", "name: str", "name: str\n    more: int"),
    "type of a pydantic field": ("bases", "size: int", "size: float"),
    "named module": ("plugins/p", "return 1", "return 3"),
    "statement at import": ("optional", '"ignore"', '"error"'),
    "conditional import": ("optional", "import speed", "import speed as speeds"),
    "what is imported on a condition": ("fast", "speed = 5", "speed = 6"),
    "helper of an error's text": ("texts", "listed(['a'])", "listed(['b'])"),
    "type of an error": ("texts", 'raise ImageError("too', 'raise ValueError("too'),
    "when an error": ("texts", "x > 99", "x > 98"),
    "base of an error": ("errors", "ImageError(MammoshiftError)", "ImageError(ValueError)"),
    "printed into a file": ("texts", "round(x))", "round(x), file=progress)"),
    "printing that does something": ("texts", "round(x))", "listed.pop())"),
    "printing that assigns": ("texts", "round(x))", "(x := 3))"),
    "method of a configuration": ("configuration/models", "self.width ** 2", "self.width * 2"),
    "statement of the script": ("script", "run(2)", "run(3)"),
    "parameter of the script": ("script", "snakemake.params", "snakemake.config"),
    "public function renamed": ("implementation", "passed_on", "handed_on"),
}


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / (name if name == "script.py" else f"lib/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write(tmp_path, FILES)


def fingerprint(tree: Path, memory: Path | None = None) -> dict[str, str]:
    return code_fingerprint(tree / "script.py", tree / "lib", memory)


def edit(tree: Path, change: Edit) -> None:
    name, old, new = change
    path = tree / "script.py" if name == "script" else tree / "lib" / "mammoshift" / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    compile(path.read_text(encoding="utf-8"), path.name, "exec")


@pytest.mark.parametrize("change", WITHOUT_EFFECT.values(), ids=WITHOUT_EFFECT)
def test_what_shapes_no_result_keeps_it(tree: Path, change: Edit) -> None:
    before, key = fingerprint(tree), code_key(tree / "script.py", tree / "lib")
    edit(tree, change)
    os.utime(tree / "script.py", (0, 0))
    assert fingerprint(tree) == before
    assert code_key(tree / "script.py", tree / "lib") == key


@pytest.mark.parametrize("change", WITH_EFFECT.values(), ids=WITH_EFFECT)
def test_what_may_shape_a_result_changes_it(tree: Path, change: Edit) -> None:
    before, key = fingerprint(tree), code_key(tree / "script.py", tree / "lib")
    told = code_definitions(tree / "script.py", tree / "lib")
    edit(tree, change)
    assert fingerprint(tree) != before
    assert code_key(tree / "script.py", tree / "lib") != key
    assert code_definitions(tree / "script.py", tree / "lib") != told


@pytest.mark.parametrize(
    ("change", "module", "definition"),
    [
        (WITH_EFFECT["function"], "mammoshift.main", "_first"),
        (WITH_EFFECT["constant"], "mammoshift.stats", "LEVEL"),
        (WITH_EFFECT["constant behind an alias"], "mammoshift.constants", "SCALE"),
        (WITH_EFFECT["base class"], "mammoshift.bases", "Base"),
        (WITH_EFFECT["named module"], "mammoshift.plugins.p", "work"),
    ],
)
def test_the_changed_module_and_definition_are_named(
    tree: Path, change: Edit, module: str, definition: str
) -> None:
    before, told = fingerprint(tree), set(code_definitions(tree / "script.py", tree / "lib"))
    edit(tree, change)
    after = fingerprint(tree)
    assert {name for name in before if before[name] != after[name]} == {module}
    other = set(code_definitions(tree / "script.py", tree / "lib")) - told
    assert {(found.module, found.name) for found in other} == {(module, definition)}


REGISTERING = {
    "script.py": "from mammoshift.use import use\nuse('a')\n",
    "mammoshift/__init__.py": "",
    "mammoshift/registry.py": (
        "FOUND = {}\n\ndef register(f):\n    FOUND[f.__name__] = f\n    return f\n"
    ),
    "mammoshift/one.py": (
        "from mammoshift.registry import register\n\n@register\ndef a():\n    return 1\n"
    ),
    "mammoshift/use.py": (
        "import mammoshift.one\nfrom mammoshift.registry import FOUND\n\n"
        "def use(name):\n    return FOUND[name]()\n"
    ),
}
SUBCLASSES = {
    **REGISTERING,
    "mammoshift/registry.py": (
        "FOUND = {}\n\nclass Plugin:\n    def __init_subclass__(cls):\n"
        "        FOUND[cls.__name__] = cls\n"
    ),
    "mammoshift/one.py": (
        "from mammoshift.registry import Plugin\n\nclass a(Plugin):\n    def __init__(self):\n"
        "        self.x = 1\n"
    ),
}
MUTATED = {
    **REGISTERING,
    "mammoshift/one.py": "from mammoshift.registry import FOUND\nFOUND.update(a=lambda: 1)\n",
}
CALLED = {
    **REGISTERING,
    "mammoshift/one.py": (
        "from mammoshift.registry import register\n\n"
        "def a():\n    return 1\n\n_done = register(a)\n"
    ),
}
STARRED = {
    **REGISTERING,
    "mammoshift/one.py": "def a():\n    return 1\n",
    "mammoshift/use.py": "from mammoshift.one import *\n\ndef use(name):\n    return a()\n",
}
COMPUTED_ATTRIBUTE = {
    **REGISTERING,
    "mammoshift/one.py": "def a():\n    return 1\n",
    "mammoshift/use.py": (
        "from mammoshift import one\n\ndef use(name):\n    return getattr(one, name)()\n"
    ),
}
ALIASED_MODULE = {
    **COMPUTED_ATTRIBUTE,
    "mammoshift/use.py": (
        "import mammoshift.one as one\n\nTOOLS = [one]\n\ndef use(name):\n    return TOOLS[0].a()\n"
    ),
}
COMPUTED_MODULE = {
    **COMPUTED_ATTRIBUTE,
    "mammoshift/use.py": (
        "from importlib import import_module\n\ndef use(name):\n"
        "    return getattr(import_module(f'mammoshift.{name}'), 'a')()\n"
    ),
}
RELATIVE_MODULE = {
    **COMPUTED_ATTRIBUTE,
    "mammoshift/use.py": (
        "import importlib\n\ndef use(name):\n"
        "    return importlib.import_module('.' + name, __package__).a()\n"
    ),
}
LISTED_MODULES = {
    **COMPUTED_ATTRIBUTE,
    "mammoshift/use.py": (
        "import pkgutil\nimport mammoshift\n\ndef use(name):\n"
        "    return [m for m in pkgutil.iter_modules(mammoshift.__path__)]\n"
    ),
}
OWN_GLOBALS = {
    **COMPUTED_ATTRIBUTE,
    "mammoshift/use.py": (
        "from mammoshift.one import a as _hidden\n\ndef use(name):\n"
        "    return globals()[name]()\n\ndef b():\n    return _hidden()\n"
    ),
}
UNKNOWN_DECORATOR = {
    **COMPUTED_ATTRIBUTE,
    "mammoshift/use.py": (
        "import numba\nfrom mammoshift.one import a as _hidden\n\n@numba.jit\ndef use(name):\n"
        "    return 1\n\ndef b():\n    return _hidden()\n"
    ),
}
REBOUND = {
    **COMPUTED_ATTRIBUTE,
    "mammoshift/use.py": (
        "from mammoshift.one import a\n\ndef use(name):\n    return tool()\n\n"
        "if len('x'):\n    tool = a\nelse:\n    tool = None\n"
    ),
}
CHANGED_MODULE = {
    **COMPUTED_ATTRIBUTE,
    "mammoshift/use.py": (
        "from mammoshift import one\nfrom mammoshift import registry\n\n"
        "one.extra = registry.register\n\ndef use(name):\n    return one.a()\n"
    ),
}
DICTIONARY_OF_MODULE = {
    **COMPUTED_ATTRIBUTE,
    "mammoshift/use.py": (
        "from mammoshift import one\n\ndef use(name):\n    return one.__dict__[name]()\n"
    ),
}
NAME_OF_PACKAGE = {
    **COMPUTED_ATTRIBUTE,
    "script.py": "from mammoshift.far.use import use\nuse('a')\n",
    "mammoshift/far/__init__.py": "",
    "mammoshift/far/use.py": (
        "from importlib import import_module\nimport mammoshift as package\n\n"
        "def use(name):\n    return import_module(f'{package.__name__}.{name}').a()\n"
    ),
}
ALL_SUBCLASSES = {
    "script.py": "import mammoshift.one\nfrom mammoshift.use import use\nuse('a')\n",
    "mammoshift/__init__.py": "",
    "mammoshift/base.py": "class Base:\n    pass\n",
    "mammoshift/one.py": (
        "from mammoshift.base import Base\n\nclass A(Base):\n    def a(self):\n        return 1\n"
    ),
    "mammoshift/use.py": (
        "from mammoshift.base import Base\n\ndef use(name):\n"
        "    return [c().a() for c in Base.__subclasses__()]\n"
    ),
}
UNKNOWN = {
    "dictionary of a module": DICTIONARY_OF_MODULE,
    "name of a package": NAME_OF_PACKAGE,
    "all subclasses": ALL_SUBCLASSES,
    "registering decorator": REGISTERING,
    "registering base": SUBCLASSES,
    "change of another module's value": MUTATED,
    "call at import": CALLED,
    "star import": STARRED,
    "computed attribute": COMPUTED_ATTRIBUTE,
    "module as a value": ALIASED_MODULE,
    "computed module": COMPUTED_MODULE,
    "relative computed module": RELATIVE_MODULE,
    "listed modules": LISTED_MODULES,
    "globals": OWN_GLOBALS,
    "unknown decorator": UNKNOWN_DECORATOR,
    "rebound name": REBOUND,
    "changed module": CHANGED_MODULE,
}


@pytest.mark.parametrize("files", UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_known_is_reached(tmp_path: Path, files: Mapping[str, str]) -> None:
    tree = write(tmp_path, files)
    before = fingerprint(tree)
    edit(tree, ("one", "1", "2"))
    assert fingerprint(tree) != before


def test_statements_with_effects_count_in_their_order(tmp_path: Path) -> None:
    first = "from mammoshift.registry import FOUND\nFOUND.update(a=1)\nFOUND.update(a=2)\n"
    tree = write(tmp_path, {**REGISTERING, "mammoshift/one.py": first})
    before = fingerprint(tree)
    edit(
        tree,
        ("one", "FOUND.update(a=1)\nFOUND.update(a=2)", "FOUND.update(a=2)\nFOUND.update(a=1)"),
    )
    assert fingerprint(tree) != before


def test_a_use_that_says_which_modules_it_looks_up_reaches_those_alone(tree: Path) -> None:
    def looked_up(*modules: str) -> dict[str, str]:
        return code_fingerprint(tree / "script.py", tree / "lib", by_name=modules)

    p, q = "mammoshift.plugins.p", "mammoshift.plugins.q"
    assert {p, q} <= set(fingerprint(tree))
    before = looked_up(p)
    assert p in before and q not in before
    edit(tree, ("plugins/q", "return 2", "return 3"))
    new = 'q", "r": "mammoshift.plugins.r"}'
    edit(tree, ("named", 'q"}', new))
    write(tree, {"mammoshift/plugins/r.py": "def work():\n    return 3\n"})
    assert looked_up(p) == before
    assert "mammoshift.plugins.r" in fingerprint(tree)
    edit(tree, ("plugins/p", "return 1", "return 3"))
    assert looked_up(p) != before


def test_what_is_outside_may_change_and_move(tmp_path: Path) -> None:
    use = "from mammoshift.provenance.reuse import keep\n\ndef use(name):\n    return keep()\n"
    keeping = {"mammoshift/provenance/__init__.py": "", "mammoshift/use.py": use}
    reuse = "def keep():\n    return 1\n"
    tree = write(tmp_path, {**REGISTERING, **keeping, "mammoshift/provenance/reuse.py": reuse})
    before = fingerprint(tree)
    write(tree, {"mammoshift/provenance/kept.py": "def keep():\n    return 2\n"})
    edit(tree, ("use", "provenance.reuse", "provenance.kept"))
    assert fingerprint(tree) == before


def test_a_context_or_call_that_is_outside_does_not_count(tmp_path: Path) -> None:
    bare = (
        "from mammoshift.provenance.reuse import hold, keep\n\n"
        "def use(name):\n    x = len(name)\n    return x\n"
    )
    tree = write(
        tmp_path,
        {
            **REGISTERING,
            "mammoshift/provenance/__init__.py": "",
            "mammoshift/provenance/reuse.py": "def hold(a):\n    pass\n\ndef keep(b):\n    pass\n",
            "mammoshift/use.py": bare,
        },
    )
    before = fingerprint(tree)
    held = "    with hold(name) as a:\n        x = len(name)\n        keep(a)\n"
    edit(tree, ("use", "    x = len(name)\n", held))
    assert fingerprint(tree) == before
    edit(tree, ("use", "keep(a)", "keep(name.pop())"))
    assert fingerprint(tree) != before


def test_a_private_rename_alone_changes_definitions_but_no_key(tree: Path) -> None:
    before, told = fingerprint(tree), code_definitions(tree / "script.py", tree / "lib")
    edit(tree, WITHOUT_EFFECT["private function renamed"])
    assert fingerprint(tree) == before
    assert code_definitions(tree / "script.py", tree / "lib") != told


def test_what_is_remembered_never_hides_a_change(tree: Path) -> None:
    own = tree / "memory" / "code.json"
    before = fingerprint(tree, own)
    assert own.is_file()
    edit(tree, WITH_EFFECT["constant"])
    after = fingerprint(tree, own)
    assert {key for key in before if before[key] != after[key]} == {"mammoshift.stats"}
    assert after == fingerprint(tree)


def test_a_damaged_memory_is_made_anew(tree: Path) -> None:
    own = tree / "memory.json"
    own.write_text('{"a": [1, 2]}', encoding="utf-8")
    assert fingerprint(tree, own) == fingerprint(tree)


HOLDING = {
    "script.py": "from mammoshift.configuration.m import Whole\nprint(Whole(x=1).part.area())\n",
    "mammoshift/__init__.py": "",
    "mammoshift/configuration/__init__.py": "",
    "mammoshift/configuration/m.py": (
        "from pydantic import BaseModel\n\n"
        "class Part(BaseModel):\n    a: int = 1\n\n    def area(self):\n        return 2\n\n"
        "class Other(BaseModel):\n    b: int = 1\n\n"
        "Either = Part | Other\n\n"
        "class Whole(BaseModel):\n    part: Either\n"
    ),
}


def test_methods_of_what_a_configuration_holds_are_reached(tmp_path: Path) -> None:
    tree = write(tmp_path, HOLDING)
    before = fingerprint(tree)
    edit(tree, ("configuration/m", "part: Either", "other: Other | None = None\n    part: Either"))
    edit(tree, ("configuration/m", "b: int = 1", "b: int = 2"))
    assert fingerprint(tree) == before
    edit(tree, ("configuration/m", "return 2", "return 3"))
    assert fingerprint(tree) != before


def test_a_name_that_a_decorator_of_the_library_may_read_counts(tmp_path: Path) -> None:
    tree = write(tmp_path, REGISTERING)
    edit(tree, ("one", "def a", "def _a"))
    before = fingerprint(tree)
    edit(tree, ("one", "def _a", "def _b"))
    assert fingerprint(tree) != before


def test_a_function_that_is_handed_to_map_at_import_is_reached(tmp_path: Path) -> None:
    one = (
        "from mammoshift.registry import register\n\ndef a():\n    return 1\n\n"
        "DONE = list(map(register, [a]))\n"
    )
    tree = write(tmp_path, {**REGISTERING, "mammoshift/one.py": one})
    before = fingerprint(tree)
    edit(tree, ("one", "return 1", "return 2"))
    assert fingerprint(tree) != before


def test_a_method_called_progress_is_no_text(tmp_path: Path) -> None:
    use = (
        "class Use:\n    def progress(self, x):\n        self.x = x\n\n"
        "    def go(self):\n        self.progress(1)\n        return self.x\n\n"
        "def use(name):\n    return Use().go()\n"
    )
    tree = write(tmp_path, {**REGISTERING, "mammoshift/use.py": use})
    before = fingerprint(tree)
    edit(tree, ("use", "self.progress(1)", "self.progress(2)"))
    assert fingerprint(tree) != before


def test_a_definition_that_moves_changes_its_module_but_not_the_key(tree: Path) -> None:
    before, key = fingerprint(tree), code_key(tree / "script.py", tree / "lib")
    edit(tree, ("implementation", "def passed_on(x):\n    return x + 1\n", ""))
    write(tree, {"mammoshift/moved.py": "def passed_on(x):\n    return x + 1\n"})
    edit(tree, ("api", "implementation", "moved"))
    assert fingerprint(tree) != before
    assert code_key(tree / "script.py", tree / "lib") == key
