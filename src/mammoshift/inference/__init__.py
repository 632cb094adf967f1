"""Scoring a target dataset with a trained model."""
