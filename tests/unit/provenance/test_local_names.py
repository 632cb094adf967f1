"""The names of local variables shape no result, as long as nothing can read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammoshift.provenance.fingerprint import code_key

RUN = """
def run(x):
    total, rest = x, 2
    for step in range(x):
        total += step * rest
    def later(y):
        nonlocal total
        total += y
        return [total * value for value in (rest, y)]
    return later(total), {value: total for value in (1, 2)}
"""


def key(folder: Path, text: str) -> str:
    package = folder / "lib" / "mammoshift"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "main.py").write_text(text)
    script = folder / "script.py"
    script.write_text("from mammoshift.main import run\n\nrun(1)\n")
    return code_key(script, folder / "lib")


SAME = {
    "a variable": (RUN, RUN.replace("rest", "other")),
    "the variable of a loop": (RUN, RUN.replace("step", "number")),
    "the variable of a comprehension": (RUN, RUN.replace("value", "item")),
    "one of two of a name": (RUN, RUN.replace("{value: total for value", "{one: total for one")),
    "an unused import of Python's": (RUN, f"import json\nfrom math import pi\n{RUN}"),
    "beside a model that is evaluated": (
        RUN.replace("x, 2", "x.eval(), 2"),
        RUN.replace("x, 2", "x.eval(), 2").replace("rest", "other"),
    ),
}
OTHER = {
    "two variables exchanged": (
        RUN,
        RUN.replace("later(total), {", "later(rest), {"),
    ),
    "a variable for another of an inner scope": (
        RUN,
        RUN.replace("[total * value for value", "[total * rest for value"),
    ),
    "a parameter": (RUN, RUN.replace("x", "z")),
    "an inner function for another": tuple(
        f"def run(x):\n    def one():\n        return 1\n    def two():\n        return 2\n"
        f"    return {name}\n"
        for name in ("one", "two")
    ),
    "a caught error for a variable": tuple(
        "def run(x):\n    a = 1\n    try:\n        x()\n    except ValueError as error:\n"
        f"        return {name}\n"
        for name in ("a", "error")
    ),
    "a variable that locals shows": tuple(
        f"def run(x):\n    {name} = 1\n    return locals()\n" for name in ("a", "b")
    ),
    "a variable that a query of a table names": tuple(
        f"def run(x):\n    {name} = 1\n    return x.query('age > @a')\n" for name in ("a", "b")
    ),
    "a variable that is evaluated": tuple(
        f"def run(x):\n    {name} = 1\n    return eval('a')\n" for name in ("a", "b")
    ),
    "an attribute of an inner class": tuple(
        f"def run(x):\n    class Inner:\n        {name} = 1\n    return Inner\n" for name in "ab"
    ),
    "a variable for a global one": tuple(
        f"a = 1\n\ndef run(x):\n    {name} = 2\n    return a\n" for name in "ab"
    ),
    "an import of another library for what it does": (RUN, f"import cv2\n{RUN}"),
    "an import of Python's that is used": (
        f"import math\n{RUN.replace('x, 2', 'x, math.pi')}",
        f"import cmath as math\n{RUN.replace('x, 2', 'x, math.pi')}",
    ),
}


@pytest.mark.parametrize("texts", SAME.values(), ids=SAME)
def test_another_name_of_a_local_variable_keeps_the_key(
    tmp_path: Path, texts: tuple[str, str]
) -> None:
    first, second = texts
    assert first != second
    assert key(tmp_path, first) == key(tmp_path, second)


@pytest.mark.parametrize("texts", OTHER.values(), ids=OTHER)
def test_what_may_be_another_variable_or_be_seen_changes_the_key(
    tmp_path: Path, texts: tuple[str, str]
) -> None:
    first, second = texts
    assert key(tmp_path, first) != key(tmp_path, second)
