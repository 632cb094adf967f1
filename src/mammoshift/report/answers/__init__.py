"""Answers of a run to the items of reporting checklists."""
