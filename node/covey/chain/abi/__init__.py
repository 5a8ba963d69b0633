"""Decoding of ABI data and of revert reasons."""
