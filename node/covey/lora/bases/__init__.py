"""Base models: resolving, hashing and loading them, and the shapes of their layers."""
