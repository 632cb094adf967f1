"""What can be chosen of the console. Snakemake reads the types of the fields, not their names."""

from dataclasses import dataclass, field

from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """The text of the console: our words, or Snakemake's own."""

    text: str = field(
        default="words",
        metadata={
            "help": "What is printed: `words`, or `snakemake` for Snakemake's own text.",
            "choices": ["words", "snakemake"],
            "env_var": True,
        },
    )
