"""Kinds of arms: one module each, found by its name, that says how to fit and how to score."""
