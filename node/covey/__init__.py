"""Covey: train Qwen adapters together without pooling data."""

__version__ = "0.1.0"
