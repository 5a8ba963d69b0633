"""Losses of adapters on held-out records, and the spread of scores between samples."""
