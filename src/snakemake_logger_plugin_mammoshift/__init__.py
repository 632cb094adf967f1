"""The console of a run: a line for each job that is done, what runs now, and what failed.

Found by Snakemake through the name of this package; chosen by `logger: mammoshift` in a profile.
Snakemake's own text is on the screen with `--verbose`, or with `--logger-mammoshift-text
snakemake`, and always in `.snakemake/log`.
"""

from snakemake_logger_plugin_mammoshift.handler import LogHandler
from snakemake_logger_plugin_mammoshift.settings import LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
