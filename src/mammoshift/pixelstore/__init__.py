"""Fixed-size arrays of one dataset and input variant, in shards addressed by patient."""
