"""Records: reading, sampling, tokenising and batching. Does not import torch."""
