"""Keystores, remote signers, and checks of what they signed."""
