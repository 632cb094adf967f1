"""Finished fingerprints, remembered for as long as no file of the library or a script changes.

Following what a script reaches costs some hundredths of a second for each rule, in every process
of a workflow; asking the state of every file once costs less than one of them. Standard library
only: this is imported while Snakemake parses.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from mammoshift.files import write_text_atomically
from mammoshift.provenance.fingerprint import code_key
from mammoshift.provenance.planned_code import (
    DEFINITIONS,
    PlannedCode,
    declared_in,
    file_states,
    state_of,
    use_of,
)


class Fingerprints:
    """Fingerprints of the scripts in one folder, each computed once for a state of the code.

    Parameters
    ----------
    scripts
        The folder of the rules' scripts.
    library
        The folder that holds the package `mammoshift`.
    memory
        A folder for what is remembered; anything there may be deleted.
    """

    def __init__(self, scripts: Path, library: Path, memory: Path) -> None:
        self._scripts, self._library = scripts, library
        self._parsed, self._finished = memory / "code.json", memory / "fingerprints.json"

    def of(self, script: str, by_name: Collection[str]) -> dict[str, str]:
        """Return the fingerprint of a rule's script; see `code_key` for `by_name`.

        It is one hash of all definitions, so that one may move to another module.
        """
        use = use_of(script, by_name)
        if use not in self._known:
            path = self._scripts / script
            key = code_key(path, self._library, self._parsed, by_name)
            self._known[use] = {DEFINITIONS: key}
            content = {"state": self._state, "found": self._known}
            write_text_atomically(self._finished, json.dumps(content))
        return self._known[use]

    def planned(self) -> PlannedCode:
        """Return what a job needs to know that its code is still the one of this plan."""
        return PlannedCode(
            library=str(self._library),
            memory=str(self._parsed.absolute()),
            state=self._state,
            declared=self._declared,
            found={use: found[DEFINITIONS] for use, found in self._known.items()},
        )

    @cached_property
    def _state(self) -> str:
        """A hash of the name, the size and the times of every file of the code."""
        return state_of(file_states(self._library, self._scripts))

    @cached_property
    def _declared(self) -> str:
        return declared_in(self._library)

    @cached_property
    def _known(self) -> dict[str, dict[str, str]]:
        """What is remembered of this state of the code; nothing of any other."""
        try:
            content = json.loads(self._finished.read_bytes())
            known = content["found"] if content["state"] == self._state else {}
            return known if _is_well_formed(known) else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _is_well_formed(known: object) -> bool:
    """Tell whether remembered fingerprints are what was written: text by text by text."""
    return isinstance(known, dict) and all(
        isinstance(found, dict) and all(isinstance(text, str) for text in found.values())
        for found in known.values()
    )
