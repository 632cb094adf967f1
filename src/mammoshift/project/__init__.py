"""A user's own folder: what is in it, the files that describe it, and checks before a run."""

SAMPLE = 8
"""So many images of each dataset are decoded before a run."""
