"""Backbones and their weights: key maps, safe conversion, licences."""
