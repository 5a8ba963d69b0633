"""Adapter files: format, export, loading of untrusted files with its refusals, similarity; the adapted model."""
