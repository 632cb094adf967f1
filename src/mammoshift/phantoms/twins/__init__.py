"""Synthetic archives, one module for each real archive's raw layout."""
