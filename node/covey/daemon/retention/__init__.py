"""Which content stays pinned, and what is evicted when the data quota is reached."""
