"""Settings of an arm, chosen by trials on its own validation cases."""
