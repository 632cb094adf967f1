"""Training one arm with one seed, resumable."""
