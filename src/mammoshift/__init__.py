"""Measure and restore a mammography classifier's accuracy across sensors and populations."""
