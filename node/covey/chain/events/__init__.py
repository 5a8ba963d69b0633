"""Decoding of events, and the follower that reads them in order, exactly once."""
