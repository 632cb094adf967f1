"""The table of a search's trials: one row for each trial and setting."""

from __future__ import annotations

TRIAL_COLUMNS = (
    "arm",
    "fold",
    "trial",
    "state",
    "chosen",
    "epochs",
    "measure",
    "best",
    "setting",
    "value",
)
