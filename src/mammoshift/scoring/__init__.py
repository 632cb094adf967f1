"""From trained models and cases to prediction tables."""
