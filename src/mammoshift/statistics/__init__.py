"""Statistics on arrays: pure functions, each with its source."""
