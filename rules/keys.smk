"""
Results carry their key: what Snakemake remembers of a job lies beside the job's results as well.

See docs/decisions/0005.
"""

import atexit
import os

import snakemake.workflow as host
from snakemake.logging import logger
from snakemake.persistence import MetadataRecord
from snakemake_interface_executor_plugins.executors.real import RealExecutor

from mammoshift.provenance.accepted import Accepted
from mammoshift.provenance.bookkeeping import is_known, with_keys
from mammoshift.provenance.fingerprint import definitions_of
from mammoshift.provenance.planned import PLAN_FILE, write_plan
from mammoshift.provenance.planned_parameters import tell_jobs


def definitions(code):
    """Return the definitions behind a fingerprint of this process, None once they were edited."""
    path, modules = CODES[code_name(code)]
    return definitions_of(code, path, LIBRARY, CODE_MEMORY, modules)


if workflow.is_main_process:
    if is_known(host.FilePersistence):
        host.FilePersistence = with_keys(
            host.FilePersistence, MetadataRecord, Path(RESULTS), definitions, Accepted(ACCEPTED)
        )
    else:
        logger.warning(
            "This version of Snakemake keeps its records in a way that this project does not know: "
            "edits are seen as long as the folder .snakemake is there (docs/decisions/0005)"
        )

    if not tell_jobs(RealExecutor):
        logger.warning(
            "This version of Snakemake starts jobs in a way that this project does not know: do "
            "not edit the configuration while jobs of a cluster run (docs/decisions/0005)"
        )

    if plan_file := os.environ.get(PLAN_FILE):
        # `mammoshift why` and `accept` ask for the plan of a dry run.
        atexit.register(
            lambda: write_plan(workflow.dag, Path(RESULTS), definitions, Path(plan_file))
        )
