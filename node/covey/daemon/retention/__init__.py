"""Keeps published content pinned, and evicts old files when the data quota is exceeded."""
