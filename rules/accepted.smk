"""
Changes that were declared to be without effect (`mammoshift accept`).

Included after all rules, whose parameters it reads through what was accepted.
"""

from mammoshift.provenance.accepted import read_accepted, take_accepted

try:
    take_accepted(list(workflow.rules), read_accepted(Path(RESULTS)))
except MammoshiftError as error:
    raise WorkflowError(str(error))
