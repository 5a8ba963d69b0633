"""Scoring of adapters on held-out records."""
