"""`covey init` and `covey check`."""
