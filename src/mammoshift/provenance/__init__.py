"""Why something is valid or not: code fingerprints and reasons to rerun."""
