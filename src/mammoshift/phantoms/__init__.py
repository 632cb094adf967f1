"""Synthetic twins of the archives: one anatomy model, one scanner model, real raw layouts."""
