"""Patient-grouped splits and the audit that proves them."""
