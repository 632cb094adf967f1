"""
What is put right in the SLURM executor plugin before it starts (docs/cluster.md, its defects).
"""

import sys
from importlib.metadata import version as installed_version

from snakemake.logging import logger

from mammoshift.execution import slurm_plugin

if plugin := sys.modules.get("snakemake_executor_plugin_slurm"):
    plugin_version = installed_version("snakemake-executor-plugin-slurm")
    if not slurm_plugin.mend(plugin, plugin_version) and workflow.non_local_exec:
        logger.warning(
            f"snakemake-executor-plugin-slurm {plugin_version}: this project knows version "
            f"{slurm_plugin.MENDED_VERSION}; see docs/cluster.md, Defects of the plugin"
        )
