"""A user's own folder: what is in it, the files that describe it, and checks before a run."""
