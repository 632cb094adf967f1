"""Dry runs in forks of one process that has imported Snakemake, which is most of what they cost.

Reads a request as JSON from each line of its input: `folder`, `environment`, `arguments` and the
file that what is printed goes to, `output`. Answers with the exit status.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from snakemake.cli import main


def _plan(request: dict) -> None:
    """Plan in this process, which ends with it."""
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    sys.path.insert(0, str(Path(request["folder"], "src")))
    main(request["arguments"])


def _serve() -> None:
    if any("mammoshift" in name for name in sys.modules):
        sys.exit("the library was imported before it is known of which copy")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                _plan(json.loads(line))
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
