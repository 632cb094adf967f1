"""From a file on disk to an array of fixed size: decode, tone, breast crop, resize."""
