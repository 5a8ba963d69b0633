"""Records and their tokens."""
