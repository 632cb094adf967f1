"""From prediction tables to metric, comparison and calibration tables."""
