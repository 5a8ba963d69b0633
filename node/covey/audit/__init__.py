"""Recomputes what the contracts decided from their events, with the rules of `covey.protocol`.

This is a second implementation of the projection of events, independent of the daemon's on purpose: an error in one of
them shows as a difference.
"""
