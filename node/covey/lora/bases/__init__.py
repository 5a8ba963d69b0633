"""Base models: finding, hashing, loading, and the shapes of their modules."""
