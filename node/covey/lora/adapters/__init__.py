"""Adapter files: format, safe loading, refusal, similarity; the adapted model."""
