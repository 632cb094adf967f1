"""Errors that a user of mammoshift can meet: what was wrong, where, and what to do."""

from __future__ import annotations


class MammoshiftError(Exception):
    """Base of every error that the command line prints without a traceback.

    `exit_code` is what a process that ends for this reason returns.
    """

    exit_code = 1


class ConfigurationError(MammoshiftError):
    """A configuration file holds a value that cannot be used."""


class ArchiveError(MammoshiftError):
    """A raw archive, or a table that belongs to it, is missing or is not what it should be."""


class UnreadableImageError(MammoshiftError):
    """One image cannot be decoded; it goes to the quality-control table and the rest goes on."""


class TableError(MammoshiftError):
    """A table breaks its contract; the message names the file, the row and the column."""


class WeightsError(MammoshiftError):
    """A weights file cannot be used: wrong format, wrong keys, or unsafe content."""


class TrainingError(MammoshiftError):
    """Training cannot go on: no usable cases, a loss that is not finite, a broken checkpoint."""


class StatisticsError(MammoshiftError):
    """A statistical question cannot be answered from the input that was given."""


class LeakageError(MammoshiftError):
    """The audit found the same patient or the same image in two subsets."""


class DamagedFileError(MammoshiftError):
    """A file of the results is not what was written: damaged, replaced or missing."""


class CodeChangedError(MammoshiftError):
    """The code of a job is no longer the one that the job was planned with."""


class ParametersChangedError(MammoshiftError):
    """The parameters of a job are no longer those that the job was planned with."""
