"""Event decoding and the log follower."""
