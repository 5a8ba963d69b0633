"""Covey: train Qwen adapters together without pooling data."""
