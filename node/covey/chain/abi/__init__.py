"""ABI encoding and decoding, and the reasons of reverts."""
