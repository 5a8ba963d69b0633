"""Recompute what the contracts did from their events, with the rules of `covey.protocol`."""
