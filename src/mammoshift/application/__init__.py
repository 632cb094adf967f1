"""A trained model on files from anywhere: scores, heat maps, export."""
