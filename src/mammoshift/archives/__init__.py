"""Raw archives in, manifests out: one adapter for each archive's real layout."""
