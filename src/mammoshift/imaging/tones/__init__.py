"""Tone recipes, one module each, found by their file's name.

A module offers `needs_range(image)` and `tone(crop)`; see `mammoshift.imaging.tones._protocol`. The
curves that they are made of are in `mammoshift.imaging.tone`.
"""
