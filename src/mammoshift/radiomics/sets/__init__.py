"""Sets of features: one module each, found by its name, with `NAMES` and `compute`."""
