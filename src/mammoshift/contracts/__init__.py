"""The tables that one stage hands to the next."""
